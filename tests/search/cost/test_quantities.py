"""search.cost.quantities: which bounds hold and which do not, in words."""

import pytest

from search.cost.objectives import Bounds
from search.cost.quantities import against, broken, candidates, verdict
from tests.support.search_cases import point

BOUNDS = Bounds(0.05, None, 20_000, 1_000_000, 10_000, latency=0.05)


@pytest.mark.parametrize(
    ("error", "macs", "over", "said"),
    [
        (0.04, 9, ["latency, estimated"], "over its bounds: latency, estimated 100.0 of 50 ms"),
        (
            0.4,
            9,
            ["validation error", "latency, estimated"],
            "over its bounds: validation error 40.00 of 5 %",
        ),
        (
            0.05,
            2_000_000,
            ["multiply-accumulates", "latency, estimated"],
            "2,000,000 of 1,000,000",
        ),
    ],
)
def test_each_bound_is_named(error: float, macs: int, over: list[str], said: str) -> None:
    reached = point(error, 1, 100, macs)
    assert broken(reached, BOUNDS) == over
    found = verdict(reached, BOUNDS)
    assert said in found and found.startswith("within its bounds: ") and "within all bounds" not in found
    kept, lost = found.split("; over its bounds: ")
    assert all(name in lost and name not in kept for name in over)
    assert "weights" in kept and "RAM on the board" in kept


def test_all_or_nothing() -> None:
    free = Bounds(None, None, None, None)
    assert verdict(point(0.04, 1, 100, 9), Bounds()) == "within all bounds"
    assert verdict(point(0.9, 1, 100, 9), free) == "without bounds"
    tight = Bounds(0.01, 1, 1, 1)
    assert verdict(point(0.9, 2, 100, 9), tight).startswith(
        "over its bounds: validation error 90.00 of 1 %, "
    )


def test_values_stand_beside_their_bounds() -> None:
    assert against([("ram", 5312), ("macs", 7)], BOUNDS) == (
        "RAM on the board 5,312 of 10,000 B, multiply-accumulates 7 of 1,000,000"
    )


def test_one_is_no_plural() -> None:
    assert [candidates(count) for count in (0, 1, 2)] == ["0 candidates", "1 candidate", "2 candidates"]
