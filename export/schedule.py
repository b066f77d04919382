"""The order of the operators that needs the least memory.

The state is the set of operators already run; running one costs

    live bytes + its output (nothing if it may write over an input that dies),

and the order sought has the smallest maximum of that over its steps: a shortest path whose
length is a maximum, found exactly. If the order of the file is as good it stays; if the network has more
states than :data:`MAX_STATES` it stays too.
"""

import dataclasses
import heapq

from export.plan import IN_PLACE
from export.quant_graph import Op, QuantGraph

MAX_STATES = 20_000


@dataclasses.dataclass(frozen=True)
class _Step:
    needs: int  # bits of the operators whose results it reads
    reads: frozenset[int]  # roots
    writes: int  # root
    op: Op


def reorder(graph: QuantGraph) -> QuantGraph:
    """The same graph, its operators in the best order."""
    steps, uses = _steps(graph)
    order = _search(graph, steps, uses)
    if order is None or _peak(graph, steps, uses, order) >= _peak(graph, steps, uses, range(len(steps))):
        return graph
    return dataclasses.replace(graph, ops=tuple(graph.ops[i] for i in order))


def peak(graph: QuantGraph) -> int:
    """The largest number of live bytes, in the order of ``graph.ops``."""
    steps, uses = _steps(graph)
    return _peak(graph, steps, uses, range(len(steps)))


def _steps(graph: QuantGraph) -> tuple[list[_Step], dict[int, int]]:
    """Steps, and for each root the bits of the operators that read it. Reshapes share a root."""
    root = {graph.input: graph.input}
    made: dict[int, int] = {graph.input: 0}
    uses: dict[int, int] = {graph.input: 0}
    steps = []
    for place, op in enumerate(graph.ops):
        root[op.output] = root[op.inputs[0]] if op.kind == "reshape" else op.output
        needs = 0
        for tensor in op.inputs:
            needs |= made[tensor]
            uses[root[tensor]] |= 1 << place
        made[op.output] = 1 << place
        uses.setdefault(root[op.output], 0)
        steps.append(_Step(needs, frozenset(root[t] for t in op.inputs), root[op.output], op))
    # The scores are read after the last step.
    uses[root[graph.output]] |= 1 << len(graph.ops)
    return steps, uses


def _live(graph: QuantGraph, uses: dict[int, int], written: frozenset[int], done: int) -> dict[int, int]:
    return {r: graph.tensors[r].size for r in written if uses[r] & ~done}


def _cost(
    graph: QuantGraph, uses: dict[int, int], step: _Step, place: int, live: dict[int, int], done: int
) -> int:
    """Bytes alive while the step runs."""
    size = 0 if step.writes in live else graph.tensors[step.op.output].size
    if step.op.kind in IN_PLACE:
        after = done | 1 << place
        if any(not uses[r] & ~after and graph.tensors[r].size == size for r in step.reads):
            size = 0
    scratch = 4 * graph.tensors[step.op.inputs[0]].shape[-1] if step.op.kind == "mean" else 0
    return sum(live.values()) + size + scratch


def _peak(graph: QuantGraph, steps: list[_Step], uses: dict[int, int], order: range | list[int]) -> int:
    done, written, highest = 0, frozenset([graph.input]), 0
    for place in order:
        step = steps[place]
        highest = max(highest, _cost(graph, uses, step, place, _live(graph, uses, written, done), done))
        done |= 1 << place
        written |= {step.writes}
    return highest


def _search(graph: QuantGraph, steps: list[_Step], uses: dict[int, int]) -> list[int] | None:
    """The best order, or None beyond MAX_STATES."""
    complete = (1 << len(steps)) - 1
    queue: list[tuple[int, int, list[int]]] = [(0, 0, [])]
    seen: set[int] = set()
    while queue:
        highest, _, order = heapq.heappop(queue)
        done = sum(1 << place for place in order)
        if done in seen:
            continue
        seen.add(done)
        if done == complete:
            return order
        if len(seen) > MAX_STATES:
            return None
        written = frozenset([graph.input, *(steps[place].writes for place in order)])
        live = _live(graph, uses, written, done)
        for place, step in enumerate(steps):
            if not done >> place & 1 and step.needs & ~done == 0:
                cost = max(highest, _cost(graph, uses, step, place, live, done))
                heapq.heappush(queue, (cost, -len(order) - 1, [*order, place]))
    return None
