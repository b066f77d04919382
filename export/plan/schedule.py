"""In which order rows are made, how many rows of each map are held, and when each map is alive.

The network is cut into segments. Inside one, rows stream: a row is made when the row that needs it is
about to be made, never earlier, so a map holds only the rows its readers still need. What crosses a cut is
held whole.
No cut is row streaming, a cut after every node is layer by layer; :mod:`export.plan.plan` looks for the
best cuts.

Everything is simulated: each row's first write and last read are known, and from them

    rows held = max over writes of (row written - oldest row still needed + 1)

which makes `row % rows held` a place that nobody needs any more. Calls are counted before: a network of more
than :data:`MAX_CALLS` a frame, or of more than :data:`MAX_MOMENTS` with its nodes, is refused at once.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from export.plan.nodes import GATHERS, PAIRS, SUMS, Network, Node, window
from loggrad_tf.errors import LogGradError

# In a schedule: the next row of the input arrives.
NEXT_ROW = -1
# The C counts the calls of a frame in 16 bits.
MAX_CALLS = 65535
# Nodes times calls: the planner follows every map through every call.
MAX_MOMENTS = 1 << 24
# Segments, and forms of nodes, that the process remembers, a few kilobytes each.
MOMENTS_KEPT, READS_KEPT = 16384, 2048


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Calls in order, and what follows from the order.

    Attributes:
      calls: node positions, NEXT_ROW where a row of the input is taken.
      rows: map -> rows held.
      made: map -> rows that are made at all; what nobody reads is not made.
      live: map -> bit s set if the map holds something needed during call s.
      gathering: node position -> bit s set while its sums (or its growing output) are alive.
      times: as of :class:`Trace`.
    """

    calls: tuple[int, ...]
    rows: dict[int, int]
    made: dict[int, int]
    live: dict[int, int]
    gathering: dict[int, int]
    times: dict[int, "Times"] = dataclasses.field(compare=False, repr=False)


def make(network: Network, cuts: frozenset[int] = frozenset()) -> Schedule:
    """Simulate one frame. ``cuts``: positions of nodes after which all that is read later is held whole.

    Raises:
      LogGradError: a frame takes more than :data:`MAX_CALLS` calls.
    """
    return Simulation(network).schedule(cuts)


def rows_needed(network: Network) -> dict[int, int]:
    """Map -> rows that somebody reads."""
    needed = dict.fromkeys(network.maps, 0)
    needed |= {key: network.maps[key].height for key in network.ends}
    needed |= {key: network.maps[key].height for key in network.remembered}
    for node in reversed(network.nodes):
        for key, rows in network.rows_read(node, _steps(network, node, needed)).items():
            needed[key] = max(needed[key], rows)
    return needed


def _steps(network: Network, node: Node, needed: dict[int, int]) -> int:
    """Calls of a node that make what is needed of its output."""
    rows = needed[node.output]
    return network.steps(node) if rows and node.kind in GATHERS else rows


def cut_places(network: Network) -> list[int]:
    """Positions after which exactly one map is still to be read: where a cut costs one whole map."""
    last = {key: position for position, node in enumerate(network.nodes) for key in node.inputs}
    last |= dict.fromkeys(network.ends, len(network.nodes))
    places, crossing = [], {network.input} & last.keys()
    for position, node in enumerate(network.nodes[:-1]):
        crossing.add(node.output)
        crossing -= {key for key in (*node.inputs, node.output) if last.get(key, -1) <= position}
        if len(crossing) == 1:
            places.append(position)
    return places


def _crossing(network: Network, position: int) -> list[int]:
    made = [network.input, *(node.output for node in network.nodes[: position + 1])]
    later = {key for node in network.nodes[position + 1 :] for key in node.inputs} | {*network.ends}
    return [key for key in made if key in later]


@dataclasses.dataclass(frozen=True, eq=False)
class Trace:
    """What follows from calls in some order.

    Attributes:
      rows: map -> rows held.
      made: map -> rows made.
      alive: map -> bool [steps + 1], True while it holds something needed.
      gathering: node position -> (first call, last call) of a node that gathers.
      times: map -> of each row the call that writes it and the last that reads it.
    """

    rows: dict[int, int]
    made: dict[int, int]
    alive: dict[int, np.ndarray]
    gathering: dict[int, tuple[int, int]]
    times: dict[int, "Times"]


