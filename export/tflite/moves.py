"""Operators that move values, checked; see :mod:`export.tflite.ops`.

RESIZE_NEAREST_NEIGHBOR, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK pick rows, columns and channels of their
input, RESIZE_BILINEAR mixes neighbours; TRANSPOSE changes the order of its sides. Rows can only be picked in
ascending order: they stream.
"""

import itertools
import math

import numpy as np

from export.tflite.file import MAX_RANK, Operator
from export.tflite.ops import Fields, Reader, sides
from export.tflite.quant_graph import Tensor

# Fractions of RESIZE_BILINEAR.
ONE = 1 << 10


def resize_nearest(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """RESIZE_NEAREST_NEIGHBOR."""
    reader.count(op, 2)
    source, options = reader.read(op), reader.options(op)
    reader.same_quantization(source, out)
    channels = resized(reader, op, source, out)
    picks = tuple(
        tuple(_nearest(n, m, options.alignCorners, options.halfPixelCenters))
        for n, m in zip(source.shape[:2], out.shape[:2], strict=True)
    )
    return {"kind": "select", "picks": (*picks, range(channels))}


def resized(reader: Reader, op: Operator, source: Tensor, out: Tensor) -> int:
    """The channels of a map that changes its height and width; shapes checked."""
    size = reader.file.integers(op.inputs[1]).reshape(-1).tolist()
    channels = reader.map_of(source)[2]
    if len(size) != 2 or (*size, channels) != reader.map_of(out):
        raise reader.fail(f"output is {list(out.shape)}, the operator gives {[*size[:MAX_RANK], channels]}")
    return channels


def _nearest(size: int, count: int, corners: bool, centers: bool) -> list[int]:
    """The place of which each of ``count`` is a copy; TFLite computes it in float32."""
    scale = np.float32(size - 1) / np.float32(count - 1) if corners and count > 1 else None
    scale = np.float32(size) / np.float32(count) if scale is None else scale
    real = (np.arange(count, dtype=np.float32) + np.float32(0.5 if centers else 0)) * scale
    whole = np.floor(real + np.float32(0.5)) if corners else np.floor(real)
    return np.clip(whole.astype(np.int64), 0, size - 1).tolist()  # type: ignore[no-any-return]


def resize_bilinear(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """RESIZE_BILINEAR, which TFLite computes of int8 with fractions of ten bits."""
    reader.count(op, 2)
    source, options = reader.read(op), reader.options(op)
    if reader.file.unsigned:
        raise reader.fail("not of uint8, which TFLite computes in float: convert with int8")
    reader.same_quantization(source, out)
    resized(reader, op, source, out)
    rows, columns = (
        _between(n, m, options.alignCorners, options.halfPixelCenters)
        for n, m in zip(source.shape[:2], out.shape[:2], strict=True)
    )
    return {"between": (rows, columns)}


def _between(size: int, count: int, corners: bool, centers: bool) -> tuple[tuple[int, int, int], ...]:
    """Of each of ``count`` the places before and behind it, and 2^10 times how far it is from the first."""
    if corners and count > 1:
        scale = (ONE * (size - 1) + (count - 1) // 2) // (count - 1)
    else:
        scale = (ONE * size + count // 2) // count
    found = []
    for place in range(count):
        at = place * scale + (scale // 2 - ONE // 2 if centers else 0)
        first = max(at // ONE, 0)
        found.append((first, min(max(-(-at // ONE), 0), size - 1), at - ONE * first))
    return tuple(found)


def split(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """SPLIT into equal parts, SPLIT_V into given ones: the output's."""
    reader.count(op, 2 if op.code == "SPLIT" else 3)
    source_at, axis_at = (1, 0) if op.code == "SPLIT" else (0, 2)
    source = reader.read(op, source_at)
    axis = _axis(reader, reader.file.integers(op.inputs[axis_at]), 1 + len(source.shape))
    length, parts = source.shape[axis], len(op.outputs)
    if op.code == "SPLIT":
        if length % parts:
            raise reader.fail(f"{parts} equal parts of {length}: convert the model again")
        sizes = [length // parts] * parts
    else:
        sizes = reader.file.integers(op.inputs[1]).reshape(-1).tolist()
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = length - sum(sizes) - 1
        if len(sizes) != parts or sum(sizes) != length or min(sizes) < 1:
            raise reader.fail(f"parts {sizes[:MAX_RANK]} of {length}: convert the model again")
    begin = sum(sizes[: op.outputs.index(out.index)])
    chosen = range(begin, begin + sizes[op.outputs.index(out.index)])
    return _picked(reader, source, out, {axis: chosen}, source_at, op)


def unpack(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """UNPACK along a side, which goes."""
    reader.count(op, 1)
    source = reader.read(op)
    axis = _axis(reader, np.array([reader.options(op).axis]), 1 + len(source.shape))
    if source.shape[axis] != len(op.outputs):
        raise reader.fail(f"{len(op.outputs)} outputs of {source.shape[axis]}: convert the model again")
    at = op.outputs.index(out.index)
    return _picked(reader, source, out, {axis: range(at, at + 1)}, 0, op, frozenset([axis]))


def pack(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """PACK along the first side behind the batch, which is new."""
    axis = int(reader.options(op).axis)
    rank = 1 + len(out.shape)
    sources = [reader.read(op, i) for i in range(len(op.inputs))]
    if axis + (rank if axis < 0 else 0) != 1:
        raise reader.fail(f"axis {axis}: only the first side behind the batch can be packed")
    for source in sources:
        reader.same_quantization(source, out)
    if any((len(sources), *source.shape) != out.shape for source in sources):
        raise reader.fail(f"output is {list(out.shape)}, inputs {[list(source.shape) for source in sources]}")
    return {"axis": 0, "inputs": op.inputs}


def strided_slice(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """STRIDED_SLICE of an activation: the batch whole, rows and columns and channels from begin to end."""
    reader.count(op, 4)
    source, options = reader.read(op), reader.options(op)
    if options.ellipsisMask or options.newAxisMask or options.offset:
        raise reader.fail("an ellipsis, a new axis or an offset is not supported")
    shape = (1, *source.shape)
    begins, ends, steps = (reader.file.integers(op.inputs[i]).reshape(-1).tolist() for i in (1, 2, 3))
    if not len(begins) == len(ends) == len(steps) <= len(shape):
        raise reader.fail(f"begin, end and strides do not fit {len(shape)} sides")
    chosen: dict[int, range] = {}
    gone = set()
    for side, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        bit, length = 1 << side, shape[side]
        if step == 0:
            raise reader.fail("a stride of 0")
        if options.shrinkAxisMask & bit:
            place = range(length)[begin : begin + 1 or None] if -length <= begin < length else range(0)
            gone.add(side - 1)
        else:
            first = None if options.beginMask & bit else begin
            last = None if options.endMask & bit else end
            place = range(length)[first:last:step]
        if len(place) == 0 or (side == 0 and (len(place) != 1 or side - 1 in gone)):
            raise reader.fail(f"side {side}: nothing, or the batch, is cut away")
        chosen[side - 1] = place
    chosen.pop(-1, None)
    return _picked(reader, source, out, chosen, 0, op, frozenset(gone))


def _picked(
    reader: Reader,
    source: Tensor,
    out: Tensor,
    chosen: dict[int, range],
    place: int,
    op: Operator,
    gone: frozenset[int] = frozenset(),
) -> Fields:
    """What is chosen of each side of ``source``; sides that are ``gone`` are left out of the output."""
    reader.same_quantization(source, out)
    shape = tuple(len(chosen.get(i, range(n))) for i, n in enumerate(source.shape) if i not in gone)
    if shape != out.shape:
        raise reader.fail(f"output is {list(out.shape)}, the operator gives {list(shape)}")
    ahead = 3 - len(source.shape)
    picks = [range(1)] * ahead + [chosen.get(i, range(n)) for i, n in enumerate(source.shape)]
    rows = list(picks[0])
    kept = tuple(map(len, picks))
    if rows != sorted(rows):
        raise reader.fail("rows in descending order: rows stream, turn the image before it comes")
    if kept != sides(out):
        raise reader.fail(f"a side of {list(source.shape)} behind the rows goes: slice, and reshape then")
    return {"kind": "select", "inputs": (op.inputs[place],), "picks": tuple(picks)}


def _axis(reader: Reader, found: np.ndarray, rank: int) -> int:
    """A side of :attr:`Tensor.shape`, from one of the batched shape."""
    axes = found.reshape(-1).tolist()
    axis = axes[0] + (rank if axes[0] < 0 else 0) if len(axes) == 1 else 0
    if not 0 < axis < rank:
        raise reader.fail(f"axis {axes[:MAX_RANK]} of {rank}: the batch is one")
    return int(axis) - 1


def transpose(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """TRANSPOSE; one that moves only sides of one keeps the bytes."""
    reader.count(op, 2)
    source = reader.read(op)
    reader.same_quantization(source, out)
    order = reader.file.integers(op.inputs[1]).reshape(-1).tolist()
    rank = 1 + len(source.shape)
    order = [side + (rank if side < 0 else 0) for side in order[: rank + 1]]
    if sorted(order) != list(range(rank)) or order[0] != 0:
        raise reader.fail(f"order {order} of {rank} sides: the batch must stay first")
    if tuple(source.shape[side - 1] for side in order[1:]) != out.shape:
        raise reader.fail(f"output is {list(out.shape)}, input {list(source.shape)} in order {order}")
    moved = [side for side in order[1:] if source.shape[side - 1] > 1]
    if moved == sorted(moved):
        return {"kind": "reshape"}
    steps = [0] * (rank - 1)
    for place, side in enumerate(order[1:]):
        steps[side - 1] = math.prod(out.shape[place + 1 :])
    return {"kind": "transpose", "steps": (*itertools.repeat(0, 4 - rank), *steps)}
