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
DIR/finalists, CANDIDATE_REPEAT or NAME_REPEAT, so an interrupted ending goes on. Of a detector DIR/found.png
shows what it makes of some of the test split's frames.
"""

import dataclasses
import io
import sys
from pathlib import Path

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.detect import views
from loggrad_tf.detect.decode import objects
from loggrad_tf.detect.scores import Scores
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from models import bundle
from models.bundle import Bundle
from search.cost.objectives import Bounds, Point, overrun, ranking
from search.cost.quantities import verdict
from search.record.history import Record
from search.run import rundir
from search.run.choice import Choice, choose, comparison, errors_told, mean
from search.run.config import Config
from search.run.entrants import VAL_ERROR, entrants
from search.run.in_full import OpenPool, read, train_finalists
from search.strategy.proposal import standings
from search.workers.evaluator import start_tensorflow

BEST = "best"
# Frames with what a detector made of them, and how many.
FOUND, FRAMES = "found.png", 12


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
    from models.training import detection, measure

    leader = records[ranking(front.members, config.bounds)[0]]
    wanted = _worth_training(config, leader, records)
    finals = train_finalists(directory, config, entrants(config, wanted), data, open_pool)
    choice, beside = choose(directory, config, leader, finals, _judged_on(data))
    saved = _save(directory / BEST, choice, beside, data)
    if saved.detection is not None:
        warnings = detection.doubts(saved.detection["test"], "test")
        guessing = counted(saved.detection["test"])
        _draw(directory, saved, data)
    else:
        warning = measure.guesses(saved.metrics["test_error"], data, "test")
        warnings = [] if warning is None else [warning]
        guessing = f"always the largest class: {measure.majority_error(data, 'test'):.2%}"
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    reached = Point(saved.metrics[VAL_ERROR], choice.entrant.costs)
    told = errors_told(choice, saved, guessing)
    sentence = f"{told}; {verdict(reached, config.bounds, config.detects)}; saved in {directory / BEST}"
    if beside is not None:
        sentence += f"\n{comparison(choice, beside, saved)}"
    if saved.detection is not None:
        sentence += f"\n{detection.told(saved.detection, saved.class_names)}"
    return choice.entrant.candidate, sentence


def _judged_on(data: DataSet) -> int:
    """How many things an error on validation is a share of: images, or the objects in them."""
    if data.boxes is None:
        return len(data.labels_of("val"))
    return int((~data.boxes_of("val")["difficult"]).sum())


def counted(found: Scores) -> str:
    """How well it counts, as the end of a sentence."""
    return (
        f"its counts are off by {found.count_error:.2f} a frame and class, always answering the mean by"
        f" {found.mean_count_error:.2f}"
    )


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


def _save(place: Path, choice: Choice, beside: Choice | None, data: DataSet) -> Bundle:
    """The chosen network as it lies in ``place``, tested; it and the one beside it are tested once."""
    from models.training import measure

    errors = {"mean_val_error": mean(choice.trainings)}
    if beside is not None:
        errors["beside_val_error"] = mean(beside.trainings)
    network = dataclasses.replace(choice.network, metrics=choice.network.metrics | errors)
    if not _is_saved(place, network):
        tested = dataclasses.replace(network, metrics=network.metrics | _test_errors(choice, beside, data))
        if data.detects:
            found = {split: _scores(network, data, split) for split in ("val", "test")}
            tested = dataclasses.replace(tested, detection=found)
        else:
            confusion = measure.confusions(network.model(), data, network.front_end)
            tested = dataclasses.replace(tested, confusion=confusion)
        bundle.save(place, tested)
    return bundle.load(place)


def _scores(network: Bundle, data: DataSet, split: str) -> Scores:
    """What a detector finds on a split, at its own threshold."""
    from models.training import detection, measure

    if network.threshold is None:
        raise LogGradError(
            "every training diverged: scores are no numbers any more: start anew with another --seed"
        )
    answers = measure.logits(network.model(), data, network.front_end, split)
    return detection.scored(answers, data, split, network.threshold)


def _draw(directory: Path, saved: Bundle, data: DataSet) -> None:
    """DIR/found.png: frames of the test split with what the saved detector found, missed and invented; none
    if there is nothing of that."""
    from models.training import detection, measure

    assert saved.threshold is not None
    answers = measure.logits(saved.model(), data, saved.front_end, "test")
    found = objects(answers, saved.threshold)
    shown = views.telling(found, data.boxes_of("test"), FRAMES)
    if not len(shown):
        return
    file = io.BytesIO()
    views.sheet(data, "test", found, detection.over(data, answers), shown).save(file, "PNG")
    write_whole(directory / FOUND, file.getvalue())


def _test_errors(choice: Choice, beside: Choice | None, data: DataSet) -> dict[str, float]:
    """On the test split: of the chosen network, the mean over its trainings, and that of those beside it."""
    from models.training import measure

    def tested(one: Choice) -> dict[int, float]:
        if data.detects:
            return {net.seed: 1 - _scores(net, data, "test").f1 for net in one.trainings}
        return {net.seed: measure.evaluate(net.model(), data, net.front_end, "test") for net in one.trainings}

    found = tested(choice)
    errors = {"test_error": found[choice.network.seed], "mean_test_error": sum(found.values()) / len(found)}
    if beside is not None:
        errors["beside_test_error"] = sum(tested(beside).values()) / len(beside.trainings)
    return errors


def _is_saved(place: Path, chosen: Bundle) -> bool:
    """Is it there already, tested and all?"""
    saved = read(place)
    if saved is None or "test_error" not in saved.metrics:
        return False
    tested = dataclasses.replace(
        chosen,
        metrics=saved.metrics | chosen.metrics,
        confusion=saved.confusion,
        detection=saved.detection,
    )
    same = all(np.array_equal(a, b) for a, b in zip(saved.weights, tested.weights, strict=True))
    return same and dataclasses.replace(saved, weights=()) == dataclasses.replace(tested, weights=())
