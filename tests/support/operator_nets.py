"""Random networks of the operators that few networks have: of two operands, moves, means, bytes.

A seed gives one network. Each ends in several outputs, so that every operator streams its own way.
"""

import copy
from collections.abc import Callable
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.quantized import BUILTIN, OPTIONS, Net

Shape = tuple[int, ...]


def start(seed: int, shape: Shape | None = None) -> tuple[Net, np.random.Generator, int]:
    """A net, its dice, and the map behind a first convolution."""
    net, draw = Net(seed, calibrated=True), np.random.default_rng(seed)
    shape = shape or tuple(int(n) for n in draw.integers(4, 12, 3))
    return net, draw, net.conv(net.input(shape), int(draw.integers(2, 8)), 3, act="none")


def pair(net: Net, code: str, a: int, b: int, shape: Shape, act: str = "none") -> int:
    """ADD, SUB, MUL of two operands that broadcast to ``shape``."""
    options = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[code]()
    options.fusedActivationFunction = {"none": 0, "relu": 1, "relu6": 3}[act]
    scale = net.scale(a) * net.scale(b) * 70 if code == "MUL" else 1.2 * (net.scale(a) + net.scale(b))
    kind = getattr(OPTIONS, f"{code.capitalize()}Options")
    return net.operator(getattr(BUILTIN, code), kind, options, [a, b], net.tensor(shape, scale))


def pairs(seed: int) -> bytes:
    """Activations with each other: whole, a row, a column, a pixel, a channel, in both orders; constants."""
    net, draw, x = start(seed)
    h, w, c = net.shape(x)
    outputs = []
    for code in ("ADD", "SUB", "MUL"):
        for other in ((h, w, c), (1, w, c), (h, 1, c), (1, 1, c), (h, w, 1)):
            y = picked(net, x, other) if other != (h, w, c) else net.conv(x, c, 3, act="none")
            a, b = (x, y) if draw.random() < 0.5 else (y, x)
            outputs.append(pair(net, code, a, b, (h, w, c), str(draw.choice(["none", "relu", "relu6"]))))
        fixed = net.constant(
            draw.integers(-128, 128, (h, 1, 1)).astype(np.int8),
            [0.03],
            zero_point=int(draw.integers(-50, 50)),
        )
        outputs.append(pair(net, code, *((x, fixed) if draw.random() < 0.5 else (fixed, x)), (h, w, c)))
    fixed = net.constant(draw.integers(-128, 128, (1, 1, c)).astype(np.int8), [0.03], zero_point=7)
    return net.flatbuffer([*outputs, pair(net, "SUB", fixed, x, (h, w, c), "relu")])


def extremes(seed: int) -> bytes:
    """MAXIMUM and MINIMUM of activations and constants, and PRELU."""
    net, draw, x = start(seed)
    h, w, c = net.shape(x)
    outputs = []
    for code in ("MAXIMUM", "MINIMUM"):
        for other in ((h, w, c), (1, 1, c), (h, 1, 1)):
            y = picked(net, x, other) if other != (h, w, c) else net.pool(x, "max", 3, 1, same=True)
            outputs.append(_extreme(net, code, [x, y], (h, w, c)))
        for shape in ((), (c,), (1, 1, 1, c)):
            values = np.asarray(draw.integers(-128, 128, shape), np.int8)
            quantization = net.tensors[x].quantization
            fixed = net.constant(values, [net.scale(x)], zero_point=int(quantization.zeroPoint[0]))
            outputs.append(_extreme(net, code, [x, fixed], (h, w, c)))
    for shape in ((1, 1, c), (h, w, c), (1, 1, 1)):
        alpha = net.constant(
            draw.integers(-128, 128, shape).astype(np.int8), [0.01], zero_point=int(draw.integers(-50, 50))
        )
        out = net.tensor((h, w, c), net.scale(x) * 0.9)
        outputs.append(net.operator(BUILTIN.PRELU, OPTIONS.NONE, None, [x, alpha], out))
    return net.flatbuffer(outputs)


def _extreme(net: Net, code: str, operands: list[int], shape: Shape) -> int:
    options = schema.MaximumMinimumOptionsT()
    kind = OPTIONS.MaximumMinimumOptions
    return net.operator(getattr(BUILTIN, code), kind, options, operands, net.like(operands[0], shape))


