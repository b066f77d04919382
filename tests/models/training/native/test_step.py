"""A step of the native trainer is TensorFlow's: loss, gradient of every kind of op, optimiser, averages."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from loggrad_tf.detect.grid import IGNORED
from loggrad_tf.errors import LogGradError
from models import zoo
from models.graph import Graph, GraphBuilder, Op
from models.recipe import TrainConfig
from models.training.batches import one_hot
from models.training.descent import Descent
from models.training.native.network import Descent as NativeDescent
from tests.models.pruning.test_shrink import random_network
from tests.support.native_cases import Pair, needs_compiler, same, weights_of

pytestmark = [needs_compiler, pytest.mark.seconds]
PLAIN = TrainConfig(epochs=1, weight_decay=0.0, momentum=0.0)
Build = Callable[[GraphBuilder, int], int]


def around(build: Build, side: int = 13, units: int = 3, width: int = 5) -> Graph:
    """A layer between two convolutions, so that its gradient by weights and by input both show."""
    b = GraphBuilder()
    x = b.conv(b.input(side, side, 1), width, 3, relu=True)
    x = build(b, x)
    if len(b.shape(x)) == 3:
        x = b.global_avg(b.conv(x, 3, 1))
    return b.build(b.dense(x, units))


def residual(b: GraphBuilder, x: int) -> int:
    left = b.conv(x, 5, 3, padding="same", bn=True)
    return b.add([left, b.conv(x, 5, 4, relu=True), x], relu=True)


LAYERS: dict[str, Build] = {
    **{
        f"conv {k} step {s} {padding}": lambda b, x, k=k, s=s, p=padding: b.conv(
            x, 7, k, stride=s, padding=p, relu=True
        )
        for k in (1, 2, 3, 5, 7, 8)
        for s in (1, 2, 3)
        for padding in ("same", "valid")
        if s <= k
    },
    **{
        f"depthwise {k} step {s} {padding}": lambda b, x, k=k, s=s, p=padding: b.depthwise(
            x, k, stride=s, padding=p, bn=True, relu=True
        )
        for k in (1, 3, 5, 6)
        for s in (1, 2)
        for padding in ("same", "valid")
        if s <= k
    },
    "conv bn": lambda b, x: b.conv(x, 9, 3, bn=True, relu=True),
    "conv bn linear": lambda b, x: b.conv(x, 9, 3, bn=True),
    "depthwise plain": lambda b, x: b.depthwise(x, 3, relu=True),
    "max pool 2": lambda b, x: b.max_pool(x, 2),
    "max pool 3": lambda b, x: b.max_pool(x, 3),
    "max pool 2x5": lambda b, x: b.max_pool(x, 2, 5),
    "avg pool 2": lambda b, x: b.avg_pool(x, 2),
    "avg pool 4x3": lambda b, x: b.avg_pool(x, 4, 3),
    "flatten": lambda b, x: b.flatten(x),
    "hidden dense": lambda b, x: b.dense(b.flatten(b.max_pool(x, 3)), 11, relu=True),
    "residual": residual,
    "twice the same": lambda b, x: b.add([x, x]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_every_layer_are_tensorflows(name: str) -> None:
    pair = Pair(around(LAYERS[name]), 20, PLAIN)
    loss, gradients = pair.theirs()
    reports = pair.step(pair.descent(1e-9))
    assert reports["loss"][0] == pytest.approx(loss, rel=1e-5)
    same(pair.network.gradients, gradients)


@pytest.mark.parametrize("batch", [1, 7, 16, 17, 33])
@pytest.mark.parametrize("units", [1, 4])
def test_any_batch_is_right(batch: int, units: int) -> None:
    """The last vector of a batch is seldom full."""
    graph = around(residual, units=units)
    pair = Pair(graph, batch, dataclasses.replace(PLAIN, label_smoothing=0.1), seed=batch)
    loss, gradients = pair.theirs()
    reports = pair.step(pair.descent(1e-9))
    assert reports["loss"][0] == pytest.approx(loss, rel=1e-5)
    same(pair.network.gradients, gradients)
    averages = weights_of(graph, pair.model)
    same({n: w[2:] for n, w in pair.network.layers.items()}, {n: w[2:] for n, w in averages.items()})


def detector(units: int = 3) -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input(20, 13, 1), 5, 3, stride=2, padding="same", bn=True, relu=True)
    x = b.max_pool(b.conv(x, 7, 3, padding="same", bn=True, relu=True), 2, padding="same")
    return b.build(b.conv(x, units, 3, padding="same"))


@pytest.mark.parametrize("batch", [1, 16, 19])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_cells_is_tensorflows(batch: int, smoothing: float) -> None:
    """Some of them are asked nothing."""
    pair = Pair(detector(), batch, dataclasses.replace(PLAIN, label_smoothing=smoothing), seed=batch)
    loss, gradients = pair.theirs()
    reports = pair.step(pair.descent(1e-9))
    assert reports["loss"][0] == pytest.approx(loss, rel=1e-5)
    same(pair.network.gradients, gradients)
    logits = pair.model(pair.inputs.encoded(), training=False).numpy()
    # The step has moved the native averages on; Keras' own have moved in theirs().
    np.testing.assert_allclose(pair.network.logits(pair.inputs), logits, rtol=1e-3, atol=1e-3)


def test_cells_that_are_asked_nothing_teach_nothing() -> None:
    pair = Pair(detector(), 5, PLAIN)
    pair.labels[:] = IGNORED
    reports = pair.step(pair.descent(1e-9))
    assert reports["loss"][0] == 0 and reports["right"][0] == 0
    assert not any(array.any() for arrays in pair.network.gradients.values() for array in arrays)


def windowed(kind: str, kernel: tuple[int, int], stride: tuple[int, int], padding: str) -> Graph:
    """An op that no builder makes: a window of other rows than columns, which may overlap and be padded."""
    b = GraphBuilder()
    x = b.conv(b.input(12, 15, 1), 4, 1, relu=True)
    ops = list(b._ops)
    height, width, channels = b.shape(x)
    sizes = [
        -(-n // s) if padding == "same" else (n - k) // s + 1
        for n, k, s in zip((height, width), kernel, stride, strict=True)
    ]
    ops.append(Op(kind, (x,), (*sizes, channels), kernel, stride, padding, name="window"))
    ops.append(Op("flatten", (2,), (math.prod(ops[2].shape),), name="flat"))
    ops.append(Op("dense", (3,), (3,), name="logits"))
    return Graph(tuple(ops))


@pytest.mark.parametrize("kind", ["conv", "depthwise", "max_pool", "avg_pool"])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [((3, 3), (2, 2)), ((2, 5), (1, 1)), ((4, 1), (3, 3))])
def test_windows_of_any_form(
    kind: str, padding: str, kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    pair = Pair(windowed(kind, kernel, stride, padding), 18, PLAIN)
    _, gradients = pair.theirs()
    pair.step(pair.descent(1e-9))
    same(pair.network.gradients, gradients)


def comparable(graph: Graph) -> bool:
    """One channel, and no convolution that skips pixels: TensorFlow's gradient of that damages its memory."""
    skips = any(op.kernel < op.stride for op in graph.ops if op.kind in ("conv", "depthwise"))
    return graph.input_shape[-1] == 1 and not skips


