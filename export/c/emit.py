"""The C of a network: ``net.h``, ``net.c``, ``net_weights.h``, ``net_weights.c``; and the program round it.

One function a node, which makes one row, or a piece of one; the order of calls is a constant; all addresses
and sizes are constants of the text. State is one struct, ``net_state``, of
:func:`export.plan.memory.state_bytes`; no malloc, no float. Same input, same text: the files
hold no date and no path. Files and public symbols begin with the network's name, so that one image can hold
several networks, which share ``lib/``.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np

from export.c import answer, front, node_functions, node_windows
from export.c.node_parts import constant, map_name, padding_name
from export.c.text import (
    NAME,
    TEMPLATES,
    WIDTH,
    aligned,
    comment,
    filled,
    literal,
    named,
    quoted,
    template,
    wrapped,
)
from export.plan import kernels, memory
from export.plan.input import Input
from export.plan.nodes import dims, tensor_of
from export.plan.plan import Plan
from export.plan.schedule import NEXT_ROW
from export.plan.steps import Steps, whole
from export.tflite.quant_graph import INT8_MAX, QuantGraph
from firmware.project import BAUD
from loggrad_tf import __version__
from loggrad_tf.data.cells import Cells

PROGRAM = Path(__file__).resolve().parents[2] / "firmware" / "program"


_STRUCTS = {
    kernels.CHANNEL: "lg_channel",
    kernels.DSP_CHANNEL: "lg_dsp_channel",
    kernels.DOUBLE_SCALE: "lg_double_scale",
    kernels.BETWEEN: "lg_between",
}
_STACK_NOTE = "/* that a call takes, by GCC at -O2 and without an observer */"


def emit(
    plan: Plan,
    source: Input,
    classes: tuple[str, ...],
    command: str,
    stamp: str,
    steps: Steps | None = None,
    stack: int | None = None,
    name: str = NAME,
    cells: Cells | None = None,
) -> dict[str, str]:
    """File name in ``src/`` -> text.

    Args:
      classes: names for ``net_class_names``; may be empty.
      command: what made the files, for their heads.
      stamp: one word that a runner can read from the image.
      steps: how net_step cuts rows; None: not at all.
      stack: bytes that a call needs of it, as predicted; None: not known.
      name: what the network is called (see :func:`export.c.text.check_name`).
      cells: of a detector, which then gives objects in place of a class.
    """
    graph, network = plan.network.graph, plan.network
    steps = steps or whole(plan, source)
    head, state = _head(plan, source, command), memory.state_bytes(plan, source)
    common = {
        "HEAD": head,
        "LAYERS": len(memory.layers(plan)),
        "ARENA_BYTES": plan.arena_bytes,
        "STATE_BYTES": state,
        "PROGRAM_BYTES": memory.program_bytes(state, source),
        "NODES": len(network.nodes),
        "STEPS": steps.count,
        "LONGEST": f"{steps.share:.1%}",
        "STACK": "" if stack is None else f"#define NET_STACK_BYTES {stack}u {_STACK_NOTE}\n",
        "COUNT_TYPE": f"uint{8 * memory.count_bytes(plan)}_t",
        "INPUTS": _inputs(graph),
        "FURTHER": _further(plan),
        "STATEFUL": template("stateful.h") if network.states else "",
        **interface(graph, source, classes, stamp, steps.front, cells),
    }
    declarations, definitions = _weights(plan, source)
    header = (
        f"#ifndef NET_WEIGHTS_H\n#define NET_WEIGHTS_H\n\n#include <stdint.h>\n\n"
        f"{_weights_includes(plan)}\n{declarations}\n#endif\n"
    )
    code = _code(plan, source, steps, cells)
    return {
        f"{name}.h": aligned(fill("net.h.in", common, name)),
        f"{name}.c": fill("net.c.in", common | code, name),
        f"{name}_weights.h": head + named(header, name),
        f"{name}_weights.c": f'{head}#include "{name}_weights.h"\n{named(definitions, name)}',
    }


def interface(
    graph: QuantGraph,
    source: Input,
    classes: tuple[str, ...],
    stamp: str,
    parts: int = 1,
    cells: Cells | None = None,
) -> dict[str, object]:
    """What ``net.h`` of every runtime says: sizes, scales, types and the front end's part of the state.

    Args:
      parts: of a line of the front end, see :mod:`export.c.front`.
    """
    first, output = graph.tensors[graph.input], graph.tensors[graph.output]
    return {
        "MODEL_SHA256": graph.sha256,
        "READY": f"0x{ready(graph.sha256):04X}",
        "STAMP": stamp,
        "ROWS": source.rows,
        "ROW_CODES": source.row_codes,
        "BINNING": source.binning,
        "CODE_TYPE": source.code_type,
        "INPUT_SCALE": literal(first.scale),
        "INPUT_ZERO_POINT": f"({first.zero_point})",
        "OUTPUTS": output.size,
        "OUTPUT_SCALE": literal(output.scale),
        "OUTPUT_ZERO_POINT": f"({output.zero_point})",
        "CLASSES": len(classes),
        "CELLS": answer.macros(graph, cells),
        "FRONT_HEADERS": front.headers(source, parts, (answer.HEADER,) if cells else ()),
        "FRONT_MEMBERS": front.members(source, parts),
        "FRONT_TAIL": front.tail(source),
        "FRONT_DEFINITIONS": front.definitions(source),
        "FRONT_INITIALISE": front.initialise(source, parts),
        "FRONT_RESTART": front.restart(source, parts),
        "FRONT_FEED": front.feed(source, parts),
        "CLASS_NAMES": class_names(classes),
        "DECLARED": answer.declared(cells),
    }


def ready(sha256: str) -> int:
    """The mark of a state that is ready: 16 bits of the model's hash, but 0, which memory holds at start."""
    return int(sha256[:4], 16) or 1