def picked(net: Net, x: int, shape: Shape) -> int:
    """The first rows, columns and channels of a map."""
    return sliced(net, x, [(0, n, 1) for n in shape], shape)


def sliced(
    net: Net, x: int, places: list[tuple[int, int, int]], shape: Shape, gone: int = 0, open_ends: int = 0
) -> int:
    """STRIDED_SLICE by (begin, end, stride) of each side but the batch."""
    options = schema.StridedSliceOptionsT()
    options.beginMask, options.endMask, options.shrinkAxisMask = 1 | open_ends, 1 | open_ends, gone
    numbers = [
        net.constant(np.array([first, *column], np.int32))
        for first, column in zip((0, 1, 1), zip(*places, strict=True), strict=True)
    ]
    kind = OPTIONS.StridedSliceOptions
    return net.operator(BUILTIN.STRIDED_SLICE, kind, options, [x, *numbers], net.like(x, shape))


def moves(seed: int) -> bytes:
    """Slices, parts, resizing to the nearest neighbour."""
    net, draw, x = start(seed, tuple(int(n) for n in np.random.default_rng(seed).integers(6, 11, 3)))
    x = net.conv(x, 6, 3)
    h, w, _ = net.shape(x)
    outputs = [
        sliced(net, x, [(1, h - 1, 2), (w - 1, 0, -2), (4, 0, -1)], (-(-(h - 2) // 2), w // 2, 4)),
        sliced(net, x, [(-3, -1, 1), (0, 9, 1), (1, 6, 3)], (2, min(w, 9), 2)),
        sliced(net, x, [(2, 3, 1), (0, 0, 1), (0, 0, 1)], (w, 6), gone=2, open_ends=12),
    ]
    outputs += parts(net, "SPLIT", x, 3, [2, 2, 2])[::2]
    outputs += parts(net, "SPLIT_V", x, 1, [2, h - 2])
    outputs += parts(net, "SPLIT_V", x, 2, [1, w - 1])
    (row,) = unpacked(net, sliced(net, x, [(0, 1, 1), (0, w, 1), (0, 6, 1)], (1, w, 6)))
    outputs.append(net.conv(net.reshape(row, (1, w, 6)), 3))
    some = sliced(net, x, [(1, 4, 1), (0, w, 1), (0, 6, 1)], (3, w, 6))
    outputs.append(joined(net, unpacked(net, some)[::-1]))
    for corners, centers in ((False, False), (True, False), (False, True)):
        size = tuple(int(n) for n in draw.integers(2, 24, 2))
        outputs.append(nearest(net, x, size, corners, centers))
    return net.flatbuffer([*outputs, net.conv(nearest(net, x, (2 * h, 2 * w)), 3)])


def nearest(net: Net, x: int, size: Shape, corners: bool = False, centers: bool = False) -> int:
    options = schema.ResizeNearestNeighborOptionsT()
    options.alignCorners, options.halfPixelCenters = corners, centers
    operands = [x, net.constant(np.array(size, np.int32))]
    kind = OPTIONS.ResizeNearestNeighborOptions
    out = net.like(x, (*size, net.shape(x)[2]))
    return net.operator(BUILTIN.RESIZE_NEAREST_NEIGHBOR, kind, options, operands, out)


def bilinear(seed: int) -> bytes:
    """Resizing to larger and smaller maps, in every mode."""
    net, draw, x = start(seed)
    outputs = []
    for corners, centers in ((False, False), (True, False), (False, True)):
        for most in (24, 5):
            options = schema.ResizeBilinearOptionsT()
            options.alignCorners, options.halfPixelCenters = corners, centers
            size = tuple(int(n) for n in draw.integers(1, most, 2))
            operands = [x, net.constant(np.array(size, np.int32))]
            out = net.like(x, (*size, net.shape(x)[2]))
            kind = OPTIONS.ResizeBilinearOptions
            outputs.append(net.operator(BUILTIN.RESIZE_BILINEAR, kind, options, operands, out))
    return net.flatbuffer([*outputs, net.conv(outputs[0], 3)])


def parts(net: Net, code: str, x: int, axis: int, sizes: list[int]) -> list[int]:
    """SPLIT or SPLIT_V along an axis of the batched shape."""
    at = net.constant(np.array(axis, np.int32))
    options = schema.SplitOptionsT() if code == "SPLIT" else schema.SplitVOptionsT()
    options.numSplits = len(sizes)
    operands = [at, x] if code == "SPLIT" else [x, net.constant(np.array(sizes, np.int32)), at]
    outs = []
    for size in sizes:
        sides = list(net.shape(x))
        sides[axis - 1] = size
        outs.append(net.like(x, tuple(sides)))
    kind = OPTIONS.SplitOptions if code == "SPLIT" else OPTIONS.SplitVOptions
    return net.operators_of(getattr(BUILTIN, code), kind, options, operands, outs)


def unpacked(net: Net, x: int) -> list[int]:
    """UNPACK along the rows."""
    options = schema.UnpackOptionsT()
    height, width, channels = net.shape(x)
    options.num, options.axis = height, 1
    outs = [net.like(x, (width, channels)) for _ in range(height)]
    made = net.operators_of(BUILTIN.UNPACK, OPTIONS.UnpackOptions, options, [x], outs)
    return made


def joined(net: Net, rows: list[int]) -> int:
    """PACK of maps of one row each."""
    options = schema.PackOptionsT()
    options.valuesCount, options.axis = len(rows), 1
    out = net.like(rows[0], (len(rows), *net.shape(rows[0])))
    return net.operator(BUILTIN.PACK, OPTIONS.PackOptions, options, rows, out)


def turned(seed: int) -> bytes:
    """TRANSPOSE in every order, and MEAN over every choice of sides."""
    net, draw, x = start(seed)
    sides = net.shape(x)
    outputs = []
    for order in ((1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)):
        operands = [x, net.constant(np.array([0, *order], np.int32))]
        out = net.like(x, tuple(sides[i - 1] for i in order))
        kind = OPTIONS.TransposeOptions
        outputs.append(net.operator(BUILTIN.TRANSPOSE, kind, schema.TransposeOptionsT(), operands, out))
    outputs.append(net.conv(outputs[2], 3))
    for axes in ((1,), (2,), (3,), (1, 3), (2, 3), (1, 2, 3)):
        outputs.append(mean(net, x, axes, keep=True, like=bool(draw.random() < 0.5)))
    outputs.append(mean(net, mean(net, outputs[3], (3,), like=True), (2,), like=True))
    return net.flatbuffer(outputs)


def mean(net: Net, x: int, axes: Shape, keep: bool = False, like: bool = False) -> int:
    """Over axes of the batched shape; ``like``: at the input's scale."""
    sides = [1 if i in axes else n for i, n in enumerate(net.shape(x), 1)]
    shape = tuple(sides if keep else [n for i, n in enumerate(sides, 1) if i not in axes])
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    out = net.like(x, shape) if like else net.tensor(shape, net.scale(x) * 0.6)
    operands = [x, net.constant(np.array(axes, np.int32))]
    return net.operator(BUILTIN.MEAN, OPTIONS.ReducerOptions, options, operands, out)


def pixels(seed: int) -> bytes:
    """Softmax of every pixel of a map, of every row of a sequence; of many scales."""
    net, draw, x = start(seed)
    height, width, channels = net.shape(x)
    outputs = [net.softmax(x), net.softmax(net.reshape(x, (height * width, channels)))]
    return net.flatbuffer([*outputs, *(net.softmax(y) for y in _rescaled(net, draw, x))])


def logarithms(seed: int) -> bytes:
    """Log softmax of every pixel of a map, of every row of a sequence, of the last layer; of many scales."""
    net, draw, x = start(seed)
    height, width, channels = net.shape(x)
    outputs = [net.log_softmax(x), net.log_softmax(net.reshape(x, (height * width, channels)))]
    last = net.log_softmax(net.dense(x, int(draw.integers(2, 300))))
    further = net.conv(outputs[0], 3)
    outputs += [net.log_softmax(y) for y in _rescaled(net, draw, x)]
    return net.flatbuffer([last, further, *outputs])


def _rescaled(net: Net, draw: np.random.Generator, x: int) -> list[int]:
    """The map in many scales."""
    net.calibrated = False
    found = []
    for scale in np.geomspace(2.0**-10, 15.9, 9) * draw.uniform(0.7, 1, 9):
        y = net.tensor(net.shape(x), float(scale))
        net.operator(BUILTIN.QUANTIZE, OPTIONS.QuantizeOptions, schema.QuantizeOptionsT(), [x], y)
        found.append(y)
    return found


def sequence(seed: int) -> bytes:
    """1-D convolutions over [1, W, C], with a gate of the whole sequence."""
    net, draw = Net(seed, calibrated=True), np.random.default_rng(seed)
    width, channels = (int(n) for n in draw.integers((20, 1), (60, 7)))
    x = net.expand_dims(net.input((width, channels)), 1)
    x = net.conv(x, 6, (1, 5), (1, 2))
    x = net.depthwise(x, (1, 3), 1)
    gate = net.conv(mean(net, x, (1, 2), keep=True), 6, 1)
    x = pair(net, "MUL", x, gate, net.shape(x))
    x = net.pad(net.pool(x, "max", (1, 2), (1, 2)), 0, 0, 1, 2)
    y = net.conv(x, 6, (1, 3), act="none", dilation=(1, 2))
    x = net.concat([net.add(x, y), net.conv(x, 3, (1, 1))])
    return net.flatbuffer([net.dense(x, 4), net.softmax(net.reshape(x, net.shape(x)[1:]))])


def as_uint8(content: bytes, seed: int) -> bytes:
    """An int8 network made one of uint8: values 128 more; weights of one scale and any zero point."""
    draw = np.random.default_rng(seed)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content), 0))
    (graph,) = model.subgraphs
    for tensor in graph.tensors:
        if tensor.type == schema.TensorType.INT8:
            tensor.type = schema.TensorType.UINT8
            tensor.quantization.zeroPoint = tensor.quantization.zeroPoint + 128
            if model.buffers[tensor.buffer].data is not None:
                model.buffers[tensor.buffer].data = model.buffers[tensor.buffer].data ^ np.uint8(128)
    for op in graph.operators:
        if len(op.inputs) == 3:
            source, weights, bias = (graph.tensors[i].quantization for i in op.inputs)
            weights.scale = np.float32([weights.scale.mean()])
            weights.zeroPoint = draw.integers(100, 160, 1)
            bias.scale, bias.zeroPoint = source.scale * weights.scale, np.zeros(1, np.int64)
    return packed(model)


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def bytewise(seed: int) -> bytes:
    """A network quantised to uint8, with averages that end in halves."""
    net, draw = Net(seed, calibrated=True), np.random.default_rng(seed)
    x = net.conv(net.input((11, 9, 3)), 6, 3, 2, act="relu6")
    x = net.depthwise(x, (3, 2), 1, act="none", multiple=int(draw.integers(1, 3)))
    y = net.conv(x, 5, 1, act="none")
    x = net.pool(net.add(net.conv(y, 5, 3, act="none", dilation=2), y), "avg", 2, 1, same=True)
    x = net.pool(net.concat([net.conv(x, 4, 3), net.conv(x, 2, 1)]), "max", 2, 2)
    whole = net.pool(x, "avg", net.shape(x)[:2], 1)
    scores = net.softmax(net.dense(net.reshape(whole, (6,)), 4))
    return as_uint8(net.flatbuffer([scores, net.dense(x, 3), net.mean(x)]), seed)


