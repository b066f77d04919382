"""benchmarks.fronts: the hypervolume by hand."""

import math

import pytest

from benchmarks.fronts import hypervolume, inside
from search.cost.objectives import Bounds
from tests.support.search_cases import point

ONE = Bounds(0.05, None, None, 1000)
WORST = 0.5


def test_a_share_of_the_box_by_hand() -> None:
    """Costs run over three decades: a network at its bound leaves one of them."""
    at_bound = point(0.25, 1, 1, 1000)
    assert hypervolume([at_bound], ONE, WORST) == pytest.approx(0.5 / 3)
    cheaper = point(0.4, 1, 1, 100)  # a fifth of the error's axis, two decades
    assert hypervolume([at_bound, cheaper], ONE, WORST) == pytest.approx(0.5 / 3 + 0.2 / 3)
    assert hypervolume([cheaper, cheaper], ONE, WORST) == pytest.approx(0.2 * 2 / 3)


def test_nothing_outside_the_box_counts() -> None:
    assert hypervolume([], ONE, WORST) == 0
    assert hypervolume([point(0.5, 1, 1, 10), point(0.1, 1, 1, 10_000)], ONE, WORST) == 0
    assert hypervolume([point(0.0, 1, 1, 1)], ONE, WORST) == pytest.approx(1)  # below a hundredth is no gain
    front = {0: point(0.1, 1, 1, 10_000), 1: point(0.1, 1, 1, 10_001)}
    assert list(inside(front, ONE)) == [0]


def test_several_costs_multiply() -> None:
    both = Bounds(0.05, None, 1000, 1000)
    share = math.log(10 / 0.1) / math.log(1000)
    assert hypervolume([point(0.25, 1, 100, 100)], both, WORST) == pytest.approx(0.5 * share * share)
