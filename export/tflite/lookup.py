"""Operators of one int8 value as tables: out = table[in + 128].

The table is what TFLite's reference kernels give for each of the 256 values, run in a flatbuffer
of that one operator at the same scales; no formula of ours stands between.
"""

import math
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np

from export.tflite.file import Operator
from export.tflite.interpreter import ReferenceInterpreter, schema
from export.tflite.ops import Fields, Reader
from export.tflite.quant_graph import Tensor
from loggrad_tf.errors import LogGradError

# 255 << 20 fits 32 bits, in which the reference shifts.
MAX_RATIO = 2.0**20
SCALES = (2.0**-30, 2.0**30)


def unary(reader: Reader, op: Operator, out: Tensor) -> Fields:
    """RELU, LOGISTIC, QUANTIZE and others of one input."""
    reader.count(op, 1)
    source = reader.read(op)
    if source.shape != out.shape:
        raise reader.fail(f"shape {list(source.shape)} becomes {list(out.shape)}")
    ratio = source.scale / out.scale
    options = None
    if op.code == "LEAKY_RELU":
        options = reader.options(op)
        if not math.isfinite(options.alpha):
            raise reader.fail(f"alpha {options.alpha}: must be a finite number")
        ratio *= max(1.0, abs(options.alpha))
    return {"table": table(reader, op, [source, out], ratio, options)}


def scalar(reader: Reader, op: Operator, out: Tensor, ratio: float, constant: tuple[int, int]) -> Fields:
    """MUL or ADD with a constant of one value: tensor index and value, at its place among the operands."""
    index, value = constant
    fixed = Tensor(index, "constant", (1,), *reader.file.one_scale(index))
    place = op.inputs.index(index)
    operands = [reader.read(op, 1 - place)]
    operands.insert(place, fixed)
    return {
        "kind": "lookup",
        "inputs": (op.inputs[1 - place],),
        "table": table(reader, op, [*operands, out], ratio, op.options, {place: value}),
    }


def table(
    reader: Reader,
    op: Operator,
    tensors: list[Tensor],
    ratio: float,
    options: Any,
    constants: dict[int, int] | None = None,
) -> np.ndarray:
    """int8 [256] of one operator; ``tensors``: operands, then output; ``ratio``: its largest scale."""
    scales = [tensor.scale for tensor in tensors]
    if ratio > MAX_RATIO or min(scales) < SCALES[0] or max(scales) > SCALES[1]:
        raise reader.fail(f"scales {', '.join(f'{s:g}' for s in scales)} are too far apart")
    content = _flatbuffer(op.code, options, tensors, constants or {})
    values = np.arange(-128, 128).astype(np.int8)
    try:
        return ReferenceInterpreter(content).run(values[None])[0]
    except LogGradError as error:
        raise reader.fail(str(error)) from None


def _flatbuffer(code: str, options: Any, tensors: list[Tensor], constants: dict[int, int]) -> bytes:
    """A model of one operator on [1, 256]; ``constants`` are values by operand."""
    graph = schema.SubGraphT()
    model = schema.ModelT()
    model.buffers, graph.tensors = [schema.BufferT()], []
    for place, tensor in enumerate(tensors):
        made = schema.TensorT()
        made.name, made.type, made.buffer = f"t{place}".encode(), schema.TensorType.INT8, 0
        made.shape = np.array([1, 256], np.int32)
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.array([tensor.scale], np.float32)
        made.quantization.zeroPoint = np.array([tensor.zero_point], np.int64)
        if place in constants:
            made.shape, made.buffer = np.array([1], np.int32), len(model.buffers)
            buffer = schema.BufferT()
            buffer.data = np.array([constants[place]], np.int8).view(np.uint8)
            model.buffers.append(buffer)
        graph.tensors.append(made)
    entry = schema.OperatorCodeT()
    entry.builtinCode = getattr(schema.BuiltinOperator, code)
    entry.deprecatedBuiltinCode, entry.version = min(entry.builtinCode, 127), 1
    model.operatorCodes = [entry]
    operator = schema.OperatorT()
    operands = range(len(tensors) - 1)
    operator.inputs, operator.outputs = np.array(operands, np.int32), np.array([len(operands)], np.int32)
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    graph.operators, graph.name = [operator], b"main"
    graph.inputs = np.array([i for i in operands if i not in constants], np.int32)
    graph.outputs = operator.outputs
    model.version, model.subgraphs = 3, [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
