"""A .tflite flatbuffer read into a frozen graph of int8 operators.

The file is unpacked by the generated flatbuffer classes of ``ai_edge_litert``; this module
checks everything the C kernels take for granted and turns scales into fixed point:

    scale = (multiplier + fraction 2^-22) 2^(shift - 31),   2^30 <= multiplier < 2^31

It refuses, naming the operator and its index, whatever the kernels cannot do exactly: other
types, batches, broadcasts, operators. It never guesses: a graph that comes out of :func:`load`
computes what the TFLite reference kernels compute.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from export.quant_graph import (
    INT8_MAX,
    INT8_MIN,
    Op,
    QuantGraph,
    Scale,
    Tensor,
    double_scale,
    quantize_scale,
    rounded_apart,
)
from loggrad_tf.errors import LogGradError

MAX_FILE_BYTES = 64 << 20
MAX_SIDE = 65535
# 255 times as much, and half a divisor, fit the kernels' 32-bit sums.
MAX_MEAN_PIXELS = 2**23
ADD_SHIFT = 20
SCALE_LIMITS = (1e-20, 1e20)

_OPCODES = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
_TYPES = {v: k.lower() for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
_ACTIVATIONS = {v: k for k, v in vars(schema.ActivationFunctionType).items() if isinstance(v, int)}
_KINDS = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "dense",
    "ADD": "add",
    "PAD": "pad",
    "PADV2": "pad",
    "MAX_POOL_2D": "max_pool",
    "AVERAGE_POOL_2D": "avg_pool",
    "MEAN": "mean",
    "RESHAPE": "reshape",
    "RELU": "requantize",
    "RELU6": "requantize",
    "RELU_N1_TO_1": "requantize",
    "QUANTIZE": "requantize",
    "SOFTMAX": "softmax",
}
# Activations an operator reads; operators that only compute a later RESHAPE's shape are left out.
_DATA_INPUTS = {"add": 2}


def load(path: Path) -> QuantGraph:
    """Read and check one file.

    Raises:
      LogGradError: not a TFLite file, damaged, or holding something the kernels cannot do.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise LogGradError(f"{path}: {path.stat().st_size} B is more than the {MAX_FILE_BYTES} B accepted")
    return parse(path.read_bytes(), str(path))


def parse(data: bytes, where: str = "model") -> QuantGraph:
    """As :func:`load`, from bytes; ``where`` names the source in errors."""
    buffer = bytearray(data)
    if len(buffer) < 16 or not schema.Model.ModelBufferHasIdentifier(buffer, 0):
        raise LogGradError(f"{where}: not a TFLite file (no TFL3 mark): give a .tflite")
    try:
        return _Reader(buffer, where, hashlib.sha256(data).hexdigest()).graph()
    except LogGradError:
        raise
    except Exception as error:  # the unpacker follows offsets of the file and may fail anywhere
        reason = " ".join(str(error).split())[:120]
        raise LogGradError(
            f"{where}: damaged TFLite file ({type(error).__name__}: {reason}): convert the model again"
        ) from error


