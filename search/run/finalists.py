"""What is done with the best networks: train them in full, test one of them once, save it.

A search trains many networks briefly to rank them; what is kept deserves more. If the final
training is longer than the search's, the ``finalists`` best candidates within the bounds are
trained from scratch with its recipe, each with ``final_seeds`` seeds, pruned ones as small as
pruning left them. Of those whose mean error is above that of the search's best candidate by at most
two standard errors (the least error of many is partly luck, so equal is not asked for) the one of
least mean validation error is chosen, or loss, if the search ranks by that, and its best weights are
saved. If there is none, or no training in full, the weights of that candidate are saved.

This is the only place of a search that reads the test split, for the chosen network alone, with each
seed that it was trained with in full. Each
trained finalist is a saved network in DIR/finalists, CANDIDATE_REPEAT, so an interrupted ending
goes on.
"""

import dataclasses
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.request import DataReference
from loggrad_tf.errors import LogGradError
from models import bundle
from models.bundle import Bundle
from models.graph import Graph
from models.pruning.channels import resized
from models.recipe import TrainConfig
from search.cost.objectives import ERROR, Bounds, Point, overrun, ranking
from search.cost.quantities import verdict
from search.record.history import Outcome, Record
from search.run import rundir
from search.run.config import Config
from search.strategy.proposal import build, standings, training_seed
from search.workers.evaluator import (
    Task,
    TrainingSpec,
    load_weights,
    start_tensorflow,
    weights_path,
)
from search.workers.trainers import trainers

BEST, FINALISTS = "best", "finalists"
VAL_ERROR, VAL_LOSS = "val_error", "val_loss"
Weights = tuple[np.ndarray, ...]
# So many workers for trainings of that kind.
OpenPool = Callable[[int, TrainingSpec], AbstractContextManager[rundir.Evaluators]]


def network(record: Record, config: Config) -> Graph:
    """What is left of a candidate's network after pruning."""
    return resized(build(record.candidate.genotype, config.settings()), dict(record.outcome.widths))


def finish_best(
    directory: Path,
    config: Config,
    front: rundir.Front,
    records: list[Record],
    data: DataSet,
    open_pool: OpenPool,
) -> tuple[int, str]:
    """Write DIR/best; returns the candidate's index and the sentence that reports its errors."""
    start_tensorflow()
    from models.training import measure

    leader = records[ranking(front.members, config.bounds)[0]]
    wanted = _worth_training(config, leader, records)
    finals = _finalists(directory, config, wanted, data, open_pool)
    choice = _choose(directory, config, leader, finals, len(data.labels_of("val")))
    saved = _save(directory / BEST, choice, data)
    guessing = measure.majority_error(data, "test")
    if (warning := measure.guesses(saved.metrics["test_error"], data, "test")) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    reached = Point(saved.metrics[VAL_ERROR], records[choice.index].costs)
    return choice.index, (
        f"{_errors(choice, saved, guessing)}; {verdict(reached, config.bounds)}; saved in {directory / BEST}"
    )


@dataclasses.dataclass(frozen=True)
class _Choice:
    """The network to save.

    Attributes:
      index: of its candidate.
      network: the training of it that is saved.
      trainings: all that decided for it, which are tested with it.
      in_full: it was trained in full; otherwise it has the search's weights.
      passed_over: epochs and least mean error of trainings in full that were not good enough.
    """

    index: int
    network: Bundle
    trainings: tuple[Bundle, ...]
    in_full: bool
    passed_over: tuple[int, float] | None = None


def _worth_training(config: Config, leader: Record, records: list[Record]) -> list[Record]:
    """The candidates to train in full, best first; none, if that would be no longer than the search's."""
    brief = config.method.train
    if config.method.final.of(brief).epochs <= brief.epochs:
        return []
    judged = standings(records, config.settings())
    order = ranking(_as_good(judged, leader.candidate.index, config.bounds), config.bounds)
    return [records[i] for i in order[: config.method.finalists]]


def _as_good(points: dict[int, Point], leader: int, bounds: Bounds) -> dict[int, Point]:
    """Those that are no further above a bound than the leader is: none above one, if one fits."""
    most = max(overrun(points[leader].costs, bounds), 1.0)
    return {index: point for index, point in points.items() if overrun(point.costs, bounds) <= most}


