"""Op graph -> Keras 3 model, and back to plain arrays with batch normalisation folded in.

Every weighted op becomes one Keras layer of the same name (its batch normalisation is
``<name>_bn``), so weights can be found by the op's name. The output is logits, no softmax.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loggrad_tf.errors import LogGradError
from models.graph import WEIGHTED, Graph, Op

BN_EPSILON = 1e-3
BN_MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="loggrad")
class FusedBatchNorm(keras.layers.Layer):
    """Batch normalisation over (batch, H, W) through TensorFlow's fused kernel.

    Keras 3's own layer is composed of separate operations, which costs a candidate of the
    search about a third of its training time on a CPU. Same four variables, same result, but
    for the moving variance, which estimates the population's (N - 1 in the divisor, not N).
    The moving averages keep ``BN_MOMENTUM`` of the old value at each step: the short trainings
    of a search see too few steps for Keras' 0.99.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.moving_mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="moving_variance"
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if not training:
            mean, variance = (
                tf.convert_to_tensor(self.moving_mean),
                tf.convert_to_tensor(self.moving_variance),
            )
            return tf.compat.v1.nn.fused_batch_norm(
                inputs, gamma, beta, mean, variance, BN_EPSILON, is_training=False
            )[0]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, gamma, beta, epsilon=BN_EPSILON, is_training=True
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * BN_MOMENTUM + batch * (1 - BN_MOMENTUM))
        return outputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


def build(graph: Graph) -> keras.Model:
    """A fresh Keras model: float32 (batch, H, W, C) -> logits (batch, units)."""
    inputs = keras.Input(graph.input_shape, name="pixels")
    values: list[Any] = [inputs]
    for op in graph.ops[1:]:
        values.append(_apply(graph, op, [values[i] for i in op.inputs]))
    return keras.Model(inputs, values[-1])


def _apply(graph: Graph, op: Op, sources: list[Any]) -> Any:
    x = sources[0]
    layers = keras.layers
    window: dict[str, Any] = {"strides": op.stride, "padding": op.padding, "name": op.name}
    if op.kind == "conv":
        x = layers.Conv2D(op.shape[-1], op.kernel, **window)(x)
    elif op.kind == "depthwise":
        x = layers.DepthwiseConv2D(op.kernel, **window)(x)
    elif op.kind == "dense":
        x = layers.Dense(op.shape[0], name=op.name)(x)
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
    if op.bn:
        x = FusedBatchNorm(name=f"{op.name}_bn")(x)
    return layers.ReLU()(x) if op.relu else x


def _pad(x: Any, have: tuple[int, ...], want: tuple[int, ...]) -> Any:
    rows, columns = want[0] - have[0], want[1] - have[1]
    return keras.layers.ZeroPadding2D(((0, rows), (0, columns)))(x) if rows or columns else x


@dataclasses.dataclass(frozen=True)
class FoldedWeights:
    """Kernel and bias of each weighted op, float32, Keras layout, batch norm folded in."""

    kernels: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]


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
        kernel, bias = (np.asarray(w, np.float64) for w in model.get_layer(op.name).get_weights())
        if op.bn:
            gamma, beta, mean, variance = (
                np.asarray(w, np.float64) for w in model.get_layer(f"{op.name}_bn").get_weights()
            )
            gain = gamma / np.sqrt(variance + BN_EPSILON)
            # A depthwise kernel keeps its channels on the axis before last.
            kernel = kernel * (gain[:, None] if op.kind == "depthwise" else gain)
            bias = (bias - mean) * gain + beta
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise LogGradError(f"op '{op.name}' has weights that are not finite: the training diverged")
        kernels[op.name], biases[op.name] = kernel.astype(np.float32), bias.astype(np.float32)
    return FoldedWeights(kernels, biases)
