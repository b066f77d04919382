"""The C of one node: its struct of constants, and the function that makes its next row.

static void l02_conv_row(net_state *net, uint32_t y)    y: how often it was called in this frame
"""

from collections.abc import Callable

from export.c.text import comment, wrapped
from export.plan import memory
from export.plan.kernels import Kernel
from export.plan.nodes import CODES, Map, Network, Node, dims
from export.plan.plan import Plan

_TYPES = {
    "conv": "lg_conv",
    "table_conv": "lg_table_conv",
    "depthwise": "lg_depthwise",
    "dense": "lg_dense",
    "mean": "lg_mean",
    "average": "lg_mean",
    "add": "lg_add",
    "add_constant": "lg_add",
    "mul": "lg_mul",
    "max_pool": "lg_pool",
    "avg_pool": "lg_pool",
}
_HEADERS = {
    "conv": "lg_conv.h",
    "table_conv": "lg_table_conv.h",
    "codes": "lg_table_conv.h",
    "depthwise": "lg_depthwise.h",
    "dense": "lg_dense.h",
    "mean": "lg_mean.h",
    "average": "lg_mean.h",
    "max_pool": "lg_pool.h",
    "avg_pool": "lg_pool.h",
    "softmax": "",
    "reflow": "",
}


CONVOLUTIONS = ("conv", "table_conv", "depthwise")


def headers(network: Network) -> list[str]:
    """Headers of the library that the nodes need."""
    found = {_HEADERS.get(node.kind, "lg_elementwise.h") for node in network.nodes}
    return sorted({"lg_map.h", *filter(None, found)})


def map_name(network: Network, key: int) -> str:
    if key == network.input:
        return "input_map"
    if key == CODES:
        return "codes_map"
    return next(f"{node.name}_map" for node in network.nodes if node.output == key)


def padding_name(value: int) -> str:
    return f"padding_{'m' if value < 0 else ''}{abs(value)}"


def struct(network: Network, node: Node) -> str:
    """The node's constants as a C definition; empty where the kernel takes none."""
    if node.kind not in _TYPES:
        return ""
    body = wrapped(f".{name} = {value}" for name, value in _fields(network, node).items())
    return f"static const {_TYPES[node.kind]} {node.name} = {{\n{body}}};\n"


def function(plan: Plan, node: Node) -> str:
    """The function that makes a row."""
    network, kernel = plan.network, plan.kernels[plan.network.nodes.index(node)]
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    into = " + ".join(dims(network.maps[key]) for key in node.inputs)
    note = f"{node.title}: {into} -> {dims(out)}{_window(node)}"
    name = comment(network.graph.tensors[node.output].name.split(";")[0]) if node.output != CODES else ""
    body = _BODIES[node.kind](plan, node, kernel, source, out)
    return (
        f"/* {note}.{' ' + name if name else ''} */\n"
        f"static void {node.name}_row(net_state *net, uint32_t y)\n{{\n{body}}}\n"
    )


def _window(node: Node) -> str:
    if node.kind not in ("conv", "table_conv", "depthwise", "max_pool", "avg_pool"):
        return ""
    (kh, kw), (sh, sw), pool = node.op.kernel, node.op.stride, node.pool
    text = f", {kh}x{kw} stride {sh}x{sw}"
    return text + (f", maximum of {pool[0]}x{pool[1]}" if pool != (1, 1) else "")


