"""The C of a network: ``net.h``, ``net.c``, ``net_weights.h``, ``net_weights.c``, ``main.c``.

One function call per layer, all addresses and sizes constants of the text, no interpreter. State is
one struct, ``net_state``, of :func:`state_bytes`; no malloc, no float but in softmax. Same input,
same text: the generated files hold no date and no path.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from export import front
from export.plan import Plan
from export.quant_graph import Op, QuantGraph, Tensor

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 110
# Fields of main.c's `app` ahead of the network, and of net_state beside front end and arena.
PROGRAM_BYTES = 28
STATE_BYTES = 8

_KERNELS = {
    "conv": ("lg_conv_layer", "lg_conv2d_s8"),
    "depthwise": ("lg_conv_layer", "lg_depthwise_conv2d_s8"),
    "dense": ("lg_fully_connected_layer", "lg_fully_connected_s8"),
    "add": ("lg_add_layer", "lg_add_s8"),
    "pad": ("lg_pad_layer", "lg_pad_s8"),
    "max_pool": ("lg_pool_layer", "lg_max_pool_s8"),
    "avg_pool": ("lg_pool_layer", "lg_average_pool_s8"),
    "mean": ("lg_mean_layer", "lg_mean_s8"),
    "requantize": ("lg_requantize_layer", "lg_requantize_s8"),
}


def state_bytes(plan: Plan, source: front.Input) -> int:
    """sizeof(net_state) on a 32-bit core."""
    return _round(STATE_BYTES + source.state_bytes + plan.arena_bytes, 4)


def program_bytes(plan: Plan, source: front.Input) -> int:
    """Static RAM of main.c: the state and one row."""
    row = source.row_codes * source.code_bytes
    return _round(PROGRAM_BYTES + state_bytes(plan, source) + row, 8)


def layers(graph: QuantGraph) -> list[tuple[str, int]]:
    """(name, tensor index) of what the observer sees: the input, then every operator that computes."""
    return [("input", graph.input)] + [(op.name, op.output) for op in graph.ops if op.kind != "reshape"]


def emit(
    graph: QuantGraph, plan: Plan, source: front.Input, classes: tuple[str, ...], command: str
) -> dict[str, str]:
    """File name -> text.

    Args:
      classes: names for ``net_class_names``; may be empty.
      command: what made the files, for their heads.
    """
    head = _head(graph, plan, source, command)
    table = source.table
    table_type = "" if table is None else f"{table.dtype.name}_t"
    common = {
        "HEAD": head,
        "MODEL_SHA256": graph.sha256,
        "ROWS": source.rows,
        "ROW_CODES": source.row_codes,
        "CODE_TYPE": source.code_type,
        "OUTPUTS": graph.tensors[graph.output].size,
        "LAYERS": len(layers(graph)),
        "ARENA_BYTES": plan.arena_bytes,
        "STATE_BYTES": state_bytes(plan, source),
        "PROGRAM_BYTES": program_bytes(plan, source),
        "FRONT_HEADER": source.header,
        "FRONT_MEMBERS": front.members(source),
        "FRONT_TAIL": front.tail(source),
        "CLASSES": len(classes),
        "OUTPUT_SCALE": f"{graph.tensors[graph.output].scale:.9g}",
        "OUTPUT_ZERO_POINT": graph.tensors[graph.output].zero_point,
    }
    weights = [_weights(graph, op) for op in graph.ops]
    table_text = "" if table is None else _array(table_type, "net_table", table, "input look-up table")
    table_name = "" if table is None else f"#define NET_TABLE_LENGTH {len(table)}u\n"
    table_name += "" if table is None else f"extern const {table_type} net_table[NET_TABLE_LENGTH];\n"
    return {
        "net.h": _fill("net.h.in", common),
        "net.c": _fill("net.c.in", common | _code(graph, plan, source, classes)),
        "net_weights.h": f"{head}#ifndef NET_WEIGHTS_H\n#define NET_WEIGHTS_H\n\n#include <stdint.h>\n\n"
        + table_name
        + "".join(declaration for declaration, _ in weights)
        + "\n#endif\n",
        "net_weights.c": f'{head}#include "net_weights.h"\n'
        + table_text
        + "".join(text for _, text in weights),
        "main.c": (TEMPLATES / "main.c").read_text(),
    }


def _code(graph: QuantGraph, plan: Plan, source: front.Input, classes: tuple[str, ...]) -> dict[str, object]:
    kinds = {op.kind for op in graph.ops}
    places = _places(graph)
    structs, calls = [], []
    for op in graph.ops:
        out = graph.tensors[op.output]
        inputs = [graph.tensors[t] for t in op.inputs]
        title = f"{op.name}: {' + '.join(_dims(t) for t in inputs)} -> {_dims(out)}"
        if op.kind == "reshape":
            calls.append(f"    /* {title}: the same bytes */\n")
            continue
        if op.kind in _KERNELS:
            body = _wrapped(f".{name} = {value}" for name, value in _fields(op, inputs, out).items())
            detail = "" if op.kernel == (1, 1) and op.stride == (1, 1) else f", {_window(op)}"
            structs.append(
                f"/* {title}{detail}. {_comment(out.name.split(';')[0])} */\n"
                f"static const {_KERNELS[op.kind][0]} {op.name} = {{\n{body}}};\n"
            )
        position = [name for name, _ in layers(graph)].index(op.name)
        arguments = [f"arena(net) + {places[t]}" for t in op.inputs]
        result = f"arena(net) + {places[op.output]}"
        calls.append(f"    /* {title} */\n{_call(op, arguments, result, out.size)}")
        calls.append(f"    seen(net, {position}u, {result}, {out.size}u);\n")
    names = "".join(f"    {_quoted(name)},\n" for name in classes)
    softmax = (TEMPLATES / "softmax.c").read_text() if "softmax" in kinds else ""
    return {
        "FRONT_DEFINITIONS": front.definitions(source),
        "FRONT_INITIALISE": front.initialise(source),
        "FRONT_RESTART": front.restart(source),
        "FRONT_HELPERS": front.helpers(source),
        "FRONT_PUSH": front.push(source),
        "FRONT_FLUSH": front.flush(source),
        "OFFSETS": _offsets(graph, plan),
        "STRUCTS": "\n".join(structs),
        "SOFTMAX": softmax and softmax + "\n",
        "INPUT": f"    seen(net, 0u, arena(net) + INPUT_AT, {graph.tensors[graph.input].size}u);\n",
        "CALLS": "".join(calls),
        "OUTPUT": places[graph.output],
        "CLASS_NAMES": f"\nconst char *const net_class_names[] = {{\n{names}}};\n" if classes else "",
        "CLASS": _decision(graph),
    }


def _fields(op: Op, inputs: list[Tensor], out: Tensor) -> dict[str, object]:
    """Members of the kernel's struct, in the order of lg_nn.h."""
    a = inputs[0]
    points: dict[str, object] = {"in_zero_point": a.zero_point, "out_zero_point": out.zero_point}
    clamp: dict[str, object] = {"act_min": op.low, "act_max": op.high}
    bias = f"{op.name}_bias" if op.bias is not None else "NULL"
    arrays: dict[str, object] = {"weights": f"{op.name}_weights", "bias": bias}
    parts = ("multiplier", "fraction", "shift") if op.kind == "dense" else ("multiplier", "shift")
    arrays |= {part: f"{op.name}_{part}" for part in parts}
    if op.kind in ("conv", "depthwise"):
        return {
            **_sides("in", a, "in_c"),
            **_sides("out", out, "out_c"),
            **_pair("kernel", op.kernel),
            **_pair("stride", op.stride),
            **_pair("dilation", op.dilation),
            "pad_top": op.before[0],
            "pad_left": op.before[1],
            **points,
            **clamp,
            **arrays,
        }
    if op.kind == "dense":
        sizes: dict[str, object] = {"in_n": a.size, "out_n": out.size}
        return sizes | points | clamp | {"per_channel": int(len(op.scales) > 1)} | arrays
    if op.kind == "add":
        zero: dict[str, object] = {"a_zero_point": a.zero_point, "b_zero_point": inputs[1].zero_point}
        named = dict(zip(("a", "b", "out"), op.scales, strict=True))
        return (
            zero
            | {"out_zero_point": out.zero_point}
            | clamp
            | {f"{k}_multiplier": s.multiplier for k, s in named.items()}
            | {f"{k}_shift": s.shift for k, s in named.items()}
        )
    if op.kind == "pad":
        ahead = dict(zip(("top", "left", "front"), op.before, strict=True))
        return {**_sides("in", a, "in_c"), **_sides("out", out, "out_c"), **ahead, "value": op.value}
    if op.kind in ("max_pool", "avg_pool"):
        return {
            **_sides("in", a, "channels"),
            "out_h": out.shape[0],
            "out_w": out.shape[1],
            **_pair("kernel", op.kernel),
            **_pair("stride", op.stride),
            "pad_top": op.before[0],
            "pad_left": op.before[1],
            **clamp,
        }
    scale: dict[str, object] = {"multiplier": op.scales[0].multiplier, "shift": op.scales[0].shift}
    if op.kind == "mean":
        return {"pixels": a.size // a.shape[-1], "channels": a.shape[-1], **points, **scale}
    return {**points, **clamp, **scale}


def _places(graph: QuantGraph) -> dict[int, str]:
    """Tensor index -> the name of its offset in the arena."""
    return {graph.input: "INPUT_AT"} | {op.output: f"{op.name.upper()}_AT" for op in graph.ops}


def _offsets(graph: QuantGraph, plan: Plan) -> str:
    """The enum of the offsets, in the order in which the activations appear."""
    places = _places(graph)
    lines = [f"    {places[graph.input]} = {plan.offsets[graph.input]},\n"]
    for op in graph.ops:
        if op.index in plan.scratch:
            lines.append(f"    {_scratch(op)} = {plan.scratch[op.index]},\n")
        lines.append(f"    {places[op.output]} = {plan.offsets[op.output]},\n")
    return (
        "\n/* Where activations lie in the arena, in bytes. They overlap on purpose: what nobody reads any\n"
        f" * more is written over. */\nenum {{\n{''.join(lines)}}};\n"
    )


def _scratch(op: Op) -> str:
    return f"{op.name.upper()}_SCRATCH_AT"


def _call(op: Op, places: list[str], result: str, size: int) -> str:
    kernel = _KERNELS.get(op.kind, ("", "softmax"))[1]
    if op.kind in ("add", "requantize"):
        arguments = [f"&{op.name}", *places, f"{size}u", result]
    elif op.kind == "softmax":
        arguments = [f"{op.name}_table", *places, f"{size}u", result]
    elif op.kind == "mean":
        # The arena is int32_t, which the sums need.
        arguments = [f"&{op.name}", *places, f"&net->arena[{_scratch(op)} / 4]", result]
    else:
        arguments = [f"&{op.name}", *places, result]
    return f"    {kernel}({', '.join(arguments)});\n"


def _decision(graph: QuantGraph) -> str:
    """The body of net_class: the sign of a single logit, else the first largest score."""
    out = graph.tensors[graph.output]
    if out.size == 1:
        return f"    return scores[0] > {out.zero_point} ? 1u : 0u;\n"
    return """    uint32_t best = 0u;
    for (uint32_t i = 1u; i < NET_OUTPUTS; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return best;
"""


def _weights(graph: QuantGraph, op: Op) -> tuple[str, str]:
    """(declarations, definitions) of one operator's constants."""
    declarations, definitions = [], []

    def add(name: str, ctype: str, values: np.ndarray, note: str) -> None:
        declarations.append(f"extern const {ctype} {op.name}_{name}[{values.size}];\n")
        definitions.append(_array(ctype, f"{op.name}_{name}", values, note))

    if op.weights is not None:
        order = {"conv": "out, row, column, in", "depthwise": "row, column, out", "dense": "out, in"}[op.kind]
        add("weights", "int8_t", op.weights, f"{'x'.join(map(str, op.weights.shape))} ({order})")
        if op.bias is not None:
            add("bias", "int32_t", op.bias, "input scale * weight scale")
        add(
            "multiplier",
            "int32_t",
            np.array([s.multiplier for s in op.scales]),
            "output scale, with the shifts",
        )
        if op.kind == "dense":
            add(
                "fraction", "uint32_t", np.array([s.fraction for s in op.scales]), "multiplier's next 22 bits"
            )
        add("shift", "int8_t", np.array([s.shift for s in op.scales]), "multiplier * 2^(shift - 31)")
    if op.table is not None:
        add("table", "float", op.table, "exp(-scale * (255 - i))")
    return "".join(declarations), "".join(definitions)


def _array(ctype: str, name: str, values: np.ndarray, note: str) -> str:
    flat = values.reshape(-1)
    numbers: Iterable[str]
    numbers = (f"{float(v).hex()}f" for v in flat) if ctype == "float" else (str(v) for v in flat.tolist())
    return f"\n/* {note} */\nconst {ctype} {name}[{flat.size}] = {{\n{_wrapped(numbers)}}};\n"


def _wrapped(items: Iterable[str]) -> str:
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line]) + "\n"


