"""Operators with windows or weights, checked and turned into fixed point.

    scale = (multiplier + fraction 2^-22) 2^(shift - 31),   2^30 <= multiplier < 2^31

Every function takes the reader, the file's operator and its output tensor, and gives the fields
of an :class:`export.tflite.quant_graph.Op`. What TFLite derives when it loads a file (shapes, clamps,
scales) is derived here the same way, and the file must agree.
"""

import math
from typing import Any

import numpy as np

from export.tflite.file import MAX_SIDE, Operator, TfliteFile
from export.tflite.interpreter import schema
from export.tflite.quant_graph import (
    INT8_MAX,
    INT8_MIN,
    Scale,
    Tensor,
    double_scale,
    quantize_scale,
    rounded_apart,
)
from loggrad_tf.errors import LogGradError

# 255 times as much, and half a divisor, fit the kernels' 32-bit sums.
MAX_MEAN_PIXELS = 2**23
MAX_STRIDE = 2**15 - 1
# Output channels with weights, all operators together.
MAX_CHANNELS = 2**18
ACCUMULATOR_MAX = 2**31 - 1
# In units of the output's scale: TFLite refuses more.
MAX_BIAS_APART = 0.02

_ACTIVATIONS = {v: k for k, v in vars(schema.ActivationFunctionType).items() if isinstance(v, int)}
Fields = dict[str, Any]


class Reader:
    """The file and the activations computed so far."""

    def __init__(self, file: TfliteFile) -> None:
        self.file = file
        self.tensors: dict[int, Tensor] = {}
        self.channels = 0

    def fail(self, reason: str) -> LogGradError:
        return self.file.fail(reason)

    def read(self, op: Operator, position: int = 0) -> Tensor:
        index = op.inputs[position]
        if index not in self.tensors:
            raise self.fail(f"input tensor {index} is not computed by an earlier operator")
        return self.tensors[index]

    def options(self, op: Operator) -> Any:
        if op.options is None:
            raise self.fail("options are missing or of another type: convert the model again")
        return op.options

    def count(self, op: Operator, *counts: int) -> None:
        if len(op.inputs) not in counts:
            raise self.fail(f"{len(op.inputs)} inputs, needs {' or '.join(map(str, counts))}")

    def map_of(self, tensor: Tensor) -> tuple[int, int, int]:
        if len(tensor.shape) != 3:
            raise self.fail(f"tensor {tensor.index} has shape {list(tensor.shape)}, needs H, W, C")
        return tensor.shape  # type: ignore[return-value]

    def same_quantization(self, source: Tensor, out: Tensor) -> None:
        if (source.scale, source.zero_point) != (out.scale, out.zero_point):
            raise self.fail(
                f"input scale {source.scale:.9g}, zero point {source.zero_point} must equal"
                f" output scale {out.scale:.9g}, zero point {out.zero_point}"
            )

    def fixed(self, real: float) -> Scale:
        """A scale in fixed point, of two roundings."""
        if not math.isfinite(real):
            raise self.fail(f"the scales of inputs and output give {real}")
        return quantize_scale(real)

    def clamp(self, activation: int, out: Tensor) -> dict[str, int]:
        name = _ACTIVATIONS.get(activation, "?")

        # TFLite divides and rounds in float32 here: half away from zero.
        def quantised(real: float) -> int:
            ratio = np.float32(real) / np.float32(out.scale)
            if abs(float(ratio)) >= 2**30:
                raise self.fail(f"output scale {out.scale:g} is too small for {name}")
            return out.zero_point + int(math.copysign(math.floor(abs(float(ratio)) + 0.5), real))

        if name == "NONE":
            low, high = INT8_MIN, INT8_MAX
        elif name == "RELU":
            low, high = out.zero_point, INT8_MAX
        elif name == "RELU6":
            low, high = out.zero_point, quantised(6)
        elif name == "RELU_N1_TO_1":
            low, high = quantised(-1), quantised(1)
        else:
            raise self.fail(
                f"fused activation {name} is not supported; supported are NONE, RELU, RELU6, RELU_N1_TO_1"
            )
        return {"low": max(low, INT8_MIN), "high": min(high, INT8_MAX)}


def sides(tensor: Tensor) -> tuple[int, int, int]:
    """Rows, columns, channels; those that a tensor lacks are one."""
    height, width, channels = (1,) * (3 - len(tensor.shape)) + tensor.shape
    return height, width, channels


