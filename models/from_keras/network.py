"""A trained Keras model -> a network of this project: op graph, folded weights, front end.

    network = read(model)          # Functional or Sequential, of the layers in models.from_keras.layers

The float outputs are the model's, but for rounding in float32; a last softmax or sigmoid is left out, since
it changes no class. A batch normalisation is ``g x + s`` with ``g = gamma / sqrt(variance + epsilon)`` and
``s = beta - mean g``.

A front layer (:class:`loggrad_tf.transform.layers.GradientQuantizer`, ``LogGradient`` or
:class:`loggrad_tf.transform.trainable.TrainableQuantizer`) knows ratios, shift, offset and border, and
nothing of the sensor: P is a whole number to it, whatever its span. The network is for the sensor of the
pixels that the layer was trained with.
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from loggrad_tf.data.sides import Size
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import LEVELS, FrontEnd
from loggrad_tf.transform.layers import GradientQuantizer
from loggrad_tf.transform.sensor import Sensor
from loggrad_tf.transform.trainable import TrainableQuantizer
from models.batch_norm import BN_EPSILON, FusedBatchNorm
from models.from_keras import steps
from models.from_keras.assembly import Recipe, assemble
from models.from_keras.layers import Source
from models.graph import WEIGHTED, Graph, Op, weight_shapes
from models.keras_net import FoldedWeights


@dataclasses.dataclass(frozen=True)
class Network:
    """Attributes:
    graph: without batch normalisations, those being folded.
    weights: by op name.
    front: the layer in front, which makes the graph's input of P; None if the graph's input is the model's.
    size: of the pictures that the model takes.
    """

    graph: Graph
    weights: FoldedWeights
    front: Any
    size: Size

    def front_end(self, sensor: Sensor) -> FrontEnd | None:
        """The front end that the layer in front is, for pixels of ``sensor``; None without one."""
        layer = self.front
        if layer is None:
            return None
        if isinstance(layer, TrainableQuantizer):
            return layer.front_end(sensor)
        if not isinstance(layer, GradientQuantizer):
            return FrontEnd("loggrad_fp", sensor, offset=layer.offset, border=layer.border)
        names = {levels: name for name, levels in LEVELS.items()}
        if len(layer.ratios) not in names:
            raise LogGradError(f"layer '{layer.name}': {len(layer.ratios)} ratios; give one to three")
        name = names[len(layer.ratios)]
        return FrontEnd(name, sensor, layer.ratios, layer.shift, layer.offset, layer.border)


def read(model: keras.Model) -> Network:
    """Read a built model of known layers.

    Raises:
      LogGradError: what the graph cannot express, with the layer's name and what to use in its place; or
        weights that are not finite.
    """
    try:
        config = keras.saving.serialize_keras_object(model)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise LogGradError(f"a model that Keras cannot describe ({str(error).splitlines()[0]})") from None
    assembly = assemble(steps.of(config))
    kernels, biases = {}, {}
    for op in assembly.graph.ops:
        if op.kind in WEIGHTED:
            both = _weights(assembly.graph, op, assembly.recipes[op.name], model)
            with np.errstate(over="ignore"):
                kernel, bias = (values.astype(np.float32) for values in both)
            if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
                raise LogGradError(f"op '{op.name}' has weights that are not finite: the training diverged")
            kernels[op.name], biases[op.name] = kernel, bias
    front = _layer(model, assembly.front) if assembly.front else None
    return Network(assembly.graph, FoldedWeights(kernels, biases), front, assembly.size)


def _layer(model: keras.Model, source: Source) -> Any:
    for name in source.path:
        model = model.get_layer(name)
    return model


def _weights(graph: Graph, op: Op, recipe: Recipe, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel in Keras layout and bias, float64, with the batch normalisations of its recipe."""
    shape, (channels,) = weight_shapes(graph, op)
    kernel, bias = np.ones(shape), np.zeros(channels)
    if recipe.source is not None:
        layer = _layer(model, recipe.source)
        kernel = np.asarray(getattr(layer, recipe.part), np.float64)
        if recipe.bias:
            bias = np.asarray(layer.bias, np.float64)
        if kernel.size != math.prod(shape):
            recipe.source.refuse(f"has a kernel of {kernel.shape}, {shape} is needed", "build the model anew")
        kernel = kernel.reshape(shape)
    gain, shift = _normalisation(recipe.before, model)
    if recipe.before:
        # What a flatten gives has every channel once a pixel.
        inputs = shape[0] if op.kind == "dense" else shape[2]
        gain, shift = (np.tile(values, inputs // len(values)) for values in (gain, shift))
        over = (0, 1) if op.kind == "depthwise" else tuple(range(kernel.ndim - 1))
        moved = (kernel * shift[:, None]).sum(axis=over)
        bias = bias + (moved[:, 0] if op.kind == "depthwise" else moved)
        kernel = kernel * gain[:, None]
    if recipe.after:
        gain, shift = _normalisation(recipe.after, model)
        kernel = kernel * (gain[:, None] if op.kind == "depthwise" else gain)
        bias = bias * gain + shift
    return kernel, bias


def _normalisation(layers: tuple[Source, ...], model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Gain and shift of batch normalisations, the first first; (1,) and (0,) of none."""
    gain, shift = np.ones(1), np.zeros(1)
    for source in layers:
        layer = _layer(model, source)
        epsilon = BN_EPSILON if isinstance(layer, FusedBatchNorm) else layer.epsilon
        mean, variance = (np.asarray(w, np.float64) for w in (layer.moving_mean, layer.moving_variance))
        with np.errstate(invalid="ignore", divide="ignore"):  # what is not finite is refused later
            one = 1 / np.sqrt(variance + epsilon)
        if layer.gamma is not None:
            one = one * np.asarray(layer.gamma, np.float64)
        beta = np.asarray(layer.beta, np.float64) if layer.beta is not None else 0.0
        gain, shift = gain * one, (shift - mean) * one + beta
    return gain, shift
