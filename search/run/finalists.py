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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from models import bundle
from models.bundle import Bundle
from models.graph import Graph
from models.pruning.channels import resized
from models.recipe import TrainConfig
from search.cost.objectives import ERROR, Bounds, Point, overrun, ranking
from search.record.history import Outcome, Record
from search.run import rundir
from search.run.config import Config
from search.strategy.proposal import build, standings, training_seed
from search.workers.evaluator import (
    EPOCH_LIMIT,
    Task,
    TrainingSpec,
    load_weights,
    open_evaluator,
    start_tensorflow,
    weights_path,
)
from search.workers.pool import Pool

BEST, FINALISTS = "best", "finalists"
VAL_ERROR, VAL_LOSS = "val_error", "val_loss"
Weights = tuple[np.ndarray, ...]
# So many workers for trainings of that kind.
OpenPool = Callable[[int, TrainingSpec], AbstractContextManager[rundir.Evaluators]]


def processes(count: int, spec: TrainingSpec) -> Pool:
    """Processes on this machine; none hangs for ever."""
    return Pool(count, open_evaluator, spec, EPOCH_LIMIT * spec.train.epochs)


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
    from models.training import measure as training

    leader = records[ranking(front.members, config.bounds)[0]]
    judged = standings(records, config.settings())
    order = ranking(_as_good(judged, leader.candidate.index, config.bounds), config.bounds)
    brief = config.method.train
    full = config.method.final.of(brief)
    wanted = [records[i] for i in order[: config.method.finalists]] if full.epochs > brief.epochs else []
    finals = _finalists(directory, config, wanted, data, full, open_pool)
    index, chosen = _chosen(directory, config, leader, finals, data, brief)
    seeds = finals[index] if chosen.train != brief else [chosen]
    chosen = dataclasses.replace(chosen, metrics=chosen.metrics | {"mean_val_error": _mean(seeds)})
    if not _is_saved(directory / BEST, chosen):
        tested = {one.seed: training.evaluate(one.model(), data, one.front_end, "test") for one in seeds}
        errors = {"test_error": tested[chosen.seed], "mean_test_error": sum(tested.values()) / len(tested)}
        bundle.save(directory / BEST, dataclasses.replace(chosen, metrics=chosen.metrics | errors))
    metrics = bundle.load(directory / BEST).metrics
    others, mean_test = "", ""
    if chosen.train != brief:
        others = f" ({metrics['search_val_error']:.2%} in the search)"
        if len(seeds) > 1:
            others = f", mean of {len(seeds)} seeds {metrics['mean_val_error']:.2%}{others}"
            mean_test = f", mean {metrics['mean_test_error']:.2%}"
    elif finals:
        least = min(_mean(trained) for trained in finals.values())
        others = f" (the search's weights; {full.epochs} epochs gave {least:.2%})"
    return index, (
        f"best: candidate {index} after {chosen.train.epochs} epochs: validation error"
        f" {metrics['val_error']:.2%}{others}, test error {metrics['test_error']:.2%}{mean_test}"
        f" (always the largest class: {training.majority_error(data, 'test'):.2%}); saved in"
        f" {directory / BEST}"
    )


def _as_good(points: dict[int, Point], leader: int, bounds: Bounds) -> dict[int, Point]:
    """Those that are no further above a bound than the leader is: none above one, if one fits."""
    most = max(overrun(points[leader].costs, bounds), 1.0)
    return {index: point for index, point in points.items() if overrun(point.costs, bounds) <= most}


def _finalists(
    directory: Path,
    config: Config,
    wanted: list[Record],
    data: DataSet,
    full: TrainConfig,
    open_pool: OpenPool,
) -> dict[int, list[Bundle]]:
    """The networks that could be trained in full with every seed, by index; what is on the disk is kept."""
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
        loss = "" if outcome.val_loss is None else f", loss {outcome.val_loss:.4g}"
        print(
            f"candidate {index} after {full.epochs} epochs: validation error {outcome.val_error:.2%}{loss}",
            flush=True,
        )
        made = _bundle(config, records[index], weights, full, outcome, repeat)
        bundle.save(place[index], made)
        yield index, made


def _mean(trained: list[Bundle], metric: str = VAL_ERROR) -> float:
    return sum(one.metrics.get(metric, math.inf) for one in trained) / len(trained)


def _chosen(
    directory: Path,
    config: Config,
    leader: Record,
    finals: dict[int, list[Bundle]],
    data: DataSet,
    brief: TrainConfig,
) -> tuple[int, Bundle]:
    """The index of the network to save, and the network."""
    index, ranked = leader.candidate.index, leader.outcome.val_error
    assert ranked is not None
    if finals:
        metric = VAL_ERROR if config.method.rank_by == ERROR else VAL_LOSS
        most = ranked + 2 * _standard_error(ranked, len(data.labels_of("val")))
        good = [i for i in finals if _mean(finals[i]) <= most]
        if good:
            best = min(good, key=lambda i: (_mean(finals[i], metric), i))
            return best, min(finals[best], key=lambda one: one.metrics.get(metric, math.inf))
    return index, _bundle(config, leader, _kept_weights(directory, index), brief, leader.outcome)


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
        data=bundle.DataReference(config.data, config.size, config.mode, config.manifest_sha256),
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
    tested = dataclasses.replace(chosen, metrics=saved.metrics | chosen.metrics)
    same = all(np.array_equal(a, b) for a, b in zip(saved.weights, tested.weights, strict=True))
    return same and dataclasses.replace(saved, weights=()) == dataclasses.replace(tested, weights=())


def _standard_error(rate: float, images: int) -> float:
    """Of an error rate measured on so many images."""
    return math.sqrt(rate * (1 - rate) / images)


def train_in_full(
    spec: TrainingSpec, tasks: list[Task], workers: int, open_pool: OpenPool = processes
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