def class_names(classes: tuple[str, ...]) -> str:
    names = "".join(f"    {quoted(name)},\n" for name in classes)
    return f"\nconst char *const net_class_names[] = {{\n{names}}};\n" if classes else ""


def cmake(name: str = NAME, port: str = "") -> str:
    """``CMakeLists.txt`` of a project; with an example, if there is a port of it (``firmware/example``)."""
    example = _EXAMPLE.format(name=name, port=port) if port else ""
    values = {"NAME": name, "VERSION": __version__, "EXAMPLE": example}
    return filled((TEMPLATES / "CMakeLists.txt").read_text(), values)


_EXAMPLE = """
  # A program of its own, without a host: cmake --build build --target example
  loggrad_image(example example/main.c example/port_{port}.c)
  target_link_libraries(example PRIVATE {name})
  set_target_properties(example PROPERTIES EXCLUDE_FROM_ALL ON)
"""


def program(name: str = NAME) -> str:
    """``program/main.c`` of a project: one text for every network but for its name."""
    return named((PROGRAM / "main.c").read_text(), name, prose=True)


def presets(board: Mapping[str, Any], baud: int, window: tuple[int, int] | None = None) -> bytes:
    """``CMakePresets.json`` of a project for a board, with the speed of its serial line.

    Args:
      window: rows and columns of its camera's frames; None where it is asked for none.
    """
    name = board["name"]
    variables = {"LG_BOARD": name} | ({} if baud == BAUD else {"LG_BAUD": str(baud)})
    if window is not None and board.get("camera") is not None and window[0] != window[1]:
        variables["LG_CAMERA_ROWS"] = str(window[0])
    preset = {
        "name": name,
        "generator": "Ninja",
        "binaryDir": "${sourceDir}/build",
        "cacheVariables": variables,
    }
    if board["core"] != "host":
        preset["toolchainFile"] = "${sourceDir}/cmake/arm-none-eabi.cmake"
    made = {
        "version": 3,
        "configurePresets": [preset],
        "buildPresets": [{"name": name, "configurePreset": name}],
    }
    return (json.dumps(made, indent=1) + "\n").encode()


def rows() -> str:
    """``program/rows.h``: frames of a camera to the host, for programs with a network and without."""
    return (PROGRAM / "rows.h").read_text()


def _code(plan: Plan, source: Input, steps: Steps, cells: Cells | None) -> dict[str, object]:
    network = plan.network
    output = network.graph.tensors[network.graph.output]
    cases = "".join(
        f"    case {position}: {node_functions.call(node)} break;\n"
        for position, node in enumerate(network.nodes)
    )
    numbers = ("R" if call == NEXT_ROW else str(call) for call in plan.schedule.calls)
    bits = 8 * memory.call_bytes(plan)
    return {
        "CORE": _core_check(plan),
        "INCLUDES": "".join(f'#include "{name}"\n' for name in node_functions.headers(network)),
        "MAPS": _maps(plan),
        "PADDING": _padding(plan),
        "STRUCTS": "\n".join(
            text
            for node in network.nodes
            for text in (node_functions.struct(network, node), node_windows.place(plan, node))
            if text
        ),
        "CONVOLUTIONS": node_windows.convolutions(plan),
        "DENSE": node_windows.dense_layers(plan),
        "NODES_CODE": "\n".join(node_functions.function(plan, node) for node in network.nodes),
        "CASES": cases,
        "NEXT_ROW": 2**bits - 1,
        "CALL_TYPE": f"uint{bits}_t",
        "CALLS": len(plan.schedule.calls),
        "SCHEDULE": wrapped(numbers),
        "PIECES": wrapped(map(str, steps.pieces)),
        "WORK": _work(source, steps.front),
        "BUSY": front.busy(steps.front),
        "FRONT_STEP": front.step(source, steps.front),
        "OUTPUT_MAP": map_name(network, network.output),
        "DEFINED": answer.defined(
            cells,
            {
                "CLASS": decision(output.size, output.zero_point),
                "MAP": f"lg_map_row(&{map_name(network, network.output)}, arena(net), 0u)",
                "ROWS": answer.complete_rows(network) if cells else "",
            },
        ),
        "FURTHER_OUTPUTS": _further_outputs(plan),
        "STATES": _states(plan),
        "KEEP": "    keep_states(net);\n" if network.states else "",
        "RESET": "    begin_states(net);\n" if network.states else "",
        "REMEMBER": template("remember.c") if network.states else "",
    }


