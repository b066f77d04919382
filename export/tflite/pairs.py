"""Operators of two operands that broadcast, checked; see :mod:`export.tflite.ops`.

ADD, SUB, MUL, MAXIMUM, MINIMUM and PRELU of two activations, or of one and a constant. A side of one is
repeated along the output's; missing sides come first, as TFLite has them. A constant of one value makes a
table (:mod:`export.tflite.lookup`).
"""

import numpy as np

from export.tflite.file import Operator
from export.tflite.lookup import scalar
from export.tflite.ops import ACCUMULATOR_MAX, Fields, Reader
from export.tflite.quant_graph import Operand, Scale, Tensor

ADD_SHIFT = 20
# 255 times 255.
_LARGEST_PRODUCT = 255**2


def constant_place(reader: Reader, op: Operator) -> int | None:
    """The place of the constant among two operands, None if there is none."""
    reader.count(op, 2)
    constants = [
        i for i, index in enumerate(op.inputs) if index >= 0 and reader.file.raw(index).data is not None
    ]
    if len(constants) == 2:
        raise reader.fail("both operands are constants: convert the model again")
    for i in range(2):
        if i not in constants:
            reader.read(op, i)
    return constants[0] if constants else None


def sum_scales(reader: Reader, op: Operator, out: Tensor) -> tuple[float, list[Scale]]:
    """The scale that both operands are brought to, twice the larger one; and those of a, b and the sum."""
    a, b = (reader.file.one_scale(index)[0] for index in op.inputs)
    twice = 2 * max(a, b)
    scales = [a / twice, b / twice, twice / (2**ADD_SHIFT * out.scale)]
    if scales[2] >= 1:
        raise reader.fail("output scale is too small for the sum of its inputs")
    return twice, [reader.fixed(scale) for scale in scales]


def added(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """ADD and SUB."""
    place = constant_place(reader, op)
    twice, scales = sum_scales(reader, op, out)
    fields = {"kind": "sum" if op.code == "ADD" else "difference", "scales": tuple(scales)}
    clamp = reader.clamp(reader.options(op).fusedActivationFunction, out)
    return _pair(reader, op, out, place, twice / out.scale, fields | clamp)


def product(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """MUL."""
    place = constant_place(reader, op)
    a, b = (reader.file.one_scale(index)[0] for index in op.inputs)
    ratio = float32_ratio(a, b, out)
    scale = reader.fixed(ratio)
    if _LARGEST_PRODUCT << max(scale.shift, 0) > ACCUMULATOR_MAX:
        raise reader.fail("products times their scale leave 32 bits: the output scale is too small")
    clamp = reader.clamp(reader.options(op).fusedActivationFunction, out)
    return _pair(reader, op, out, place, ratio, {"kind": "product", "scales": (scale,)} | clamp)


def extreme(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """MAXIMUM and MINIMUM: of the bytes, so all three must mean the same."""
    place = constant_place(reader, op)
    quantization = {reader.file.one_scale(index) for index in (*op.inputs, out.index)}
    if len(quantization) != 1:
        raise reader.fail("inputs and output must have one scale and zero point: convert the model again")
    return _pair(reader, op, out, place, 1.0, {"kind": op.code.lower()})


def prelu(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """PRELU: alpha, the second operand, times what is below zero."""
    place = constant_place(reader, op)
    if place == 0:
        raise reader.fail("the input is a constant: convert the model again")
    source, alpha = (reader.file.one_scale(index)[0] for index in op.inputs)
    scales = (reader.fixed(float32_ratio(source, 1.0, out)), reader.fixed(float32_ratio(source, alpha, out)))
    reaches = (255, _LARGEST_PRODUCT)
    if any(reach << max(s.shift, 0) > ACCUMULATOR_MAX for reach, s in zip(reaches, scales, strict=True)):
        raise reader.fail("values times their scale leave 32 bits: the output scale is too small")
    ratio = source * max(1.0, alpha) / out.scale
    return _pair(reader, op, out, place, ratio, {"kind": "prelu", "scales": scales})


def float32_ratio(a: float, b: float, out: Tensor) -> float:
    """a b / out, which TFLite multiplies and divides in float32 for products."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(a) * np.float32(b) / np.float32(out.scale))


def _pair(
    reader: Reader, op: Operator, out: Tensor, place: int | None, ratio: float, fields: Fields
) -> Fields:
    """The operands, broadcast; or the table that one value makes of them.

    Args:
      place: of the constant.
      ratio: the largest scale of the operator.
    """
    shapes = [reader.file.raw(index).shape for index in op.inputs]
    if place is not None:
        values = reader.file.constant(op.inputs[place], "int8")
        if values.size == 1:
            return scalar(reader, op, out, ratio, (op.inputs[place], int(values.reshape(-1)[0])))
    operands = []
    for i, index in enumerate(op.inputs):
        shape = shapes[i] if i == place else (1, *reader.read(op, i).shape)
        sides = (1,) * (1 + len(out.shape) - len(shape)) + shape
        fits = all(n in (1, m) for n, m in zip(sides, (1, *out.shape), strict=False))
        if len(sides) != 1 + len(out.shape) or not fits:
            raise reader.fail(
                f"shapes {list(shapes[0])} and {list(shapes[1])} do not broadcast to {[1, *out.shape]}"
            )
        whole = ((1,) * 4 + sides[1:])[-3:]
        constant = reader.file.constant(index, "int8").reshape(whole) if i == place else None
        operands.append(Operand((whole[0], whole[1], whole[2]), reader.file.one_scale(index)[1], constant))
    return fields | {
        "inputs": tuple(index for i, index in enumerate(op.inputs) if i != place),
        "operands": tuple(operands),
    }
