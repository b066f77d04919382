"""A firmware project whose network runs on TensorFlow Lite Micro, in place of the generated C.

The API (``net.h``), ``main.c``, boards, line protocol and front end are those of every project; the
network is the flatbuffer itself, in flash, and an interpreter built from a checkout that the user names
(``-DTFLM_DIR``, see ``cmake/tflm.cmake``). The interpreter wants its whole input at once: the front end
writes row after row into the input tensor, and the last row starts the network.

What an interpreter needs cannot be known without its sources: the arena is a guess, or the user's. The image
says what it uses once it runs, and ``firmware.verify`` prints that.
"""

import numpy as np

from export.c import answer, emit, front
from export.c.text import NAME, TEMPLATES, WIDTH, aligned, comment, filled, named, wrapped
from export.plan import memory
from export.plan.input import Input
from export.tflite.file import TfliteFile
from export.tflite.quant_graph import QuantGraph
from loggrad_tf.data.cells import Cells
from loggrad_tf.errors import LogGradError

# Operator of the flatbuffer -> method of MicroMutableOpResolver.
METHODS = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "ELU": "AddElu",
    "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "LOG_SOFTMAX": "AddLogSoftmax",
    "MAXIMUM": "AddMaximum",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MUL": "AddMul",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "PRELU": "AddPrelu",
    "QUANTIZE": "AddQuantize",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "RESIZE_BILINEAR": "AddResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "AddResizeNearestNeighbor",
    "SHAPE": "AddShape",
    "SOFTMAX": "AddSoftmax",
    "SPLIT": "AddSplit",
    "SPLIT_V": "AddSplitV",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
    "UNPACK": "AddUnpack",
}
# Operators that TFLM also has with the kernels for int8 alone, which is less code.
INT8 = {
    "ADD": "Register_ADD_INT8",
    "AVERAGE_POOL_2D": "Register_AVERAGE_POOL_2D_INT8",
    "CONV_2D": "Register_CONV_2D_INT8",
    "DEPTHWISE_CONV_2D": "Register_DEPTHWISE_CONV_2D_INT8",
    "FULLY_CONNECTED": "Register_FULLY_CONNECTED_INT8",
    "MAX_POOL_2D": "Register_MAX_POOL_2D_INT8",
    "MUL": "Register_MUL_INT8",
    "SOFTMAX": "Register_SOFTMAX_INT8",
}
# Interpreter, its plan, descriptions of tensors and operators, scratch of the kernels.
OVERHEAD_BYTES = 16 * 1024
# Below this even an empty network's interpreter does not fit.
MIN_ARENA_BYTES = 2048
ARENA_UNIT = 1024
# Of net_state on a 32-bit core: four pointers, a mark, a counter, a flag.
FIELD_BYTES = 24


def arena_bytes(graph: QuantGraph) -> int:
    """A guess: twice the largest sum of an operator's inputs and output, and the interpreter's own needs."""
    sums = [sum(graph.tensors[t].size for t in (*op.inputs, op.output)) for op in graph.ops]
    return memory.rounded(2 * max(sums) + OVERHEAD_BYTES, ARENA_UNIT)


def layers(graph: QuantGraph) -> list[tuple[str, int, int]]:
    """(name, tensor index, bytes) of what the observer sees."""
    return [
        (name, index, graph.tensors[index].size)
        for name, index in (("input", graph.input), ("output", graph.output))
    ]


def state_bytes(source: Input, arena: int) -> int:
    """sizeof(net_state) on a 32-bit core."""
    return memory.rounded(source.struct_bytes + FIELD_BYTES + arena + source.tail_bytes, 4)


def readme(graph: QuantGraph, arena: int) -> str:
    """A section of the project's README."""
    return filled(_template("tflm_README.md.in"), {"ARENA": arena, "INPUT": graph.tensors[graph.input].size})


def operators(model: bytes, graph: QuantGraph) -> tuple[str, ...]:
    """The operators of the flatbuffer, each once, in the order of their first use.

    Raises:
      LogGradError: the interpreter has one of them not, or input or output are not the int8 tensors
        that the front end fills and the host compares.
    """
    file = TfliteFile(model, "model")
    if len(file.outputs) > 1:
        raise LogGradError(f"--runtime=tflm: {len(file.outputs)} outputs: leave out --runtime")
    if len(file.inputs) > 1:
        raise LogGradError(f"--runtime=tflm: {len(file.inputs)} inputs: leave out --runtime")
    if ((graph.input,), graph.outputs) != (file.inputs, file.outputs):
        raise LogGradError(
            "--runtime=tflm: the model's input and output must be int8 without conversions round them:"
            " convert with int8 input and output"
        )
    if graph.unsigned:
        raise LogGradError("--runtime=tflm: the model is of uint8, not of int8: leave out --runtime")
    codes = tuple(dict.fromkeys(op.code for op in file.operators))
    missing = [code for code in codes if code not in METHODS]
    if missing:
        raise LogGradError(
            f"--runtime=tflm: TensorFlow Lite Micro has no {', '.join(missing)}: leave out --runtime"
        )
    return codes


