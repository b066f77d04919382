"""Operators that work value by value or only move values, checked; see :mod:`export.tflite.ops`."""

import numpy as np

from export.tflite import pairs
from export.tflite.file import MAX_SIDE, Operator
from export.tflite.lookup import scalar
from export.tflite.ops import ACCUMULATOR_MAX, Fields, Reader
from export.tflite.quant_graph import Tensor


def _plain_constant(reader: Reader, op: Operator, out: Tensor, place: int) -> np.ndarray | None:
    """int8 values of a constant operand: one, one per channel, or one per element; None if it broadcasts."""
    values = reader.file.constant(op.inputs[place], "int8")
    shape = values.shape
    trimmed = shape[next((i for i, n in enumerate(shape) if n != 1), len(shape)) :]
    whole = (1,) * (len(out.shape) - len(trimmed)) + trimmed
    plain = values.size == 1 or trimmed == out.shape[-1:] or whole == out.shape
    same = reader.read(op, 1 - place).shape == out.shape and len(shape) <= len(out.shape) + 1
    return values.reshape(-1) if plain and same else None


def add(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """Of two activations, or of one and a constant."""
    options, place = reader.options(op), pairs.constant_place(reader, op)
    if place is None:
        if any(reader.read(op, i).shape != out.shape for i in range(2)):
            return pairs.added(reader, op, out)
        scales = tuple(pairs.sum_scales(reader, op, out)[1])
        return {"scales": scales} | reader.clamp(options.fusedActivationFunction, out)
    values = _plain_constant(reader, op, out, place)
    if values is None:
        return pairs.added(reader, op, out)
    twice, fixed = pairs.sum_scales(reader, op, out)
    if values.size == 1:
        return scalar(reader, op, out, twice / out.scale, (op.inputs[place], int(values[0])))
    if place == 0:
        fixed[:2] = fixed[1], fixed[0]
    return {
        "kind": "add_constant",
        "inputs": (op.inputs[1 - place],),
        "scales": tuple(fixed),
        "constant": values,
        "value": reader.file.one_scale(op.inputs[place])[1],
    } | reader.clamp(options.fusedActivationFunction, out)


def mul(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """Of two activations, or of one and a constant."""
    options, place = reader.options(op), pairs.constant_place(reader, op)
    values = None if place is None else _plain_constant(reader, op, out, place)
    if place is None or values is None:
        return pairs.product(reader, op, out)
    (a, _), (b, point) = (reader.file.one_scale(op.inputs[i]) for i in (1 - place, place))
    ratio = pairs.float32_ratio(a, b, out)
    clamp = reader.clamp(options.fusedActivationFunction, out)
    if values.size == 1:
        return scalar(reader, op, out, ratio, (op.inputs[place], int(values[0])))
    constant = values.astype(np.int16) - np.int16(point)
    scale = reader.fixed(ratio)
    if 255 * int(np.abs(constant).max()) << max(scale.shift, 0) > ACCUMULATOR_MAX:
        raise reader.fail("products times their scale leave 32 bits: the output scale is too small")
    return {
        "kind": "mul",
        "inputs": (op.inputs[1 - place],),
        "constant": constant,
        "scales": (scale,),
    } | clamp


def concat(reader: Reader, op: Operator, out: Tensor) -> Fields:
    options = reader.options(op)
    if options.fusedActivationFunction != 0:
        raise reader.fail("a fused activation is not supported")
    sources = [reader.read(op, i) for i in range(len(op.inputs))]
    rank = len(out.shape) + 1
    axis = int(options.axis) + (rank if options.axis < 0 else 0) - 1
    if not 0 <= axis < len(out.shape):
        raise reader.fail(f"axis {options.axis} of {rank}: the batch cannot grow")
    for source in sources:
        reader.same_quantization(source, out)
    shapes = [list(source.shape) for source in sources]
    grown = list(out.shape)
    grown[axis] = sum(shape[axis] for shape in shapes if len(shape) == len(grown))
    if any(shape[:axis] + shape[axis + 1 :] != grown[:axis] + grown[axis + 1 :] for shape in shapes):
        raise reader.fail(f"shapes {shapes} do not fit along axis {axis + 1}")
    if tuple(grown) != out.shape:
        raise reader.fail(f"output is {list(out.shape)}, inputs give {grown}")
    return {"axis": axis, "inputs": op.inputs}


def pad(reader: Reader, op: Operator, out: Tensor) -> Fields:
    reader.count(op, 2, 3)
    source = reader.read(op)
    pads = reader.file.integers(op.inputs[1])
    shape = (1, *reader.map_of(source))
    if pads.shape != (4, 2) or pads.min() < 0 or pads.max() > MAX_SIDE:
        raise reader.fail(f"pad amounts of shape {list(pads.shape)}, needs [4, 2] from 0 to {MAX_SIDE}")
    grown = tuple(int(n + p.sum()) for n, p in zip(shape, pads, strict=True))
    if grown != (1, *out.shape):
        raise reader.fail(f"output is {list(out.shape)}, input and pads give {list(grown)}")
    reader.same_quantization(source, out)
    value = out.zero_point
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        given = reader.file.constant(op.inputs[2], "int8").reshape(-1)
        if len(given) != 1 or reader.file.one_scale(op.inputs[2]) != (out.scale, out.zero_point):
            raise reader.fail("the pad value must be one number of the output's scale and zero point")
        value = int(given[0])
    return {"before": tuple(int(p) for p in pads[1:, 0]), "value": value}
