"""The smaller network equals the masked one, and training with masks ends with it."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models import batch_norm, keras_net
from models.graph import Graph, GraphBuilder
from models.pruning import channels as pruning
from models.pruning import masking
from models.pruning.shrink import shrink
from models.recipe import Pruning, TrainConfig
from models.training import fit
from models.training.fit import TrainResult
from models.training.measure import evaluate
from tests.models.training.test_fit import stripes, tiny

SIDE = 20


def _random_layer(draw: np.random.Generator, b: GraphBuilder, x: int, channels: int) -> int:
    switches = {"bn": bool(draw.random() < 0.6), "relu": bool(draw.random() < 0.8)}
    if min(b.shape(x)[:2]) > 9 and draw.random() < 0.25:
        x = b.max_pool(x, 2) if draw.random() < 0.5 else b.avg_pool(x, 2)
    room = min(b.shape(x)[:2])
    kernel = int(draw.choice([1, 3, 5])) if room > 5 else 1
    padding = str(draw.choice(["valid", "same"]))
    stride = 2 if room > 9 and draw.random() < 0.3 else 1
    if draw.random() < 0.3:
        return b.depthwise(x, kernel, stride=stride, padding=padding, **switches)
    return b.conv(x, channels, kernel, stride=stride, padding=padding, **switches)


def random_network(seed: int) -> Graph:
    """Serial and parallel layers, padded sums, all pools, one or three logits."""
    draw = np.random.default_rng(seed)
    b = GraphBuilder()
    x = b.input(SIDE, SIDE, int(draw.integers(1, 3)))
    for _ in range(int(draw.integers(1, 4))):
        channels = int(draw.integers(2, 9))
        paths = []
        for _ in range(int(draw.integers(1, 4))):
            y = x
            for _ in range(int(draw.integers(1, 3))):
                y = _random_layer(draw, b, y, channels)
            if b.shape(y)[2] != channels:
                y = b.conv(y, channels, 1)
            paths.append(y)
        x = b.add(paths, relu=bool(draw.random() < 0.5)) if len(paths) > 1 else paths[0]
    pooled = b.max_pool(x, 2) if draw.random() < 0.5 and min(b.shape(x)[:2]) > 1 else x
    x = b.global_avg(x) if pooled == x and draw.random() < 0.5 else b.flatten(pooled)
    for _ in range(int(draw.integers(0, 3))):
        x = b.dense(x, int(draw.integers(3, 12)), relu=True)
    return b.build(b.dense(x, int(draw.choice([1, 3]))))


def _masked_and_trained(graph: Graph, seed: int) -> tuple[keras.Model, masking.MaskUpdates, np.ndarray]:
    """A model after a few steps with masks at 50 %, its masks, and images."""
    keras.utils.set_random_seed(seed)
    plan = Pruning(0.5, begin=0.0, end=0.5, every=1, exempt_first=False)
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(32, *graph.input_shape)).astype(np.float32)
    model = keras_net.build(graph, masked=pruning.exits(graph, exempt_first=False))
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss="mse", run_eagerly=True)
    updates = masking.MaskUpdates(model, graph, plan, 8)
    targets = rng.normal(size=(32, graph.output_units))
    after_step = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: updates.after_step())
    model.fit(images, targets, batch_size=8, epochs=2, verbose=0, callbacks=[after_step])
    return model, updates, images


@pytest.mark.seconds
@pytest.mark.parametrize("seed", range(10))
def test_the_smaller_network_equals_the_masked_one(seed: int) -> None:
    graph = random_network(seed)
    model, updates, images = _masked_and_trained(graph, seed)
    small, shrunk = updates.shrunk()
    left = {g.name: g.channels for g in pruning.groups(small)}
    assert all(left[name] == live.sum() for name, live in updates.live.items())
    total = sum(len(live) for live in updates.live.values())
    gone = sum((~live).sum() for live in updates.live.values())
    assert gone == min(round(0.5 * total), total - len(updates.live))
    _assert_close(shrunk(images, training=False), model(images, training=False))


def _assert_close(a: tf.Tensor, b: tf.Tensor) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_a_masked_channel_is_zero_to_its_readers_only() -> None:
    """Its bias and batch norm do not leak: the network that is scored is the one that is counted."""
    b = GraphBuilder()
    x = b.conv(b.conv(b.input(12, 12, 1), 4, 3), 4, 3, bn=True, relu=True)
    x = b.add([x, b.depthwise(x, 3, padding="same", bn=True)], relu=True)
    graph = b.build(b.dense(b.flatten(b.max_pool(x, 2)), 3))
    model = keras_net.build(graph, masked=pruning.exits(graph))
    rng = np.random.default_rng(0)
    model.set_weights([rng.lognormal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    model.get_layer("max_pool_5_mask").set_weights([np.array([1, 0, 0, 1], np.float32)])
    watched = [model.get_layer(name).output for name in ("max_pool_5_mask", "max_pool_5", "add_4")]
    seen, pooled, total = keras.Model(model.input, watched)(rng.normal(size=(2, 12, 12, 1)))
    np.testing.assert_array_equal(seen[..., 1:3], 0)
    np.testing.assert_array_equal(seen[..., ::3], pooled[..., ::3])
    assert (np.abs(total[..., 1:3]).max(axis=(0, 1, 2)) > 0).all()


def test_the_gradient_passes_the_mask() -> None:
    mask = keras_net.ChannelMask()
    x = tf.constant([[1.0, 2.0, 3.0]])
    mask(x)
    mask.set_weights([np.array([1, 0, 1], np.float32)])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = mask(x)
        loss = tf.reduce_sum(tf.square(y - 5.0))
    np.testing.assert_array_equal(y, [[1, 0, 3]])
    np.testing.assert_array_equal(tape.gradient(loss, x), [[-8, -10, -4]])


@pytest.mark.seconds
def test_a_pruned_channel_that_is_needed_returns() -> None:
    """Channel 1 has the smaller weights and is masked; the loss needs it, so it grows and returns.

    Channel 0 is below its ReLU for every image, so nothing changes it.
    """
    b = GraphBuilder()
    graph = b.build(b.dense(b.global_avg(b.conv(b.input(4, 4, 2), 2, 1, relu=True)), 1))
    model = keras_net.build(graph, masked=pruning.exits(graph, exempt_first=False))
    kernel = np.array([[0.5, 0.0], [0.0, 0.1]], np.float32).reshape(1, 1, 2, 2)
    model.get_layer("conv_1").set_weights([kernel, np.array([-1, 0])])
    model.get_layer("dense_3").set_weights([np.ones((2, 1)), np.zeros(1)])
    images = np.zeros((64, 4, 4, 2), np.float32)
    images[..., 1] = np.linspace(0, 2, 64)[:, None, None]
    batches = np.tile(images, (200, 1, 1, 1))
    model.compile(optimizer=keras.optimizers.SGD(0.001), loss="mse")
    plan = Pruning(0.99, begin=0.0, end=1.0, every=1, exempt_first=False)
    updates = masking.MaskUpdates(model, graph, plan, 200)
    masks: list[list[bool]] = []

    def after_step(batch: int, logs: dict[str, float] | None = None) -> None:
        updates.after_step()
        masks.append(updates.live["conv_1"].tolist())

    before = model.evaluate(images, 3 * images[:, 0, 0, 1:], verbose=0)
    note = keras.callbacks.LambdaCallback(on_train_batch_end=after_step)
    model.fit(batches, 3 * batches[:, 0, 0, 1:], batch_size=64, shuffle=False, verbose=0, callbacks=[note])
    changes = [m for k, m in enumerate(masks) if k == 0 or m != masks[k - 1]]
    assert changes == [[True, True], [True, False], [False, True]]
    assert model.evaluate(images, 3 * images[:, 0, 0, 1:], verbose=0) < 0.1 * before


def _constant_channel(kind: str, constant: float) -> tuple[Graph, list[np.ndarray]]:
    """A network whose conv_2 has a kernel of zeros and the bias ``constant`` in channel 1 of 3."""
    b = GraphBuilder()
    x = b.conv(b.conv(b.input(12, 12, 1), 4, 3), 3, 3, bn=True, relu=True)
    if kind == "padded sum":
        x = b.add([b.conv(x, 3, 5), x])
    elif kind == "depthwise":
        x = b.depthwise(x, 3, bn=True, relu=True)
    elif kind == "pooled":
        x = b.avg_pool(b.max_pool(x, 2), 2)
    x = (
        x
        if kind == "flat"
        else b.conv(
            x, 2, 1 if kind == "pooled" else 3, padding="same" if kind == "same" else "valid", relu=True
        )
    )
    graph = b.build(b.dense(b.flatten(x), 3))
    model = keras_net.build(graph)
    rng = np.random.default_rng(1)
    model.set_weights(
        [rng.lognormal(sigma=0.3, size=w.shape).astype(np.float32) for w in model.get_weights()]
    )
    for name in ("conv_2", "conv_3" if kind == "padded sum" else "conv_2"):
        kernel, bias = model.get_layer(name).get_weights()
        kernel[..., 1], bias[1] = 0, constant
        model.get_layer(name).set_weights([kernel, bias])
    return graph, model.get_weights()


@pytest.mark.parametrize(
    ("kind", "constant", "left"),
    [
        ("valid", 2.0, 2),
        ("flat", 2.0, 2),
        ("depthwise", 2.0, 2),
        ("pooled", 2.0, 2),
        ("same", 2.0, 3),  # the border of the padded map sees 0 instead
        ("same", -50.0, 2),  # 0 behind the ReLU
        ("padded sum", 2.0, 3),
    ],
)
def test_a_constant_channel_goes_into_the_next_bias_or_stays(kind: str, constant: float, left: int) -> None:
    graph, weights = _constant_channel(kind, constant)
    live = {"conv_2": np.ones(3, bool)}
    small, fewer = shrink(graph, weights, live)
    assert {g.name: g.channels for g in pruning.groups(small)}["conv_2"] == left
    images = np.random.default_rng(0).normal(size=(8, 12, 12, 1))
    models = [keras_net.build(g) for g in (graph, small)]
    models[0].set_weights(weights)
    models[1].set_weights(list(fewer))
    _assert_close(models[1](images), models[0](images))


def test_one_channel_stays_where_all_are_constant() -> None:
    b = GraphBuilder()
    graph = b.build(b.dense(b.global_avg(b.conv(b.conv(b.input(6, 6, 1), 2, 3), 3, 3)), 3))
    model = keras_net.build(graph)
    kernel, bias = model.get_layer("conv_2").get_weights()
    model.get_layer("conv_2").set_weights([np.zeros_like(kernel), bias + np.arange(3)])
    small, weights = shrink(graph, model.get_weights(), {"conv_2": np.array([False, True, True])})
    assert {g.name: g.channels for g in pruning.groups(small)}["conv_2"] == 1
    shrunk = keras_net.build(small)
    shrunk.set_weights(list(weights))
    masked = keras_net.build(graph, masked=("global_avg_3",))
    for layer in model.layers:
        masked.get_layer(layer.name).set_weights(layer.get_weights())
    images = np.ones((2, 6, 6, 1), np.float32)
    masked.get_layer("global_avg_3_mask").set_weights([np.array([0, 1, 1], np.float32)])
    np.testing.assert_allclose(shrunk(images), masked(images), rtol=1e-5)


@pytest.mark.seconds
def test_a_channel_is_removed_from_every_operand_of_a_sum() -> None:
    b = GraphBuilder()
    x = b.conv(b.input(10, 10, 1), 3, 3)
    x = b.add([b.conv(x, 4, 3), b.depthwise(b.conv(x, 4, 1), 3)])
    graph = b.build(b.dense(b.flatten(x), 2 + 1))
    live = {"conv_2": np.array([True, False, True, False])}
    small, _ = shrink(graph, keras_net.build(graph).get_weights(), live)
    assert small == pruning.resized(graph, {"conv_2": 2})
    assert {op.name: op.shape[-1] for op in small.ops} == {
        "input": 1, "conv_1": 3, "conv_2": 2, "conv_3": 2, "depthwise_4": 2, "add_5": 2,
        "flatten_6": 2 * 6 * 6, "dense_7": 3,
    }  # fmt: skip


@pytest.mark.parametrize("live", [[False] * 8, [True] * 7])
def test_masks_of_another_network_are_refused(live: list[bool]) -> None:
    graph = tiny()
    weights = keras_net.build(graph).get_weights()
    with pytest.raises(LogGradError, match="group 'conv_2'.* of 8 channels live"):
        shrink(graph, weights, {"conv_2": np.array(live)})


CONFIG = TrainConfig(epochs=6, batch_size=16, schedule="cosine", shift=1)
PLAN = Pruning(0.5, begin=0.34, end=0.8, every=4)


def _train(
    graph: Graph, config: TrainConfig = CONFIG, plan: Pruning | None = PLAN, **more: Any
) -> TrainResult:
    data = stripes()
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    return fit.train(graph, data, front_end, config, 0, pruning=plan, **more)


def _hidden() -> Graph:
    """Prunable: a convolution of 8 behind a flatten, and 6 hidden units."""
    b = GraphBuilder()
    x = b.conv(b.conv(b.input(16, 16, 1), 8, 3, stride=2, relu=True), 8, 3, bn=True, relu=True)
    return b.build(b.dense(b.dense(b.flatten(x), 6, relu=True), 3))


@pytest.mark.seconds
def test_training_ends_with_a_smaller_network_that_works() -> None:
    result = _train(_hidden(), dataclasses.replace(CONFIG, epochs=16))
    channels = {g.name: g.channels for g in pruning.groups(result.graph)}
    assert channels["conv_1"] == 8 and channels["conv_2"] + channels["dense_4"] == 7
    model = keras_net.build(result.graph)
    model.set_weights(list(result.weights))
    data = stripes()
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    assert evaluate(model, data, front_end, "val") == result.val_error < 0.1
    assert len(result.history) == 16 and set(result.history[0]) == {"loss", "error"}


@pytest.mark.seconds
def test_the_same_arguments_prune_the_same_channels() -> None:
    first, second = _train(_hidden()), _train(_hidden())
    assert first.graph == second.graph and first.history == second.history
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.seconds
def test_until_pruning_begins_nothing_is_different() -> None:
    pruned, plain = _train(_hidden()), _train(_hidden(), plan=None)
    assert pruned.history[:2] == plain.history[:2]
    assert pruned.history[3:] != plain.history[3:]
    assert plain.graph == _hidden() and not plain.stopped


@pytest.mark.seconds
def test_nothing_to_prune_is_a_plain_training() -> None:
    b = GraphBuilder()
    graph = b.build(b.dense(b.global_avg(b.conv(b.input(16, 16, 1), 4, 3, bn=True)), 3))
    pruned, plain = _train(graph), _train(graph, plan=None)
    assert pruned.graph == graph
    for a, b in zip(pruned.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.seconds
def test_a_network_that_diverges_while_it_is_pruned_counts_as_always_wrong() -> None:
    config = TrainConfig(epochs=3, batch_size=16, learning_rate=1e30)
    result = _train(_hidden(), config, Pruning(0.5, begin=0.0, end=0.5, every=1))
    assert result.val_error == 1.0


@pytest.mark.seconds
def test_a_training_is_stopped_by_the_sum_of_its_losses() -> None:
    asked: list[tuple[int, float]] = []

    def stop(epoch: int, area: float) -> bool:
        asked.append((epoch, area))
        return epoch == 2

    result = _train(tiny(), plan=None, stop=stop)
    losses = [values["loss"] for values in result.history]
    assert result.stopped and len(losses) == 3
    assert asked == [(k, sum(losses[: k + 1])) for k in range(3)]
    whole = _train(tiny(), dataclasses.replace(CONFIG, epochs=3), plan=None, stop=stop)
    assert not whole.stopped and len(whole.history) == 3


@pytest.mark.seconds
def test_keras_own_batch_norm_trains_the_same_network() -> None:
    config = dataclasses.replace(CONFIG, epochs=2, shift=0)
    fused = _train(tiny(), config, plan=None)
    plain = _train(tiny(), dataclasses.replace(config, fused_bn=False), plan=None)
    kinds = [type(layer) for layer in keras_net.build(tiny(), fused_bn=False).layers]
    assert kinds.count(keras.layers.BatchNormalization) == 2 and batch_norm.FusedBatchNorm not in kinds
    for a, b in zip(fused.history, plain.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=0.02)
    for a, b in zip(fused.weights, plain.weights, strict=True):
        assert a.shape == b.shape
