"""What a network costs, counted as muNAS counts it: peak memory, size and MACs.

Peak memory: one byte an element; the input buffer is not counted (it may be streamed);
batch norm and ReLU happen in place, flatten moves nothing; an Add may overwrite an operand
of exactly its output's shape that nothing needs later. The figure is the exact minimum over
all execution orders of

    max over ops of  sum of live maps + output - (output, if an Add works in place).

Size: kernels and biases at one byte each. MACs: :func:`models.graph.macs`.

The order search. Wherever a single map is alive every order passes, so the graph is cut there
and each section solved alone: parallel chains between a fork and a join (all that
:mod:`search.space.assembly` makes) by :func:`_chains_peak`, anything else by a best-first search
over the sets of executed ops, which refuses sections that are too tangled.
"""

import dataclasses
import heapq
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from models.graph import Graph, macs, weight_count

MAX_STATES = 200_000
# Above any number of bytes.
_NEVER = 2**63


@dataclasses.dataclass(frozen=True)
class Resources(JsonBase):
    """Costs of one network: bytes of peak memory, bytes of weights, multiply-accumulates."""

    peak_memory: int
    size: int
    macs: int


def resources(graph: Graph) -> Resources:
    """The costs of ``graph``."""
    return Resources(peak_memory(graph).bytes, size(graph), sum(macs(graph, op) for op in graph.ops))


def size(graph: Graph) -> int:
    """Bytes of all kernels and biases at one byte an element."""
    return sum(weight_count(graph, op) for op in graph.ops)


@dataclasses.dataclass(frozen=True)
class PeakMemory:
    """The peak of the best execution order, and what it took to find it.

    Attributes:
      bytes: alive at the worst moment.
      limits: tried by :func:`_chains_peak`.
      moments: in which the last chain starts, looked at for all limits together.
      states: sets of executed ops that the best-first search reached.
    """

    bytes: int
    limits: int = 0
    moments: int = 0
    states: int = 0


class _Task(NamedTuple):
    """An op that owns memory: its operands (input and flatten resolved away) and bytes.

    ``shareable`` holds the operands whose memory it may take over.
    """

    inputs: tuple[int, ...]
    bytes: int
    shareable: tuple[int, ...]


def _tasks(graph: Graph) -> list[_Task]:
    """Task 0 is the input (0 bytes); the rest follow in the graph's order."""
    owner: dict[int, int] = {}
    tasks: list[_Task] = []
    for i, op in enumerate(graph.ops):
        if op.kind == "flatten":
            owner[i] = owner[op.inputs[0]]
            continue
        owner[i] = len(tasks)
        sources = tuple(dict.fromkeys(owner[j] for j in op.inputs))
        shareable = tuple(
            dict.fromkeys(
                owner[j]
                for j in op.inputs
                if op.kind == "add" and graph.ops[j].shape == op.shape and graph.ops[j].kind != "input"
            )
        )
        tasks.append(_Task(sources, 0 if op.kind == "input" else math.prod(op.shape), shareable))
    return tasks


def peak_memory(graph: Graph) -> PeakMemory:
    """Of the best execution order (see the module's head).

    Raises:
      LogGradError: more than :data:`MAX_STATES` sets of executed ops of a section that is not chains.
    """
    tasks = _tasks(graph)
    last_use = list(range(len(tasks)))
    for i, task in enumerate(tasks):
        for source in task.inputs:
            last_use[source] = i
    peak, start, reach = 0, 0, 0
    sections: list[PeakMemory] = []
    for i in range(1, len(tasks)):
        reach = max(reach, last_use[i - 1])
        if reach <= i:
            if i == start + 1:
                peak = max(peak, tasks[start].bytes + tasks[i].bytes - _saved_in_place(tasks[i]))
            else:
                sections.append(_section_peak(tasks, start, i))
            start = i
    limits, moments, states = 0, 0, 0
    for section in sections:
        peak = max(peak, section.bytes)
        limits += section.limits
        moments += section.moments
        states += section.states
    return PeakMemory(peak, limits, moments, states)


def _section_peak(tasks: Sequence[_Task], start: int, end: int) -> PeakMemory:
    """Peak between two cuts with tasks between them: only ``start`` alive before, only ``end`` after."""
    chains = _chains(tasks, start, end)
    if chains is None:
        return _any_peak(tasks, start, end)
    join = sum(chain[-1] for chain in chains) + tasks[end].bytes - _saved_in_place(tasks[end])
    return _chains_peak(tasks[start].bytes, chains, join)


def _saved_in_place(task: _Task) -> int:
    """What an Add saves whose operands nothing else uses."""
    return task.bytes if task.shareable else 0


def _chains(tasks: Sequence[_Task], start: int, end: int) -> list[tuple[int, ...]] | None:
    """Bytes along each chain from ``start`` to the operands of ``end``; None if it is not chains."""
    tails: dict[int, list[int]] = {}
    for i in range(start + 1, end):
        if len(tasks[i].inputs) != 1 or tasks[i].shareable:
            return None
        source = tasks[i].inputs[0]
        if source == start:
            tails[i] = [tasks[i].bytes]
        elif source in tails:
            tails[i] = [*tails.pop(source), tasks[i].bytes]
        else:
            return None
    if set(tails) != set(tasks[end].inputs):
        return None
    return [tuple(chain) for chain in tails.values()]


