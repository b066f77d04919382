"""What a search says while it runs: a line a candidate, the front from time to time, and long drawings; and
what is wrong if it has trained nothing."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from search.cost.objectives import Bounds, Point, best, overrun
from search.cost.quantities import reached
from search.record.history import Record
from search.run.config import Config
from search.run.plots import by_error
from search.run.rundir import Front
from search.strategy.proposal import MAX_REDRAWS
from search.workers.supervisor import TIMED_OUT

# The front is shown so many times in one search, but not more often than each tenth candidate.
TABLES = 10
# Seconds after which a drawing is spoken of; each line comes as long after the last one as that did.
PATIENCE = 5.0
# Candidates from which a correlation says something.
TELLING = 8
HEADINGS = {
    "peak_memory": "memory B",
    "size": "size B",
    "macs": "MACs",
    "ram": "RAM B",
    "flash": "flash B",
    "latency": "ms",
    "energy": "mJ",
}

MEMORIES = (
    "  memory: the most that is alive at one time, as muNAS counts it; RAM: all that the board needs, stack"
    " included"
)


def text_of(name: str, value: float) -> str:
    """A cost in the unit of its heading."""
    return f"{1e3 * value:.3f}" if name in ("latency", "energy") else f"{value:,.0f}"


def left(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    minutes = round(seconds / 60)
    if minutes >= 120:
        return f"{minutes // 60} h {minutes % 60} min left"
    return f"{minutes} min left" if seconds >= 90 else f"{seconds:.0f} s left"


def table(front: dict[int, Point], bounds: Bounds, chosen: int | None, detects: bool = False) -> str:
    """The front, least error first; the chosen candidate and those over a bound are marked.

    A last line says which memory is meant.
    """
    names = list(HEADINGS)
    lines = [
        f"  candidate  {'val F1' if detects else 'val error':>9s}"
        + "".join(f"{HEADINGS[name]:>13s}" for name in names)
    ]
    for index in by_error(front):
        point = front[index]
        mark = "*" if index == chosen else "!" if overrun(point.costs, bounds) > 1 else " "
        costs = "".join(f"{text_of(name, getattr(point.costs, name)):>13s}" for name in names)
        error = f"{1 - point.error:9.3f}" if detects else f"{point.error:9.2%}"
        lines.append(f"{mark} {index:9d}  {error}{costs}")
    return "\n".join([*lines, MEMORIES])


class Drawing:
    """Tells on stderr how far the drawing of a candidate is, if it takes longer than a few seconds."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._index = wanted, -1
        self._begin, self._wait = 0.0, PATIENCE

    def __call__(self, index: int, drawn: int, usable: int) -> None:
        """A :data:`search.strategy.proposal.Watch`."""
        if index != self._index:
            self._index, self._begin, self._wait = index, time.monotonic(), PATIENCE
        spent = time.monotonic() - self._begin
        if drawn and spent >= self._wait:
            self._wait = 2 * spent
            pace, missing = spent / drawn, MAX_REDRAWS - drawn
            if usable:
                pace, missing = spent / usable, self._wanted - usable
            print(
                f"candidate {index}: {drawn:,} networks drawn, of at most {MAX_REDRAWS:,}; {usable} of"
                f" {self._wanted} that are wanted can be used;"
                f" {'about' if usable else 'at most'} {left(pace * missing)}",
                file=sys.stderr,
                flush=True,
            )


