"""What a search says while it runs: a line a candidate, the front from time to time, and long drawings."""

import sys
import time

from search.cost.objectives import Bounds, Point, best, overrun
from search.record.history import Record
from search.run.config import Config
from search.run.plots import by_error
from search.run.rundir import Front
from search.strategy.proposal import MAX_REDRAWS

# The front is shown so many times in one search, but not more often than each tenth candidate.
TABLES = 10
# Seconds after which a drawing is spoken of; each line comes as long after the last one as that did.
PATIENCE = 5.0
HEADINGS = {
    "peak_memory": "memory B",
    "size": "size B",
    "macs": "MACs",
    "ram": "RAM B",
    "flash": "flash B",
    "latency": "ms",
    "energy": "mJ",
}


def text_of(name: str, value: float) -> str:
    """A cost in the unit of its heading."""
    return f"{1e3 * value:.3f}" if name in ("latency", "energy") else f"{value:,.0f}"


def left(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 120:
        return f"{minutes // 60} h {minutes % 60} min left"
    return f"{minutes} min left" if seconds >= 90 else f"{seconds:.0f} s left"


def table(front: dict[int, Point], bounds: Bounds, chosen: int | None) -> str:
    """The front, least error first; the chosen candidate and those over a bound are marked."""
    names = list(HEADINGS)
    lines = ["  candidate  val error" + "".join(f"{HEADINGS[name]:>13s}" for name in names)]
    for index in by_error(front):
        point = front[index]
        mark = "*" if index == chosen else "!" if overrun(point.costs, bounds) > 1 else " "
        costs = "".join(f"{text_of(name, getattr(point.costs, name)):>13s}" for name in names)
        lines.append(f"{mark} {index:9d}  {point.error:9.2%}{costs}")
    return "\n".join(lines)


class Drawing:
    """Tells on stderr how far the drawing of a candidate is, if it takes longer than a few seconds."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._index = wanted, -1
        self._begin, self._wait = 0.0, PATIENCE

    def __call__(self, index: int, drawn: int, usable: int) -> None:
        """A :data:`search.strategy.proposal.Watch`."""
        if index != self._index:
            self._index, self._begin, self._wait = index, time.monotonic(), PATIENCE
        spent = time.monotonic() - self._begin
        if drawn and spent >= self._wait:
            self._wait = 2 * spent
            most = left(spent / drawn * (MAX_REDRAWS - drawn))
            time_left = (
                f"about {left(spent / usable * (self._wanted - usable))}" if usable else f"at most {most}"
            )
            print(
                f"candidate {index}: {drawn:,} networks drawn, of at most {MAX_REDRAWS:,}; {usable} of"
                f" {self._wanted} that are wanted can be used; {time_left}",
                file=sys.stderr,
                flush=True,
            )


class Progress:
    """One line a candidate: what it reached, the best so far, pace and time left."""

    def __init__(self, config: Config, front: Front, done: int) -> None:
        self._config, self._front = config, front
        self._begin, self._before = time.monotonic(), done

    def show(self, record: Record, seconds: float) -> None:
        """Take in a record and print it."""
        self._front.add(record)
        bounds, rounds = self._config.bounds, self._config.method.rounds
        done = record.candidate.index + 1
        chosen = best(self._front.members, bounds)
        leader = f"best {self._front.points[chosen].error:.2%} (#{chosen})" if chosen is not None else ""
        pace = (time.monotonic() - self._begin) / (done - self._before)
        print(
            f"[{done:{len(str(rounds))}}/{rounds}] {self._result(record)}  {seconds:5.1f} s | {leader}"
            f" | {3600 / pace:.0f}/h, {left(pace * (rounds - done))}",
            flush=True,
        )
        if done < rounds and done % max(rounds // TABLES, 10) == 0 and self._front.members:
            print(table(self._front.members, bounds, chosen), flush=True)

    def _result(self, record: Record) -> str:
        if record.point is None:
            return f"failed: {record.outcome.failure}"
        costs = "  ".join(
            f"{HEADINGS[name]} {text_of(name, getattr(record.costs, name))}"
            for name in self._config.bounds.resources
        )
        loss = record.outcome.loss_text(before="  ")
        note = f"  stopped after {len(record.outcome.curve)} epochs" if record.outcome.stopped else ""
        return f"error {record.point.error:6.2%}{loss}  {costs}{note}"
