"""The C of one node: its struct of constants, and the function that makes its next row.

    static void l02_conv_row(net_state *net, uint32_t y)    y: which of its steps in this frame
    static void l02_conv_row(net_state *net, uint32_t y, const span *part)

The second of kinds whose rows may be cut: it makes a part of the row, and ends the row with the last part.
What differs from kind to kind is one entry of the table :data:`_KINDS`, at the end.
"""

import dataclasses
from collections.abc import Callable

from export.c.text import comment, wrapped
from export.plan import memory
from export.plan.kernels import Kernel, slides, usual
from export.plan.nodes import CODES, CONVOLUTIONS, PAIRS, WINDOWS, Map, Network, Node, dims, tensor_of
from export.plan.plan import Plan

Fields = dict[str, object]
Body = Callable[[Plan, Node, Kernel, Map, Map], str]


@dataclasses.dataclass(frozen=True)
class _Kind:
    """The C of one kind of node.

    Attributes:
      body: of the function that makes a row.
      header: of the library, with the kernel; "" for none.
      struct: C type of the node's constants; "" where the kernel takes none.
      fields: members of the struct, in the order of its header.
      cut: its function makes a part of a row (:func:`export.plan.steps.columns`).
    """

    body: Body
    header: str = ""
    struct: str = ""
    fields: Callable[[Network, Node], Fields] | None = None
    cut: bool = False


def headers(network: Network) -> list[str]:
    """Headers of the library that the nodes need."""
    found = {_KINDS[node.kind].header for node in network.nodes}
    if any(node.op.is_wide or node.op.rounds_up for node in network.nodes):
        found.add("lg_wide.h")
    return sorted({"lg_map.h", *filter(None, found)})


def call(node: Node) -> str:
    """C that makes row ``y`` of a node, or a ``part`` of it."""
    cut = ", &part" if _KINDS[node.kind].cut else ""
    return f"{node.name}_row(net, y{cut});"


def constant(node: Node, name: str) -> str:
    """The symbol of one of its arrays in net_weights.c."""
    return f"net_{node.name}_{name}"


def map_name(network: Network, key: int) -> str:
    if key == network.input:
        return "input_map"
    if key == CODES:
        return "codes_map"
    for place, (read, _) in enumerate(network.states):
        if key == read:
            return f"state{place}_map"
    return next(f"{node.name}_map" for node in network.nodes if node.output == key)


def padding_name(value: int) -> str:
    return f"padding_{'m' if value < 0 else ''}{abs(value)}"


def struct(network: Network, node: Node) -> str:
    """The node's constants as a C definition; empty where the kernel takes none."""
    kind = _KINDS[node.kind]
    if kind.fields is None:
        return ""
    body = wrapped(f".{name} = {value}" for name, value in kind.fields(network, node).items())
    return f"static const {kind.struct} {node.name} = {{\n{body}}};\n"


def function(plan: Plan, node: Node) -> str:
    """The function that makes a row."""
    network, kernel = plan.network, plan.kernels[plan.network.nodes.index(node)]
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    into = " + ".join(dims(network.maps[key]) for key in node.inputs)
    note = f"{node.title}: {into} -> {dims(out)}{_window(node)}"
    tensor = tensor_of(node.output)
    name = "" if tensor is None else comment(network.graph.tensors[tensor].name.split(";")[0])
    body = _KINDS[node.kind].body(plan, node, kernel, source, out)
    cut = ", const span *part" if _KINDS[node.kind].cut else ""
    return (
        f"/* {note}.{' ' + name if name else ''} */\n"
        f"static void {node.name}_row(net_state *net, uint32_t y{cut})\n{{\n{body}}}\n"
    )


def _window(node: Node) -> str:
    if node.kind not in WINDOWS:
        return ""
    (kh, kw), (sh, sw), pool = node.op.kernel, node.op.stride, node.pool
    text = f", {kh}x{kw} stride {sh}x{sw}"
    return text + (f", maximum of {pool[0]}x{pool[1]}" if pool != (1, 1) else "")


# Members of the structs


