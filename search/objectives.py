"""What makes one candidate better than another: bounds, scalarised fitness, Pareto front.

    fitness = -max over k of  min(f_k / b_k, 10) / lambda_k,   lambda_k ~ U(0, 1)

with f = (validation error, peak memory, size, MACs) and bounds b (muNAS, section 4.3). The
lambdas are drawn anew for each tournament, so that in time every corner of the front is
favoured. Bounds are soft: they set the scale, they forbid nothing. A bound of None drops
its objective from the fitness.
"""

import dataclasses
from typing import Any

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.sensor import from_fields
from search.resources import Resources

CLIP = 10.0


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Soft bounds; None drops the objective. Defaults: the paper's (appendix C.1).

    Attributes:
      error: share of validation images classified wrongly, 0..1.
      peak_memory: bytes.
      size: bytes.
      macs: multiply-accumulates per image.
    """

    error: float | None = 0.05
    peak_memory: float | None = 10_000
    size: float | None = 20_000
    macs: float | None = 1_000_000

    def __post_init__(self) -> None:
        for name, bound in self.to_json().items():
            if bound is not None and not bound > 0:
                raise LogGradError(f"bound on {name} is {bound}; give a positive number, or none to drop it")
        if self.error is not None and self.error > 1:
            raise LogGradError(f"bound on error is {self.error:g}; give a share up to 1, or none to drop it")

    def resources(self) -> tuple[float | None, ...]:
        """The bounds on peak memory, size and MACs."""
        return self.peak_memory, self.size, self.macs

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Bounds":
        bounds: Bounds = from_fields(cls, data)
        return bounds


@dataclasses.dataclass(frozen=True)
class Point:
    """A trained candidate in objective space: validation error 0..1 and resources."""

    error: float
    resources: Resources

    def objectives(self) -> tuple[float, float, float, float]:
        r = self.resources
        return self.error, r.peak_memory, r.size, r.macs


def draw_lambdas(rng: np.random.Generator) -> tuple[float, ...]:
    """Four weights, uniform in (0, 1]."""
    return tuple(1.0 - float(x) for x in rng.random(4))


def fitness(point: Point, bounds: Bounds, lambdas: tuple[float, ...]) -> float:
    """The scalarised objective (see the module's head); larger is better."""
    terms = [
        min(f / b, CLIP) / weight
        for f, b, weight in zip(point.objectives(), (bounds.error, *bounds.resources()), lambdas, strict=True)
        if b is not None
    ]
    return -max(terms, default=0.0)


def overrun(resources: Resources, bounds: Bounds) -> float:
    """The largest ratio of a resource to its bound: at most 1 if all fit, 0 if none is bounded."""
    values = (resources.peak_memory, resources.size, resources.macs)
    ratios = [f / b for f, b in zip(values, bounds.resources(), strict=True) if b is not None]
    return max(ratios, default=0.0)


def dominates(a: Point, b: Point) -> bool:
    """``a`` is nowhere worse than ``b`` and somewhere better, over all four objectives."""
    pairs = list(zip(a.objectives(), b.objectives(), strict=True))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def extend_front(front: dict[int, Point], index: int, point: Point) -> dict[int, Point]:
    """The front after one more candidate; of equal points the earlier one stays."""
    if any(dominates(p, point) or p == point for p in front.values()):
        return front
    return {i: p for i, p in front.items() if not dominates(point, p)} | {index: point}


def pareto_front(points: dict[int, Point]) -> dict[int, Point]:
    """Candidates that none dominates, in order of index."""
    front: dict[int, Point] = {}
    for index in sorted(points):
        front = extend_front(front, index, points[index])
    return front


def best(front: dict[int, Point], bounds: Bounds) -> int | None:
    """The candidate to deploy, chosen on validation error alone.

    Among candidates whose resources are all within their bounds the one of least validation
    error; if there is none, the one of least overrun. Ties: fewer MACs, memory, bytes, then
    the earlier one. The bound on the error plays no part. None of an empty front.
    """

    def key(index: int) -> tuple[float, ...]:
        error, peak_memory, size, macs = front[index].objectives()
        excess = max(overrun(front[index].resources, bounds), 1.0)
        return excess, error, macs, peak_memory, size, index

    return min(front, key=key, default=None)