def streaming(seed: int) -> bytes:
    """Two states: rows before the frame, read by a convolution that pads them; and what is made of them."""
    net, draw = Net(seed), np.random.default_rng(seed)
    width, channels = (int(n) for n in draw.integers(1, 5, 2))
    x = net.input((3, width, channels))
    frames, read_rows = _remembered(net, x, 2, "rows")
    y = net.conv(frames, 5, (5, width), same=False, act="none")
    deep, _ = _remembered(net, y, 3, "deep/rows")
    scores = net.dense(net.depthwise(deep, (4, 1), same=False), 3)
    side = net.dense(net.mean(net.conv(read_rows, 4, 3)), 2)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(net.flatbuffer([scores, side])), 0))
    for code in (BUILTIN.VAR_HANDLE, BUILTIN.ASSIGN_VARIABLE, BUILTIN.READ_VARIABLE, BUILTIN.CALL_ONCE):
        if code not in net.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = code
            entry.deprecatedBuiltinCode, entry.version = 127, 1
            model.operatorCodes.append(entry)
    (graph,) = model.subgraphs
    begin = schema.SubGraphT()
    begin.name, begin.inputs, begin.outputs = b"begin", np.zeros(0, np.int32), np.zeros(0, np.int32)
    begin.tensors, begin.operators = [], []
    numbers = [entry.builtinCode for entry in model.operatorCodes]
    for op in [op for op in graph.operators if numbers[op.opcodeIndex] == BUILTIN.READ_VARIABLE]:
        value = copy.deepcopy(graph.tensors[op.outputs[0]])
        buffer = schema.BufferT()
        buffer.data = draw.integers(0, 256, int(np.prod(value.shape))).astype(np.uint8)
        model.buffers.append(buffer)
        value.buffer = len(model.buffers) - 1
        made = next(one for one in graph.operators if op.inputs[0] in one.outputs)
        handle, assign = copy.deepcopy(made), schema.OperatorT()
        place = len(begin.tensors)
        handle.outputs = np.array([place], np.int32)
        assign.opcodeIndex = numbers.index(BUILTIN.ASSIGN_VARIABLE)
        assign.inputs, assign.outputs = np.array([place, place + 1], np.int32), np.zeros(0, np.int32)
        begin.tensors += [copy.deepcopy(graph.tensors[op.inputs[0]]), value]
        begin.operators += [handle, assign]
    model.subgraphs.append(begin)
    once = schema.OperatorT()
    once.opcodeIndex = numbers.index(BUILTIN.CALL_ONCE)
    once.inputs = once.outputs = np.zeros(0, np.int32)
    once.builtinOptionsType, once.builtinOptions = OPTIONS.CallOnceOptions, schema.CallOnceOptionsT()
    once.builtinOptions.initSubgraphIndex = 1
    graph.operators.insert(0, once)
    return packed(model)


