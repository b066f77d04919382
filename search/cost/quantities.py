"""How objectives are told to people: their words, units and scales, and which bounds a network keeps."""

import dataclasses
from collections.abc import Iterable

from search.cost.costs import RESOURCES
from search.cost.objectives import BOUND_FLAGS, Bounds, Point


@dataclasses.dataclass(frozen=True)
class Quantity:
    """How an objective is shown: ``label (unit)``, values times ``scale`` with so many decimals."""

    name: str
    label: str
    unit: str
    scale: float = 1.0
    decimals: int = 0

    @property
    def title(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def text(self, value: float) -> str:
        return f"{value * self.scale:,.{self.decimals}f}"

    def bound_text(self, bound: float) -> str:
        """A bound with its unit, in as many digits as it was given with."""
        return f"{bound * self.scale:,.10g} {self.unit}".strip()


ERROR = Quantity("error", "validation error", "%", 100, 2)
# What a detector's error is.
UNFOUND = Quantity("error", "1 - F1 on validation", "%", 100, 2)
QUANTITIES = {
    q.name: q
    for q in (
        ERROR,
        Quantity("peak_memory", "peak memory", "B"),
        Quantity("size", "weights", "B"),
        Quantity("macs", "multiply-accumulates", ""),
        Quantity("ram", "RAM on the board", "B"),
        Quantity("flash", "flash on the board", "B"),
        Quantity("latency", "latency, estimated", "ms", 1e3, 1),
        Quantity("energy", "energy, estimated", "mJ", 1e3, 3),
    )
}
COSTS = tuple(QUANTITIES[name] for name in RESOURCES)
# Flags of the bounds by what they bound.
FLAG_OF = {flag.path[-1]: f"--{flag.name}" for flag in BOUND_FLAGS}


def error_of(detects: bool) -> Quantity:
    """How the error of a detector, or of a classifier, is shown beside costs."""
    return UNFOUND if detects else ERROR


def candidates(count: int) -> str:
    """How many there are: ``1 candidate``, ``27 candidates``."""
    return f"{count} candidate{'' if count == 1 else 's'}"


def reached(error: float, detects: bool) -> str:
    """An error in a sentence: ``error 12.34%``, or of a detector ``F1 0.312``."""
    return f"F1 {1 - error:.3f}" if detects else f"error {error:.2%}"


def against(values: Iterable[tuple[str, float]], bounds: Bounds, detects: bool = False) -> str:
    """Values beside their bounds: ``RAM on the board 5,312 of 5,000 B, ...``."""
    limits, words = bounds.to_json(), QUANTITIES | {ERROR.name: error_of(detects)}
    shown = ((words[name], value, limits[name]) for name, value in values)
    return ", ".join(f"{q.label} {q.text(value)} of {q.bound_text(bound)}" for q, value, bound in shown)


def verdict(point: Point, bounds: Bounds, detects: bool = False) -> str:
    """Which bounds hold and which do not, the error's among them, as the end of a sentence."""
    kept, over = _split(point, bounds)
    if not over:
        return "within all bounds" if kept else "without bounds"
    words = QUANTITIES | {ERROR.name: error_of(detects)}
    inside = f"within its bounds: {', '.join(words[name].label for name, _ in kept)}; " if kept else ""
    return f"{inside}over its bounds: {against(over, bounds, detects)}"


def broken(point: Point, bounds: Bounds, detects: bool = False) -> list[str]:
    """What lies over its bound, the error's first, in words."""
    words = QUANTITIES | {ERROR.name: error_of(detects)}
    return [words[name].label for name, _ in _split(point, bounds)[1]]


def _split(point: Point, bounds: Bounds) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Names and values of what keeps its bound, and of what does not."""
    found = [(ERROR.name, point.error)] if bounds.error is not None else []
    found += [(name, getattr(point.costs, name)) for name in bounds.resources]
    limits = bounds.to_json()
    return [x for x in found if x[1] <= limits[x[0]]], [x for x in found if x[1] > limits[x[0]]]
