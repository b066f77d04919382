"""What the C of nodes of every kind is put together from: names, members of structs, the ends of rows."""

import dataclasses
from collections.abc import Callable

from export.plan import memory
from export.plan.kernels import Kernel
from export.plan.nodes import CODES, Map, Network, Node
from export.plan.plan import Plan

Fields = dict[str, object]
Body = Callable[[Plan, Node, Kernel, Map, Map], str]


@dataclasses.dataclass(frozen=True)
class Kind:
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


def output_ends(network: Network, node: Node) -> Fields:
    """What every kernel that rescales adds, and where it clamps."""
    return {"out_zero_point": network.maps[node.output].pad} | clamp(node)


def clamp(node: Node) -> Fields:
    return {"act_min": node.low, "act_max": node.high}


def one_scale(node: Node) -> Fields:
    """The one scale of a node."""
    (scale,) = node.op.scales
    return {"multiplier": scale.multiplier, "shift": scale.shift}


def arrays(node: Node, *names: str) -> Fields:
    """Constants of net_weights.c."""
    return {name: constant(node, name) for name in names}


def stepped(network: Network, node: Node) -> Fields:
    """A row of the input, and where its values go."""
    source = network.maps[node.inputs[0]]
    fields: Fields = {"pixels": source.width, "channels": source.channels}
    return fields | dict(zip(("y_step", "x_step", "c_step"), node.op.steps, strict=True))


def row_of(plan: Plan, key: int, row: str = "y") -> str:
    return f"lg_map_row(&{map_name(plan.network, key)}, arena(net), {row})"


def open_row(plan: Plan, node: Node, row: str = "y") -> str:
    return f"    int8_t *const out = {row_of(plan, node.output, row)};\n"


def end_row(plan: Plan, node: Node, indent: str = "    ", out: str = "out") -> str:
    """The end of a row: padding, and the observer."""
    layer = memory.layer_of(plan, node)
    return f"{indent}finish_row(net, &{map_name(plan.network, node.output)}, {layer}u, {out});\n"


def end_rows(plan: Plan, node: Node, source: Map, out: Map) -> str:
    """The end of all rows of a map at once, behind the last row of the input."""
    return (
        f"    for (uint32_t row = 0; y == {source.height - 1}u && row < {out.height}u; row++) {{\n"
        f"{end_row(plan, node, '        ', row_of(plan, node.output, 'row'))}    }}\n"
    )


def sums_of(plan: Plan, node: Node) -> str:
    return f"&net->arena[{plan.sums[plan.network.nodes.index(node)] // 4}]"
