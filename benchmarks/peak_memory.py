"""``python -m benchmarks.peak_memory``: CPU time of the exact peak memory of networks with parallel branches.

The networks are a random block of the search space and after it so many others in parallel, which all
read its map; of ten, which are all that the space allows, the input. ``ours`` is
:func:`search.cost.munas.peak_memory`; ``sets`` is what it falls back to for graphs of any shape, a
best-first search over the sets of executed ops, which refuses what has more than 200,000 of them.
Where both answer they must agree. ``limits`` and ``moments`` are the most that a network took of what ours
tries (:class:`search.cost.munas.PeakMemory`), ``states`` the median of the sets that the other reached.
"""

import time
from collections.abc import Callable

import numpy as np
from absl import flags

from loggrad_tf import cli
from loggrad_tf.errors import LogGradError
from models.graph import Graph
from search.cost import munas
from search.cost.munas import PeakMemory
from search.space.assembly import assemble
from search.space.genotype import MAX_BLOCKS, Block, Genotype, random_genotype

FLAGS = flags.FLAGS
flags.DEFINE_integer("networks", 2000, "Networks of each number of branches.", lower_bound=1)
flags.DEFINE_integer("compared", 10, "So many of them are given to the search over sets too.", lower_bound=1)

BRANCHES = (2, 3, 4, 6, 8, 9, 10)


def network(rng: np.random.Generator, branches: int) -> Graph:
    layers = [random_genotype(rng).blocks[0].layers for _ in range(min(1 + branches, MAX_BLOCKS))]
    serial = len(layers) - branches
    blocks = tuple(Block(i > serial, block) for i, block in enumerate(layers))
    return assemble(Genotype(blocks, None, (10,)), (96, 96, 1), 3)


def sets(graph: Graph) -> PeakMemory:
    tasks = munas._tasks(graph)
    return munas._any_peak(tasks, 0, len(tasks) - 1)


def timed(peak: Callable[[Graph], PeakMemory], graph: Graph) -> tuple[PeakMemory | None, float]:
    """The answer, None if it is refused, and CPU milliseconds."""
    begin = time.process_time()
    try:
        answer = peak(graph)
    except LogGradError:
        answer = None
    return answer, 1000 * (time.process_time() - begin)


def main(argv: list[str]) -> None:
    del argv
    print(f"{'':8s} {'ours, ms':>26s} {'':15s}   {f'sets, ms, {FLAGS.compared} networks':>37s}")
    print("branches   median     99 %     most  limits moments       median   states  refused    ratio")
    for branches in BRANCHES:
        rng = np.random.default_rng(branches)
        graphs = [network(rng, branches) for _ in range(FLAGS.networks)]
        ours = [timed(munas.peak_memory, graph) for graph in graphs]
        theirs = [timed(sets, graph) for graph in graphs[: FLAGS.compared]]
        for (answer, _), (other, _) in zip(ours, theirs, strict=False):
            if other and (answer is None or other.bytes != answer.bytes):
                raise AssertionError(f"ours {answer}, sets {other}")
        found = [answer for answer, _ in ours if answer]
        answered = [answer.states for answer, _ in theirs if answer]
        median, high, most = np.percentile([t for _, t in ours], (50, 99, 100))
        median_sets = np.median([t for _, t in theirs])
        refused = len(theirs) - len(answered)
        states = f"{np.median(answered):8.0f}" if answered else f"{'-':>8s}"
        print(
            f"{branches:8d} {median:8.2f} {high:8.2f} {most:8.2f} {max(f.limits for f in found):7d}"
            f" {max(f.moments for f in found):7d}   {median_sets:10.1f} {states} {refused:8d}"
            f" {median_sets / np.median([t for _, t in ours[: FLAGS.compared]]):8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    cli.run(main)
