"""A search's directory, and the loop that fills it.

    config.json     the search (search/run/config.py)
    journal.jsonl   every finished candidate in order; the only state
    timing.jsonl    seconds per candidate; read by reports only
    candidates/     weights of the members of the front
    best/           the chosen network, a bundle (models/bundle.py)
    finalists/      those that were trained in full, bundles too
    front.csv, front.png, report.html (search/report.py)
    tensorboard/    event files (search/run/tensorboard.py)

One process at a time holds the directory's lock. The journal's first record carries the hash
of what its history depends on of ``config.json``, so neither can be exchanged unnoticed.
"""

import contextlib
import fcntl
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from loggrad_tf import json_base
from loggrad_tf.errors import LogGradError
from search.cost.objectives import Bounds, Point, extend_front, pareto_front
from search.record.history import Candidate, Record
from search.record.journal import JOURNAL, SCHEDULE, TIMING, Journal, encode, write_synced, writing
from search.run.config import Config
from search.strategy.evolution import Evolution, seen_by
from search.strategy.proposal import propose
from search.workers.evaluator import weights_path
from search.workers.pool import Finished

CONFIG = "config.json"
WEIGHTS = "candidates"
FORMAT = 3
_CANDIDATE = b'"event":"candidate"'


class Evaluators(Protocol):
    """Who evaluates candidates: a pool of :mod:`search.workers.pool` or :mod:`search.workers.ray_pool`."""

    @property
    def idle(self) -> bool: ...
    def submit(self, index: int, task: Any) -> None: ...
    def wait(self) -> list[Finished]: ...


@contextlib.contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Make ``directory`` and hold it for this process; a process that dies lets go of it.

    Raises:
      LogGradError: another search holds it.
      OSError: it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogGradError(
                f"{directory}: another search is running there; wait for it or stop it"
            ) from None
        yield


def exists(directory: Path) -> bool:
    """Does ``directory`` hold a search?"""
    return (directory / CONFIG).exists() or (directory / JOURNAL).exists()


def refuse_existing(directory: Path) -> None:
    """Raise LogGradError if ``directory`` holds a search already."""
    if exists(directory):
        raise LogGradError(
            f"{directory} holds a search: go on with --resume={directory}, or choose another --out"
        )


def create(directory: Path, config: Config) -> None:
    """Begin a new search in ``directory``; an existing one is refused."""
    refuse_existing(directory)
    (directory / WEIGHTS).mkdir(parents=True, exist_ok=True)
    write_config(directory, config)


def write_config(directory: Path, config: Config) -> None:
    """Write ``config.json``, whole or not at all."""
    text = json.dumps(config.to_json(), indent=1, sort_keys=True) + "\n"
    write_synced(directory / CONFIG, text.encode())


def load_config(directory: Path) -> Config:
    """The search of an existing directory."""
    path = directory / CONFIG
    if not path.is_file():
        raise LogGradError(f"{directory}: no search there to resume ({CONFIG} is missing)")
    try:
        return Config.from_json(json_base.read(path, ""))
    except (LogGradError, ValueError, TypeError, AttributeError) as error:
        raise LogGradError(
            f"{path}: damaged, or of another version of this program ({error}); restore it from a copy,"
            " go on with that version, or start anew with another --out"
        ) from None


def committed(directory: Path) -> int:
    """Candidates in the journal, if it is whole."""
    path = directory / JOURNAL
    if not path.exists():
        return 0
    return sum(_CANDIDATE in line for line in path.read_bytes().split(b"\n")[:-1])


def begin_record(directory: Path) -> dict[str, Any]:
    """The first record of the journal beside a ``config.json``."""
    text = json.dumps(load_config(directory).history(), sort_keys=True)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return {"event": "begin", "format": FORMAT, "history_sha256": sha256}


def open_journal(directory: Path) -> tuple[Journal, list[Record]]:
    """The journal and its candidates; a new one gets its first record.

    Raises:
      LogGradError: a damaged line, a journal of another search.
    """
    begin = begin_record(directory)
    journal = Journal(directory / JOURNAL)
    try:
        if not journal.records:
            journal.append(begin)
            return journal, []
        if journal.records[0].get("format", FORMAT) != FORMAT:
            raise LogGradError(
                f"{journal.path}: of another version of this program: go on with that one, or start anew with"
                " another --out"
            )
        if journal.records[0] != begin:
            raise LogGradError(
                f"{journal.path}: line 1 does not belong to {CONFIG} beside it; restore both from one copy"
            )
        return journal, list(_records(journal))
    except BaseException:
        journal.close()
        raise


