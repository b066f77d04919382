"""``python -m benchmarks.chosen --run=DIR``: what searches chose, beside a network made by hand.

A search chooses by the validation errors of a few seeds, which flatters what it chose. Here the chosen
network of each ``--run`` and a fixed network are trained alike, from scratch, by the recipe that the
first run's network was saved with, and with seeds that no choice was made by, as many at a time as there
are processors. A line for each training is followed by the means of each network, with their range, and
its costs as it is built for the first run's board, with their shares of the fixed network's. Networks are
trained without the channels that pruning took.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
from absl import flags

from loggrad_tf import cli
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.parallel import processors
from models import bundle, zoo
from models.graph import Graph
from search.cost.costs import Costs, Target, costs
from search.run import finalists, rundir
from search.run.finalists import Weights, train_in_full
from search.workers.evaluator import Task, TrainingSpec, start_tensorflow

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("run", None, "Directory of a search that has ended.")
flags.DEFINE_enum("net", "small_bn", list(zoo.NETWORKS), "Fixed network.")
flags.DEFINE_integer("seeds", 4, "Trainings of each network.", lower_bound=1)
flags.mark_flag_as_required("run")

# Searches train with seeds of 31 bits drawn from theirs (search.strategy.proposal), not with these.
FIRST_SEED = 10
SHOWN = ("macs", "size", "ram", "flash", "instructions")


def main(argv: list[str]) -> None:
    del argv
    start_tensorflow()
    runs = [Path(run) for run in FLAGS.run]
    for run in runs:
        if rundir.committed(run) < rundir.load_config(run).method.rounds:
            raise LogGradError(f"{run}: this search has not ended: python -m search.evolve --resume={run}")
    saved = [bundle.load(run / finalists.BEST) for run in runs]
    config, reference = rundir.load_config(runs[0]), saved[0]
    for run, one in zip(runs, saved, strict=True):
        if (one.data, one.front_end) != (reference.data, reference.front_end):
            raise LogGradError(f"{run}: its network sees other data or another input than that of {runs[0]}")
    data = dataset.opened(config.request)
    data.check_manifest(config.manifest_sha256, f"{runs[0]} searched it", "restore it")
    fixed = zoo.NETWORKS[FLAGS.net](config.size, len(data.class_names))
    networks = {f"--net={FLAGS.net}": fixed} | {
        f"--run={run}": one.graph for run, one in zip(runs, saved, strict=True)
    }

    print(f"recipe: {dataclasses.asdict(reference.train)}")
    wanted = [(name, FIRST_SEED + k) for k in range(FLAGS.seeds) for name in networks]
    tasks = [Task(i, networks[name], seed) for i, (name, seed) in enumerate(wanted)]
    spec = TrainingSpec(data.path, reference.front_end, reference.train, Path())
    found: dict[tuple[str, int], tuple[float, ...]] = {}
    for index, outcome, weights in train_in_full(spec, tasks, processors()):
        name, seed = wanted[index]
        if outcome.val_error is None or weights is None:
            raise LogGradError(f"{name} seed {seed}: {outcome.failure}")
        error, loss = _tested(networks[name], weights, data, spec)
        val_loss = math.inf if outcome.val_loss is None else outcome.val_loss
        found[name, seed] = (100 * (1 - outcome.val_error), 100 * (1 - error), val_loss, loss)
        print(f"{name} seed {seed}: " + _words(np.array([found[name, seed]])), flush=True)
    target = Target(reference.front_end, config.board)
    yardstick = costs(fixed, target)
    for name, graph in networks.items():
        rows = np.array([found[one] for one in wanted if one[0] == name])
        print(f"{name}: {_words(rows)}\n    {_counts(costs(graph, target), yardstick)}")


def _tested(graph: Graph, weights: Weights, data: DataSet, spec: TrainingSpec) -> tuple[float, float]:
    """Error and cross-entropy in nats on the test split."""
    from models import keras_net
    from models.training.measure import measure

    model = keras_net.build(graph)
    model.set_weights(list(weights))
    return measure(model, data, spec.front_end, "test")


def _words(rows: np.ndarray) -> str:
    """Of trainings, one a row: validation and test accuracy in percent, and both losses in nats."""
    mean, least, most = rows.mean(axis=0), rows.min(axis=0), rows.max(axis=0)
    ranges = [f" ({a:.1f}-{b:.1f})" if len(rows) > 1 else "" for a, b in zip(least, most, strict=True)]
    return (
        f"validation {mean[0]:.2f} %{ranges[0]}, test {mean[1]:.2f} %{ranges[1]},"
        f" loss {mean[2]:.3f} and {mean[3]:.3f}"
    )


def _counts(counts: Costs, yardstick: Costs) -> str:
    values, units = counts.to_json(), yardstick.to_json()
    return ", ".join(f"{name} {values[name]:,} ({values[name] / units[name]:.2f})" for name in SHOWN)


if __name__ == "__main__":
    cli.run(main)
