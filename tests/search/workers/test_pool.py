"""search.workers.pool: real processes that fail in every way, without TensorFlow."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loggrad_tf import gpus
from loggrad_tf.errors import LogGradError
from loggrad_tf.gpus import Gpus
from search.record.history import Outcome
from search.workers.pool import Finished, Pool
from tests.support import REPOSITORY


class ResourceExhaustedError(Exception):
    """Bears the name of TensorFlow's."""


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def _script(folder: Path, text: str) -> Path:
    script = folder / "parent.py"
    script.write_text(text)
    return script


def setup(spec: str) -> Callable[[str], Outcome]:
    """Top level, so that a spawned process finds it."""
    if spec == "broken":
        raise LogGradError("no data set there")
    if spec == "dies":
        os._exit(3)
    if spec == "hangs":
        time.sleep(60)
    if spec.startswith("reports "):
        report = f"{os.environ.get(gpus.VARIABLE)} {'tensorflow' in sys.modules}"
        Path(spec.removeprefix("reports "), str(os.getpid())).write_text(report)
    if spec.startswith("dies once") and not (flag := Path(spec.removeprefix("dies once "))).exists():
        flag.touch()
        os._exit(3)

    def evaluate(task: str) -> Outcome:
        if task == "raise":
            raise ValueError("two\nlines")
        if task == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "exit":
            os._exit(7)
        if task == "real-time":
            os.kill(os.getpid(), signal.SIGRTMIN + 5)
        if task == "memory":
            raise MemoryError
        if task == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if task == "score":
            return Outcome(int(Path("/proc/self/oom_score_adj").read_text()) / 1000, 0.0)
        what, _, flag = task.partition(" ")
        if flag:  # only the first time
            task = "0.25"
            if not Path(flag).exists():
                Path(flag).touch()
                if what == "stopped":
                    os.kill(os.getpid(), signal.SIGSTOP)
                if what == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if what == "files":
                    raise OSError(errno.EIO, "Input/output error")
                raise {"python": MemoryError, "tensorflow": ResourceExhaustedError}[what]
        if task == "steps":  # which do not go on while the process is stopped
            for _ in range(15):
                time.sleep(0.1)
            return Outcome(1.0, 0.0)
        if task == "pid":
            return Outcome(os.getpid() / 2**32, 0.0)
        time.sleep(float(task))
        return Outcome(float(task), 0.0)

    return evaluate


def _all(pool: Pool, tasks: list[str]) -> dict[int, Outcome]:
    waiting = list(enumerate(tasks))
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < len(tasks):
        while waiting and pool.idle:
            pool.submit(*waiting.pop(0))
        outcomes |= {f.index: f.outcome for f in pool.wait()}
    return outcomes


@pytest.mark.seconds
def test_failures_are_reported_and_the_pool_goes_on() -> None:
    with Pool(2, setup, "fine") as pool:
        outcomes = _all(pool, ["0.01", "raise", "kill", "0.02", "exit", "0.03"])
    assert [outcomes[i].val_error for i in (0, 3, 5)] == [0.01, 0.02, 0.03]
    assert outcomes[1].failure == "ValueError: two lines"
    assert outcomes[2].failure == "worker was killed by SIGKILL (out of memory?)"
    assert outcomes[4].failure == "worker ended with exit code 7"


@pytest.mark.seconds
def test_deaths_that_repeat_are_failures() -> None:
    with Pool(1, setup, "fine") as pool:
        outcomes = _all(pool, ["real-time", "memory", "0.01"])
    assert outcomes[0].failure == f"worker was killed by signal {signal.SIGRTMIN + 5}"
    assert outcomes[1].failure == "MemoryError"
    assert outcomes[2].val_error == 0.01


@pytest.mark.seconds
@pytest.mark.parametrize("death", ["killed", "python", "tensorflow", "files"])
def test_a_worker_that_dies_once_leaves_no_trace(tmp_path: Path, death: str) -> None:
    task = f"{death} {tmp_path / 'died'}"
    histories = []
    for _ in ("disturbed", "undisturbed"):
        with Pool(1, setup, "fine") as pool:
            histories.append(_all(pool, ["0.01", task, "0.02"]))
        assert (tmp_path / "died").exists()
    assert histories[0] == histories[1]
    assert [histories[0][i].val_error for i in range(3)] == [0.01, 0.25, 0.02]


@pytest.mark.seconds
def test_hangs_are_ended_and_not_tried_again() -> None:
    with Pool(2, setup, "fine", timeout=0.5) as pool:
        outcomes = _all(pool, ["0.01", "60", "0.02", "60", "0.03", "0.3"])
    assert [outcomes[i].val_error for i in (0, 2, 4, 5)] == [0.01, 0.02, 0.03, 0.3]
    assert [outcomes[i].failure for i in (1, 3)] == ["timed out after 0.5 s"] * 2


@pytest.mark.seconds
def test_a_stopped_process_is_ended_too(tmp_path: Path) -> None:
    with Pool(1, setup, "fine", timeout=0.5) as pool:
        begin = time.monotonic()
        assert _all(pool, [f"stopped {tmp_path / 'a'}"])[0].failure == "timed out after 0.5 s"
        assert time.monotonic() - begin < 10


STOPPED = """
from search.workers.pool import Pool
from tests.search.workers.test_pool import setup
if __name__ == "__main__":
    with Pool(1, setup, "fine", timeout=4) as pool:
        pool.submit(0, "0")
        pool.wait()
        print("started", flush=True)
        pool.submit(1, "steps")
        print(pool.wait()[0].outcome, flush=True)
"""


