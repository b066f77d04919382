"""How a search divides the time that it is given, ``--budget``, between candidates and trainings in full.

Candidates have what finalists leave: :data:`FINAL_SHARE` of the time goes to training the best ones out, for
one network that is trained longer is worth more than many that are drawn. How many finalists, epochs and
seeds fit is computed from the seconds that the search's own candidates took (:class:`Pace`), anew after each
of them, and the search goes on until just what they need is left. Then it is decided, written into the
journal as a :class:`Schedule`, and holds from there on, whatever comes between: the search is the one that
its numbers, given as flags, would have made.
"""

import dataclasses
import json
import math
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from search.cost.quantities import candidates
from search.record.history import Record
from search.record.journal import SCHEDULE, TIMING, encode, writing
from search.run.config import Config
from search.run.profiles import trained_out
from search.strategy.method import Method
from search.strategy.proposal import standings

# Of the budget, for trainings in full.
FINAL_SHARE = 0.6
# Finalists and the seeds of each that is not left behind, most first.
PLANS = tuple((finalists, 1 + max(0, int(math.log2(finalists / 3)))) for finalists in range(96, 0, -1))
# Epochs below which fewer finalists are trained rather than so briefly; candidates before anything is known.
SHORT, PILOT = 60, 4
# Seconds for the rest: the test split is read, and all is written.
ENDING = 10.0
# Rounds of a search that is not decided yet.
OPEN = 1_000_000
# Flags of what is decided.
DECIDES = ("rounds", "finalists", "final_epochs", "final_seeds")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def entrants_of(finalists: int, repeat: int) -> int:
    """How many of the finalists are trained the ``repeat``-th time, 0 for the first.

    Which of two networks is better is known from a few seeds only, and each training in full costs as much as
    dozens of candidates. So all are trained once, the better half again, the better half of those once more
    (successive halving, Jamieson and Talwalkar 2016, over seeds).
    """
    return max(1, -(-finalists // 2**repeat))


def seconds_of(text: str) -> float:
    """Of ``90s``, ``10m``, ``2h`` or ``1.5h``.

    Raises:
      LogGradError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None or not float(match[1]) > 0:
        raise LogGradError(f"--budget={text}: give a time as 90s, 10m or 2h")
    return float(match[1]) * _UNITS[match[2]]


@dataclasses.dataclass(frozen=True)
class Schedule(JsonBase):
    """What was decided; a record of the journal.

    Attributes:
      budget: seconds that were divided.
      rounds: candidates in all.
      finalists, final_seeds, final_epochs: of the trainings in full.
    """

    budget: float
    rounds: int
    finalists: int
    final_seeds: int
    final_epochs: int

    def to_json(self) -> dict[str, Any]:
        return {"event": SCHEDULE, **super().to_json()}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """What :meth:`to_json` wrote.

        Raises:
          LogGradError: it is damaged.
        """
        return cls.from_json({key: value for key, value in record.items() if key != "event"})

    @property
    def text(self) -> str:
        """What will be trained in full, for people."""
        seeds = f", the better half with {self.final_seeds} seeds" if self.final_seeds > 1 else ""
        return f"{candidates(self.rounds)}; the best {self.finalists} for {self.final_epochs} epochs{seeds}"

    def doubts(self, epochs: int) -> list[str]:
        """What to warn of, if candidates are trained for so many epochs."""
        if self.final_epochs > epochs:
            return []
        return [
            f"{self.final_epochs} epochs are no more than the {epochs} of a candidate: none is trained in"
            " full, and no hand-made network beside them; give a longer --budget"
        ]

    def of(self, config: Config) -> Config:
        """The search with these numbers."""
        final = dataclasses.replace(config.method.final, epochs=self.final_epochs)
        method = dataclasses.replace(
            config.method,
            rounds=self.rounds,
            finalists=self.finalists,
            final_seeds=self.final_seeds,
            final=final,
        )
        return dataclasses.replace(config, method=trained_out(config.profile, method, config.size))


def opened(method: Method) -> Method:
    """``method`` before anything is decided: candidates without end."""
    return dataclasses.replace(method, rounds=OPEN)


def decided(journal: Sequence[dict[str, Any]], budget: float) -> Schedule | None:
    """What the journal says of this budget; None if it is not decided yet.

    Raises:
      LogGradError: its record is damaged.
    """
    found = [record for record in journal if record.get("event") == SCHEDULE]
    if not found:
        return None
    schedule = Schedule.of_record(found[-1])
    return schedule if schedule.budget == budget else None


def now() -> float:
    """Seconds, of which only differences mean anything."""
    return time.monotonic()


class Clock:
    """Seconds that a search has had in all its sittings; what was lost when it was killed does not count.

    Candidates note them when they finish (:func:`search.run.rundir.drive`), and :meth:`note` at the end.

    Args:
      directory: of the search.
      begin: :func:`now` at the beginning of this sitting.
    """

    def __init__(self, directory: Path, begin: float) -> None:
        self._begin, self._path = begin, directory / TIMING
        self._before = max((mark.get("elapsed", 0.0) for mark in _marks(directory)), default=0.0)

    def __call__(self) -> float:
        return self._before + now() - self._begin

    def note(self) -> None:
        """So that a search that goes on knows what it had."""
        with writing(self._path), self._path.open("ab") as file:
            file.write(encode({"elapsed": round(self(), 1)}))


def _marks(directory: Path) -> list[dict[str, Any]]:
    """The lines of the search's timing.jsonl; torn and foreign ones are left out."""
    path, found = directory / TIMING, []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            mark = json.loads(line)
        except ValueError:
            continue
        if isinstance(mark, dict) and all(isinstance(mark.get(k, 0), int | float) for k in mark):
            found.append(mark)
    return found


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long trainings take here.

    Attributes:
      fixed: seconds of each, whatever its epochs.
      epoch: seconds of an epoch of a network like the best ones.
    """

    fixed: float
    epoch: float

    @classmethod
    def of(cls, records: Sequence[Record], seconds: dict[int, float], best: Sequence[int]) -> "Pace | None":
        """From what candidates took: the fixed part from all of them, the epochs' from the ``best``.

        Args:
          seconds: by index; one that is not there is not used.
        Returns:
          None if there is nothing to go by.
        """
        timed = [r for r in records if r.outcome.curve and r.candidate.index in seconds]
        if not timed:
            return None
        lengths = np.array([len(r.outcome.curve) for r in timed], float)
        spent = np.array([seconds[r.candidate.index] for r in timed])
        fixed = 0.0
        if len(set(lengths)) > 1:
            slope, offset = np.polyfit(lengths, spent, 1)
            fixed = float(np.clip(offset, 0.0, 0.8 * spent.min())) if slope > 0 else 0.0
        chosen = [k for k, r in enumerate(timed) if r.candidate.index in best] or list(range(len(timed)))
        return cls(fixed, float(np.mean((spent[chosen] - fixed) / lengths[chosen])))

    def seconds(self, finalists: int, seeds: int, epochs: int, workers: int) -> float:
        """Of training so many finalists in full, and what is trained beside them."""
        return self._waves(finalists, seeds, workers) * (self.fixed + epochs * self.epoch)

    def epochs(self, seconds: float, finalists: int, seeds: int, workers: int) -> int:
        """How many fit into so many seconds."""
        return int((seconds / self._waves(finalists, seeds, workers) - self.fixed) / self.epoch)

    @staticmethod
    def _waves(finalists: int, seeds: int, workers: int) -> int:
        counts = (entrants_of(finalists, repeat) + 1 for repeat in range(seeds))
        return sum(math.ceil(count / workers) for count in counts)


class Division:
    """How the time of one search is divided, as far as it is known.

    Args:
      config: of a search with a budget.
      clock: seconds that it has had.
      longest: epochs that no training in full goes beyond.
      directory: of the search, where earlier sittings have noted what candidates took.
    """

    def __init__(self, config: Config, clock: Clock, longest: int, directory: Path) -> None:
        assert config.budget is not None
        self._config, self._clock, self._longest = config, clock, longest
        self._budget = config.budget
        self._startup = 0.0
        self._seconds = {
            int(m["index"]): float(m["seconds"]) for m in _marks(directory) if {"index", "seconds"} <= set(m)
        }

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self._budget - self._clock()

    def add(self, record: Record, seconds: float) -> None:
        """One more candidate has finished."""
        self._seconds[record.candidate.index] = seconds

    def started(self, seconds: float) -> None:
        """So long took the workers to set themselves up; those of the finals will, too."""
        self._startup = seconds

    def decide(self, records: Sequence[Record], proposed: int) -> Schedule | None:
        """What the trainings in full will be, if they need all the time that is left; None if not yet.

        Args:
          records: of the candidates that have finished.
          proposed: candidates, finished or not; one of each worker has its time yet.
        """
        workers, others = self._config.workers, self._startup + ENDING
        pace = self._pace(records)
        if pace is None and self.left <= FINAL_SHARE * self._budget:  # all have failed
            return Schedule(self._budget, proposed, 1, 1, self._least)
        if len(records) < PILOT or pace is None:
            return None
        running = pace.fixed + self._config.method.train.epochs * pace.epoch
        left = self.left - others - running
        finalists, seeds, epochs = self._plan(FINAL_SHARE * self._budget - others, pace)
        if left > pace.seconds(finalists, seeds, epochs, workers):
            return None
        fit = max(pace.epochs(left, finalists, seeds, workers), self._least)
        return Schedule(self._budget, proposed, finalists, seeds, min(fit, epochs))

    def _pace(self, records: Sequence[Record]) -> Pace | None:
        points = standings(list(records), self._config.settings())
        best = sorted(points, key=lambda index: points[index].error)[: max(3, len(points) // 4)]
        return Pace.of(records, self._seconds, best)

    def _plan(self, seconds: float, pace: Pace) -> tuple[int, int, int]:
        """Finalists, seeds and epochs that fit; never fewer than one, nor than twice a candidate's epochs."""
        workers = self._config.workers
        for finalists, seeds in PLANS:
            least = (
                self._longest if seeds > 1 or finalists > 3 else max(min(SHORT, self._longest), self._least)
            )
            epochs = pace.epochs(seconds, finalists, seeds, workers)
            if epochs >= least:
                return finalists, seeds, min(epochs, self._longest)
        return 1, 1, max(pace.epochs(seconds, 1, 1, workers), self._least)

    @property
    def _least(self) -> int:
        """Epochs of a training in full, whatever the time."""
        return min(2 * self._config.method.train.epochs, self._longest)
