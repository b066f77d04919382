"""Operators that work value by value or only move values, checked; see :mod:`export.tflite.ops`."""

import math

import numpy as np

from export.tflite.file import MAX_SIDE, Operator
from export.tflite.lookup import scalar
from export.tflite.ops import ACCUMULATOR_MAX, Fields, Reader
from export.tflite.quant_graph import INT8_MIN, Tensor

ADD_SHIFT = 20


def _operands(reader: Reader, op: Operator, out: Tensor) -> int | None:
    """The place of the constant among two operands, None if there is none; shapes checked."""
    reader.count(op, 2)
    constants = [
        i for i, index in enumerate(op.inputs) if index >= 0 and reader.file.raw(index).data is not None
    ]
    if len(constants) == 2:
        raise reader.fail("both operands are constants: convert the model again")
    place = constants[0] if constants else None
    sources = [reader.read(op, i) for i in range(2) if i != place]
    if any(source.shape != out.shape for source in sources):
        shapes = " and ".join(str(list(source.shape)) for source in sources)
        raise reader.fail(f"shapes {shapes} become {list(out.shape)}: broadcasting is not supported")
    return place


def _constant(reader: Reader, index: int, out: Tensor) -> np.ndarray:
    """int8 values of a constant operand: one, one per channel, or one per element."""
    values = reader.file.constant(index, "int8")
    shape = values.shape
    trimmed = shape[next((i for i, n in enumerate(shape) if n != 1), len(shape)) :]
    whole = (1,) * (len(out.shape) - len(trimmed)) + trimmed
    fits = values.size == 1 or trimmed == out.shape[-1:] or whole == out.shape
    if len(shape) > len(out.shape) + 1 or not fits:
        raise reader.fail(
            f"constant of shape {list(shape)}, needs one value, one per channel or one per element of"
            f" {list(out.shape)}"
        )
    return values.reshape(-1)


def add(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """Of two activations, or of one and a constant."""
    options, place = reader.options(op), _operands(reader, op, out)
    quantization = [reader.file.one_scale(index) for index in op.inputs]
    (a, _), (b, _) = quantization
    twice = 2 * max(a, b)
    scales = [a / twice, b / twice, twice / (2**ADD_SHIFT * out.scale)]
    if scales[2] >= 1:
        raise reader.fail("output scale is too small for the sum of its inputs")
    clamp = reader.clamp(options.fusedActivationFunction, out)
    if place is None:
        return {"scales": tuple(reader.fixed(s) for s in scales)} | clamp
    values = _constant(reader, op.inputs[place], out)
    if values.size == 1:
        return scalar(reader, op, out, twice / out.scale, (op.inputs[place], int(values[0])))
    if place == 0:
        scales[:2] = scales[1], scales[0]
    return {
        "kind": "add_constant",
        "inputs": (op.inputs[1 - place],),
        "scales": tuple(reader.fixed(s) for s in scales),
        "constant": values,
        "value": quantization[place][1],
    } | clamp


def mul(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """By a constant."""
    options, place = reader.options(op), _operands(reader, op, out)
    if place is None:
        raise reader.fail("the product of two activations is not supported: one factor must be a constant")
    (a, _), (b, point) = (reader.file.one_scale(op.inputs[i]) for i in (1 - place, place))
    values = _constant(reader, op.inputs[place], out)
    with np.errstate(over="ignore", under="ignore"):  # TFLite multiplies and divides in float32 here
        ratio = float(np.float32(a) * np.float32(b) / np.float32(out.scale))
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


def softmax(reader: Reader, op: Operator, out: Tensor) -> Fields:
    reader.count(op, 1)
    source = reader.read(op)
    if source.shape != out.shape or out.size != out.shape[-1]:
        raise reader.fail(f"shape {list(source.shape)}: softmax over one vector is supported")
    if (out.scale, out.zero_point) != (1 / 256, INT8_MIN):
        raise reader.fail("output must have scale 1/256 and zero point -128")
    beta = np.float32(reader.options(op).beta)
    if not np.isfinite(beta) or beta <= 0:
        raise reader.fail(f"beta {beta}: must be a positive number")
    # table[255 - v] = exp(-scale beta v), each step in float32 as the reference does.
    with np.errstate(over="ignore"):
        steps = -(np.float32(source.scale) * beta) * np.arange(256, dtype=np.float32)
    if not np.all(np.isfinite(steps)):
        raise reader.fail(f"beta {beta} times scale {source.scale:g} is too large")
    values = [math.exp(float(step)) for step in steps[::-1]]
    return {"table": np.array(values, np.float32)}
