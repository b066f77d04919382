"""One look for all figures: Okabe and Ito's colours, which the colour blind can tell apart, and shapes.

An input format has one colour, marker and name everywhere.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLOURS = {
    "jpeg8": "#D55E00",
    "raw16": "#999999",
    "loggrad_fp": "#56B4E9",
    "loggrad_1p5": "#0072B2",
    "loggrad_2p25": "#009E73",
    "loggrad_2p75": "#CC79A7",
}
MARKERS = {
    "jpeg8": "s",
    "raw16": "v",
    "loggrad_fp": "D",
    "loggrad_1p5": "o",
    "loggrad_2p25": "^",
    "loggrad_2p75": "P",
}
NAMES = {
    "jpeg8": "JPEG, 8 bit",
    "raw16": "RAW, 16 bit",
    "loggrad_fp": "log gradient, float",
    "loggrad_1p5": "log gradient, 1.5 bit",
    "loggrad_2p25": "log gradient, 2.25 bit",
    "loggrad_2p75": "log gradient, 2.75 bit",
}
# For series that are no input formats, in this order.
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
SHAPES = ("o", "s", "^", "D", "v", "P", "X")


def figure(columns: int = 1, rows: int = 1, width: float = 5.0, height: float = 3.8, **axes: Any) -> Any:
    """A figure and its array of axes [rows, columns], each panel ``width`` x ``height`` inches."""
    made = Figure(figsize=(columns * width, rows * height), layout="constrained")
    FigureCanvasAgg(made)
    panels = made.subplots(rows, columns, squeeze=False, **axes)
    for panel in panels.flat:
        panel.grid(alpha=0.25)
        panel.tick_params(labelsize=11)
    return made, panels


def percent(panel: Any, label: str = "accuracy") -> None:
    """The y axis is a share, in per cent."""
    panel.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_formatter(lambda share, _: f"{round(100 * share, 6):g}%")
    panel.set_ylabel(label, fontsize=12)


def series(panel: Any, x: Sequence[float], values: np.ndarray, name: str, **style: Any) -> None:
    """Mean over seeds as a line, smallest to largest as a band.

    Args:
      values: (seeds, len(x)).
      name: an input format, or a label with ``color`` and ``marker`` in ``style``.
    """
    look = {"color": COLOURS.get(name), "marker": MARKERS.get(name), "label": NAMES.get(name, name)} | style
    panel.plot(x, values.mean(axis=0), lw=1.8, ms=6, **look)
    if len(values) > 1:
        panel.fill_between(x, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.15, lw=0)


def source(spec: str) -> str:
    """What a title calls a data set: ``crops`` for ``folder:/data/crops``."""
    return spec.rstrip("/").rsplit(":", 1)[-1].rsplit("/", 1)[-1]


def by_folds(count: int) -> str:
    """What a title says of folds: ``, 5 folds``; nothing of a single split."""
    return f", {count} folds" if count > 1 else ""


def spread(values: np.ndarray) -> str:
    """``88.1 % (87.4-88.9)``: mean, smallest and largest of shares."""
    if len(values) == 1:
        return f"{100 * values[0]:.1f} %"
    low, high = 100 * values.min(), 100 * values.max()
    return f"{100 * values.mean():.1f} % ({low:.1f}-{high:.1f})"
