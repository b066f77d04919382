"""The C of nodes that make each value of one or two others, or move it: elementwise kinds, joins, turns."""

from export.c.node_parts import (
    Fields,
    Kind,
    arrays,
    constant,
    end_row,
    end_rows,
    map_name,
    one_scale,
    open_row,
    output_ends,
    row_of,
    stepped,
)
from export.plan.kernels import Kernel
from export.plan.nodes import PAIRS, Map, Network, Node
from export.plan.plan import Plan

# Members of the structs


def _add_fields(network: Network, node: Node) -> Fields:
    return _addition(network, node, network.maps[node.inputs[1]].pad)


def _add_constant_fields(network: Network, node: Node) -> Fields:
    return _addition(network, node, node.op.value)


def _addition(network: Network, node: Node, second_zero_point: int) -> Fields:
    first = network.maps[node.inputs[0]].pad
    zeros: Fields = {"a_zero_point": first, "b_zero_point": second_zero_point}
    named = dict(zip(("a", "b", "out"), node.op.scales, strict=True))
    return (
        zeros
        | output_ends(network, node)
        | {f"{k}_multiplier": s.multiplier for k, s in named.items()}
        | {f"{k}_shift": s.shift for k, s in named.items()}
    )


def _mul_fields(network: Network, node: Node) -> Fields:
    source = network.maps[node.inputs[0]]
    assert node.op.constant is not None
    sizes: Fields = {"c": min(node.op.constant.size, source.pixels), "a_zero_point": source.pad}
    return sizes | output_ends(network, node) | one_scale(node) | arrays(node, "b")


def _pairs_fields(network: Network, node: Node) -> Fields:
    out, op = network.maps[node.output], node.op
    fields: Fields = {"pixels": out.width, "channels": out.channels}
    for name, operand in zip("ab", op.operands, strict=True):
        _, width, channels = operand.shape
        fields[f"{name}_pixel"] = channels if width > 1 else 0
        fields[f"{name}_channel"] = int(channels > 1)
    fields |= {f"{name}_zero_point": one.zero_point for name, one in zip("ab", op.operands, strict=True)}
    scaled = {"product": ("out",), "prelu": ("a", "b")}.get(node.kind, ("a", "b", "out"))
    named = dict(zip(scaled, op.scales, strict=False))
    return (
        fields
        | output_ends(network, node)
        | {f"{k}_multiplier": s.multiplier for k, s in named.items()}
        | {f"{k}_shift": s.shift for k, s in named.items()}
    )


def _select_fields(network: Network, node: Node) -> Fields:
    source, out, channels = network.maps[node.inputs[0]], network.maps[node.output], node.op.picks[2]
    assert isinstance(channels, range)
    sizes: Fields = {"pixels": out.width, "channels": out.channels, "in_channels": source.channels}
    step = channels.step if len(channels) > 1 else 1
    return sizes | {"first": channels.start, "step": step} | arrays(node, "columns")


def _bilinear_fields(network: Network, node: Node) -> Fields:
    out = network.maps[node.output]
    return {"pixels": out.width, "channels": out.channels} | arrays(node, "columns")


def _softmax_fields(network: Network, node: Node) -> Fields:
    out = network.maps[node.output]
    return {"pixels": out.width, "channels": out.channels} | arrays(node, "exponentials")


def _log_softmax_fields(network: Network, node: Node) -> Fields:
    out, (scale, back) = network.maps[node.output], node.op.scales
    sizes: Fields = {"pixels": out.width, "channels": out.channels, "least": node.op.value}
    there: Fields = {"multiplier": scale.multiplier, "shift": scale.shift}
    return sizes | there | {"inverse": back.multiplier, "back": back.shift} | arrays(node, "exponentials")


# Bodies of the functions


