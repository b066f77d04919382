"""search.cost.munas: hand-computed networks, and every order of small graphs by brute force."""

import heapq
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from models.graph import SAME, VALID, Graph, GraphBuilder, Op, macs
from search.cost import munas as counting
from search.cost.munas import Resources, peak_memory, resources
from search.space.assembly import assemble
from search.space.genotype import Block, Genotype, Layer, Pooling, random_genotype


def layer(
    kind: str = "conv", kernel: int = 3, filters: int = 4, strided: bool = False, prepool: bool = False
) -> Layer:
    return Layer(kind, kernel, filters, strided, prepool, bn=False, relu=True)


def serial(*layers: Layer) -> Block:
    return Block(False, layers)


def branch(*layers: Layer) -> Block:
    return Block(True, layers)


def network(*blocks: Block, pooling: Pooling | None = None, dense: tuple[int, ...] = (10,)) -> Genotype:
    return Genotype(blocks, pooling, dense)


# Each row: genotype, input side, classes, (peak memory, size, MACs), worked by hand in the comment.
TABLE = {
    # conv3 12->10x10x4=400; dense 400->10->3. peak 400+10; size 40 + 4010 + 33; MACs 400*9+4000+30
    "series": (network(serial(layer())), 12, 3, (410, 4083, 7630)),
    # as above with one output unit: size 40+4010+11; MACs 3600+4000+10
    "two classes": (network(serial(layer())), 12, 2, (410, 4061, 7610)),
    # prepool 13->6x6x1=36; conv 5 on 6 -> 2x2x4=16; peak 36+16; dense 16->10->3: 170+33
    # size 104+203; MACs 36*4 + 16*25 + 160 + 30
    "prepool floors": (network(serial(layer(kernel=5, prepool=True))), 13, 3, (52, 307, 734)),
    # kernel 7 clipped to 4, then a 1x1 map: conv 5 clipped to 1, step and prepool without effect
    # size 4*17-0: 16*4+4=68, 4*2+2=10; dense 2->10->3: 30+33; MACs 64 + 8 + 20 + 30; peak 2+10 < 10+3
    "clipped kernels": (
        network(
            serial(layer(kernel=7), layer(kernel=5, filters=2, strided=True, prepool=True)),
            pooling=Pooling("max", 6),
        ),
        4, 3, (13, 141, 122),
    ),
    # depthwise 3 step 2: 12 -> 5x5x1=25; avg-pool 2 -> 2x2x1=4; dense 4->10->3: 50+33
    # peak 25+4; size 10+83; MACs 25*9 + 4*4 + 40 + 30
    "depthwise and pooling": (
        network(serial(layer("depthwise", strided=True)), pooling=Pooling("avg", 2)), 12, 3, (29, 93, 311)
    ),
    # conv 3: 12 -> 10x10x4=400 beside conv 3 step 2: 12 -> 5x5x4=100, 400 pooled by 2 -> 100, add 100.
    # order: 400, pool to 100, then the branch 100 -> peak 500 at the pool; dense 100->10->3: 1010+33
    # size 40+40+1043; MACs 3600 + 900 + pool 100*4 + add 100 + 1000 + 30
    "down-sampling join": (
        network(serial(layer()), branch(layer(strided=True))), 12, 3, (500, 1123, 6030)
    ),
    # conv 3: 12 -> 10x10x4=400 beside conv 5 -> 8x8x4=256: ratio 1.25 -> 1, add pads to 400 in place.
    # peak 400 + 256; dense 400->10->3; size 40 + 104 + 4010 + 33; MACs 3600 + 256*25 + 400 + 4000 + 30
    "padded add": (network(serial(layer()), branch(layer(kernel=5))), 12, 3, (656, 4187, 14430)),
    # serial conv 3 2 filters -> 10x10x2=200; branch depthwise 3 -> 10x10x1=100, 1x1 -> 200; add in place
    # peak: branch first 100+200, then 200+200; size 20 + 10 + 4 + (2010 + 33)
    # MACs 1800 + 900 + 200 + 200 + 2000 + 30
    "depthwise-last branch": (
        network(serial(layer(filters=2)), branch(layer("depthwise", filters=99))), 12, 3, (400, 2077, 5130)
    ),
    # one 96x96 map of 128 channels beside another: the largest plain case
    # pointwise 1->128: 96*96*128=1179648 twice, add in place: 2359296; avg-pool 6: 16*16*128=32768
    # size 256+256+ 32768*10+10 + 33; MACs 3*1179648 + 32768*36 + 327680 + 30
    "upper bounds": (
        network(
            serial(layer("pointwise", filters=128)), branch(layer("pointwise")), pooling=Pooling("avg", 6)
        ),
        96, 3, (2359296, 328235, 5046302),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_hand_computed(name: str) -> None:
    genotype, side, classes, expected = TABLE[name]
    assert resources(assemble(genotype, (side, side, 1), classes)) == Resources(*expected)


def test_macs_of_pool_and_add() -> None:
    b = GraphBuilder()
    x = b.input(8, 8, 2)
    left, right = b.max_pool(x, 2), b.conv(x, 2, 3, stride=2)
    graph = b.build(b.global_avg(b.add([left, right, left])))
    by_kind = {op.kind: macs(graph, op) for op in graph.ops}
    assert by_kind["max_pool"] == 4 * 4 * 2 * 4
    assert by_kind["add"] == 2 * 4 * 4 * 2
    assert by_kind["global_avg"] == 32


def _elements(graph: Graph, i: int) -> int:
    return 0 if graph.ops[i].kind == "input" else int(np.prod(graph.ops[i].shape))


def brute_force(graph: Graph) -> int:
    """Peak memory by trying every topological order; flatten-free graphs only."""
    n = len(graph.ops)
    users: dict[int, set[int]] = {i: {j for j in range(n) if i in graph.ops[j].inputs} for i in range(n)}

    known: dict[frozenset[int], int] = {}

    def explore(done: frozenset[int], peak: int, best: int) -> int:
        if len(done) == n:
            return min(best, peak)
        if known.get(done, 2**63) <= peak:
            return best  # the same ops were executed before at no more memory
        known[done] = peak
        held = sum(_elements(graph, i) for i in done if users[i] - done)
        for i in range(n):
            op = graph.ops[i]
            if i in done or not set(op.inputs) <= done:
                continue
            in_place = op.kind == "add" and any(
                graph.ops[s].shape == op.shape and graph.ops[s].kind != "input" and users[s] - done == {i}
                for s in op.inputs
            )
            cost = max(peak, held + (0 if in_place else _elements(graph, i)))
            if cost < best:
                best = explore(done | {i}, cost, best)
        return best

    return explore(frozenset({0}), 0, 2**63)


def random_map_dag(rng: np.random.Generator, ops: int) -> Graph:
    """Convolutions and adds over 1-channel-compatible maps, wired at random; all ops are used."""
    b = GraphBuilder()
    free = [b.input(9, 9, 1)]
    known = list(free)
    for _ in range(ops):
        kind = rng.integers(4)
        x = known[int(rng.integers(len(known)))]
        if kind == 0:
            peers = [y for y in known if b.shape(y)[2] == b.shape(x)[2]]
            chosen = [peers[int(k)] for k in rng.integers(len(peers), size=int(rng.integers(2, 4)))]
            new = b.add(chosen)
        else:
            chosen = [x]
            h = b.shape(x)[0]
            if kind == 1 and h > 1:
                new = b.max_pool(x, 2)
            else:
                new = b.conv(x, int(rng.integers(1, 5)), min(int(rng.integers(1, 4)), h))
        free = [y for y in free if y not in chosen] + [new]
        known.append(new)
    ends = [b.conv(y, 2, 1) for y in free]
    return b.build(b.global_avg(b.add(ends) if len(ends) > 1 else ends[0]))


def random_chains(rng: np.random.Generator, count: int, longest: int) -> Graph:
    """A fork, ``count`` chains of maps of random sizes, a join: what a search candidate has."""
    b = GraphBuilder()
    fork = b.conv(b.input(6, 6, 1), int(rng.integers(1, 12)), 1)
    ends = []
    for _ in range(count):
        x = fork
        for _ in range(int(rng.integers(0, longest))):
            x = b.conv(x, int(rng.integers(1, 16)), 1)
        ends.append(b.conv(x, 3, 1, stride=int(rng.integers(1, 3))))
    return b.build(b.global_avg(b.add(ends)))


def _agree(make: Callable[[np.random.Generator], Graph], count: int) -> None:
    for seed in range(count):
        graph = make(np.random.default_rng(seed))
        assert peak_memory(graph).bytes == brute_force(graph), (seed, graph)


@pytest.mark.seconds
def test_exact_on_random_dags() -> None:
    _agree(lambda rng: random_map_dag(rng, int(rng.integers(2, 8))), 300)


@pytest.mark.parametrize(("count", "longest"), [(2, 5), (3, 3), (4, 2)])
def test_exact_on_random_chains(count: int, longest: int) -> None:
    _agree(lambda rng: random_chains(rng, count, longest), 120)


def _least_peak(fork: int, chains: list[tuple[int, ...]], join: int) -> int:
    """Dijkstra over how far each chain is; the fork is alive until all have begun."""
    start, goal = (0,) * len(chains), tuple(map(len, chains))
    least, heap = {start: 0}, [(0, start)]
    while heap:
        peak, at = heapq.heappop(heap)
        if at == goal:
            return max(peak, join)
        held = sum(chain[p - 1] for chain, p in zip(chains, at, strict=True) if p) + fork * (0 in at)
        for i, chain in enumerate(chains):
            if at[i] < len(chain):
                after = (*at[:i], at[i] + 1, *at[i + 1 :])
                cost = max(peak, held + chain[at[i]])
                if cost < least.get(after, 2**63):
                    least[after] = cost
                    heapq.heappush(heap, (cost, after))
    raise AssertionError("the goal can always be reached")


@pytest.mark.seconds
@pytest.mark.parametrize("largest", [5, 20, 1000])
def test_exact_on_chains_of_any_sizes(largest: int) -> None:
    """Nothing around them hides an error of a byte."""
    rng = np.random.default_rng(largest)
    for _ in range(600):
        lengths = rng.integers(1, 5, size=int(rng.integers(2, 6)))
        chains = [tuple(int(size) for size in rng.integers(1, largest, n)) for n in lengths]
        fork = int(rng.integers(1, 2 * largest))
        join = sum(chain[-1] for chain in chains) + int(rng.integers(largest))
        found = counting._chains_peak(fork, chains, join).bytes
        assert found == _least_peak(fork, chains, join), (fork, chains)


def test_exact_on_random_genotypes() -> None:
    """Small networks of the space itself, the flatten taken off as it moves no data."""
    checked = 0
    for seed in range(400):
        genotype = random_genotype(np.random.default_rng(seed))
        graph = assemble(genotype, (12, 12, 1), 3, (VALID, SAME)[seed % 2])
        cut = next(i for i, op in enumerate(graph.ops) if op.kind == "flatten")
        if cut > 13:
            continue
        shapes = [op.shape for op in graph.ops[cut - 1 :] if op.kind != "flatten"]
        dense = max(int(np.prod(x)) + int(np.prod(y)) for x, y in itertools.pairwise(shapes))
        end = Op("dense", (cut - 1,), (1,), name="end")  # stands for the vector, at one byte
        body = Graph((*graph.ops[:cut], end))
        assert peak_memory(graph).bytes == max(brute_force(body), dense)
        checked += 1
    assert checked > 50


@pytest.mark.seconds
def test_nine_parallel_branches_take_few_limits_and_moments() -> None:
    """Which all read the map of the tenth block: the hardest case of the search space."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(600):
        first = random_genotype(rng).blocks[0]
        blocks = [Block(i > 0, random_genotype(rng).blocks[0].layers) for i in range(9)]
        found.append(peak_memory(assemble(Genotype((first, *blocks), None, (10,)), (96, 96, 1), 3)))
    assert 3 < max(peak.limits for peak in found) < 15
    assert 100 < max(peak.moments for peak in found) < 330
    assert not any(peak.states for peak in found)


def test_only_what_is_not_chains_is_searched_by_sets() -> None:
    b = GraphBuilder()
    fork = b.conv(b.input(6, 6, 1), 4, 1)
    left, right = b.conv(fork, 3, 1), b.conv(fork, 5, 1)
    chains = [b.conv(left, 4, 1), b.conv(right, 4, 1)]
    found = peak_memory(b.build(b.global_avg(b.add(chains))))
    assert found.states == 0
    b = GraphBuilder()
    fork = b.conv(b.input(6, 6, 1), 4, 1)
    left, right = b.conv(fork, 4, 1), b.conv(fork, 4, 1)
    crossed = [b.add([left, right]), b.add([right, fork])]
    found = peak_memory(b.build(b.global_avg(b.add(crossed))))
    assert found.states > 0 and (found.limits, found.moments) == (0, 0)


def test_tangled_graph_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.cost.munas.MAX_STATES", 3)
    with pytest.raises(LogGradError, match="interlocked ops"):
        for seed in range(50):
            peak_memory(random_map_dag(np.random.default_rng(seed), 7))