def files(
    model: bytes,
    graph: QuantGraph,
    source: Input,
    classes: tuple[str, ...],
    command: str,
    stamp: str,
    arena: int,
    name: str = NAME,
    cells: Cells | None = None,
) -> dict[str, bytes]:
    """Path in the project -> content; what other projects have too (lib/, boards/, vectors) is not among it.

    Args:
      model: the flatbuffer that ``graph`` was read from.
      classes: names for ``net_class_names``; may be empty.
      command: what made the files, for their heads.
      stamp: one word that a runner can read from the image.
      arena: bytes for the interpreter, see :func:`arena_bytes`.
      name: what the network is called (see :func:`export.c.text.check_name`).
      cells: of a detector, which then gives objects in place of a class.
    """
    if arena < MIN_ARENA_BYTES:
        raise LogGradError(f"--arena_bytes={arena}: an interpreter needs at least {MIN_ARENA_BYTES}")
    arena = memory.rounded(arena, 4)
    state = state_bytes(source, arena)
    codes, output = operators(model, graph), graph.tensors[graph.output]
    head = (
        f"/* Generated, do not edit.\n"
        f" *   model    sha256 {graph.sha256}\n"
        f" *   command  {comment(command, 2 * WIDTH)}\n"
        f" *   input    {source.text}\n"
        f" *   network  {len(graph.ops)} operators on TensorFlow Lite Micro, arena of {arena} B */\n"
    )
    values: dict[str, object] = {
        "HEAD": head,
        "ARENA_BYTES": arena,
        "STATE_BYTES": state,
        "PROGRAM_BYTES": memory.program_bytes(state, source),
        "INPUT_ROWS": source.height,
        "INPUT_ROW_BYTES": source.width * source.channels,
        "FRONT_FLUSH": front.flush(source),
        "TABLE": _table(source),
        "OPERATORS": len(codes),
        "ADDED": " &&\n           ".join(f"operators.{_method(code)} == kTfLiteOk" for code in codes),
        **emit.interface(graph, source, classes, stamp, cells=cells),
        "DEFINED": answer.defined(
            cells,
            {
                "CLASS": emit.decision(output.size, output.zero_point),
                "MAP": "net->scores",
                "ROWS": "net->invoked != 0 ? NET_CELL_ROWS : 0u",
            },
        ),
    }
    made = {
        f"src/{name}.h": aligned(emit.fill("tflm_net.h.in", values, name)),
        f"src/{name}.c": emit.fill("tflm_net.c.in", values, name),
        f"src/{name}_interpreter.h": emit.fill("tflm_interpreter.h", {}, name),
        f"src/{name}_interpreter.cc": emit.fill("tflm_interpreter.cc.in", values, name),
        f"src/{name}_model.h": head + named(_MODEL_HEADER, name),
        f"src/{name}_model.c": head + named(_model(model), name, prose=True),
        "program/main.c": emit.program(name),
        "CMakeLists.txt": filled(_template("tflm_CMakeLists.txt"), {"NAME": name}),
        "cmake/tflm.cmake": _template("tflm.cmake"),
    }
    return {path: text.encode() for path, text in made.items()}


_MODEL_HEADER = """#ifndef NET_MODEL_H
#define NET_MODEL_H

#ifdef __cplusplus
extern "C" {
#endif

/* model.tflite, byte for byte. */
extern const unsigned char net_model[];

#ifdef __cplusplus
}
#endif

#endif
"""


def _method(code: str) -> str:
    return f"{METHODS[code]}({f'tflite::{INT8[code]}()' if code in INT8 else ''})"


def _model(model: bytes) -> str:
    return (
        f'#include "net_model.h"\n\n'
        f"const unsigned char net_model[{len(model)}] __attribute__((aligned(16))) = {{\n"
        f"{wrapped(map(str, model))}}};\n"
    )


def _table(source: Input) -> str:
    table: np.ndarray | None = source.table
    if table is None:
        return ""
    return (
        f"\n/* input look-up table */\n#define NET_TABLE_LENGTH {len(table)}u\n"
        f"static const {table.dtype.name}_t net_table[NET_TABLE_LENGTH] = {{\n"
        f"{wrapped(map(str, table.tolist()))}}};\n"
    )


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text()
