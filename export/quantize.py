"""Float network -> int8 flatbuffer, by calibrated fake quantisation.

The graph is written once more as plain TensorFlow operations with batch norm folded and a
fake-quant node wherever the int8 network rounds: on the input, on every kernel and behind
every convolution, dense layer, addition and global average. Their ranges come from running
training images through the float network; the converter then takes each range as a tensor's
scale and zero point. Nothing is trained here. The input's range is fixed by the input format
(for log gradients scale 1 and zero point 0: the int8 value is the level).
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from export.pairs import pairwise
from loggrad_tf import quiet
from loggrad_tf.frontend import FrontEnd
from models.graph import Graph, Op
from models.keras_net import FoldedWeights

# Behind these the int8 network rounds to a new scale; the others keep their input's.
ROUNDING = ("conv", "depthwise", "dense", "add", "global_avg")


@dataclasses.dataclass(frozen=True)
class Ranges:
    """Real-valued (minimum, maximum) of each rounding op's output, by op name."""

    outputs: dict[str, tuple[float, float]]


def calibrate(graph: Graph, weights: FoldedWeights, front_end: FrontEnd, inputs: np.ndarray) -> Ranges:
    """Smallest and largest value of every rounding op over some training images.

    Args:
      inputs: what the float network sees, float32 (N, H, W, C); a few hundred suffice.
    """
    graph = pairwise(graph)
    forward = _Forward(graph, weights, front_end, None)
    limits = {op.name: (0.0, 0.0) for op in graph.ops if op.kind in ROUNDING}
    for start in range(0, len(inputs), 128):
        for op, value in zip(graph.ops, forward(tf.constant(inputs[start : start + 128])), strict=True):
            if op.name in limits:
                low, high = limits[op.name]
                limits[op.name] = (
                    min(low, float(tf.reduce_min(value))),
                    max(high, float(tf.reduce_max(value))),
                )
    # A constant output still needs a scale.
    return Ranges({name: (low, max(high, low + 1e-3)) for name, (low, high) in limits.items()})


def forward(graph: Graph, weights: FoldedWeights, front_end: FrontEnd, inputs: np.ndarray) -> np.ndarray:
    """Logits of the folded float network, float32 (N, units), for float32 (N, H, W, C)."""
    return _Forward(graph, weights, front_end, None)(tf.constant(inputs))[-1].numpy()


def convert(graph: Graph, weights: FoldedWeights, front_end: FrontEnd, ranges: Ranges) -> bytes:
    """The int8 flatbuffer: int8 (1, H, W, C) in, int8 logits (1, units) out."""
    forward = _Forward(pairwise(graph), weights, front_end, ranges)
    signature = tf.TensorSpec((1, *graph.input_shape), tf.float32, name="pixels")

    @tf.function(input_signature=[signature])
    def network(pixels: tf.Tensor) -> tf.Tensor:
        return forward(pixels)[-1]

    # The second argument keeps the function's owner alive; a function of constants needs any object.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with quiet.stderr():
        return bytes(converter.convert())


class _Forward:
    """The graph as TensorFlow operations, with or without fake quantisation."""

    def __init__(
        self, graph: Graph, weights: FoldedWeights, front_end: FrontEnd, ranges: Ranges | None
    ) -> None:
        self._graph, self._weights, self._front_end, self._ranges = graph, weights, front_end, ranges

    def __call__(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Every op's output, in graph order."""
        scale, zero_point = self._front_end.input_scale, self._front_end.input_zero_point
        values = [self._fake_quant(x, (scale * (-128 - zero_point), scale * (127 - zero_point)))]
        for op in self._graph.ops[1:]:
            with tf.name_scope(op.name):
                y = self._apply(op, [values[i] for i in op.inputs])
                if self._ranges is not None and op.kind in ROUNDING:
                    y = self._fake_quant(y, self._ranges.outputs[op.name])
            values.append(y)
        return values

    def _fake_quant(self, x: tf.Tensor, limits: tuple[float, float]) -> tf.Tensor:
        if self._ranges is None:
            return x
        return tf.quantization.fake_quant_with_min_max_args(x, *limits)

    def _kernel(self, op: Op) -> tf.Tensor:
        kernel = self._weights.kernels[op.name]
        if self._ranges is None:
            return tf.constant(kernel)
        return quantized_kernel(op, kernel)

    def _apply(self, op: Op, sources: list[tf.Tensor]) -> tf.Tensor:
        x = sources[0]
        if op.kind in ("conv", "depthwise", "dense"):
            kernel, bias = self._kernel(op), tf.constant(self._weights.biases[op.name])
            if op.kind == "conv":
                x = tf.nn.conv2d(x, kernel, op.stride, op.padding.upper())
            elif op.kind == "depthwise":
                x = tf.nn.depthwise_conv2d(x, kernel, [1, *op.stride, 1], op.padding.upper())
            else:
                x = tf.matmul(x, kernel)
            x = tf.nn.bias_add(x, bias)
        elif op.kind == "max_pool":
            x = tf.nn.max_pool2d(x, op.kernel, op.stride, "VALID")
        elif op.kind == "avg_pool":
            x = tf.nn.avg_pool2d(x, op.kernel, op.stride, "VALID")
        elif op.kind == "global_avg":
            x = tf.reduce_mean(x, axis=[1, 2])
        elif op.kind == "flatten":
            x = tf.reshape(x, [-1, op.shape[0]])
        else:
            x = self._sum(op, sources)
        return tf.nn.relu(x) if op.relu else x

    def _sum(self, op: Op, sources: list[tf.Tensor]) -> tf.Tensor:
        padded = []
        for i, source in zip(op.inputs, sources, strict=True):
            have = self._graph.ops[i].shape
            rows, columns = op.shape[0] - have[0], op.shape[1] - have[1]
            if rows or columns:
                source = tf.pad(source, [[0, 0], [0, rows], [0, columns], [0, 0]])
            padded.append(source)
        return functools.reduce(tf.add, padded)


def quantized_kernel(op: Op, kernel: np.ndarray) -> tf.Tensor:
    """Fake-quantised kernel: symmetric, -127..127; one scale per output channel, dense one in all."""
    if op.kind == "dense":
        reach = _reach(np.abs(kernel).max())
        return tf.quantization.fake_quant_with_min_max_vars(kernel, -reach, reach, narrow_range=True)
    channels = kernel.shape[2] if op.kind == "depthwise" else kernel.shape[3]
    flat = kernel.reshape(-1, channels)
    reach = _reach(np.abs(flat).max(axis=0))
    quantized = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel.reshape(*kernel.shape[:2], -1, channels), -reach, reach, narrow_range=True
    )
    return tf.reshape(quantized, kernel.shape) if op.kind == "depthwise" else quantized


def _reach(largest: np.ndarray) -> np.ndarray:
    """The positive end of a symmetric range; an all-zero kernel still needs one."""
    return np.maximum(largest, 1e-6).astype(np.float32)
