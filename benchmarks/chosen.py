"""``python -m benchmarks.chosen --run=DIR``: what searches chose, beside a network made by hand.

A search chooses by the validation errors of a few seeds, which flatters what it chose. Here the chosen
network of each ``--run`` and a fixed network are trained alike, from scratch, by the recipe that the
first run's network was saved with, and with seeds that no choice was made by, as many at a time as there
are processors. A line for each training is followed by the means of each network, with their range, and
its costs as it is built for the first run's board, with their shares of the fixed network's. Networks are
trained without the channels that pruning took.

``--folds=5`` is the finer ruler: every crop of the set, or of several (``--data``, once for each), is tested
by networks that were trained without its photograph, and each network has its accuracy over all crops with
its standard error, each pair of networks their difference with its 95 % interval
(:mod:`loggrad_tf.data.folds`). A ``--run`` may be a saved network, too, and is not needed: fixed networks
have the recipe of :mod:`models.train`. Trainings are kept in ``--out`` and are not repeated; an interrupted
command goes on.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
from absl import flags

from benchmarks import cross_validation
from benchmarks.cross_validation import Protocol, Training
from loggrad_tf import cli, files
from loggrad_tf.data import dataset
from loggrad_tf.data.crops import MODES
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.request import FITS, Request
from loggrad_tf.data.sides import Size, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.parallel import processors
from loggrad_tf.transform import frontend
from models import bundle, zoo
from models.bundle import Bundle
from models.graph import Graph, output_units
from models.recipe import BASELINE
from search.cost.costs import Target, costs
from search.run import finalists, rundir
from search.run.config import BOARD
from search.run.entrants import Weights
from search.run.in_full import train_in_full
from search.workers.evaluator import Task, TrainingSpec, start_tensorflow

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("run", None, "Directory of a search that has ended.")
flags.DEFINE_multi_enum(
    "net", ["small_bn"], list(zoo.NETWORKS), "Fixed network, the first one is the yardstick."
)
flags.DEFINE_integer("seeds", 4, "Trainings of each network, with --folds in each fold.", lower_bound=1)
flags.DEFINE_integer("folds", None, "Cross-validate with so many folds.", lower_bound=2)
flags.DEFINE_multi_string("data", None, "With --folds: data sets [that of the first --run, else synthetic].")
flags.DEFINE_integer(
    "size", None, "With --folds: side of the input in pixels [that of the first --run, else 96]."
)
flags.DEFINE_enum("mode", None, list(MODES), f"With --folds: [that of the first --run, else {MODES[0]}].")
flags.DEFINE_enum("fit", None, list(FITS), f"With --folds: [that of the first --run, else {FITS[0]}].")
flags.DEFINE_integer(
    "epochs", None, "With --folds: passes over the training crops [the recipe's].", lower_bound=1
)
flags.DEFINE_string("out", "runs/folds", "With --folds: folder of the trainings.")
_OF_FOLDS = ("data", "size", "mode", "fit", "epochs")


@flags.multi_flags_validator(["run", "folds"], "give --run=DIR, or --folds")
def _has_networks(given: dict[str, object]) -> bool:
    return bool(given["run"]) or given["folds"] is not None


@flags.multi_flags_validator(["folds", *_OF_FOLDS], f"--{', --'.join(_OF_FOLDS)} go with --folds only")
def _has_folds(given: dict[str, object]) -> bool:
    return given["folds"] is not None or all(given[name] is None for name in _OF_FOLDS)


@flags.multi_flags_validator(
    ["folds", "seeds"], "--folds needs --seeds of 2 or more, to tell luck from merit"
)
def _has_seeds(given: dict[str, int]) -> bool:
    return given["folds"] is None or given["seeds"] > 1


# Searches train with seeds of 31 bits drawn from theirs (search.strategy.proposal), not with these.
FIRST_SEED = 10
# Of fixed networks that no --run is compared with.
FORMAT = "loggrad_1p5"
SHOWN = ("macs", "size", "ram", "flash", "instructions")


def main(argv: list[str]) -> None:
    del argv
    start_tensorflow()
    if FLAGS.folds is None:
        _one_split([Path(run) for run in FLAGS.run])
    else:
        _all_folds([Path(run) for run in FLAGS.run or ()])


def _check_ended(run: Path) -> None:
    if rundir.committed(run) < rundir.load_config(run).method.rounds:
        raise LogGradError(f"{run}: this search has not ended: python -m search.evolve --resume={run}")


def _one_split(runs: list[Path]) -> None:
    """Train on the set's own training split, test on its own test split."""
    for run in runs:
        _check_ended(run)
    saved = [bundle.load(run / finalists.BEST) for run in runs]
    config, reference = rundir.load_config(runs[0]), saved[0]
    for run, one in zip(runs, saved, strict=True):
        if (one.data, one.front_end) != (reference.data, reference.front_end):
            raise LogGradError(f"{run}: its network sees other data or another input than that of {runs[0]}")
    data = dataset.opened(config.request)
    data.check_manifest(config.manifest_sha256, f"{runs[0]} searched it", "restore it")
    fixed = _fixed(config.size, data)
    networks = fixed | {f"--run={run}": one.graph for run, one in zip(runs, saved, strict=True)}

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
    counted = _counts(networks, Target(reference.front_end, config.board))
    for name in networks:
        rows = np.array([found[one] for one in wanted if one[0] == name])
        print(f"{name}: {_words(rows)}\n    {counted[name]}")