def _add(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    rows = f"{row_of(plan, node.inputs[0])},\n        {row_of(plan, node.inputs[1])}"
    return (
        open_row(plan, node)
        + f"    {kernel.function}(&{node.name}, {rows}, {out.pixels}u, out);\n"
        + end_row(plan, node)
    )


def _add_constant(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    assert node.op.constant is not None
    call = f"{kernel.function}(&{node.name}, in + x, {constant(node, 'b')}"
    if node.op.constant.size > source.channels:
        loop = f"    {call} + y * {source.pixels}u, {source.pixels}u, out);\n".replace("in + x", "in")
    else:
        loop = (
            f"    for (uint32_t x = 0; x < {source.pixels}u; x += {source.channels}u) {{\n"
            f"        {call}, {source.channels}u, out + x);\n    }}\n"
        )
    return (
        f"    const int8_t *const in = {row_of(plan, source.key)};\n"
        + open_row(plan, node)
        + loop
        + end_row(plan, node)
    )


def _mul(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    whole = node.op.constant is not None and node.op.constant.size > source.pixels
    layer = f"    lg_mul layer = {node.name};\n    layer.b += y * {source.pixels}u;\n" if whole else ""
    argument = "&layer" if whole else f"&{node.name}"
    return (
        layer
        + open_row(plan, node)
        + f"    {kernel.function}({argument}, {row_of(plan, source.key)}, {source.pixels}u, out);\n"
        + end_row(plan, node)
    )


def _pairs(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    keys, rows = iter(node.inputs), []
    for operand in node.op.operands:
        height, width, channels = operand.shape
        if operand.constant is None:
            rows.append(row_of(plan, next(keys), "y" if height > 1 else "0u"))
        else:
            rows.append(constant(node, "b") + (f" + y * {width * channels}u" if height > 1 else ""))
    call = f"{kernel.function}(&{node.name}, {rows[0]},\n        {rows[1]}, out);"
    return f"{open_row(plan, node)}    {call}\n{end_row(plan, node)}"


def _lookup(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    call = f"{kernel.function}({constant(node, 'table')}, {row_of(plan, source.key)}, {source.pixels}u, out);"
    return f"{open_row(plan, node)}    {call}\n{end_row(plan, node)}"


def _softmax(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    call = f"{kernel.function}(&{node.name}, {row_of(plan, source.key)}, out);"
    return f"{open_row(plan, node)}    {call}\n{end_row(plan, node)}"


def _pad(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    top, left, front = node.op.before
    at = left * out.channels + front
    copy = (
        f"{kernel.function}({row_of(plan, source.key, f'y - {top}u')}, {source.width}u,"
        f" {source.channels}u, {source.channels}u, {out.channels}u, out + {at});"
    )
    inside = f"y >= {top}u && y < {top + source.height}u" if top else f"y < {source.height}u"
    return (
        open_row(plan, node)
        + f"    memset(out, {node.op.value & 0xFF}, {out.pixels}u);\n"
        + f"    if ({inside}) {{\n        {copy}\n    }}\n"
        + end_row(plan, node)
    )


def _concat(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    text = open_row(plan, node)
    offset = 0
    for place, key in enumerate(node.inputs):
        part = plan.network.maps[key]
        if node.axis == 0:
            inside = f"y < {offset + part.height}u"
            words = "    if" if place == 0 else " else if"
            row = row_of(plan, key, f"y - {offset}u" if offset else "y")
            call = f"{kernel.function}({row}, 1u, {out.pixels}u, 0u, 0u, out);"
            text += f"{words} ({inside}) {{\n        {call}\n    }}"
            text += "\n" if place == len(node.inputs) - 1 else ""
            offset += part.height
            continue
        pixels, channels = (part.width, part.channels) if node.axis == 2 else (1, part.pixels)
        text += (
            f"    {kernel.function}({row_of(plan, key)}, {pixels}u, {channels}u, {channels}u,"
            f" {out.channels}u, out + {offset});\n"
        )
        offset += channels
    return text + end_row(plan, node)


def _select(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    rows = node.op.picks[0]
    if isinstance(rows, range):
        row = "y" if rows.step == 1 else f"y * {rows.step}u"
        row += f" + {rows.start}u" if rows.start else ""
    else:
        row = f"{constant(node, 'rows')}[y]"
    call = f"{kernel.function}(&{node.name}, {row_of(plan, source.key, row)}, out);"
    return f"{open_row(plan, node)}    {call}\n{end_row(plan, node)}"


def _bilinear(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    first, last = (row_of(plan, source.key, f"row.{end}") for end in ("first", "last"))
    return (
        f"    const lg_between row = {constant(node, 'rows')}[y];\n"
        + open_row(plan, node)
        + f"    {kernel.function}(&{node.name}, {first},\n        {last}, row.fraction, out);\n"
        + end_row(plan, node)
    )


def _reflow(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    """A reshape that cuts rows elsewhere."""
    name = map_name(plan.network, node.output)
    return (
        f"    {kernel.function}(&{name}, arena(net), y * {source.pixels}u, {row_of(plan, source.key)},"
        f" {source.pixels}u);\n{end_rows(plan, node, source, out)}"
    )


def _transpose(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    name = map_name(plan.network, node.output)
    return (
        f"    {kernel.function}(&{node.name}, &{name}, arena(net), y, {row_of(plan, source.key)});\n"
        f"{end_rows(plan, node, source, out)}"
    )


_ELEMENTWISE = "lg_elementwise.h"
KINDS = {
    "add": Kind(_add, _ELEMENTWISE, "lg_add", _add_fields),
    "add_constant": Kind(_add_constant, _ELEMENTWISE, "lg_add", _add_constant_fields),
    "mul": Kind(_mul, _ELEMENTWISE, "lg_mul", _mul_fields),
    "lookup": Kind(_lookup, _ELEMENTWISE),
    "pad": Kind(_pad, _ELEMENTWISE),
    "concat": Kind(_concat, _ELEMENTWISE),
    "softmax": Kind(_softmax, "lg_softmax.h", "lg_softmax", _softmax_fields),
    "log_softmax": Kind(_softmax, "lg_log_softmax.h", "lg_log_softmax", _log_softmax_fields),
    "reflow": Kind(_reflow),
    "select": Kind(_select, "lg_moves.h", "lg_select", _select_fields),
    "bilinear": Kind(_bilinear, "lg_moves.h", "lg_bilinear", _bilinear_fields),
    "transpose": Kind(_transpose, "lg_moves.h", "lg_transpose", stepped),
    **dict.fromkeys(PAIRS, Kind(_pairs, "lg_pairs.h", "lg_pairs", _pairs_fields)),
}
