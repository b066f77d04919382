"""One pure function over many files, in several processes, with progress and the time left.

Processes are spawned, never forked: a fork of a process that holds TensorFlow hangs. Results come back in
the order of the jobs whatever the number of processes. An input's fault (LogGradError, OSError) is a result
like any other; a defect of the program stops the work.

A job whose process dies is done again when the others are done, alone, and once more in a fresh process
if need be. If it dies there too, how it died tells whose fault it is. A crash (SIGSEGV, SIGABRT, an exit) is
the input's, a decoder that fails on it, and so a result. SIGKILL comes from outside, as a rule because memory
ran out: it says nothing lasting about the input and stops the work.

With :class:`Limits` every job is done in a process that may be ended: one that takes too long or wants too
much memory is a result too, an error that says so.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TextIO, TypeVar

from loggrad_tf.errors import LogGradError

Job = TypeVar("Job")
Result = TypeVar("Result")

# Below this many jobs, starting processes costs more than it gives.
_FEW_JOBS = 8
_MOST_DEATHS = 3


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one job may take.

    Attributes:
      seconds: from its start to its result.
      memory: bytes, above those that its process holds without it; where the system can tell (Linux).
    """

    seconds: float
    memory: int


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


def _limit_memory(limit: int) -> None:
    """Let this process have ``limit`` bytes more than it has."""
    try:
        with open("/proc/self/statm", "rb") as file:
            held = int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = held + limit
    resource.setrlimit(
        resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )


def _serve(function: Callable[[Job], Result], pipe: Connection, limits: Limits | None) -> None:
    """Answer the jobs of a pipe until it is closed, with a result or with the defect."""
    if limits:
        _limit_memory(limits.memory)
    with contextlib.suppress(EOFError):
        while True:
            job = pipe.recv()
            pipe.send(None)
            try:
                answer: tuple[bool, Result | Exception] = (True, function(job))
            except MemoryError as error:  # a new one holds no frame, and so none of the memory
                answer = (False, MemoryError(str(error)))
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
    """One process that is given one job at a time: ``start``, then ``receive`` until there is a result."""

    def __init__(self, function: Callable[[Job], Result], limits: Limits | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._limits = limits
        self.pipe, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, other_end, limits), daemon=True)
        with hidden_main():
            self._process.start()
        other_end.close()
        self.deadline: float | None = None

    def start(self, job: Job) -> None:
        self.deadline = None
        with contextlib.suppress(ConnectionError):  # receive tells of the death
            self.pipe.send(job)

    @property
    def left(self) -> float | None:
        """Seconds until the job's time is over; None if it has no limit or has not begun."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0)

    def receive(self, name: str) -> list[Result | LogGradError]:
        """Wait for the process's word: nothing if the job has begun, else its result.

        The process is closed if that took too long.

        Raises:
          _DeathError: it died.
        """
        if not self.pipe.poll(self.left):
            self.close()
            assert self._limits is not None
            text = f"it took longer than {self._limits.seconds:g} s: the decoder hangs on it: leave it out"
            return [LogGradError(f"{name}: {text}")]
        try:
            message = self.pipe.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            raise _DeathError(self._process.exitcode or 0) from error
        if message is None:
            self.deadline = time.monotonic() + self._limits.seconds if self._limits else None
            return []
        good, answer = message
        if isinstance(answer, MemoryError) and self._limits is not None:
            most = self._limits.memory / 2**30
            return [LogGradError(f"{name}: it needs more than {most:g} GiB of memory: make it smaller")]
        if not good:
            raise answer
        return [answer]

    @property
    def closed(self) -> bool:
        return self.pipe.closed

    def close(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.join()


@dataclasses.dataclass(frozen=True)
class _Work(Generic[Job, Result]):
    """What is to be done, and how."""

    function: Callable[[Job], Result]
    jobs: Sequence[Job]
    name: Callable[[Job], str]
    limits: Limits | None

    def process(self) -> _Alone[Job, Result]:
        return _Alone(self.function, self.limits)


def _spread(work: _Work[Job, Result], workers: int) -> Iterator[tuple[int, Result | LogGradError]]:
    """Results with their places, as they come; none of a job whose process died.

    Ends early if several die one after another.
    """
    places = iter(range(len(work.jobs)))
    busy: dict[Any, tuple[_Alone[Job, Result], int]] = {}
    deaths = 0

    def begin(process: _Alone[Job, Result] | None) -> None:
        place = next(places, None)
        if place is None:
            if process:
                process.close()
            return
        process = process or work.process()
        process.start(work.jobs[place])
        busy[process.pipe] = (process, place)

    try:
        for _ in range(workers):
            begin(None)
        while busy:
            left = [process.left for process, _ in busy.values()]
            ready = set(wait(list(busy), min((each for each in left if each is not None), default=None)))
            late = {pipe for pipe, (process, _) in busy.items() if process.left == 0}
            for pipe in ready | late:
                process, place = busy[pipe]
                try:
                    results = process.receive(work.name(work.jobs[place]))
                    if not results:
                        continue
                    deaths = 0
                except _DeathError:
                    process.close()
                    results, deaths = [], deaths + 1
                del busy[pipe]
                for result in results:
                    yield place, result
                if deaths == _MOST_DEATHS:
                    return
                begin(None if process.closed else process)
    finally:
        for process, _ in busy.values():
            process.close()


def _singly(work: _Work[Job, Result], places: Sequence[int]) -> Iterator[tuple[int, Result | LogGradError]]:
    """Results with their places, from one process at a time; a job that kills it is tried once more."""
    process: _Alone[Job, Result] | None = None
    deaths = 0
    try:
        for place in places:
            job, name = work.jobs[place], work.name(work.jobs[place])
            for attempt in range(2):
                process = process if process and not process.closed else work.process()
                process.start(job)
                try:
                    while not (results := process.receive(name)):
                        pass
                    result, deaths = results[0], 0
                    break
                except _DeathError as death:
                    process.close()
                    if attempt:
                        deaths += 1
                        result = _blame(death, name, deaths)
            yield place, result
    finally:
        if process:
            process.close()


def _blame(death: _DeathError, name: str, deaths: int) -> LogGradError:
    """The result of a job whose process died twice.

    Raises:
      LogGradError: it was not the job's fault, or so many died that it cannot be.
    """
    if death.code == -signal.SIGKILL:
        text = "its process was killed twice, as when memory runs out: free some, or leave it out"
        raise LogGradError(f"{name}: {text}") from death
    if deaths == _MOST_DEATHS:
        text = f"processes died over {deaths} files one after another ({death}), this the last"
        raise LogGradError(f"{name}: {text}: check the installation") from death
    return LogGradError(f"its process died twice ({death}): the decoder fails on it")


def run(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    label: str,
    workers: int | None = None,
    name: Callable[[Job], str] = str,
    limits: Limits | None = None,
) -> list[Result | LogGradError]:
    """``function`` of each job, in the jobs' order; a job that crashes its process gives a LogGradError.

    Args:
      function: a module's function or a partial of one; not one of the script that is run.
      jobs: what can be sent to a process.
      label: what the progress line calls the work.
      workers: processes; None for one a processor.
      name: what an error calls a job.
      limits: of each job; None for none. Without limits, few jobs are done in this process.

    Raises:
      LogGradError: a job's process was killed twice, or three jobs crashed theirs one after another.
    """
    workers = min(workers or processors(), len(jobs))
    guarded = _Guarded(function)
    progress = Progress(label, len(jobs))
    results: dict[int, Result | LogGradError] = {}

    def collect(source: Iterable[tuple[int, Result | LogGradError]]) -> None:
        for place, result in source:
            results[place] = result
            progress.update(len(results))

    try:
        if limits is None and (workers < 2 or len(jobs) < _FEW_JOBS):
            collect(enumerate(map(guarded, jobs)))
        else:
            work: _Work[Job, Result | LogGradError] = _Work(guarded, jobs, name, limits)
            collect(_spread(work, max(1, min(workers, len(jobs) // 4)) if limits else workers))
            collect(_singly(work, [place for place in range(len(jobs)) if place not in results]))
        return [results[place] for place in range(len(jobs))]
    finally:
        progress.close()