def _ends(network: Network, node: Node) -> Fields:
    """What every kernel that rescales adds, and where it clamps."""
    return {"out_zero_point": network.maps[node.output].pad} | _clamp(node)


def _clamp(node: Node) -> Fields:
    return {"act_min": node.low, "act_max": node.high}


def _fixed(node: Node) -> Fields:
    """The one scale of a node."""
    (scale,) = node.op.scales
    return {"multiplier": scale.multiplier, "shift": scale.shift}


def _arrays(node: Node, *names: str) -> Fields:
    """Constants of net_weights.c."""
    return {name: constant(node, name) for name in names}


def _fused_pool(node: Node) -> Fields:
    return {"pool_h": node.pool[0], "pool_w": node.pool[1]}


def _conv_fields(network: Network, node: Node) -> Fields:
    op, source, out = node.op, network.maps[node.inputs[0]], network.maps[node.output]
    dilated = op.dilation[1] > 1
    window: Fields = {
        "out_w": out.width,
        "out_c": out.channels,
        "kernel_h": op.kernel[0],
        "row_step": op.dilation[0],
        "runs": op.kernel[1] if dilated else 1,
        "run_bytes": source.channels * (1 if dilated else op.kernel[1]),
        "run_step": op.dilation[1] * source.channels,
        "x_step": op.stride[1] * source.channels,
        "y_step": op.stride[0],
    }
    shifts: Fields = {"any_shift": int(not usual(node, network.maps))}
    return window | _fused_pool(node) | _ends(network, node) | shifts | _arrays(node, "weights", "channels")


def _table_conv_fields(network: Network, node: Node) -> Fields:
    op, out = node.op, network.maps[node.output]
    window: Fields = {
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
    }
    return window | _fused_pool(node) | _ends(network, node) | _arrays(node, "table", "channels")


def _depthwise_fields(network: Network, node: Node) -> Fields:
    op, source, out = node.op, network.maps[node.inputs[0]], network.maps[node.output]
    window: Fields = {
        "out_w": out.width,
        "in_c": source.channels,
        "multiplier": out.channels // source.channels,
        "kernel_h": op.kernel[0],
        "kernel_w": op.kernel[1],
        "row_step": op.dilation[0],
        "tap_step": op.dilation[1] * source.channels,
        "x_step": op.stride[1] * source.channels,
    }
    sliding: Fields = {"sliding": int(slides(node, network.maps))}
    return window | _ends(network, node) | sliding | _arrays(node, "weights", "channels")


def _dense_fields(network: Network, node: Node) -> Fields:
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    sizes: Fields = {"in_n": source.height * source.pixels, "out_n": out.pixels}
    channels: Fields = {"per_channel": int(len(node.op.scales) > 1)}
    return sizes | _ends(network, node) | channels | _arrays(node, "weights", "bias", "scales")


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
        | _ends(network, node)
        | {f"{k}_multiplier": s.multiplier for k, s in named.items()}
        | {f"{k}_shift": s.shift for k, s in named.items()}
    )


def _mul_fields(network: Network, node: Node) -> Fields:
    source = network.maps[node.inputs[0]]
    assert node.op.constant is not None
    sizes: Fields = {"c": min(node.op.constant.size, source.pixels), "a_zero_point": source.pad}
    return sizes | _ends(network, node) | _fixed(node) | _arrays(node, "b")


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
        | _ends(network, node)
        | {f"{k}_multiplier": s.multiplier for k, s in named.items()}
        | {f"{k}_shift": s.shift for k, s in named.items()}
    )


def _pool_fields(network: Network, node: Node) -> Fields:
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    window: Fields = {
        "in_w": source.width,
        "channels": source.channels,
        "out_w": out.width,
        "kernel_w": node.op.kernel[1],
        "stride_w": node.op.stride[1],
        "pad_left": node.before[1],
    }
    return window | _clamp(node)


def _select_fields(network: Network, node: Node) -> Fields:
    source, out, channels = network.maps[node.inputs[0]], network.maps[node.output], node.op.picks[2]
    assert isinstance(channels, range)
    sizes: Fields = {"pixels": out.width, "channels": out.channels, "in_channels": source.channels}
    step = channels.step if len(channels) > 1 else 1
    return sizes | {"first": channels.start, "step": step} | _arrays(node, "columns")


