"""A .tflite flatbuffer read into a frozen graph of int8 operators.

:mod:`export.tflite.file` reads the container; :mod:`export.tflite.ops`, :mod:`export.tflite.elementwise`,
:mod:`export.tflite.lookup` and :mod:`export.tflite.shapes` check one operator each; this module walks the
operators.

It refuses, naming all operators and their indices, whatever the kernels cannot do exactly: other
types, batches, operators. It never guesses: a graph that comes out of :func:`load`
computes what the TFLite reference kernels compute, on int8. Conversions of float32 or uint8 at
the model's edges are left out: the graph begins and ends with the int8 tensors behind them. A network
quantised to uint8 is read as the int8 one whose values and zero points are 128 less.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from export.tflite import shapes as tflite_shapes
from export.tflite import state as tflite_state
from export.tflite.file import MAX_FILE_BYTES, Operator, TfliteFile
from export.tflite.interpreter import schema
from export.tflite.operators import KNOWN, supported
from export.tflite.ops import Reader
from export.tflite.quant_graph import Op, QuantGraph
from loggrad_tf.errors import LogGradError

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_EDGE_TYPES = ("float32", "uint8")
_REPRESENTATIVE = "with tf.lite.TFLiteConverter, Optimize.DEFAULT and a representative_dataset"
# Networks of another arithmetic, and what to do about them.
_OTHER_TYPES = {
    "float": f"a float32 network: quantise it to int8, {_REPRESENTATIVE}",
    "hybrid": "a hybrid network, of int8 weights and float32 activations (dynamic range quantisation):"
    f" convert it again {_REPRESENTATIVE}, so that activations are int8, too",
    "int16": "a network of int16 activations (16x8 quantisation): convert it again to int8, with"
    " OpsSet.TFLITE_BUILTINS_INT8",
}
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
        self._check_types()
        self.file.unsigned = self._is_unsigned()
        parts = self._parts() if len(self.file.inputs) > 1 else []
        source = self.file.count if parts else self._source()
        results = tuple(dict.fromkeys(self._result(tensor) for tensor in self.file.outputs))
        self.file.at = f"{self.file.where}: input tensor"
        if not parts:
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
        joined = self.file.inputs if parts else ()
        return QuantGraph(
            self.reader.tensors,
            (*parts, *ops),
            source,
            first,
            sha256,
            tuple(others),
            unsigned,
            states,
            joined,
        )

    def _check_types(self) -> None:
        """Refuse a network all of whose layers are of one kind that is not int8, by what that kind is."""
        kinds = set()
        for op in self.file.operators:
            self.at(op)
            if op.code in _WEIGHTED and len(op.inputs) > 1 and min(op.inputs[:2]) >= 0:
                kinds.add(self._type_of(*(self.file.raw(index).dtype for index in op.inputs[:2])))
        if len(kinds) == 1 and kinds < _OTHER_TYPES.keys():
            raise LogGradError(f"{self.file.where}: {_OTHER_TYPES[kinds.pop()]}")

    @staticmethod
    def _type_of(values: str, weights: str) -> str:
        if values == "int16":
            return "int16"
        if values != "float32":
            return ""
        return "float" if weights in ("float32", "float16") else "hybrid"

    def _is_unsigned(self) -> bool:
        """Have layers inputs and weights of uint8?"""
        for op in self.file.operators:
            self.at(op)
            if op.code in _WEIGHTED and len(op.inputs) > 1 and min(op.inputs[:2]) >= 0:
                return {self.file.raw(index).dtype for index in op.inputs[:2]} == {"uint8"}
        return False

    def _producers(self) -> dict[int, Operator]:
        """Operator by the tensor it writes. Every tensor is written once."""
        producer: dict[int, Operator] = {}
        for op in self.file.operators:
            self.at(op)
            known = KNOWN.get(op.code)
            one = len(op.outputs) == 1 or (known and known.parts and op.outputs)
            if known and not (op.inputs and one):
                raise self.file.fail(f"{len(op.inputs)} inputs and {len(op.outputs)} outputs")
            for tensor in op.outputs:
                if tensor in producer or tensor in self.file.inputs:
                    raise self.file.fail(f"tensor {tensor} is written twice")
                producer[tensor] = op
        return producer

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
                if op.code not in KNOWN:
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
            if any("is float32" in one for one in refused):
                text += "; what computes in float32 must be quantised with the rest, or be cut off the model"
            if any(one.endswith(": not supported") for one in refused):
                text += f"; supported are {supported()}"
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

    def _parts(self) -> list[Op]:
        """What cuts the row of all inputs into them, whole tensors one behind the other.

        The row is a tensor behind those of the file, and so is each piece before it has its shape.
        """
        file, row = self.file, self.file.count
        file.at = f"{file.where}: inputs"
        if len(set(file.inputs)) < len(file.inputs):
            raise file.fail("one tensor is two of them")
        if file.unsigned:
            raise file.fail("several of uint8: convert with int8")
        found: list[Op] = []
        end = 0
        for place, index in enumerate(file.inputs):
            if not any(index in op.inputs for op in file.operators):
                raise file.fail(f"nothing reads tensor {index}: remove it")
            tensor = self.reader.tensors[index] = file.activation(index)
            begin, end = end, end + tensor.size
            piece = dataclasses.replace(tensor, index=row + 1 + place, shape=(tensor.size,))
            self.reader.tensors[piece.index] = piece
            number = len(file.operators) + place
            picks = (range(1), range(1), range(begin, end))
            found.append(Op(number, "select", (row,), piece.index, picks=picks))
            found.append(Op(number, "reshape", (piece.index,), index))
        first = self.reader.tensors[file.inputs[0]]
        self.reader.tensors[row] = dataclasses.replace(first, index=row, name="inputs", shape=(end,))
        return found

    def _source(self) -> int:
        """The int8 tensor the graph begins with: the model's input, or what a QUANTIZE makes of it."""
        (source,) = self.file.inputs
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
        if op is not None and op.code == "ARG_MAX" and tensor.dtype in ("int32", "int64"):
            return self._chosen(op)
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

    def _chosen(self, op: Operator) -> int:
        """The scores of which the model ends with the place of the largest: net_class finds it."""
        self.at(op)
        self.reader.count(op, 2)
        scores = self.file.activation(op.inputs[0])
        axis = self.file.integers(op.inputs[1]).reshape(-1).tolist()
        if scores.size != scores.shape[-1] or axis not in ([-1], [len(scores.shape)]) or scores.size < 2:
            raise self.file.fail("only over the channels of one vector: end the model with its scores")
        if len(self.file.outputs) > 1:
            raise self.file.fail("only as the one output: end the model with its scores")
        self.done.add(op.index)
        return scores.index

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
        if op.code in KNOWN and KNOWN[op.code].joins:
            return op.inputs
        return op.inputs[1:2] if op.code == "SPLIT" else op.inputs[:1]

    def _operator(self, op: Operator, tensor: int) -> Op:
        """What makes one of the operator's outputs."""
        self.done.add(op.index)
        fields: dict[str, Any] = {"kind": "reshape", "inputs": op.inputs[:1]}
        out = self.file.activation(tensor)
        known = KNOWN[op.code]
        if known.build is None:
            sizes, used = tflite_shapes.target(self.reader, op, self.producer)
            fields |= tflite_shapes.reshape(self.reader, op, out, sizes)
            self.done |= {one.index for one in used}
        else:
            fields["kind"] = known.kind
            if op.code == "ADD":
                fields["inputs"] = op.inputs
            fields |= known.build(self.reader, op, out)
        self.reader.tensors[out.index] = out
        return Op(index=op.index, output=out.index, part=op.outputs.index(tensor), **fields)
