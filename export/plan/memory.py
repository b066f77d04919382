"""Bytes that a plan takes in an image, apart from code: the state in RAM, constants in flash.

State is one struct, ``net_state``, in this order, each part rounded up to 4 bytes:

    the front end's struct, the observer
    counters: three of the frame, one of each node
    the arena of rows and sums
    the arrays of the front end

The program (``main.c``) holds it beside a few fields of its own and one row of codes. Sizes are those of a
32-bit core; the generated C checks them.
"""

from export.plan.input import Input
from export.plan.nodes import CODES, CONVOLUTIONS, Node, tensor_of
from export.plan.plan import SLACK, Plan

# Fields of main.c's `app` ahead of the network.
PROGRAM_BYTES = 28
# Of net_state: the observer, and three counters of 16 bits ahead of the nodes' own.
OBSERVER_BYTES, COUNTER_BYTES = 4, 6


def state_bytes(plan: Plan, source: Input) -> int:
    """sizeof(net_state)."""
    counts = rounded(COUNTER_BYTES + len(plan.network.nodes) * count_bytes(plan), 4)
    return rounded(source.struct_bytes + OBSERVER_BYTES + counts + plan.arena_bytes + source.tail_bytes, 4)


def program_bytes(state: int, source: Input) -> int:
    """Static RAM of main.c: a state of so many bytes, and one row."""
    return rounded(PROGRAM_BYTES + state + source.row_codes * source.code_bytes, 8)


def count_bytes(plan: Plan) -> int:
    """Of the counter of a node's calls."""
    return 1 if all(plan.network.steps(node) < 256 for node in plan.network.nodes) else 2


def call_bytes(plan: Plan) -> int:
    """Of an entry in the order of calls: a node, or the mark of an input row."""
    return 1 if len(plan.network.nodes) <= 255 else 2


def data_bytes(plan: Plan, source: Input) -> int:
    """Constants in flash: weights, scales, tables, rows of padding and the order of calls."""
    table, order = source.table, len(plan.schedule.calls) * call_bytes(plan)
    order += sum(state.begin.nbytes for state in plan.network.graph.states)
    return plan.constant_bytes + sum(padding(plan).values()) + order + (0 if table is None else table.nbytes)


def padding(plan: Plan) -> dict[int, int]:
    """Value of padding -> bytes of the constant row that stands for rows above and below an image."""
    rows: dict[int, int] = {}
    for node in plan.network.nodes:
        if node.kind in CONVOLUTIONS:
            source = plan.network.maps[node.inputs[0]]
            reads = plan.network.reads(node, 0), plan.network.reads(node, plan.network.steps(node) - 1)
            inside = all(found and found[0][2] - found[0][1] + 1 == node.window_rows for found in reads)
            if not inside:
                rows[source.pad] = max(rows.get(source.pad, 0), source.padded + SLACK)
    return rows


def _seen(plan: Plan) -> list[Node]:
    """Nodes whose output the observer sees."""
    return [node for node in plan.network.nodes if node.output != CODES]


def layer_of(plan: Plan, node: Node) -> int:
    """The place of a node in :func:`layers`."""
    return _seen(plan).index(node) + 1


def layers(plan: Plan) -> list[tuple[str, int, int]]:
    """(name, tensor index, bytes) of what the observer sees: the input, then every node's output."""
    network = plan.network
    seen = [("input", network.input), *((node.title, node.output) for node in _seen(plan))]
    tensors = ((name, key, tensor_of(key)) for name, key in seen)
    return [
        (name, tensor, plan.schedule.made[key] * network.maps[key].pixels)
        for name, key, tensor in tensors
        if tensor is not None
    ]


def rounded(size: int, unit: int) -> int:
    """Up to a multiple of ``unit``."""
    return -(-size // unit) * unit
