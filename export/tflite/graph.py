"""A .tflite flatbuffer read into a frozen graph of int8 operators.

:mod:`export.tflite.file` reads the container; :mod:`export.tflite.ops`, :mod:`export.tflite.elementwise`,
:mod:`export.tflite.lookup` and :mod:`export.tflite.shapes` check one operator each; this module walks the
operators.

It refuses, naming the operator and its index, whatever the kernels cannot do exactly: other
types, batches, broadcasts, operators. It never guesses: a graph that comes out of :func:`load`
computes what the TFLite reference kernels compute, on int8. Conversions of float32 or uint8 at
the model's edges are left out: the graph begins and ends with the int8 tensors behind them.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export.tflite import elementwise as tflite_elementwise
from export.tflite import lookup as tflite_lookup
from export.tflite import moves as tflite_moves
from export.tflite import ops as tflite_ops
from export.tflite import pairs as tflite_pairs
from export.tflite import shapes as tflite_shapes
from export.tflite import state as tflite_state
from export.tflite.file import MAX_FILE_BYTES, Operator, TfliteFile
from export.tflite.interpreter import schema
from export.tflite.ops import Fields, Reader
from export.tflite.quant_graph import Op, QuantGraph, Tensor
from loggrad_tf.errors import LogGradError

_Build = Callable[[Reader, Operator, Tensor], Fields]
_KINDS: dict[str, tuple[str, _Build]] = {
    "CONV_2D": ("conv", tflite_ops.convolution),
    "DEPTHWISE_CONV_2D": ("depthwise", tflite_ops.convolution),
    "FULLY_CONNECTED": ("dense", tflite_ops.dense),
    "MAX_POOL_2D": ("max_pool", tflite_ops.pool),
    "AVERAGE_POOL_2D": ("avg_pool", tflite_ops.pool),
    "MEAN": ("mean", tflite_ops.mean),
    "ADD": ("add", tflite_elementwise.add),
    "MUL": ("mul", tflite_elementwise.mul),
    "SUB": ("difference", tflite_pairs.added),
    "MAXIMUM": ("maximum", tflite_pairs.extreme),
    "MINIMUM": ("minimum", tflite_pairs.extreme),
    "PRELU": ("prelu", tflite_pairs.prelu),
    "CONCATENATION": ("concat", tflite_elementwise.concat),
    "PAD": ("pad", tflite_elementwise.pad),
    "PADV2": ("pad", tflite_elementwise.pad),
    "SOFTMAX": ("softmax", tflite_elementwise.softmax),
    "RELU": ("lookup", tflite_lookup.unary),
    "RELU6": ("lookup", tflite_lookup.unary),
    "RELU_N1_TO_1": ("lookup", tflite_lookup.unary),
    "LEAKY_RELU": ("lookup", tflite_lookup.unary),
    "HARD_SWISH": ("lookup", tflite_lookup.unary),
    "LOGISTIC": ("lookup", tflite_lookup.unary),
    "TANH": ("lookup", tflite_lookup.unary),
    "QUANTIZE": ("lookup", tflite_lookup.unary),
    "RESIZE_NEAREST_NEIGHBOR": ("select", tflite_moves.resize_nearest),
    "RESIZE_BILINEAR": ("bilinear", tflite_moves.resize_bilinear),
    "STRIDED_SLICE": ("select", tflite_moves.strided_slice),
    "SPLIT": ("select", tflite_moves.split),
    "SPLIT_V": ("select", tflite_moves.split),
    "UNPACK": ("select", tflite_moves.unpack),
    "TRANSPOSE": ("transpose", tflite_moves.transpose),
}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_RESHAPES = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
# Operators all of whose inputs are activations or may be.
_ALL_INPUTS = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU", "CONCATENATION")
# Operators of several outputs.
_PARTED = ("SPLIT", "SPLIT_V", "UNPACK")
_EDGE_TYPES = ("float32", "uint8")
# Refusals that one message lists.
MAX_LISTED = 20


def load(path: Path) -> QuantGraph:
    """Read and check one file.

    Raises:
      LogGradError: not a TFLite file, damaged, or holding something the kernels cannot do.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise LogGradError(f"{path}: {path.stat().st_size} B is more than the {MAX_FILE_BYTES} B accepted")
    return parse(path.read_bytes(), str(path))


