"""The C of nodes that sum or compare many values of their input: convolutions, dense layers, pools, means.

A row of a convolution or a dense layer may be cut: the function makes a part of it.
"""

from export.c.node_parts import (
    Fields,
    Kind,
    arrays,
    clamp,
    end_row,
    map_name,
    one_scale,
    open_row,
    output_ends,
    padding_name,
    row_of,
    stepped,
    sums_of,
)
from export.c.text import template, wrapped
from export.plan import memory
from export.plan.kernels import Kernel, slides, usual
from export.plan.nodes import CONVOLUTIONS, Map, Network, Node
from export.plan.plan import Plan

# Members of the structs


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
    ends = output_ends(network, node) | _shifts(network, node)
    return window | _fused_pool(node) | ends | arrays(node, "weights", "channels")


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
    return window | _fused_pool(node) | output_ends(network, node) | arrays(node, "table", "channels")


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
    ends = output_ends(network, node) | sliding | _shifts(network, node)
    return window | ends | arrays(node, "weights", "channels")


def _shifts(network: Network, node: Node) -> Fields:
    return {"any_shift": int(not usual(node, network.maps))}


def _fused_pool(node: Node) -> Fields:
    return {"pool_h": node.pool[0], "pool_w": node.pool[1]}


def _dense_fields(network: Network, node: Node) -> Fields:
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    sizes: Fields = {"in_n": source.height * source.pixels, "out_n": out.pixels}
    channels: Fields = {"per_channel": int(len(node.op.scales) > 1)}
    return sizes | output_ends(network, node) | channels | arrays(node, "weights", "bias", "scales")


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
    return window | clamp(node)


