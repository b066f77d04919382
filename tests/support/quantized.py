"""Random int8 flatbuffers, operator by operator, without a converter.

Output scales are chosen so that outputs fill the int8 range without sticking to its ends; odd zero
points, per-channel scales and fused activations are drawn from a seed.
"""

from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

Pair = int | tuple[int, int]
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
BUILTIN = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions
# Random images a calibrated net carries.
IMAGES = 4
TYPES = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int32": schema.TensorType.INT32,
    "float32": schema.TensorType.FLOAT32,
}
# Operators the reference kernels know in version 1 only.
FIRST_VERSION = (
    BUILTIN.RESHAPE,
    BUILTIN.SOFTMAX,
    BUILTIN.SQUEEZE,
    BUILTIN.EXPAND_DIMS,
    BUILTIN.HARD_SWISH,
    BUILTIN.RELU_N1_TO_1,
    BUILTIN.PRELU,
    BUILTIN.VAR_HANDLE,
    BUILTIN.READ_VARIABLE,
    BUILTIN.ASSIGN_VARIABLE,
)


class Net:
    """Builds one subgraph; methods return tensor indices.

    A calibrated net carries a few random images through its operators as it grows and takes output
    scales and zero points from what it sees there, so that deep nets keep filling int8.
    """

    def __init__(self, seed: int, calibrated: bool = False) -> None:
        self.random = np.random.default_rng(seed)
        self.calibrated = calibrated
        self.values: dict[int, np.ndarray] = {}
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()]
        self.operators: list[Any] = []
        self.codes: list[int] = []
        self.source = -1

    def input(self, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = 3) -> int:
        self.source = self.tensor(shape, scale, zero_point)
        if self.calibrated:
            self.values[self.source] = self.random.integers(-128, 128, (IMAGES, 1, *shape)).astype(np.int8)
        return self.source

    def edge_input(self, shape: tuple[int, ...], dtype: str = "float32") -> int:
        """A model input of another type, and the QUANTIZE that makes it int8."""
        x = self.input(shape)
        scales: tuple[list[float], list[int]] = ([], []) if dtype == "float32" else ([self.scale(x)], [131])
        self.source = self._tensor((1, *shape), TYPES[dtype], 0, *scales)
        return self.operator(
            BUILTIN.QUANTIZE, OPTIONS.QuantizeOptions, schema.QuantizeOptionsT(), [self.source], x
        )

    def edge_output(self, x: int, dtype: str = "float32") -> int:
        """A model output of another type than int8."""
        scales: tuple[list[float], list[int]] = ([], []) if dtype == "float32" else ([self.scale(x)], [100])
        out = self._tensor((1, *self.shape(x)), TYPES[dtype], 0, *scales)
        if dtype == "float32":
            code, kind, options = BUILTIN.DEQUANTIZE, OPTIONS.DequantizeOptions, schema.DequantizeOptionsT()
        else:
            code, kind, options = BUILTIN.QUANTIZE, OPTIONS.QuantizeOptions, schema.QuantizeOptionsT()
        return self.operator(code, kind, options, [x], out)

    def tensor(
        self, shape: tuple[int, ...], scale: float | None = None, zero_point: int | None = None
    ) -> int:
        point = int(self.random.integers(-60, 60)) if zero_point is None else zero_point
        return self._tensor((1, *shape), schema.TensorType.INT8, 0, [scale or 0.1], [point])

    def constant(self, values: np.ndarray, scales: Any = (), axis: int = 0, zero_point: int = 0) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.buffers.append(buffer)
        points = [zero_point] * len(scales)
        index = self._tensor(values.shape, TYPES[values.dtype.name], len(self.buffers) - 1, scales, points)
        self.tensors[index].quantization.quantizedDimension = axis
        return index

    def conv(
        self,
        x: int,
        filters: int,
        kernel: Pair = 3,
        stride: Pair = 1,
        same: bool = True,
        act: str = "relu",
        dilation: Pair = 1,
    ) -> int:
        h, w, c = self.shape(x)
        values = self.random.integers(-127, 128, (filters, *_pair(kernel), c)).astype(np.int8)
        out = (*_sides(h, w, kernel, stride, same, dilation), filters)
        options = schema.Conv2DOptionsT()
        _window(options, stride, same, act, dilation)
        taps = values[0].size
        return self._weighted(BUILTIN.CONV_2D, OPTIONS.Conv2DOptions, options, x, values, 0, out, taps)

    def depthwise(
        self,
        x: int,
        kernel: Pair = 3,
        stride: Pair = 1,
        same: bool = True,
        act: str = "relu",
        multiple: int = 1,
        dilation: Pair = 1,
    ) -> int:
        h, w, c = self.shape(x)
        values = self.random.integers(-127, 128, (1, *_pair(kernel), c * multiple)).astype(np.int8)
        out = (*_sides(h, w, kernel, stride, same, dilation), c * multiple)
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = multiple
        _window(options, stride, same, act, dilation)
        code, kind = BUILTIN.DEPTHWISE_CONV_2D, OPTIONS.DepthwiseConv2DOptions
        return self._weighted(code, kind, options, x, values, 3, out, values[..., 0].size)

    def dense(
        self, x: int, units: int, act: str = "none", per_channel: bool = False, keep: bool = False
    ) -> int:
        """``keep``: the output keeps the input's rank, whose sides but the last must be 1."""
        size = int(np.prod(self.shape(x)))
        values = self.random.integers(-127, 128, (units, size)).astype(np.int8)
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction, options.keepNumDims = ACTIVATIONS[act], keep
        code, kind = BUILTIN.FULLY_CONNECTED, OPTIONS.FullyConnectedOptions
        out = (*self.shape(x)[:-1], units) if keep else (units,)
        return self._weighted(code, kind, options, x, values, 0, out, size, per_channel)

    def add(self, a: int, b: int, act: str = "none") -> int:
        out = self.tensor(self.shape(a), 1.3 * (self.scale(a) + self.scale(b)))
        options = schema.AddOptionsT()
        options.fusedActivationFunction = ACTIVATIONS[act]
        return self._calibrate(self.operator(BUILTIN.ADD, OPTIONS.AddOptions, options, [a, b], out))

    def with_constant(
        self, x: int, shape: tuple[int, ...], code: str = "MUL", act: str = "none", first: bool = False
    ) -> int:
        """MUL or ADD of a random constant of ``shape``, which has a zero point; ``first``: it comes first."""
        values = np.asarray(self.random.integers(-128, 128, shape), np.int8)
        scale = self.random.uniform(0.01, 0.02) if code == "MUL" else self.scale(x) * 0.7
        fixed = self.constant(values, [scale], zero_point=int(self.random.integers(-60, 60)))
        out = self.tensor(self.shape(x), self.scale(x) * 1.5)
        options = schema.MulOptionsT() if code == "MUL" else schema.AddOptionsT()
        options.fusedActivationFunction = ACTIVATIONS[act]
        kind = OPTIONS.MulOptions if code == "MUL" else OPTIONS.AddOptions
        operands = [fixed, x] if first else [x, fixed]
        return self._calibrate(self.operator(getattr(BUILTIN, code), kind, options, operands, out))

    def concat(self, xs: list[int], axis: int = 3) -> int:
        """Along an axis of the batched shape. The inputs, whose scales nothing else may have used, are
        given one scale and zero point."""
        chosen = max(xs, key=self.scale)
        sides = list(self.shape(xs[0]))
        sides[axis - 1] = sum(self.shape(x)[axis - 1] for x in xs)
        out = self.like(chosen, tuple(sides))
        for made in self.operators:
            if not len(made.outputs) or (x := int(made.outputs[0])) not in xs:
                continue
            if self.calibrated and len(made.inputs) == 3:  # weights and bias keep the output's range
                for part in made.inputs[1:]:
                    self.tensors[part].quantization.scale *= np.float32(self.scale(chosen) / self.scale(x))
            self.tensors[x].quantization = self.tensors[chosen].quantization
            if self.calibrated:
                self._evaluate(made)
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        return self.operator(BUILTIN.CONCATENATION, OPTIONS.ConcatenationOptions, options, xs, out)

    def pad(
        self, x: int, top: int, bottom: int, left: int, right: int, channels: tuple[int, int] = (0, 0)
    ) -> int:
        h, w, c = self.shape(x)
        amounts = np.array([[0, 0], [top, bottom], [left, right], channels], np.int32)
        out = self.like(x, (h + top + bottom, w + left + right, c + sum(channels)))
        return self.operator(
            BUILTIN.PAD, OPTIONS.PadOptions, schema.PadOptionsT(), [x, self.constant(amounts)], out
        )

    def pool(
        self, x: int, kind: str, kernel: Pair = 2, stride: Pair = 2, same: bool = False, act: str = "none"
    ) -> int:
        h, w, c = self.shape(x)
        options = schema.Pool2DOptionsT()
        options.filterHeight, options.filterWidth = _pair(kernel)
        _window(options, stride, same, act)
        code = BUILTIN.MAX_POOL_2D if kind == "max" else BUILTIN.AVERAGE_POOL_2D
        out = self.like(x, (*_sides(h, w, kernel, stride, same), c))
        return self.operator(code, OPTIONS.Pool2DOptions, options, [x], out)

    def mean(self, x: int, keep: bool = False) -> int:
        channels = self.shape(x)[-1]
        options = schema.ReducerOptionsT()
        options.keepDims = keep
        axes = self.constant(np.array([1, 2], np.int32))
        out = self.tensor((1, 1, channels) if keep else (channels,), self.scale(x) / 2)
        return self._calibrate(self.operator(BUILTIN.MEAN, OPTIONS.ReducerOptions, options, [x, axes], out))

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        target = self.constant(np.array((1, *shape), np.int32))
        options = schema.ReshapeOptionsT()
        options.newShape = np.array((1, *shape), np.int32)
        return self.operator(
            BUILTIN.RESHAPE, OPTIONS.ReshapeOptions, options, [x, target], self.like(x, shape)
        )

    def expand_dims(self, x: int, axis: int) -> int:
        sides = [1, *self.shape(x)]
        sides.insert(axis, 1)
        inputs = [x, self.constant(np.array([axis], np.int32))]
        out = self.like(x, tuple(sides[1:]))
        return self.operator(
            BUILTIN.EXPAND_DIMS, OPTIONS.ExpandDimsOptions, schema.ExpandDimsOptionsT(), inputs, out
        )

    def squeeze(self, x: int, axes: tuple[int, ...]) -> int:
        options = schema.SqueezeOptionsT()
        options.squeezeDims = np.array(axes, np.int32)
        out = self.like(x, tuple(n for i, n in enumerate(self.shape(x), 1) if i not in axes))
        return self.operator(BUILTIN.SQUEEZE, OPTIONS.SqueezeOptions, options, [x], out)

    def relu(self, x: int, same_scale: bool = True) -> int:
        out = self.like(x, self.shape(x)) if same_scale else self.tensor(self.shape(x), self.scale(x) * 0.7)
        return self.operator(BUILTIN.RELU, OPTIONS.NONE, None, [x], out)

    def lookup(self, x: int, code: str) -> int:
        """An operator of one value: LOGISTIC, TANH, RELU6, QUANTIZE, ..."""
        fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(code)
        kind, options = OPTIONS.NONE, None
        if code == "LEAKY_RELU":
            kind, options = OPTIONS.LeakyReluOptions, schema.LeakyReluOptionsT()
            options.alpha = 0.3
        elif code == "QUANTIZE":
            kind, options = OPTIONS.QuantizeOptions, schema.QuantizeOptionsT()
        out = self.tensor(self.shape(x), *(fixed or (self.scale(x) * self.random.uniform(0.8, 1.3),)))
        return self.operator(getattr(BUILTIN, code), kind, options, [x], out)

    def softmax(self, x: int) -> int:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        out = self.tensor(self.shape(x), 1 / 256, -128)
        return self.operator(BUILTIN.SOFTMAX, OPTIONS.SoftmaxOptions, options, [x], out)

    def log_softmax(self, x: int) -> int:
        out = self.tensor(self.shape(x), 1 / 16, 127)
        options = schema.LogSoftmaxOptionsT()
        return self.operator(BUILTIN.LOG_SOFTMAX, OPTIONS.LogSoftmaxOptions, options, [x], out)

    def operator(self, code: int, kind: int, options: Any, inputs: list[int], out: int) -> int:
        return self.operators_of(code, kind, options, inputs, [out])[0]

    def operators_of(
        self, code: int, kind: int, options: Any, inputs: list[int], outs: list[int]
    ) -> list[int]:
        """One operator of several outputs."""
        if code not in self.codes:
            self.codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = self.codes.index(code)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outs, np.int32)
        made.builtinOptionsType, made.builtinOptions = kind, options
        self.operators.append(made)
        data = next((i for i in inputs if self.tensors[i].buffer == 0), -1)
        if self.calibrated and self.tensors[data].type == self.tensors[outs[0]].type:
            self._evaluate(made)
        return outs

    def shape(self, x: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.tensors[x].shape[1:])

    def scale(self, x: int) -> float:
        return float(self.tensors[x].quantization.scale[0])

    def like(self, x: int, shape: tuple[int, ...]) -> int:
        return self.tensor(shape, self.scale(x), int(self.tensors[x].quantization.zeroPoint[0]))

    def flatbuffer(self, output: int | list[int], inputs: list[int] | None = None) -> bytes:
        """The model of one output, or of several; of the last input, or of those."""
        outputs = output if isinstance(output, list) else [output]
        return self._packed(self.operators, inputs or [self.source], outputs)

    def _packed(self, operators: list[Any], inputs: list[int], outputs: list[int]) -> bytes:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self.tensors, operators, b"main"
        graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            entry.version = 1 if code in FIRST_VERSION else 2
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _evaluate(self, made: Any) -> None:
        """The random images' values behind one operator, by the reference kernels."""
        outs = [int(i) for i in made.outputs]
        inputs = sorted({int(i) for i in made.inputs if self.tensors[i].buffer == 0})
        interpreter = Interpreter(
            model_content=self._packed([made], inputs, outs),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            num_threads=1,
        )
        interpreter.allocate_tensors()
        found: list[list[np.ndarray]] = []
        for image in range(IMAGES):
            for i in inputs:
                interpreter.set_tensor(i, self.values[i][image])
            interpreter.invoke()
            found.append([interpreter.get_tensor(out) for out in outs])
        for out, values in zip(outs, zip(*found, strict=True), strict=True):
            self.values[out] = np.stack(values)

    def _calibrate(self, out: int) -> int:
        """Give the last operator's output a scale and zero point at which it fills int8."""
        if not self.calibrated:
            return out
        guess = self.tensors[out].quantization
        guess.scale, guess.zeroPoint = np.array([6 * self.scale(out)], np.float32), np.zeros(1, np.int64)
        self._evaluate(self.operators[-1])
        real = self.values[out].astype(np.float64) * guess.scale[0]
        low, high = (float(x) for x in np.percentile(real, [1, 99]))
        room = 1.0 if real.size > 1000 else 1.5
        low, high = min(room * low, 0.0), max(room * high, 0.0)
        scale = max(high - low, float(guess.scale[0])) / self.random.uniform(215, 250)
        point = int(np.clip(round(-126 - low / scale) + self.random.integers(0, 6), -128, 127))
        guess.scale, guess.zeroPoint = np.array([scale], np.float32), np.array([point], np.int64)
        self._evaluate(self.operators[-1])
        return out

    def _weighted(
        self,
        code: int,
        kind: int,
        options: Any,
        x: int,
        values: np.ndarray,
        axis: int,
        out: tuple[int, ...],
        taps: int,
        per_channel: bool = True,
    ) -> int:
        channels = values.shape[axis]
        unit = 0.01 if not self.calibrated else 1 / (73 * np.sqrt(taps))
        scales = self.random.uniform(0.5, 1.5, channels if per_channel else 1) * unit
        bias = np.asarray(self.random.integers(-3000, 3000, channels), np.int32)
        out_scale = self.scale(x) * unit * 73 * np.sqrt(taps) * self.random.uniform(0.8, 1.4)
        inputs = [x, self.constant(values, scales, axis)]
        inputs.append(self.constant(bias, self.scale(x) * scales if self.calibrated else ()))
        return self._calibrate(self.operator(code, kind, options, inputs, self.tensor(out, out_scale)))

    def _tensor(self, shape: Any, kind: int, buffer: int, scales: Any, points: Any) -> int:
        made = schema.TensorT()
        made.shape, made.type, made.buffer = np.array(shape, np.int32), kind, buffer
        made.name = f"t{len(self.tensors)}".encode()
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.array(scales, np.float32)
        made.quantization.zeroPoint = np.array(points, np.int64)
        self.tensors.append(made)
        return len(self.tensors) - 1


