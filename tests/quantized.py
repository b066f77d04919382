"""Random int8 flatbuffers, operator by operator, without a converter.

Output scales are chosen so that outputs fill the int8 range without sticking to its ends; odd zero
points, per-channel scales and fused activations are drawn from a seed.
"""

from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ACTIVATIONS = {"none": 0, "relu": 1, "relu6": 3}
BUILTIN = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions


class Net:
    """Builds one subgraph; methods return tensor indices."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()]
        self.operators: list[Any] = []
        self.codes: list[int] = []
        self.source = -1

    def input(self, shape: tuple[int, ...], scale: float = 0.05, zero_point: int = 3) -> int:
        self.source = self.tensor(shape, scale, zero_point)
        return self.source

    def tensor(
        self, shape: tuple[int, ...], scale: float | None = None, zero_point: int | None = None
    ) -> int:
        point = int(self.random.integers(-60, 60)) if zero_point is None else zero_point
        return self._tensor((1, *shape), schema.TensorType.INT8, 0, [scale or 0.1], [point])

    def constant(self, values: np.ndarray, scales: Any = (), axis: int = 0) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.buffers.append(buffer)
        kinds = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}
        index = self._tensor(
            values.shape, kinds[values.dtype.name], len(self.buffers) - 1, scales, [0] * len(scales)
        )
        self.tensors[index].quantization.quantizedDimension = axis
        return index

    def conv(
        self, x: int, filters: int, kernel: int = 3, stride: int = 1, same: bool = True, act: str = "relu"
    ) -> int:
        h, w, c = self.shape(x)
        values = self.random.integers(-127, 128, (filters, kernel, kernel, c)).astype(np.int8)
        out = (*_sides(h, w, kernel, stride, same), filters)
        options = schema.Conv2DOptionsT()
        _window(options, stride, same, act)
        return self._weighted(
            BUILTIN.CONV_2D, OPTIONS.Conv2DOptions, options, x, values, 0, out, kernel * kernel * c
        )

    def depthwise(
        self,
        x: int,
        kernel: int = 3,
        stride: int = 1,
        same: bool = True,
        act: str = "relu",
        multiple: int = 1,
    ) -> int:
        h, w, c = self.shape(x)
        values = self.random.integers(-127, 128, (1, kernel, kernel, c * multiple)).astype(np.int8)
        out = (*_sides(h, w, kernel, stride, same), c * multiple)
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = multiple
        _window(options, stride, same, act)
        code, kind = BUILTIN.DEPTHWISE_CONV_2D, OPTIONS.DepthwiseConv2DOptions
        return self._weighted(code, kind, options, x, values, 3, out, kernel * kernel)

    def dense(self, x: int, units: int, act: str = "none", per_channel: bool = False) -> int:
        size = int(np.prod(self.shape(x)))
        values = self.random.integers(-127, 128, (units, size)).astype(np.int8)
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = ACTIVATIONS[act]
        code, kind = BUILTIN.FULLY_CONNECTED, OPTIONS.FullyConnectedOptions
        return self._weighted(code, kind, options, x, values, 0, (units,), size, per_channel)

    def add(self, a: int, b: int, act: str = "none") -> int:
        out = self.tensor(self.shape(a), 1.3 * (self.scale(a) + self.scale(b)))
        options = schema.AddOptionsT()
        options.fusedActivationFunction = ACTIVATIONS[act]
        return self.operator(BUILTIN.ADD, OPTIONS.AddOptions, options, [a, b], out)

    def pad(self, x: int, top: int, bottom: int, left: int, right: int) -> int:
        h, w, c = self.shape(x)
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        out = self.like(x, (h + top + bottom, w + left + right, c))
        return self.operator(
            BUILTIN.PAD, OPTIONS.PadOptions, schema.PadOptionsT(), [x, self.constant(amounts)], out
        )

    def pool(
        self, x: int, kind: str, kernel: int = 2, stride: int = 2, same: bool = False, act: str = "none"
    ) -> int:
        h, w, c = self.shape(x)
        options = schema.Pool2DOptionsT()
        options.filterHeight = options.filterWidth = kernel
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
        return self.operator(BUILTIN.MEAN, OPTIONS.ReducerOptions, options, [x, axes], out)

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        target = self.constant(np.array((1, *shape), np.int32))
        options = schema.ReshapeOptionsT()
        options.newShape = np.array((1, *shape), np.int32)
        return self.operator(
            BUILTIN.RESHAPE, OPTIONS.ReshapeOptions, options, [x, target], self.like(x, shape)
        )

    def relu(self, x: int, same_scale: bool = True) -> int:
        out = self.like(x, self.shape(x)) if same_scale else self.tensor(self.shape(x), self.scale(x) * 0.7)
        return self.operator(BUILTIN.RELU, OPTIONS.NONE, None, [x], out)

    def softmax(self, x: int) -> int:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        out = self.tensor(self.shape(x), 1 / 256, -128)
        return self.operator(BUILTIN.SOFTMAX, OPTIONS.SoftmaxOptions, options, [x], out)

    def operator(self, code: int, kind: int, options: Any, inputs: list[int], out: int) -> int:
        if code not in self.codes:
            self.codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = self.codes.index(code)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([out], np.int32)
        made.builtinOptionsType, made.builtinOptions = kind, options
        self.operators.append(made)
        return out

    def shape(self, x: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.tensors[x].shape[1:])

    def scale(self, x: int) -> float:
        return float(self.tensors[x].quantization.scale[0])

    def like(self, x: int, shape: tuple[int, ...]) -> int:
        return self.tensor(shape, self.scale(x), int(self.tensors[x].quantization.zeroPoint[0]))

    def flatbuffer(self, output: int) -> bytes:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self.tensors, self.operators, b"main"
        graph.inputs, graph.outputs = np.array([self.source], np.int32), np.array([output], np.int32)
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 5
            entry.version = 1 if code in (BUILTIN.RESHAPE, BUILTIN.SOFTMAX) else 2
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

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
        scales = self.random.uniform(0.5, 1.5, channels if per_channel else 1) * 0.01
        bias = np.asarray(self.random.integers(-3000, 3000, channels), np.int32)
        out_scale = self.scale(x) * 0.01 * 73 * np.sqrt(taps) * self.random.uniform(0.8, 1.4)
        weights = self.constant(values, scales, axis)
        return self.operator(
            code, kind, options, [x, weights, self.constant(bias)], self.tensor(out, out_scale)
        )

    def _tensor(self, shape: Any, kind: int, buffer: int, scales: Any, points: Any) -> int:
        made = schema.TensorT()
        made.shape, made.type, made.buffer = np.array(shape, np.int32), kind, buffer
        made.name = f"t{len(self.tensors)}".encode()
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.array(scales, np.float32)
        made.quantization.zeroPoint = np.array(points, np.int64)
        self.tensors.append(made)
        return len(self.tensors) - 1


def _window(options: Any, stride: int, same: bool, act: str) -> None:
    options.strideH = options.strideW = stride
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.fusedActivationFunction = ACTIVATIONS[act]
    if hasattr(options, "dilationHFactor"):
        options.dilationHFactor = options.dilationWFactor = 1


def _sides(h: int, w: int, kernel: int, stride: int, same: bool) -> tuple[int, int]:
    if same:
        return -(-h // stride), -(-w // stride)
    return (h - kernel) // stride + 1, (w - kernel) // stride + 1


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
