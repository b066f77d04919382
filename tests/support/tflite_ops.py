"""TFLite models of one int8 operator, written straight into the flatbuffer, and their reference outputs.

No converter is involved, so scales, zero points and shapes may be as extreme as the format allows.
"""

import dataclasses
import math
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU6 = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
)
TYPES = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}
VERSIONS = {"FULLY_CONNECTED": 4, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "QUANTIZE": 2, "RELU_N1_TO_1": 1}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the model; `data` makes it a constant, an array as `scale` is one per channel of `axis`."""

    shape: tuple[int, ...]
    scale: Any = None
    zero_point: int = 0
    dtype: str = "int8"
    data: np.ndarray | None = None
    axis: int = 0


def model(operator: str, options: Any, inputs: list[Tensor], output: Tensor) -> bytes:
    """The flatbuffer of a model with one operator; inputs without data are the model's inputs."""
    m = schema.ModelT()
    m.version, m.description = 3, b"one operator"
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, operator)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = VERSIONS.get(operator, 2)
    m.operatorCodes, m.buffers = [code], [schema.BufferT()]
    tensors = []
    for index, one in enumerate([*inputs, output]):
        t = schema.TensorT()
        t.name, t.shape, t.type = f"t{index}".encode(), list(one.shape), TYPES[one.dtype]
        t.buffer = 0
        if one.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(one.data).tobytes(), np.uint8)
            m.buffers.append(buffer)
            t.buffer = len(m.buffers) - 1
        if one.scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(one.scale, np.float32))
            q.zeroPoint = np.full(q.scale.shape, one.zero_point, np.int64)
            q.quantizedDimension = one.axis
            t.quantization = q
        tensors.append(t)
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = 0, list(range(len(inputs))), [len(inputs)]
    if options is not None:
        op.builtinOptions = options
        op.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.name = tensors, [op], b"main"
    graph.inputs = [i for i, one in enumerate(inputs) if one.data is None]
    graph.outputs = [len(inputs)]
    m.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(m.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def reference(content: bytes, values: list[np.ndarray]) -> np.ndarray:
    """The output of TFLite's reference kernels (BUILTIN_REF)."""
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def fixed_point(scale: float) -> tuple[int, int]:
    """scale = multiplier * 2^(shift - 31): multiplier in 2^30..2^31-1, or (0, 0) below 2^-32."""
    if scale == 0:
        return 0, 0
    mantissa, shift = math.frexp(scale)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def double_point(scale: float) -> tuple[int, int, int]:
    """scale = (multiplier + fraction * 2^-22) * 2^(shift - 31), every bit of the double."""
    mantissa, shift = math.frexp(scale)
    whole = int(mantissa * 2**53)
    return (0, 0, 0) if shift < -31 else (whole >> 22, whole & (2**22 - 1), shift)


def activation_range(activation: int, scale: float, zero_point: int) -> tuple[int, int]:
    """Bounds of a fused activation in int8 units of the output."""
    low = max(-128, zero_point) if activation in (RELU, RELU6) else -128
    six = zero_point + math.floor(np.float32(6.0) / np.float32(scale) + 0.5)
    return low, min(127, six) if activation == RELU6 else 127
