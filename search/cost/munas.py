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

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from models.graph import Graph, macs, weight_count

MAX_STATES = 200_000


@dataclasses.dataclass(frozen=True)
class Resources(JsonBase):
    """Costs of one network: bytes of peak memory, bytes of weights, multiply-accumulates."""

    peak_memory: int
    size: int
    macs: int


def resources(graph: Graph) -> Resources:
    """The costs of ``graph``."""
    return Resources(peak_memory(graph), size(graph), sum(macs(graph, op) for op in graph.ops))


def size(graph: Graph) -> int:
    """Bytes of all kernels and biases at one byte an element."""
    return sum(weight_count(graph, op) for op in graph.ops)


@dataclasses.dataclass(frozen=True)
class _Task:
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


def peak_memory(graph: Graph) -> int:
    """Bytes alive at the worst moment of the best execution order (see the module's head)."""
    tasks = _tasks(graph)
    last_use = list(range(len(tasks)))
    for i, task in enumerate(tasks):
        for source in task.inputs:
            last_use[source] = i
    peak, start, reach = 0, 0, 0
    for i in range(1, len(tasks)):
        reach = max(reach, last_use[i - 1])
        if reach <= i:
            peak = max(peak, _section_peak(tasks, start, i))
            start = i
    return peak


def _section_peak(tasks: Sequence[_Task], start: int, end: int) -> int:
    """Peak between two cuts: only task ``start`` alive before, only ``end`` after."""
    if end == start + 1:
        return tasks[start].bytes + tasks[end].bytes - _saved_in_place(tasks[end])
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


def _chains_peak(fork: int, chains: list[tuple[int, ...]], join: int) -> int:
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
    while low < enough:
        peak = search.fit(limit)
        if peak is not None:
            enough = max(low, peak)
            limit = enough - 1
        else:
            low = min(search.least, enough)
            limit = (low + enough) // 2
    return enough


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
    would go the same way: ``least`` is what any order takes at least, ``needs``, by chain, what one
    takes in which that chain is the last to start.
    """

    def __init__(self, fork: int, chains: list[tuple[int, ...]]) -> None:
        self.fork = fork
        self.chains = [(0, *c) for c in chains]
        self.forward = [_ways(c, range(1, len(c))) for c in self.chains]
        self.backward = [_ways(c, range(len(c) - 1, -1, -1)) for c in self.chains]
        # Without the start, at which nothing is alive.
        self.to_started = [[w if w and w[0] else None for w in ways] for ways in self.backward]
        self.unstarted = [0] * len(chains)
        self.needs = [0] * len(chains)

    def fit(self, limit: int) -> int | None:
        """The peak of some order within the limit; None if there is no such order."""
        self.limit, self.least = limit, 2**63
        ends = [len(c) - 1 for c in self.chains]
        alive = sum(c[-1] for c in self.chains)
        self.target, alive, self.after = self._fall(ends, [1] * len(ends), self.to_started, alive)
        self.low = []
        for chain, end in zip(self.chains, self.target, strict=True):
            low = end
            while low > 1 and chain[low - 1] >= chain[end]:
                low -= 1
            self.low.append(low)
        # One of chains that are equal.
        last_ones = {c: i for i, c in enumerate(self.chains) if self.low[i] == 1}
        least = self.least
        for last in last_ones.values():
            if self.needs[last] <= limit:
                self.least = least
                moment = list(self.target)
                moment[last] = 1
                held = self.fork + alive - self.chains[last][self.target[last]] + self.chains[last][1]
                peak = self._through(moment, held, last, set()) if self._allows(held) else None
                if peak is not None:
                    return peak
                self.needs[last] = self.least
        self.least = min([least, *(self.needs[last] for last in last_ones.values())])
        return None

    def _allows(self, cost: int) -> bool:
        if cost > self.limit:
            self.least = min(self.least, cost)
        return cost <= self.limit

    def _fall(
        self, start: list[int], stop: list[int], ways: list[_Ways], alive: int
    ) -> tuple[list[int], int, int]:
        """Where the chains rest on their ways from ``start``, at which so much is alive, to ``stop``.

        Returns:
          The positions, what is alive at them, and the peak on the way.
        """
        at, limit, peak = list(start), self.limit, 0
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
                        self.least = min(self.least, cost)
                        break
                    if cost > peak:
                        peak = cost
                    p, moved = way[0], True
                at[i], alive = p, others + chain[p]
        return at, alive, peak

    def _through(self, moment: list[int], held: int, last: int, seen: set[tuple[int, ...]]) -> int | None:
        """The peak of some order through ``moment``, or through one with more chains waiting.

        Chains that wait in the moment that is looked for hold no less than at their targets, so
        if the target is out of reach from here it is from there too. Those that wait already stay:
        a call of its own tries each of their positions.
        """
        key = tuple(moment)
        if key in seen:
            return None
        seen.add(key)
        reached, _, later = self._fall(moment, self.target, self.forward, held - self.fork)
        if reached != self.target:
            return None
        before = list(moment)
        before[last] = 0
        begun = held - self.chains[last][1]
        rest, alive, earlier = self._fall(before, self.unstarted, self.backward, begun)
        if not any(rest):
            return max(earlier, held, later, self.after)
        for i, hill in enumerate(rest):
            if not hill or moment[i] != self.target[i]:
                continue
            chain, others = self.chains[i], alive - self.chains[i][hill]
            while self._allows(others + chain[hill] + chain[hill - 1]):
                hill -= 1
            for position in range(hill - 1, self.low[i] - 1, -1):
                moved = held - chain[moment[i]] + chain[position]
                if self._allows(moved):
                    waiting = [*moment[:i], position, *moment[i + 1 :]]
                    peak = self._through(waiting, moved, last, seen)
                    if peak is not None:
                        return peak
        return None


def _any_peak(tasks: Sequence[_Task], start: int, end: int) -> int:
    """Best-first search over the sets of executed tasks (bit masks) of a section."""
    inside = range(start + 1, end + 1)
    users = {i: [j for j in inside if i in tasks[j].inputs] for i in range(start, end + 1)}
    full = sum(1 << i for i in inside)
    reached = {0: 0}
    heap: list[tuple[int, int, int]] = [(0, 0, 0)]
    while heap:
        peak, _, done = heapq.heappop(heap)
        if done == full:
            return peak
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
            if cost < reached.get(after, 2**63):
                reached[after] = cost
                if len(reached) > MAX_STATES:
                    raise LogGradError(
                        f"peak memory: {end - start} interlocked ops have more than {MAX_STATES} partial"
                        " orders; split the network at a single map between them"
                    )
                heapq.heappush(heap, (cost, -after.bit_count(), after))
    raise AssertionError("a graph in topological order can always be executed")
