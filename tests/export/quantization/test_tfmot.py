"""Quantised training by tensorflow-model-optimization: its twin computes the network, a board the result."""

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from export import firmware
from export.firmware import Options
from export.quantization import qat, tfmot
from export.quantization.qat import Quantized, Tuning
from export.quantization.settings import Settings
from export.tflite import graph as tflite_graph
from firmware import project, verify
from loggrad_tf import own_process
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from models.keras_net import FoldedWeights
from models.recipe import TrainConfig
from models.training.measure import classify
from tests.export.quantization.test_qat import _convert, random_network, scores, start, trained
from tests.models.test_graph import every_kind
from tests.models.training.test_fit import CONFIG
from tests.support.small_networks import saved_network

__all__ = ["trained"]  # the fixture
Trained = tuple[DataSet, FrontEnd, FoldedWeights]
EIGHT_BITS, THREE_BITS = Tuning(epochs=3), Tuning(epochs=6, bits=3)


def tune(trained: Trained, tuning: Tuning, seed: int = 0) -> Quantized:
    data, front_end, _ = trained
    return tfmot.train(start(trained, tuning), data, front_end, qat.tuned(CONFIG, tuning), seed)


@pytest.fixture(scope="module")
def tuned(trained: Trained) -> Callable[[Tuning], Quantized]:
    """:func:`tune`, each tuning once."""
    return functools.cache(lambda tuning: tune(trained, tuning))


def _by_the_twin(
    network: Quantized, front_end: FrontEnd, inputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Quantized]:
    """Of an untrained twin: its logits in evaluation and in training, and what was read from it before."""
    from export.quantization import tfmot_twin

    twin = tfmot_twin.build(network, front_end)
    found = tfmot_twin.read(twin, network)
    return np.asarray(twin(inputs, training=False)), np.asarray(twin(inputs, training=True)), found


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("tuning", "name"),
    [
        (Tuning(), "jpeg8"),
        (Tuning(bits=4), "loggrad_2p25"),
        (Tuning(ternary_first=True), "loggrad_1p5"),
    ],
)
def test_the_twin_computes_the_rounded_network(tuning: Tuning, name: str) -> None:
    network, front_end, pixels = random_network(every_kind(), name, tuning)
    inputs = front_end.encode(pixels)
    expected = qat.logits(network, front_end, inputs)
    evaluated, training, found = own_process.call(_by_the_twin, network, front_end, inputs)
    np.testing.assert_allclose(evaluated, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(qat.logits(found, front_end, inputs), expected, rtol=0, atol=1e-5)
    assert found.ranges == network.ranges and found.bits == network.bits
    for op, reach in network.reaches.items():
        np.testing.assert_array_equal(found.reaches[op], reach)
    # In training the ranges of the batch come in, of a kernel all, of an output a thousandth.
    assert np.abs(training - expected).max() < 0.1 * expected.std()


@pytest.mark.seconds
@pytest.mark.parametrize("tuning", [EIGHT_BITS, THREE_BITS])
def test_what_it_trains_converts_with_its_ranges_and_classes(
    trained: Trained, tuned: Callable[[Tuning], Quantized], tuning: Tuning
) -> None:
    data, front_end, _ = trained
    before, network = start(trained, tuning), tuned(tuning)
    flatbuffer = qat.convert(network, front_end)
    pixels = np.concatenate([data.subset("val")[0], data.subset("test")[0]])
    labels = np.concatenate([data.subset("val")[1], data.subset("test")[1]])
    found = classify(scores(flatbuffer, front_end.encode_int8(pixels)))
    assert np.mean(found == classify(qat.logits(network, front_end, front_end.encode(pixels)))) >= 0.98
    assert np.mean(found == labels) > 0.9

    parsed = tflite_graph.parse(flatbuffer)
    tensor = parsed.tensors[parsed.input]
    assert (tensor.scale, tensor.zero_point) == (1.0, 0)
    assert network.ranges is not None and before.ranges is not None
    scales = {t.scale for t in parsed.tensors.values()}
    for name, (low, high) in network.ranges.outputs.items():
        assert any(scale == pytest.approx((high - low) / 255, rel=1e-5) for scale in scales), name
        assert before.ranges.outputs[name] != (low, high)
    most = 2 ** ((tuning.bits or 0) - 1) - 1
    for op in parsed.ops:
        if op.weights is not None:
            assert set(np.unique(op.weights)) <= {127 // most * k for k in range(-most, most + 1)}
            assert np.abs(op.weights).max() == 127 // most * most
    for name, kernel in network.weights.kernels.items():
        assert np.abs(kernel - before.weights.kernels[name]).max() > 0
        assert network.reaches[name].shape == before.reaches[name].shape


@pytest.mark.seconds
def test_it_learns_what_few_bits_lost(trained: Trained, tuned: Callable[[Tuning], Quantized]) -> None:
    data, front_end, _ = trained
    pixels, labels = data.subset("val")
    inputs = front_end.encode(pixels)

    def loss(network: Quantized) -> float:
        found = qat.logits(network, front_end, inputs)
        return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, found)))

    assert loss(tuned(THREE_BITS)) < 0.7 * loss(start(trained, THREE_BITS))


