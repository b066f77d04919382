"""The course of a search: learning curves, the best so far, and what came to nothing and why."""

import collections
from collections.abc import Callable, Sequence

from search.cost.quantities import ERROR
from search.reporting.reading import Run
from search.reporting.svg import (
    BLUE,
    SERIES,
    VERMILLION,
    Axis,
    Spot,
    curve,
    escape,
    frame,
    label,
    marks,
    picture,
    span,
    stairs,
)
from search.strategy.proposal import CROWDED, DUPLICATE

WIDTH, HEIGHT = 600, 310
LEFT, RIGHT, TOP, BOTTOM = 62, 584, 14, 262
# Parts into which the course of a search is cut, to count what was rejected in each.
BINS = 40
# Of so many members of the front, those of least error, the training is drawn.
CURVES = 60
# So many reasons of failing are listed, and so many candidates named for each.
REASONS, NAMED = 40, 12
SECONDS = (
    (3600.0 * 48, 86400.0, "days"),
    (7200.0, 3600.0, "hours"),
    (180.0, 60.0, "minutes"),
    (0.0, 1.0, "s"),
)


def learning(run: Run) -> str:
    """Loss and error of the front's members on their training batches, an epoch a step; of one epoch none.

    A detector's are the loss and the error of cells.
    """
    if max((len(run.records[i].outcome.curve) for i in run.front), default=0) < 2:
        return ""
    error = "error of cells in training (%)" if run.detects else "training error (%)"
    return _learning(run, "training loss", 0, 1.0) + _learning(run, error, 1, 100.0)


def _learning(run: Run, title: str, which: int, scale: float) -> str:
    shown = sorted(run.front, key=lambda i: (i != run.chosen, run.front[i].error))[:CURVES]
    curves = {i: [epoch[which] for epoch in run.records[i].outcome.curve] for i in shown}
    longest = max((len(c) for c in curves.values()), default=1)
    low, high = span([v for c in curves.values() for v in c], log=False)
    x = Axis(1, longest, LEFT, RIGHT - 40, whole=True)
    y = Axis(max(low, 0.0), high, BOTTOM, TOP)
    parts = [frame(x, y, "epoch", title, 1, scale)]
    order = sorted(curves, key=lambda i: i == run.chosen)
    for index in order:
        spots = [(x.at(epoch), y.at(v)) for epoch, v in enumerate(curves[index], 1)]
        chosen = index == run.chosen
        extra = f' stroke="{VERMILLION if chosen else BLUE}" data-run="0" data-index="{index}"'
        parts.append(curve(spots, "learned chosen" if chosen else "learned", extra))
        if chosen and spots:
            parts.append(marks("star", [spots[-1]], 5, VERMILLION, ' stroke="#000"'))
            parts.append(label(spots[-1][0] + 12, spots[-1][1] + 4.5, f"#{index}", "start", "strong"))
    return picture(WIDTH, HEIGHT, "".join(parts), f"{title} by epoch", "half")


def best_so_far(run: Run) -> list[tuple[int, float]]:
    """Candidates that were, when they came, the best within all bounds, and their errors."""
    found: list[tuple[int, float]] = []
    for index, point in run.points.items():
        if run.within(index) and (not found or point.error < found[-1][1]):
            found.append((index, point.error))
    return found


def training_time(run: Run) -> list[float]:
    """Seconds of training up to and with each candidate, summed over workers; unknown ones count nothing."""
    total, found = 0.0, []
    for record in run.records:
        total += run.seconds.get(record.candidate.index, 0.0)
        found.append(total)
    return found


def progress(runs: Sequence[Run]) -> str:
    """The least error within bounds so far: by candidates, and by seconds of training."""

    def counts(run: Run) -> list[float]:
        return [float(i + 1) for i in range(len(run.records))]

    by_count = _progress(runs, "candidates", counts, whole=True)
    times = {id(run): training_time(run) for run in runs}
    longest = max((t[-1] for t in times.values() if t), default=0.0)
    if longest <= 0:
        return by_count
    unit, word = next((unit, word) for least, unit, word in SECONDS if longest >= least)
    title = f"training time, all workers together ({word})"
    return by_count + _progress(runs, title, lambda run: [t / unit for t in times[id(run)]])


def _progress(
    runs: Sequence[Run],
    title: str,
    position: Callable[[Run], list[float]],
    whole: bool = False,
) -> str:
    where = [position(run) for run in runs]
    steps = [best_so_far(run) for run in runs]
    if not any(steps):
        return ""
    errors = [error for found in steps for _, error in found]
    bounds = [run.bounds.error for run in runs if run.bounds.error is not None]
    x = Axis(0, max(p[-1] for p in where if p) * 1.02, LEFT, RIGHT, whole=whole)
    y = Axis(0, max([*errors, *bounds]) * 1.08, BOTTOM, TOP)
    parts = [frame(x, y, title, f"best {_error(runs)} within bounds (%)", 1, ERROR.scale)]
    for bound in sorted(set(bounds)):
        parts.append(curve([(x.start, y.at(bound)), (x.end, y.at(bound))], "bound", ' stroke="#000"'))
    for nth, (found, places) in enumerate(zip(steps, where, strict=True)):
        colour, shape = SERIES[nth]
        spots: list[Spot] = [(x.at(places[index]), y.at(error)) for index, error in found]
        end = x.at(places[-1]) if places else x.end
        parts.append(stairs(spots, end, "stairs", f' stroke="{colour}"'))
        parts.append(marks(shape, spots, 3, colour))
    return picture(WIDTH, HEIGHT, "".join(parts), f"best error by {title}", "half")