def _chains_peak(fork: int, chains: list[tuple[int, ...]], join: int) -> PeakMemory:
    """The least peak of running every chain from the shared map ``fork`` to its end, then the join.

    Limits are tried, the first of them what no order avoids. One that no order keeps shows the least cost
    that was turned away, below which no other will do, and what lies between is halved; one that some
    order keeps shows the peak of that order, and the next is one byte less. To find an order takes a
    small part of what it takes to see that there is none, and most orders found are the best ones.
    """
    smallest = sum(min(c) for c in chains)
    limit = max(
        join,
        max(fork + c[0] for c in chains),
        max((a + b for c in chains for a, b in itertools.pairwise(c)), default=0),
        min(fork + c[0] + smallest - min(c) for c in chains),
    )
    enough, low = _one_by_one(fork, chains, join), limit
    search = _Chains(fork, chains)
    needs, limits, moments = (0,) * len(chains), 0, 0
    while low < enough:
        found = search.fit(limit, needs)
        needs, limits, moments = found.needs, limits + 1, moments + found.moments
        if found.peak is not None:
            enough = max(low, found.peak)
            limit = enough - 1
        else:
            low = min(found.least, enough)
            limit = (low + enough) // 2
    return PeakMemory(enough, limits, moments)


def _one_by_one(fork: int, chains: list[tuple[int, ...]], join: int) -> int:
    """The peak of running the chains to their ends, one after the other."""
    peak, held = join, fork
    for i, chain in enumerate(chains):
        peak = max(peak, held + chain[0])
        held -= fork if i == len(chains) - 1 else 0
        peak = max([peak, *(held + a + b for a, b in itertools.pairwise(chain))])
        held += chain[-1]
    return peak


# By position of a chain: the next one with a map no larger, and the most that two neighbours up to it take.
_Ways = list[tuple[int, int] | None]


def _ways(chain: Sequence[int], order: Sequence[int]) -> _Ways:
    ways: _Ways = [None] * len(chain)
    for start, p in enumerate(order):
        hill, last = 0, p
        for q in order[start + 1 :]:
            hill, last = max(hill, chain[last] + chain[q]), q
            if chain[q] <= chain[p]:
                ways[p] = (q, hill)
                break
    return ways


class _Fit(NamedTuple):
    """What one limit has shown.

    Attributes:
      peak: of an order within the limit; None if there is none.
      least: bytes that any order takes at least, where there is none.
      needs: by chain, bytes that an order takes at least in which it is the last to start.
      moments: looked at.
    """

    peak: int | None
    least: int
    needs: tuple[int, ...]
    moments: int


class _Within(NamedTuple):
    """What orders within a limit have in common.

    Attributes:
      limit: bytes.
      target: positions of the chains, from which they fall to their ends.
      after: the peak behind the target.
      low: the first position of each chain from which nothing up to its target is smaller.
    """

    limit: int
    target: list[int]
    after: int
    low: list[int]