def parse(data: bytes, where: str = "model") -> QuantGraph:
    """As :func:`load`, from bytes; ``where`` names the source in errors."""
    if len(data) > MAX_FILE_BYTES:
        raise LogGradError(f"{where}: {len(data)} B is more than the {MAX_FILE_BYTES} B accepted")
    if len(data) < 16 or not schema.Model.ModelBufferHasIdentifier(data, 0):
        raise LogGradError(f"{where}: not a TFLite file (no TFL3 mark): give a .tflite")
    file = None
    try:
        file = TfliteFile(data, where)
        return _Walk(file).graph(hashlib.sha256(data).hexdigest())
    except LogGradError:
        raise
    except Exception as error:  # the flatbuffer classes follow offsets of the file and may fail anywhere
        at = where if file is None else file.at
        reason = " ".join(str(error).split())[:120]
        raise LogGradError(
            f"{at}: damaged TFLite file ({type(error).__name__}: {reason}): convert the model again"
        ) from error


class _Walk:
    def __init__(self, file: TfliteFile) -> None:
        self.file = file
        self.reader = Reader(file)
        self.producer = self._producers()
        self.done: set[int] = set()
        # The operator that makes the graph's first tensor.
        self.first = -1
        # Tensors of operators that were refused and of what reads them.
        self.unknown: set[int] = set()

    def at(self, op: Operator) -> None:
        self.file.at = f"{self.file.where}: {op.title}"

    def graph(self, sha256: str) -> QuantGraph:
        self.file.unsigned = self._is_unsigned()
        source = self._source()
        results = tuple(dict.fromkeys(self._result(tensor) for tensor in self.file.outputs))
        self.file.at = f"{self.file.where}: input tensor"
        self.reader.tensors[source] = self.file.activation(source)
        states = tflite_state.read_states(self.reader)
        needed, tensors = self._needed(
            {source, *(s.read for s in states)}, [*results, *(s.written for s in states)]
        )
        if needed and needed[0].index < self.first:
            self.at(needed[0])
            raise self.file.fail(f"stands ahead of operator {self.first}, which converts the input")
        ops = self._operators(needed, tensors)
        tflite_state.check_written(self.reader, states)
        self.done |= {op.index for op in self.file.operators if op.code in tflite_state.CODES}
        if not ops or not self.reader.tensors.keys() >= set(results):
            raise LogGradError(f"{self.file.where}: the output tensor is not computed by any operator")
        for op in self.file.operators:
            if op.index not in self.done:
                self.at(op)
                raise self.file.fail("nothing of the output depends on it: remove it")
        self.file.check_tensors()
        first, *others = results
        unsigned = self.file.unsigned
        return QuantGraph(
            self.reader.tensors, tuple(ops), source, first, sha256, tuple(others), unsigned, states
        )

    def _is_unsigned(self) -> bool:
        """Have layers inputs and weights of uint8?"""
        for op in self.file.operators:
            self.at(op)
            if op.code in _WEIGHTED and len(op.inputs) > 1:
                return {self.file.raw(index).dtype for index in op.inputs[:2]} == {"uint8"}
        return False

    def _producers(self) -> dict[int, Operator]:
        """Operator by the tensor it writes. Every tensor is written once."""
        producer: dict[int, Operator] = {}
        for op in self.file.operators:
            self.at(op)
            known = op.code in _KINDS or op.code in _RESHAPES
            if known and (len(op.inputs) < 1 or len(op.outputs) < 1 or not self._parts(op)):
                raise self.file.fail(f"{len(op.inputs)} inputs and {len(op.outputs)} outputs")
            for tensor in op.outputs:
                if tensor in producer or tensor == self.file.input:
                    raise self.file.fail(f"tensor {tensor} is written twice")
                producer[tensor] = op
        return producer

    @staticmethod
    def _parts(op: Operator) -> bool:
        return len(op.outputs) == 1 or op.code in _PARTED

    def _operators(self, needed: list[Operator], tensors: set[int]) -> list[Op]:
        """All that is needed, ready to be emitted.

        Raises:
          LogGradError: names every operator that is refused, but for those that read what one of them makes.
        """
        made: list[Op] = []
        refused: list[str] = []
        for op in needed:
            self.at(op)
            if not self.unknown.isdisjoint(op.inputs):
                self.unknown |= set(op.outputs)
                self.done.add(op.index)
                continue
            try:
                if op.code == "DEQUANTIZE":
                    raise self.file.fail("only supported at the end of the model")
                if op.code not in _KINDS and op.code not in _RESHAPES:
                    raise self.file.fail("not supported")
                parts = [self._operator(op, tensor) for tensor in op.outputs if tensor in tensors]
            except LogGradError as error:
                refused.append(str(error).removeprefix(f"{self.file.where}: "))
                self._go_on(op)
            else:
                made += parts
        if refused:
            more = [f"and {len(refused) - MAX_LISTED} more"] if len(refused) > MAX_LISTED else []
            text = "; ".join([*refused[:MAX_LISTED], *more])
            if any(one.endswith(": not supported") for one in refused):
                text += f"; supported are {', '.join([*_KINDS, *_RESHAPES])}"
            raise LogGradError(f"{self.file.where}: {text}")
        return made

    def _go_on(self, op: Operator) -> None:
        """Behind an operator that was refused: its outputs as the file has them, for what reads them."""
        self.done.add(op.index)
        for tensor in op.outputs:
            try:
                self.reader.tensors[tensor] = self.file.activation(tensor)
            except LogGradError:
                self.unknown.add(tensor)

    def _source(self) -> int:
        """The int8 tensor the graph begins with: the model's input, or what a QUANTIZE makes of it."""
        source = self.file.input
        self.file.at = f"{self.file.where}: input tensor"
        tensor = self.file.raw(source)
        readers = [op for op in self.file.operators if source in op.inputs]
        if tensor.dtype not in _EDGE_TYPES or tensor.dtype == self.file.value_type or not readers:
            return source
        for op in readers:
            self.at(op)
            if op.code != "QUANTIZE" or len(op.inputs) != 1 or len(readers) > 1:
                raise self.file.fail(
                    f"input tensor {source} is {tensor.dtype}, needs int8 or one QUANTIZE as its only reader"
                )
        made = self.file.raw(readers[0].outputs[0])
        if made.shape != tensor.shape or made.dtype != self.file.value_type or tensor.data is not None:
            raise self.file.fail(
                f"{tensor.dtype} {list(tensor.shape)} becomes {made.dtype} {list(made.shape)}"
            )
        self.first = readers[0].index
        self.done.add(self.first)
        return made.index

    def _result(self, result: int) -> int:
        """The int8 tensor behind an output of the model: itself, or what is converted to it last."""
        self.file.at = f"{self.file.where}: output tensor"
        tensor = self.file.raw(result)
        op = self.producer.get(result)
        edges = op is not None and op.code in ("QUANTIZE", "DEQUANTIZE") and tensor.dtype in _EDGE_TYPES
        if op is None or not edges or tensor.dtype == self.file.value_type:
            return result
        self.at(op)
        before = self.file.raw(op.inputs[0])
        if (
            len(op.inputs) != 1
            or before.shape != tensor.shape
            or before.dtype != self.file.value_type
            or tensor.data is not None
        ):
            raise self.file.fail(
                f"{before.dtype} {list(before.shape)} becomes {tensor.dtype} {list(tensor.shape)}"
            )
        self.file.one_scale(before.index)
        if op.code == "QUANTIZE" and len(self.file.quantization(result)[0]) != 1:
            raise self.file.fail(f"tensor {result} needs one scale")
        maker = self.producer.get(before.index)
        if maker is not None and maker.index > op.index:
            raise self.file.fail(f"input tensor {before.index} is not computed by an earlier operator")
        self.done.add(op.index)
        return before.index

    def _needed(self, given: set[int], results: list[int]) -> tuple[list[Operator], set[int]]:
        """Operators that the results depend on through data, in file order, and tensors that they depend on.

        Args:
          given: tensors that no operator needs to make.
        """
        needed: dict[int, Operator] = {}
        tensors: set[int] = set()
        pending = [*results]
        while pending:
            tensor = pending.pop()
            op = self.producer.get(tensor)
            if tensor in given or op is None or tensor in tensors:
                continue
            tensors.add(tensor)
            if op.index not in needed:
                needed[op.index] = op
                pending += self._data(op)
        return [needed[index] for index in sorted(needed)], tensors

    @staticmethod
    def _data(op: Operator) -> tuple[int, ...]:
        """Inputs that hold data, in contrast to weights and sizes."""
        if op.code in _ALL_INPUTS:
            return op.inputs
        return op.inputs[1:2] if op.code == "SPLIT" else op.inputs[:1]

    def _operator(self, op: Operator, tensor: int) -> Op:
        """What makes one of the operator's outputs."""
        self.done.add(op.index)
        fields: dict[str, Any] = {"kind": "reshape", "inputs": op.inputs[:1]}
        out = self.file.activation(tensor)
        if op.code in _RESHAPES:
            sizes, used = tflite_shapes.target(self.reader, op, self.producer)
            fields |= tflite_shapes.reshape(self.reader, op, out, sizes)
            self.done |= {one.index for one in used}
        else:
            fields["kind"], build = _KINDS[op.code]
            if op.code == "ADD":
                fields["inputs"] = op.inputs
            fields |= build(self.reader, op, out)
        self.reader.tensors[out.index] = out
        return Op(index=op.index, output=out.index, part=op.outputs.index(tensor), **fields)
