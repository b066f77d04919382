"""Operators that change a shape and keep the bytes, and the int32 arithmetic converters put ahead of them."""

import math

import numpy as np

from export.tflite.file import MAX_RANK, Operator
from export.tflite.ops import Fields, Reader
from export.tflite.quant_graph import Tensor

# Operators that compute the shape of a later RESHAPE.
ARITHMETIC = ("SHAPE", "STRIDED_SLICE", "PACK")


def reshape(reader: Reader, op: Operator, out: Tensor, sizes: list[int]) -> Fields:
    """RESHAPE, EXPAND_DIMS, SQUEEZE to ``sizes``, batch first; -1 stands for what is left."""
    source = reader.read(op)
    known = math.prod(n for n in sizes if n != -1)
    if sizes.count(-1) == 1 and known > 0:
        sizes = [source.size // known if n == -1 else n for n in sizes]
    if source.size != out.size or math.prod(sizes) != out.size:
        raise reader.fail(f"{source.size} elements cannot become {sizes}")
    if sizes != [1, *out.shape]:
        raise reader.fail(f"output is {[1, *out.shape]}, the operator gives {sizes}")
    reader.same_quantization(source, out)
    return {}


def target(reader: Reader, op: Operator, producer: dict[int, Operator]) -> tuple[list[int], list[Operator]]:
    """The shape ``op`` asks for, and the operators that compute it."""
    source = reader.read(op)
    used: list[Operator] = []
    if op.code == "RESHAPE":
        reader.count(op, 1, 2)
        if len(op.inputs) == 2:
            values = _integers(reader, op.inputs[1], op.index, producer, used)
        elif op.options is None or op.options.newShape is None:
            raise reader.fail("the shape is missing: convert the model again")
        else:
            values = np.asarray(op.options.newShape)
        if values.ndim != 1 or len(values) > MAX_RANK:
            raise reader.fail(f"the shape is no list of up to {MAX_RANK} sides")
        return values.tolist(), used
    sizes = [1, *source.shape]
    if op.code == "EXPAND_DIMS":
        reader.count(op, 2)
        axis = reader.file.integers(op.inputs[1]).reshape(-1).tolist()
        if len(axis) != 1 or not -len(sizes) - 1 <= axis[0] <= len(sizes):
            raise reader.fail(f"axis {axis[:MAX_RANK]} of {len(sizes)} sides")
        sizes.insert(axis[0] + (len(sizes) + 1 if axis[0] < 0 else 0), 1)
        return sizes, used
    reader.count(op, 1)
    dims = reader.options(op).squeezeDims
    dims = [] if dims is None else [int(d) for d in dims[: MAX_RANK + 1]]
    if len(dims) > MAX_RANK or any(not -len(sizes) <= d < len(sizes) for d in dims):
        raise reader.fail(f"axes {dims} of {len(sizes)} sides")
    removed = {d % len(sizes) for d in dims} or {i for i, n in enumerate(sizes) if n == 1}
    if any(sizes[d] != 1 for d in removed):
        raise reader.fail(f"axes {dims} of shape {sizes} are not all 1")
    return [n for i, n in enumerate(sizes) if i not in removed], used


def _integers(
    reader: Reader, tensor: int, before: int, producer: dict[int, Operator], used: list[Operator]
) -> np.ndarray:
    """An int32 tensor that is constant or follows from shapes; operators it takes are added to ``used``."""
    op = producer.get(tensor)
    if op is None:
        return reader.file.constant(tensor, "int32")
    if op.index >= before or op.code not in ARITHMETIC or len(used) > 64:
        raise reader.fail(f"tensor {tensor}, a shape, is computed by {op.title}, which is not supported")
    made = reader.file.raw(tensor)
    if made.dtype != "int32" or made.data is not None or not op.inputs:
        raise reader.fail(f"tensor {tensor}, a shape, is {made.dtype}, needs int32")
    used.append(op)
    if op.code == "SHAPE":
        if op.inputs[0] not in reader.tensors:
            raise reader.fail(
                f"tensor {op.inputs[0]}, whose shape is read, is not computed by an earlier operator"
            )
        return np.array([1, *reader.tensors[op.inputs[0]].shape], np.int32)
    values = [_integers(reader, i, op.index, producer, used) for i in op.inputs]
    options = reader.options(op)
    if op.code == "PACK":
        if (
            any(v.ndim != 0 for v in values)
            or options.axis not in (0, -1)
            or options.valuesCount != len(values)
        ):
            raise reader.fail(f"{op.title} does not pack single numbers")
        return np.array(values, np.int32)
    masks = (options.beginMask, options.endMask, options.shrinkAxisMask)
    if len(values) != 4 or [v.ndim for v in values] != [1] * 4 or any(len(v) != 1 for v in values[1:]):
        raise reader.fail(f"{op.title} does not slice a shape")
    if options.ellipsisMask or options.newAxisMask or options.offset or max(masks) > 1 or min(masks) < 0:
        raise reader.fail(f"{op.title} slices in a way that is not supported")
    sides, begin, end, stride = values[0], *(int(v[0]) for v in values[1:])
    if options.shrinkAxisMask:
        if not -len(sides) <= begin < len(sides) or stride != 1 or options.beginMask:
            raise reader.fail(f"{op.title} takes side {begin} of {len(sides)}")
        return sides[begin]
    if stride < 1:
        raise reader.fail(f"{op.title} has stride {stride}")
    return sides[None if options.beginMask else begin : None if options.endMask else end : stride]
