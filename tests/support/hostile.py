"""Damaged and hostile flatbuffers, made from good ones by a seed: bytes changed, or parts of the model."""

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

WORDS = (0, 1, 2, 255, 65536, 2**31 - 1, 2**31, 2**32 - 1, 0x3F800000, 0x7F800000, 0x7FC00000, 0xBF800000)
SIDES = (0, 1, 2, 3, -1, 65535, 65536, 2**31 - 1, -(2**31))
SCALES = (0.0, -0.1, np.nan, np.inf, -np.inf, 1e-42, 1e-30, 1e-12, 1e12, 3e38, 0.5, 1 / 256)
POINTS = (0, 1, -128, 127, 128, -129, 2**31, -(2**63), 2**63 - 1)


def changed_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Up to four changes: bits, bytes, words, offsets swapped or copied, the end cut off."""
    made = bytearray(data)
    for _ in range(int(random.choice([1, 1, 2, 4]))):
        at, other = (int(x) for x in random.integers(0, len(made) - 4, 2))
        word, source = slice(at & ~3, (at & ~3) + 4), slice(other & ~3, (other & ~3) + 4)
        change = random.integers(7)
        if change == 0:
            made[at] ^= 1 << int(random.integers(8))
        elif change == 1:
            made[word] = int(random.choice(WORDS)).to_bytes(4, "little")
        elif change == 2:
            made[word], made[source] = made[source], made[word]
        elif change == 3:
            made[word] = made[source]
        elif change == 4:
            near = int.from_bytes(made[word], "little") + int(random.integers(-8, 9))
            made[word] = (near % 2**32).to_bytes(4, "little")
        elif change == 5:
            made[at & ~1 : (at & ~1) + 2] = int(random.choice([0, 2, 4, 8, 65535])).to_bytes(2, "little")
        elif random.integers(8) == 0 and at > 32:
            del made[at:]
    return bytes(made)


def changed_model(data: bytes, random: np.random.Generator) -> bytes:
    """One or two parts of the model replaced by what does not belong there."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
    for _ in range(int(random.choice([1, 1, 2]))):
        _CHANGES[int(random.integers(len(_CHANGES)))](model, random)
    return packed(model)


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _pick(items: Any, random: np.random.Generator) -> Any:
    return items[int(random.integers(len(items)))]


def _shape(model: Any, random: np.random.Generator) -> None:
    tensor = _pick(model.subgraphs[0].tensors, random)
    sides = np.atleast_1d(np.array(tensor.shape, np.int64)).tolist() if tensor.shape is not None else []
    change = random.integers(4)
    if change == 0 or not sides:
        sides.insert(int(random.integers(len(sides) + 1)), int(_pick(SIDES, random)))
    elif change == 1:
        del sides[int(random.integers(len(sides)))]
    elif change == 2:
        random.shuffle(sides)
    else:
        sides[int(random.integers(len(sides)))] = int(_pick(SIDES, random))
    tensor.shape = np.array(sides, np.int32)


def _type(model: Any, random: np.random.Generator) -> None:
    _pick(model.subgraphs[0].tensors, random).type = int(random.integers(0, 20))


def _buffer(model: Any, random: np.random.Generator) -> None:
    tensor = _pick(model.subgraphs[0].tensors, random)
    tensor.buffer = int(_pick([0, *range(len(model.buffers)), len(model.buffers), 2**31, 2**32 - 1], random))


def _data(model: Any, random: np.random.Generator) -> None:
    buffer = _pick(model.buffers, random)
    size = int(_pick([0, 1, 3, 4, 8, 64, 1000], random))
    change = random.integers(4)
    if change == 0 or buffer.data is None:
        buffer.data = random.integers(0, 256, size, np.uint8)
    elif change == 1:
        buffer.data = np.asarray(buffer.data, np.uint8)[:size]
    elif change == 2:
        buffer.data = np.full(len(buffer.data), _pick([0, 127, 128, 255], random), np.uint8)
    else:
        buffer.offset, buffer.size = int(_pick([0, 2, 100, 2**40], random)), size


