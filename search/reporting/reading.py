"""A search's directory as a report reads it: what is on the disk now, and nothing is written.

The journal of a search that is running grows while it is read, and its last line may be half there; that
line is left out. Damage anywhere else is an error. :class:`search.record.journal.Journal` is for the one
process that holds the directory: it cuts a torn line off.
"""

import dataclasses
import functools
import json
import shlex
from pathlib import Path
from typing import Any

from loggrad_tf import json_base
from loggrad_tf.confusion import Confusion
from loggrad_tf.data.request import CLASSIFY, usual_fit
from loggrad_tf.data.sides import short
from loggrad_tf.detect.scores import Scores
from loggrad_tf.errors import LogGradError
from loggrad_tf.knob import text
from search.cost.objectives import BOUND_FLAGS, Bounds, Point, best, overrun, pareto_front
from search.cost.quantities import COSTS, Quantity, error_of
from search.record.history import Candidate, Record
from search.record.journal import JOURNAL, SCHEDULE, TIMING
from search.run import rival, rundir
from search.run.config import BOARD, Config
from search.run.profiles import ALL_PROFILES, DETECT, trained_out
from search.run.schedule import DECIDES, OPEN, Schedule
from search.strategy.method import METHOD_FLAGS
from search.strategy.proposal import training_seed
from search.workers.pool import ONEDNN


