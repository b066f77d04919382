"""What every pool of workers does: hand out tasks, replace workers that die, give up tasks that hang.

The rules, for processes here (:mod:`search.workers.pool`) and on a cluster (:mod:`search.workers.ray_pool`):

- A task that raises has failed, with the exception as its reason.
- The death of a worker (killed, out of memory, its machine gone) may be chance, which must not enter a
  history: the worker is replaced and the task done once more; a second death is the task's failure. A
  worker that dies while it starts gets one more start, too.
- A task that takes longer than the limit has failed; its worker is killed. It is not tried again: it would
  hang again. A limit lets a history depend on the clock, so it is to catch hangs, not slow training: several
  times what the longest candidate takes. A failure once journalled stays, resumed on whatever machine.
- What no candidate is to blame for, a full disk or a missing data set, ends the search, to be resumed.

The limit counts time spent waiting, a second at a time: a search stopped by Ctrl-Z, or asleep with its
laptop, may go on. Memory is not limited: ``RLIMIT_AS`` and ``RLIMIT_DATA`` count address space, of which
TensorFlow reserves far more than it uses. A worker that eats all memory is killed by the kernel, and only
its candidate fails.
"""

import abc
import dataclasses
import time
from collections import deque
from typing import Any, Generic, Protocol, TypeVar

from loggrad_tf.errors import LogGradError
from search.record.history import Outcome, failed

# TensorFlow leaks about 5 MB with each model.
RECYCLE_AFTER = 50
# Seconds without any worker that is ready, after which the search gives up.
START_LIMIT = 600.0
TICK = 1.0
_MOST_DEATHS = 2
# How the failure of a task begins that took longer than the limit.
TIMED_OUT = "timed out"


@dataclasses.dataclass(frozen=True)
class Finished:
    """One evaluated task: its index, what became of it, and seconds spent."""

    index: int
    outcome: Outcome
    seconds: float


@dataclasses.dataclass(frozen=True)
class Ready:
    """A worker has set itself up."""


@dataclasses.dataclass(frozen=True)
class Done:
    """A worker has finished its task, in so many seconds."""

    outcome: Outcome
    seconds: float


@dataclasses.dataclass(frozen=True)
class Died:
    """A worker is no more; perhaps by chance."""

    reason: str


@dataclasses.dataclass(frozen=True)
class Refused:
    """A worker met what no other worker or candidate would do better with."""

    reason: str


Event = Ready | Done | Died | Refused


class Worker(Protocol):
    """One task at a time."""

    def give(self, index: int, task: Any) -> None:
        """Begin ``task``; if the worker has died, it is heard of later."""

    def stop(self) -> None:
        """End it, whatever it does. May be called of a dead one."""


W = TypeVar("W", bound=Worker)


@dataclasses.dataclass
class Job:
    """A task: when it was begun first, how many workers died over it, seconds it has had this time."""

    index: int
    task: Any
    begin: float | None = None
    deaths: int = 0
    spent: float = 0.0


@dataclasses.dataclass
class _Seat(Generic[W]):
    """A worker's place, which its successors take over."""

    place: int
    worker: W
    is_ready: bool = False
    job: Job | None = None
    served: int = 0
    failed_starts: int = 0


