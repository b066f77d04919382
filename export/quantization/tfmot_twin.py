"""The Keras 2 twin of a rounded network, which tensorflow-model-optimization (tfmot) rounds and trains.

Only for a process of its own: importing this module turns ``tf.keras`` into Keras 2 for the whole process.

tfmot's default scheme gives the input a trained range, and depthwise kernels one scale in all. Here every
layer that int8 rounds is annotated with quantisers of its own, by a scheme that changes nothing else: the
input has the fixed range of its format (for log gradients scale 1 and zero point 0: the tensor is the level),
kernels have one scale a channel, dense ones one in all, which is what the converter takes
(:mod:`export.quantization.quantize`).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.quantization import keras as rounding
from tensorflow_model_optimization.quantization.keras import quantizers

from export.quantization import quantize
from export.quantization.qat import INT8_BITS, Quantized
from export.quantization.quantize import ROUNDING, Ranges
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import WEIGHTED, Graph, Op
from models.keras_net import FoldedWeights
from models.recipe import TrainConfig, steps_per_epoch
from models.training.batches import training_batches
from models.training.loop import Progress, diverged

_PREFIX = "quant_"


class _Output(rounding.QuantizeConfig):  # type: ignore[misc]
    """Rounds a layer's output to eight bits, in the range of a moving average."""

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        pass

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return [quantizers.MovingAverageQuantizer(INT8_BITS, False, symmetric=False, narrow_range=False)]

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


class _Input(_Output):
    """Rounds the input, in the fixed range of its format."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return [quantizers.FixedQuantizer(INT8_BITS, self.low, self.high, narrow_range=False)]


class _Kernel(_Output):
    """Rounds a kernel to some bits too, in the range of its largest value."""

    def __init__(self, kind: str, bits: int) -> None:
        self.kind, self.bits = kind, bits

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        made = _OfDepthwise if self.kind == "depthwise" else quantizers.LastValueQuantizer
        by_channel = self.kind != "dense"
        return [
            (getattr(layer, _name(self.kind)), made(self.bits, by_channel, symmetric=True, narrow_range=True))
        ]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        setattr(layer, _name(self.kind), quantize_weights[0])


class _OfDepthwise(quantizers.LastValueQuantizer):  # type: ignore[misc]
    """Of a kernel (rows, columns, channels, 1): tfmot takes the last axis for the channels."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> Any:
        return super().build(tensor_shape[:-1], name, layer)

    def __call__(self, inputs: tf.Tensor, training: bool, weights: Any, **kwargs: Any) -> tf.Tensor:
        turned = tf.transpose(inputs, (0, 1, 3, 2))
        return tf.transpose(super().__call__(turned, training, weights, **kwargs), (0, 1, 3, 2))


class _AsItIs(rounding.QuantizeLayoutTransform):  # type: ignore[misc]
    def apply(self, model: Any, layer_quantize_map: Any) -> tuple[Any, Any]:
        return model, layer_quantize_map


class _AnnotatedOnly(rounding.QuantizeRegistry):  # type: ignore[misc]
    def supports(self, layer: Any) -> bool:
        return False

    def get_quantize_config(self, layer: Any) -> None:
        return None


class _Scheme(rounding.QuantizeScheme):  # type: ignore[misc]
    """No layers are fused, none are rounded but the annotated ones."""

    def get_layout_transformer(self) -> _AsItIs:
        return _AsItIs()

    def get_quantize_registry(self) -> _AnnotatedOnly:
        return _AnnotatedOnly()


def build(start: Quantized, front_end: FrontEnd) -> Any:
    """The twin: a tf_keras model, float32 (batch, H, W, C) -> logits, that computes what ``start`` does.

    Weights beyond their range are clipped to it, so that the largest one gives the range that there is.
    """
    graph = start.graph
    image = tf_keras.Input(graph.input_shape, name="pixels")
    level = tf_keras.layers.Activation("linear", name="level")
    values = [rounding.quantize_annotate_layer(level, _Input(*quantize.input_range(front_end)))(image)]
    for op in graph.ops[1:]:
        values.append(_apply(start, op, [values[i] for i in op.inputs]))
    with tf_keras.utils.custom_object_scope({made.__name__: made for made in (_Output, _Input, _Kernel)}):
        twin = rounding.quantize_apply(
            tf_keras.Model(image, values[-1]), _Scheme(), quantized_layer_name_prefix=_PREFIX
        )
    assert start.ranges is not None
    for op in graph.ops:
        if op.name in start.ranges.outputs:
            variables = _variables(twin, op)
            for name, limit in zip(("output_min", "output_max"), start.ranges.outputs[op.name], strict=True):
                variables[name].assign(limit)
            if op.kind in WEIGHTED:
                _begin(variables, op, start)
    return twin


def _begin(variables: dict[str, tf.Variable], op: Op, start: Quantized) -> None:
    reach, name = start.reaches[op.name], _name(op.kind)
    limit = reach[:, None] if op.kind == "depthwise" else reach
    variables[name].assign(np.clip(start.weights.kernels[op.name], -limit, limit))
    variables["bias"].assign(start.weights.biases[op.name])
    variables[f"{name}_min"].assign(-reach)
    variables[f"{name}_max"].assign(reach)


