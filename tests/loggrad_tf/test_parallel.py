"""Work in several processes: order, faults of inputs, defects, and a process that dies."""

import functools
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loggrad_tf import parallel
from loggrad_tf.errors import LogGradError
from tests.support import REPOSITORY


def _work(job: int) -> tuple[int, int, bool]:
    if job == 3:
        raise LogGradError("three: is refused")
    if job == 5:
        Path("/nowhere/at all").read_bytes()
    return job * job, os.getpid(), "tensorflow" in sys.modules


def _defect(job: int) -> float:
    return 1 / (job - 2)


def _die(job: int) -> int:
    if job == 4:
        os._exit(9)
    return job


def _die_always(job: int) -> int:
    os._exit(9)


def _die_then_defect(job: int) -> float:
    return _die(job) / (job - 6)


def _kill(job: int, marks: Path, times: int) -> int:
    """Job 4 is killed from outside the first times."""
    if job == 4:
        with (marks / "tries").open("a") as file:
            file.write("x")
        if len((marks / "tries").read_text()) <= times:
            os.kill(os.getpid(), signal.SIGKILL)
    return job


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_the_order_and_faults_are_results(workers: int) -> None:
    results = parallel.run(_work, range(12), "squares", workers)
    assert str(results[3]) == "three: is refused" and "/nowhere/at all: No such file" in str(results[5])
    good = [result for result in results if not isinstance(result, LogGradError)]
    assert [value for value, _, _ in good] == [n * n for n in range(12) if n not in (3, 5)]
    assert (os.getpid() in {pid for _, pid, _ in good}) == (workers == 1)
    if workers == 2:
        assert not any(imported for _, _, imported in good)


def test_few_jobs_stay_in_this_process() -> None:
    assert {pid for _, pid, _ in parallel.run(_work, range(3), "few", 2)} == {os.getpid()}  # type: ignore[misc]


def test_a_defect_is_not_swallowed() -> None:
    for workers in (1, 2):
        with pytest.raises(ZeroDivisionError):
            parallel.run(_defect, range(9), "defect", workers)


@pytest.mark.seconds
def test_a_job_that_kills_its_process_is_found_and_the_others_are_done() -> None:
    results = parallel.run(_die, range(12), "dying", 2)
    good = [result for result in results if not isinstance(result, LogGradError)]
    assert good == [*range(4), *range(5, 12)]
    assert str(results[4]) == "its process died twice (exit code 9): the decoder fails on it"


@pytest.mark.seconds
def test_a_process_killed_from_outside_is_tried_again_in_a_fresh_one(tmp_path: Path) -> None:
    work = functools.partial(_kill, marks=tmp_path, times=2)
    assert parallel.run(work, range(12), "killed", 2) == list(range(12))


@pytest.mark.seconds
def test_a_job_killed_again_and_again_ends_the_work_and_is_named(tmp_path: Path) -> None:
    work = functools.partial(_kill, marks=tmp_path, times=99)
    with pytest.raises(LogGradError, match=r"^photo 4: its process was killed twice.*free some"):
        parallel.run(work, range(12), "killed", 2, name=lambda job: f"photo {job}")
    assert (tmp_path / "tries").read_text() == "xxx"


def test_a_defect_after_a_death_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        parallel.run(_die_then_defect, range(12), "defect", 2)
    assert "_die_then_defect" in caught.value.__notes__[0]


@pytest.mark.seconds
def test_processes_that_die_one_after_another_end_the_work() -> None:
    with pytest.raises(LogGradError, match=r"^2: processes died over 3 files one after another"):
        parallel.run(_die_always, range(9), "dying", 2)


_SCRIPT = """
from loggrad_tf import parallel
print(parallel.run(abs, range(-20, 0), "script", 2))
"""


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path, way: str) -> None:
    (tmp_path / "script.py").write_text(_SCRIPT)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py") if way == "file" else "-"],
        input=_SCRIPT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"{list(range(20, 0, -1))}\n" and not done.stderr


def test_progress_tells_the_time_left_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(parallel.time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    progress = parallel.Progress("reading", 100, stream)
    for second in (1, 5, 11, 15, 22):
        clock[0] = float(second)
        progress.update(second)
    assert stream.getvalue().splitlines() == ["reading 11/100, 89 s left", "reading 22/100, 78 s left"]
