"""The native training step and TensorFlow's, on the same weights and images."""

import shutil
from collections.abc import Iterable

import keras
import numpy as np
import pytest
import tensorflow as tf

from loggrad_tf.detect.grid import IGNORED
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor
from models import keras_net
from models.graph import Graph
from models.recipe import TrainConfig
from models.training.batches import one_hot
from models.training.descent import cell_loss
from models.training.native import build, library
from models.training.native.initial import initial
from models.training.native.inputs import Inputs
from models.training.native.network import Descent, Network
from models.variables import Layers, by_layer, norm_of

needs_compiler = pytest.mark.skipif(shutil.which(build.COMPILER) is None, reason="g++ is not installed")
SENSOR = Sensor(12, 0, 4095)
RAW = FrontEnd("raw16", SENSOR)


def images(count: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random P of :data:`SENSOR`, (count, H, W)."""
    return np.random.default_rng(seed).integers(0, 4096, (count, *shape[:2])).astype(np.uint16)


def untidy(graph: Graph, seed: int = 0) -> Layers:
    """Weights to begin with of which none is 0 or 1, batch norms and their averages included."""
    rng = np.random.default_rng(seed)
    layers = initial(graph, "fan_in", rng)
    for op in graph.ops:
        if op.bn:
            layers[norm_of(op)] = [
                rng.uniform(low, high, op.shape[-1]).astype(np.float32)
                for low, high in ((0.5, 1.5), (-0.5, 0.5), (-0.2, 0.2), (0.5, 2))
            ]
    return layers


class Pair:
    """One network twice: native, and a Keras model of the same weights."""

    def __init__(
        self, graph: Graph, batch: int, config: TrainConfig, masked: Iterable[str] = (), seed: int = 0
    ) -> None:
        layers = untidy(graph, seed)
        self.graph, self.batch, self.config = graph, batch, config
        self.network = Network(graph, batch, layers, config.fused_bn)
        self.model = keras_net.build(graph, config.fused_bn, list(masked))
        for name, arrays in layers.items():
            self.model.get_layer(name).set_weights(arrays)
        least, shape = (0, (batch,)) if graph.cells is None else (IGNORED, (batch, *graph.cells))
        self.labels = np.random.default_rng(seed).integers(least, max(2, graph.output_units), shape)
        self.inputs = Inputs(images(batch, graph.input_shape, seed), RAW)

    def descent(self, rate: float) -> Descent:
        return Descent(self.network, lambda step: rate, self.config)

    def step(self, descent: Descent) -> np.ndarray:
        """One step on all images, as they are."""
        order = np.arange(self.batch)
        return descent.steps(self.inputs, self.labels, order, np.zeros(self.batch, library.DRAW))

    def theirs(self) -> tuple[float, Layers]:
        """Keras' loss, and its gradients by layer; its moving averages move on.

        A bias behind a batch norm has none: what Keras finds is rounding.
        """
        units = self.graph.output_units
        cells = self.graph.cells is not None
        targets = tf.one_hot(self.labels, units).numpy() if cells else one_hot(self.labels, units)
        smoothing = self.config.label_smoothing
        with tf.GradientTape() as tape:
            logits = self.model(tf.constant(self.inputs.encoded()), training=True)
            smooth = targets * (1 - smoothing) + smoothing / max(2, logits.shape[-1])
            if logits.shape[-1] == 1:
                losses = tf.nn.sigmoid_cross_entropy_with_logits(smooth, logits)
            else:
                losses = tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
            loss = cell_loss(losses, targets) if cells else tf.reduce_mean(losses)
        names = [layer.name for layer in self.model.layers if layer.trainable_weights]
        variables = [[w.value for w in self.model.get_layer(name).trainable_weights] for name in names]
        found = tape.gradient(loss, variables)
        gradients = {name: [np.array(g) for g in of] for name, of in zip(names, found, strict=True)}
        for op in self.graph.ops:
            if op.bn and op.name in gradients:
                assert np.abs(gradients[op.name][1]).max() < 1e-4
                gradients[op.name][1][:] = 0
        return float(loss), gradients


def same(found: Layers, expected: Layers, tolerance: float = 2e-4) -> None:
    """Are all arrays equal, within a share of the greatest value in their layer?"""
    assert set(found) == set(expected)
    for name, arrays in expected.items():
        scale = max([1e-3, *(float(np.abs(array).max()) for array in arrays)])
        for place, (ours, theirs) in enumerate(zip(found[name], arrays, strict=True)):
            difference = float(np.abs(ours - theirs).max()) / scale
            assert difference < tolerance, f"{name}, array {place}: {difference:.1e} of {scale:.1e}"


def weights_of(graph: Graph, model: keras.Model) -> Layers:
    return by_layer(graph, model.get_weights())
