"""A pool of spawned processes in which a candidate may crash, or hang, without ending the search.

Each worker sets itself up once (:data:`Setup`: opens the data set, imports TensorFlow on one
thread), then evaluates one task at a time; :mod:`search.workers.supervisor` says what becomes of tasks whose
worker raises, dies or hangs. Where there are GPUs (:mod:`loggrad_tf.gpus`), workers get one each in turn,
shared if there are fewer, and a worker's successor gets the same. If the parent dies, its workers end at
once; if memory runs out, the kernel is told to take a worker before the parent. Nothing is ever forked:
TensorFlow does not survive it.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from loggrad_tf import gpus
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import DiskFull, is_full
from models.training.reproducible import ONEDNN, THREADS
from search.record.history import Outcome, failed
from search.workers.supervisor import Died, Done, Event, Finished, Ready, Refused, Supervisor

__all__ = ["ONEDNN", "THREADS", "Evaluate", "Finished", "Pool", "Setup", "one_line"]

# A killed process that has not ended after so many seconds hangs in the kernel; it is left behind.
_EXIT_LIMIT = 10.0
_OOM_SCORE = 500

Evaluate = Callable[[Any], Outcome]
Setup = Callable[[Any], Evaluate]


def end_with_parent() -> None:
    """Wait for the parent's death and follow it; for a thread of a worker."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _offer_to_kernel() -> None:
    """When memory runs out, be killed rather than the parent, which keeps the journal."""
    score = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError):  # not Linux
        score.write_text(str(max(_OOM_SCORE, int(score.read_text()))))


def one_line(error: BaseException) -> str:
    """An exception as the reason of a failure, at most 300 characters of its text."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _by_chance(error: Exception) -> bool:
    """Are memory or files at fault? (TensorFlow's error by name: it may not be imported here.)"""
    return isinstance(error, MemoryError | OSError) or type(error).__name__ == "ResourceExhaustedError"


def _verdict(error: Exception, seconds: float) -> Event:
    """What it means that a task raised ``error``."""
    if isinstance(error, DiskFull):
        return Refused(str(error))
    if is_full(error):
        return Refused(f"{one_line(error)}; free some space and resume the search")
    return Died(one_line(error)) if _by_chance(error) else Done(failed(one_line(error)), seconds)


def _serve(connection: Connection, environment: dict[str, str], setup: Setup, spec: Any) -> None:
    """A worker's life: set up, then answer tasks until the pipe closes or the machine is at fault."""
    os.environ.update(environment)
    threading.Thread(target=end_with_parent, daemon=True).start()
    _offer_to_kernel()
    try:
        evaluate = setup(spec)
    except Exception as error:
        connection.send(Refused(str(error) if isinstance(error, LogGradError) else one_line(error)))
        return
    event: Event = Ready()
    while not isinstance(event, Died | Refused):
        connection.send(event)
        try:
            task = connection.recv()
        except EOFError:
            return
        begin = time.monotonic()
        try:
            event = Done(evaluate(task), time.monotonic() - begin)
        except Exception as error:
            event = _verdict(error, time.monotonic() - begin)
    connection.send(event)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C. Processes started meanwhile ignore it all their lives: it is the parent's to handle."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


class _Process:
    """The parent's end of a worker."""

    def __init__(self, environment: dict[str, str], setup: Setup, spec: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, environment, setup, spec)
        self._process: BaseProcess = context.Process(target=_serve, args=arguments, daemon=True)
        with _without_interrupts():
            self._process.start()
        theirs.close()

    def give(self, index: int, task: Any) -> None:
        with contextlib.suppress(OSError):  # it has died; hear() finds out and says how
            self.connection.send(task)

    def hear(self) -> Event:
        try:
            event: Event = self.connection.recv()
        except (EOFError, OSError):
            return Died(self._death())
        return event

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join(_EXIT_LIMIT)

    def _death(self) -> str:
        self._process.join(_EXIT_LIMIT)
        code = self._process.exitcode
        if code is not None and code < 0:
            named = -code in set(signal.Signals)  # most real-time signals have no name
            name = signal.Signals(-code).name if named else f"signal {-code}"
            return f"worker was killed by {name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
        return f"worker ended with exit code {code}"


class Pool(Supervisor[_Process]):
    """``count`` processes on this machine; use as a context manager, which stops them.

    Args:
      count: processes.
      setup: top-level function, called once in each worker with ``spec``; returns the function
        that turns a task into an outcome. Both must be picklable by name.
      spec: picklable argument of ``setup``.
      timeout: seconds a task may take, see :mod:`search.workers.supervisor`; None: no limit.
    """

    def __init__(self, count: int, setup: Setup, spec: Any, timeout: float | None = None) -> None:
        os.environ.setdefault(ONEDNN, "1")
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(THREADS)
        self._setup, self._spec = setup, spec
        super().__init__(count, timeout)

    def __enter__(self) -> Self:
        return self

    def _start(self, place: int) -> _Process:
        return _Process(gpus.found().environment(place), self._setup, self._spec)

    def _listen(self, workers: list[_Process], seconds: float) -> list[tuple[_Process, Event]]:
        ready = wait([worker.connection for worker in workers], seconds)
        return [(worker, worker.hear()) for worker in workers if worker.connection in ready]
