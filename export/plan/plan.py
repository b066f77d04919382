"""The plan of a network on a board: kernels, order of rows, and where everything lies in one arena.

Rows of a map lie in a ring (:mod:`export.plan.schedule`); two rings may share bytes if they are never alive
during the same call. The arena's size is

    max over buffers of (offset + size),

at least the largest sum of sizes alive during one call. The plan tries to cut the network into
segments that stream one after the other, and keeps the cuts that need the least: no cut is row streaming,
cuts everywhere are whole maps.

:func:`place` knows nothing of networks, so that resource counts elsewhere can use it too.
"""

import bisect
import dataclasses
import heapq
import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from export.plan import kernels, schedule
from export.plan.kernels import Choice, Kernel
from export.plan.nodes import GATHERS, SUMS, Map, Network, Node, build, macs, shape_of
from export.plan.schedule import Schedule
from export.tflite.quant_graph import QuantGraph
from loggrad_tf.errors import LogGradError

ALIGNMENT = 4
# Kernels read whole words: so many bytes past the last row (LG_ROW_SLACK, rounded up).
SLACK = 4
SEARCH_ROUNDS = 400
# So many of the best cuts are placed.
PLACED = 6
# What the search for cuts may take in one round: calls and, as costly as 16 of them, nodes, for each place.
# Networks of some hundreds of nodes have more places than that allows; cuts are then tried at some only.
SEARCH_STEPS = 2**22
# Networks of more nodes are searched for cuts, and placed, in as much time as one of so many.
LONG = 256


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Bytes needed during some steps: bit s of ``live`` for step s."""

    size: int
    live: int


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Where things are. Offsets are bytes from the start of the arena, multiples of 4.

    Attributes:
      network: nodes and maps.
      kernels: one per node.
      schedule: order of calls, rows held.
      cuts: positions of nodes after which maps are held whole.
      arena_bytes: size of the arena, a multiple of 4.
      offsets: map -> offset of its ring.
      sums: node position -> offset of its int32 sums (mean, dense).
      bound: the largest number of bytes alive at one time; no placement can do better.
      choice: how constants are laid out.
    """

    network: Network
    kernels: tuple[Kernel, ...]
    schedule: Schedule
    cuts: frozenset[int]
    arena_bytes: int
    offsets: dict[int, int]
    sums: dict[int, int]
    bound: int
    choice: Choice

    @property
    def macs(self) -> int:
        return sum(macs(self.network, node) for node in self.network.nodes)

    @property
    def constant_bytes(self) -> int:
        """Bytes of flash that weights, scales and tables take."""
        return sum(kernel.bytes for kernel in self.kernels)

    @property
    def ram_constants(self) -> int:
        """Bytes of tables that lie in RAM, a copy of those in flash."""
        tables = (k.constants["table"].nbytes for k in self.kernels if k.tabulates)
        return sum(tables) if self.choice.ram_tables else 0

    def ring_bytes(self, key: int) -> int:
        return self.schedule.rows[key] * row_bytes(self.network.maps[key])

    def table(self, instructions: Sequence[int] | None = None, cycles: Sequence[int] | None = None) -> str:
        """The plan as text: a line per node, then the totals.

        Args:
          instructions, cycles: predicted of a frame, one per node, the input's last.
        """
        work = {"instr.": instructions, "cycles": cycles}
        shown = {name: counts for name, counts in work.items() if counts is not None}
        head = f"{'layer':26s} {'output':>15s} {'rows':>7s} {'B':>7s} {'const B':>9s} {'MACs':>11s}"
        lines = [head + "".join(f" {name:>11s}" for name in shown) + "  kernel"]
        columns = list(zip(*shown.values(), strict=True)) or [()] * (len(self.network.nodes) + 1)
        lines.append(self._line("input", self.network.maps[self.network.input], 0, 0, "", columns[-1]))
        for node, kernel, counts in zip(self.network.nodes, self.kernels, columns, strict=False):
            out, macs_ = self.network.maps[node.output], macs(self.network, node)
            lines.append(self._line(node.title, out, kernel.bytes, macs_, kernel.function, counts))
        total = f"{'total':49s} {self.arena_bytes:>7,} {self.constant_bytes:>9,} {self.macs:>11,}"
        lines.append(total + "".join(f" {sum(counts):>11,}" for counts in shown.values()))
        return "\n".join(lines)

    def _line(
        self, title: str, map_: Map, constants: int, work: int, function: str, counts: Sequence[int]
    ) -> str:
        rows = f"{self.schedule.rows[map_.key]}/{map_.height}"
        text = f"{title[:26]:26s} {shape_of(map_):>15s} {rows:>7s} {self.ring_bytes(map_.key):>7,}"
        text += f" {constants:>9,} {work:>11,}" + "".join(f" {count:>11,}" for count in counts)
        return f"{text}  {function}".rstrip()


