"""Jobs: done once, whole or not at all, and a failure that says whose it is."""

import dataclasses
import json
from pathlib import Path

import pytest

from experiments import jobs, study
from loggrad_tf.errors import LogGradError
from models.zoo import small_bn
from tests.support.experiment_cases import SIZE, Note, nothing, small_set


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_tensorflow", nothing)


def done(log: Path) -> list[str]:
    return sorted(log.read_text().split()) if log.exists() else []


@pytest.mark.seconds
@pytest.mark.usefixtures("light")
def test_a_job_that_is_done_is_not_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, root = tmp_path / "log", tmp_path / "jobs"
    first = jobs.run_all([Note("a", log), Note("b", log)], root, 2)
    assert [(path / "note.txt").read_text() for path in first] == ["a", "b"]
    assert first == [jobs.place(root, Note("a", log)), jobs.place(root, Note("b", log))]
    capsys.readouterr()
    second = jobs.run_all([Note("b", log), Note("c", log), Note("a", log)], root, 1)
    assert second == [first[1], jobs.place(root, Note("c", log)), first[0]]
    assert done(log) == ["a", "b", "c"]
    told = capsys.readouterr().out
    assert "2 of 3 are there already" in told and "[1/1] note c: written" in told


@pytest.mark.seconds
@pytest.mark.usefixtures("light")
def test_equal_jobs_are_done_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    paths = jobs.run_all([Note("a", log), Note("a", log)], tmp_path / "jobs", 1)
    assert paths[0] == paths[1] and done(log) == ["a"]


@pytest.mark.seconds
@pytest.mark.usefixtures("light")
def test_a_failing_job_names_itself_and_keeps_the_others(tmp_path: Path) -> None:
    log, root = tmp_path / "log", tmp_path / "jobs"
    wanted = [Note("a", log), Note("b", log, "error")]
    with pytest.raises(LogGradError, match=r"^note b: the ink is dry$"):
        jobs.run_all(wanted, root, 1)
    assert (jobs.place(root, wanted[0]) / "note.txt").is_file()
    assert [path.name for path in root.iterdir()] == [jobs.place(root, wanted[0]).name]
    # The failing one is tried again, the other is not.
    mended = dataclasses.replace(wanted[1], how="")
    jobs.run_all([wanted[0], mended], root, 1)
    assert done(log) == ["a", "b"]


@pytest.mark.seconds
@pytest.mark.usefixtures("light")
def test_a_process_that_dies_leaves_no_result(tmp_path: Path) -> None:
    log, root = tmp_path / "log", tmp_path / "jobs"
    fatal = Note("a", log, "death")
    with pytest.raises(LogGradError, match="note a: a process died.*fewer --workers"):
        jobs.run_all([fatal], root, 1)
    assert not jobs.place(root, fatal).exists()
    jobs.run_all([dataclasses.replace(fatal, how="")], root, 1)
    assert done(log) == ["a"]


@pytest.mark.seconds
@pytest.mark.usefixtures("light")
def test_a_folder_says_what_made_it(tmp_path: Path) -> None:
    [path] = jobs.run_all([Note("a", tmp_path / "log")], tmp_path / "jobs", 1)
    about = json.loads((path / "job.json").read_text())
    assert about["job"] == {"text": "a"} and about["result"] == "written"
    assert {"python", "numpy", "tensorflow", "keras", "program"} <= set(about["versions"])
    assert path.name.startswith("note-") and path.stat().st_mode & 0o777 == 0o755


@pytest.mark.seconds
def test_a_training_is_known_by_what_decides_its_result(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    front = study.front_end(data, "loggrad_1p5")
    job = study.training("a", small_bn(SIZE, 3), data, front, {"epochs": 1}, 0)
    assert jobs.place(tmp_path, dataclasses.replace(job, name="b")) == jobs.place(tmp_path, job)
    others = [
        dataclasses.replace(job, seed=1),
        dataclasses.replace(job, train={"epochs": 2}),
        dataclasses.replace(job, front_end=study.front_end(data, "jpeg8")),
        dataclasses.replace(job, graph=small_bn(SIZE, 4)),
        dataclasses.replace(job, manifest_sha256="0"),
    ]
    assert len({jobs.place(tmp_path, other) for other in [job, *others]}) == 6


@pytest.mark.seconds
def test_a_training_in_another_process_is_a_saved_network(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    front = study.front_end(data, "loggrad_1p5")
    job = study.training("a", small_bn(SIZE, 3), data, front, {"epochs": 2, "batch_size": 8}, 0)
    [path] = jobs.run_all([job], tmp_path / "jobs", 1)
    saved = study.network(path)
    assert saved.front_end == front and saved.graph == job.graph and saved.seed == 0
    assert saved.data.manifest_sha256 == data.manifest_sha256 and saved.train.epochs == 2
    pixels, labels = data.subset("test")
    found = study.right(saved.model(), front, pixels, labels)
    assert found.mean() == pytest.approx(1 - saved.metrics["test_error"])
