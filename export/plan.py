"""The plan of a network on a board: kernels, order of rows, and where everything lies in one arena.

Rows of a map lie in a ring (:mod:`export.schedule`); two rings may share bytes if they are never alive
during the same call. The arena's size is

    max over buffers of (offset + size),

at least the largest sum of sizes alive during one call. The plan tries to cut the network into
segments that stream one after the other, and keeps the cuts that need the least: no cut is row streaming,
cuts everywhere are whole maps.

:func:`place` knows nothing of networks, so that resource counts elsewhere can use it too.
"""

import dataclasses
import random
from collections.abc import Sequence

import numpy as np

from export import kernels, schedule
from export.kernels import Choice, Kernel
from export.nodes import GATHERS, Map, Network, Node, build, dims, macs
from export.quant_graph import QuantGraph
from export.schedule import Schedule
from loggrad_tf.errors import LogGradError

ALIGNMENT = 4
# Kernels read whole words: so many bytes past the last row (LG_ROW_SLACK, rounded up).
SLACK = 4
SEARCH_ROUNDS = 400
# So many of the best cuts are placed.
PLACED = 6


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

    def table(self, instructions: Sequence[int] | None = None) -> str:
        """The plan as text: a line per node, then the totals.

        Args:
          instructions: predicted instructions a frame, one per node, the input's last.
        """
        shown: list[int | None] = [None] * (len(self.network.nodes) + 1)
        shown = list(instructions) if instructions is not None else shown
        head = f"{'layer':26s} {'output':>12s} {'rows':>7s} {'B':>7s} {'const B':>9s} {'MACs':>11s}"
        lines = [head + (f" {'instr.':>11s}" if instructions is not None else "") + "  kernel"]
        lines.append(self._line("input", self.network.maps[self.network.input], 0, 0, "", shown[-1]))
        for node, kernel, count in zip(self.network.nodes, self.kernels, shown, strict=False):
            out, work = self.network.maps[node.output], macs(self.network, node)
            lines.append(self._line(node.title, out, kernel.bytes, work, kernel.function, count))
        total = f"{'total':46s} {self.arena_bytes:>7,} {self.constant_bytes:>9,} {self.macs:>11,}"
        lines.append(total + (f" {sum(instructions):>11,}" if instructions is not None else ""))
        return "\n".join(lines)

    def _line(
        self, title: str, map_: Map, constants: int, work: int, function: str, count: int | None
    ) -> str:
        rows = f"{self.schedule.rows[map_.key]}/{map_.height}"
        text = f"{title[:26]:26s} {dims(map_):>12s} {rows:>7s} {self.ring_bytes(map_.key):>7,}"
        text += f" {constants:>9,} {work:>11,}"
        return f"{text}{f' {count:>11,}' if count is not None else ''}  {function}".rstrip()


def row_bytes(map_: Map) -> int:
    """From one row of a ring to the next."""
    return _aligned(map_.padded)


def sum_bytes(network: Network, node: Node) -> int:
    """Bytes of the sums that a mean or a dense layer gathers."""
    return 4 * network.maps[node.output].pixels


def plan(graph: QuantGraph, core: str = "", levels: int = 0, choice: Choice | None = None) -> Plan:
    """Plan ``graph`` for a core.

    Args:
      core: as in board.json; decides the kernels.
      levels: n of an input of levels -n..n (its first convolution may go by tables), else 0.
      choice: the layout of the constants; by default the fastest.
    """
    if choice is None:
        choice = kernels.choices(build(graph), core, levels)[0]
    network = build(graph, levels, choice.code_pixels)
    chosen = tuple(kernels.choose(n, network.maps, core, levels, choice) for n in network.nodes)
    return _arrange(network, chosen, choice)