def _pair(value: Pair) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _window(options: Any, stride: Pair, same: bool, act: str, dilation: Pair = 1) -> None:
    options.strideH, options.strideW = _pair(stride)
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.fusedActivationFunction = ACTIVATIONS[act]
    if hasattr(options, "dilationHFactor"):
        options.dilationHFactor, options.dilationWFactor = _pair(dilation)


def _sides(h: int, w: int, kernel: Pair, stride: Pair, same: bool, dilation: Pair = 1) -> tuple[int, int]:
    sides = []
    for n, k, s, d in zip((h, w), _pair(kernel), _pair(stride), _pair(dilation), strict=True):
        sides.append(-(-n // s) if same else (n - (k - 1) * d - 1) // s + 1)
    return sides[0], sides[1]


def serial(seed: int = 0) -> bytes:
    """Convolutions, pools, dense: 16x16 levels to two scores."""
    net = Net(seed)
    x = net.input((16, 16, 1), 1.0, 0)
    x = net.pool(net.conv(x, 6, 5), "max")
    x = net.conv(x, 5, 3, same=False, act="none")
    x = net.pool(x, "avg", 3, 2)
    return net.flatbuffer(net.dense(net.reshape(x, (20,)), 2))


def separable(seed: int = 1) -> bytes:
    """Strided, depthwise and pointwise convolutions, global average, softmax; odd sides."""
    net = Net(seed)
    x = net.conv(net.input((15, 13, 3)), 8, 3, 2, act="relu6")
    x = net.conv(net.depthwise(x, 3, 1), 7, 1)
    x = net.depthwise(x, 5, 2, act="none", multiple=2)
    x = net.dense(net.mean(x), 5, per_channel=True)
    return net.flatbuffer(net.softmax(x))


def branched(seed: int = 2) -> bytes:
    """A branch that is pooled, padded and added, a residual addition, an unfused ReLU."""
    net = Net(seed)
    x = net.conv(net.input((12, 10, 1), 1.0, 0), 6, 3)
    left = net.conv(x, 6, 3, act="none")
    x = net.add(left, x, "relu")
    short = net.pad(net.pool(x, "max", 3, 2), 0, 1, 0, 1)
    x = net.relu(net.add(net.conv(x, 6, 3, 2, act="none"), short), same_scale=False)
    x = net.pool(net.relu(x), "avg", 3, 2, same=True, act="relu")
    return net.flatbuffer(net.dense(net.dense(net.reshape(net.mean(x, keep=True), (6,)), 9, "relu"), 1))


NETS = {"serial": serial, "separable": separable, "branched": branched}