def _remembered(net: Net, x: int, rows: int, name: str) -> tuple[int, int]:
    """A map with so many rows of the frames before ahead of it; and those rows alone."""
    height, width, channels = net.shape(x)
    handle = net._tensor((), schema.TensorType.RESOURCE, 0, [], [])
    options = schema.VarHandleOptionsT()
    options.container, options.sharedName = b"", name.encode()
    net.operators_of(BUILTIN.VAR_HANDLE, OPTIONS.VarHandleOptions, options, [], [handle])
    read = net.like(x, (rows, width, channels))
    kind = OPTIONS.ReadVariableOptions
    net.operators_of(BUILTIN.READ_VARIABLE, kind, schema.ReadVariableOptionsT(), [handle], [read])
    whole = net.concat([read, x], 1)
    places = [(height, rows + height, 1), (0, width, 1), (0, channels, 1)]
    last = sliced(net, whole, places, (rows, width, channels))
    kind = OPTIONS.AssignVariableOptions
    net.operators_of(BUILTIN.ASSIGN_VARIABLE, kind, schema.AssignVariableOptionsT(), [handle, last], [])
    return whole, read


def inputs(seed: int) -> bytes:
    """A map, a vector and a lower map with scales of their own, joined behind a few layers."""
    net, draw = Net(seed, calibrated=True), np.random.default_rng(seed)
    shape = (int(draw.integers(4, 9)), int(draw.integers(3, 8)), int(draw.integers(1, 5)))
    first = net.input(shape, 0.05, 3)
    second = net.input((int(draw.integers(3, 12)),), 0.02, -5)
    third = net.input((1, int(draw.integers(2, 6)), 4), 0.03, 7)
    channels = int(draw.integers(3, 9))
    ends = [net.dense(net.mean(net.conv(first, channels, 3)), channels), net.dense(second, channels)]
    ends.append(net.dense(net.mean(third), channels))
    return net.flatbuffer(net.dense(net.concat(ends, 1), 4), [first, second, third])


def sequences(seed: int) -> bytes:
    """Two sequences side by side; the second one is read by two."""
    net, draw = Net(seed, calibrated=True), np.random.default_rng(seed)
    length = int(draw.integers(8, 20))
    first, second = net.input((1, length, 3), 0.04, -9), net.input((1, length, 2), 0.06, 11)
    x = net.add(net.conv(first, 6, (1, 3)), net.conv(second, 6, (1, 5)))
    return net.flatbuffer([net.dense(net.mean(x), 3), net.mean(second)], [first, second])


OPERATOR_NETS: dict[str, Callable[[int], bytes]] = {
    "pairs": pairs,
    "extremes": extremes,
    "moves": moves,
    "bilinear": bilinear,
    "turned": turned,
    "pixels": pixels,
    "logarithms": logarithms,
    "sequence": sequence,
    "bytewise": bytewise,
    "streaming": streaming,
    "inputs": inputs,
    "sequences": sequences,
}
