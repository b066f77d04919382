"""search.cost.objectives: the fitness by hand, the front by its definition."""

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from search.cost.objectives import (
    Bounds,
    Point,
    best,
    dominates,
    draw_lambdas,
    extend_front,
    fitness,
    overrun,
    pareto_front,
)
from tests.support.search_cases import MUNAS, costs
from tests.support.search_cases import point as _point


def test_fitness_by_hand() -> None:
    point = _point(0.2, 5_000, 30_000, 1_000_000)  # ratios 4, 0.5, 1.5, 1
    assert fitness(point, Bounds(), (1, 1, 1, 1)) == pytest.approx(-4)
    assert fitness(point, Bounds(), (1, 0.1, 1, 1)) == pytest.approx(-5)
    assert fitness(point, Bounds(error=None), (1, 1, 1, 1)) == pytest.approx(-1.5)
    assert fitness(point, Bounds(None, None, None, None), (1,)) == 0
    assert fitness(_point(0.9, 1, 1, 10**9), Bounds(), (1, 1, 1, 0.5)) == pytest.approx(-20)  # clipped at 10


def test_lambdas_are_never_zero() -> None:
    drawn = np.array([draw_lambdas(np.random.default_rng(seed), MUNAS) for seed in range(500)])
    assert drawn.shape == (500, 4) and (drawn > 0).all() and (drawn <= 1).all()
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)


def test_bounds_are_positive() -> None:
    with pytest.raises(LogGradError, match="bound on size is 0"):
        Bounds(size=0)


def test_front_is_what_nobody_dominates() -> None:
    rng = np.random.default_rng(2)
    points = {i: _point(*(int(x) for x in rng.integers(0, 6, 4))) for i in range(200)}
    front = pareto_front(points, MUNAS)
    for i, p in points.items():
        beaten = any(dominates(q, p, MUNAS) for q in points.values())
        twin = any(points[j] == p for j in points if j < i)
        assert (i in front) == (not beaten and not twin)


def test_front_grows_one_by_one() -> None:
    rng = np.random.default_rng(3)
    points = {i: _point(*(int(x) for x in rng.integers(0, 9, 4))) for i in range(80)}
    front: dict[int, Point] = {}
    for i, p in points.items():
        front = extend_front(front, i, p, MUNAS)
        assert front == pareto_front({j: points[j] for j in range(i + 1)}, MUNAS)


def test_best_is_the_most_accurate_within_bounds() -> None:
    points = {
        0: _point(0.10, 10_001, 5, 5),
        1: _point(0.20, 9_000, 5, 5),
        2: _point(0.15, 10_000, 20_000, 1_000_000),
        3: _point(0.01, 50_000, 5, 5),
    }
    assert best(points, Bounds()) == 2
    assert best({i: points[i] for i in (0, 3)}, Bounds()) == 0  # least overrun
    assert best(points, Bounds(0.05, None, None, None)) == 3
    assert best({}, Bounds()) is None


def test_best_of_all_is_on_the_front() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        points = {i: _point(*(int(x) for x in rng.integers(1, 5, 4))) for i in range(20)}
        bounds = Bounds(1, *(int(x) for x in rng.integers(1, 5, 3)))
        assert best(points, bounds) == best(pareto_front(points, bounds), bounds)


def test_overrun() -> None:
    assert overrun(costs(5_000, 30_000, 10), Bounds()) == pytest.approx(1.5)
    assert overrun(costs(5_000, 30_000, 10), Bounds(size=None)) == pytest.approx(0.5)


def test_what_is_bounded_is_an_objective() -> None:
    """A network that is worse in RAM alone is dominated only while RAM counts."""
    a, b = Point(0.1, costs(9, 9, 9, ram=10)), Point(0.1, costs(9, 9, 9, ram=20))
    assert not dominates(a, b, MUNAS) and not dominates(b, a, MUNAS)
    deployed = Bounds(peak_memory=None, ram=10_000)
    assert dominates(a, b, deployed) and not dominates(b, a, deployed)
    assert list(deployed.resources) == ["size", "macs", "ram"]
    assert b.objectives(deployed) == (0.1, 9, 9, 20)
    slow = Bounds(None, None, None, None, latency=0.05, energy=0.001)
    assert fitness(Point(0.9, costs(1, 1, 1, latency=0.1)), slow, (1, 1, 0.5)) == pytest.approx(-2)
    assert overrun(costs(1, 1, 1, latency=0.1), slow) == pytest.approx(2)
