"""In which order rows are made, how many rows of each map are held, and when each map is alive.

The network is cut into segments. Inside one, rows stream: a row is made when the row that needs it is
about to be made, never earlier, so a map holds only the rows its readers still need. What crosses a cut is
held whole.
No cut is row streaming, a cut after every node is layer by layer; :mod:`export.plan` looks for the best cuts.

Everything is simulated: each row's first write and last read are known, and from them

    rows held = max over writes of (row written - oldest row still needed + 1)

which makes `row % rows held` a place that nobody needs any more.
"""

import dataclasses

from export.nodes import GATHERS, Network

# In a schedule: the next row of the input arrives.
NEXT_ROW = -1


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Calls in order, and what follows from the order.

    Attributes:
      calls: node positions, NEXT_ROW where a row of the input is taken.
      rows: map -> rows held.
      made: map -> rows that are made at all; what nobody reads is not made.
      live: map -> bit s set if the map holds something needed during call s.
      gathering: node position -> bit s set while its sums (or its growing output) are alive.
    """

    calls: tuple[int, ...]
    rows: dict[int, int]
    made: dict[int, int]
    live: dict[int, int]
    gathering: dict[int, int]


def make(network: Network, cuts: frozenset[int] = frozenset()) -> Schedule:
    """Simulate one frame. ``cuts``: positions of nodes after which all that is read later is held whole."""
    needed = _needed_rows(network)
    calls = _order(network, needed, cuts)
    return _liveness(network, calls)


def cut_places(network: Network) -> list[int]:
    """Positions after which exactly one map is still to be read: where a cut costs one whole map."""
    places = []
    for position in range(len(network.nodes) - 1):
        if len(_crossing(network, position)) == 1:
            places.append(position)
    return places


def _crossing(network: Network, position: int) -> list[int]:
    made = [network.input, *(node.output for node in network.nodes[: position + 1])]
    later = {key for node in network.nodes[position + 1 :] for key in node.inputs} | {network.output}
    return [key for key in made if key in later]


def _needed_rows(network: Network) -> dict[int, int]:
    """Map -> rows that somebody reads."""
    needed = dict.fromkeys(network.maps, 0)
    needed[network.output] = network.maps[network.output].height
    for node in reversed(network.nodes):
        if needed[node.output] == 0:
            continue
        steps = network.steps(node) if node.kind in GATHERS else needed[node.output]
        for step in range(steps):
            for key, _, last in network.reads(node, step):
                needed[key] = max(needed[key], last + 1)
    return needed


def _order(network: Network, needed: dict[int, int], cuts: frozenset[int]) -> tuple[int, ...]:
    producer = {node.output: position for position, node in enumerate(network.nodes)}
    made = dict.fromkeys(network.maps, 0)
    done = [0] * len(network.nodes)
    calls: list[int] = []

    def demand(key: int, rows: int) -> None:
        while made[key] < rows:
            if key == network.input:
                calls.append(NEXT_ROW)
                made[key] += 1
                continue
            position = producer[key]
            node, step = network.nodes[position], done[position]
            for source, _, last in network.reads(node, step):
                demand(source, last + 1)
            calls.append(position)
            done[position] += 1
            made[key] = max(made[key], network.rows_made(node, step))

    # A frame begins with a row of the input, even where padding could be made before it.
    demand(network.input, 1)
    for cut in sorted(cuts):
        for key in _crossing(network, cut):
            demand(key, needed[key])
    demand(network.output, needed[network.output])
    calls += [NEXT_ROW] * (network.maps[network.input].height - made[network.input])
    return tuple(calls)


def _liveness(network: Network, calls: tuple[int, ...]) -> Schedule:
    written: dict[int, list[int]] = {key: [] for key in network.maps}
    last_read: dict[int, list[int]] = {key: [] for key in network.maps}
    done = [0] * len(network.nodes)
    gathering: dict[int, list[int]] = {}
    for at, call in enumerate(calls):
        if call == NEXT_ROW:
            written[network.input].append(at)
            last_read[network.input].append(at)
            continue
        node = network.nodes[call]
        for key, first, last in network.reads(node, done[call]):
            for row in range(first, last + 1):
                last_read[key][row] = at
        for _ in range(network.rows_made(node, done[call]) - len(written[node.output])):
            written[node.output].append(at)
            last_read[node.output].append(at)
        if node.kind in GATHERS:
            gathering.setdefault(call, [at, at])[1] = at
        done[call] += 1
    last_read[network.output] = [len(calls)] * len(last_read[network.output])
    live = {key: _union(written[key], last_read[key]) for key in network.maps}
    spans = {position: _range(*span) for position, span in gathering.items()}
    for position, span in spans.items():
        if network.nodes[position].kind == "reflow":
            live[network.nodes[position].output] |= span
    return Schedule(
        calls,
        {key: _held(written[key], last_read[key]) for key in network.maps},
        {key: len(written[key]) for key in network.maps},
        live,
        spans,
    )


def _held(written: list[int], last_read: list[int]) -> int:
    held, oldest = 1, 0
    for row, at in enumerate(written):
        while oldest < row and last_read[oldest] <= at:
            oldest += 1
        # Rows behind a dead one may live: look at all of them.
        alive = next((q for q in range(oldest, row) if last_read[q] > at), row)
        held = max(held, row - alive + 1)
    return held


def _union(written: list[int], last_read: list[int]) -> int:
    mask = 0
    for first, last in zip(written, last_read, strict=True):
        mask |= _range(first, last)
    return mask


def _range(first: int, last: int) -> int:
    return ((1 << (last - first + 1)) - 1) << first
