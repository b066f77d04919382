"""search.run.rundir: killed at every write and byte, resumed, compared."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from search.cost.munas import resources
from search.cost.objectives import Bounds, pareto_front
from search.record.history import Candidate, Record, failed
from search.record.journal import Journal
from search.run import rundir
from search.run.config import Config
from search.run.profiles import PROFILES
from search.strategy.evolution import Evolution
from search.strategy.proposal import build
from search.workers.evaluator import weights_path
from search.workers.pool import Finished
from tests.support.search_cases import TARGET, trained

CONFIG = Config(
    profile="quick", data="synthetic", input="loggrad_1p5", mode="gray", bits=0, size=24, seed=1, workers=2,
    bounds=Bounds(peak_memory=None, size=None), board="mps2-an386",
    method=dataclasses.replace(
        PROFILES["quick"], space="munas", rank_by="error", rounds=14, population=5, sample=3,
        max_overrun=None, children=2, pruning=True, rungs=(2, 4, 6),
    ),
    front_end=TARGET.front_end, class_names=("a", "b", "c"), manifest_sha256="0", onednn="1",
    threads=1, versions={},
)  # fmt: skip


class Killed(BaseException):
    """The process is gone."""


class FakePool:
    """Two instant workers that finish in an order of their own; each writes its weights."""

    def __init__(self, directory: Path, order: int) -> None:
        self._weights = directory / rundir.WEIGHTS
        self._rng = np.random.default_rng(order)
        self._running: list[Candidate] = []

    @property
    def idle(self) -> bool:
        return len(self._running) < CONFIG.workers

    def submit(self, index: int, task: Candidate) -> None:
        assert index == task.index
        self._running.append(task)

    def wait(self) -> list[Finished]:
        candidate = self._running.pop(int(self._rng.integers(len(self._running))))
        if candidate.index == 6:
            return [Finished(6, failed("worker was killed by SIGKILL"), 1.0)]
        size = resources(build(candidate.genotype, CONFIG.settings())).size
        weights_path(self._weights, candidate.index).write_text(str(size))
        return [Finished(candidate.index, trained(candidate, size), float(self._rng.random()))]


def search(directory: Path, order: int = 0, resume: bool = False) -> rundir.Front:
    if not resume:
        rundir.create(directory, CONFIG)
    config = rundir.load_config(directory)
    journal, records = rundir.open_journal(directory)
    try:
        evolution = Evolution(config.settings(), records)
        rundir.check_history(evolution, journal.path)
        front = rundir.Front(directory, records, config.bounds)

        def keep(record: Record, seconds: float) -> None:
            front.add(record)

        pool = FakePool(directory, order)
        rundir.drive(evolution, journal, pool, lambda c: c, keep, lambda: 0.0, lambda: False)
    finally:
        journal.close()
    return front


def state(directory: Path) -> dict[str, bytes]:
    """Everything a run leaves behind but the clock's file."""
    return {
        str(p.relative_to(directory)): p.read_bytes()
        for p in sorted(directory.rglob("*"))
        if p.is_file() and p.name != "timing.jsonl"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "run"
    search(directory)
    return directory


@pytest.mark.seconds
def test_killed_after_every_write(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th journal write is the last thing that happens, or only a part of it does; then resume."""
    append = Journal.append
    writes = len((whole / "journal.jsonl").read_bytes().splitlines())
    for n in range(writes):
        for torn in (None, 0, 1, 200):
            directory = tmp_path / f"{n}-{torn}"
            count = 0

            def dying(self: Journal, record: dict[str, Any], n: int = n, torn: int | None = torn) -> None:
                nonlocal count
                append(self, record)
                if count == n:
                    if torn is not None:
                        content = self.path.read_bytes()
                        start = content[:-1].rfind(b"\n") + 1
                        self.path.write_bytes(content[: min(start + torn, len(content) - 1)])
                    raise Killed
                count += 1

            monkeypatch.setattr(Journal, "append", dying)
            with pytest.raises(Killed):
                search(directory, order=n)
            monkeypatch.setattr(Journal, "append", append)
            search(directory, order=n + 100, resume=True)
            assert state(directory) == state(whole), (n, torn)


def test_finished_run_stays_as_it_is(whole: Path) -> None:
    before = state(whole)
    search(whole, resume=True)
    assert state(whole) == before


def test_weights_are_kept_for_the_front_alone(whole: Path) -> None:
    journal, records = rundir.open_journal(whole)
    journal.close()
    points = {r.candidate.index: r.point for r in records if r.ranked and r.point is not None}
    kept = {int(p.stem) for p in (whole / rundir.WEIGHTS).glob("*.npz")}
    stopped = [r.candidate.index for r in records if r.outcome.stopped]
    assert kept == set(pareto_front(points, CONFIG.bounds)) and stopped and not kept & set(stopped)
    assert len(points) + len(stopped) == CONFIG.method.rounds - 3  # so many failed


def test_failure_is_recorded_with_its_reason(whole: Path) -> None:
    line = json.loads((whole / "journal.jsonl").read_text().splitlines()[7])
    assert line["index"] == 6 and line["failure"] == "worker was killed by SIGKILL"
    assert line["val_error"] is None


def _copy(whole: Path, tmp_path: Path) -> tuple[Path, list[bytes]]:
    directory = tmp_path / "copy"
    (directory / rundir.WEIGHTS).mkdir(parents=True)
    for name in ("config.json", "journal.jsonl"):
        (directory / name).write_bytes((whole / name).read_bytes())
    return directory, (whole / "journal.jsonl").read_bytes().splitlines(keepends=True)


def test_damaged_histories_are_refused(whole: Path, tmp_path: Path) -> None:
    directory, lines = _copy(whole, tmp_path)
    journal = directory / "journal.jsonl"
    for changed, message in (
        ([*lines[:4], b"{}\n", *lines[5:]], "line 5 is damaged"),
        ([*lines[:4], *lines[5:]], "line 5 is candidate 4 where 3 belongs"),
        (lines[1:], "line 1 does not belong"),
        ([lines[0].replace(b'"format":3', b'"format":2'), *lines[1:]], "of another version of this program"),
        ([*lines, lines[-1].replace(b'"index":13', b'"index":14')], "15 candidates, but the search has 14"),
        ([*lines[:-1], lines[-1].replace(b'["crowded",1]', b'["crowded",2]')], "would not come out again"),
    ):
        journal.write_bytes(b"".join(changed))
        with pytest.raises(LogGradError, match=message):
            search(directory, resume=True)


def test_foreign_config_is_refused(whole: Path, tmp_path: Path) -> None:
    directory, _ = _copy(whole, tmp_path)
    text = json.dumps(dataclasses.replace(CONFIG, seed=2).to_json())
    (directory / "config.json").write_text(text)
    with pytest.raises(LogGradError, match="does not belong to config.json"):
        search(directory, resume=True)
    (directory / "config.json").write_text("{")
    with pytest.raises(LogGradError, match="config.json: damaged"):
        search(directory, resume=True)


def test_existing_search_is_not_overwritten(whole: Path) -> None:
    with pytest.raises(LogGradError, match="--resume="):
        rundir.create(whole, CONFIG)


def test_one_search_at_a_time(tmp_path: Path) -> None:
    refused = pytest.raises(LogGradError, match="another search is running")
    with rundir.lock(tmp_path), refused, rundir.lock(tmp_path):
        pass
    with rundir.lock(tmp_path):
        pass


def test_leftovers_are_removed(tmp_path: Path) -> None:
    weights = tmp_path / rundir.WEIGHTS
    weights.mkdir()
    (weights / ".00003.99.tmp").write_text("half")
    (weights / "00002.npz").write_text("whole")
    rundir.remove_leftovers(tmp_path)
    assert [p.name for p in weights.iterdir()] == ["00002.npz"]