def _arrange(network: Network, chosen: tuple[Kernel, ...], choice: Choice) -> Plan:
    """Look for the cuts that need the least memory, from both ends."""
    known: dict[frozenset[int], tuple[int, Schedule]] = {}

    def cost(cuts: frozenset[int]) -> int:
        if cuts not in known:
            made = schedule.make(network, cuts)
            known[cuts] = live_bound(list(_buffers(network, made).values())), made
        return known[cuts][0]

    places = schedule.cut_places(network)
    for start in (frozenset[int](), frozenset(places)):
        best = start
        while True:
            others = (best ^ {place} for place in places)
            neighbours = sorted(others, key=lambda cuts: (cost(cuts), len(cuts)))
            if not neighbours or cost(neighbours[0]) >= cost(best):
                break
            best = neighbours[0]
        cost(best)
    # The bound of one may be out of reach where another's is met.
    finals = sorted(known, key=lambda cuts: (known[cuts][0], len(cuts), sorted(cuts)))[:PLACED]
    placed = None
    for cuts in finals:
        bound, made = known[cuts]
        if placed is None or bound + SLACK < placed.arena_bytes:
            candidate = _placed(network, chosen, choice, cuts, made)
            placed = candidate if placed is None or candidate.arena_bytes < placed.arena_bytes else placed
    assert placed is not None
    return placed


def _buffers(network: Network, made: Schedule) -> dict[tuple[str, int], Buffer]:
    buffers = {
        ("map", key): Buffer(made.rows[key] * row_bytes(map_), made.live[key])
        for key, map_ in network.maps.items()
        if made.live[key]
    }
    for position, live in made.gathering.items():
        node = network.nodes[position]
        if node.kind in GATHERS and node.kind != "reflow":
            buffers["sums", position] = Buffer(sum_bytes(network, node), live)
    return buffers


def _placed(
    network: Network, chosen: tuple[Kernel, ...], choice: Choice, cuts: frozenset[int], made: Schedule
) -> Plan:
    buffers = _buffers(network, made)
    offsets = dict(zip(buffers, place(list(buffers.values())), strict=True))
    end = max(offsets[key] + buffer.size for key, buffer in buffers.items())
    return Plan(
        network=network,
        kernels=chosen,
        schedule=made,
        cuts=cuts,
        arena_bytes=_aligned(end) + SLACK,
        # A map of which no row is made may lie anywhere.
        offsets={key: offsets.get(("map", key), 0) for key in network.maps},
        sums={at: offsets.get(("sums", at), 0) for at in range(len(network.nodes))},
        bound=live_bound(list(buffers.values())),
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
    best_order = list(range(count))
    best, best_total = _first_fit(buffers, best_order)
    for key in keys:
        order = sorted(range(count), key=key)
        offsets, total = _first_fit(buffers, order)
        if total < best_total:
            best, best_total, best_order = offsets, total, order
    generator = random.Random(0)
    for _ in range(SEARCH_ROUNDS if count > 2 else 0):
        if best_total == bound:
            break
        order = list(best_order)
        i, j = generator.sample(range(count), 2)
        order.insert(j, order.pop(i))
        offsets, total = _first_fit(buffers, order)
        if total <= best_total:
            best, best_total, best_order = offsets, total, order
    return best


def live_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of sizes alive at one step."""
    steps = max((b.live.bit_length() for b in buffers), default=0)
    width = -(-steps // 8)
    total = np.zeros(8 * width, np.int64)
    for buffer in buffers:
        bits = np.frombuffer(buffer.live.to_bytes(width, "little"), np.uint8)
        total += buffer.size * np.unpackbits(bits, bitorder="little").astype(np.int64)
    return int(total.max(initial=0))


def _first_fit(buffers: Sequence[Buffer], order: Sequence[int]) -> tuple[list[int], int]:
    offsets = [0] * len(buffers)
    placed: list[int] = []
    total = 0
    for index in order:
        mine = buffers[index]
        taken = sorted(
            (offsets[i], offsets[i] + buffers[i].size) for i in placed if buffers[i].live & mine.live
        )
        offset = 0
        for start, end in taken:
            if offset + mine.size <= start:
                break
            offset = max(offset, end)
        offsets[index] = offset
        placed.append(index)
        total = max(total, offset + mine.size)
    return offsets, total


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