def _bilinear_fields(network: Network, node: Node) -> Fields:
    out = network.maps[node.output]
    return {"pixels": out.width, "channels": out.channels} | _arrays(node, "columns")


def _log_softmax_fields(network: Network, node: Node) -> Fields:
    out, (scale, back) = network.maps[node.output], node.op.scales
    sizes: Fields = {"pixels": out.width, "channels": out.channels, "least": node.op.value}
    there: Fields = {"multiplier": scale.multiplier, "shift": scale.shift}
    return sizes | there | {"inverse": back.multiplier, "back": back.shift} | _arrays(node, "exponentials")


def _stepped(network: Network, node: Node) -> Fields:
    """A row of the input, and where its values go."""
    source = network.maps[node.inputs[0]]
    fields: Fields = {"pixels": source.width, "channels": source.channels}
    return fields | dict(zip(("y_step", "x_step", "c_step"), node.op.steps, strict=True))


def _reduce_fields(network: Network, node: Node) -> Fields:
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    outputs = out.height * out.pixels
    sizes: Fields = {"outputs": outputs, "count": source.height * source.pixels // outputs}
    points: Fields = {"in_zero_point": source.pad, "out_zero_point": out.pad}
    return _stepped(network, node) | sizes | points | _fixed(node)


def _average_fields(network: Network, node: Node) -> Fields:
    source = network.maps[node.inputs[0]]
    return {"pixels": source.height * source.width, "channels": source.channels}


def _mean_fields(network: Network, node: Node) -> Fields:
    points: Fields = {
        "in_zero_point": network.maps[node.inputs[0]].pad,
        "out_zero_point": network.maps[node.output].pad,
    }
    return _average_fields(network, node) | points | _fixed(node)


# Bodies of the functions


def _row(plan: Plan, key: int, row: str = "y") -> str:
    return f"lg_map_row(&{map_name(plan.network, key)}, arena(net), {row})"


def _out(plan: Plan, node: Node, row: str = "y") -> str:
    return f"    int8_t *const out = {_row(plan, node.output, row)};\n"


def _finish(plan: Plan, node: Node, indent: str = "    ", out: str = "out") -> str:
    """The end of a row: padding, and the observer."""
    layer = memory.layer_of(plan, node)
    return f"{indent}finish_row(net, &{map_name(plan.network, node.output)}, {layer}u, {out});\n"


def _first(node: Node) -> str:
    step = node.pool[0] * node.op.stride[0]
    return f"(int32_t)(y * {step}u) - {node.before[0]}"


def _conv(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    return f"    by_{kernel.function}(net, y, part, &{node.name}, &{node.name}_place);\n"


def place(plan: Plan, node: Node) -> str:
    """Where a convolution finds its rows, as a C definition; empty for other nodes."""
    if node.kind not in CONVOLUTIONS:
        return ""
    source = plan.network.maps[node.inputs[0]]
    fields = {
        "in": f"&{map_name(plan.network, source.key)}",
        "out": f"&{map_name(plan.network, node.output)}",
        "padding": _padding_of(plan, source),
        "step": node.pool[0] * node.op.stride[0],
        "before": node.before[0],
        "count": node.window_rows,
        "left": node.before[1] * source.channels,
        "layer": memory.layer_of(plan, node),
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
        struct, most = _KINDS[nodes[0].kind].struct, max(node.window_rows for node in nodes)
        into, out = _COLUMN[nodes[0].kind]
        text += f"""static void by_{function}(net_state *net, uint32_t y, const span *part,
    const {struct} *layer, const conv_place *place)
{{
    const int8_t *rows[{most}];
    {struct} columns = *layer;
    const uint32_t first = cut(part, &columns.out_w);
    open_rows(net, y, place, first * {into}, rows);
    int8_t *const out = lg_map_row(place->out, arena(net), y);
    {function}(&columns, rows, out + first * {out});
    if (part->end == part->of) {{
        finish_row(net, place->out, place->layer, out);
    }}
}}

"""
    return text


# Bytes from one column of the output to the next, in the input and in the output.
_COLUMN = {
    "conv": ("layer->pool_w * layer->x_step", "layer->out_c"),
    "table_conv": ("layer->pool_w * layer->x_step", "layer->out_c"),
    "depthwise": ("layer->x_step", "layer->in_c * layer->multiplier"),
}
_PLACE = """/* Where a convolution finds its rows, and which layer it makes. */
typedef struct {
    const lg_map *in, *out;
    const int8_t *padding; /* a row of it */
    uint16_t step, before; /* row y begins at input row y * step - before */
    uint16_t count;        /* rows of the window */
    uint16_t left;         /* bytes of padding ahead of the pixels */
    uint16_t layer;
} conv_place;

/* The first column of a part of a row; *columns becomes how many it has. */
static uint32_t cut(const span *part, uint16_t *columns)
{
    const uint32_t first = *columns * part->begin / part->of;
    *columns = (uint16_t)(*columns * part->end / part->of - first);
    return first;
}

/* The rows of the windows of row y, `skip` bytes of each left out. */
static void open_rows(net_state *net, uint32_t y, const conv_place *place, uint32_t skip, const int8_t **rows)
{
    const int32_t first = (int32_t)(y * place->step) - (int32_t)place->before;
    lg_map_window(place->in, arena(net), first, place->count, place->left, place->padding, rows);
    for (uint32_t i = 0; i < place->count; i++) {
        rows[i] += skip;
    }
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
        + _finish(plan, node)
    )


def _codes(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    arguments = f"{source.width}u, {node.before[1]}u, {node.code_radix}u, {node.code_pixels}u, {out.width}u"
    return (
        f"    uint8_t *const out = (uint8_t *){_row(plan, node.output)};\n"
        f"    {kernel.function}({_row(plan, source.key)}, {arguments}, out);\n"
    )


def _gather(plan: Plan, node: Node, kernel: Kernel, begin: str, finish: str) -> str:
    """Sums over the rows of the input, the output after the last one."""
    source = plan.network.maps[node.inputs[0]]
    return (
        f"    int32_t *const sums = {_sums(plan, node)};\n"
        f"    if (y == 0u) {{\n        {begin}(&{node.name}, sums);\n    }}\n"
        f"    {kernel.function}(&{node.name}, {_row(plan, source.key)}, {source.width}u, sums);\n"
        f"    if (y == {source.height - 1}u) {{\n    {_out(plan, node, '0u')}"
        f"        {finish};\n{_finish(plan, node, '        ')}    }}\n"
    )


def _sums(plan: Plan, node: Node) -> str:
    return f"&net->arena[{plan.sums[plan.network.nodes.index(node)] // 4}]"


def _dense(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    outputs = out.pixels + (out.pixels % 2 if kernel.variant == "dsp" else 0)
    size = kernel.constants["weights"].nbytes // outputs
    wide = ", some.weights" if node.op.is_wide else ""
    return (
        "    uint32_t first;\n"
        f"    const lg_dense some = some_outputs(&{node.name}, part, {size}u, &first);\n"
        f"    int32_t *const sums = {_sums(plan, node)} + first;\n"
        "    if (y == 0u) {\n        lg_dense_begin(&some, sums);\n    }\n"
        f"    {kernel.function}(&some, {_row(plan, source.key)},\n"
        f"        y * {source.pixels}u, {source.pixels}u{wide}, sums);\n"
        f"    if (y == {source.height - 1}u) {{\n    {_out(plan, node, '0u')}"
        "        lg_dense_finish(&some, sums, out + first);\n"
        f"        if (part->end == part->of) {{\n{_finish(plan, node, '            ')}        }}\n    }}\n"
    )


def dense_layers(plan: Plan) -> str:
    """The function that cuts a dense layer, if there is one."""
    return _SOME_OUTPUTS if any(node.kind == "dense" for node in plan.network.nodes) else ""


_SOME_OUTPUTS = """\
/* The outputs of a part of a dense layer, from `first` on; four by four. `size`: bytes of weights of each. */
static lg_dense some_outputs(const lg_dense *layer, const span *part, uint32_t size, uint32_t *first)
{
    const uint32_t fours = (layer->out_n + 3u) / 4u;
    const uint32_t begin = fours * part->begin / part->of * 4u;
    lg_dense some = *layer;
    some.out_n = (part->end == part->of ? layer->out_n : fours * part->end / part->of * 4u) - begin;
    some.weights = (const int8_t *)layer->weights + begin * size;
    some.bias += begin;
    some.scales += layer->per_channel != 0u ? begin : 0u;
    *first = begin;
    return some;
}

"""


def _mean(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    finish = f"lg_mean_finish(&{node.name}, sums, out)"
    return _gather(plan, node, kernel, "lg_mean_begin", finish)


def _average(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    function = "lg_average_up_finish" if node.op.rounds_up else "lg_average_finish"
    finish = f"{function}(&{node.name}, sums, {node.low}, {node.high}, out)"
    return _gather(plan, node, kernel, "lg_mean_begin", finish)


def _add(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    rows = f"{_row(plan, node.inputs[0])},\n        {_row(plan, node.inputs[1])}"
    return (
        _out(plan, node)
        + f"    {kernel.function}(&{node.name}, {rows}, {out.pixels}u, out);\n"
        + _finish(plan, node)
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
        f"    const int8_t *const in = {_row(plan, source.key)};\n"
        + _out(plan, node)
        + loop
        + _finish(plan, node)
    )


def _mul(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    whole = node.op.constant is not None and node.op.constant.size > source.pixels
    layer = f"    lg_mul layer = {node.name};\n    layer.b += y * {source.pixels}u;\n" if whole else ""
    argument = "&layer" if whole else f"&{node.name}"
    return (
        layer
        + _out(plan, node)
        + f"    {kernel.function}({argument}, {_row(plan, source.key)}, {source.pixels}u, out);\n"
        + _finish(plan, node)
    )


def _pairs(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    keys, rows = iter(node.inputs), []
    for operand in node.op.operands:
        height, width, channels = operand.shape
        if operand.constant is None:
            rows.append(_row(plan, next(keys), "y" if height > 1 else "0u"))
        else:
            rows.append(constant(node, "b") + (f" + y * {width * channels}u" if height > 1 else ""))
    call = f"{kernel.function}(&{node.name}, {rows[0]},\n        {rows[1]}, out);"
    return f"{_out(plan, node)}    {call}\n{_finish(plan, node)}"


def _lookup(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    call = f"{kernel.function}({constant(node, 'table')}, {_row(plan, source.key)}, {source.pixels}u, out);"
    return f"{_out(plan, node)}    {call}\n{_finish(plan, node)}"


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
        + _finish(plan, node)
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
    return text + _finish(plan, node)


def _select(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    rows = node.op.picks[0]
    if isinstance(rows, range):
        row = "y" if rows.step == 1 else f"y * {rows.step}u"
        row += f" + {rows.start}u" if rows.start else ""
    else:
        row = f"{constant(node, 'rows')}[y]"
    call = f"{kernel.function}(&{node.name}, {_row(plan, source.key, row)}, out);"
    return f"{_out(plan, node)}    {call}\n{_finish(plan, node)}"


def _bilinear(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    first, last = (_row(plan, source.key, f"row.{end}") for end in ("first", "last"))
    return (
        f"    const lg_between row = {constant(node, 'rows')}[y];\n"
        + _out(plan, node)
        + f"    {kernel.function}(&{node.name}, {first},\n        {last}, row.fraction, out);\n"
        + _finish(plan, node)
    )


def _softmax(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    if source.width == 1:
        call = f"    softmax({constant(node, 'table')}, {_row(plan, source.key)}, {source.pixels}u, out);\n"
        return f"{_out(plan, node)}{call}{_finish(plan, node)}"
    channels = source.channels
    return (
        f"    const int8_t *const in = {_row(plan, source.key)};\n"
        + _out(plan, node)
        + f"    for (uint32_t x = 0; x < {source.pixels}u; x += {channels}u) {{\n"
        + f"        softmax({constant(node, 'table')}, in + x, {channels}u, out + x);\n    }}\n"
        + _finish(plan, node)
    )


def _log_softmax(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    call = f"{kernel.function}(&{node.name}, {_row(plan, source.key)}, out);"
    return f"{_out(plan, node)}    {call}\n{_finish(plan, node)}"


def _reflow(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    """A reshape that cuts rows elsewhere."""
    name = map_name(plan.network, node.output)
    return (
        f"    {kernel.function}(&{name}, arena(net), y * {source.pixels}u, {_row(plan, source.key)},"
        f" {source.pixels}u);\n{_all_rows(plan, node, source, out)}"
    )


def _all_rows(plan: Plan, node: Node, source: Map, out: Map) -> str:
    """The end of all rows of a map at once, behind the last row of the input."""
    return (
        f"    for (uint32_t row = 0; y == {source.height - 1}u && row < {out.height}u; row++) {{\n"
        f"{_finish(plan, node, '        ', _row(plan, node.output, 'row'))}    }}\n"
    )


def _transpose(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    name = map_name(plan.network, node.output)
    return (
        f"    {kernel.function}(&{node.name}, &{name}, arena(net), y, {_row(plan, source.key)});\n"
        f"{_all_rows(plan, node, source, out)}"
    )


def _reduce(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    return (
        f"    int32_t *const sums = {_sums(plan, node)};\n"
        f"    if (y == 0u) {{\n        lg_reduce_begin(&{node.name}, sums);\n    }}\n"
        f"    {kernel.function}(&{node.name}, {_row(plan, source.key)}, y, sums);\n"
        f"    for (uint32_t row = 0; y == {source.height - 1}u && row < {out.height}u; row++) {{\n"
        f"    {_out(plan, node, 'row')}"
        f"        lg_reduce_finish(&{node.name}, sums + row * {out.pixels}u, {out.pixels}u, out);\n"
        f"{_finish(plan, node, '        ')}    }}\n"
    )


_ELEMENTWISE = "lg_elementwise.h"
_KINDS = {
    "conv": _Kind(_conv, "lg_conv.h", "lg_conv", _conv_fields, cut=True),
    "table_conv": _Kind(_conv, "lg_table_conv.h", "lg_table_conv", _table_conv_fields, cut=True),
    "codes": _Kind(_codes, "lg_table_conv.h"),
    "depthwise": _Kind(_conv, "lg_depthwise.h", "lg_depthwise", _depthwise_fields, cut=True),
    "dense": _Kind(_dense, "lg_dense.h", "lg_dense", _dense_fields, cut=True),
    "max_pool": _Kind(_pool, "lg_pool.h", "lg_pool", _pool_fields),
    "avg_pool": _Kind(_pool, "lg_pool.h", "lg_pool", _pool_fields),
    "mean": _Kind(_mean, "lg_mean.h", "lg_mean", _mean_fields),
    "average": _Kind(_average, "lg_mean.h", "lg_mean", _average_fields),
    "add": _Kind(_add, _ELEMENTWISE, "lg_add", _add_fields),
    "add_constant": _Kind(_add_constant, _ELEMENTWISE, "lg_add", _add_constant_fields),
    "mul": _Kind(_mul, _ELEMENTWISE, "lg_mul", _mul_fields),
    "lookup": _Kind(_lookup, _ELEMENTWISE),
    "pad": _Kind(_pad, _ELEMENTWISE),
    "concat": _Kind(_concat, _ELEMENTWISE),
    "softmax": _Kind(_softmax),
    "log_softmax": _Kind(_log_softmax, "lg_log_softmax.h", "lg_log_softmax", _log_softmax_fields),
    "reflow": _Kind(_reflow),
    "select": _Kind(_select, "lg_moves.h", "lg_select", _select_fields),
    "bilinear": _Kind(_bilinear, "lg_moves.h", "lg_bilinear", _bilinear_fields),
    "transpose": _Kind(_transpose, "lg_moves.h", "lg_transpose", _stepped),
    "reduce": _Kind(_reduce, "lg_reduce.h", "lg_reduce", _reduce_fields),
    **dict.fromkeys(PAIRS, _Kind(_pairs, "lg_pairs.h", "lg_pairs", _pairs_fields)),
}
