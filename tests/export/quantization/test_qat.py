"""A network that was trained rounded: its flatbuffer holds what was trained and computes the same classes."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from export import firmware
from export.firmware import Options
from export.quantization import qat, quantize
from export.quantization.qat import Quantized, Tuning
from export.tflite import graph as tflite_graph
from export.tflite.interpreter import ReferenceInterpreter
from firmware import project, verify
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from models import keras_net
from models.graph import Graph, GraphBuilder
from models.training import fit
from models.training.measure import classify
from tests.export.test_firmware import write_model
from tests.models.test_graph import every_kind
from tests.models.training.test_fit import CONFIG, stripes, tiny
from tests.support import REPOSITORY
from tests.support.small_networks import saved_network


@pytest.fixture(scope="module")
def trained() -> tuple[DataSet, FrontEnd, keras_net.FoldedWeights]:
    """A small float network of 16x16 stripes."""
    data = stripes()
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    result = fit.train(tiny(), data, front_end, CONFIG, 0)
    model = keras_net.build(result.graph)
    model.set_weights(list(result.weights))
    return data, front_end, keras_net.fold(result.graph, model)


def start(trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights], tuning: Tuning) -> Quantized:
    data, front_end, weights = trained
    return qat.quantized(tiny(), weights, front_end.encode(data.subset("train")[0]), tuning)


def tune(
    trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights], tuning: Tuning, seed: int = 0
) -> Quantized:
    data, front_end, _ = trained
    return qat.train(start(trained, tuning), data, front_end, qat.tuned(CONFIG, tuning), seed)


def scores(flatbuffer: bytes, codes: np.ndarray) -> np.ndarray:
    interpreter = ReferenceInterpreter(flatbuffer)
    scale, zero_point = interpreter.output_quantization
    return scale * (interpreter.run(codes).astype(float) - zero_point)


def random_network(graph: Graph, name: str, tuning: Tuning) -> tuple[Quantized, FrontEnd, np.ndarray]:
    """A network of random weights, rounded, and 60 random images."""
    rng = np.random.default_rng(1)
    sensor = stripes().sensor
    pixels = rng.integers(0, sensor.span + 1, (60, *graph.input_shape[:2])).astype(np.uint16)
    front_end = frontend.fit(name, sensor, pixels)
    keras_net.keras.utils.set_random_seed(3)
    weights = keras_net.fold(graph, keras_net.build(graph))
    return qat.quantized(graph, weights, front_end.encode(pixels), tuning), front_end, pixels


@pytest.mark.seconds
def test_eight_bits_untrained_are_what_the_plain_conversion_gives() -> None:
    network, front_end, _ = random_network(every_kind(), "loggrad_1p5", Tuning())
    assert network.ranges is not None
    plain = quantize.convert(every_kind(), network.weights, front_end, network.ranges)
    assert qat.convert(network, front_end) == plain


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("bits", "name"), [(8, "jpeg8"), (4, "loggrad_2p25"), (3, "raw16"), (2, "loggrad_fp")]
)
def test_the_rounded_network_computes_what_its_flatbuffer_computes(bits: int, name: str) -> None:
    """Within a step of the logits on average, and never further than a step for each of four layers.

    TFLite rounds activations in one or two roundings of integers, which differs in the last bit here and
    there, and rounds the average pool, which has no range of its own; the layers behind add that up.
    """
    network, front_end, pixels = random_network(every_kind(), name, Tuning(bits=bits))
    assert network.ranges is not None
    flatbuffer = qat.convert(network, front_end)
    got = scores(flatbuffer, front_end.encode_int8(pixels))
    codes = front_end.encode_int8(pixels).astype(np.float32) - front_end.input_zero_point
    expected = qat.logits(network, front_end, codes * np.float32(front_end.input_scale))
    low, high = network.ranges.outputs[every_kind().ops[-1].name]
    steps = np.abs(got - expected) * 255 / (high - low)
    assert steps.mean() < 1 and steps.max() < 4.5
    assert expected.std() * 255 / (high - low) > 10  # there is something to agree about


@pytest.mark.seconds
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_int8_weights_are_exact_multiples_of_the_few_bits(bits: int) -> None:
    network, front_end, _ = random_network(every_kind(), "loggrad_1p5", Tuning(bits=bits))
    most = 2 ** (bits - 1) - 1
    for op in tflite_graph.parse(qat.convert(network, front_end)).ops:
        if op.weights is not None:
            assert set(np.unique(op.weights)) <= {127 // most * k for k in range(-most, most + 1)}
            assert len(np.unique(op.weights)) > 1


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["jpeg8", "loggrad_1p5"])
def test_biases_make_up_for_the_mean_error_of_few_bits(name: str) -> None:
    network, front_end, pixels = random_network(every_kind(), name, Tuning(bits=3))
    inputs = front_end.encode(pixels)
    full, _, _ = random_network(every_kind(), name, Tuning(bits=None))
    plain = dataclasses.replace(network, weights=full.weights)
    floating = qat.logits(full, front_end, inputs).mean(axis=0)
    errors = [
        np.abs(qat.logits(q, front_end, inputs).mean(axis=0) - floating).max() for q in (network, plain)
    ]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.seconds
def test_training_brings_back_what_ternary_weights_lose(
    trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights],
) -> None:
    data, front_end, weights = trained
    tuning = Tuning(epochs=6, bits=2)
    pixels, labels = data.subset("val")
    inputs = front_end.encode(pixels)
    floating = quantize.forward(tiny(), weights, inputs)
    before, after = start(trained, tuning), tune(trained, tuning)

    def loss(found: np.ndarray) -> float:
        return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, found)))

    losses = [loss(qat.logits(network, front_end, inputs)) for network in (before, after)]
    assert losses[1] < 0.5 * losses[0]
    assert np.mean(classify(qat.logits(after, front_end, inputs)) == labels) > 0.9
    assert np.mean(classify(floating) == labels) > 0.9


@pytest.mark.seconds
@pytest.mark.parametrize("ternary", [False, True])
def test_a_trained_network_converts_with_its_ranges_and_classes(
    trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights], ternary: bool
) -> None:
    """Nine of ten logits lie more than a step apart, so at most one image in fifty may change its class."""
    data, front_end, _ = trained
    tuning = Tuning(epochs=2, ternary_first=ternary)
    network, before = tune(trained, tuning), start(trained, tuning)
    flatbuffer = qat.convert(network, front_end)
    pixels = np.concatenate([data.subset("val")[0], data.subset("test")[0]])
    found = classify(scores(flatbuffer, front_end.encode_int8(pixels)))
    assert np.mean(found == classify(qat.logits(network, front_end, front_end.encode(pixels)))) >= 0.98

    parsed = tflite_graph.parse(flatbuffer)
    tensor = parsed.tensors[parsed.input]
    assert (tensor.scale, tensor.zero_point) == (1.0, 0)
    assert network.ranges is not None and before.ranges is not None
    scales = {t.scale for t in parsed.tensors.values()}
    for name, (low, high) in network.ranges.outputs.items():
        assert any(scale == pytest.approx((high - low) / 255, rel=1e-5) for scale in scales), name
    assert network.ranges != before.ranges
    first, second = (op.weights for op in parsed.ops if op.kind == "conv")
    assert first is not None and second is not None
    assert (set(np.unique(first)) == {-127, 0, 127}) == ternary
    assert len(np.unique(second)) > 20


@pytest.mark.qemu
def test_the_engine_computes_a_ternary_network_bit_for_bit(
    trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights], tmp_path: Path
) -> None:
    network = tune(trained, Tuning(epochs=1, ternary_first=True))
    model = write_model(tmp_path, qat.convert(network, trained[1]), trained[1], 3)
    firmware.write(firmware.make(model, "mps2-an386", Options(4)), tmp_path / "p")
    verdict = verify.verify(project.load(tmp_path / "p"))
    assert verdict.passed, verdict.complaints


@pytest.mark.seconds
def test_the_same_seed_gives_the_same_network(
    trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights],
) -> None:
    one, same, other = (qat.convert(tune(trained, Tuning(epochs=1), seed), trained[1]) for seed in (0, 0, 1))
    assert one == same != other


def test_a_training_that_diverges_says_so(
    trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights],
) -> None:
    with pytest.raises(LogGradError, match=r"quantised training diverged in epoch \d: lower its learning"):
        tune(trained, Tuning(epochs=3, learning_rate=1e30, bits=None))


def test_without_bits_nothing_is_rounded(trained: tuple[DataSet, FrontEnd, keras_net.FoldedWeights]) -> None:
    data, front_end, weights = trained
    inputs = front_end.encode(data.subset("val")[0])
    network = start(trained, Tuning(bits=None))
    floating = quantize.forward(tiny(), weights, inputs)
    assert qat.logits(network, front_end, inputs) == pytest.approx(floating, abs=1e-5)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(LogGradError, match="weights of 9 bits: choose 2 to 8"):
        Tuning(bits=9)
    b = GraphBuilder()
    graph = b.build(b.dense(b.flatten(b.max_pool(b.input(8, 8, 1), 2)), 3))
    with pytest.raises(LogGradError, match="no convolution reads the input"):
        qat.weight_bits(graph, Tuning(ternary_first=True))


def _convert(network: Path, *words: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"LOGGRAD_CACHE": str(network.parent / "cache")}
    command = [sys.executable, "-m", "export.convert", f"--run={network}", *words]
    return subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.seconds
def test_the_command_writes_a_model_whole_or_not_at_all(tmp_path: Path) -> None:
    network = saved_network(tmp_path)
    out, errors = (done := _convert(network, "--qat=2", "--ternary_first")).communicate()
    assert done.returncode == 0, errors
    assert "int8, as it was" in out and "epoch 2/2" in errors
    folder = network / "export"
    description = json.loads((folder / "model.json").read_text())
    assert description["quantised_training"]["epochs"] == 2
    assert description["quantised_training"]["ternary_first"] is True
    assert {"float_test", "post_training_test", "int8_test"} <= description["accuracy"].keys()
    first = next(op.weights for op in tflite_graph.load(folder / "model.tflite").ops if op.kind == "conv")
    assert first is not None and set(np.unique(first)) <= {-127, 0, 127}

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    running = _convert(network, "--qat=1000")
    assert running.stderr is not None
    for line in running.stderr:
        if "epoch" in line:
            break
        assert "error" not in line, line
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--ternary_first"], 1, "--ternary_first: such weights have to be trained; add --qat"),
        (["--qat=0"], 2, "flag --qat=0: 0 is not a positive integer"),
        (["--qat=many"], 2, "flag --qat=many"),
    ],
)
def test_wrong_flags_are_errors_of_one_line(words: list[str], code: int, reason: str, tmp_path: Path) -> None:
    running = _convert(tmp_path, *words)
    _, errors = running.communicate()
    assert running.returncode == code
    assert reason in errors and errors.count("\n") == 1