@pytest.mark.seconds
def test_the_same_seed_gives_the_same_network_and_keras_3_is_untouched(
    trained: Trained, tuned: Callable[[Tuning], Quantized], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    found = (tuned(EIGHT_BITS), tune(trained, EIGHT_BITS, 0), tune(trained, EIGHT_BITS, 1))
    one, same, other = (qat.convert(network, trained[1]) for network in found)
    assert one == same != other
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert not {"tf_keras", "tensorflow_model_optimization"} & set(sys.modules)
    assert tf.keras.Model is keras.Model and keras.version().startswith("3.")


def test_what_it_cannot_train_is_refused(trained: Trained) -> None:
    data, front_end, _ = trained
    network, config = start(trained, Tuning()), qat.tuned(CONFIG, Tuning())
    with pytest.raises(LogGradError, match="tfmot trains what is rounded: give bits"):
        tfmot.train(start(trained, Tuning(bits=None)), data, front_end, config, 0)
    with pytest.raises(LogGradError, match=r"by adam without weight decay, not by sgd with 0\.0001"):
        tfmot.train(network, data, front_end, TrainConfig(), 0)
    with pytest.raises(LogGradError, match="--trainer=tfmot: nothing is trained without --qat; add it"):
        Settings(trainer="tfmot")
    with pytest.raises(LogGradError, match="trainer 'theirs': choose one of ours, tfmot"):
        Settings(epochs=1, trainer="theirs")


@pytest.mark.seconds
def test_a_training_that_diverges_says_so(trained: Trained) -> None:
    with pytest.raises(LogGradError, match=r"quantised training diverged in epoch \d: lower its learning"):
        tune(trained, Tuning(epochs=3, learning_rate=1e30))


@pytest.mark.qemu
def test_a_board_computes_what_the_command_had_tfmot_train(tmp_path: Path) -> None:
    network = saved_network(tmp_path)
    out, errors = (done := _convert(network, "--qat=2", "--trainer=tfmot")).communicate()
    assert done.returncode == 0, errors
    assert "int8, as it was" in out and "scale 1, zero point 0" in out
    assert "quantised training: epoch 2/2" in errors
    description = json.loads((network / "export" / "model.json").read_text())
    assert description["quantised_training"]["trainer"] == "tfmot"
    assert {"tensorflow-model-optimization", "tf_keras"} <= description["versions"].keys()
    made = firmware.make(network / "export" / "model.tflite", "mps2-an386", Options(4))
    firmware.write(made, tmp_path / "p")
    verdict = verify.verify(project.load(tmp_path / "p"))
    assert verdict.passed and verdict.mismatches == 0, verdict.complaints