RANDOM = [seed for seed in range(60) if comparable(random_network(seed))]


@pytest.mark.parametrize("seed", RANDOM)
def test_random_networks(seed: int) -> None:
    pair = Pair(random_network(seed), 19, PLAIN, seed=seed)
    before = np.asarray(pair.model(pair.inputs.encoded(), training=False))
    np.testing.assert_allclose(pair.network.logits(pair.inputs), before, rtol=1e-4, atol=1e-5)
    loss, gradients = pair.theirs()
    reports = pair.step(pair.descent(1e-9))
    assert reports["loss"][0] == pytest.approx(loss, rel=1e-4)
    same(pair.network.gradients, gradients, 2e-3)


@pytest.mark.parametrize(
    ("graph", "optimizer", "fused_bn"),
    [
        (zoo.small_bn(24, 3), "sgd", True),
        (zoo.small_bn(24, 3), "sgd", False),
        # TensorFlow's Adam moves a bias behind a batch norm by its rounding; here there is none.
        (zoo.two_conv_one_fc(24, 3), "adam", True),
    ],
)
def test_steps_of_an_optimiser_are_tensorflows(graph: Graph, optimizer: str, fused_bn: bool) -> None:
    config = TrainConfig(
        learning_rate=0.01,
        weight_decay=0.01,
        label_smoothing=0.1,
        optimizer=optimizer,
        fused_bn=fused_bn,
        schedule="cosine",
    )
    pair = Pair(graph, 32, config)
    descent = Descent(
        pair.model,
        lambda step: config.rate(step, 6),
        config.momentum if optimizer == "sgd" else None,
        config.weight_decay,
        config.label_smoothing,
    )
    ours = NativeDescent(pair.network, lambda step: config.rate(step, 6), config)
    batches = [(pair.inputs.encoded(), one_hot(pair.labels, 3))]
    for _ in range(5):
        theirs = descent.epoch(batches)
        report = pair.step(ours)
        assert report["loss"][0] == pytest.approx(theirs["loss"], rel=1e-3)
        assert 1 - report["right"][0] == pytest.approx(theirs["error"], abs=1e-6)
    same(pair.network.layers, weights_of(graph, pair.model), 1e-3)


def test_an_input_of_several_channels_is_refused() -> None:
    b = GraphBuilder()
    graph = b.build(b.dense(b.global_avg(b.conv(b.input(8, 8, 2), 3, 3)), 3))
    with pytest.raises(LogGradError, match="input has 2 channels; native training takes 1"):
        Pair(graph, 4, PLAIN)
