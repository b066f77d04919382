"""The table and the plot of :mod:`benchmarks.search_cost`."""

import io
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loggrad_tf.data.folds import Estimate
from loggrad_tf.files import write_whole

Curves = dict[tuple[str, int], list[tuple[float, float]]]
# Okabe and Ito's colours and a marker of its own for each arm.
STYLES = {
    "faithful": ("#000000", "o"),
    "feasible": ("#E69F00", "s"),
    "random": ("#0072B2", "^"),
    "full": ("#D55E00", "D"),
    "full-feasible": ("#56B4E9", "v"),
    "full-unique": ("#009E73", "P"),
    "full-children": ("#CC79A7", "X"),
    "full-elitist": ("#000080", "<"),
    "full-rungs": ("#F0E442", "*"),
    "full-varied": ("#999999", "p"),
    "full-fused_bn": ("#4B0082", "d"),
    "full+bn": ("#8B4513", "h"),
    "full+loss": ("#228B22", ">"),
    "munas": ("#000000", "o"),
    "staged": ("#D55E00", "D"),
    "drawn": ("#0072B2", "^"),
}


def text(rows: list[dict[str, Any]], curves: Curves, data: str, budget: float) -> str:
    """Markdown: a line an arm, mean and spread over the seeds, and what it took to match faithful."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    lines = [
        f"data {Path(data.partition(':')[2] or data).name}; faithful has {budget:.0f} CPU-seconds a seed;"
        f" mean of {len({row['seed'] for row in rows})} seeds, smallest to largest",
        "",
        "| arm | CPU-seconds | candidates | hypervolume, validation | hypervolume, test"
        " | test error of the best within the bounds | faithful's hypervolume reached after |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm]
        lines.append(
            f"| {arm} | {_mean(own, 'cpu_seconds', 0)} | {_mean(own, 'candidates', 0)}"
            f" | {_spread(own, 'validation_hypervolume')} | {_spread(own, 'test_hypervolume')}"
            f" | {_spread(own, 'test_error_of_the_best_by_validation')} | {_matched(arm, curves)} |"
        )
    return "\n".join([*lines, *_differences(rows)]) + "\n"


def _differences(rows: list[dict[str, Any]]) -> list[str]:
    """What the staged space's evolution has more than each other of its scale, paired by seed."""
    found = []
    keys = {
        "hypervolume, test": "test_hypervolume",
        "test error of the best": "test_error_of_the_best_by_validation",
    }
    for other in ("munas", "drawn"):
        for name, key in keys.items():
            own, its = ({r["seed"]: r[key] for r in rows if r["arm"] == arm} for arm in ("staged", other))
            pairs = [(own[s], its[s]) for s in own if own[s] is not None and its.get(s) is not None]
            if len(pairs) > 1:
                more = [a - b for a, b in pairs]
                error = statistics.stdev(more) / len(more) ** 0.5
                low, high = Estimate(statistics.mean(more), error, len(more) - 1).interval
                found.append(
                    f"staged less {other}, {name}: {statistics.mean(more):+.4f}, 95 % interval"
                    f" {low:+.4f} to {high:+.4f} ({len(more)} seeds, paired)"
                )
    return ["", *found] if found else []


def _mean(rows: list[dict[str, Any]], key: str, digits: int) -> str:
    return f"{statistics.mean(row[key] for row in rows):,.{digits}f}"


def _spread(rows: list[dict[str, Any]], key: str) -> str:
    """Mean, least and most of the searches that have a value, and how many have none."""
    values = [row[key] for row in rows if row[key] is not None]
    if not values:
        return "none"
    none = f", {len(rows) - len(values)} with none" if len(values) < len(rows) else ""
    return f"{statistics.mean(values):.3f} ({min(values):.3f}-{max(values):.3f}{none})"


def _matched(arm: str, curves: Curves) -> str:
    """Share of faithful's cost after which the arm's validation hypervolume is faithful's last, by seed."""
    shares = []
    for (name, seed), steps in curves.items():
        other = curves.get(("faithful", seed))
        if name != arm or arm == "faithful" or other is None:
            continue
        at = next((cost for cost, volume in steps if volume >= other[-1][1]), None)
        shares.append("never" if at is None else f"1/{other[-1][0] / at:.0f}" if at else "at once")
    return ", ".join(shares) or "-"


def plot(path: Path, curves: Curves, data: str) -> None:
    """Hypervolume by validation error over CPU-seconds, one line a search."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    labelled: set[str] = set()
    for (arm, _), steps in curves.items():
        colour, marker = STYLES[arm]
        x, y = _columns(steps[1:])
        label = None if arm in labelled else arm
        labelled.add(arm)
        axes.step(x, y, where="post", color=colour, marker=marker, ms=4, lw=1.2, label=label, alpha=0.85)
    axes.set_xscale("log")
    axes.set_xlabel("CPU-seconds of all processes")
    axes.set_ylabel("hypervolume, validation (share of the box)")
    axes.set_title(f"What a front costs ({Path(data.partition(':')[2] or data).name}), a line a seed")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", framealpha=0.9)
    image = io.BytesIO()
    figure.savefig(image, dpi=150, format="png", metadata={"Software": None})
    write_whole(path, image.getvalue())


def _columns(steps: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    pairs = list(steps)
    return [cost for cost, _ in pairs], [volume for _, volume in pairs]