@dataclasses.dataclass(frozen=True, eq=False)
class _Reads:
    """The rows of one map that the steps of one node read; all three int64 [n], none decreasing."""

    position: int
    steps: np.ndarray
    first: np.ndarray
    last: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """What lies side by side in one segment: of its map before the first call, then of every node's output.

    Attributes:
      rows: of each map, rows held; int64 [nodes + 1].
      sums: those of its nodes, counted from its first, whose sums take memory of their own.
      alive: 1 for each map, then for each of ``sums``, that is alive; int64 [moments, maps + sums], no two
        of them equal.
    """

    rows: np.ndarray
    sums: tuple[int, ...]
    alive: np.ndarray


# Both int64 [rows].
Times = tuple[np.ndarray, np.ndarray]
# By step the inputs that a call reads, and how many rows of each must be there; by input the rows of _Reads.
_Lookup = tuple[list[list[tuple[int, int]]], list[tuple[int, np.ndarray]]]
# Both by all that they depend on.
_reads: dict[tuple[Any, ...], _Lookup] = {}
_moments: dict[tuple[Any, ...], Moments] = {}


class Simulation:
    """One frame of a network: what it takes for any cuts.

    What one call reads does not depend on cuts, so it is looked up once. Between two cut places a network
    runs as if it were alone, whatever is cut elsewhere: see :meth:`segment`.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._producer = {node.output: position for position, node in enumerate(network.nodes)}
        # Of each node, by step: the maps that it reads, and how many rows of each must be there.
        self._wants: list[list[list[tuple[int, int]]]] = [[] for _ in network.nodes]
        self._readers: dict[int, list[_Reads]] = {key: [] for key in network.maps}
        self.needed = rows_needed(network)
        steps = [_steps(network, node, self.needed) for node in network.nodes]
        rows = network.maps[network.input].height
        # How many a frame takes, the rows of the input among them.
        self.calls = rows + sum(steps)
        if self.calls > MAX_CALLS:
            raise LogGradError(
                f"{rows} input rows and {len(steps)} nodes take {self.calls} calls a frame, more than"
                f" {MAX_CALLS}: make the input lower or the network shorter"
            )
        if self.calls * len(steps) > MAX_MOMENTS:
            raise LogGradError(
                f"{len(steps)} nodes in {self.calls} calls a frame are more than can be planned (the product"
                f" is above {MAX_MOMENTS}): make the input lower or the network shorter"
            )
        for position in range(len(network.nodes)):
            self._look_up(position, steps[position])
        # Of each node, all that its calls depend on; what it reads by the distance to the node that makes it.
        self._shapes = [
            (
                node.kind if node.kind in (*GATHERS, *PAIRS) or node.axis == 0 else "",
                window(node),
                tuple(position - self._producer.get(key, -1) for key in node.inputs),
                network.maps[node.output].height,
                self.needed[node.output],
                node.output in network.ends,
                tuple(key in network.remembered for key in node.inputs),
                _chosen(node),
                node.op.in_turn,
            )
            for position, node in enumerate(network.nodes)
        ]

    def _look_up(self, position: int, steps: int) -> None:
        """What the calls of one node read; nodes of one form share it."""
        node, maps = self.network.nodes[position], self.network.maps
        heights = tuple(maps[key].height for key in node.inputs)
        same = tuple(node.inputs.index(key) for key in node.inputs)
        rowwise = node.kind == "concat" and node.axis == 0
        form = rowwise, node.op.in_turn, node.kind in PAIRS, _chosen(node)
        key = form, window(node), heights, same, steps
        if key not in _reads:
            if len(_reads) >= READS_KEPT:
                _reads.clear()
            _reads[key] = self._read_by(node, steps)
        wants, windows = _reads[key]
        self._wants[position] = [[(node.inputs[at], upto) for at, upto in step] for step in wants]
        for at, columns in windows:
            self._readers[node.inputs[at]].append(_Reads(position, *columns))

    def _read_by(self, node: Node, steps: int) -> _Lookup:
        wants: list[list[tuple[int, int]]] = []
        found: dict[int, list[tuple[int, int, int]]] = {}
        for step in range(steps):
            reads = self.network.reads(node, step)
            upto = [steps if node.op.in_turn else last + 1 for _, _, last in reads]
            wants.append(
                [(node.inputs.index(key), rows) for (key, _, _), rows in zip(reads, upto, strict=True)]
            )
            for key, first, last in reads:
                found.setdefault(node.inputs.index(key), []).append((step, first, last))
        return wants, [(at, np.array(windows, np.int64).T) for at, windows in found.items()]

    def schedule(self, cuts: frozenset[int]) -> Schedule:
        """The order for some cuts, and all that follows from it."""
        network = self.network
        calls, made = self._order(None, [key for cut in sorted(cuts) for key in _crossing(network, cut)])
        calls += [NEXT_ROW] * (network.maps[network.input].height - made[network.input])
        trace = self._trace(calls, list(network.maps))
        spans = {at: (2 << last) - (1 << first) for at, (first, last) in trace.gathering.items()}
        live = {key: _mask(alive) for key, alive in trace.alive.items()}
        return Schedule(tuple(calls), trace.rows, trace.made, live, spans, trace.times)

    def moments(self, start: int | None, end: int | None) -> Moments:
        """What is alive at one time between two cuts, see :meth:`segment`.

        It does not depend on how wide maps are, so networks that differ elsewhere share it.
        """
        first = 0 if start is None else start + 1
        last = len(self._shapes) if end is None else end + 1
        before = self.network.maps[self.network.input if start is None else self.network.nodes[start].output]
        key = (
            start is None,
            end is None,
            before.height,
            self.needed[before.key],
            *self._shapes[first:last],
        )
        found = _moments.get(key)
        if found is None:
            found = _moments_of(self.segment(start, end), self.network.nodes[first:last], first)
            if len(_moments) >= MOMENTS_KEPT:
                _moments.clear()
            _moments[key] = found
        return found

    def segment(self, start: int | None, end: int | None) -> Trace:
        """The calls between two cuts, each at a cut place; None for the frame's beginning and end.

        The map before ``start`` is there, whole, before the first call. Rows of the input that nobody reads
        are left out.
        """
        network = self.network
        first, last = 0 if start is None else start + 1, len(network.nodes) if end is None else end + 1
        known = None if start is None else _crossing(network, start)[0]
        goals = network.ends if end is None else tuple(_crossing(network, end))
        calls, _ = self._order(known, [] if end is None else [*goals], end is not None)
        keys = [node.output for node in network.nodes[first:last]]
        return self._trace(calls, [network.input if known is None else known, *keys], known, goals)

    def _order(
        self, known: int | None, goals: list[int], stop: bool = False
    ) -> tuple[list[int], dict[int, int]]:
        """Calls that make what is needed of some maps, one after the other, and then of the outputs.

        Args:
          known: a map that is there from the start; None: the frame begins.
          stop: the outputs are left out.
        Returns:
          the calls, and the rows made of each map.
        """
        network, wants, producer = self.network, self._wants, self._producer
        made = dict.fromkeys(network.maps, 0) | {key: self.needed[key] for key in network.remembered}
        done = [0] * len(network.nodes)
        calls: list[int] = []

        def take(rows: int) -> None:
            """Rows of the input arrive."""
            calls.extend([NEXT_ROW] * (rows - made[network.input]))
            made[network.input] = rows

        def demand(key: int, rows: int) -> None:
            # What is wanted, the most urgent last: networks may be deeper than Python calls.
            pending = [(key, rows)]
            while pending:
                key, rows = pending[-1]
                position = producer[key]
                node, steps = network.nodes[position], wants[position]
                gathers, blocked = node.kind in GATHERS, False
                while made[key] < rows and not blocked:
                    step = done[position]
                    for source, upto in steps[step]:
                        if made[source] >= upto:
                            continue
                        if source == network.input:
                            take(upto)
                        else:
                            pending.append((source, upto))
                            blocked = True
                            break
                    else:
                        calls.append(position)
                        done[position] = step + 1
                        made[key] = network.rows_made(node, step) if gathers else step + 1
                if not blocked:
                    pending.pop()

        if known is None:
            # A frame begins with a row of the input, even where padding could be made before it.
            take(1)
        else:
            made[known] = self.needed[known]
        wanted = [(key, self.needed[key]) for key in goals]
        for key, rows in wanted if stop else [*wanted, *self._rows_of_outputs]:
            if key == network.input:
                take(max(rows, made[key]))
            elif made[key] < rows:
                demand(key, rows)
        return calls, made

    @functools.cached_property
    def _rows_of_outputs(self) -> list[tuple[int, int]]:
        """The ends, by how many rows of them are wanted next: of several the one that the fewest rows of the
        input make."""
        network = self.network
        if len(network.ends) == 1:
            return [(network.output, self.needed[network.output])]
        known = {key: [1] * network.maps[key].height for key in network.remembered}
        known[network.input] = list(range(1, network.maps[network.input].height + 1))
        for position, node in enumerate(network.nodes):
            rows: list[int] = []
            most = 1
            for step in self._wants[position]:
                most = max([most, *(known[key][upto - 1] for key, upto in step)])
                rows.append(most)
            known[node.output] = [most] * network.maps[node.output].height if node.kind in GATHERS else rows
        ranked = [
            (rows, place, row + 1)
            for place, key in enumerate(network.ends)
            for row, rows in enumerate(known[key])
        ]
        return [(network.ends[place], row) for _, place, row in sorted(ranked)]

    def _trace(
        self, calls: list[int], keys: list[int], known: int | None = None, goals: Sequence[int] = ()
    ) -> Trace:
        """First write and last read of every row of some maps.

        Args:
          known: a map all rows of which are there before the first call.
          goals: maps that are read after the last call.
        """
        network, end = self.network, len(calls)
        called = np.array(calls, np.int64)
        ends = np.bincount(called + 1, minlength=len(network.nodes) + 1).cumsum().tolist()
        order = called.argsort(kind="stable")
        # Of the input, then of every node.
        times = [order[begin:stop] for begin, stop in zip([0, *ends], ends, strict=False)]
        trace = Trace({}, {}, {}, {}, {})
        for key in keys:
            if key == known or key in network.remembered:
                written = np.full(self.needed[key], -1)
            elif key == network.input:
                written = times[0]
            else:
                position = self._producer[key]
                written = times[position + 1]
                if network.nodes[position].kind in GATHERS and len(written):
                    trace.gathering[position] = int(written[0]), int(written[-1])
                    written = np.full(network.maps[key].height, written[-1])
            read = written.copy()
            for reader in self._readers[key]:
                later = end if key in goals else None
                _read(read, reader, times[reader.position + 1], later)
            if key in network.ends or key in network.remembered:
                read[:] = end
            trace.times[key] = written, read
            trace.rows[key] = _held(written, read)
            trace.made[key] = len(written)
            trace.alive[key] = _covered(written, read, end + 1)
        for position, (first, last) in trace.gathering.items():
            if network.nodes[position].kind not in SUMS:
                trace.alive[network.nodes[position].output][first : last + 1] = True
        return trace


def shift(ahead: Times, behind: Times) -> int:
    """Rows by which one map must lie behind another in memory that they share, row upon row.

    Args:
      ahead: the map whose rows are overwritten, and which lies so many rows further on.
    Returns:
      so many that no row is written where one lies that is read in that call or later.
    """
    (first, last), (written, _) = ahead, behind
    needed = last[None, :] >= written[:, None]
    oldest = np.where(needed.any(axis=1), needed.argmax(axis=1), len(written))
    over = (np.arange(len(written)) - oldest).max(initial=-1) + 1
    under = (written.searchsorted(first, "right") - np.arange(len(first))).max(initial=0)
    return int(max(over, under, 0))


def _chosen(node: Node) -> tuple[Any, ...]:
    """What decides the rows that a node reads beside its window."""
    return (*node.op.picks[:1], *node.op.between[:1])


def _read(read: np.ndarray, reader: _Reads, times: np.ndarray, later: int | None) -> None:
    """Put off the last reads of rows to those of one reader, all of them to ``later`` if that is given."""
    rows = np.arange(len(read))
    step = reader.first.searchsorted(rows, "right") - 1
    inside = (step >= 0) & (reader.last[step] >= rows)
    if later is None:
        read[inside] = np.maximum(read[inside], times[reader.steps[step[inside]]])
    else:
        read[inside] = later


def _held(written: np.ndarray, read: np.ndarray) -> int:
    """Rows from the oldest that is still needed to the newest, at worst."""
    rows = np.arange(len(written))
    # Rows behind a dead one may live: the oldest is the first that is read later than the write.
    oldest = np.maximum.accumulate(read).searchsorted(written, "right")
    return int((rows - np.minimum(oldest, rows)).max(initial=0)) + 1


def _covered(first: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
    """Steps that lie in one of the ranges, whose ends belong to them."""
    first = np.maximum(first, 0)
    changes = np.bincount(first, minlength=steps + 1) - np.bincount(last + 1, minlength=steps + 1)
    return changes[:steps].cumsum() > 0


def _moments_of(trace: Trace, nodes: Sequence[Node], first: int) -> Moments:
    """Of the trace of a segment of these nodes, the first of which is at position ``first``."""
    sums = [at for at in trace.gathering if nodes[at - first].kind in SUMS]
    alive = [*trace.alive.values()]
    for position in sums:
        begin, end = trace.gathering[position]
        gathering = np.zeros(len(alive[0]), bool)
        gathering[begin : end + 1] = True
        alive.append(gathering)
    columns = np.array(alive).T
    # Equal moments are equal bytes.
    distinct = dict(zip(map(bytes, np.packbits(columns, axis=1)), columns, strict=True))
    rows = np.array([*trace.rows.values()], np.int64)
    return Moments(rows, tuple(at - first for at in sums), np.array([*distinct.values()], np.int64))


def _mask(covered: np.ndarray) -> int:
    return int.from_bytes(np.packbits(covered, bitorder="little").tobytes(), "little")