def _all_folds(runs: list[Path]) -> None:
    """Train on all folds but one, test on that one, for each of them."""
    out = Path(FLAGS.out)
    files.check_place(out, "out")
    saved = {run: bundle.load(bundle.find(run, "run")) for run in runs}
    for run in runs:
        if (run / finalists.BEST).is_dir():
            _check_ended(run)
    reference = next(iter(saved.values()), None)
    sets = [dataset.opened(request) for request in _requests(reference)]
    if reference is not None and FLAGS.data is None:
        sets[0].check_manifest(
            reference.data.manifest_sha256, f"{runs[0]} was trained on it", "restore it, or name it as --data"
        )
    among = cross_validation.crops(sets, FLAGS.folds)
    size, format_ = sets[0].size, reference.front_end.format if reference else FORMAT
    networks = _fixed(size, sets[0])
    for run, one in saved.items():
        _check_fits(run, one, sets[0], format_)
        networks[f"--run={run}"] = one.graph
    recipe = reference.train if reference else BASELINE
    recipe = dataclasses.replace(recipe, epochs=FLAGS.epochs or recipe.epochs)
    protocol = Protocol(tuple(one.path for one in sets), FLAGS.folds, format_, recipe, out)
    trainings = [
        Training(name, graph, fold, FIRST_SEED + k)
        for k in range(FLAGS.seeds)
        for fold in range(FLAGS.folds)
        for name, graph in networks.items()
    ]
    print(f"recipe: {dataclasses.asdict(recipe)}")
    print(f"{len(among.folds):,} crops of {len(set(among.groups)):,} photographs", flush=True)
    results = cross_validation.run(protocol, among, trainings, processors())
    front_end = frontend.fit(format_, sets[0].sensor, among.data.pixels)
    board = BOARD
    if runs and (runs[0] / finalists.BEST).is_dir():
        board = rundir.load_config(runs[0]).board
    counted = _counts(networks, Target(front_end, board))
    print("\n".join(cross_validation.report(among, trainings, results, counted)))


def _requests(reference: Bundle | None) -> list[Request]:
    """The sets that the flags ask for, and ``reference`` where they say nothing."""
    usual: Request = reference.data if reference else Request("synthetic", 96, MODES[0])
    size, mode, fit = FLAGS.size or usual.size, FLAGS.mode or usual.mode, FLAGS.fit or usual.fit
    return [Request(spec, size, mode, fit) for spec in FLAGS.data or [usual.spec]]


def _check_fits(run: Path, saved: Bundle, data: DataSet, format_: str) -> None:
    """Refuse a network of another input or other outputs than the sets need."""
    size, units = data.size, output_units(len(data.class_names))
    wanted = (*sides(size), data.mode, format_, units)
    height, width = saved.graph.input_shape[:2]
    found = (height, width, saved.data.mode, saved.front_end.format, saved.graph.output_units)
    if found != wanted:
        raise LogGradError(
            f"--run={run}: a network for {_form(*found)}, compared on {_form(*wanted)}: leave it out, or give"
            " sets, --size and --mode that it was made for"
        )


def _form(height: int, width: int, mode: str, format_: str, units: int) -> str:
    return f"{width}x{height}, {mode}, {format_}, outputs {units}"


def _fixed(size: Size, data: DataSet) -> dict[str, Graph]:
    return {f"--net={name}": zoo.NETWORKS[name](size, len(data.class_names)) for name in FLAGS.net}


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


def _counts(networks: dict[str, Graph], target: Target) -> dict[str, str]:
    """The costs of each network in words, with their shares of the first one's."""
    counted = {name: costs(graph, target).to_json() for name, graph in networks.items()}
    units = next(iter(counted.values()))
    return {
        name: ", ".join(f"{one} {values[one]:,} ({values[one] / units[one]:.2f})" for one in SHOWN)
        for name, values in counted.items()
    }


if __name__ == "__main__":
    cli.run(main)