def _inputs(graph: QuantGraph) -> str:
    """In net.h: where each of several inputs begins in their row."""
    if not graph.joined:
        return ""
    lines, begin = "", 0
    for index in graph.joined:
        tensor = graph.tensors[index]
        sides = "x".join(map(str, tensor.shape))
        lines += (
            f" *   {begin}  {comment(tensor.name.split(';')[0])}: {sides},"
            f" real = {tensor.scale:.9g} * (value - ({tensor.zero_point}))\n"
        )
        begin += tensor.size
    return template("inputs.h.in", {"COUNT": len(graph.joined), "LINES": lines})


def _further(plan: Plan) -> str:
    """In net.h: the outputs beyond the first."""
    graph, network = plan.network.graph, plan.network
    if not network.others:
        return ""
    lines = ""
    for number, key in enumerate(network.others, 1):
        index = tensor_of(key)
        assert index is not None
        tensor = graph.tensors[index]
        lines += (
            f" *   {number}  {comment(tensor.name.split(';')[0])}: {dims(network.maps[key])},"
            f" real = {tensor.scale:.9g} * (value - ({tensor.zero_point}))\n"
        )
    return template("further_outputs.h.in", {"COUNT": len(network.others), "LINES": lines})


def _further_outputs(plan: Plan) -> str:
    """In net.c: the function that gives them."""
    network = plan.network
    if not network.others:
        return ""
    names = ", ".join(f"&{map_name(network, key)}" for key in network.others)
    return template("further_outputs.c.in", {"MAPS": names})


def _states(plan: Plan) -> str:
    """In net.c: how states begin, and how they are kept from one frame to the next."""
    network = plan.network
    if not network.states:
        return ""
    begin, keep = "", ""
    for place, (_, written) in enumerate(network.states):
        begin += f"    begin_state(net, &state{place}_map, net_state{place});\n"
        keep += f"    keep_state(net, &{map_name(network, written)}, &state{place}_map);\n"
    return template("states.c.in", {"BEGIN": begin, "KEEP": keep})


# What a compiler for a core with such kernels defines.
_FEATURES = {"_dsp": ("__ARM_FEATURE_DSP", "LG_DSP_EMULATE"), "_mve": ("__ARM_FEATURE_MVE",)}


def _core_check(plan: Plan) -> str:
    """A build for a core that lacks the kernels ends here, and not at a symbol that is nowhere."""
    text = ""
    for ending, features in _FEATURES.items():
        if any(kernel.function.endswith(ending) for kernel in plan.kernels):
            missing = " && ".join(f"!defined({feature})" for feature in features)
            text += f"""
#if {missing}
#error "generated for a core with {features[0]}: generate with --board of this core, or --board=host for any"
#endif
"""
    return text


def _work(source: Input, parts: int) -> str:
    """What ``work`` does with the next entry of the order of calls."""
    made = "    net->call = (uint16_t)(net->call + (make_row(net, node, whole) ? 1u : 0u));\n"
    flush = front.flush(source, parts)
    if not flush:
        return made
    # The last line of the front end comes out after the last row.
    return f"    if (node == R) {{\n{indent(flush, '    ')}        return;\n    }}\n{made}"


def _maps(plan: Plan) -> str:
    lines = []
    for key, map_ in plan.network.maps.items():
        fields = {
            "place": plan.offsets[key],
            "rows": plan.schedule.rows[key],
            "height": map_.height,
            "row_bytes": plan.ring_bytes(key) // plan.schedule.rows[key],
            "pixels": map_.pixels,
            "left": map_.left * map_.channels,
            "right": map_.right * map_.channels,
            "pad": map_.pad,
        }
        body = wrapped(f".{name} = {value}" for name, value in fields.items())
        lines.append(f"static const lg_map {map_name(plan.network, key)} = {{\n{body}}};\n")
    return "".join(lines)