def _error(runs: Sequence[Run]) -> str:
    return "1 - F1" if all(run.detects for run in runs) else "error"


def untimed(run: Run) -> str:
    """A sentence if durations are missing; otherwise nothing."""
    missing = sum(record.candidate.index not in run.seconds for record in run.records)
    if not missing:
        return ""
    return f"The durations of {missing} of {len(run.records)} candidates are not known and count as 0."


_REASONS = {
    DUPLICATE: "trained already",
    CROWDED: "a sibling lay where the front is sparser",
    "peak_memory": "peak memory over its bound",
    "size": "weights over their bound",
    "macs": "multiply-accumulates over their bound",
    "ram": "RAM over its bound",
    "flash": "flash over its bound",
    "latency": "latency over its bound",
    "energy": "energy over its bound",
}


def rejected(run: Run) -> str:
    """Draws that were dropped before training: how many for each reason, and when."""
    counts: collections.Counter[str] = collections.Counter()
    count = len(run.records)
    bins = min(BINS, max(count, 1))
    course: dict[str, list[int]] = {}
    for record in run.records:
        for reason, times in record.candidate.rejected:
            counts[reason] += times
            row = course.setdefault(reason, [0] * bins)
            row[record.candidate.index * bins // count] += times
    if not counts:
        return "<p>No draw was rejected before training.</p>"
    rows = []
    for reason, times in counts.most_common():
        rows.append(
            f'<tr><th class="words">{escape(_REASONS.get(reason, reason))}</th><td>{times:,}</td>'
            f"<td>{times / count:.2f}</td><td>{_strip(course[reason], count)}</td></tr>"
        )
    return (
        '<table class="numbers rejected"><thead><tr><th>rejected because</th><th>draws</th>'
        f"<th>per candidate</th><th class=words>over the course, candidate 0 to {count - 1}</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _strip(row: list[int], count: int) -> str:
    """A bar a part of the course, as high as its share of the highest."""
    width, height, top = 480, 34, max(row)
    each = width / len(row)
    bars = []
    for i, times in enumerate(row):
        tall = height * times / top
        first, last = -(-i * count // len(row)), -(-(i + 1) * count // len(row)) - 1
        tip = f"<title>{times:,} with candidates {first} to {last}</title>"
        box = f'x="{i * each + 0.5:.1f}" y="{height - tall:.1f}" width="{each - 1:.1f}" height="{tall:.1f}"'
        bars.append(f'<rect {box} fill="{BLUE}">{tip}</rect>')
    base = f'<path class="axis" d="M0 {height}H{width}"/>'
    return picture(width, height + 1, "".join(bars) + base, f"most in one part: {top}", "strip")


def stopped(run: Run) -> str:
    """At which rung how many trainings ended."""
    if not run.config.method.rungs:
        return "<p>Every candidate is trained to the end: the search has no rungs.</p>"
    at = collections.Counter(len(run.records[index].outcome.curve) for index in run.stopped)
    rows = []
    for rung in sorted({*run.config.method.rungs, *at}):
        # A later rung is reached by those that were not stopped before it.
        reached = len(run.points) + sum(times for epochs, times in at.items() if epochs >= rung)
        share = f"{at[rung] / reached:.0%}" if reached else ""
        rows.append(f"<tr><th>{rung}</th><td>{reached:,}</td><td>{at[rung]:,}</td><td>{share}</td></tr>")
    saved = sum(run.config.method.train.epochs * times for times in at.values()) - sum(
        epochs * times for epochs, times in at.items()
    )
    return (
        '<table class="numbers"><thead><tr><th>rung, epoch</th><th>reached it</th><th>stopped there</th>'
        f"<th>share</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"<p>{saved:,} epochs of training were not spent.</p>"
    )


def failed(run: Run) -> str:
    """Reasons of failing, the most frequent first, with the candidates that failed so."""
    if not run.failed:
        return "<p>No candidate failed.</p>"
    by_reason: dict[str, list[int]] = {}
    for record in run.failed:
        by_reason.setdefault(str(record.outcome.failure), []).append(record.candidate.index)
    rows = []
    listed = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    for reason, members in listed[:REASONS]:
        names = ", ".join(f"#{index}" for index in members[:NAMED])
        more = f" and {len(members) - NAMED} more" if len(members) > NAMED else ""
        rows.append(
            f'<tr><td>{len(members):,}</td><td class="words">{escape(reason)}</td>'
            f'<td class="words">{names}{more}</td></tr>'
        )
    others = sum(len(members) for _, members in listed[REASONS:])
    rest = f"<p>{others:,} more failed for {len(listed) - REASONS:,} other reasons.</p>" if others else ""
    return (
        '<div class="wide"><table class="numbers"><thead><tr><th>failed</th><th class="words">reason</th>'
        f"<th class=words>candidates</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>{rest}"
    )
