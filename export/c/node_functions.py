"""The C of one node: its struct of constants, and the function that makes its next row.

    static void l02_conv_row(net_state *net, uint32_t y)    y: which of its steps in this frame
    static void l02_conv_row(net_state *net, uint32_t y, const span *part)

The second of kinds whose rows may be cut: it makes a part of the row, and ends the row with the last part.
What differs from kind to kind is one entry of a table, of :mod:`export.c.node_windows` or
:mod:`export.c.node_values`.
"""

from export.c import node_values, node_windows
from export.c.text import comment, wrapped
from export.plan.nodes import WINDOWS, Network, Node, dims, tensor_of
from export.plan.plan import Plan

_KINDS = node_windows.KINDS | node_values.KINDS


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
