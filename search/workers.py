"""A pool of spawned processes in which a candidate may crash without ending the search.

Each worker sets itself up once (:data:`Setup`: opens the data set, imports TensorFlow on one
thread), then evaluates one task at a time. An exception becomes the task's failure with its reason.
The death of the process (killed, out of memory) may be chance, which must not enter a history: the
worker is replaced, and the new one gets the same task once more; a second death is the task's
failure. A worker is also replaced after ``RECYCLE_AFTER`` tasks, because TensorFlow leaks about 5 MB
with each model. If the parent dies, its workers end at once. Nothing is ever forked: TensorFlow does
not survive it.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from loggrad_tf.errors import LogGradError
from search.evolution import Outcome

RECYCLE_AFTER = 50
THREADS = 1
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_MOST_DEATHS = 2

Evaluate = Callable[[Any], Outcome]
Setup = Callable[[Any], Evaluate]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _out_of_memory(error: BaseException) -> bool:
    """Python's own error, or TensorFlow's (by name: it may not be imported here)."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _serve(connection: Connection, setup: Setup, spec: Any) -> None:
    """A worker's life: set up, then answer tasks until the pipe closes or memory runs out."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        evaluate = setup(spec)
    except Exception as error:
        connection.send(str(error) if isinstance(error, LogGradError) else _one_line(error))
        return
    connection.send(None)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        begin = time.monotonic()
        try:
            outcome = evaluate(task)
        except Exception as error:
            if _out_of_memory(error):
                connection.send(_one_line(error))
                return
            outcome = Outcome(None, None, _one_line(error))
        connection.send((outcome, time.monotonic() - begin))


@dataclasses.dataclass(frozen=True)
class Finished:
    """One evaluated task: its index, what became of it, and seconds spent."""

    index: int
    outcome: Outcome
    seconds: float


@dataclasses.dataclass
class _Job:
    """A task that a worker has, since when, and how many workers died over it."""

    index: int
    task: Any
    begin: float
    deaths: int = 0


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C. Processes started meanwhile ignore it all their lives: it is the parent's to handle."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


class _Worker:
    def __init__(self, setup: Setup, spec: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, setup, spec), daemon=True)
        with _without_interrupts():
            self.process.start()
        theirs.close()
        self.is_set_up = False
        self.job: _Job | None = None
        self.served = 0

    def give(self, job: _Job) -> None:
        self.job = job
        with contextlib.suppress(OSError):  # it has died; wait() finds out and says how
            self.connection.send(job.task)

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()

    def death(self) -> str:
        self.process.join()
        code = self.process.exitcode
        if code is not None and code < 0:
            named = -code in set(signal.Signals)  # most real-time signals have no name
            name = signal.Signals(-code).name if named else f"signal {-code}"
            return f"worker was killed by {name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
        return f"worker ended with exit code {code}"


class Pool:
    """``count`` workers; use as a context manager, which stops them.

    Args:
      count: processes.
      setup: top-level function, called once in each worker with ``spec``; returns the function
        that turns a task into an outcome. Both must be picklable by name.
      spec: picklable argument of ``setup``.
    """

    def __init__(self, count: int, setup: Setup, spec: Any) -> None:
        os.environ.setdefault(ONEDNN, "1")
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(THREADS)
        self._setup, self._spec = setup, spec
        self._workers: list[_Worker] = []
        for _ in range(count):
            self._workers.append(_Worker(setup, spec))

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    @property
    def idle(self) -> bool:
        """Is a worker without a task? (It may still be setting itself up.)"""
        return any(worker.job is None for worker in self._workers)

    def submit(self, index: int, task: Any) -> None:
        """Give ``task`` to an idle worker."""
        worker = next(w for w in self._workers if w.job is None)
        worker.give(_Job(index, task, time.monotonic()))

    def wait(self) -> list[Finished]:
        """Block until tasks are done; the list is not empty.

        Raises:
          LogGradError: a worker could not be set up (no data set, no memory).
        """
        finished: list[Finished] = []
        while not finished:
            connections = [worker.connection for worker in self._workers]
            for ready in wait(connections):
                place = next(i for i, c in enumerate(connections) if c is ready)
                finished += self._hear(place)
        return finished

    def _hear(self, place: int) -> list[Finished]:
        worker = self._workers[place]
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(place, worker.death())
        if not worker.is_set_up:
            if message is not None:
                raise LogGradError(f"a worker could not start: {message}")
            worker.is_set_up = True
            return []
        if isinstance(message, str):
            return self._bury(place, message)
        outcome, seconds = message
        assert worker.job is not None
        done = Finished(worker.job.index, outcome, seconds)
        worker.job = None
        worker.served += 1
        if worker.served >= RECYCLE_AFTER:
            self._replace(place)
        return [done]

    def _replace(self, place: int) -> _Worker:
        self._workers[place].stop()
        self._workers[place] = _Worker(self._setup, self._spec)
        return self._workers[place]

    def _bury(self, place: int, reason: str) -> list[Finished]:
        worker = self._workers[place]
        if not worker.is_set_up:
            raise LogGradError(f"a worker could not start: {reason}; try fewer --workers")
        fresh, job = self._replace(place), worker.job
        if job is None:
            return []
        job.deaths += 1
        if job.deaths < _MOST_DEATHS:
            fresh.give(job)
            return []
        return [Finished(job.index, Outcome(None, None, reason), time.monotonic() - job.begin)]
