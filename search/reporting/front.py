"""The fronts of one or several searches: a picture for each pair of objectives, and what its script needs.

Every candidate is a dot (trained in full) or a small cross (stopped early, with the error it had then); a
failed one has no error and no place. Members of the front carry the mark of their search. In pictures with
the error, stairs show the least error to be had at each cost; between two costs they would say nothing,
since the error is not seen there. Of several searches only what lies on the stairs is marked, and what was
stopped is left out: so they can be told apart. Bounds are dashed; one that lies far off is named at the edge.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from search.cost.objectives import Point
from search.cost.quantities import COSTS, ERROR, Quantity, broken, error_of, verdict
from search.reporting.reading import Run, error_quantity, resources
from search.reporting.svg import (
    BLACK,
    BLUE,
    GREY,
    SERIES,
    VERMILLION,
    Axis,
    Spot,
    crosses,
    dots,
    escape,
    frame,
    label,
    line,
    marks,
    number,
    picture,
    span,
    stairs,
)
from search.run import rival

WIDTH, HEIGHT = 400, 310
LEFT, RIGHT, TOP, BOTTOM = 62, 388, 12, 262
# A bound further than this from all candidates does not stretch its axis.
FAR = 2.5
# So many members of the front are listed at once.
SHOWN = 24
# So much of the reason of failing is shown beside a candidate.
REASON = 100


def value(point: Point, name: str) -> float:
    return point.error if name == ERROR.name else float(getattr(point.costs, name))


def pairs(runs: Sequence[Run]) -> list[tuple[Quantity, Quantity]]:
    """What the pictures show, as (x, y): the error against every cost, then the costs against each other."""
    costs = resources(list(runs))
    error = error_quantity(list(runs))
    return [(cost, error) for cost in costs] + list(itertools.combinations(costs, 2))


def limits(runs: Sequence[Run], name: str) -> list[tuple[float, str]]:
    """The bounds of an objective, each with the colour of the one search that has it, or black."""
    found: dict[float, list[str]] = {}
    for run, (colour, _) in zip(runs, SERIES, strict=False):
        bound = run.bounds.to_json()[name]
        if bound is not None:
            found.setdefault(bound, []).append(colour)
    return [(b, c[0] if len(c) == 1 < len(runs) else BLACK) for b, c in found.items()]


def axis_of(runs: Sequence[Run], quantity: Quantity, start: float, end: float) -> Axis:
    """A scale that holds all candidates of all searches, and the bounds that are not far off."""
    name = quantity.name
    shown = [p for run in runs for p in run.points.values()]
    if len(runs) == 1:
        shown += runs[0].stopped.values()
    found = [value(p, name) for p in shown]
    bounds = [bound for bound, _ in limits(runs, name)]
    if name == ERROR.name:
        high = max([*found, *bounds], default=1.0) * 1.05
        return Axis(0.0, high, start, end)
    least, most = min(found, default=min(bounds, default=1.0)), max(found, default=max(bounds, default=10.0))
    near = [bound for bound in bounds if least / FAR <= bound <= most * FAR]
    low, high = span([least, most, *near], log=True)
    return Axis(low, high, start, end, log=True)


def _bounds(runs: Sequence[Run], quantity: Quantity, x: Axis, y: Axis, vertical: bool) -> str:
    parts = []
    axis = x if vertical else y
    for nth, (bound, colour) in enumerate(limits(runs, quantity.name)):
        stroke = f' stroke="{colour}"'
        text = f"bound {number(bound * quantity.scale)}"
        if axis.low <= bound <= axis.high:
            at = axis.at(bound)
            ends = (at, y.start, at, y.end) if vertical else (x.start, at, x.end, at)
            parts.append(line(*ends, "bound", stroke))
        elif vertical:
            right = bound > axis.high
            text = f"{text} →" if right else f"← {text}"
            where = (x.end - 4, "end") if right else (x.start + 4, "start")
            parts.append(label(where[0], y.end + 13 + 15 * nth, text, where[1], "note", f' fill="{colour}"'))
        else:
            up = bound > axis.high
            height = y.end + 13 + 15 * nth if up else y.start - 6 - 15 * nth
            text = f"{text} {'↑' if up else '↓'}"
            parts.append(label(x.start + 4, height, text, "start", "note", f' fill="{colour}"'))
    return "".join(parts)


def lower_envelope(points: dict[int, Point], cost: str) -> list[Point]:
    """The candidates that have the least error to be had at their cost, cost rising."""
    found: list[Point] = []
    for point in sorted(points.values(), key=lambda p: (value(p, cost), p.error)):
        if not found or point.error < found[-1].error:
            found.append(point)
    return found


def panel(runs: Sequence[Run], x_of: Quantity, y_of: Quantity) -> str:
    """One picture: candidates of all searches by two objectives."""
    x, y = axis_of(runs, x_of, LEFT, RIGHT), axis_of(runs, y_of, BOTTOM, TOP)
    alone = len(runs) == 1

    def spot(point: Point) -> Spot:
        return x.at(value(point, x_of.name)), y.at(value(point, y_of.name))

    parts = [frame(x, y, x_of.title, y_of.title, x_of.scale, y_of.scale)]
    parts += [_bounds(runs, x_of, x, y, True), _bounds(runs, y_of, x, y, False)]
    above = []
    for run, (colour, shape) in zip(runs, SERIES, strict=False):
        if alone:
            parts.append(crosses((spot(p) for p in run.stopped.values()), "stopped", colour=GREY))
        shade, faint = (GREY, "trained") if alone else (colour, "trained faint")
        parts.append(dots((spot(p) for p in run.points.values()), faint, shade))
        members = list(run.front.values())
        if y_of.name == ERROR.name:
            lowest = lower_envelope(run.points, x_of.name)
            steps = [spot(point) for point in lowest]
            parts.append(stairs(steps, x.end, "stairs", f' stroke="{colour}"'))
            members = members if alone else lowest
        chosen = run.points[run.chosen] if run.chosen is not None else None
        above.append(marks(shape, [spot(p) for p in members if p is not chosen], 3.4, colour))
    for run, (colour, _) in zip(runs, SERIES, strict=False):
        if run.chosen is not None:
            star = VERMILLION if alone else colour
            above.append(marks("star", [spot(run.points[run.chosen])], 6, star, ' stroke="#000"'))
    scales = f' data-x="{x_of.name}" data-y="{y_of.name}" data-xaxis="{x.data}" data-yaxis="{y.data}"'
    name = f"{y_of.label} against {x_of.label}"
    overlay = '<g class="overlay"></g>'
    return picture(WIDTH, HEIGHT, "".join([*parts, *above, overlay]), name, "panel", scales)


def panels(runs: Sequence[Run]) -> str:
    """All pictures, those with the error first."""
    made = [panel(runs, x, y) for x, y in pairs(runs)]
    count = len(resources(list(runs)))
    rows = [f'<div class="panels">{"".join(made[:count])}</div>']
    if made[count:]:
        rows.append(f'<div class="panels">{"".join(made[count:])}</div>')
    return "\n".join(rows)


def _key(body: str, text: str) -> str:
    return f'<span class="key">{picture(20, 16, body, "", "icon")} {escape(text)}</span>'


def legend(runs: Sequence[Run], names: Sequence[str]) -> str:
    """What the marks mean."""
    alone, middle = len(runs) == 1, (10.0, 8.0)
    keys = []
    for name, (colour, shape) in zip(names, SERIES, strict=False):
        body = line(0, 8, 20, 8, "stairs", f' stroke="{colour}"') + marks(shape, [middle], 4, colour)
        keys.append(_key(body, "front" if alone else name))
    star = marks("star", [middle], 5, VERMILLION if alone else "#fff", ' stroke="#000"')
    keys.append(_key(star, "chosen" if alone else "chosen, in its search's colour"))
    keys.append(_key(dots([middle], "trained", GREY), "trained in full"))
    if alone and runs[0].stopped:
        keys.append(_key(crosses([middle], "stopped", colour=GREY), "stopped early"))
    keys.append(_key(line(0, 8, 20, 8, "bound", f' stroke="{BLACK}"'), "bound"))
    return f'<p class="legend">{"".join(keys)}</p>'


def front_table(run: Run) -> str:
    """The members of the front, least error first, with all costs; of many the rest folded away."""
    order = sorted(run.front, key=lambda i: (run.front[i].error, i))
    rest = ""
    if len(order) > SHOWN:
        rest = (
            f"<details><summary>{len(order) - SHOWN} more</summary>{_members(run, order[SHOWN:])}</details>"
        )
    return _members(run, order[:SHOWN]) + rest


def _members(run: Run, order: Sequence[int]) -> str:
    bounds, error = run.bounds.resources, error_of(run.detects)
    head = "".join(f"<th>{escape(q.title)}</th>" for q in (error, *COSTS))
    rows = []
    for index in order:
        point, candidate = run.front[index], run.records[index].candidate
        cells = f"<td>{ERROR.text(point.error)}</td>"
        for q in COSTS:
            over = q.name in bounds and value(point, q.name) > bounds[q.name]
            cells += f"<td{' class=over' if over else ''}>{q.text(value(point, q.name))}</td>"
        parent = "" if candidate.parent is None else f"#{candidate.parent}"
        star = " ★" if index == run.chosen else ""
        rows.append(
            f'<tr data-run="0" data-index="{index}"><th>#{index}{star}</th>{cells}'
            f'<td>{parent}</td><td class="words">{escape(candidate.morph)}</td></tr>'
        )
    return (
        f'<div class="wide"><table class="numbers front"><thead><tr><th>candidate</th>{head}<th>parent</th>'
        f"<th class=words>morph</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def runs_table(runs: Sequence[Run], names: Sequence[str]) -> str:
    """The chosen candidate of every search, which is the best within its bounds if there is one."""
    error = error_quantity(list(runs))
    head = "".join(f"<th>{escape(q.title)}</th>" for q in (error, *COSTS))
    rows = []
    for nth, (run, name) in enumerate(zip(runs, names, strict=True)):
        colour, shape = SERIES[nth]
        key = picture(16, 16, marks(shape, [(8, 8)], 4.5, colour), "", "icon")
        first = f"<th>{key} {escape(name)}</th><td>{len(run.records)} / {run.asked}</td>"
        if run.chosen is None:
            rows.append(f"<tr>{first}<td colspan={len(COSTS) + 3}>none trained in full yet</td></tr>")
            continue
        point = run.points[run.chosen]
        cells = "".join(f"<td>{q.text(value(point, q.name))}</td>" for q in (ERROR, *COSTS))
        over = broken(run.reached(run.chosen), run.bounds, run.detects)
        verdict = f"no: {', '.join(over)}" if over else "yes"
        rows.append(
            f'<tr data-run="{nth}" data-index="{run.chosen}">{first}<th>#{run.chosen}</th>'
            f'<td class="words">{verdict}</td>{cells}</tr>'
        )
    return (
        '<div class="wide"><table class="numbers"><thead><tr><th>search</th><th>candidates</th>'
        f"<th>chosen</th><th class=words>within its bounds</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def script_data(runs: Sequence[Run], names: Sequence[str]) -> str:
    """All candidates in JSON, by column; nothing in it can end the element that holds it."""
    shown: list[dict[str, Any]] = []
    for run, name, (colour, _) in zip(runs, names, SERIES, strict=False):
        points = [record.point for record in run.records]
        columns = {ERROR.name: [None if p is None else round(p.error, 6) for p in points]}
        for q in COSTS:
            columns[q.name] = [_short(getattr(record.costs, q.name)) for record in run.records]
        shown.append(
            {
                "name": name,
                "colour": BLUE if len(runs) == 1 else colour,
                "values": columns,
                "parent": [record.candidate.parent for record in run.records],
                "morph": [record.candidate.morph for record in run.records],
                "epochs": [len(r.outcome.curve) if r.outcome.stopped else 0 for r in run.records],
                "failure": {str(r.candidate.index): str(r.outcome.failure)[:REASON] for r in run.failed},
                "front": list(run.front),
                "chosen": run.chosen,
            }
        )
    quantities = [
        {"name": q.name, "label": q.label, "unit": q.unit, "scale": q.scale, "decimals": q.decimals}
        for q in (error_quantity(list(runs)), *COSTS)
    ]
    text = json.dumps({"runs": shown, "quantities": quantities}, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _short(cost: float) -> float:
    return cost if isinstance(cost, int) else float(f"{cost:.6g}")


def large(error: float, detects: bool) -> str:
    """An error as a number alone, or the F1 of a detector."""
    return f"{1 - error:.3f}" if detects else f"{ERROR.text(error)} %"


def tiles(run: Run) -> str:
    """The few numbers that matter most, large, and which bounds the chosen network keeps."""
    done, bounds = len(run.records), ""
    found = [
        (
            f"{done:,} / {run.asked}",
            f"candidate{'' if run.asked == '1' else 's'}{'' if run.finished else ' so far'}",
        ),
        (f"{len(run.points):,}", "trained in full"),
        (f"{len(run.stopped):,}", "stopped early"),
        (f"{len(run.failed):,}", "failed"),
    ]
    if run.chosen is not None:
        point = run.points[run.chosen]
        saved = run.saved
        kept = saved is not None and saved.index is not None
        error = "F1" if run.detects else "error"
        trained = (
            f"validation {error} after {saved.epochs} epochs" if saved and kept else f"validation {error}"
        )
        reached = run.reached(run.chosen)
        part = "the chosen one" if kept or saved is None else "the best found"
        found.append((large(reached.error, run.detects), f"{trained} of #{run.chosen}, {part}"))
        bounds = f"<p>#{run.chosen} is {escape(verdict(reached, run.bounds, run.detects))}.</p>"
        if saved:
            of = "" if kept else f" of the hand-made {rival.name_of(run.config)}, which is kept"
            found.append((large(saved.test_error, run.detects), f"test {error}{of}"))
        found += [(f"{q.text(value(point, q.name))} {q.unit}".strip(), q.label) for q in resources([run])]
    cells = "".join(f"<div><b>{escape(big)}</b><span>{escape(small)}</span></div>" for big, small in found)
    return f'<div class="tiles">{cells}</div>{bounds}'