def _padding(plan: Plan) -> str:
    text = ""
    for value, size in memory.padding(plan).items():
        body = "{0}" if value == 0 else "{\n" + wrapped(str(value) for _ in range(size)) + "}"
        text += f"static const int8_t {padding_name(value)}[{size}] = {body};\n"
    return text and f"\n/* Rows above and below an image. */\n{text}"


def decision(outputs: int, zero_point: int) -> str:
    """The body of net_class: the sign of a single logit, else the first largest score."""
    if outputs == 1:
        if zero_point == INT8_MAX:
            return "    (void)scores; /* no score lies above the zero point */\n    return 0u;\n"
        return f"    return scores[0] > {zero_point} ? 1u : 0u;\n"
    return """    uint32_t best = 0u;
    for (uint32_t i = 1u; i < NET_OUTPUTS; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return (int32_t)best;
"""


def _weights(plan: Plan, source: Input) -> tuple[str, str]:
    """(declarations, definitions) of all constants."""
    declarations, definitions = "", ""
    table = source.table
    if table is not None:
        declarations += f"#define NET_TABLE_LENGTH {len(table)}u\n"
        declarations += f"extern const {table.dtype.name}_t net_table[NET_TABLE_LENGTH];\n"
        definitions += _array(f"{table.dtype.name}_t", "net_table", table, "input look-up table")
    for place, state in enumerate(plan.network.graph.states):
        declarations += f"extern const int8_t net_state{place}[{state.begin.size}];\n"
        definitions += _array("int8_t", f"net_state{place}", state.begin, "what a state begins as")
    for node, kernel in zip(plan.network.nodes, plan.kernels, strict=True):
        for name, values in kernel.constants.items():
            ctype, symbol = _ctype(values), constant(node, name)
            # What is not const is copied to RAM at the start.
            const = "" if plan.choice.ram_tables and kernel.tabulates and name == "table" else "const "
            declarations += f"extern {const}{ctype} {symbol}[{values.size}];\n"
            definitions += _array(ctype, symbol, values, _note(name, values, kernel.function), const)
    return declarations, definitions


def _weights_includes(plan: Plan) -> str:
    """Headers of the structs that constants are arrays of."""
    moved = any(node.kind == "bilinear" for node in plan.network.nodes)
    names = ["lg_dense.h", *(["lg_moves.h"] if moved else []), "lg_requant.h"]
    return "".join(f'#include "{name}"\n' for name in names)


def _ctype(values: np.ndarray) -> str:
    if values.dtype.names:
        return _STRUCTS[values.dtype]
    return "float" if values.dtype.kind == "f" else f"{values.dtype.name}_t"


def _note(name: str, values: np.ndarray, function: str) -> str:
    notes = {
        "channels": f"{', '.join(values.dtype.names or ())}; the input's zero point is in the bias",
        "scales": "multiplier, its next 22 bits, shift",
        "bias": "with the input's zero point",
    }
    return notes.get(name, f"{'x'.join(map(str, values.shape))}, as {function} reads them")


def _array(ctype: str, name: str, values: np.ndarray, note: str, const: str = "const ") -> str:
    flat = values.reshape(-1)
    numbers: Iterable[str]
    if values.dtype.names:
        numbers = (f"{{{', '.join(map(str, item))}}}" for item in flat.tolist())
    elif ctype == "float":
        numbers = (f"{float(v).hex()}f" for v in flat)
    else:
        numbers = (str(v) for v in flat.tolist())
    # Kernels read pairs of int16, and four weights, as words.
    words = ctype in ("int16_t", "uint16_t") or (ctype == "int8_t" and name.endswith("_weights"))
    aligned = "__attribute__((aligned(4))) " if words else ""
    return f"\n/* {note} */\n{const}{ctype} {name}[{flat.size}] {aligned}= {{\n{wrapped(numbers)}}};\n"


def _head(plan: Plan, source: Input, command: str) -> str:
    network = plan.network
    return (
        f"/* Generated, do not edit.\n"
        f" *   model    sha256 {network.graph.sha256}\n"
        f" *   command  {comment(command, 2 * WIDTH)}\n"
        f" *   input    {source.text}\n"
        f" *   network  {len(network.nodes)} nodes, {plan.macs} MACs, {plan.arena_bytes} B of rows */\n"
    )


def fill(template: str, values: dict[str, object], name: str) -> str:
    """A template of C with its values, for a network of this name; DECLARED and DEFINED are templates too."""
    own = {
        key: named(value, name, prose=key in ("DECLARED", "DEFINED")) if isinstance(value, str) else value
        for key, value in values.items()
    }
    return filled(named((TEMPLATES / template).read_text(), name, prose=True), own)
