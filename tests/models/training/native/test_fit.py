"""Native trainings: they learn, repeat themselves, prune and end as TensorFlow's do."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from models import keras_net, zoo
from models.graph import Graph, GraphBuilder
from models.pruning.channels import exits, groups, prunable
from models.recipe import NATIVE, Pruning, TrainConfig
from models.training import fit
from models.training.fit import TrainResult
from models.training.measure import measure
from models.training.native import build
from tests.models.training.test_fit import CONFIG, stripes, tiny
from tests.support.native_cases import Pair, needs_compiler, same

pytestmark = [needs_compiler, pytest.mark.seconds]
OURS = dataclasses.replace(CONFIG, trainer=NATIVE)


def front(data: DataSet, name: str = "loggrad_1p5") -> FrontEnd:
    return frontend.fit(name, data.sensor, data.subset("train")[0])


@pytest.mark.parametrize(("classes", "units"), [(3, 3), (2, 1)])
@pytest.mark.parametrize("name", ["loggrad_1p5", "raw16"])
def test_learns_stripes(classes: int, units: int, name: str) -> None:
    data = stripes(classes)
    seen: list[int] = []
    result = fit.train(tiny(units), data, front(data, name), OURS, 0, lambda epoch, _: seen.append(epoch))
    assert result.val_error < 0.1 and not result.stopped
    assert seen == list(range(8)) and len(result.history) == 8
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_the_weights_are_those_of_a_keras_model() -> None:
    """Their order, and what they answer."""
    data = stripes()
    result = fit.train(tiny(), data, front(data), OURS, 3)
    model = keras_net.build(result.graph)
    model.set_weights(list(result.weights))
    error, loss = measure(model, data, front(data), "val")
    assert result.val_error == error and result.val_loss == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_same_seed_same_weights(optimizer: str) -> None:
    data = stripes()
    config = dataclasses.replace(OURS, epochs=2, flip=True, cutout=4, optimizer=optimizer)
    config = dataclasses.replace(config, learning_rate=0.003, batch_size=20)
    runs = [fit.train(tiny(), data, front(data), config, seed) for seed in (1, 1, 2)]
    for a, b in zip(runs[0].weights, runs[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert runs[0].history == runs[1].history
    assert any((a != b).any() for a, b in zip(runs[0].weights, runs[2].weights, strict=True))


def errors_of(config: TrainConfig, data: DataSet) -> list[float]:
    return [fit.train(tiny(), data, front(data), config, seed).val_loss for seed in range(4)]


def test_what_it_learns_is_what_tensorflow_learns() -> None:
    """The losses of four seeds, few images and few epochs, overlap; those of an untrained network are 1.1."""
    data = stripes(each=100)
    short = dataclasses.replace(CONFIG, epochs=3, flip=True, label_smoothing=0.1)
    theirs, ours = errors_of(short, data), errors_of(dataclasses.replace(short, trainer=NATIVE), data)
    assert max(min(theirs), min(ours)) < min(max(theirs), max(ours))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.15) and np.mean(ours) < 0.8


def test_a_data_set_smaller_than_a_batch_is_one_step() -> None:
    data = stripes(each=5)
    config = dataclasses.replace(OURS, epochs=2, batch_size=64)
    assert len(fit.train(tiny(), data, front(data), config, 0).history) == 2


def test_stop_ends_the_training() -> None:
    data = stripes()
    sums: list[float] = []

    def stop(epoch: int, total: float) -> bool:
        sums.append(total)
        return epoch == 2

    result = fit.train(tiny(), data, front(data), OURS, 0, stop=stop)
    assert result.stopped and len(result.history) == 3
    assert sums == pytest.approx(np.cumsum([entry["loss"] for entry in result.history]))


def test_a_training_that_diverges_ends() -> None:
    data = stripes()
    config = dataclasses.replace(OURS, learning_rate=1e18)
    b = GraphBuilder()
    x = b.flatten(b.conv(b.input(16, 16, 1), 4, 3))
    result = fit.train(b.build(b.dense(b.dense(x, 8), 3)), data, front(data), config, 0)
    assert len(result.history) < 8 and not np.isfinite(result.history[-1]["loss"])
    assert (result.val_error, result.val_loss, result.stopped) == (1.0, float("inf"), False)


def pruned(config: TrainConfig, sparsity: float = 0.5) -> TrainResult:
    data = stripes()
    plan = Pruning.early(sparsity)
    return fit.train(zoo.small_bn(16, 3), data, front(data), config, 0, pruning=plan)


def test_pruning_leaves_a_smaller_network_that_answers_alike() -> None:
    result = pruned(OURS)
    whole = zoo.small_bn(16, 3)
    before, after = (sum(g.channels for g in prunable(graph)) for graph in (whole, result.graph))
    assert after == before - round(0.5 * before)
    model = keras_net.build(result.graph)
    model.set_weights(list(result.weights))
    data = stripes()
    error, loss = measure(model, data, front(data), "val")
    assert result.val_error == error < 0.2 and result.val_loss == pytest.approx(loss, rel=1e-4)
    same_again = pruned(OURS)
    assert same_again.graph == result.graph and same_again.history == result.history


def branched() -> Graph:
    """Channels that convolutions, a flatten and a dense layer read, and an addition joins."""
    b = GraphBuilder()
    x = b.conv(b.input(12, 12, 1), 6, 3, bn=True, relu=True)
    left = b.depthwise(b.conv(x, 6, 3, padding="same", relu=True), 3, padding="same", bn=True)
    x = b.add([left, b.conv(x, 6, 1, bn=True)], relu=True)
    return b.build(b.dense(b.dense(b.flatten(b.max_pool(x, 2)), 9, relu=True), 3))


def test_a_mask_is_a_channel_mask() -> None:
    """Readers see zeros; what makes a masked channel has the gradient that it would have without the mask."""
    graph = branched()
    masked = exits(graph, exempt_first=False)
    pair = Pair(graph, 18, TrainConfig(weight_decay=0.0, momentum=0.0), masked)
    rng = np.random.default_rng(1)
    channels = {g.name: g.channels for g in groups(graph)}
    live = {group: rng.random(channels[group]) < 0.5 for group in dict.fromkeys(masked.values())}
    assert not all(mask.all() for mask in live.values())
    for name, group in masked.items():
        pair.network.mask(name, live[group])
        pair.model.get_layer(f"{name}_mask").set_weights([live[group].astype(np.float32)])
    expected = np.asarray(pair.model(pair.inputs.encoded(), training=False))
    np.testing.assert_allclose(pair.network.logits(pair.inputs), expected, rtol=1e-4, atol=1e-5)
    loss, gradients = pair.theirs()
    assert pair.step(pair.descent(1e-9))["loss"][0] == pytest.approx(loss, rel=1e-5)
    same(pair.network.gradients, gradients)


def test_a_mask_is_there_until_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that was given back too early would hold what is written before the compiled code reads it."""
    b = GraphBuilder()
    x = b.conv(b.input(8, 8, 1), 336, 3, relu=True)
    graph = b.build(b.dense(b.global_avg(b.conv(x, 2, 1)), 3))
    pair = Pair(graph, 2, TrainConfig())
    loaded = pair.network._library
    mask = loaded.native_mask

    def later(*arguments: Any) -> None:
        others = [np.full(336, 7, np.float32) for _ in range(20)]
        mask(*arguments)
        del others

    monkeypatch.setattr(loaded, "native_mask", later)
    pair.network.mask(graph.ops[1].name, np.zeros(336, bool))
    found = pair.network.logits(pair.inputs)
    np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape), "nothing is seen")


def test_no_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    build.compiler.cache_clear()
    with pytest.raises(LogGradError, match=r"g\+\+ is not installed: install it \(apt-get install g\+\+\)"):
        build.built()
    build.compiler.cache_clear()
