"""A call in a process of its own: what comes back, what is raised here, and how both sides end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf import own_process
from loggrad_tf.errors import LogGradError
from tests.support import REPOSITORY


def _sum_and_process(array: np.ndarray) -> tuple[np.ndarray, int]:
    print("to stdout")
    return array.sum(axis=0), os.getpid()


def _refuse(text: str) -> None:
    raise LogGradError(text)


def _divide(by: int) -> float:
    return 1 / by


def _import_nothing() -> None:
    import no_such.package  # type: ignore[import-not-found]  # noqa: F401


def _die(code: int) -> None:
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


def _sleep(mark: Path) -> None:
    mark.write_text(str(os.getpid()))
    time.sleep(600)


def _call_sleep(mark: str) -> None:
    own_process.call(_sleep, Path(mark))


def test_arrays_go_in_and_come_out(capfd: pytest.CaptureFixture[str]) -> None:
    array = np.arange(2_000_000, dtype=np.int32).reshape(1000, 2000)
    found, process = own_process.call(_sum_and_process, array)
    np.testing.assert_array_equal(found, array.sum(axis=0))
    assert process != os.getpid()
    out, errors = capfd.readouterr()
    assert (out, errors) == ("", "to stdout\n")


def test_what_is_raised_there_is_raised_here() -> None:
    with pytest.raises(LogGradError, match="^what is wrong$"):
        own_process.call(_refuse, "what is wrong")
    with pytest.raises(ZeroDivisionError) as caught:
        own_process.call(_divide, 0)
    assert "in _divide" in caught.value.__notes__[0]
    with pytest.raises(LogGradError, match="package no-such is not installed: pip install no-such$"):
        own_process.call(_import_nothing)


def test_how_it_died_is_told() -> None:
    with pytest.raises(LogGradError, match=r"test_own_process\._die: its process ended with exit code 7"):
        own_process.call(_die, 7)
    with pytest.raises(LogGradError, match="was killed, as when memory runs out: free some"):
        own_process.call(_die, -signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_its_caller(how: signal.Signals, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"from tests.loggrad_tf.test_own_process import _call_sleep; _call_sleep({str(mark)!r})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.DEVNULL) as caller:
        process = int(_until(lambda: mark.read_text() if mark.exists() else ""))
        caller.send_signal(how)
    _until(lambda: "gone" if not _runs(process) else "")


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _until(found: Callable[[], str], seconds: float = 60) -> str:
    end = time.monotonic() + seconds
    while not (text := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return text
