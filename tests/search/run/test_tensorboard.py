"""search.run.tensorboard: event files that TensorBoard reads, and that cannot harm a search."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from search.cost.objectives import overrun
from search.record.history import Record
from search.run.tensorboard import CURVES, METRICS, SESSIONS, EventWriter, hyperparameters
from tests.support import REPOSITORY
from tests.support.report_cases import CONFIG, invented


def _watched(directory: Path, records: list[Record], front: set[int], earlier: int = 0) -> None:
    events = EventWriter(directory, CONFIG, records[:earlier])
    for record in records[earlier:]:
        events.add(record, 2.5, front)
    events.close()


def _runs(directory: Path) -> dict[str, object]:
    from tensorboard.backend.event_processing import event_accumulator

    found = {}
    for path in sorted({p.parent for p in directory.rglob("events.*")}):
        accumulator = event_accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0})
        accumulator.Reload()
        found[path.relative_to(directory).as_posix()] = accumulator
    return found


def _steps(accumulator: object, tag: str) -> dict[int, float]:
    events = accumulator.Scalars(tag)  # type: ignore[attr-defined]
    assert len({event.step for event in events}) == len(events), "a step is there twice"
    return {event.step: event.value for event in events}


def test_scalars_of_every_candidate(tmp_path: Path) -> None:
    records = invented(60, epochs=6)
    _watched(tmp_path, records, {4, 8})
    search = _runs(tmp_path / "tensorboard")["search"]
    errors = _steps(search, "error/val")
    assert errors == pytest.approx(
        {r.candidate.index: r.outcome.val_error for r in records if r.outcome.val_error is not None}
    )
    assert _steps(search, "costs/ram") == pytest.approx({r.candidate.index: r.costs.ram for r in records})
    assert set(_steps(search, "search/candidates_per_hour")) == set(range(60))
    assert set(_steps(search, "search/seconds").values()) == {2.5}
    fit = [r for r in records if r.ranked and overrun(r.costs, CONFIG.bounds) <= 1]
    best = _steps(search, "error/best_within_bounds")
    assert min(best) == fit[0].candidate.index
    assert best[59] == pytest.approx(min(r.outcome.val_error or 1 for r in fit))
    falling = [best[step] for step in sorted(best)]
    assert falling == sorted(falling, reverse=True)


def test_curves_of_the_front(tmp_path: Path) -> None:
    records = invented(90, epochs=4)
    _watched(tmp_path, records, {4, 8})
    runs = _runs(tmp_path / "tensorboard")
    assert {name for name in runs if name.startswith("training/")} == {"training/00004", "training/00008"}
    curve = records[8].outcome.curve
    assert _steps(runs["training/00008"], "training/loss") == pytest.approx(
        {epoch: loss for epoch, (loss, _) in enumerate(curve, 1)}
    )
    assert _steps(runs["training/00008"], "training/error") == pytest.approx(
        {epoch: error for epoch, (_, error) in enumerate(curve, 1)}
    )


def test_hparams(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import api_pb2, metadata

    records = invented(40, epochs=2)
    _watched(tmp_path, records, set())
    runs = _runs(tmp_path / "tensorboard")

    def content(run: str, tag: str) -> bytes:
        return runs[run].SummaryMetadata(tag).plugin_data.content  # type: ignore[attr-defined]

    experiment = metadata.parse_experiment_plugin_data(content("search", metadata.EXPERIMENT_TAG))
    assert {info.name.tag for info in experiment.metric_infos} == set(METRICS)
    reached = [r for r in records if r.point is not None]
    assert {name for name in runs if name.startswith("trials/")} == {
        f"trials/{r.candidate.index:05d}" for r in reached
    }
    columns = {info.name: info.type for info in experiment.hparam_infos}
    for record in reached:
        run = f"trials/{record.candidate.index:05d}"
        start = metadata.parse_session_start_info_plugin_data(content(run, metadata.SESSION_START_INFO_TAG))
        given = hyperparameters(record, CONFIG)
        assert set(start.hparams) == set(given) == set(columns)
        for name, value in given.items():
            text = columns[name] == api_pb2.DATA_TYPE_STRING
            kept = start.hparams[name].string_value if text else start.hparams[name].number_value
            assert kept == value
        end = metadata.parse_session_end_info_plugin_data(content(run, metadata.SESSION_END_INFO_TAG))
        assert end.status == api_pb2.STATUS_SUCCESS
        for tag in METRICS:
            assert len(_steps(runs[run], tag)) == 1
    given = hyperparameters(records[0], CONFIG)
    genotype = records[0].candidate.genotype
    assert (given["morph"], given["input"]) == ("random", CONFIG.input)
    assert given["layers"] == sum(len(block.layers) for block in genotype.blocks)


def test_resumed_search_has_every_step_once(tmp_path: Path) -> None:
    records = invented(50, epochs=3)
    _watched(tmp_path, records[:20], {4, 8})
    _watched(tmp_path, records, {4, 8, 31}, earlier=20)
    runs = _runs(tmp_path / "tensorboard")
    assert set(_steps(runs["search"], "costs/macs")) == set(range(50))
    assert set(_steps(runs["training/00004"], "training/loss")) == {1, 2, 3}
    assert "training/00031" in runs
    once = tmp_path / "once"
    _watched(once, records, {4, 8, 31})
    whole = _runs(once / "tensorboard")["search"]
    tag = "error/best_within_bounds"
    assert _steps(runs["search"], tag) == _steps(whole, tag)


def test_as_many_runs_as_tensorboard_bears(tmp_path: Path) -> None:
    records = invented(SESSIONS + 100, epochs=1)
    _watched(tmp_path, records, set(range(len(records))))
    place = tmp_path / "tensorboard"
    assert len(list((place / "training").iterdir())) == CURVES
    assert sum(path.is_dir() for path in (place / "trials").iterdir()) == SESSIONS


def test_missing_package_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    _watched(tmp_path, invented(5, epochs=1), set())
    said = capsys.readouterr().err
    assert said.count("note:") == 1 and "tensorboard is not installed" in said
    assert not list(tmp_path.rglob("events.*"))


def test_place_that_cannot_be_written_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    _watched(tmp_path, invented(5, epochs=1), set())
    said = capsys.readouterr().err
    assert said.count("note:") == 1 and str(tmp_path / "tensorboard") in said


_FULL = """
import resource, sys
from pathlib import Path
from search.run.tensorboard import EventWriter
from tests.support.report_cases import CONFIG, invented
records = invented(40, epochs=2)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
events = EventWriter(Path(sys.argv[1]), CONFIG)
for record in records:
    events.add(record, 1.0, {0, 1})
events.close()
print("went on", [name for name in sys.modules if name.split(".")[0] == "tensorflow"])
"""


@pytest.mark.seconds
def test_full_disk_does_not_end_the_search_and_tensorflow_stays_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "went on []\n"
    assert done.stderr.count("note:") == 1 and "the search goes on" in done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    kept = _steps(_runs(tmp_path / "tensorboard")["search"], "costs/ram")
    assert set(kept) == set(range(len(kept))) and 2 < len(kept) < 40


def test_no_thread_is_left(tmp_path: Path) -> None:
    before = threading.active_count()
    _watched(tmp_path, invented(3, epochs=1), set())
    assert threading.active_count() == before
