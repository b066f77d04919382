"""The container of a .tflite file: operators and tensors, read lazily and checked before use.

The generated flatbuffer classes of ``ai_edge_litert`` follow the offsets of the file and check
nothing. Here vectors are counted before they are walked, so that no file, however its offsets
overlap, costs more than a few times its size. What a tensor may not be (sparse, variable, typed
otherwise than it is used, quantised with the wrong count of scales) is refused where it is read.
"""

import dataclasses
import math
import re
from typing import Any

import numpy as np

from export.tflite.interpreter import schema
from export.tflite.quant_graph import INT8_MAX, INT8_MIN, Tensor
from loggrad_tf.errors import LogGradError

MAX_FILE_BYTES = 64 << 20
MAX_SIDE = 65535
MAX_OPERATORS = 4096
MAX_TENSORS = 65536
# Inputs and outputs of all operators together.
MAX_LINKS = 1 << 18
MAX_RANK = 8
MAX_INPUTS, MAX_OUTPUTS = 8, 32
MAX_VERSION = 16
# Bytes read from the file, what is shared counted every time.
MAX_READ_BYTES = 2 * MAX_FILE_BYTES
SCALE_LIMITS = (1e-20, 1e20)
# From an int8 value to the uint8 one.
OFFSET = 128

_OPCODES = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
_TYPES = {v: k.lower() for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
_OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CALL_ONCE": "CallOnceOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "LOG_SOFTMAX": "LogSoftmaxOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "PACK": "PackOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SQUEEZE": "SqueezeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "UNPACK": "UnpackOptions",
    "VAR_HANDLE": "VarHandleOptions",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Operator:
    """One operator of the file. ``options`` is None if they are missing, of another type or not needed."""

    index: int
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any

    @property
    def title(self) -> str:
        return f"operator {self.index} ({self.code})"


@dataclasses.dataclass(frozen=True, eq=False)
class RawTensor:
    """One tensor of the file as it stands. ``data`` is None for what is computed."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int
    data: np.ndarray | None


class TfliteFile:
    """One subgraph of a few inputs and outputs; others only begin its variables.

    ``at`` says in errors what is being read; the reader of operators moves it. ``unsigned`` makes uint8
    tensors int8 ones: values and zero points less 128.
    """

    def __init__(self, data: bytes, where: str, place: int = 0) -> None:
        self.where = self.at = where
        self.unsigned = False
        self._content = data
        self._model = schema.Model.GetRootAs(bytearray(data), 0)
        self._tensors: dict[int, RawTensor] = {}
        self._read_bytes = 0
        if self._model.Version() != 3:
            raise self.fail(f"schema version {self._model.Version()}, 3 is supported")
        count = self._model.SubgraphsLength()
        if not 0 <= place < count:
            raise self.fail(f"{count} subgraphs, one is supported")
        self._sub = self._model.Subgraphs(place)
        if place == 0 and (
            not 1 <= self._sub.InputsLength() <= MAX_INPUTS
            or not 1 <= self._sub.OutputsLength() <= MAX_OUTPUTS
        ):
            raise self.fail(
                f"{self._sub.InputsLength()} inputs, {self._sub.OutputsLength()} outputs: needs 1 to"
                f" {MAX_INPUTS} inputs and 1 to {MAX_OUTPUTS} outputs"
            )
        if self._sub.OperatorsLength() > MAX_OPERATORS or self._sub.TensorsLength() > MAX_TENSORS:
            raise self.fail(
                f"{self._sub.OperatorsLength()} operators, {self._sub.TensorsLength()} tensors:"
                f" at most {MAX_OPERATORS} and {MAX_TENSORS}"
            )
        self.inputs = tuple(int(self._sub.Inputs(i)) for i in range(self._sub.InputsLength()))
        self.count = int(self._sub.TensorsLength())
        self.outputs = tuple(int(self._sub.Outputs(i)) for i in range(self._sub.OutputsLength()))
        self._links = 0
        self.operators = [self._operator(index) for index in range(self._sub.OperatorsLength())]
        if place == 0 and count > 1 and not any(op.code == "CALL_ONCE" for op in self.operators):
            self.at = where
            raise self.fail(f"{count} subgraphs, one is supported")

    def subgraph(self, place: int) -> "TfliteFile":
        """Another one."""
        if place == 0:
            raise self.fail("a subgraph that calls itself")
        return TfliteFile(self._content, f"{self.where}: subgraph {place}", place)

    def fail(self, reason: str) -> LogGradError:
        return LogGradError(f"{self.at}: {reason}")

    def _operator(self, index: int) -> Operator:
        self.at = f"{self.where}: operator {index}"
        packed = self._sub.Operators(index)
        self._links += packed.InputsLength() + packed.OutputsLength()
        if self._links > MAX_LINKS:
            raise self.fail(f"more than {MAX_LINKS} inputs and outputs")
        inputs = tuple(int(packed.Inputs(i)) for i in range(packed.InputsLength()))
        outputs = tuple(int(packed.Outputs(i)) for i in range(packed.OutputsLength()))
        code = self._opcode(packed.OpcodeIndex())
        for tensor in (*inputs, *outputs):
            if not -1 <= tensor < self._sub.TensorsLength():
                self.at = f"{self.where}: operator {index} ({code})"
                raise self.fail(f"tensor {tensor} does not exist (the file has {self._sub.TensorsLength()})")
        return Operator(index, code, inputs, outputs, _options(code, packed))

    def _spend(self, count: int) -> None:
        self._read_bytes += count
        if self._read_bytes > MAX_READ_BYTES:
            raise self.fail(f"more than {MAX_READ_BYTES} B are read: too much of the file is shared")

    def _opcode(self, index: int) -> str:
        if not 0 <= index < self._model.OperatorCodesLength():
            raise self.fail(f"has code {index} of {self._model.OperatorCodesLength()}")
        entry = self._model.OperatorCodes(index)
        code = max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode())
        if code == schema.BuiltinOperator.CUSTOM:
            name = entry.CustomCode() or b""
            self._spend(len(name))
            return f"CUSTOM {_printable(name)}".strip()
        name = _OPCODES.get(code, f"UNKNOWN {code}")
        if not 1 <= entry.Version() <= MAX_VERSION:
            raise self.fail(f"version {entry.Version()} of {name}: 1 to {MAX_VERSION} are known")
        return name

    # Tensors

    def raw(self, index: int) -> RawTensor:
        """Tensor ``index``; the checks every use of a tensor needs."""
        if not 0 <= index < self._sub.TensorsLength():
            raise self.fail(f"tensor {index} does not exist (the file has {self._sub.TensorsLength()})")
        if index not in self._tensors:
            self._tensors[index] = self._raw(index, self._sub.Tensors(index))
        return self._tensors[index]

    def check_tensors(self) -> None:
        """What nothing reads must be whole, too: TFLite loads it all."""
        self.at = self.where
        for index in range(self._sub.TensorsLength()):
            self.raw(index)

    def _raw(self, index: int, packed: Any) -> RawTensor:
        for found, what in (
            (packed.Sparsity() is not None, "is sparse"),
            (packed.IsVariable(), "is a variable"),
            (packed.VariantTensorsLength() > 0, "is a variant"),
            (packed.ExternalBuffer() != 0, "lies in another file"),
        ):
            if found:
                raise self.fail(f"tensor {index} {what}, which is not supported")
        if packed.ShapeLength() > MAX_RANK:
            raise self.fail(f"tensor {index} has {packed.ShapeLength()} sides")
        scales, points, axis = self._quantization(index, packed)
        name = packed.Name() or b""
        self._spend(len(name))
        return RawTensor(
            index=index,
            name=_printable(name) or f"tensor_{index}",
            dtype=_TYPES.get(packed.Type(), "unknown"),
            shape=tuple(int(packed.Shape(i)) for i in range(packed.ShapeLength())),
            scales=scales,
            zero_points=points,
            axis=axis,
            data=self._data(index, packed.Buffer()),
        )

    def _quantization(self, index: int, packed: Any) -> tuple[np.ndarray, np.ndarray, int]:
        found = packed.Quantization()
        if found is None or found.ScaleLength() == 0:
            return np.zeros(0), np.zeros(0, np.int64), 0
        if found.DetailsType() != 0:
            raise self.fail(f"tensor {index} is quantised in a way that is not supported")
        count, sides = found.ScaleLength(), packed.ShapeLength()
        if found.ZeroPointLength() != count:
            raise self.fail(f"tensor {index} has {count} scales and {found.ZeroPointLength()} zero points")
        self._spend(12 * count)
        scales, points = found.ScaleAsNumpy().astype(np.float64), found.ZeroPointAsNumpy().astype(np.int64)
        # Of a vector, or of one scale, it says nothing.
        axis = 0 if sides == 1 or count == 1 else int(found.QuantizedDimension())
        if axis < 0 or axis >= max(sides, 1):
            raise self.fail(f"tensor {index} is quantised along axis {axis} of {sides}")
        if count != 1 and (sides == 0 or count != packed.Shape(axis)):
            raise self.fail(f"tensor {index} has {count} scales along axis {axis}")
        return scales, points, axis

    def _data(self, index: int, buffer: int) -> np.ndarray | None:
        if not 0 <= buffer < self._model.BuffersLength():
            raise self.fail(f"tensor {index} has buffer {buffer} of {self._model.BuffersLength()}")
        packed = self._model.Buffers(buffer)
        if packed.Offset() > 1 or packed.Size() > 1:
            raise self.fail(f"tensor {index} lies behind the flatbuffer, which is not supported")
        return packed.DataAsNumpy() if packed.DataLength() else None

    def constant(self, index: int, dtype: str) -> np.ndarray:
        """The values of a constant tensor."""
        tensor = self.raw(index)
        shifted = self.unsigned and dtype == "int8" and tensor.dtype == "uint8"
        if tensor.dtype != dtype and not shifted:
            raise self.fail(
                f"constant tensor {index} is {tensor.dtype}, needs {dtype}: quantise all of the model"
            )
        if tensor.data is None:
            raise self.fail(f"tensor {index} must be a constant of the file")
        shape = list(tensor.shape)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if min(shape, default=1) < 1 or len(tensor.data) != size:
            raise self.fail(
                f"tensor {index} of shape {shape} needs {size} B, the file holds {len(tensor.data)}"
            )
        self._spend(size)
        values = np.frombuffer(tensor.data.tobytes(), np.dtype(dtype).newbyteorder("<")).reshape(shape)
        return values ^ np.int8(-128) if shifted else values

    def integers(self, index: int) -> np.ndarray:
        """A constant of int32 or int64."""
        return self.constant(index, "int64" if self.raw(index).dtype == "int64" else "int32")

    def quantization(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Scales and zero points of a tensor that must have them."""
        tensor = self.raw(index)
        if len(tensor.scales) == 0:
            raise self.fail(f"tensor {index} is not quantised: quantise all of the model")
        if not np.all((tensor.scales > SCALE_LIMITS[0]) & (tensor.scales < SCALE_LIMITS[1])):
            raise self.fail(f"tensor {index} has a scale that is not a number between {SCALE_LIMITS}")
        shift = OFFSET if self.unsigned and tensor.dtype == "uint8" else 0
        return tensor.scales, tensor.zero_points - shift

    def one_scale(self, index: int) -> tuple[float, int]:
        """Scale and zero point of an int8 tensor quantised as a whole."""
        scale, point = self.quantization(index)
        if len(scale) != 1 or not INT8_MIN <= point[0] <= INT8_MAX:
            raise self.fail(f"tensor {index} needs one scale and one zero point from -128 to 127")
        return float(scale[0]), int(point[0])

    @property
    def value_type(self) -> str:
        """Of activations."""
        return "uint8" if self.unsigned else "int8"

    def activation(self, index: int) -> Tensor:
        """An int8 tensor that is computed, of batch 1."""
        tensor = self.raw(index)
        shape = list(tensor.shape)
        if tensor.dtype != self.value_type:
            raise self.fail(
                f"tensor {index} is {tensor.dtype}, needs int8: convert with int8 input and output"
            )
        if tensor.data is not None:
            raise self.fail(f"tensor {index} is a constant, needs to be computed")
        if len(shape) not in (2, 3, 4) or shape[0] != 1:
            raise self.fail(f"tensor {index} has shape {shape}, needs [1,N], [1,W,C] or [1,H,W,C]")
        if min(shape) < 1 or max(shape) > MAX_SIDE or math.prod(shape) > MAX_FILE_BYTES:
            raise self.fail(f"tensor {index} has shape {shape}: sides must be 1 to {MAX_SIDE}")
        return Tensor(index, tensor.name, tensor.shape[1:], *self.one_scale(index))


def _options(code: str, packed: Any) -> Any:
    kind, table = _OPTIONS.get(code), packed.BuiltinOptions()
    if kind is None or table is None or packed.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind):
        return None
    options = getattr(schema, kind)()
    options.Init(table.Bytes, table.Pos)
    return getattr(schema, kind + "T").InitFromObj(options)


def _printable(name: bytes) -> str:
    """A name from the file, safe in a message and in a C comment."""
    return re.sub(r"[^\w .:;/-]", "_", name[:200].decode("ascii", errors="replace"), flags=re.ASCII)