def _records(journal: Journal) -> Iterator[Record]:
    place = 0
    for number, data in enumerate(journal.records[1:], 2):
        if data.get("event") == SCHEDULE:
            continue
        where = f"{journal.path}: line {number}"
        try:
            record = Record.from_json(data)
        except (LogGradError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise LogGradError(f"{where} is damaged ({error}); restore the file from a copy") from None
        if record.candidate.index != place:
            raise LogGradError(
                f"{where} is candidate {record.candidate.index} where {place} belongs;"
                " restore the file from a copy"
            )
        yield record
        place += 1


def check_history(evolution: Evolution, path: Path) -> None:
    """Propose the last candidate again: a journal of another version of this program shows here."""
    records, settings = evolution.records, evolution.settings
    if len(records) > settings.method.rounds:
        raise LogGradError(f"{path}: {len(records)} candidates, but the search has {settings.method.rounds}")
    if records:
        last, earlier = records[-1].candidate, [r.candidate for r in records[:-1]]
        if propose(settings, last.index, records[: seen_by(last.index, settings)], earlier) != last:
            raise LogGradError(
                f"{path}: candidate {last.index} would not come out again; the journal was changed, or"
                " written by another version of this program: resume with that version, or start anew"
            )


class Front:
    """The front so far, and the weights kept for it.

    Attributes:
      points: all candidates that were trained in full.
      members: those that none of the others dominates.
    """

    def __init__(self, directory: Path, records: list[Record], bounds: Bounds) -> None:
        self._weights, self._bounds = directory / WEIGHTS, bounds
        self.points = {r.candidate.index: r.point for r in records if r.ranked and r.point is not None}
        self.members: dict[int, Point] = pareto_front(self.points, bounds)
        self._prune(len(records))

    def add(self, record: Record) -> None:
        """Take in the next record; drop the weights of candidates that are not on the front."""
        if record.ranked and record.point is not None:
            index = record.candidate.index
            self.points[index] = record.point
            self.members = extend_front(self.members, index, record.point, self._bounds)
        self._prune(record.candidate.index + 1)

    @property
    def weight_bytes(self) -> int:
        """Disk space of the weights kept."""
        return sum(path.stat().st_size for path in self._weights.iterdir())

    def _prune(self, committed: int) -> None:
        keep = {weights_path(self._weights, i).name for i in self.members}
        for path in self._weights.iterdir():
            named = re.fullmatch(r"(\d+)\.npz", path.name)
            if named and int(named[1]) < committed and path.name not in keep:
                path.unlink()


def remove_leftovers(directory: Path) -> None:
    """Delete half-written weights of workers that were killed."""
    for path in (directory / WEIGHTS).glob(".*.tmp"):
        path.unlink()


def drive(
    evolution: Evolution,
    journal: Journal,
    pool: Evaluators,
    task_of: Callable[[Candidate], Any],
    on_record: Callable[[Record, float], None],
    clock: Callable[[], float],
    enough: Callable[[], bool],
) -> None:
    """Run a search to its end: evaluate what is ready, journal what is complete.

    Args:
      task_of: what the pool gets for a candidate.
      on_record: called after a record is on the disk, with the seconds its candidate took.
      clock: seconds that the search has had.
      enough: asked whenever all workers have candidates; True ends the search with those.
    """
    seconds: dict[int, float] = {}
    path = journal.path.parent / TIMING
    with path.open("ab", buffering=0) as timing:
        while not evolution.finished:
            while pool.idle and (candidate := evolution.ready()) is not None:
                pool.submit(candidate.index, task_of(candidate))
            if enough():
                evolution.close()
            for done in pool.wait():
                seconds[done.index] = done.seconds
                spent = {"seconds": round(done.seconds, 3), "elapsed": round(clock(), 1)}
                with writing(path):
                    timing.write(encode({"index": done.index, **spent}))
                for record in evolution.commit(done.index, done.outcome):
                    journal.append(record.to_json())
                    on_record(record, seconds.pop(record.candidate.index))