def _finalists(
    directory: Path,
    config: Config,
    wanted: list[Record],
    data: DataSet,
    open_pool: OpenPool,
) -> dict[int, list[Bundle]]:
    """The networks that could be trained in full with every seed, by index; what is on the disk is kept."""
    full = config.method.final.of(config.method.train)
    found: dict[int, list[Bundle]] = {}
    for repeat in range(config.method.final_seeds if wanted else 0):
        for index, trained in _trained(directory, config, wanted, data, full, repeat, open_pool):
            found.setdefault(index, []).append(trained)
    return {i: trained for i, trained in found.items() if len(trained) == config.method.final_seeds}


def _trained(
    directory: Path,
    config: Config,
    wanted: list[Record],
    data: DataSet,
    full: TrainConfig,
    repeat: int,
    open_pool: OpenPool,
) -> Iterator[tuple[int, Bundle]]:
    """One training in full of each candidate that is wanted."""
    tasks: list[Task] = []
    place = {r.candidate.index: directory / FINALISTS / f"{r.candidate.index:05d}_{repeat}" for r in wanted}
    for record in wanted:
        index = record.candidate.index
        task = Task(index, network(record, config), training_seed(config.seed, index, repeat))
        saved = _saved(place[index])
        if saved is not None and (saved.graph, saved.seed, saved.train) == (task.graph, task.seed, full):
            yield index, saved
        else:
            tasks.append(task)
    if not tasks:
        return
    again = f", {repeat + 1} of {config.method.final_seeds}" if config.method.final_seeds > 1 else ""
    print(f"training {len(tasks)} of the best candidates for {full.epochs} epochs{again}", flush=True)
    records = {record.candidate.index: record for record in wanted}
    spec = dataclasses.replace(config.training(data.path, Path()), train=full, rungs=())
    for index, outcome, weights in train_in_full(spec, tasks, config.workers, open_pool):
        if outcome.val_error is None or weights is None:
            print(f"warning: candidate {index} in full: {outcome.failure}", file=sys.stderr)
            continue
        print(
            f"candidate {index} after {full.epochs} epochs: validation error {outcome.val_error:.2%}"
            f"{outcome.loss_text()}",
            flush=True,
        )
        made = _bundle(config, records[index], weights, full, outcome, repeat)
        bundle.save(place[index], made)
        yield index, made


def _mean(trained: Sequence[Bundle], metric: str = VAL_ERROR) -> float:
    return sum(one.metrics.get(metric, math.inf) for one in trained) / len(trained)


def _choose(
    directory: Path, config: Config, leader: Record, finals: dict[int, list[Bundle]], images: int
) -> _Choice:
    """The best finalist that is as good as the search's best candidate, or that one; see the module's head.

    Args:
      images: that errors on validation were measured on.
    """
    index, ranked = leader.candidate.index, leader.outcome.val_error
    assert ranked is not None
    most = ranked + 2 * _standard_error(ranked, images)
    good = [i for i in finals if _mean(finals[i]) <= most]
    if good:
        metric = VAL_ERROR if config.method.rank_by == ERROR else VAL_LOSS
        best = min(good, key=lambda i: (_mean(finals[i], metric), i))
        network = min(finals[best], key=lambda one: one.metrics.get(metric, math.inf))
        return _Choice(best, network, tuple(finals[best]), in_full=True)
    kept = _bundle(config, leader, _kept_weights(directory, index), config.method.train, leader.outcome)
    passed_over = None
    if finals:
        epochs = config.method.final.of(config.method.train).epochs
        passed_over = epochs, min(_mean(trained) for trained in finals.values())
    return _Choice(index, kept, (kept,), in_full=False, passed_over=passed_over)


def _save(place: Path, choice: _Choice, data: DataSet) -> Bundle:
    """The chosen network as it lies in ``place``, tested; it is tested once."""
    from models.training import measure

    errors = {"mean_val_error": _mean(choice.trainings)}
    network = dataclasses.replace(choice.network, metrics=choice.network.metrics | errors)
    if not _is_saved(place, network):
        tested = network.metrics | _test_errors(choice, data)
        counted = measure.confusions(network.model(), data, network.front_end)
        bundle.save(place, dataclasses.replace(network, metrics=tested, confusion=counted))
    return bundle.load(place)


