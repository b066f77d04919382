"""What is done with the best networks: train them in full, test one of them once, save it.

A search trains many networks briefly to rank them; what is kept deserves more. If the final
training is longer than the search's, the ``finalists`` best candidates within the bounds are
trained from scratch with its recipe, each with ``final_seeds`` seeds, pruned ones as small as
pruning left them. Of those whose mean error is above that of the search's best candidate by at most
two standard errors (the least error of many is partly luck, so equal is not asked for) the one of
least mean validation loss is chosen, which tells networks apart that err alike on a few hundred
images, and its best weights are saved. The profiles of the paper choose by the mean error, unless the
search ranks by loss. If there is none, or no training in full, the weights of that candidate are saved.

Beside the finalists a network made by hand is trained alike (:mod:`search.run.rival`). Where what was
chosen is no better on validation, or breaks bounds, the hand-made one is saved in its place, and that
is said.

This is the only place of a search that reads the test split, for the chosen network and the one that it is
compared with, with each seed that they were trained with in full. Each trained network is a saved one in
DIR/finalists, CANDIDATE_REPEAT or NAME_REPEAT, so an interrupted ending goes on.
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
from search.cost.costs import Costs
from search.cost.objectives import ERROR, Bounds, Point, overrun, ranking
from search.cost.quantities import verdict
from search.record.history import Outcome, Record
from search.run import rival, rundir
from search.run.config import Config
from search.run.profiles import PLAIN
from search.run.racing import entrants_of
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
) -> tuple[int | None, str]:
    """Write DIR/best; returns the candidate's index, None for the hand-made network, and the sentences that
    report its errors."""
    start_tensorflow()
    from models.training import measure

    leader = records[ranking(front.members, config.bounds)[0]]
    wanted = _worth_training(config, leader, records)
    finals = _finalists(directory, config, _entrants(config, wanted), data, open_pool)
    choice, beside = _choose(directory, config, leader, finals, len(data.labels_of("val")))
    saved = _save(directory / BEST, choice, beside, data)
    guessing = measure.majority_error(data, "test")
    if (warning := measure.guesses(saved.metrics["test_error"], data, "test")) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    reached = Point(saved.metrics[VAL_ERROR], choice.entrant.costs)
    sentence = (
        f"{_errors(choice, saved, guessing)}; {verdict(reached, config.bounds)}; saved in {directory / BEST}"
    )
    if beside is not None:
        sentence += f"\n{_comparison(choice, beside, saved)}"
    return choice.entrant.candidate, sentence


@dataclasses.dataclass(frozen=True)
class _Entrant:
    """A network that is trained in full.

    Attributes:
      index: a candidate's, or :data:`search.run.rival.INDEX`; its seeds are drawn by it.
      name: for people.
      folder: of its trainings, before their numbers.
      graph, costs: what is trained.
      searched: a candidate's validation error in the search.
    """

    index: int
    name: str
    folder: str
    graph: Graph
    costs: Costs
    searched: float | None

    @property
    def candidate(self) -> int | None:
        return None if self.index == rival.INDEX else self.index


def _candidate(record: Record, config: Config) -> _Entrant:
    index = record.candidate.index
    name, graph = f"candidate {index}", network(record, config)
    return _Entrant(index, name, f"{index:05d}", graph, record.costs, record.outcome.val_error)


def _entrants(config: Config, wanted: list[Record]) -> list[_Entrant]:
    """The candidates that are wanted, and the hand-made network beside them, if there is to be one."""
    entrants = [_candidate(record, config) for record in wanted]
    if entrants and config.profile not in PLAIN:
        made = rival.hand_made(config)
        if made is None:
            print(f"no hand-made network is trained beside them: {rival.NAME} does not fit the bounds")
        else:
            name = f"hand-made {rival.NAME} ({made.widths})"
            entrants.append(_Entrant(rival.INDEX, name, rival.NAME, made.graph, made.costs, None))
    return entrants


@dataclasses.dataclass(frozen=True)
class _Choice:
    """The network to save, or the one beside it.

    Attributes:
      entrant: what it is.
      network: the training of it that is saved.
      trainings: all that decided for it, which are tested with it.
      in_full: it was trained in full; otherwise it has the search's weights.
      passed_over: epochs and least mean error of trainings in full that were not good enough.
    """

    entrant: _Entrant
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
    entrants: list[_Entrant],
    data: DataSet,
    open_pool: OpenPool,
) -> dict[_Entrant, list[Bundle]]:
    """Those that could be trained in full with every seed; what is on the disk is kept."""
    full = config.method.final.of(config.method.train)
    found: dict[_Entrant, list[Bundle]] = {}
    for repeat in range(config.method.final_seeds if entrants else 0):
        if repeat and config.profile not in PLAIN:
            entrants = _still_in(found, config.method.finalists, repeat)
        for entrant, trained in _trained(directory, config, entrants, data, full, repeat, open_pool):
            found.setdefault(entrant, []).append(trained)
    return {one: trained for one, trained in found.items() if len(trained) == config.method.final_seeds}


def _still_in(found: dict[_Entrant, list[Bundle]], finalists: int, repeat: int) -> list[_Entrant]:
    """Who is trained once more: the better ones so far, and the hand-made network, which they must beat."""
    whole = [one for one, trained in found.items() if len(trained) == repeat]
    best = sorted(
        (one for one in whole if one.candidate is not None), key=lambda one: _judged(found[one], True)
    )
    return best[: entrants_of(finalists, repeat)] + [one for one in whole if one.candidate is None]


def _trained(
    directory: Path,
    config: Config,
    entrants: list[_Entrant],
    data: DataSet,
    full: TrainConfig,
    repeat: int,
    open_pool: OpenPool,
) -> Iterator[tuple[_Entrant, Bundle]]:
    """One training in full of each entrant."""
    tasks: list[Task] = []
    by_index = {one.index: one for one in entrants}
    place = {one.index: directory / FINALISTS / f"{one.folder}_{repeat}" for one in entrants}
    for one in entrants:
        seed = training_seed(config.seed, one.index, repeat)
        task = Task(one.index, one.graph, seed, name="" if one.candidate is not None else one.name)
        saved = _saved(place[one.index])
        if saved is not None and (saved.graph, saved.seed, saved.train) == (task.graph, task.seed, full):
            yield one, saved
        else:
            tasks.append(task)
    if not tasks:
        return
    again = f", {repeat + 1} of {config.method.final_seeds}" if config.method.final_seeds > 1 else ""
    made = " and ".join(one.name for one in entrants if one.candidate is None)
    best = sum(by_index[task.index].candidate is not None for task in tasks)
    found = f"{best} of the best candidates" if best else ""
    beside = made if best < len(tasks) else ""
    print(
        f"training {' and '.join(part for part in (found, beside) if part)} for {full.epochs} epochs{again}",
        flush=True,
    )
    spec = dataclasses.replace(config.training(data.path, Path()), train=full, rungs=())
    for index, outcome, weights in train_in_full(spec, tasks, config.workers, open_pool):
        entrant = by_index[index]
        if outcome.val_error is None or weights is None:
            print(f"warning: {entrant.name} in full: {outcome.failure}", file=sys.stderr)
            continue
        print(
            f"{entrant.name} after {full.epochs} epochs: validation error {outcome.val_error:.2%}"
            f"{outcome.loss_text()}",
            flush=True,
        )
        trained = _bundle(config, entrant, weights, full, outcome, repeat)
        bundle.save(place[index], trained)
        yield entrant, trained


def _mean(trained: Sequence[Bundle], metric: str = VAL_ERROR) -> float:
    return sum(one.metrics.get(metric, math.inf) for one in trained) / len(trained)


def _choose(
    directory: Path, config: Config, leader: Record, finals: dict[_Entrant, list[Bundle]], images: int
) -> tuple[_Choice, _Choice | None]:
    """What is saved, and what it is compared with: the best of the search and the hand-made network, if there
    is one, the better one on validation first.

    Args:
      images: that errors on validation were measured on.
    """
    by_loss = config.method.rank_by != ERROR or config.profile not in PLAIN
    found = _best_found(directory, config, leader, finals, images, by_loss)
    made = next((one for one in finals if one.candidate is None), None)
    if made is None:
        return found, None
    other = _in_full(made, finals[made], by_loss)
    fits = overrun(found.entrant.costs, config.bounds) <= 1
    if fits and _judged(found.trainings, by_loss) < _judged(other.trainings, by_loss):
        return found, other
    return other, found


def _best_found(
    directory: Path,
    config: Config,
    leader: Record,
    finals: dict[_Entrant, list[Bundle]],
    images: int,
    by_loss: bool,
) -> _Choice:
    """The best finalist that is as good as the search's best candidate, or that one: the module's head."""
    ranked = leader.outcome.val_error
    assert ranked is not None
    most = ranked + 2 * _standard_error(ranked, images)
    candidates = [one for one in finals if one.candidate is not None]
    good = [one for one in candidates if _mean(finals[one]) <= most]
    if good:
        best = min(good, key=lambda one: (_judged(finals[one], by_loss), one.index))
        return _in_full(best, finals[best], by_loss)
    entrant, weights = _candidate(leader, config), _kept_weights(directory, leader.candidate.index)
    kept = _bundle(config, entrant, weights, config.method.train, leader.outcome)
    passed_over = None
    if candidates:
        epochs = config.method.final.of(config.method.train).epochs
        passed_over = epochs, min(_mean(finals[one]) for one in candidates)
    return _Choice(entrant, kept, (kept,), in_full=False, passed_over=passed_over)


def _in_full(entrant: _Entrant, trained: list[Bundle], by_loss: bool) -> _Choice:
    """With the best of its trainings."""
    return _Choice(
        entrant, min(trained, key=lambda one: _judged([one], by_loss)), tuple(trained), in_full=True
    )


def _judged(trained: Sequence[Bundle], by_loss: bool) -> tuple[float, ...]:
    """The least is the best: mean loss on validation, then error; or the error alone."""
    error = _mean(trained)
    return (_mean(trained, VAL_LOSS), error) if by_loss else (error,)


def _save(place: Path, choice: _Choice, beside: _Choice | None, data: DataSet) -> Bundle:
    """The chosen network as it lies in ``place``, tested; it and the one beside it are tested once."""
    from models.training import measure

    errors = {"mean_val_error": _mean(choice.trainings)}
    if beside is not None:
        errors["beside_val_error"] = _mean(beside.trainings)
    network = dataclasses.replace(choice.network, metrics=choice.network.metrics | errors)
    if not _is_saved(place, network):
        tested = network.metrics | _test_errors(choice, beside, data)
        counted = measure.confusions(network.model(), data, network.front_end)
        bundle.save(place, dataclasses.replace(network, metrics=tested, confusion=counted))
    return bundle.load(place)


def _test_errors(choice: _Choice, beside: _Choice | None, data: DataSet) -> dict[str, float]:
    """On the test split: of the chosen network, the mean over its trainings, and that of those beside it."""
    from models.training import measure

    def tested(one: _Choice) -> dict[int, float]:
        return {net.seed: measure.evaluate(net.model(), data, net.front_end, "test") for net in one.trainings}

    found = tested(choice)
    errors = {"test_error": found[choice.network.seed], "mean_test_error": sum(found.values()) / len(found)}
    if beside is not None:
        errors["beside_test_error"] = sum(tested(beside).values()) / len(beside.trainings)
    return errors


def _errors(choice: _Choice, saved: Bundle, guessing: float) -> str:
    """The errors of what was saved, in words; ``guessing``: the test error of the largest class."""
    metrics, others, mean_test = saved.metrics, "", ""
    if choice.in_full:
        searched = choice.entrant.searched
        others = f" ({searched:.2%} in the search)" if searched is not None else ""
        if (count := len(choice.trainings)) > 1:
            others = f", mean of {count} seeds {metrics['mean_val_error']:.2%}{others}"
            mean_test = f", mean {metrics['mean_test_error']:.2%}"
    elif choice.passed_over is not None:
        epochs, least = choice.passed_over
        others = f" (the search's weights; {epochs} epochs gave {least:.2%})"
    return (
        f"best: {choice.entrant.name} after {saved.train.epochs} epochs: validation error"
        f" {metrics['val_error']:.2%}{others}, test error {metrics['test_error']:.2%}{mean_test}"
        f" (always the largest class: {guessing:.2%})"
    )


def _comparison(choice: _Choice, beside: _Choice, saved: Bundle) -> str:
    """The best of the search beside the hand-made network, in words; means over seeds."""

    def told(one: _Choice, val_error: float, test_error: float) -> str:
        seeds = f"{count} seeds" if (count := len(one.trainings)) > 1 else "one seed"
        trained = f"{one.network.train.epochs} epochs, {seeds}"
        loss = _mean(one.trainings, VAL_LOSS)
        nats = f", {loss:.3f} nats" if math.isfinite(loss) else ""
        return f"validation error {val_error:.2%}{nats}, test error {test_error:.2%} ({trained})"

    metrics = saved.metrics
    best = told(choice, metrics["mean_val_error"], metrics["mean_test_error"])
    other = told(beside, metrics["beside_val_error"], metrics["beside_test_error"])
    if choice.entrant.candidate is None:
        return (
            "nothing found within the bounds is better on validation than the"
            f" {choice.entrant.name}, which is saved: {best}; {beside.entrant.name}: {other}"
        )
    return f"{choice.entrant.name}: {best}; the {beside.entrant.name}, trained alike: {other}"


def _bundle(
    config: Config,
    entrant: _Entrant,
    weights: Weights,
    train: TrainConfig,
    outcome: Outcome,
    repeat: int = 0,
) -> Bundle:
    assert outcome.val_error is not None
    searched = {} if entrant.searched is None else {"search_val_error": entrant.searched}
    losses = {} if outcome.val_loss is None else {VAL_LOSS: outcome.val_loss}
    return bundle.Bundle(
        graph=entrant.graph,
        front_end=config.settings().target.front_end,
        class_names=config.class_names,
        weights=weights,
        data=DataReference(**vars(config.request), manifest_sha256=config.manifest_sha256),
        train=train,
        seed=training_seed(config.seed, entrant.index, repeat),
        metrics={**searched, VAL_ERROR: outcome.val_error, **losses, **entrant.costs.to_json()},
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
