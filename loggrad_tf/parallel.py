"""One pure function over many files, in several processes, with progress and the time left.

Processes are spawned, never forked: a fork of a process that holds TensorFlow hangs. Results come back in
the order of the jobs whatever the number of processes. An input's fault (LogGradError, OSError) is a result
like any other; a defect of the program stops the work.

When a process dies, the jobs left are done one at a time, and one that dies is tried once more in a fresh
process. If it dies there too, how it died tells whose fault it is. A crash (SIGSEGV, SIGABRT, an exit) is the
input's, a decoder that fails on it, and so a result. SIGKILL comes from outside, as a rule because memory
ran out: it says nothing lasting about the input and stops the work.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
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
def hidden_main() -> Iterator[None]:
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
        with hidden_main():
            results = pool.map(function, jobs, chunksize=min(8, len(jobs) // (4 * workers) + 1))
        with contextlib.suppress(BrokenProcessPool):
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def _serve(function: Callable[[Job], Result], pipe: Connection) -> None:
    """Answer the jobs of a pipe until it is closed, with a result or with the defect."""
    with contextlib.suppress(EOFError):
        while True:
            job = pipe.recv()
            try:
                answer: tuple[bool, Result | Exception] = (True, function(job))
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = (False, error)
            pipe.send(answer)


class _DeathError(Exception):
    """A process ended over a job, with this exit code; the negative of a signal."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(signal.Signals(-code).name if code < 0 else f"exit code {code}")


class _Alone(Generic[Job, Result]):
    """One process that is given one job at a time."""

    def __init__(self, function: Callable[[Job], Result]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, other_end), daemon=True)
        with hidden_main():
            self._process.start()
        other_end.close()

    def __call__(self, job: Job) -> Result:
        try:
            self._pipe.send(job)
            good, answer = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            raise _DeathError(self._process.exitcode or 0) from error
        if not good:
            raise answer
        return answer

    def close(self) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _singly(
    function: Callable[[Job], Result], jobs: Sequence[Job], name: Callable[[Job], str]
) -> Iterator[Result | LogGradError]:
    """Results in order from one process at a time, so that a job that kills its process is known."""
    if not jobs:
        return
    process, deadly = _Alone(function), 0
    try:
        for job in jobs:
            try:
                try:
                    result: Result | LogGradError = process(job)
                except _DeathError:
                    process.close()
                    process = _Alone(function)
                    result = process(job)
                deadly = 0
            except _DeathError as death:
                if death.code == -signal.SIGKILL:
                    text = "its process was killed twice, as when memory runs out: free some, or leave it out"
                    raise LogGradError(f"{name(job)}: {text}") from death
                deadly += 1
                if deadly == _MOST_DEATHS:
                    text = f"processes died over {deadly} files one after another ({death}), this the last"
                    raise LogGradError(f"{name(job)}: {text}: check the installation") from death
                process.close()
                process = _Alone(function)
                result = LogGradError(f"its process died twice ({death}): the decoder fails on it")
            yield result
    finally:
        process.close()


def run(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    label: str,
    workers: int | None = None,
    name: Callable[[Job], str] = str,
) -> list[Result | LogGradError]:
    """``function`` of each job, in the jobs' order; a job that crashes its process gives a LogGradError.

    Args:
      function: a module's function or a partial of one; not one of the script that is run.
      jobs: what can be sent to a process.
      label: what the progress line calls the work.
      workers: processes; None for one a processor.
      name: what an error calls a job.

    Raises:
      LogGradError: a job's process was killed twice, or three jobs crashed theirs one after another.
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
            collect(_singly(guarded, jobs[len(results) :], name))
        return results
    finally:
        progress.close()