def _test_errors(choice: _Choice, data: DataSet) -> dict[str, float]:
    """On the test split: of the chosen network, and the mean over its trainings."""
    from models.training import measure

    found = {one.seed: measure.evaluate(one.model(), data, one.front_end, "test") for one in choice.trainings}
    return {"test_error": found[choice.network.seed], "mean_test_error": sum(found.values()) / len(found)}


def _errors(choice: _Choice, saved: Bundle, guessing: float) -> str:
    """The errors of what was saved, in words; ``guessing``: the test error of the largest class."""
    metrics, others, mean_test = saved.metrics, "", ""
    if choice.in_full:
        others = f" ({metrics['search_val_error']:.2%} in the search)"
        if (count := len(choice.trainings)) > 1:
            others = f", mean of {count} seeds {metrics['mean_val_error']:.2%}{others}"
            mean_test = f", mean {metrics['mean_test_error']:.2%}"
    elif choice.passed_over is not None:
        epochs, least = choice.passed_over
        others = f" (the search's weights; {epochs} epochs gave {least:.2%})"
    return (
        f"best: candidate {choice.index} after {saved.train.epochs} epochs: validation error"
        f" {metrics['val_error']:.2%}{others}, test error {metrics['test_error']:.2%}{mean_test}"
        f" (always the largest class: {guessing:.2%})"
    )


def _bundle(
    config: Config,
    record: Record,
    weights: Weights,
    train: TrainConfig,
    outcome: Outcome,
    repeat: int = 0,
) -> Bundle:
    ranked = record.outcome.val_error
    assert ranked is not None and outcome.val_error is not None
    losses = {} if outcome.val_loss is None else {VAL_LOSS: outcome.val_loss}
    return bundle.Bundle(
        graph=network(record, config),
        front_end=config.settings().target.front_end,
        class_names=config.class_names,
        weights=weights,
        data=DataReference(**vars(config.request), manifest_sha256=config.manifest_sha256),
        train=train,
        seed=training_seed(config.seed, record.candidate.index, repeat),
        metrics={
            "search_val_error": ranked,
            VAL_ERROR: outcome.val_error,
            **losses,
            **record.costs.to_json(),
        },
    )


def _saved(place: Path) -> Bundle | None:
    try:
        return bundle.load(place)
    except LogGradError:
        return None


def _is_saved(place: Path, chosen: Bundle) -> bool:
    """Is it there already, tested and all?"""
    saved = _saved(place)
    if saved is None or "test_error" not in saved.metrics:
        return False
    tested = dataclasses.replace(chosen, metrics=saved.metrics | chosen.metrics, confusion=saved.confusion)
    same = all(np.array_equal(a, b) for a, b in zip(saved.weights, tested.weights, strict=True))
    return same and dataclasses.replace(saved, weights=()) == dataclasses.replace(tested, weights=())


def _standard_error(rate: float, images: int) -> float:
    """Of an error rate measured on so many images."""
    return math.sqrt(rate * (1 - rate) / images)


def train_in_full(
    spec: TrainingSpec, tasks: list[Task], workers: int, open_pool: OpenPool = trainers
) -> Iterator[tuple[int, Outcome, Weights | None]]:
    """Train in a pool of at most so many workers; each network is handed on as it is done.

    A crash is an outcome like any other, without weights. Where ``spec`` puts weights is not used.

    Raises:
      LogGradError: no worker can be started, or the disk is full.
    """
    waiting, running = list(tasks), 0
    with tempfile.TemporaryDirectory() as folder:
        spec = dataclasses.replace(spec, weights=Path(folder), label="candidate")
        with open_pool(min(workers, len(tasks)), spec) as pool:
            while waiting or running:
                while waiting and pool.idle:
                    task = waiting.pop(0)
                    pool.submit(task.index, task)
                    running += 1
                for done in pool.wait():
                    running -= 1
                    path = weights_path(Path(folder), done.index)
                    trained = done.outcome.val_error is not None
                    yield done.index, done.outcome, load_weights(path) if trained else None


def _kept_weights(directory: Path, index: int) -> Weights:
    path = weights_path(directory / rundir.WEIGHTS, index)
    if not path.is_file():
        raise LogGradError(f"{path}: the weights of candidate {index} are missing; restore them from a copy")
    return load_weights(path)