def _quantisation(model: Any, random: np.random.Generator) -> None:
    tensor = _pick(model.subgraphs[0].tensors, random)
    found = tensor.quantization or schema.QuantizationParametersT()
    tensor.quantization = found
    scales = np.array([] if found.scale is None else found.scale, np.float32)
    points = np.array([] if found.zeroPoint is None else found.zeroPoint, np.int64)
    change = random.integers(7)
    place = int(random.integers(max(len(scales), 1)))
    with np.errstate(over="ignore"):
        if change == 0 and len(scales):
            scales[place] = np.float32(_pick(SCALES, random))
        elif change == 1 and len(scales):
            scales[place] *= np.float32(_pick([0.5, 2, 1000, 1e-3, 1e9], random))
    if change == 2 and len(points):
        points[min(place, len(points) - 1)] = _pick(POINTS, random)
    elif change == 3:
        count = int(random.integers(0, 4))
        scales, points = np.full(count, 0.1, np.float32), np.zeros(int(random.integers(0, 4)), np.int64)
    elif change == 4:
        found.quantizedDimension = int(_pick(SIDES, random))
    elif change == 5:
        points = points[:-1]
    elif change == 6:
        tensor.quantization = _pick([None, _pick(model.subgraphs[0].tensors, random).quantization], random)
        return
    found.scale, found.zeroPoint = scales, points


def _kind(model: Any, random: np.random.Generator) -> None:
    tensor = _pick(model.subgraphs[0].tensors, random)
    change = random.integers(3)
    if change == 0:
        tensor.isVariable = True
    elif change == 1:
        tensor.sparsity = schema.SparsityParametersT()
        tensor.sparsity.traversalOrder = np.array([0, 1], np.int32)
    else:
        tensor.shapeSignature = np.array([-1, 4], np.int32)


def _links(model: Any, random: np.random.Generator) -> None:
    graph = model.subgraphs[0]
    operator = _pick(graph.operators, random)
    inputs = np.array(operator.inputs).tolist()
    tensors = [-2, -1, len(graph.tensors), 2**31 - 1, *range(len(graph.tensors))]
    change = random.integers(6)
    if change == 0:
        inputs[int(random.integers(len(inputs)))] = _pick(tensors, random)
    elif change == 1:
        inputs.append(_pick(tensors, random))
    elif change == 2:
        inputs.pop()
    elif change == 3:
        random.shuffle(inputs)
    else:
        operator.outputs = np.array([_pick(tensors, random)] * int(random.choice([0, 1, 1, 2])), np.int32)
    operator.inputs = np.array(inputs, np.int32)


def _options(model: Any, random: np.random.Generator) -> None:
    operator = _pick(model.subgraphs[0].operators, random)
    other = _pick(model.subgraphs[0].operators, random)
    change = random.integers(4)
    numbers = [
        k for k, v in vars(operator.builtinOptions or object).items() if isinstance(v, bool | int | float)
    ]
    if change == 0:
        operator.builtinOptions, operator.builtinOptionsType = None, 0
    elif change == 1:
        operator.builtinOptions, operator.builtinOptionsType = other.builtinOptions, other.builtinOptionsType
    elif numbers:
        name = _pick(numbers, random)
        value = getattr(operator.builtinOptions, name)
        limited = isinstance(value, bool) or "adding" in name or "ctivation" in name or "ype" in name
        setattr(
            operator.builtinOptions, name, _pick((0, 1, 2, 3, 4, 5) if limited else (*SIDES, 2, 3), random)
        )


def _order(model: Any, random: np.random.Generator) -> None:
    graph = model.subgraphs[0]
    place, other = (int(x) for x in random.integers(0, len(graph.operators), 2))
    change = random.integers(4)
    if change == 0:
        graph.operators[place], graph.operators[other] = graph.operators[other], graph.operators[place]
    elif change == 1:
        graph.operators.insert(place, graph.operators[other])
    elif change == 2:
        del graph.operators[place]
    else:
        graph.operators[place].opcodeIndex = int(random.integers(0, len(model.operatorCodes) + 1))


def _codes(model: Any, random: np.random.Generator) -> None:
    code = _pick(model.operatorCodes, random)
    code.builtinCode = int(random.integers(0, 160))
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _interface(model: Any, random: np.random.Generator) -> None:
    graph = model.subgraphs[0]
    tensors = [-1, len(graph.tensors), *range(len(graph.tensors))]
    chosen = np.array([_pick(tensors, random)] * int(random.choice([0, 1, 1, 1, 2])), np.int32)
    change = random.integers(3)
    if change == 0:
        graph.inputs = chosen
    elif change == 1:
        graph.outputs = chosen
    else:
        model.subgraphs = [graph] * int(random.integers(0, 3))


_CHANGES: tuple[Callable[[Any, np.random.Generator], None], ...] = (
    *(_shape, _shape, _type, _buffer, _data, _quantisation, _quantisation, _kind),
    *(_links, _links, _options, _options, _order, _codes, _interface),
)
