"""The smaller network equals the masked one, and training with masks ends with it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import keras_net, masking, pruning
from models.graph import Graph, GraphBuilder
from models.pruning import Pruning

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
    if draw.random() < 0.3:
        x = b.global_avg(x)
    else:
        x = b.flatten(x if draw.random() < 0.5 else b.max_pool(x, 2))
    for _ in range(int(draw.integers(0, 3))):
        x = b.dense(x, int(draw.integers(3, 12)), relu=True)
    return b.build(b.dense(x, int(draw.choice([1, 3]))))


def _masked_and_trained(graph: Graph, seed: int) -> tuple[keras.Model, masking.MaskUpdates, np.ndarray]:
    """A model after a few steps with masks at 50 %, its masks, and images."""
    tf.config.optimizer.set_experimental_options({"remapping": False})  # see training.train
    keras.utils.set_random_seed(seed)
    plan = Pruning(0.5, begin=0.0, end=0.5, every=1, exempt_first=False)
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(32, *graph.input_shape)).astype(np.float32)
    model = keras_net.build(graph, masked=pruning.exits(graph, exempt_first=False))
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss="mse")
    updates = masking.MaskUpdates(graph, plan, 8)
    targets = rng.normal(size=(32, graph.output_units))
    model.fit(images, targets, batch_size=8, epochs=2, verbose=0, callbacks=[updates])
    return model, updates, images


@pytest.mark.parametrize("seed", range(12))
def test_the_smaller_network_equals_the_masked_one(seed: int) -> None:
    graph = random_network(seed)
    model, updates, images = _masked_and_trained(graph, seed)
    small, shrunk = updates.shrunk()
    channels = {g.name: g.channels for g in pruning.groups(small)}
    assert all(channels[name] <= live.sum() for name, live in updates.live.items())
    assert any(not live.all() for live in updates.live.values()) or not updates.live
    expected = np.asarray(model(images, training=False))
    np.testing.assert_allclose(
        shrunk(images, training=False), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )
