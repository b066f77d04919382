"""Float network -> int8 flatbuffer, by calibrated fake quantisation.

The graph is written once more as plain TensorFlow operations with batch norm folded and a
fake-quant node wherever the int8 network rounds: on the input, on every kernel and behind
every convolution, dense layer, addition and global average. Their ranges come from running
training images through the float network; the converter then takes each range as a tensor's
scale and zero point. Nothing is trained here (:mod:`export.quantization.qat` does that). The input's range
is fixed by the input format (for log gradients scale 1 and zero point 0: the int8 value is the level).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from export.quantization import converter
from export.quantization.pairwise import pairwise
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import WEIGHTED, Graph, Op
from models.keras_net import FoldedWeights

# Behind these the int8 network rounds to a new scale; the others keep their input's.
ROUNDING = ("conv", "depthwise", "dense", "add", "global_avg")


@dataclasses.dataclass(frozen=True)
class Ranges:
    """Real-valued (minimum, maximum) of each rounding op's output, by op name."""

    outputs: dict[str, tuple[float, float]]


def calibrate(graph: Graph, weights: FoldedWeights, inputs: np.ndarray) -> Ranges:
    """Smallest and largest value of every rounding op over some training images.

    Args:
      inputs: what the float network sees, float32 (N, H, W, C); a few hundred suffice.
    """
    graph = pairwise(graph)
    limits = {op.name: (0.0, 0.0) for op in graph.ops if op.kind in ROUNDING}
    for start in range(0, len(inputs), 128):
        values = outputs(graph, weights.kernels, weights.biases, tf.constant(inputs[start : start + 128]))
        for op, value in zip(graph.ops, values, strict=True):
            if op.name in limits:
                low, high = limits[op.name]
                limits[op.name] = (
                    min(low, float(tf.reduce_min(value))),
                    max(high, float(tf.reduce_max(value))),
                )
    # A constant output still needs a scale.
    return Ranges({name: (low, max(high, low + 1e-3)) for name, (low, high) in limits.items()})


def forward(graph: Graph, weights: FoldedWeights, inputs: np.ndarray) -> np.ndarray:
    """Logits of the folded float network, float32 (N, units), for float32 (N, H, W, C)."""
    return outputs(graph, weights.kernels, weights.biases, tf.constant(inputs))[-1].numpy()


def convert(
    graph: Graph,
    weights: FoldedWeights,
    front_end: FrontEnd,
    ranges: Ranges,
    reaches: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """The int8 flatbuffer: int8 (1, H, W, C) in, int8 logits (1, units) out.

    Args:
      reaches: the weight that becomes 127, for each op with weights: float32 (channels,), of a dense
        op (). Without them, the largest there is.
    Raises:
      LogGradError: this TensorFlow has no converter.
    """
    graph = pairwise(graph)

    def rounded(op: Op, value: tf.Tensor) -> tf.Tensor:
        limits = ranges.outputs[op.name] if op.inputs else input_range(front_end)
        return tf.quantization.fake_quant_with_min_max_args(value, *limits)

    signature = tf.TensorSpec((1, *graph.input_shape), tf.float32, name="pixels")

    @tf.function(input_signature=[signature])
    def network(pixels: tf.Tensor) -> tf.Tensor:
        # In here, or the converter would see rounded weights and choose their scales anew.
        kernels = {
            op.name: quantized_kernel(op, weights.kernels[op.name], reaches[op.name] if reaches else None)
            for op in graph.ops
            if op.kind in WEIGHTED
        }
        return outputs(graph, kernels, weights.biases, pixels, rounded)[-1]

    return converter.int8_flatbuffer(network.get_concrete_function())


def input_range(front_end: FrontEnd) -> tuple[float, float]:
    """The real values of the input tensor's -128 and 127."""
    scale, zero_point = front_end.input_scale, front_end.input_zero_point
    return scale * (-128 - zero_point), scale * (127 - zero_point)


def outputs(
    graph: Graph,
    kernels: Mapping[str, tf.Tensor],
    biases: Mapping[str, tf.Tensor],
    x: tf.Tensor,
    rounded: Callable[[Op, tf.Tensor], tf.Tensor] = lambda op, value: value,
) -> list[tf.Tensor]:
    """Every op's output, in graph order, as TensorFlow operations.

    Args:
      kernels: by op name, Keras layout.
      rounded: what becomes of the input, and of every output that the int8 network rounds to a new scale.
    """
    values = [rounded(graph.ops[0], x)]
    for op in graph.ops[1:]:
        with tf.name_scope(op.name):
            y = _apply(graph, op, kernels, biases, [values[i] for i in op.inputs])
            if op.kind in ROUNDING:
                y = rounded(op, y)
        values.append(y)
    return values


def _apply(
    graph: Graph,
    op: Op,
    kernels: Mapping[str, tf.Tensor],
    biases: Mapping[str, tf.Tensor],
    sources: list[tf.Tensor],
) -> tf.Tensor:
    x = sources[0]
    if op.kind in WEIGHTED:
        kernel = kernels[op.name]
        if op.kind == "conv":
            x = tf.nn.conv2d(x, kernel, op.stride, op.padding.upper())
        elif op.kind == "depthwise":
            x = tf.nn.depthwise_conv2d(x, kernel, [1, *op.stride, 1], op.padding.upper())
        else:
            x = tf.matmul(x, kernel)
        x = tf.nn.bias_add(x, biases[op.name])
    elif op.kind == "max_pool":
        x = tf.nn.max_pool2d(x, op.kernel, op.stride, op.padding.upper())
    elif op.kind == "avg_pool":
        x = tf.nn.avg_pool2d(x, op.kernel, op.stride, op.padding.upper())
    elif op.kind == "global_avg":
        x = tf.reduce_mean(x, axis=[1, 2])
    elif op.kind == "flatten":
        x = tf.reshape(x, [-1, op.shape[0]])
    else:
        x = _sum(graph, op, sources)
    return tf.nn.relu(x) if op.relu else x


def _sum(graph: Graph, op: Op, sources: list[tf.Tensor]) -> tf.Tensor:
    padded = []
    for i, source in zip(op.inputs, sources, strict=True):
        have = graph.ops[i].shape
        rows, columns = op.shape[0] - have[0], op.shape[1] - have[1]
        if rows or columns:
            source = tf.pad(source, [[0, 0], [0, rows], [0, columns], [0, 0]])
        padded.append(source)
    return functools.reduce(tf.add, padded)


def quantized_kernel(op: Op, kernel: np.ndarray, reach: np.ndarray | None = None) -> tf.Tensor:
    """Fake-quantised kernel: symmetric, -127..127; one scale per output channel, dense one in all.

    Args:
      reach: the weight that becomes 127, see :func:`largest`, which is the default.
    """
    reach = largest(op, kernel) if reach is None else reach
    if op.kind == "dense":
        return tf.quantization.fake_quant_with_min_max_vars(kernel, -reach, reach, narrow_range=True)
    channels = kernel.shape[2] if op.kind == "depthwise" else kernel.shape[3]
    quantized = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel.reshape(*kernel.shape[:2], -1, channels), -reach, reach, narrow_range=True
    )
    return tf.reshape(quantized, kernel.shape) if op.kind == "depthwise" else quantized


def largest(op: Op, kernel: np.ndarray) -> np.ndarray:
    """The largest magnitude of each output channel, float32 (channels,); of a dense op of all, ().

    An all-zero kernel still needs a scale, so it is 1e-6 at least.
    """
    axes = {"dense": None, "depthwise": (0, 1, 3), "conv": (0, 1, 2)}[op.kind]
    return np.maximum(np.abs(kernel).max(axis=axes), 1e-6).astype(np.float32)
