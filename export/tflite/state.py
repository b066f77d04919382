"""Streaming state: VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE and CALL_ONCE, checked.

A variable is read at one place, as if it were a second input, and assigned at a later one. It begins as the
constant that the subgraph of CALL_ONCE assigns.
"""

import numpy as np

from export.tflite.file import Operator, TfliteFile
from export.tflite.ops import Reader, sides
from export.tflite.quant_graph import State, Tensor

HANDLE, READ, ASSIGN, ONCE = CODES = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE")


def read_states(reader: Reader) -> tuple[State, ...]:
    """The variables, in the order in which they are read; their tensors become known to ``reader``.

    Raises:
      LogGradError: a variable is not begun, read once and assigned once, in this order.
    """
    file = reader.file
    names = _names(file)
    begun = _begun(reader)
    written: dict[str, Operator] = {}
    for op in _of(file, ASSIGN, 2, 0):
        name = _name(reader, names, op)
        if name in written:
            raise reader.fail(f"variable {name} is assigned twice: assign it once")
        written[name] = op
    found: dict[str, State] = {}
    for op in _of(file, READ, 1, 1):
        name = _name(reader, names, op)
        later = written.get(name)
        if name in found or later is None or later.index < op.index:
            raise reader.fail(f"variable {name} must be read once, and assigned behind that")
        tensor = file.activation(op.outputs[0])
        if name not in begun or begun[name].size != tensor.size:
            raise reader.fail(f"variable {name} is not begun as {tensor.size} values by a CALL_ONCE")
        reader.tensors[tensor.index] = tensor
        found[name] = State(tensor.index, later.inputs[1], begun[name])
    for name, op in written.items():
        if name not in found:
            file.at = f"{file.where}: {op.title}"
            raise reader.fail(f"variable {name} is never read: remove it")
    return tuple(found.values())


def check_written(reader: Reader, states: tuple[State, ...]) -> None:
    """What is assigned must be computed, and of the variable's size and meaning."""
    for state in states:
        reader.file.at = f"{reader.file.where}: tensor {state.written}, which is assigned"
        made: Tensor | None = reader.tensors.get(state.written)
        if made is None or state.written in {one.read for one in states}:
            raise reader.fail("is not computed from the input")
        if sides(made) != sides(reader.tensors[state.read]):
            raise reader.fail(f"is {list(made.shape)}, the variable {list(reader.tensors[state.read].shape)}")
        reader.same_quantization(made, reader.tensors[state.read])


def _of(file: TfliteFile, code: str, inputs: int, outputs: int) -> list[Operator]:
    """The operators of one code; ``file`` says in errors that it reads the last of them."""
    found = [op for op in file.operators if op.code == code]
    for op in found:
        file.at = f"{file.where}: {op.title}"
        if (len(op.inputs), len(op.outputs)) != (inputs, outputs):
            raise file.fail(f"{len(op.inputs)} inputs and {len(op.outputs)} outputs")
    return found


def _names(file: TfliteFile) -> dict[int, str]:
    """The variable by the tensor of its handle."""
    found = {}
    for op in _of(file, HANDLE, 0, 1):
        if op.options is None:
            raise file.fail("options are missing: convert the model again")
        found[op.outputs[0]] = f"{op.options.container!r}/{op.options.sharedName!r}"
    return found


def _name(reader: Reader, names: dict[int, str], op: Operator) -> str:
    reader.file.at = f"{reader.file.where}: {op.title}"
    if op.inputs[0] not in names:
        raise reader.fail(f"input {op.inputs[0]} is no VAR_HANDLE's: convert the model again")
    return names[op.inputs[0]]


def _begun(reader: Reader) -> dict[str, np.ndarray]:
    """What the variables begin as: int8, flat."""
    found: dict[str, np.ndarray] = {}
    for op in _of(reader.file, ONCE, 0, 0):
        inner = reader.file.subgraph(int(reader.options(op).initSubgraphIndex))
        names = _names(inner)
        for one in inner.operators:
            inner.at = f"{inner.where}: {one.title}"
            if one.code == HANDLE:
                continue
            if one.code != ASSIGN or len(one.inputs) != 2 or one.inputs[0] not in names:
                raise inner.fail("a CALL_ONCE may only assign constants to variables")
            found[names[one.inputs[0]]] = inner.constant(one.inputs[1], "int8").reshape(-1)
    return found