def row_bytes(map_: Map) -> int:
    """From one row of a ring to the next."""
    return map_.padded if map_.packed else _aligned(map_.padded)


def sum_bytes(network: Network, node: Node) -> int:
    """Bytes of the sums that a mean or a dense layer gathers."""
    out = network.maps[node.output]
    return 4 * out.height * out.pixels


def least_bytes(network: Network) -> int:
    """No order of rows needs less: what one call reads, what it writes, and its sums."""
    most = 0
    needed = schedule.rows_needed(network)
    for node in network.nodes:
        if needed[node.output] == 0:
            continue
        reads = {key: last - first + 1 for key, first, last in network.reads(node, 0)}
        size = sum(rows * row_bytes(network.maps[key]) for key, rows in reads.items())
        size += sum_bytes(network, node) if node.kind in SUMS else row_bytes(network.maps[node.output])
        most = max(most, size)
    return most


def plan(graph: QuantGraph, core: str = "", levels: int = 0, choice: Choice | None = None) -> Plan:
    """Plan ``graph`` for a core.

    Args:
      core: as in board.json; decides the kernels.
      levels: n of an input of levels -n..n (its first convolution may go by tables), else 0.
      choice: the layout of the constants; by default the fastest.
    """
    if choice is None:
        choice = kernels.choices(build(graph), levels, core)[0]
    return next(plans(graph, core, levels, [choice]))


def plans(graph: QuantGraph, core: str, levels: int, options: Iterable[Choice]) -> Iterator[Plan]:
    """A plan for each layout of the constants, made when it is asked for.

    Order and places depend on a layout by its ``code_pixels`` and ``overlaps`` only.
    """
    arranged: dict[tuple[int, bool], Plan] = {}
    for choice in options:
        pixels = choice.code_pixels
        key = pixels, choice.overlaps
        network = arranged[key].network if key in arranged else build(graph, levels, pixels)
        chosen = tuple(
            kernels.choose(node, network.maps, core, levels, choice.winograd) for node in network.nodes
        )
        if key not in arranged:
            arranged[key] = _arrange(network, chosen, choice)
        yield dataclasses.replace(arranged[key], kernels=chosen, choice=choice)