class Supervisor(abc.ABC, Generic[W]):
    """``count`` workers; use as a context manager, which stops them.

    Args:
      count: workers.
      timeout: seconds that a task may take once its worker is ready; None: no limit.

    Attributes:
      recycles: workers are replaced after ``RECYCLE_AFTER`` tasks.
    """

    recycles = True

    def __init__(self, count: int, timeout: float | None) -> None:
        self._timeout = timeout
        self._waiting: deque[Job] = deque()
        self._dark = 0.0
        self._seats: list[_Seat[W]] = []
        for place in range(count):
            self._seats.append(_Seat(place, self._start(place)))

    @abc.abstractmethod
    def _start(self, place: int) -> W:
        """A new worker for one of ``count`` places; its first event says whether it is ready."""

    @abc.abstractmethod
    def _listen(self, workers: list[W], seconds: float) -> list[tuple[W, Event]]:
        """What ``workers`` have to say, at most one event each; after ``seconds`` perhaps nothing."""

    def __exit__(self, *_: object) -> None:
        for seat in self._seats:
            seat.worker.stop()

    @property
    def idle(self) -> bool:
        """May another task be submitted? (The worker may still be setting itself up.)"""
        return len(self._waiting) + sum(s.job is not None for s in self._seats) < len(self._seats)

    def submit(self, index: int, task: Any) -> None:
        """Take on ``task``; a pool that is not idle raises ValueError."""
        if not self.idle:
            raise ValueError(f"task {index} submitted, but all workers have one")
        self._waiting.append(Job(index, task))
        self._hand_out()

    def wait(self) -> list[Finished]:
        """Block until tasks are done; the list is not empty.

        Raises:
          LogGradError: a worker could not be set up (no data set, no memory), or none was within
            ``START_LIMIT`` seconds, or something else than a candidate is at fault (a full disk).
        """
        finished: list[Finished] = []
        while not finished:
            self._hand_out()
            begin = time.monotonic()
            for worker, event in self._listen([s.worker for s in self._seats], self._patience()):
                seat = next(s for s in self._seats if s.worker is worker)
                finished += self._react(seat, event)
            finished += self._count(min(time.monotonic() - begin, 2 * TICK))
        self._hand_out()
        return finished

    def _hand_out(self) -> None:
        for seat in self._seats:
            if self._waiting and seat.is_ready and seat.job is None:
                job = self._waiting.popleft()
                job.begin, job.spent = job.begin or time.monotonic(), 0.0
                seat.job = job
                seat.worker.give(job.index, job.task)

    def _patience(self) -> float:
        if self._timeout is None:
            return TICK
        left = [self._timeout - seat.job.spent for seat in self._seats if seat.job]
        return max(0.0, min([TICK, *left]))

    def _count(self, passed: float) -> list[Finished]:
        """Let ``passed`` seconds count against tasks and starts."""
        self._dark = 0.0 if any(seat.is_ready for seat in self._seats) else self._dark + passed
        if self._dark >= START_LIMIT:
            raise LogGradError(
                f"no worker has started within {START_LIMIT:g} s; free processors or memory,"
                " then resume the search"
            )
        finished = []
        for seat in self._seats:
            if (job := seat.job) is None:
                continue
            job.spent += passed
            if self._timeout is not None and job.spent >= self._timeout:
                self._replace(seat)
                finished += self._expired(job)
        return finished

    def _expired(self, job: Job) -> list[Finished]:
        """What becomes of a task that has taken longer than the limit."""
        return [_finish(job, f"{TIMED_OUT} after {self._timeout:g} s")]

    def _react(self, seat: _Seat[W], event: Event) -> list[Finished]:
        match event:
            case Ready():
                seat.is_ready, seat.failed_starts = True, 0
                return []
            case Refused(reason):
                raise LogGradError(reason if seat.is_ready else f"a worker could not start: {reason}")
            case Died(reason) if not seat.is_ready:
                seat.failed_starts += 1
                if seat.failed_starts >= _MOST_DEATHS:
                    raise LogGradError(f"a worker could not start: {reason}; try fewer --workers")
                self._replace(seat)
                return []
            case Died(reason):
                job = seat.job
                self._replace(seat)
                return self._mourn(job, reason) if job else []
            case Done(outcome, seconds):
                assert seat.job is not None
                done = Finished(seat.job.index, outcome, seconds)
                seat.job = None
                seat.served += 1
                if self.recycles and seat.served >= RECYCLE_AFTER:
                    self._replace(seat)
                return [done]

    def _mourn(self, job: Job, reason: str) -> list[Finished]:
        job.deaths += 1
        if job.deaths < _MOST_DEATHS:
            self._waiting.appendleft(job)
            return []
        return [_finish(job, reason)]

    def _replace(self, seat: _Seat[W]) -> None:
        seat.worker.stop()
        seat.worker = self._start(seat.place)
        seat.is_ready, seat.job, seat.served = False, None, 0


def _finish(job: Job, reason: str) -> Finished:
    assert job.begin is not None
    return Finished(job.index, failed(reason), time.monotonic() - job.begin)