class Progress:
    """One line a candidate: what it reached, the best so far, pace and time left."""

    def __init__(self, config: Config, front: Front, done: int, clock: Callable[[], float]) -> None:
        """``clock``: seconds that the search has had, of which a budget is left."""
        self._config, self._front, self._clock = config, front, clock
        self._begin, self._before = time.monotonic(), done

    def show(self, record: Record, seconds: float) -> None:
        """Take in a record and print it."""
        self._front.add(record)
        bounds, rounds = self._config.bounds, self._config.method.rounds
        done = record.candidate.index + 1
        chosen = best(self._front.members, bounds)
        leader = ""
        if chosen is not None:
            told = reached(self._front.points[chosen].error, self._config.detects)
            leader = f"best {told.removeprefix('error ')} (#{chosen}) | "
        pace = (time.monotonic() - self._begin) / (done - self._before)
        if self._config.budget is None:
            place, time_left, every = (
                f"{done:{len(str(rounds))}}/{rounds}",
                pace * (rounds - done),
                rounds // TABLES,
            )
        else:
            place, time_left, every = f"{done:3d}", self._config.budget - self._clock(), done // TABLES
        print(
            f"[{place}] {self._result(record)}  {seconds:5.1f} s | {leader}"
            f"{3600 / pace:.0f}/h, {left(time_left)}",
            flush=True,
        )
        if done < rounds and done % max(every, 10) == 0 and self._front.members:
            print(table(self._front.members, bounds, chosen, self._config.detects), flush=True)

    def _result(self, record: Record) -> str:
        if record.point is None:
            return f"failed: {record.outcome.failure}"
        costs = "  ".join(
            f"{HEADINGS[name]} {text_of(name, getattr(record.costs, name))}"
            for name in self._config.bounds.resources
        )
        loss = record.outcome.loss_text(before="  ")
        note = f"  stopped after {len(record.outcome.curve)} epochs" if record.outcome.stopped else ""
        error = record.point.error
        told = reached(error, True) if self._config.detects else f"error {error:6.2%}"
        return f"{told}{loss}  {costs}{note}"


def foresight(records: Sequence[Record], rungs: Sequence[int]) -> str:
    """How well the area under the training loss at each rung ranks candidates as validation does in the end.

    Of those that were trained to their end: Spearman's correlation with the validation loss. Empty if there
    are fewer than :data:`TELLING` of them, or no rungs.
    """
    from scipy.stats import spearmanr

    whole = [r for r in records if r.ranked and r.outcome.val_loss is not None]
    if len(whole) < TELLING or not rungs:
        return ""
    losses = [r.outcome.val_loss for r in whole]
    told = ", ".join(
        f"{spearmanr([r.area(rung) for r in whole], losses).statistic:.2f} after {rung} epochs"
        for rung in rungs
    )
    return f"rank correlation of the area under the training loss with the validation loss: {told}"


def nothing_trained(directory: Path, config: Config, records: list[Record]) -> str:
    """That no candidate was trained to its end, why, and what to change."""
    failures = [r.outcome.failure for r in records if r.outcome.failure is not None]
    slow = sum(_was_slow(r, config) for r in records)
    idle = len(records) - len(failures) - slow
    reasons = {
        f"{len(failures)} failed": len(failures),
        f"{idle} had learned nothing at a rung": idle,
        f"{slow} learned slower than cheaper ones": slow,
    }
    counts = ", ".join(reason for reason, count in reasons.items() if count)
    if len(failures) > idle + slow:
        first = failures[0]
        mend = "give a higher --timeout" if first.startswith(TIMED_OUT) else "mend that, or fewer --workers"
        mend = f"the first: {first}: {mend}, and start anew with another --out"
    else:
        epochs = config.method.train.epochs
        mend = (
            f"train longer (--epochs={2 * epochs}) or without rungs (--rungs=none) with another --out, or go"
            f" on with more candidates: --resume={directory} --rounds={2 * config.method.rounds}"
        )
    return f"no candidate of {len(records)} was trained to its end: {counts}; {mend}"


def _was_slow(record: Record, config: Config) -> bool:
    """Was it stopped because cheaper networks had learned faster? (Otherwise it had learned nothing.)"""
    limits = dict(zip(config.method.rungs, record.candidate.limits, strict=False))
    epochs = len(record.outcome.curve)
    area, limit = record.area(epochs), limits.get(epochs)
    return record.outcome.stopped and area is not None and limit is not None and area > limit
