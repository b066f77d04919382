"""search.run.schedule: how time is divided, that it is kept, and that what was decided holds."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loggrad_tf.errors import LogGradError
from search.record.history import Outcome, Record, failed
from search.record.journal import Journal
from search.run import rundir, schedule
from search.run.profiles import PROFILES
from search.run.schedule import (
    ENDING,
    OPEN,
    Clock,
    Division,
    Pace,
    Schedule,
    decided,
    opened,
    seconds_of,
)
from search.strategy.evolution import Evolution
from search.workers.pool import Finished
from tests.support.report_cases import CONFIG as CASE
from tests.support.report_cases import invented
from tests.support.search_cases import trained

EPOCHS = 8
CONFIG = dataclasses.replace(
    CASE,
    method=opened(dataclasses.replace(PROFILES["quick"], population=4, sample=2, children=2)),
    size=24,
    budget=600.0,
)


def test_times() -> None:
    assert [seconds_of(text) for text in ("90s", "10m", "1.5h")] == [90, 600, 5400]
    for text in ("10", "0m", "-1h", "ten", "10 m", "1d", ""):
        with pytest.raises(LogGradError, match=f"--budget={text}: give a time as 90s, 10m or 2h"):
            seconds_of(text)


def _records(count: int) -> list[Record]:
    """Of candidates that took 5 seconds and 2 more an epoch, some of them stopped after two."""
    curve = ((0.9, 0.4),) * EPOCHS
    return [
        dataclasses.replace(
            r,
            outcome=Outcome(
                0.3, 0.3, val_loss=0.6, stopped=k % 3 == 2, curve=curve[: 2 if k % 3 == 2 else EPOCHS]
            ),
        )
        for k, r in enumerate(invented(count))
    ]


def _seconds(records: list[Record]) -> dict[int, float]:
    return {r.candidate.index: 5.0 + 2.0 * len(r.outcome.curve) for r in records}


def test_a_pace_is_what_all_trainings_have_and_what_an_epoch_takes() -> None:
    records = _records(12)
    pace = Pace.of(records, _seconds(records), [0, 1])
    assert pace is not None and pace.epoch == pytest.approx(2.0, rel=0.15)
    assert Pace.of(records, {}, [0]) is None
    whole = [r for r in records if not r.outcome.stopped]
    alike = Pace.of(whole, _seconds(whole), [0])
    assert alike == Pace(0.0, 21 / 8), "of equal lengths nothing tells the fixed part"


def test_waves_of_trainings_are_counted() -> None:
    pace = Pace(10.0, 2.0)
    # Three and the one beside them on two workers: two waves. Six with two seeds: 7, then 4 networks.
    assert pace.seconds(3, 1, 100, 2) == 2 * 210
    assert pace.seconds(6, 2, 100, 2) == 6 * 210
    assert pace.epochs(6 * 210, 6, 2, 2) == 100


RECORDS = _records(800)


class _Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _divide(
    tmp_path: Path, budget: float, workers: int = 2, longest: int = 300
) -> tuple[float, Schedule, float]:
    """When a search with such a budget ends, what is decided then, and when its trainings in full end."""
    config = dataclasses.replace(CONFIG, budget=budget, workers=workers)
    clock, records = _Time(), RECORDS
    division = Division(config, clock, longest, tmp_path)
    division.started(8.0)
    seconds = _seconds(records)
    count = 0
    while (found := division.decide(records[:count], count + workers)) is None:
        clock.now += seconds[records[count].candidate.index] / workers
        division.add(records[count], seconds[records[count].candidate.index])
        count += 1
    ended = clock.now + 21.0  # the last ones
    assert found.rounds == count + workers and found.budget == budget
    took = Pace(5.0, 2.0).seconds(found.finalists, found.final_seeds, found.final_epochs, workers)
    return ended, found, ended + 8.0 + ENDING + took


@pytest.mark.parametrize(("budget", "workers"), [(600.0, 1), (600.0, 8), (1800.0, 2), (5400.0, 2)])
def test_the_time_is_kept_and_most_of_it_is_the_finals(tmp_path: Path, budget: float, workers: int) -> None:
    ended, found, end = _divide(tmp_path, budget, workers)
    assert abs(end - budget) < 0.1 * budget, (ended, found)
    assert ended < 0.75 * budget
    assert found.final_epochs <= 300


def test_more_time_is_more_finalists_with_more_seeds(tmp_path: Path) -> None:
    found = [_divide(tmp_path, 3600.0 * hours, workers=2)[1] for hours in (0.2, 1.0, 2.4)]
    for less, more in zip(found, found[1:], strict=False):
        assert less.rounds < more.rounds and less.finalists < more.finalists
        assert less.final_seeds <= more.final_seeds and less.final_epochs - 5 < more.final_epochs
    assert found[0].final_seeds == 1 and found[-1].final_seeds == 2 and found[-1].final_epochs > 295


def test_a_budget_too_small_still_trains_one_out(tmp_path: Path) -> None:
    assert _divide(tmp_path, 1.0)[1] == Schedule(1.0, 6, 1, 1, 2 * EPOCHS)


def test_finals_are_longer_than_a_long_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = dataclasses.replace(CONFIG.method.train, epochs=188)
    method = dataclasses.replace(CONFIG.method, train=train)
    monkeypatch.setitem(globals(), "CONFIG", dataclasses.replace(CONFIG, method=method))
    found = _divide(tmp_path, 600.0)[1]
    assert (found.finalists, found.final_epochs) == (1, 300)


def test_the_search_has_what_the_finals_leave(tmp_path: Path) -> None:
    """Of 3600 s 60 % are 2160, less 18: at 605 s a training, on two workers, three waves."""
    ended, found, _ = _divide(tmp_path, 3600.0)
    assert (found.finalists, found.final_seeds) == (5, 1) and found.final_epochs > 295
    assert ended == pytest.approx(3600 - 18 - 3 * 605, rel=0.05)


def test_what_was_decided_is_read_again() -> None:
    found = Schedule(600.0, 30, 3, 1, 90)
    journal = [{"event": "begin"}, {"event": "candidate"}, json.loads(json.dumps(found.to_json()))]
    assert decided(journal, 600.0) == found and decided(journal[:2], 600.0) is None
    assert decided(journal, 900.0) is None, "of another budget"
    settled = found.of(CONFIG)
    assert CONFIG.method.rounds == OPEN and settled.method.rounds == 30
    assert settled.method.final.epochs == 90 and settled.method.final.cutout is None
    assert dataclasses.replace(found, final_epochs=300).of(CONFIG).method.final.cutout == 6
    with pytest.raises(LogGradError, match="is missing"):
        decided([{"event": "schedule", "budget": 600.0}], 600.0)


class Killed(BaseException):
    """The process is gone."""


class _Pool:
    """Workers that are done at once, with losses of their own for every candidate."""

    def __init__(self, directory: Path) -> None:
        self._weights = directory / rundir.WEIGHTS
        self._running: list[Any] = []

    @property
    def idle(self) -> bool:
        return len(self._running) < CONFIG.workers

    def submit(self, index: int, task: Any) -> None:
        self._running.append(task)

    def wait(self) -> list[Finished]:
        candidate = self._running.pop(0)
        return [Finished(candidate.index, trained(candidate, 2000 + 137 * candidate.index), 20.0)]


def _search(directory: Path, resume: bool = False) -> None:
    """A search whose clock is the number of its candidates, up to where its trainings in full begin."""
    if not resume:
        rundir.create(directory, CONFIG)
    config = rundir.load_config(directory)
    assert config.budget is not None
    journal, records = rundir.open_journal(directory)
    try:
        found = decided(journal.records, config.budget)
        if found is not None:
            config = found.of(config)
        evolution = Evolution(config.settings(), records)
        rundir.check_history(evolution, journal.path)

        def clock() -> float:
            return 10.0 * len(evolution.records)

        division = Division(config, clock, 300, directory)

        def enough() -> bool:
            nonlocal found
            if (
                found is None
                and (found := division.decide(evolution.records, evolution.proposed)) is not None
            ):
                journal.append(found.to_json())
                return True
            return False

        rundir.drive(evolution, journal, _Pool(directory), lambda c: c, division.add, clock, enough)
    finally:
        journal.close()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "whole"
    _search(directory)
    yield directory


def test_a_killed_search_goes_on_to_the_same_schedule(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the staged space, killed after each write of the journal; the time it had counts."""
    lines = (whole / "journal.jsonl").read_bytes().splitlines()
    assert [b'"event":"schedule"' in line for line in lines].index(True) == len(lines) - 3 > 12
    append = Journal.append
    for n in range(len(lines)):
        directory, count = tmp_path / str(n), 0

        def dying(self: Journal, record: dict[str, Any], n: int = n) -> None:
            nonlocal count
            append(self, record)
            count += 1
            if count > n:
                raise Killed

        monkeypatch.setattr(Journal, "append", dying)
        with pytest.raises(Killed):
            _search(directory)
        monkeypatch.setattr(Journal, "append", append)
        assert rundir.committed(directory) == (n if n < len(lines) - 3 else n - 1)
        _search(directory, resume=True)
        assert (directory / "journal.jsonl").read_bytes().splitlines() == lines, n


def test_the_clock_counts_what_came_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule.time, "monotonic", lambda: 107.0)
    assert Clock(tmp_path, 100.0)() == 7.0
    (tmp_path / "timing.jsonl").write_text(
        '{"index":0,"seconds":5,"elapsed":30.5}\nnonsense\n[1]\n{"index":1,"seco\n'
    )
    clock = Clock(tmp_path, 100.0)
    assert clock() == 37.5
    clock.note()
    assert Clock(tmp_path, 100.0)() == 44.5


def test_a_search_whose_candidates_all_fail_ends(tmp_path: Path) -> None:
    clock, failures = _Time(), [dataclasses.replace(r, outcome=failed("no memory")) for r in RECORDS[:9]]
    division = Division(CONFIG, clock, 300, tmp_path)
    clock.now = 200.0
    assert division.decide(failures, 11) is None
    clock.now = 241.0
    assert division.decide(failures, 11) == Schedule(600.0, 11, 1, 1, 2 * EPOCHS)


def test_a_search_whose_finals_are_no_longer_says_so() -> None:
    made = Schedule(60.0, 6, 3, 1, 62)
    assert made.doubts(61) == []
    (warning,) = made.doubts(62)
    assert "none is trained in full" in warning and "give a longer --budget" in warning