@pytest.mark.seconds
def test_time_does_not_count_while_the_search_is_stopped(tmp_path: Path) -> None:
    """Ctrl-Z, and on after longer than the limit."""
    group = subprocess.Popen(
        [sys.executable, str(_script(tmp_path, STOPPED))],
        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    assert group.stdout is not None and group.stdout.readline() == "started\n"
    time.sleep(0.3)
    os.killpg(group.pid, signal.SIGSTOP)
    time.sleep(5)
    os.killpg(group.pid, signal.SIGCONT)
    output, _ = group.communicate(timeout=30)
    assert "val_error=1.0" in output and "failure=None" in output


def test_a_full_disk_ends_the_search_and_is_no_failure() -> None:
    with Pool(1, setup, "fine") as pool, pytest.raises(LogGradError, match="No space left .* resume"):
        _all(pool, ["0.01", "full"])


def test_the_kernel_takes_workers_first() -> None:
    with Pool(1, setup, "fine") as pool:
        score = _all(pool, ["score"])[0].val_error
    assert score is not None and score >= 0.5


def test_no_more_tasks_than_workers() -> None:
    with Pool(1, setup, "fine") as pool:
        pool.submit(0, "0.01")
        with pytest.raises(ValueError, match="task 1"):
            pool.submit(1, "0.01")
        assert [(f.index, f.outcome.val_error) for f in pool.wait()] == [(0, 0.01)]


@pytest.mark.seconds
def test_seconds_are_those_of_the_task() -> None:
    with Pool(1, setup, "fine") as pool:
        pool.submit(0, "0.2")
        (done,) = pool.wait()
    assert isinstance(done, Finished) and 0.2 <= done.seconds < 1


INTERRUPTED = """
from search.workers.pool import Pool
from tests.search.workers.test_pool import setup
if __name__ == "__main__":
    try:
        print("starting", flush=True)
        with Pool(2, setup, "fine") as pool:
            pool.submit(0, "60")
            pool.wait()
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.seconds
@pytest.mark.parametrize("delay", [0.05, 0.2, 0.5])
def test_ctrl_c_while_workers_start_is_quiet(tmp_path: Path, delay: float) -> None:
    """The terminal signals the whole group: parent, workers and their helpers."""
    group = subprocess.Popen(
        [sys.executable, str(_script(tmp_path, INTERRUPTED))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    assert group.stdout is not None and group.stdout.readline() == "starting\n"
    time.sleep(delay)
    deadline = time.monotonic() + 30
    while group.poll() is None and time.monotonic() < deadline:  # a press that meets process.start() is lost
        os.killpg(group.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            group.wait(2)
    assert group.communicate(timeout=30)[0] == "interrupted\n" and group.returncode == 0


@pytest.mark.seconds
def test_workers_are_recycled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.workers.supervisor.RECYCLE_AFTER", 2)
    with Pool(1, setup, "fine") as pool:
        pids = [o.val_error for _, o in sorted(_all(pool, ["pid"] * 4).items())]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def _reports(pool: Pool, folder: Path) -> list[str]:
    """What each place's worker of now said when it set itself up."""
    found = []
    for seat in pool._seats:
        place = folder / str(seat.worker._process.pid)
        deadline = time.monotonic() + 30
        while not (place.exists() and place.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        found.append(place.read_text())
    return found


@pytest.mark.seconds
def test_each_worker_has_its_gpu_and_keeps_it_when_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "found", lambda: Gpus(("GPU-4", "7"), "A Card"))
    before = os.environ.get(gpus.VARIABLE)
    expected = ["GPU-4 False", "7 False", "GPU-4 False"]
    with Pool(3, setup, f"reports {tmp_path}") as pool:
        assert _reports(pool, tmp_path) == expected
        first = [seat.worker for seat in pool._seats]
        while any(seat.worker in first for seat in pool._seats):
            _all(pool, ["kill"] * 3)
        assert _reports(pool, tmp_path) == expected
    assert os.environ.get(gpus.VARIABLE) == before


@pytest.mark.seconds
@pytest.mark.parametrize("none", [Gpus(), Gpus(unusable=("A Card",))])
def test_without_a_gpu_that_is_known_workers_look_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, none: Gpus
) -> None:
    monkeypatch.setattr(gpus, "found", lambda: none)
    with Pool(1, setup, f"reports {tmp_path}") as pool:
        assert _reports(pool, tmp_path) == ["-1 False"]


@pytest.mark.seconds
@pytest.mark.parametrize(("spec", "reason"), [("broken", "no data set there"), ("dies", "exit code 3")])
def test_a_worker_that_cannot_start_ends_the_search(spec: str, reason: str) -> None:
    with Pool(1, setup, spec) as pool:
        pool.submit(0, "0")
        with pytest.raises(LogGradError, match=f"could not start: .*{reason}"):
            pool.wait()


@pytest.mark.seconds
def test_a_worker_that_dies_once_while_it_starts_gets_another_start(tmp_path: Path) -> None:
    with Pool(1, setup, f"dies once {tmp_path / 'died'}") as pool:
        assert _all(pool, ["0.01"])[0].val_error == 0.01
    assert (tmp_path / "died").exists()


@pytest.mark.seconds
def test_workers_that_never_start_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.workers.supervisor.START_LIMIT", 1.5)
    with Pool(1, setup, "hangs") as pool:
        pool.submit(0, "0")
        with pytest.raises(LogGradError, match="no worker has started within 1.5 s"):
            pool.wait()


ORPHANS = """
import sys, time
from search.workers.pool import Pool
from tests.search.workers.test_pool import setup
if __name__ == "__main__":
    with Pool(1, setup, "fine") as pool:
        pool.submit(0, "pid")
        print(round(pool.wait()[0].outcome.val_error * 2**32), flush=True)
        pool.submit(1, "60")
        pool.wait()
"""


@pytest.mark.seconds
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, str(_script(tmp_path, ORPHANS))],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