@dataclasses.dataclass(frozen=True)
class Saved:
    """What a finished search has kept in DIR/best.

    Attributes:
      index: of the candidate; None: it is the hand-made network, :mod:`search.run.rival`.
      epochs: of the training whose weights were kept.
      val_error, test_error: after it, 0..1.
      confusion: which classes it takes for which, by split; empty if nobody counted, and of a detector.
      detection: of a detector, what it finds, by split.
      means: validation and test error, over all seeds that it was trained with.
      beside: those of the hand-made network, or of the best one found if that one is kept; None if there is
        none.
    """

    index: int | None
    epochs: int
    val_error: float
    test_error: float
    confusion: dict[str, Confusion]
    means: tuple[float, float]
    beside: tuple[float, float] | None
    detection: dict[str, Scores] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A search, finished or not.

    Attributes:
      directory: where it lies.
      config: what it is.
      records: finished candidates in order; record k is candidate k.
      seconds: training time by candidate, as far as it is known.
      torn: the journal's last line was not complete.
      saved: what it has kept in the end; None before that.
    """

    directory: Path
    config: Config
    records: tuple[Record, ...]
    seconds: dict[int, float]
    torn: bool
    saved: Saved | None = None

    @property
    def bounds(self) -> Bounds:
        return self.config.bounds

    @property
    def detects(self) -> bool:
        return self.config.detects

    @functools.cached_property
    def points(self) -> dict[int, Point]:
        """Candidates trained in full."""
        return {r.candidate.index: r.point for r in self.records if r.ranked and r.point is not None}

    @functools.cached_property
    def stopped(self) -> dict[int, Point]:
        """Candidates whose training ended at a rung, with the error they had then."""
        return {r.candidate.index: r.point for r in self.records if r.outcome.stopped and r.point is not None}

    @functools.cached_property
    def failed(self) -> tuple[Record, ...]:
        return tuple(r for r in self.records if r.outcome.failure is not None)

    @functools.cached_property
    def front(self) -> dict[int, Point]:
        """Candidates trained in full that none of the others dominates."""
        return pareto_front(self.points, self.bounds)

    @functools.cached_property
    def chosen(self) -> int | None:
        """The candidate to deploy: the one that was kept, before that the best; None if there is none.

        If the hand-made network was kept, it is the best one that was found.
        """
        if self.saved is not None and self.saved.index is not None:
            return self.saved.index
        return best(self.front, self.bounds)

    @property
    def asked(self) -> str:
        """How many candidates there are to be; a question mark until a search with a budget knows."""
        rounds = self.config.method.rounds
        return "?" if rounds == OPEN else f"{rounds:,}"

    @property
    def finished(self) -> bool:
        return len(self.records) >= self.config.method.rounds

    def reached(self, index: int) -> Point:
        """Where a candidate trained in full lies; the saved one with the error of its last training."""
        point = self.points[index]
        if self.saved is None or index != self.saved.index:
            return point
        return Point(self.saved.val_error, point.costs)

    def within(self, index: int) -> bool:
        """Are all costs of a candidate within their bounds? (The error is not asked.)"""
        return overrun(self.records[index].costs, self.bounds) <= 1


def read(directory: Path) -> Run:
    """The search in ``directory``.

    Raises:
      LogGradError: there is none, or one of its files is damaged.
      OSError: a file cannot be read.
    """
    if not (directory / rundir.CONFIG).is_file():
        raise LogGradError(
            f"--run={directory}: no search there ({rundir.CONFIG} is missing);"
            " give the directory that search.evolve wrote"
        )
    config = rundir.load_config(directory)
    if config.profile not in ALL_PROFILES:
        raise LogGradError(
            f"{directory / rundir.CONFIG}: unknown profile '{config.profile}'; restore it from a copy"
        )
    records, torn = _journal(directory)
    run = Run(directory, config, records, _seconds(directory / TIMING), torn, None)
    if not run.finished:  # what was kept when it had fewer rounds is not its choice
        return run
    return dataclasses.replace(run, saved=_saved(directory / "best" / "network.json", config, records))


def begins_with(directory: Path) -> str:
    """What ``--start`` takes for the network that a finished search saved: a name, or its JSON text.

    Raises:
      LogGradError: there is none.
    """
    run = read(directory)
    if run.saved is None:
        raise LogGradError(f"--start={directory}: no finished search: finish it with --resume={directory}")
    if run.saved.index is None:
        return rival.name_of(run.config)
    genotype = run.records[run.saved.index].candidate.genotype
    return json.dumps(dataclasses.replace(genotype, sparsity=None).to_json(), sort_keys=True)


def _saved(path: Path, config: Config, records: tuple[Record, ...]) -> Saved | None:
    """A saved network, whose seed tells what it is; None if the file is missing or foreign."""
    try:
        data = json_base.read(path)
        metrics = data["metrics"]
        val_error, test_error = (float(metrics[name]) for name in ("val_error", "test_error"))
        means = (
            float(metrics.get("mean_val_error", val_error)),
            float(metrics.get("mean_test_error", test_error)),
        )
        beside = None
        if "beside_val_error" in metrics:
            beside = float(metrics["beside_val_error"]), float(metrics["beside_test_error"])
        epochs, seed = int(data["train"]["epochs"]), data["seed"]
        counted = data.get("confusion") or {}
        confusion = {str(split): Confusion.from_json(table) for split, table in counted.items()}
        found = data.get("detection") or {}
        detection = {str(split): Scores.from_json(scores) for split, scores in found.items()}
    except (LogGradError, OSError, ArithmeticError, ValueError, TypeError, KeyError, AttributeError):
        return None
    trained = (*(r.candidate.index for r in records if r.ranked), rival.INDEX)
    repeats = range(config.method.final_seeds)
    index = next((i for i in trained for k in repeats if training_seed(config.seed, i, k) == seed), None)
    if index is None:
        return None
    candidate = None if index == rival.INDEX else index
    return Saved(candidate, epochs, val_error, test_error, confusion, means, beside, detection)


def _lines(path: Path) -> tuple[list[bytes], bytes]:
    """Complete lines, and what comes after them. A file that does not exist has none."""
    if not path.is_file():
        return [], b""
    *lines, rest = path.read_bytes().split(b"\n")
    return lines, rest


def _journal(directory: Path) -> tuple[tuple[Record, ...], bool]:
    path = directory / JOURNAL
    lines, rest = _lines(path)
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            data = json_base.parse(line, "it")
            if number == 1:
                _check_begin(data, directory)
                continue
            if isinstance(data, dict) and data.get("event") == SCHEDULE:
                Schedule.of_record(data)
                continue
            record = Record.from_json(data)
            _check_place(record.candidate, len(records))
            records.append(record)
        except (LogGradError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            if number == len(lines) and not rest and not _is_json(line):
                return tuple(records), True
            reason = " ".join(str(error).split())
            raise LogGradError(
                f"{path}: line {number} is damaged ({reason}); restore the file from a copy"
            ) from None
    return tuple(records), bool(rest)


def _check_place(candidate: Candidate, place: int) -> None:
    if candidate.index != place:
        raise LogGradError(f"candidate {candidate.index} where {place} belongs")
    if candidate.parent is not None and not 0 <= candidate.parent < place:
        raise LogGradError(f"candidate {place} has parent {candidate.parent}, which is no earlier one")


def _is_json(line: bytes) -> bool:
    try:
        json_base.parse(line, "it")
    except LogGradError:
        return False
    return True


def _check_begin(data: Any, directory: Path) -> None:
    if data != rundir.begin_record(directory):
        raise LogGradError(f"it does not belong to {rundir.CONFIG} beside it, or another version wrote it")


def _seconds(path: Path) -> dict[int, float]:
    """Training time by candidate; of one that was trained again after a crash the last. Torn lines count
    nothing: durations are for people only."""
    found = {}
    for line in _lines(path)[0]:
        try:
            data = json_base.parse(line, "it")
            found[int(data["index"])] = float(data["seconds"])
        except (LogGradError, ArithmeticError, ValueError, TypeError, KeyError):
            continue
    return found


def labels(runs: list[Run]) -> list[str]:
    """A short name for each run: its input format, or its directory if that tells them apart."""
    for names in (
        [run.config.input for run in runs],
        [run.directory.resolve().name for run in runs],
        [f"{run.config.input}, seed {run.config.seed}" for run in runs],
    ):
        if len(set(names)) == len(names):
            return names
    return [str(run.directory) for run in runs]


def resources(runs: list[Run]) -> list[Quantity]:
    """The costs that any of the runs bounds, in a fixed order; all of them if none bounds any."""
    bounded = {name for run in runs for name in run.bounds.resources}
    return [q for q in COSTS if q.name in bounded] or list(COSTS)


def error_quantity(runs: list[Run]) -> Quantity:
    """What the errors of the runs are; of detectors and classifiers side by side an error."""
    return error_of(all(run.detects for run in runs))


def lineage(records: tuple[Record, ...], index: int) -> list[int]:
    """A candidate and its parents, the youngest first."""
    chain = [index]
    while (parent := records[chain[-1]].candidate.parent) is not None:
        chain.append(parent)
    return chain


# Flags that say how long networks are trained.
_LENGTHS = ("rungs", "epochs", "final_epochs")


def arguments(config: Config) -> list[str]:
    """The flags of :mod:`search.evolve` that ask for this search.

    All bounds are named, since their defaults depend on other flags, and how long networks are trained, since
    a profile's epochs depend on the data set; else of the method what differs from its profile. Of a search
    with a budget what was decided, or the budget as long as nothing is.
    """
    found = {name: getattr(config, name) for name in ("data", "input", "mode", "bits")}
    found["size"] = short(config.size)
    if config.profile == "faithful":
        found["faithful"] = True
    elif config.profile != DETECT:
        found["profile"] = config.profile
    default, undecided = ALL_PROFILES[config.profile], config.method.rounds == OPEN
    if undecided and config.budget is not None:
        found["budget"] = f"{config.budget:.10g}s"
    for flag in METHOD_FLAGS:
        given = flag.of(config.method)
        if undecided and flag.name in DECIDES:
            continue
        if flag.name in _LENGTHS or given != flag.of(default):
            found[flag.name] = given
    if config.fit != usual_fit(config.task):
        found["fit"] = config.fit
    if config.task != CLASSIFY:
        found["task"] = config.task
    if config.board != BOARD:
        found["board"] = config.board
    found |= {flag.name: flag.of(config.bounds) for flag in BOUND_FLAGS}
    found |= {"seed": config.seed, "workers": config.workers}
    return [f"--{name}={text(value)}" for name, value in found.items()]


def command(config: Config) -> str:
    """The shell command that does the search again, a flag a line."""
    lines = ["python -m search.evolve", *(shlex.quote(flag) for flag in arguments(config))]
    if config.onednn != "1":
        lines[0] = f"{ONEDNN}={shlex.quote(config.onednn)} {lines[0]}"
    return " \\\n    ".join(lines)


def unlike_profile(config: Config) -> list[str]:
    """Training settings that no flag gives and that this version's profile has otherwise."""
    given = {flag.path for flag in METHOD_FLAGS}
    default = ALL_PROFILES[config.profile]
    as_long = dataclasses.replace(default.final, epochs=config.method.final.epochs)
    default = trained_out(config.profile, dataclasses.replace(default, final=as_long), config.size)
    return [
        f"{prefix}{field.name}"
        for prefix, part in (("", "train"), ("final ", "final"))
        for field in sorted(dataclasses.fields(getattr(default, part)), key=lambda field: field.name)
        if (part, field.name) not in given
        and getattr(getattr(config.method, part), field.name) != getattr(getattr(default, part), field.name)
    ]