def _arrange(network: Network, chosen: tuple[Kernel, ...], choice: Choice) -> Plan:
    """Look for the cuts that need the least memory, from both ends."""
    bounds, asked = _Bounds(network, choice.overlaps), set[frozenset[int]]()
    places = schedule.cut_places(network)
    most = SEARCH_STEPS // (bounds.frame.calls + 16 * len(network.nodes))
    if len(network.nodes) > LONG:
        most = most * LONG // (8 * len(network.nodes))
    places = places[:: -(-len(places) // max(most, 1)) or 1]
    for start in (frozenset[int](), frozenset(places)):
        best = start
        while True:
            asked.add(best)
            neighbours = [best ^ {place} for place in places]
            asked.update(neighbours)
            ranked = [((len(cuts), at), cuts) for at, cuts in enumerate(neighbours)]
            better = next(bounds.ascending(ranked, bounds.exact(best)), None)
            if better is None:
                break
            best = better
    # The bound of one may be out of reach where another's is met.
    finals = [((len(cuts), *sorted(cuts)), cuts) for cuts in asked]
    # Maps that overlap lie in one piece, for which there may be no place.
    ways = [dataclasses.replace(choice, overlaps=overlaps) for overlaps in sorted({False, choice.overlaps})]
    placed = None
    for cuts in itertools.islice(bounds.ascending(finals), PLACED):
        if placed is None or bounds.exact(cuts) + SLACK < placed.arena_bytes:
            made = bounds.frame.schedule(cuts)
            tried = [_placed(network, chosen, one, cuts, made) for one in ways]
            candidate = min(tried, key=lambda one: one.arena_bytes)
            placed = candidate if placed is None or candidate.arena_bytes < placed.arena_bytes else placed
        if placed.arena_bytes == placed.bound + SLACK:
            break
    assert placed is not None
    return placed


# Bytes of a segment that was not simulated.
_UNKNOWN = (0, 0, 0)


class _Bounds:
    """Bytes alive at the worst moment, for any cuts: the most of any segment between two cuts.

    A segment is simulated once, and only if it is needed: a map that is held whole says enough of most cuts.
    """

    def __init__(self, network: Network, overlaps: bool = False) -> None:
        self.network = network
        self.overlaps = overlaps
        self.frame = schedule.Simulation(network)
        self._segments: dict[tuple[int | None, int | None], tuple[int, int, int]] = {}
        # Of the input, then of every node's output; some of them are the network's.
        keys = [network.input, *(node.output for node in network.nodes)]
        self._row_bytes = np.array([row_bytes(network.maps[key]) for key in keys], np.int64)
        self._ends = [keys.index(key) for key in network.ends]
        states = (network.maps[key] for key in network.remembered)
        self._remembered = sum(_aligned(of.height * row_bytes(of)) for of in states)
        held = [self.frame.needed[node.output] for node in network.nodes]
        # By node: bytes of its output, held whole.
        self._whole = [int(size) for size in held * self._row_bytes[1:]]

    def exact(self, cuts: frozenset[int]) -> int:
        segments = [self._segment(*pair) for pair in _pairs(cuts)]
        worst = max(most for most, _, _ in segments)
        source = self.network.maps[self.network.input]
        if max(self.frame.needed[source.key], 1) < source.height:
            # Rows that nobody reads still come when all is done.
            worst = max(worst, segments[0][1] + segments[-1][2])
        return worst + self._remembered

    def least(self, cuts: frozenset[int]) -> int:
        """No more than :meth:`exact`, from what is known."""
        known = [self._segments.get(pair, _UNKNOWN)[0] for pair in _pairs(cuts)]
        return max([*known, *(self._whole[cut] for cut in cuts)]) + self._remembered

    def ascending(
        self, ranked: Iterable[tuple[tuple[int, ...], frozenset[int]]], limit: float = math.inf
    ) -> Iterator[frozenset[int]]:
        """Cuts by (bound, rank), as far as bounds are below ``limit``. No two ranks are equal."""
        heap = [(self.least(cuts), rank, False, cuts) for rank, cuts in ranked]
        heapq.heapify(heap)
        while heap and heap[0][0] < limit:
            _, rank, is_exact, cuts = heapq.heappop(heap)
            if is_exact:
                yield cuts
            else:
                heapq.heappush(heap, (self.exact(cuts), rank, True, cuts))

    def _segment(self, start: int | None, end: int | None) -> tuple[int, int, int]:
        """Bytes alive at its worst moment, of the map it begins with, of the maps it ends with."""
        if (start, end) not in self._segments:
            moments, network = self.frame.moments(start, end), self.network
            first = 0 if start is None else start + 1
            sizes = moments.rows * self._row_bytes[first : first + len(moments.rows)]
            sizes += -sizes % ALIGNMENT
            gathered = [sum_bytes(network, network.nodes[first + at]) for at in moments.sums]
            total = moments.alive @ np.array([*sizes, *gathered], np.int64)
            if self.overlaps and start is not None and end is not None and end > start + 1:
                total -= moments.alive[:, 0] * moments.alive[:, len(sizes) - 1] * self._shared(start, end)
            worst = total.max()
            last = [at - first for at in self._ends] if end is None else [len(sizes) - 1]
            self._segments[start, end] = int(worst), int(sizes[0]), sum(int(sizes[at]) for at in last)
        return self._segments[start, end]

    def _shared(self, start: int, end: int) -> int:
        """Bytes that the maps with which a segment begins and ends have in common."""
        first, last = (self.network.nodes[at].output for at in (start, end))
        return overlap(self.network, self.frame.segment(start, end), first, last)


def overlap(network: Network, made: schedule.Trace | Schedule, ahead: int, behind: int) -> int:
    """Bytes in which a whole map can lie over another, whose rows are read before they are overwritten."""
    over, under = network.maps[ahead], network.maps[behind]
    whole = all(made.rows[key] == made.made[key] == len(made.times[key][0]) for key in (ahead, behind))
    gathers = any(node.kind in GATHERS and node.output in (ahead, behind) for node in network.nodes)
    same = made.rows[ahead] == made.rows[behind] and row_bytes(over) == row_bytes(under)
    if not whole or gathers or not same:
        return 0
    rows = made.rows[behind] - schedule.shift(made.times[ahead], made.times[behind])
    return max(rows, 0) * row_bytes(over)


def _pairs(cuts: frozenset[int]) -> Iterator[tuple[int | None, int | None]]:
    """Beginning and end of each segment; None: of the frame."""
    return itertools.pairwise((None, *sorted(cuts), None))


def _buffers(network: Network, made: Schedule) -> dict[tuple[str, int], Buffer]:
    buffers = {
        ("map", key): Buffer(_aligned(made.rows[key] * row_bytes(map_)), made.live[key])
        for key, map_ in network.maps.items()
        if made.live[key]
    }
    for position, live in made.gathering.items():
        node = network.nodes[position]
        if node.kind in SUMS:
            buffers["sums", position] = Buffer(sum_bytes(network, node), live)
    return buffers


def _joint(
    network: Network, made: Schedule, overlaps: bool
) -> list[tuple[Buffer, dict[tuple[str, int], int]]]:
    """Buffers, and what lies in each of them at which offset: several maps, if they may overlap."""
    buffers = _buffers(network, made)
    # By the map that was written last.
    joint = {key: (buffer, {key: 0}) for key, buffer in buffers.items()}
    keys = [network.input, *(node.output for node in network.nodes)] if overlaps else []
    maps = [("map", key) for key in keys if ("map", key) in buffers and made.rows[key] > 1]
    for at, behind in enumerate(maps):
        shared = {
            ahead: overlap(network, made, ahead[1], behind[1])
            for ahead in maps[:at]
            if ahead in joint and buffers[ahead].live & buffers[behind].live
        }
        ahead = max(shared, key=lambda key: shared[key], default=behind)
        if shared.get(ahead, 0) == 0:
            continue
        (above, members), (below, _) = joint.pop(ahead), joint.pop(behind)
        further = below.size - shared[ahead]
        places = {behind: 0} | {key: inside + further for key, inside in members.items()}
        size = max(inside + buffers[key].size for key, inside in places.items())
        joint[behind] = Buffer(size, above.live | below.live), places
    return [*joint.values()]


def _placed(
    network: Network, chosen: tuple[Kernel, ...], choice: Choice, cuts: frozenset[int], made: Schedule
) -> Plan:
    joint = _joint(network, made, choice.overlaps)
    buffers = [buffer for buffer, _ in joint]
    starts = place(buffers)
    offsets = {
        key: start + inside
        for start, (_, members) in zip(starts, joint, strict=True)
        for key, inside in members.items()
    }
    end = max(start + buffer.size for start, buffer in zip(starts, buffers, strict=True))
    return Plan(
        network=network,
        kernels=chosen,
        schedule=made,
        cuts=cuts,
        arena_bytes=_aligned(end) + SLACK,
        # A map of which no row is made may lie anywhere.
        offsets={key: offsets.get(("map", key), 0) for key in network.maps},
        sums={at: offsets.get(("sums", at), 0) for at in range(len(network.nodes))},
        bound=live_bound(buffers),
        choice=choice,
    )


def place(buffers: Sequence[Buffer]) -> list[int]:
    """An offset for each buffer such that no two alive at the same time overlap.

    First fit in an order reaches the optimum for at least one order; sizes, lifetimes and
    their products are tried, then random exchanges from the best, always the same ones.
    """
    if any(b.size < 1 or b.live < 1 for b in buffers):
        raise LogGradError("a buffer needs at least one byte and one step")
    count, bound = len(buffers), live_bound(buffers)
    first = [(b.live & -b.live).bit_length() for b in buffers]
    length = [b.live.bit_count() for b in buffers]
    keys = (
        lambda i: (-buffers[i].size, first[i]),
        lambda i: (first[i], -buffers[i].size),
        lambda i: (-length[i], -buffers[i].size),
        lambda i: (-buffers[i].size * length[i], i),
    )
    clashes = _clashes(buffers)
    best_order = list(range(count))
    best, best_total = _fit(buffers, clashes, best_order)
    for key in keys:
        order = sorted(range(count), key=key)
        offsets, total = _fit(buffers, clashes, order)
        if total < best_total:
            best, best_total, best_order = offsets, total, order
    generator = random.Random(0)
    rounds = SEARCH_ROUNDS if count <= LONG else SEARCH_ROUNDS * LONG**2 // count**2
    for _ in range(rounds if count > 2 else 0):
        if best_total == bound:
            break
        order = list(best_order)
        i, j = generator.sample(range(count), 2)
        order.insert(j, order.pop(i))
        if clashes[order[j]].isdisjoint(order[i:j] if i < j else order[j + 1 : i + 1]):
            # Nothing lies elsewhere.
            best_order = order
            continue
        # What comes before the exchange lies where it lay.
        offsets, total = _fit(buffers, clashes, order, best, min(i, j), best_total)
        if total <= best_total:
            best, best_total, best_order = offsets, total, order
    return best


def crowd(plan: Plan) -> set[int]:
    """Maps that lie in the arena at the moment when it is fullest."""
    buffers = _buffers(plan.network, plan.schedule)
    joint = (_joint(plan.network, plan.schedule, overlaps) for overlaps in {False, plan.choice.overlaps})
    total = min(
        (_alive([buffer for buffer, _ in one]) for one in joint), key=lambda bytes_: int(bytes_.max())
    )
    fullest = 1 << int(total.argmax())
    return {key for (kind, key), buffer in buffers.items() if kind == "map" and buffer.live & fullest}


def live_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of sizes alive at one step."""
    return int(_alive(buffers).max(initial=0))


def _alive(buffers: Sequence[Buffer]) -> np.ndarray:
    """Bytes by step."""
    steps = max((b.live.bit_length() for b in buffers), default=0)
    width = -(-steps // 8)
    total = np.zeros(8 * width, np.int64)
    for buffer in buffers:
        bits = np.frombuffer(buffer.live.to_bytes(width, "little"), np.uint8)
        total += buffer.size * np.unpackbits(bits, bitorder="little").astype(np.int64)
    return total


def _clashes(buffers: Sequence[Buffer]) -> list[set[int]]:
    """Of each buffer: those alive at one time with it."""
    return [{j for j, other in enumerate(buffers) if other.live & mine.live} for mine in buffers]


def _first_fit(buffers: Sequence[Buffer], order: Sequence[int]) -> tuple[list[int], int]:
    """The lowest free offset for one buffer after the other, and the end of the last byte."""
    return _fit(buffers, _clashes(buffers), order)


def _fit(
    buffers: Sequence[Buffer],
    clashes: Sequence[set[int]],
    order: Sequence[int],
    known: Sequence[int] | None = None,
    start: int = 0,
    limit: float = math.inf,
) -> tuple[list[int], int]:
    """As :func:`_first_fit`, from where another placement left off.

    Args:
      known: offsets of the first ``start`` buffers of the order.
      limit: an end above it is enough to know: the offsets are then not whole.
    """
    offsets = list(known) if known is not None else [0] * len(buffers)
    placed = sorted((offsets[i], offsets[i] + buffers[i].size, i) for i in order[:start])
    total = max((end for _, end, _ in placed), default=0)
    for index in order[start:]:
        size, near = buffers[index].size, clashes[index]
        offset = 0
        for begin, end, other in placed:
            if other in near:
                if offset + size <= begin:
                    break
                if end > offset:
                    offset = end
        offsets[index] = offset
        bisect.insort(placed, (offset, offset + size, index))
        if offset + size > total:
            total = offset + size
            if total > limit:
                break
    return offsets, total


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
