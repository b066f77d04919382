"""One pure function over many files, in several processes, with progress and the time left.

Processes are spawned, never forked: a fork of a process that holds TensorFlow hangs. Results come back in
the order of the jobs whatever the number of processes. An input's fault (LogGradError, OSError) is a result
like any other, and so is a process that dies over one; a defect of the program stops the work.
"""

import contextlib
import multiprocessing
import os
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TextIO, TypeVar

from loggrad_tf.errors import LogGradError

Job = TypeVar("Job")
Result = TypeVar("Result")

# Below this many jobs, starting processes costs more than it gives.
_FEW_JOBS = 8
_MOST_DEATHS = 3


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Progress:
    """One line on a terminal, one line every ten seconds elsewhere; silent for the first two seconds."""

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        self._label, self._total = label, total
        self._stream = stream or sys.stderr
        self._start = self._last = time.monotonic()
        self._terminal = self._stream.isatty()
        self._shown = False

    def update(self, done: int) -> None:
        now = time.monotonic()
        taken = now - self._start
        if taken < 2 or now - self._last < (0.2 if self._terminal else 10):
            return
        self._last, self._shown = now, True
        left = taken * (self._total - done) / max(done, 1)
        line = f"{self._label} {done}/{self._total}, {left:.0f} s left"
        self._stream.write(f"\r{line:<70}" if self._terminal else f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        if self._shown and self._terminal:
            print(file=self._stream)


class _Guarded(Generic[Job, Result]):
    """The function with an input's fault turned into a result; a class, so that it can be sent."""

    def __init__(self, function: Callable[[Job], Result]) -> None:
        self._function = function

    def __call__(self, job: Job) -> Result | LogGradError:
        try:
            return self._function(job)
        except LogGradError as error:
            return error
        except OSError as error:
            return LogGradError(f"{error.filename or job}: {error.strerror or error}")


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    """Keep spawned processes from running the caller's script again: the jobs need modules only."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _spread(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Results in order; ends early if a process dies."""
    pool = _pool(workers)
    try:
        with _hidden_main():
            results = pool.map(function, jobs, chunksize=min(8, len(jobs) // (4 * workers) + 1))
        with contextlib.suppress(BrokenProcessPool):
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def _singly(function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result | LogGradError]:
    """Results in order from one process at a time, so that a job that kills its process is known."""
    pool, deaths = _pool(1), 0
    try:
        for job in jobs:
            try:
                with _hidden_main():
                    future = pool.submit(function, job)
                yield future.result()
                deaths = 0
            except BrokenProcessPool as error:
                deaths += 1
                if deaths == _MOST_DEATHS:
                    text = f"{deaths} processes died one after another: free memory or use fewer processors"
                    raise LogGradError(text) from error
                pool.shutdown()
                pool = _pool(1)
                yield LogGradError("its process died: memory ran out, or the decoder failed on it")
    finally:
        pool.shutdown(cancel_futures=True)


def run(
    function: Callable[[Job], Result], jobs: Sequence[Job], label: str, workers: int | None = None
) -> list[Result | LogGradError]:
    """``function`` of each job, in the jobs' order; a job whose process dies gives a LogGradError.

    Args:
      function: a module's function or a partial of one; not one of the script that is run.
      jobs: what can be sent to a process.
      label: what the progress line calls the work.
      workers: processes; None for one a processor.

    Raises:
      LogGradError: three processes died one after another.
    """
    workers = min(workers or processors(), len(jobs))
    guarded = _Guarded(function)
    progress = Progress(label, len(jobs))
    results: list[Result | LogGradError] = []

    def collect(source: Iterable[Result | LogGradError]) -> None:
        for result in source:
            results.append(result)
            progress.update(len(results))

    try:
        if workers < 2 or len(jobs) < _FEW_JOBS:
            collect(map(guarded, jobs))
        else:
            collect(_spread(guarded, jobs, workers))
            collect(_singly(guarded, jobs[len(results) :]))
        return results
    finally:
        progress.close()