def _reduce_fields(network: Network, node: Node) -> Fields:
    source, out = network.maps[node.inputs[0]], network.maps[node.output]
    outputs = out.height * out.pixels
    sizes: Fields = {"outputs": outputs, "count": source.height * source.pixels // outputs}
    points: Fields = {"in_zero_point": source.pad, "out_zero_point": out.pad}
    return stepped(network, node) | sizes | points | one_scale(node)


def _average_fields(network: Network, node: Node) -> Fields:
    source = network.maps[node.inputs[0]]
    return {"pixels": source.height * source.width, "channels": source.channels}


def _mean_fields(network: Network, node: Node) -> Fields:
    points: Fields = {
        "in_zero_point": network.maps[node.inputs[0]].pad,
        "out_zero_point": network.maps[node.output].pad,
    }
    return _average_fields(network, node) | points | one_scale(node)


# Bodies of the functions


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


def _padding_of(plan: Plan, source: Map) -> str:
    return padding_name(source.pad) if source.pad in memory.padding(plan) else "NULL"


def convolutions(plan: Plan) -> str:
    """The type of places, and for each kernel the function that makes a row with it."""
    used: dict[str, list[Node]] = {}
    for node, kernel in zip(plan.network.nodes, plan.kernels, strict=True):
        if node.kind in CONVOLUTIONS:
            used.setdefault(kernel.function, []).append(node)
    text = template("convolutions.c") if used else ""
    for function, nodes in used.items():
        into, out = _COLUMN[nodes[0].kind]
        values = {
            "FUNCTION": function,
            "STRUCT": KINDS[nodes[0].kind].struct,
            "MOST": max(node.window_rows for node in nodes),
            "INTO": into,
            "OUT": out,
        }
        text += template("convolution_row.c.in", values)
    return text


# Bytes from one column of the output to the next, in the input and in the output.
_COLUMN = {
    "conv": ("layer->pool_w * layer->x_step", "layer->out_c"),
    "table_conv": ("layer->pool_w * layer->x_step", "layer->out_c"),
    "depthwise": ("layer->x_step", "layer->in_c * layer->multiplier"),
}


def _dense(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    outputs = out.pixels + (out.pixels % 2 if kernel.variant == "dsp" else 0)
    size = kernel.constants["weights"].nbytes // outputs
    wide = ", some.weights" if node.op.is_wide else ""
    return (
        "    uint32_t first;\n"
        f"    const lg_dense some = some_outputs(&{node.name}, part, {size}u, &first);\n"
        f"    int32_t *const sums = {sums_of(plan, node)} + first;\n"
        "    if (y == 0u) {\n        lg_dense_begin(&some, sums);\n    }\n"
        f"    {kernel.function}(&some, {row_of(plan, source.key)},\n"
        f"        y * {source.pixels}u, {source.pixels}u{wide}, sums);\n"
        f"    if (y == {source.height - 1}u) {{\n    {open_row(plan, node, '0u')}"
        "        lg_dense_finish(&some, sums, out + first);\n"
        f"        if (part->end == part->of) {{\n{end_row(plan, node, '            ')}        }}\n    }}\n"
    )


def dense_layers(plan: Plan) -> str:
    """The function that cuts a dense layer, if there is one."""
    return template("dense.c") if any(node.kind == "dense" for node in plan.network.nodes) else ""


def _pool(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    count = node.window_rows
    return (
        f"    const int8_t *rows[{count}];\n"
        + open_row(plan, node)
        + f"    const uint32_t count = lg_map_inside(&{map_name(plan.network, source.key)}, arena(net),"
        + f" {_first(node)}, {count}u, rows);\n"
        + f"    {kernel.function}(&{node.name}, rows, count, out);\n"
        + end_row(plan, node)
    )


def _first(node: Node) -> str:
    step = node.pool[0] * node.op.stride[0]
    return f"(int32_t)(y * {step}u) - {node.before[0]}"


def _codes(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    arguments = f"{source.width}u, {node.before[1]}u, {node.code_radix}u, {node.code_pixels}u, {out.width}u"
    return (
        f"    uint8_t *const out = (uint8_t *){row_of(plan, node.output)};\n"
        f"    {kernel.function}({row_of(plan, source.key)}, {arguments}, out);\n"
    )


def _gather(plan: Plan, node: Node, kernel: Kernel, begin: str, finish: str) -> str:
    """Sums over the rows of the input, the output after the last one."""
    source = plan.network.maps[node.inputs[0]]
    return (
        f"    int32_t *const sums = {sums_of(plan, node)};\n"
        f"    if (y == 0u) {{\n        {begin}(&{node.name}, sums);\n    }}\n"
        f"    {kernel.function}(&{node.name}, {row_of(plan, source.key)}, {source.width}u, sums);\n"
        f"    if (y == {source.height - 1}u) {{\n    {open_row(plan, node, '0u')}"
        f"        {finish};\n{end_row(plan, node, '        ')}    }}\n"
    )


def _mean(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    finish = f"lg_mean_finish(&{node.name}, sums, out)"
    return _gather(plan, node, kernel, "lg_mean_begin", finish)


def _average(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    function = "lg_average_up_finish" if node.op.rounds_up else "lg_average_finish"
    finish = f"{function}(&{node.name}, sums, {node.low}, {node.high}, out)"
    return _gather(plan, node, kernel, "lg_mean_begin", finish)


def _reduce(plan: Plan, node: Node, kernel: Kernel, source: Map, out: Map) -> str:
    return (
        f"    int32_t *const sums = {sums_of(plan, node)};\n"
        f"    if (y == 0u) {{\n        lg_reduce_begin(&{node.name}, sums);\n    }}\n"
        f"    {kernel.function}(&{node.name}, {row_of(plan, source.key)}, y, sums);\n"
        f"    for (uint32_t row = 0; y == {source.height - 1}u && row < {out.height}u; row++) {{\n"
        f"    {open_row(plan, node, 'row')}"
        f"        lg_reduce_finish(&{node.name}, sums + row * {out.pixels}u, {out.pixels}u, out);\n"
        f"{end_row(plan, node, '        ')}    }}\n"
    )


KINDS = {
    "conv": Kind(_conv, "lg_conv.h", "lg_conv", _conv_fields, cut=True),
    "table_conv": Kind(_conv, "lg_table_conv.h", "lg_table_conv", _table_conv_fields, cut=True),
    "codes": Kind(_codes, "lg_table_conv.h"),
    "depthwise": Kind(_conv, "lg_depthwise.h", "lg_depthwise", _depthwise_fields, cut=True),
    "dense": Kind(_dense, "lg_dense.h", "lg_dense", _dense_fields, cut=True),
    "max_pool": Kind(_pool, "lg_pool.h", "lg_pool", _pool_fields),
    "avg_pool": Kind(_pool, "lg_pool.h", "lg_pool", _pool_fields),
    "mean": Kind(_mean, "lg_mean.h", "lg_mean", _mean_fields),
    "average": Kind(_average, "lg_mean.h", "lg_mean", _average_fields),
    "reduce": Kind(_reduce, "lg_reduce.h", "lg_reduce", _reduce_fields),
}
