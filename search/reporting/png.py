"""The fronts of several searches as a picture for print: error against each bounded cost.

As the paper's figures 5 and 6: one panel a cost, one colour and one mark a search, stairs through the least
error at each cost, bounds dashed, the chosen candidates starred.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from search.cost.quantities import ERROR
from search.reporting.front import limits, lower_envelope, value
from search.reporting.reading import Run, error_quantity, labels, resources
from search.reporting.svg import SERIES

_MARKERS = {
    "square": "s",
    "triangle": "^",
    "down": "v",
    "diamond": "D",
    "circle": "o",
    "plus": "P",
    "cross": "X",
}


def write_png(path: Path, runs: Sequence[Run]) -> None:
    """Draw the fronts, 200 dpi; the file is written whole or not at all.

    Raises:
      LogGradError: no search has a candidate that was trained in full, or there are more searches than marks.
    """
    # The figure's own canvas, not pyplot: no display, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, PercentFormatter

    if not any(run.points for run in runs):
        raise LogGradError(
            "--png: no candidate was trained in full, so there is no front; wait for the first one"
        )
    if len(runs) > len(SERIES):
        raise LogGradError(
            f"--run: {len(runs)} searches, of which {len(SERIES)} can be told apart: give fewer"
        )
    costs, names = resources(list(runs)), labels(list(runs))
    figure = Figure(figsize=(3.9 * len(costs) + 0.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for panel, cost in zip(axes, costs, strict=True):
        panel.set_xscale("log")
        for run, name, (colour, shape) in zip(runs, names, SERIES, strict=False):
            every = np.array([(value(p, cost.name), p.error) for p in run.points.values()]).reshape(-1, 2)
            panel.scatter(every[:, 0] * cost.scale, every[:, 1], s=9, c=colour, alpha=0.22, lw=0)
            lowest = lower_envelope(run.points, cost.name)
            steps = np.array([(value(p, cost.name), p.error) for p in lowest]).reshape(-1, 2)
            panel.step(steps[:, 0] * cost.scale, steps[:, 1], where="post", c=colour, lw=1.3)
            style = {"c": colour, "ms": 5.5, "mec": "white", "mew": 0.5, "label": name}
            panel.plot(steps[:, 0] * cost.scale, steps[:, 1], _MARKERS[shape], **style)
            if run.chosen is not None:
                best = run.points[run.chosen]
                at = value(best, cost.name) * cost.scale
                panel.plot(at, best.error, "*", c=colour, ms=14, mec="black", mew=0.7, zorder=5)
        for bound, colour in limits(runs, cost.name):
            panel.axvline(bound * cost.scale, c=colour, ls="--", lw=1)
        for bound, colour in limits(runs, ERROR.name):
            panel.axhline(bound, c=colour, ls="--", lw=1)
        panel.set_xlabel(cost.title)
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.25)
    axes[0].set_ylabel(error_quantity(list(runs)).label)
    axes[0].set_ylim(bottom=0)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[-1].legend(loc="best", framealpha=0.9)
    image = io.BytesIO()
    figure.savefig(image, dpi=200, metadata={"Software": None})
    write_whole(path, image.getvalue())