class _Reader:
    def __init__(self, buffer: bytearray, where: str, sha256: str) -> None:
        self.where = where
        self.sha256 = sha256
        self.model = schema.ModelT.InitFromPackedBuf(buffer, 0)
        subgraphs = self.model.subgraphs or []
        if len(subgraphs) != 1:
            raise LogGradError(f"{where}: {len(subgraphs)} subgraphs, one is supported")
        self.sub = subgraphs[0]
        if len(self.sub.inputs) != 1 or len(self.sub.outputs) != 1:
            raise LogGradError(
                f"{where}: {len(self.sub.inputs)} inputs, {len(self.sub.outputs)} outputs: needs one each"
            )
        self.at = where
        self.tensors: dict[int, Tensor] = {}

    def fail(self, reason: str) -> LogGradError:
        return LogGradError(f"{self.at}: {reason}")

    def graph(self) -> QuantGraph:
        source, result = int(self.sub.inputs[0]), int(self.sub.outputs[0])
        needed = self._needed(result)
        self.at = f"{self.where}: input tensor"
        self.tensors[source] = self.activation(source)
        ops: list[Op] = []
        for index in needed:
            packed = self.sub.operators[index]
            code = self.opcode(packed)
            self.at = f"{self.where}: operator {index} ({code})"
            if code not in _KINDS:
                raise self.fail(f"not supported; supported are {', '.join(_KINDS)}")
            ops.append(self.operator(index, code, packed))
        if result not in self.tensors or not ops:
            raise LogGradError(f"{self.where}: the output tensor is not computed by any operator")
        return QuantGraph(self.tensors, tuple(ops), source, result, self.sha256)

    def opcode(self, packed: Any) -> str:
        entry = self.model.operatorCodes[packed.opcodeIndex]
        return _OPCODES.get(max(entry.builtinCode, entry.deprecatedBuiltinCode), "CUSTOM")

    def _needed(self, result: int) -> list[int]:
        """Operators the output depends on through data, in file order."""
        producer: dict[int, int] = {}
        for index, packed in enumerate(self.sub.operators or []):
            for tensor in packed.outputs:
                producer[int(tensor)] = index
        needed: set[int] = set()
        pending = [result]
        while pending:
            index = producer.get(pending.pop(), -1)
            if index < 0 or index in needed:
                continue
            needed.add(index)
            packed = self.sub.operators[index]
            count = _DATA_INPUTS.get(_KINDS.get(self.opcode(packed), ""), 1)
            pending += [int(t) for t in packed.inputs[:count]]
        return sorted(needed)

    # Tensors

    def raw(self, index: int) -> Any:
        if not 0 <= index < len(self.sub.tensors):
            raise self.fail(f"tensor {index} does not exist (the file has {len(self.sub.tensors)})")
        return self.sub.tensors[index]

    def constant(self, index: int, dtype: str) -> np.ndarray:
        tensor = self.raw(index)
        found = _TYPES.get(tensor.type, "unknown")
        if found != dtype:
            raise self.fail(f"constant tensor {index} is {found}, needs {dtype}: quantise all of the model")
        buffer = self.model.buffers[tensor.buffer]
        if buffer.data is None or len(buffer.data) == 0:
            raise self.fail(f"tensor {index} must be a constant of the file")
        shape = [int(n) for n in (tensor.shape if tensor.shape is not None else [])]
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if min(shape, default=1) < 1 or len(buffer.data) != size:
            raise self.fail(
                f"tensor {index} of shape {shape} needs {size} B, the file holds {len(buffer.data)}"
            )
        return np.frombuffer(bytes(bytearray(buffer.data)), np.dtype(dtype).newbyteorder("<")).reshape(shape)

    def quantization(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        found = self.raw(index).quantization
        if found is None or found.scale is None or len(found.scale) == 0:
            raise self.fail(f"tensor {index} is not quantised: quantise all of the model")
        scale = np.array([float(value) for value in found.scale])
        if not np.all((scale > SCALE_LIMITS[0]) & (scale < SCALE_LIMITS[1])):
            raise self.fail(f"tensor {index} has a scale that is not a number between {SCALE_LIMITS}")
        points = found.zeroPoint if found.zeroPoint is not None and len(found.zeroPoint) else [0] * len(scale)
        return scale, np.asarray(points, np.int64)

    def activation(self, index: int) -> Tensor:
        tensor = self.raw(index)
        dtype = _TYPES.get(tensor.type, "unknown")
        if dtype != "int8":
            raise self.fail(f"tensor {index} is {dtype}, needs int8: convert with int8 input and output")
        shape = tuple(int(n) for n in (tensor.shape if tensor.shape is not None else []))
        if len(shape) not in (2, 3, 4) or shape[0] != 1:
            raise self.fail(f"tensor {index} has shape {list(shape)}, needs [1,N], [1,W,C] or [1,H,W,C]")
        if min(shape) < 1 or max(shape) > MAX_SIDE or math.prod(shape) > MAX_FILE_BYTES:
            raise self.fail(f"tensor {index} has shape {list(shape)}: sides must be 1 to {MAX_SIDE}")
        scale, point = self.quantization(index)
        if len(scale) != 1 or len(point) != 1 or not INT8_MIN <= point[0] <= INT8_MAX:
            raise self.fail(f"tensor {index} needs one scale and one zero point from -128 to 127")
        name = tensor.name.decode(errors="replace") if tensor.name else f"tensor_{index}"
        return Tensor(index, name, shape[1:], float(scale[0]), int(point[0]))

    def read(self, packed: Any, position: int = 0) -> Tensor:
        index = int(packed.inputs[position])
        if index not in self.tensors:
            raise self.fail(f"input tensor {index} is not computed by an earlier operator")
        return self.tensors[index]

    def map_of(self, tensor: Tensor) -> tuple[int, int, int]:
        if len(tensor.shape) != 3:
            raise self.fail(f"tensor {tensor.index} has shape {list(tensor.shape)}, needs H, W, C")
        return tensor.shape  # type: ignore[return-value]

    # Operators

    def operator(self, index: int, code: str, packed: Any) -> Op:
        if len(packed.outputs) != 1 or len(packed.inputs) < 1:
            raise self.fail(f"{len(packed.inputs)} inputs and {len(packed.outputs)} outputs")
        kind = _KINDS[code]
        out = self.activation(int(packed.outputs[0]))
        if out.index in self.tensors:
            raise self.fail(f"tensor {out.index} is written twice")
        build = {
            "conv": self.convolution,
            "depthwise": self.convolution,
            "dense": self.dense,
            "add": self.add,
            "pad": self.pad,
            "max_pool": self.pool,
            "avg_pool": self.pool,
            "mean": self.mean,
            "reshape": self.reshape,
            "requantize": self.requantize,
            "softmax": self.softmax,
        }[kind]
        fields = build(code, packed, out)
        count = _DATA_INPUTS.get(kind, 1)
        inputs = tuple(int(t) for t in packed.inputs[:count])
        self.tensors[out.index] = out
        return Op(index=index, kind=kind, inputs=inputs, output=out.index, **fields)

    def clamp(self, activation: int, out: Tensor) -> dict[str, int]:
        name = _ACTIVATIONS.get(activation, "?")

        # TFLite divides and rounds in float32 here: half away from zero.
        def quantised(real: float) -> int:
            ratio = np.float32(real) / np.float32(out.scale)
            return out.zero_point + int(math.copysign(math.floor(abs(float(ratio)) + 0.5), real))

        bounds = {
            "NONE": (INT8_MIN, INT8_MAX),
            "RELU": (quantised(0), INT8_MAX),
            "RELU6": (quantised(0), quantised(6)),
            "RELU_N1_TO_1": (quantised(-1), quantised(1)),
        }
        if name not in bounds:
            raise self.fail(f"fused activation {name} is not supported; supported are {', '.join(bounds)}")
        low, high = bounds[name]
        return {"low": max(low, INT8_MIN), "high": min(high, INT8_MAX)}

    def window(
        self, options: Any, source: Tensor, out: Tensor, kernel: tuple[int, int], dilation: tuple[int, int]
    ) -> dict[str, Any]:
        """Stride and padding, checked against the output shape of the file."""
        stride = (int(options.strideH), int(options.strideW))
        if min(stride) < 1 or min(dilation) < 1 or min(kernel) < 1:
            raise self.fail(f"kernel {kernel}, stride {stride}, dilation {dilation}: must be at least 1")
        same = options.padding == schema.Padding.SAME
        before, sides = [], []
        for size, k, s, d in zip(self.map_of(source)[:2], kernel, stride, dilation, strict=True):
            reach = (k - 1) * d + 1
            if reach > MAX_SIDE or s > MAX_SIDE:
                raise self.fail(f"kernel {kernel}, stride {stride}, dilation {dilation}: too large")
            count = -(-size // s) if same else (size - reach) // s + 1
            before.append(max((count - 1) * s + reach - size, 0) // 2 if same else 0)
            sides.append(count)
        if min(sides) < 1 or tuple(sides) != self.map_of(out)[:2]:
            raise self.fail(f"output is {list(out.shape)}, input {list(source.shape)} gives {sides}")
        return {"kernel": kernel, "stride": stride, "dilation": dilation, "before": (*before, 0)}

    def weighted(
        self, packed: Any, source: Tensor, out: Tensor, weights: np.ndarray, axis: int
    ) -> tuple[np.ndarray | None, list[float], np.ndarray]:
        """The bias, the real scales (one or per channel), each channel's largest accumulator; all checked."""
        channels = weights.shape[axis]
        scale, points = self.quantization(int(packed.inputs[1]))
        if np.any(points != 0):
            raise self.fail("weights have a zero point other than 0")
        if len(scale) not in (1, channels):
            raise self.fail(f"{len(scale)} weight scales for {channels} channels")
        if len(scale) > 1 and int(self.raw(int(packed.inputs[1])).quantization.quantizedDimension) != axis:
            raise self.fail(f"weights are quantised along another axis than {axis}")
        reals = source.scale * scale / out.scale
        bias = None
        if len(packed.inputs) > 2 and int(packed.inputs[2]) >= 0:
            bias = self.constant(int(packed.inputs[2]), "int32")
            if bias.shape != (channels,):
                raise self.fail(f"bias has shape {list(bias.shape)}, needs [{channels}]")
        reach = 255 * np.abs(weights.astype(np.int64)).sum(
            axis=tuple(a for a in range(weights.ndim) if a != axis)
        )
        if bias is not None:
            reach += np.abs(bias.astype(np.int64))
        if np.any(reach > 2**31 - 1):
            raise self.fail("bias and weights can overflow the 32-bit accumulator")
        return bias, reals.tolist(), reach

    def convolution(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source, options = self.read(packed), packed.builtinOptions
        weights = self.constant(int(packed.inputs[1]), "int8")
        if weights.ndim != 4:
            raise self.fail(f"weights have shape {list(weights.shape)}, need four sides")
        depthwise = code == "DEPTHWISE_CONV_2D"
        in_channels, out_channels = self.map_of(source)[2], self.map_of(out)[2]
        expected = (1, out_channels) if depthwise else (in_channels, out_channels)
        found = (weights.shape[0], weights.shape[3]) if depthwise else (weights.shape[3], weights.shape[0])
        if found != expected or out_channels % (in_channels if depthwise else 1):
            raise self.fail(
                f"weights {list(weights.shape)} do not fit {in_channels} inputs, {out_channels} outputs"
                " (no grouped convolutions)"
            )
        bias, reals, _ = self.weighted(packed, source, out, weights, 3 if depthwise else 0)
        scales = tuple(quantize_scale(real) for real in reals) * (out_channels // len(reals))
        dilation = (int(options.dilationHFactor), int(options.dilationWFactor))
        fields = self.window(options, source, out, (weights.shape[1], weights.shape[2]), dilation)
        fields |= self.clamp(options.fusedActivationFunction, out)
        return fields | {"weights": weights[0] if depthwise else weights, "bias": bias, "scales": scales}

    def dense(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source, options = self.read(packed), packed.builtinOptions
        weights = self.constant(int(packed.inputs[1]), "int8")
        if weights.ndim != 2 or weights.shape != (out.size, source.size):
            raise self.fail(
                f"weights {list(weights.shape)} do not fit {source.size} inputs, {out.size} outputs"
            )
        if options.weightsFormat != 0:
            raise self.fail("shuffled weights are not supported")
        bias, reals, reach = self.weighted(packed, source, out, weights, 0)
        limits = reach if len(reals) > 1 else [reach.max()]
        for real, limit in zip(reals, limits, strict=True):
            if int(limit) * real >= 2**31 - 256:
                raise self.fail(f"sums times {real:g} leave 32 bits: the output scale is too small")
            apart = rounded_apart(real, int(limit))
            if apart is not None:
                raise self.fail(
                    f"{apart} * {real!r} is a tie in double but not exactly: change a scale, calibrate again"
                )
        fields = {"weights": weights, "bias": bias, "scales": tuple(double_scale(real) for real in reals)}
        return fields | self.clamp(options.fusedActivationFunction, out)

    def add(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        if len(packed.inputs) != 2:
            raise self.fail(f"{len(packed.inputs)} inputs, needs two")
        a, b = self.read(packed, 0), self.read(packed, 1)
        if not a.shape == b.shape == out.shape:
            raise self.fail(f"shapes {list(a.shape)} and {list(b.shape)}: broadcasting is not supported")
        twice = 2 * max(a.scale, b.scale)
        scales = (a.scale / twice, b.scale / twice, twice / (2**ADD_SHIFT * out.scale))
        if scales[2] >= 1:
            raise self.fail("output scale is too small for the sum of its inputs")
        fixed = tuple(quantize_scale(s) for s in scales)
        return {"scales": fixed} | self.clamp(packed.builtinOptions.fusedActivationFunction, out)

    def pad(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source = self.read(packed)
        amounts = self.raw(int(packed.inputs[1])).type
        pads = self.constant(int(packed.inputs[1]), "int64" if _TYPES.get(amounts) == "int64" else "int32")
        shape = (1, *self.map_of(source))
        if pads.shape != (4, 2) or pads.min() < 0 or pads.max() > MAX_SIDE:
            raise self.fail(f"pad amounts of shape {list(pads.shape)}, needs [4, 2] from 0 to {MAX_SIDE}")
        grown = tuple(int(n + p.sum()) for n, p in zip(shape, pads, strict=True))
        if grown != (1, *out.shape):
            raise self.fail(f"output is {list(out.shape)}, input and pads give {list(grown)}")
        self.same_quantization(source, out)
        value = out.zero_point
        if len(packed.inputs) > 2 and int(packed.inputs[2]) >= 0:
            value = int(self.constant(int(packed.inputs[2]), "int8").reshape(-1)[0])
        return {"before": tuple(int(p) for p in pads[1:, 0]), "value": value}

    def pool(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source, options = self.read(packed), packed.builtinOptions
        if self.map_of(source)[2] != self.map_of(out)[2]:
            raise self.fail("a pool must keep its channels")
        self.same_quantization(source, out)
        kernel = (int(options.filterHeight), int(options.filterWidth))
        if code == "AVERAGE_POOL_2D" and kernel[0] * kernel[1] > MAX_MEAN_PIXELS:
            raise self.fail(f"mean over {kernel[0] * kernel[1]} pixels: at most {MAX_MEAN_PIXELS}")
        fields = self.window(options, source, out, kernel, (1, 1))
        return fields | self.clamp(options.fusedActivationFunction, out)

    def mean(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source = self.read(packed)
        height, width, channels = self.map_of(source)
        axes = sorted(int(a) % 4 for a in self.constant(int(packed.inputs[1]), "int32").reshape(-1))
        if axes != [1, 2] or out.shape not in ((channels,), (1, 1, channels)):
            raise self.fail(f"mean over axes {axes}: the mean over height and width (axes 1, 2) is supported")
        base = quantize_scale(source.scale / out.scale)
        pixels = height * width
        if pixels > MAX_MEAN_PIXELS:
            raise self.fail(f"mean over {pixels} pixels: at most {MAX_MEAN_PIXELS}")
        shift = min(pixels.bit_length() - 1, 32, 31 + base.shift)
        return {"scales": (Scale((base.multiplier << shift) // pixels, base.shift - shift),)}

    def reshape(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source = self.read(packed)
        if source.size != out.size:
            raise self.fail(f"{source.size} elements cannot become {out.size}")
        self.same_quantization(source, out)
        return {}

    def requantize(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source = self.read(packed)
        if source.shape != out.shape:
            raise self.fail(f"shape {list(source.shape)} becomes {list(out.shape)}")
        activation = {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3, "QUANTIZE": 0}[code]
        ratio = source.scale / out.scale
        if code != "QUANTIZE":  # TFLite divides in float32 here
            with np.errstate(over="ignore"):
                ratio = float(np.float32(source.scale) / np.float32(out.scale))
        return {"scales": (quantize_scale(ratio),)} | self.clamp(activation, out)

    def softmax(self, code: str, packed: Any, out: Tensor) -> dict[str, Any]:
        source = self.read(packed)
        if source.shape != out.shape or len(out.shape) != 1:
            raise self.fail(f"shape {list(source.shape)}: softmax over one vector is supported")
        if (out.scale, out.zero_point) != (1 / 256, INT8_MIN):
            raise self.fail("output must have scale 1/256 and zero point -128")
        beta = np.float32(packed.builtinOptions.beta)
        if not np.isfinite(beta) or beta <= 0:
            raise self.fail(f"beta {beta}: must be a positive number")
        # table[255 - v] = exp(-scale beta v), each step in float32 as the reference does.
        steps = -(np.float32(source.scale) * beta) * np.arange(256, dtype=np.float32)
        values = [math.exp(float(step)) for step in steps[::-1]]
        return {"table": np.array(values, np.float32)}

    def same_quantization(self, source: Tensor, out: Tensor) -> None:
        if (source.scale, source.zero_point) != (out.scale, out.zero_point):
            raise self.fail(
                f"input scale {source.scale:.9g}, zero point {source.zero_point} must equal"
                f" output scale {out.scale:.9g}, zero point {out.zero_point}"
            )