def _fields(network: Network, node: Node) -> dict[str, object]:
    """Members of the kernel's struct, in the order of its header."""
    op, source, out = node.op, network.maps[node.inputs[0]], network.maps[node.output]
    end: dict[str, object] = {"out_zero_point": out.pad, "act_min": node.low, "act_max": node.high}
    fused: dict[str, object] = {"pool_h": node.pool[0], "pool_w": node.pool[1]}
    scale = op.scales[0] if op.scales else None
    constants: dict[str, object] = {"channels": f"{node.name}_channels"}
    if node.kind == "conv":
        dilated = op.dilation[1] > 1
        run = source.channels * (1 if dilated else op.kernel[1])
        return {
            "out_w": out.width,
            "out_c": out.channels,
            "kernel_h": op.kernel[0],
            "row_step": op.dilation[0],
            "runs": op.kernel[1] if dilated else 1,
            "run_bytes": run,
            "run_step": op.dilation[1] * source.channels,
            "x_step": op.stride[1] * source.channels,
            "y_step": op.stride[0],
            **fused,
            **end,
            "weights": f"{node.name}_weights",
            **constants,
        }
    if node.kind == "table_conv":
        shape = f"{node.name}_table"
        return {
            "out_w": out.width,
            "out_c": out.channels,
            "columns": -(-out.channels // 4) * 4,
            "kernel_h": op.kernel[0],
            "row_step": op.dilation[0],
            "groups": -(-op.kernel[1] // node.code_pixels),
            "pixels": node.code_pixels,
            "entries": node.code_radix**node.code_pixels,
            "x_step": op.stride[1],
            "y_step": op.stride[0],
            **fused,
            **end,
            "table": shape,
            **constants,
        }
    if node.kind == "depthwise":
        return {
            "out_w": out.width,
            "in_c": source.channels,
            "multiplier": out.channels // source.channels,
            "kernel_h": op.kernel[0],
            "kernel_w": op.kernel[1],
            "row_step": op.dilation[0],
            "tap_step": op.dilation[1] * source.channels,
            "x_step": op.stride[1] * source.channels,
            **end,
            "weights": f"{node.name}_weights",
            **constants,
        }
    if node.kind == "dense":
        names = {part: f"{node.name}_{part}" for part in ("weights", "bias", "scales")}
        sizes: dict[str, object] = {"in_n": source.height * source.pixels, "out_n": out.pixels}
        return sizes | end | {"per_channel": int(len(op.scales) > 1)} | names
    if node.kind in ("add", "add_constant"):
        second = op.value if node.kind == "add_constant" else network.maps[node.inputs[1]].pad
        zeros: dict[str, object] = {"a_zero_point": source.pad, "b_zero_point": second}
        named = dict(zip(("a", "b", "out"), op.scales, strict=True))
        return (
            zeros
            | end
            | {f"{k}_multiplier": s.multiplier for k, s in named.items()}
            | {f"{k}_shift": s.shift for k, s in named.items()}
        )
    if node.kind in ("max_pool", "avg_pool"):
        return {
            "in_w": source.width,
            "channels": source.channels,
            "out_w": out.width,
            "kernel_w": op.kernel[1],
            "stride_w": op.stride[1],
            "pad_left": node.before[1],
            "act_min": node.low,
            "act_max": node.high,
        }
    if node.kind == "average":
        return {"pixels": source.height * source.width, "channels": source.channels}
    assert scale is not None
    fixed: dict[str, object] = {"multiplier": scale.multiplier, "shift": scale.shift}
    if node.kind == "mean":
        points: dict[str, object] = {"in_zero_point": source.pad, "out_zero_point": out.pad}
        return {"pixels": source.height * source.width, "channels": source.channels, **points, **fixed}
    assert node.kind == "mul" and op.constant is not None
    count = min(op.constant.size, source.pixels)
    return {"c": count, "a_zero_point": source.pad, **end, **fixed, "b": f"{node.name}_b"}


# Bodies of the functions, by kind


def _row(plan: Plan, key: int, row: str = "y") -> str:
    return f"lg_map_row(&{map_name(plan.network, key)}, arena(net), {row})"


def _out(plan: Plan, node: Node, row: str = "y") -> str:
    return f"    int8_t *const out = {_row(plan, node.output, row)};\n"


def _made(plan: Plan, node: Node, indent: str = "    ", out: str = "out") -> str:
    """The end of a row: padding, and the observer."""
    seen = [n for n in plan.network.nodes if n.output != CODES]
    layer = f"{seen.index(node) + 1}u"
    return f"{indent}made(net, &{map_name(plan.network, node.output)}, {layer}, {out});\n"


def _first(node: Node) -> str:
    step = node.pool[0] * node.op.stride[0]
    return f"(int32_t)(y * {step}u) - {node.before[0]}"


def _conv(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    return f"    by_{kernel.function}(net, y, &{node.name}, &{node.name}_place);\n"


def place(plan: Plan, node: Node) -> str:
    """Where a convolution finds its rows, as a C definition; empty for other nodes."""
    if node.kind not in CONVOLUTIONS:
        return ""
    source = plan.network.maps[node.inputs[0]]
    seen = [n for n in plan.network.nodes if n.output != CODES]
    fields = {
        "in": f"&{map_name(plan.network, source.key)}",
        "out": f"&{map_name(plan.network, node.output)}",
        "padding": _padding_of(plan, source),
        "step": node.pool[0] * node.op.stride[0],
        "before": node.before[0],
        "count": node.window_rows,
        "left": node.before[1] * source.channels if node.kind != "table_conv" else 0,
        "layer": seen.index(node) + 1,
    }
    body = wrapped(f".{name} = {value}" for name, value in fields.items())
    return f"static const conv_place {node.name}_place = {{\n{body}}};\n"


def convolutions(plan: Plan) -> str:
    """The type of places, and for each kernel the function that makes a row with it."""
    used: dict[str, list[Node]] = {}
    for node, kernel in zip(plan.network.nodes, plan.kernels, strict=True):
        if node.kind in CONVOLUTIONS:
            used.setdefault(kernel.function, []).append(node)
    text = _PLACE if used else ""
    for function, nodes in used.items():
        kind, most = nodes[0].kind, max(node.window_rows for node in nodes)
        text += f"""static void by_{function}(net_state *net, uint32_t y, const {_TYPES[kind]} *layer,
    const conv_place *place)
{{
    const int8_t *rows[{most}];
    int8_t *const out = open_rows(net, y, place, rows);
    {function}(layer, rows, out);
    made(net, place->out, place->layer, out);
}}

"""
    return text


_PLACE = """/* Where a convolution finds its rows, and which layer it makes. */
typedef struct {
    const lg_map *in, *out;
    const int8_t *padding; /* a row of it */
    uint16_t step, before; /* row y begins at input row y * step - before */
    uint16_t count;        /* rows of the window */
    uint16_t left;         /* bytes of padding ahead of the pixels */
    uint16_t layer;
} conv_place;

static int8_t *open_rows(net_state *net, uint32_t y, const conv_place *place, const int8_t **rows)
{
    const int32_t first = (int32_t)(y * place->step) - (int32_t)place->before;
    lg_map_window(place->in, arena(net), first, place->count, place->left, place->padding, rows);
    return lg_map_row(place->out, arena(net), y);
}

"""


def _padding_of(plan: Plan, source: Map) -> str:
    return padding_name(source.pad) if source.pad in memory.padding(plan) else "NULL"


def _pool(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    count = node.window_rows
    return (
        f"    const int8_t *rows[{count}];\n"
        + _out(plan, node)
        + f"    const uint32_t count = lg_map_inside(&{map_name(plan.network, source.key)}, arena(net),"
        + f" {_first(node)}, {count}u, rows);\n"
        + f"    {kernel.function}(&{node.name}, rows, count, out);\n"
        + _made(plan, node)
    )


def _codes(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    arguments = f"{source.width}u, {node.before[1]}u, {node.code_radix}u, {node.code_pixels}u, {out.width}u"
    return (
        f"    uint8_t *const out = (uint8_t *){_row(plan, node.output)};\n"
        f"    {kernel.function}({_row(plan, source.key)}, {arguments}, out);\n"
    )


def _gather(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    """mean, average, dense: sums over the rows of the input, the output after the last one."""
    at = plan.sums[plan.network.nodes.index(node)] // 4
    stem = "lg_dense" if node.kind == "dense" else "lg_mean"
    place = f"y * {source.pixels}u, {source.pixels}u" if node.kind == "dense" else f"{source.width}u"
    finish = f"{stem}_finish(&{node.name}, sums, out)"
    if node.kind == "average":
        finish = f"lg_average_finish(&{node.name}, sums, {node.low}, {node.high}, out)"
    return (
        f"    int32_t *const sums = &net->arena[{at}];\n"
        f"    if (y == 0u) {{\n        {stem}_begin(&{node.name}, sums);\n    }}\n"
        f"    {kernel.function}(&{node.name}, {_row(plan, source.key)}, {place}, sums);\n"
        f"    if (y == {source.height - 1}u) {{\n    {_out(plan, node, '0u')}"
        f"        {finish};\n{_made(plan, node, '        ')}    }}\n"
    )


def _add(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    rows = f"{_row(plan, node.inputs[0])},\n        {_row(plan, node.inputs[1])}"
    return (
        _out(plan, node)
        + f"    {kernel.function}(&{node.name}, {rows}, {out.pixels}u, out);\n"
        + _made(plan, node)
    )


def _add_constant(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    assert node.op.constant is not None
    call = f"{kernel.function}(&{node.name}, in + x, {node.name}_b"
    if node.op.constant.size > source.channels:
        loop = f"    {call} + y * {source.pixels}u, {source.pixels}u, out);\n".replace("in + x", "in")
    else:
        loop = (
            f"    for (uint32_t x = 0; x < {source.pixels}u; x += {source.channels}u) {{\n"
            f"        {call}, {source.channels}u, out + x);\n    }}\n"
        )
    return (
        f"    const int8_t *const in = {_row(plan, source.key)};\n"
        + _out(plan, node)
        + loop
        + _made(plan, node)
    )


def _mul(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    whole = node.op.constant is not None and node.op.constant.size > source.pixels
    layer = f"    lg_mul layer = {node.name};\n    layer.b += y * {source.pixels}u;\n" if whole else ""
    argument = "&layer" if whole else f"&{node.name}"
    return (
        layer
        + _out(plan, node)
        + f"    {kernel.function}({argument}, {_row(plan, source.key)}, {source.pixels}u, out);\n"
        + _made(plan, node)
    )


def _lookup(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    call = f"{kernel.function}({node.name}_table, {_row(plan, source.key)}, {source.pixels}u, out);"
    return f"{_out(plan, node)}    {call}\n{_made(plan, node)}"


def _pad(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    top, left, front = node.op.before
    at = left * out.channels + front
    copy = (
        f"{kernel.function}({_row(plan, source.key, f'y - {top}u')}, {source.width}u,"
        f" {source.channels}u, {source.channels}u, {out.channels}u, out + {at});"
    )
    inside = f"y >= {top}u && y < {top + source.height}u" if top else f"y < {source.height}u"
    return (
        _out(plan, node)
        + f"    memset(out, {node.op.value & 0xFF}, {out.pixels}u);\n"
        + f"    if ({inside}) {{\n        {copy}\n    }}\n"
        + _made(plan, node)
    )


def _concat(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    text = _out(plan, node)
    offset = 0
    for place, key in enumerate(node.inputs):
        part = plan.network.maps[key]
        if node.axis == 0:
            inside = f"y < {offset + part.height}u"
            words = "    if" if place == 0 else " else if"
            row = _row(plan, key, f"y - {offset}u" if offset else "y")
            call = f"{kernel.function}({row}, 1u, {out.pixels}u, 0u, 0u, out);"
            text += f"{words} ({inside}) {{\n        {call}\n    }}"
            text += "\n" if place == len(node.inputs) - 1 else ""
            offset += part.height
            continue
        pixels, channels = (part.width, part.channels) if node.axis == 2 else (1, part.pixels)
        text += (
            f"    {kernel.function}({_row(plan, key)}, {pixels}u, {channels}u, {channels}u, {out.channels}u,"
            f" out + {offset});\n"
        )
        offset += channels
    return text + _made(plan, node)


def _softmax(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    call = f"softmax({node.name}_table, {_row(plan, source.key)}, {source.pixels}u, out);"
    return f"{_out(plan, node)}    {call}\n{_made(plan, node)}"


def _reflow(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    """A reshape that cuts rows elsewhere."""
    name = map_name(plan.network, node.output)
    return (
        f"    {kernel.function}(&{name}, arena(net), y * {source.pixels}u, {_row(plan, source.key)},"
        f" {source.pixels}u);\n"
        f"    for (uint32_t row = 0; y == {source.height - 1}u && row < {out.height}u; row++) {{\n"
        f"{_made(plan, node, '        ', _row(plan, node.output, 'row'))}    }}\n"
    )


_BODIES: dict[str, Callable[[Plan, Node, Kernel, Map, Map], str]] = {
    "conv": _conv,
    "table_conv": _conv,
    "depthwise": _conv,
    "codes": _codes,
    "max_pool": _pool,
    "avg_pool": _pool,
    "mean": _gather,
    "average": _gather,
    "dense": _gather,
    "add": _add,
    "add_constant": _add_constant,
    "mul": _mul,
    "lookup": _lookup,
    "pad": _pad,
    "concat": _concat,
    "softmax": _softmax,
    "reflow": _reflow,
}