def _apply(start: Quantized, op: Op, sources: list[Any]) -> Any:
    layers, graph = tf_keras.layers, start.graph
    window: dict[str, Any] = {"strides": op.stride, "padding": op.padding, "name": op.name}
    if op.kind in WEIGHTED:
        activation = "relu" if op.relu else "linear"
        if op.kind == "conv":
            layer = layers.Conv2D(op.shape[-1], op.kernel, activation=activation, **window)
        elif op.kind == "depthwise":
            layer = layers.DepthwiseConv2D(op.kernel, activation=activation, **window)
        else:
            layer = layers.Dense(op.shape[0], activation=activation, name=op.name)
        return rounding.quantize_annotate_layer(layer, _Kernel(op.kind, start.bits[op.name]))(sources[0])
    x: Any = sources[0]
    if op.kind == "add":
        x = [_padded(x, graph.ops[i].shape, op.shape) for x, i in zip(sources, op.inputs, strict=True)]
    made: dict[str, Callable[[], Any]] = {
        "max_pool": lambda: layers.MaxPooling2D(op.kernel, **window),
        "avg_pool": lambda: layers.AveragePooling2D(op.kernel, **window),
        "global_avg": lambda: layers.GlobalAveragePooling2D(name=op.name),
        "flatten": lambda: layers.Flatten(name=op.name),
        "add": lambda: layers.Add(name=op.name),
    }
    stack = [made[op.kind]()]
    if op.relu:
        stack.append(layers.ReLU(name=_last(op)))
    if op.kind in ROUNDING:
        stack[-1] = rounding.quantize_annotate_layer(stack[-1], _Output())
    return functools.reduce(lambda value, layer: layer(value), stack, x)


def _padded(x: Any, have: tuple[int, ...], want: tuple[int, ...]) -> Any:
    rows, columns = want[0] - have[0], want[1] - have[1]
    return tf_keras.layers.ZeroPadding2D(((0, rows), (0, columns)))(x) if rows or columns else x


def _name(kind: str) -> str:
    return "depthwise_kernel" if kind == "depthwise" else "kernel"


def _last(op: Op) -> str:
    """The name of the layer that gives an op's output."""
    return f"{op.name}_relu" if op.relu and op.kind not in WEIGHTED else op.name


def _variables(twin: Any, op: Op) -> dict[str, tf.Variable]:
    """Of the op's rounded layer, by name: kernel, bias, and the limits of what it rounds."""
    layer = twin.get_layer(f"{_PREFIX}{_last(op)}")
    return {variable.name.rpartition("/")[2].partition(":")[0]: variable for variable in layer.weights}


def read(twin: Any, start: Quantized) -> Quantized:
    """``start`` with the weights and ranges that its twin has now."""
    kernels, biases, reaches = {}, {}, {}
    ranges: dict[str, tuple[float, float]] = {}
    for op in start.graph.ops:
        if op.kind not in ROUNDING:
            continue
        found = {name: variable.numpy() for name, variable in _variables(twin, op).items()}
        low = float(found["output_min"])
        ranges[op.name] = (low, max(float(found["output_max"]), low + 1e-3))
        if op.kind in WEIGHTED:
            name = _name(op.kind)
            kernels[op.name], biases[op.name] = found[name], found["bias"]
            reaches[op.name] = np.maximum(found[f"{name}_max"], np.float32(1e-6))
    weights = FoldedWeights(kernels, biases)
    return dataclasses.replace(start, weights=weights, reaches=reaches, ranges=Ranges(ranges))


def train(
    start: Quantized,
    pixels: np.ndarray,
    labels: np.ndarray,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    on_epoch: Progress | None = None,
) -> Quantized:
    """Fine-tune by Keras 2's steps, batch after batch; see :func:`export.quantization.tfmot.train`.

    ``fit`` would leave out the first epoch's batches: it begins a data set once more than it uses it.

    Args:
      pixels: P of the front end's sensor, (N, H, W).
      labels: integers (N,).
    """
    # See models.training.descent.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    keras.utils.set_random_seed(seed)
    graph, steps = start.graph, steps_per_epoch(len(pixels), config) * config.epochs
    batches = training_batches(pixels, labels, graph.output_units, front_end, config, seed)
    twin = build(start, front_end)
    loss, right = _loss(graph, config.label_smoothing)
    twin.compile(tf_keras.optimizers.Adam(config.learning_rate, jit_compile=False), loss, metrics=[right])
    done = 0
    for epoch in range(config.epochs):
        twin.reset_metrics()
        for inputs, targets in batches:
            twin.optimizer.learning_rate.assign(config.rate(done, steps))
            means = twin.train_on_batch(inputs, targets, reset_metrics=False, return_dict=True)
            done += 1
        found = {"loss": float(means["loss"]), "error": 1 - float(means["right"])}
        if diverged(found):
            raise LogGradError(f"quantised training diverged in epoch {epoch + 1}: lower its learning rate")
        if on_epoch is not None:
            on_epoch(epoch, found)
    return read(twin, start)


def _loss(graph: Graph, smoothing: float) -> tuple[Any, Any]:
    """Cross-entropy of logits, and the share that is right."""
    losses, metrics = tf_keras.losses, tf_keras.metrics
    if graph.output_units == 1:
        right = metrics.BinaryAccuracy("right", threshold=0.0)
        return losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing), right
    right = metrics.CategoricalAccuracy("right")
    return losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing), right
