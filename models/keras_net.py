"""Op graph -> Keras 3 model, and back to plain arrays with batch normalisation folded in.

Every weighted op becomes one Keras layer of the same name (its batch normalisation is
``<name>_bn``), so weights can be found by the op's name. The output is logits, no softmax.
"""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loggrad_tf.errors import LogGradError
from models import variables
from models.batch_norm import FusedBatchNorm
from models.graph import WEIGHTED, Graph, Op, weight_shapes
from models.recipe import GLOROT
from models.variables import BN_EPSILON, BN_MOMENTUM, norm_of


class ChannelMask(keras.layers.Layer):
    """``y = m * x``, one m per channel, 0 or 1; its gradient is passed on unmasked.

    A masked channel is exactly 0 to whatever reads it, and the weights that make it still
    learn what it would be good for (the straight-through gradient at the masked network).
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.mask = self.add_weight(
            shape=(input_shape[-1],), initializer="ones", trainable=False, name="mask"
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return _masked(inputs, tf.convert_to_tensor(self.mask))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@tf.custom_gradient
def _masked(x: tf.Tensor, mask: tf.Tensor) -> Any:
    return x * mask, lambda upstream: (upstream, None)


def build(
    graph: Graph, fused_bn: bool = True, masked: Collection[str] = (), initializer: str = GLOROT
) -> keras.Model:
    """A fresh Keras model: float32 (batch, H, W, C) -> logits (batch, units).

    Args:
      fused_bn: :class:`FusedBatchNorm`, else Keras' own layer with the same momentum.
      masked: names of ops that convolutions, dense layers and flattens see through a
        :class:`ChannelMask` named ``<name>_mask``.
      initializer: of :data:`models.recipe.INITIALIZERS`.
    """
    inputs = keras.Input(graph.input_shape, name="pixels")
    values: list[Any] = [inputs]
    seen: list[Any] = [inputs]
    for op in graph.ops[1:]:
        sources = seen if op.kind in ("conv", "dense", "flatten") else values
        values.append(_apply(graph, op, [sources[i] for i in op.inputs], fused_bn, initializer))
        mask = ChannelMask(name=f"{op.name}_mask") if op.name in masked else None
        seen.append(mask(values[-1]) if mask else values[-1])
    return keras.Model(inputs, values[-1])


def _initializers(graph: Graph, op: Op, name: str) -> dict[str, Any]:
    if name == GLOROT:
        return {}
    kernel = "depthwise_initializer" if op.kind == "depthwise" else "kernel_initializer"
    shape, biases = weight_shapes(graph, op)
    limit = math.sqrt(biases[0] / math.prod(shape))
    # One instance is one seed: kernel and bias get one each.
    return {each: keras.initializers.RandomUniform(-limit, limit) for each in (kernel, "bias_initializer")}


def _apply(graph: Graph, op: Op, sources: list[Any], fused_bn: bool, initializer: str) -> Any:
    x = sources[0]
    layers = keras.layers
    window: dict[str, Any] = {"strides": op.stride, "padding": op.padding, "name": op.name}
    drawn = _initializers(graph, op, initializer) if op.kind in WEIGHTED else {}
    if op.kind == "conv":
        x = layers.Conv2D(op.shape[-1], op.kernel, **window, **drawn)(x)
    elif op.kind == "depthwise":
        x = layers.DepthwiseConv2D(op.kernel, **window, **drawn)(x)
    elif op.kind == "dense":
        x = layers.Dense(op.shape[0], name=op.name, **drawn)(x)
    elif op.kind == "max_pool":
        x = layers.MaxPooling2D(op.kernel, **window)(x)
    elif op.kind == "avg_pool":
        x = layers.AveragePooling2D(op.kernel, **window)(x)
    elif op.kind == "global_avg":
        x = layers.GlobalAveragePooling2D(name=op.name)(x)
    elif op.kind == "flatten":
        x = layers.Flatten(name=op.name)(x)
    else:
        padded = [_pad(s, graph.ops[i].shape, op.shape) for s, i in zip(sources, op.inputs, strict=True)]
        x = layers.Add(name=op.name)(padded)
    if op.bn and fused_bn:
        x = FusedBatchNorm(name=norm_of(op))(x)
    elif op.bn:
        x = layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=norm_of(op))(x)
    return layers.ReLU()(x) if op.relu else x


def _pad(x: Any, have: tuple[int, ...], want: tuple[int, ...]) -> Any:
    rows, columns = want[0] - have[0], want[1] - have[1]
    return keras.layers.ZeroPadding2D(((0, rows), (0, columns)))(x) if rows or columns else x


@dataclasses.dataclass(frozen=True)
class FoldedWeights:
    """Kernel and bias of each weighted op, float32, Keras layout, batch norm folded in."""

    kernels: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]


def with_weights(graph: Graph, weights: FoldedWeights) -> keras.Model:
    """The Keras model of a graph without batch normalisations, with these weights."""
    model = build(graph)
    for name, kernel in weights.kernels.items():
        model.get_layer(name).set_weights([kernel, weights.biases[name]])
    return model


def fold(graph: Graph, model: keras.Model) -> FoldedWeights:
    """Weights by op name, so that ``op(x) = kernel * x + bias`` includes its batch norm.

    ``w' = w gamma / sqrt(var + eps)``, ``b' = (b - mean) gamma / sqrt(var + eps) + beta``.
    """
    kernels, biases = {}, {}
    for op in graph.ops:
        if op.bn and op.kind not in WEIGHTED:
            raise LogGradError(f"op '{op.name}': a batch norm after {op.kind} has no weights to fold into")
        if op.kind not in WEIGHTED:
            continue
        kernel, bias = folded(op, model)
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise LogGradError(f"op '{op.name}' has weights that are not finite: the training diverged")
        kernels[op.name], biases[op.name] = kernel.astype(np.float32), bias.astype(np.float32)
    return FoldedWeights(kernels, biases)


def folded(op: Op, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (Keras layout) and bias of one weighted op, float64, its batch norm folded in."""
    norm = model.get_layer(norm_of(op)).get_weights() if op.bn else None
    return variables.folded(op, model.get_layer(op.name).get_weights(), norm)
