"""The front as a picture and as a table.

``front.csv``: one line per member of the front, best error first, with all costs.
``front.png``: a panel for each bounded cost, validation error against it, with every candidate
trained in full, the front, the bounds and the chosen candidate. Colours: Okabe and Ito's, told
apart by the common forms of colour blindness; shapes differ too.
"""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np

from loggrad_tf.files import write_whole
from search.cost.objectives import Bounds, Point

GREY, BLUE, VERMILLION, BLACK = "#999999", "#0072B2", "#D55E00", "#000000"
UNITS = {
    "peak_memory": "peak memory (bytes)",
    "size": "model size (bytes)",
    "macs": "multiply-accumulates",
    "ram": "RAM on the board (bytes)",
    "flash": "flash on the board (bytes)",
    "instructions": "instructions",
    "latency": "latency (s)",
    "energy": "energy (J)",
}


def by_error(front: dict[int, Point]) -> list[int]:
    """Members of the front, least error first."""
    return sorted(front, key=lambda i: (front[i].error, *dataclasses.astuple(front[i].costs), i))


def write_csv(path: Path, front: dict[int, Point]) -> None:
    """``front.csv``, written whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("candidate", "val_error", *UNITS))
    for index in by_error(front):
        costs = front[index].costs
        writer.writerow([index, front[index].error, *(getattr(costs, name) for name in UNITS)])
    write_whole(path, text.getvalue().encode())


def write_png(
    path: Path,
    points: dict[int, Point],
    front: dict[int, Point],
    bounds: Bounds,
    chosen: int | None,
    title: str,
    error: str = "validation error",
) -> None:
    """``front.png``, 150 dpi, written whole or not at all.

    Args:
      error: what the errors are, in words.
    """
    # The figure's own canvas, not pyplot: no display, no global state. Slow to import, used last.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

    limits = bounds.resources
    figure = Figure(figsize=(4 * max(len(limits), 1), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, max(len(limits), 1), sharey=True, squeeze=False)[0]
    every, members = _array(points, bounds), _array(front, bounds)
    for column, (panel, name) in enumerate(zip(axes, limits, strict=False), 1):
        panel.set_xscale("log")
        panel.scatter(
            every[:, column], every[:, 0], s=14, c=GREY, marker="o", alpha=0.5, label="trained", lw=0
        )
        stairs = _stairs(members[:, column], members[:, 0])
        panel.step(stairs[:, 0], stairs[:, 1], where="post", c=BLUE, lw=1)
        panel.scatter(members[:, column], members[:, 0], s=26, c=BLUE, marker="s", label="front", lw=0)
        if chosen is not None:
            at = points[chosen].objectives(bounds)
            panel.scatter(
                at[column],
                at[0],
                s=150,
                c=VERMILLION,
                marker="*",
                edgecolors=BLACK,
                lw=0.6,
                label="saved",
                zorder=5,
            )
        panel.axvline(limits[name], c=BLACK, ls="--", lw=1, label="bound")
        if bounds.error is not None:
            panel.axhline(bounds.error, c=BLACK, ls="--", lw=1)
        panel.set_xlabel(UNITS[name])
        low, high = panel.get_xlim()
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)) if high > 10 * low else MaxNLocator(5))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(alpha=0.25)
    axes[0].set_ylabel(error)
    axes[0].set_ylim(bottom=0)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[-1].legend(loc="best", framealpha=0.9)
    figure.suptitle(title)
    image = io.BytesIO()
    figure.savefig(image, dpi=150, metadata={"Software": None})
    write_whole(path, image.getvalue())


def _array(points: dict[int, Point], bounds: Bounds) -> np.ndarray:
    rows = [p.objectives(bounds) for p in points.values()]
    return np.array(rows, np.float64).reshape(len(rows), 1 + len(bounds.resources))


def _stairs(cost: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The least error to be had at each cost, (n, 2), cost ascending."""
    order = np.lexsort((error, cost))
    falling = np.minimum.accumulate(error[order])
    return np.stack([cost[order], falling], axis=1)