def window(
    reader: Reader,
    options: Any,
    source: Tensor,
    out: Tensor,
    kernel: tuple[int, int],
    dilation: tuple[int, int],
) -> Fields:
    """Stride and padding, checked against the output shape of the file."""
    stride = (int(options.strideH), int(options.strideW))
    if min(stride) < 1 or min(dilation) < 1 or min(kernel) < 1:
        raise reader.fail(f"kernel {kernel}, stride {stride}, dilation {dilation}: must be at least 1")
    if options.padding not in (schema.Padding.SAME, schema.Padding.VALID):
        raise reader.fail(f"padding {options.padding} is neither SAME nor VALID")
    same = options.padding == schema.Padding.SAME
    before, sides = [], []
    for size, k, s, d in zip(reader.map_of(source)[:2], kernel, stride, dilation, strict=True):
        span = (k - 1) * d + 1
        if span > MAX_SIDE or s > MAX_STRIDE:
            raise reader.fail(f"kernel {kernel}, stride {stride}, dilation {dilation}: too large")
        count = -(-size // s) if same else (size - span) // s + 1
        before.append(max((count - 1) * s + span - size, 0) // 2 if same else 0)
        sides.append(count)
    if min(sides) < 1 or tuple(sides) != reader.map_of(out)[:2]:
        raise reader.fail(f"output is {list(out.shape)}, input {list(source.shape)} gives {sides}")
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "before": (*before, 0)}


def _weights(reader: Reader, op: Operator) -> np.ndarray:
    """int8; of a uint8 network without their zero point, int16 where they need nine bits."""
    weights = reader.file.constant(op.inputs[1], "int8")
    if not reader.file.unsigned:
        return weights
    wide = weights.astype(np.int16) - reader.file.one_scale(op.inputs[1])[1]
    fits = wide.min() >= INT8_MIN and wide.max() <= INT8_MAX
    return wide.astype(np.int8 if fits else np.int16)


def _weighted(
    reader: Reader, op: Operator, source: Tensor, out: Tensor, weights: np.ndarray, axis: int
) -> tuple[np.ndarray | None, list[float], tuple[int, ...]]:
    """The bias, the real scales (one or per channel), each channel's largest accumulator; all checked."""
    channels = weights.shape[axis]
    reader.channels += channels
    if reader.channels > MAX_CHANNELS:
        raise reader.fail(f"more than {MAX_CHANNELS} output channels")
    scale, points = reader.file.quantization(op.inputs[1])
    if np.any(points != 0) and not reader.file.unsigned:
        raise reader.fail("weights have a zero point other than 0")
    if len(scale) not in (1, channels):
        raise reader.fail(f"{len(scale)} weight scales for {channels} channels")
    if len(scale) > 1 and reader.file.raw(op.inputs[1]).axis != axis:
        raise reader.fail(f"weights are quantised along another axis than {axis}")
    bias = None
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias = reader.file.constant(op.inputs[2], "int32")
        if bias.shape != (channels,):
            raise reader.fail(f"bias has shape {list(bias.shape)}, needs [{channels}]")
        if np.any(reader.file.raw(op.inputs[2]).zero_points != 0):
            raise reader.fail("bias has a zero point other than 0")
    others = tuple(a for a in range(weights.ndim) if a != axis)
    # Raw inputs reach 128 in magnitude, and so does the zero point in the folded bias.
    reach = 256 * np.abs(weights, dtype=np.int32).sum(axis=others, dtype=np.int64)
    if bias is not None:
        reach += np.abs(bias.astype(np.int64))
    if np.any(reach > ACCUMULATOR_MAX):
        raise reader.fail("bias and weights can overflow the 32-bit accumulator")
    product = source.scale * scale
    # Of a convolution of uint8 TFLite multiplies these in float32 (GetQuantizedConvolutionMultipler).
    if reader.file.unsigned and op.code != "FULLY_CONNECTED":
        product = (np.float32(source.scale) * scale.astype(np.float32)).astype(np.float64)
    return bias, (product / out.scale).tolist(), tuple(reach.tolist())


def convolution(reader: Reader, op: Operator, out: Tensor) -> Fields:
    reader.count(op, *((2, 3) if op.code == "DEPTHWISE_CONV_2D" else (3,)))
    if -1 in op.inputs:  # TFLite demands a bias of CONV_2D, and of any input that is counted
        raise reader.fail("an input is left out: convert the model again")
    source, options = reader.read(op), reader.options(op)
    weights = _weights(reader, op)
    if weights.ndim != 4:
        raise reader.fail(f"weights have shape {list(weights.shape)}, need four sides")
    depthwise = op.code == "DEPTHWISE_CONV_2D"
    in_channels, out_channels = reader.map_of(source)[2], reader.map_of(out)[2]
    expected = (1, out_channels) if depthwise else (in_channels, out_channels)
    found = (weights.shape[0], weights.shape[3]) if depthwise else (weights.shape[3], weights.shape[0])
    if found != expected or out_channels % (in_channels if depthwise else 1):
        raise reader.fail(
            f"weights {list(weights.shape)} do not fit {in_channels} inputs, {out_channels} outputs"
            " (no grouped convolutions)"
        )
    bias, reals, reach = _weighted(reader, op, source, out, weights, 3 if depthwise else 0)
    scales = tuple(reader.fixed(real) for real in reals) * (out_channels // len(reals))
    for scale, limit in zip(scales, reach, strict=True):
        if limit << max(scale.shift, 0) > ACCUMULATOR_MAX:
            raise reader.fail("sums times their scale leave 32 bits: the output scale is too small")
    dilation = (int(options.dilationHFactor), int(options.dilationWFactor))
    fields = window(reader, options, source, out, (weights.shape[1], weights.shape[2]), dilation)
    fields |= reader.clamp(options.fusedActivationFunction, out)
    if depthwise and in_channels == 1:
        fields["kind"], weights = "conv", weights.transpose(3, 1, 2, 0)
    elif depthwise:
        weights = weights[0]
    return fields | {
        "weights": np.ascontiguousarray(weights),
        "bias": bias,
        "scales": scales,
        "reach": reach,
    }


def dense(reader: Reader, op: Operator, out: Tensor) -> Fields:
    reader.count(op, 2, 3)
    source, options = reader.read(op), reader.options(op)
    weights = _weights(reader, op)
    if weights.ndim != 2 or weights.shape != (out.size, source.size):
        raise reader.fail(
            f"weights {list(weights.shape)} do not fit {source.size} inputs, {out.size} outputs"
        )
    kept = (*source.shape[:-1], out.size) if options.keepNumDims else (out.size,)
    if out.shape != kept or (options.keepNumDims and source.shape[-1] != source.size):
        raise reader.fail(f"output is {list(out.shape)}, input {list(source.shape)} gives {list(kept)}")
    if options.weightsFormat != 0:
        raise reader.fail("shuffled weights are not supported")
    bias, reals, reach = _weighted(reader, op, source, out, weights, 0)
    if bias is not None and len(reals) == 1:
        own = reader.file.raw(op.inputs[2]).scales
        unit = source.scale * float(reader.file.raw(op.inputs[1]).scales[0])
        if not abs(unit - float(own[0] if len(own) else 0)) <= MAX_BIAS_APART * out.scale:
            raise reader.fail(f"bias scale differs from {unit:g}, the scale of input times weights")
    limits = reach if len(reals) > 1 else (max(reach),)
    for real, limit in zip(reals, limits, strict=True):
        if limit * real >= 2**31 - 256 or real >= 2**30:
            raise reader.fail(f"sums times {real:g} leave 32 bits: the output scale is too small")
        apart = rounded_apart(real, limit)
        if apart is not None:
            raise reader.fail(
                f"{apart} * {real!r} is a tie in double but not exactly: change a scale, calibrate again"
            )
    scales = tuple(double_scale(real) for real in reals)
    fields: Fields = {"weights": weights, "bias": bias, "scales": scales, "reach": reach}
    return fields | reader.clamp(options.fusedActivationFunction, out)


def pool(reader: Reader, op: Operator, out: Tensor) -> Fields:
    reader.count(op, 1)
    source, options = reader.read(op), reader.options(op)
    if reader.map_of(source)[2] != reader.map_of(out)[2]:
        raise reader.fail("a pool must keep its channels")
    reader.same_quantization(source, out)
    kernel = (int(options.filterHeight), int(options.filterWidth))
    if op.code == "AVERAGE_POOL_2D" and kernel[0] * kernel[1] > MAX_MEAN_PIXELS:
        raise reader.fail(f"mean over {kernel[0] * kernel[1]} pixels: at most {MAX_MEAN_PIXELS}")
    fields = window(reader, options, source, out, kernel, (1, 1))
    fields["rounds_up"] = reader.file.unsigned and op.code == "AVERAGE_POOL_2D"
    return fields | reader.clamp(options.fusedActivationFunction, out)


def mean(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """Over any sides but the batch; over rows and columns it is a kind of its own."""
    reader.count(op, 2)
    source, options = reader.read(op), reader.options(op)
    rank = 1 + len(source.shape)
    found = reader.file.constant(op.inputs[1], "int32").reshape(-1)[: rank + 1].tolist()
    axes = sorted({a + rank if a < 0 else a for a in found})
    if not axes or not 0 < axes[0] <= axes[-1] < rank:
        raise reader.fail(f"mean over axes {found} of {rank}: the batch cannot be among them")
    kept = [1 if i in axes else n for i, n in enumerate(source.shape, 1)]
    shape = kept if options.keepDims else [n for i, n in enumerate(source.shape, 1) if i not in axes]
    if list(out.shape) != shape:
        raise reader.fail(f"mean over axes {axes}: output is {list(out.shape)}, the operator gives {shape}")
    base = reader.fixed(source.scale / out.scale)
    pixels = source.size // math.prod(kept)
    if pixels > MAX_MEAN_PIXELS:
        raise reader.fail(f"mean over {pixels} pixels: at most {MAX_MEAN_PIXELS}")
    shift = min(pixels.bit_length() - 1, 32, 31 + base.shift)
    scale = Scale((base.multiplier << shift) // pixels, base.shift - shift)
    if 256 * pixels << max(scale.shift, 0) > ACCUMULATOR_MAX:
        raise reader.fail("sums times their scale leave 32 bits: the output scale is too small")
    whole = [1] * (4 - rank) + kept
    if whole == [1, 1, source.shape[-1]]:
        return {"scales": (scale,)}
    steps = tuple(math.prod(whole[i + 1 :]) if whole[i] > 1 else 0 for i in range(3))
    return {"kind": "reduce", "scales": (scale,), "steps": steps}
