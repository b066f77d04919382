"""Which of the trained networks is kept, and what is said of it."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from loggrad_tf.errors import LogGradError
from models.bundle import Bundle
from search.cost.objectives import ERROR, overrun
from search.cost.quantities import reached
from search.record.history import Record
from search.run import rundir
from search.run.config import Config
from search.run.entrants import VAL_ERROR, VAL_LOSS, Entrant, Weights, of_candidate, saved_as
from search.run.profiles import DETECT, PLAIN
from search.workers.evaluator import load_weights, weights_path


@dataclasses.dataclass(frozen=True)
class Choice:
    """The network to save, or the one beside it.

    Attributes:
      entrant: what it is.
      network: the training of it that is saved.
      trainings: all that decided for it, which are tested with it.
      in_full: it was trained in full; otherwise it has the search's weights.
      passed_over: epochs and least mean error of trainings in full that were not good enough.
    """

    entrant: Entrant
    network: Bundle
    trainings: tuple[Bundle, ...]
    in_full: bool
    passed_over: tuple[int, float] | None = None


def choose(
    directory: Path, config: Config, leader: Record, finals: dict[Entrant, list[Bundle]], images: int
) -> tuple[Choice, Choice | None]:
    """What is saved, and what it is compared with: the best of the search and the hand-made network, if there
    is one, the better one on validation first.

    Args:
      images: that errors on validation were measured on.
    """
    by_loss = goes_by_loss(config)
    found = _best_found(directory, config, leader, finals, images, by_loss)
    made = next((one for one in finals if one.candidate is None), None)
    if made is None:
        return found, None
    other = _in_full(made, finals[made], by_loss)
    fits = overrun(found.entrant.costs, config.bounds) <= 1
    if fits and judged(found.trainings, by_loss) < judged(other.trainings, by_loss):
        return found, other
    return other, found


def goes_by_loss(config: Config) -> bool:
    """Whether trainings in full are judged by their loss first: not if the search goes by the error and its
    profile is the paper's, nor for detectors, whose loss and F1 tell different networks apart."""
    return config.method.rank_by != ERROR or config.profile not in (*PLAIN, DETECT)


def _best_found(
    directory: Path,
    config: Config,
    leader: Record,
    finals: dict[Entrant, list[Bundle]],
    images: int,
    by_loss: bool,
) -> Choice:
    """The best finalist that is as good as the search's best candidate, or that one: the head of
    :mod:`search.run.finalists`."""
    ranked = leader.outcome.val_error
    assert ranked is not None
    most = ranked + 2 * _standard_error(ranked, images)
    candidates = [one for one in finals if one.candidate is not None]
    good = [one for one in candidates if mean(finals[one]) <= most]
    if good:
        best = min(good, key=lambda one: (judged(finals[one], by_loss), one.index))
        return _in_full(best, finals[best], by_loss)
    entrant, weights = of_candidate(leader, config), _kept_weights(directory, leader.candidate.index)
    kept = saved_as(config, entrant, weights, config.method.train, leader.outcome)
    passed_over = None
    if candidates:
        epochs = config.method.final.of(config.method.train).epochs
        passed_over = epochs, min(mean(finals[one]) for one in candidates)
    return Choice(entrant, kept, (kept,), in_full=False, passed_over=passed_over)


def _in_full(entrant: Entrant, trained: list[Bundle], by_loss: bool) -> Choice:
    """With the best of its trainings."""
    return Choice(entrant, min(trained, key=lambda one: judged([one], by_loss)), tuple(trained), in_full=True)


def judged(trained: Sequence[Bundle], by_loss: bool) -> tuple[float, ...]:
    """The least is the best: mean loss on validation, then error; or the error alone."""
    error = mean(trained)
    return (mean(trained, VAL_LOSS), error) if by_loss else (error,)


def mean(trained: Sequence[Bundle], metric: str = VAL_ERROR) -> float:
    return sum(one.metrics.get(metric, math.inf) for one in trained) / len(trained)


def errors_told(choice: Choice, saved: Bundle, guessing: str) -> str:
    """The errors of what was saved, in words; ``guessing``: what they are to be compared with."""
    metrics, others, mean_test = saved.metrics, "", ""
    detects = saved.graph.cells is not None

    def told(error: float) -> str:
        return reached(error, detects).removeprefix("F1 ").removeprefix("error ")

    if choice.in_full:
        searched = choice.entrant.searched
        others = f" ({told(searched)} in the search)" if searched is not None else ""
        if (count := len(choice.trainings)) > 1:
            others = f", mean of {count} seeds {told(metrics['mean_val_error'])}{others}"
            mean_test = f", mean {told(metrics['mean_test_error'])}"
    elif choice.passed_over is not None:
        epochs, least = choice.passed_over
        others = f" (the search's weights; {epochs} epochs gave {told(least)})"
    return (
        f"best: {choice.entrant.name} after {saved.train.epochs} epochs: validation"
        f" {reached(metrics['val_error'], detects)}{others}, test {reached(metrics['test_error'], detects)}"
        f"{mean_test} ({guessing})"
    )


def comparison(choice: Choice, beside: Choice, saved: Bundle) -> str:
    """The best of the search beside the hand-made network, in words; means over seeds."""

    def told(one: Choice, val_error: float, test_error: float) -> str:
        seeds = f"{count} seeds" if (count := len(one.trainings)) > 1 else "one seed"
        trained = f"{one.network.train.epochs} epochs, {seeds}"
        loss = mean(one.trainings, VAL_LOSS)
        nats = f", {loss:.3f} nats" if math.isfinite(loss) else ""
        found, tested = (reached(error, saved.graph.cells is not None) for error in (val_error, test_error))
        return f"validation {found}{nats}, test {tested} ({trained})"

    metrics = saved.metrics
    best = told(choice, metrics["mean_val_error"], metrics["mean_test_error"])
    other = told(beside, metrics["beside_val_error"], metrics["beside_test_error"])
    if choice.entrant.candidate is None:
        return (
            "trained in full, as the candidates of the table above are not, nothing found within the bounds"
            f" is better on validation than the {choice.entrant.name}, which is saved: {best};"
            f" {beside.entrant.name}: {other}"
        )
    return f"{choice.entrant.name}: {best}; the {beside.entrant.name}, trained alike: {other}"


def _standard_error(rate: float, images: int) -> float:
    """Of an error rate measured on so many images."""
    return math.sqrt(rate * (1 - rate) / images)


def _kept_weights(directory: Path, index: int) -> Weights:
    path = weights_path(directory / rundir.WEIGHTS, index)
    if not path.is_file():
        raise LogGradError(f"{path}: the weights of candidate {index} are missing; restore them from a copy")
    return load_weights(path)