def _head(graph: QuantGraph, plan: Plan, source: front.Input, command: str) -> str:
    macs = sum(layer.macs for layer in plan.layers)
    return (
        f"/* Generated, do not edit.\n"
        f" *   model    sha256 {graph.sha256}\n"
        f" *   command  {_comment(command)}\n"
        f" *   input    {source.text}\n"
        f" *   network  {len(graph.ops)} operators, {macs} MACs, {plan.arena_bytes} B of activations */\n"
    )


def _fill(template: str, values: dict[str, object]) -> str:
    text = (TEMPLATES / template).read_text()
    return re.sub(r"@([A-Z_0-9]+)@", lambda match: str(values[match[1]]), text)


def _sides(prefix: str, tensor: Tensor, channels: str) -> dict[str, object]:
    return {f"{prefix}_h": tensor.shape[0], f"{prefix}_w": tensor.shape[1], channels: tensor.shape[2]}


def _pair(name: str, values: tuple[int, int]) -> dict[str, object]:
    return {f"{name}_h": values[0], f"{name}_w": values[1]}


def _dims(tensor: Tensor) -> str:
    return "x".join(str(n) for n in tensor.shape)


def _window(op: Op) -> str:
    return f"{op.kernel[0]}x{op.kernel[1]} stride {op.stride[0]}x{op.stride[1]}"


def _comment(text: str) -> str:
    """Text that cannot end a comment."""
    return re.sub(r"[^ -~]", "?", text)[:80].replace("*/", "* /").replace("/*", "/ *")


def _quoted(text: str) -> str:
    """A C string literal."""
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'


def _round(size: int, unit: int) -> int:
    return -(-size // unit) * unit