class _Chains:
    """Can parallel chains run within a limit of bytes?

    Position p of a chain means that map p is alive; at 0 it has not started, owns nothing and
    needs the fork, which is freed once every chain has started. Memory as a function of the set
    of executed ops is submodular, so a run of steps that stays within the limit and ends at no
    more memory than it began with makes no later step dearer: it can be done at once. The same
    holds backward in time. Chains that only ever move by such runs *fall*, and need no search:

    * backward from the end, fork gone, the chains fall to a state ``target``;
    * forward from the moment when the last chain has started, they must fall to the target,
      so at that moment each lies where nothing up to its target is smaller (from ``low``);
    * backward from that moment, fork alive, all others must fall to 0.

    What is left to choose is that moment: the last chain to start, and the chains that wait
    before their target for the fork to be freed, because they cannot pass a hill beside it.

    A search that finds no order has met costs above the limit, and below the smallest of them it
    would go the same way. Every step of the search returns the smallest that it met.
    """

    def __init__(self, fork: int, chains: list[tuple[int, ...]]) -> None:
        self.fork = fork
        self.chains = [(0, *c) for c in chains]
        self.forward = [_ways(c, range(1, len(c))) for c in self.chains]
        self.backward = [_ways(c, range(len(c) - 1, -1, -1)) for c in self.chains]
        # Without the start, at which nothing is alive.
        self.to_started = [[w if w and w[0] else None for w in ways] for ways in self.backward]
        self.unstarted = [0] * len(chains)

    def fit(self, limit: int, needs: Sequence[int]) -> _Fit:
        """Look for an order within the limit; ``needs`` is what earlier limits have shown."""
        ends = [len(c) - 1 for c in self.chains]
        alive = sum(c[-1] for c in self.chains)
        target, alive, after, turned = self._fall(ends, [1] * len(ends), self.to_started, alive, limit)
        low = []
        for chain, end in zip(self.chains, target, strict=True):
            first = end
            while first > 1 and chain[first - 1] >= chain[end]:
                first -= 1
            low.append(first)
        within = _Within(limit, target, after, low)
        # One of chains that are equal.
        last_ones = {c: i for i, c in enumerate(self.chains) if low[i] == 1}
        found, moments = list(needs), 0
        for last in last_ones.values():
            if found[last] > limit:
                continue
            moment = list(target)
            moment[last] = 1
            held = self.fork + alive - self.chains[last][target[last]] + self.chains[last][1]
            if held > limit:
                found[last] = min(turned, held)
                continue
            seen: set[tuple[int, ...]] = set()
            peak, least = self._through(within, moment, held, last, seen)
            moments += len(seen)
            if peak is not None:
                return _Fit(peak, limit, tuple(found), moments)
            found[last] = min(turned, least)
        return _Fit(None, min([turned, *(found[i] for i in last_ones.values())]), tuple(found), moments)

    def _fall(
        self, start: list[int], stop: list[int], ways: list[_Ways], alive: int, limit: int
    ) -> tuple[list[int], int, int, int]:
        """Where the chains rest on their ways from ``start``, at which so much is alive, to ``stop``.

        Returns:
          The positions, what is alive at them, the peak on the way, and the least cost turned away.
        """
        at, peak, least = list(start), 0, _NEVER
        waiting = [i for i, p in enumerate(at) if p != stop[i]]
        moved = True
        while moved:
            moved = False
            for i in waiting:
                chain, p, end = self.chains[i], at[i], stop[i]
                others = alive - chain[p]
                while p != end and (way := ways[i][p]):
                    cost = others + way[1]
                    if cost > limit:
                        if cost < least:
                            least = cost
                        break
                    if cost > peak:
                        peak = cost
                    p, moved = way[0], True
                at[i], alive = p, others + chain[p]
        return at, alive, peak, least

    def _through(
        self, within: _Within, moment: list[int], held: int, last: int, seen: set[tuple[int, ...]]
    ) -> tuple[int | None, int]:
        """The peak of some order through ``moment``, or through one with more chains waiting.

        Chains that wait in the moment that is looked for hold no less than at their targets, so
        if the target is out of reach from here it is from there too. Those that wait already stay:
        a call of its own tries each of their positions.

        Returns:
          The peak, None if there is no such order, and the least cost turned away.
        """
        key = tuple(moment)
        if key in seen:
            return None, _NEVER
        seen.add(key)
        limit, target = within.limit, within.target
        reached, _, later, least = self._fall(moment, target, self.forward, held - self.fork, limit)
        if reached != target:
            return None, least
        before = list(moment)
        before[last] = 0
        begun = held - self.chains[last][1]
        rest, alive, earlier, turned = self._fall(before, self.unstarted, self.backward, begun, limit)
        least = min(least, turned)
        if not any(rest):
            return max(earlier, held, later, within.after), least
        for i, hill in enumerate(rest):
            if not hill or moment[i] != target[i]:
                continue
            chain, others = self.chains[i], alive - self.chains[i][hill]
            while (cost := others + chain[hill] + chain[hill - 1]) <= limit:
                hill -= 1
            least = min(least, cost)
            for position in range(hill - 1, within.low[i] - 1, -1):
                moved = held - chain[moment[i]] + chain[position]
                if moved > limit:
                    least = min(least, moved)
                    continue
                waiting = [*moment[:i], position, *moment[i + 1 :]]
                peak, turned = self._through(within, waiting, moved, last, seen)
                least = min(least, turned)
                if peak is not None:
                    return peak, least
        return None, least


def _any_peak(tasks: Sequence[_Task], start: int, end: int) -> PeakMemory:
    """Best-first search over the sets of executed tasks (bit masks) of a section."""
    inside = range(start + 1, end + 1)
    users = {i: [j for j in inside if i in tasks[j].inputs] for i in range(start, end + 1)}
    full = sum(1 << i for i in inside)
    reached = {0: 0}
    heap: list[tuple[int, int, int]] = [(0, 0, 0)]
    while heap:
        peak, _, done = heapq.heappop(heap)
        if done == full:
            return PeakMemory(peak, states=len(reached))
        if peak > reached[done]:
            continue
        alive = {
            i
            for i in range(start, end + 1)
            if (i == start or done >> i & 1) and any(not done >> j & 1 for j in users[i])
        }
        held = sum(tasks[i].bytes for i in alive)
        for i in inside:
            task = tasks[i]
            if done >> i & 1 or any(s != start and not done >> s & 1 for s in task.inputs):
                continue
            free = any(all(j == i or done >> j & 1 for j in users[s]) for s in task.shareable)
            after = done | 1 << i
            cost = max(peak, held + task.bytes - (task.bytes if free else 0))
            if cost < reached.get(after, _NEVER):
                reached[after] = cost
                if len(reached) > MAX_STATES:
                    raise LogGradError(
                        f"peak memory: {end - start} interlocked ops have more than {MAX_STATES} partial"
                        " orders; split the network at a single map between them"
                    )
                heapq.heappush(heap, (cost, -after.bit_count(), after))
    raise AssertionError("a graph in topological order can always be executed")
