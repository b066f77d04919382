"""What makes one candidate better than another: bounds, scalarised fitness, Pareto front.

    fitness = -max over k of  min(f_k / b_k, 10) / lambda_k,   lambda_k ~ U(0, 1)

with f the validation error and the costs that are bounded, and b their bounds (muNAS, section
4.3). The lambdas are drawn anew for each tournament, so that in time every corner of the front
is favoured. Bounds are soft: they set the scale, they forbid nothing. A bound of None drops its
objective, from the fitness and from the front.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.knob import flags_of, knob, positive
from search.cost.costs import Costs

CLIP = 10.0
ERROR, LOSS = "error", "loss"


def _bound(what: str, name: str) -> dict[str, Any]:
    return knob(f"Soft bound on {what}; none drops it.", flag=f"{name}_bound", parse=positive)


@dataclasses.dataclass(frozen=True)
class Bounds(JsonBase):
    """Soft bounds; None drops the objective. Defaults: the paper's (appendix C.1)."""

    error: float | None = dataclasses.field(
        default=0.05, metadata=_bound("the validation error, 0 to 1", "error")
    )
    peak_memory: float | None = dataclasses.field(
        default=10_000, metadata=_bound("peak memory as muNAS counts it, bytes", "memory")
    )
    size: float | None = dataclasses.field(
        default=20_000, metadata=_bound("weights, bytes, with --board none", "size")
    )
    macs: float | None = dataclasses.field(
        default=1_000_000, metadata=_bound("multiply-accumulates a frame", "macs")
    )
    ram: float | None = dataclasses.field(
        default=None, metadata=_bound("RAM of the image, bytes, with --board its RAM", "ram")
    )
    flash: float | None = dataclasses.field(
        default=None, metadata=_bound("flash of the image, bytes, with --board its flash", "flash")
    )
    latency: float | None = dataclasses.field(
        default=None, metadata=_bound("estimated latency, seconds a frame", "latency")
    )
    energy: float | None = dataclasses.field(
        default=None, metadata=_bound("estimated energy, joules a frame", "energy")
    )

    def __post_init__(self) -> None:
        for name, bound in self.to_json().items():
            if bound is not None and not bound > 0:
                raise LogGradError(f"bound on {name} is {bound}; give a positive number, or none to drop it")
        if self.error is not None and self.error > 1:
            raise LogGradError(f"bound on error is {self.error:g}; give a share up to 1, or none to drop it")

    @functools.cached_property
    def resources(self) -> dict[str, float]:
        """The bounded costs and their bounds, in a fixed order."""
        named = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {k: b for k, b in named.items() if b is not None and k != "error"}


BOUND_FLAGS = flags_of(Bounds)


@dataclasses.dataclass(frozen=True)
class Point:
    """A trained candidate in objective space: validation error 0..1 and costs."""

    error: float
    costs: Costs

    def objectives(self, bounds: Bounds) -> tuple[float, ...]:
        """The error, then the bounded costs."""
        return self.error, *(getattr(self.costs, name) for name in bounds.resources)


def draw_lambdas(rng: np.random.Generator, bounds: Bounds) -> tuple[float, ...]:
    """A weight for the error and for each bounded cost, uniform in (0, 1]."""
    return tuple(1.0 - float(x) for x in rng.random(1 + len(bounds.resources)))


def fitness(point: Point, bounds: Bounds, lambdas: tuple[float, ...]) -> float:
    """The scalarised objective (see the module's head); larger is better."""
    scales = (bounds.error, *bounds.resources.values())
    terms = [
        min(f / b, CLIP) / weight
        for f, b, weight in zip(point.objectives(bounds), scales, lambdas, strict=True)
        if b is not None
    ]
    return -max(terms, default=0.0)


def overrun(costs: Costs, bounds: Bounds) -> float:
    """The largest ratio of a cost to its bound: at most 1 if all fit, 0 if none is bounded."""
    return max((getattr(costs, name) / bound for name, bound in bounds.resources.items()), default=0.0)


def dominates(a: Point, b: Point, bounds: Bounds) -> bool:
    """``a`` is nowhere worse than ``b`` and somewhere better, over all objectives."""
    return _beats(a.objectives(bounds), b.objectives(bounds))


def _beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def extend_front(front: dict[int, Point], index: int, point: Point, bounds: Bounds) -> dict[int, Point]:
    """The front after one more candidate; of equal ones the earlier stays."""
    new = point.objectives(bounds)
    have = {i: p.objectives(bounds) for i, p in front.items()}
    if any(_beats(old, new) or old == new for old in have.values()):
        return front
    return {i: front[i] for i, old in have.items() if not _beats(new, old)} | {index: point}


def pareto_front(points: dict[int, Point], bounds: Bounds) -> dict[int, Point]:
    """Candidates that none dominates, in order of index."""
    front: dict[int, Point] = {}
    for index in sorted(points):
        front = extend_front(front, index, points[index], bounds)
    return front


def ranking(front: dict[int, Point], bounds: Bounds) -> list[int]:
    """Candidates from the one to deploy to the last, by validation error alone.

    Those whose costs are all within their bounds come first, least validation error first; the others
    follow, least overrun first. Ties: fewer MACs, less memory, fewer bytes, then the earlier one. The
    bound on the error plays no part.
    """

    def key(index: int) -> tuple[float, ...]:
        point = front[index]
        costs = point.costs
        excess = max(overrun(costs, bounds), 1.0)
        return excess, point.error, costs.macs, costs.peak_memory, costs.size, costs.ram, index

    return sorted(front, key=key)


def best(front: dict[int, Point], bounds: Bounds) -> int | None:
    """The candidate to deploy, see :func:`ranking`; None of an empty front."""
    return next(iter(ranking(front, bounds)), None)
