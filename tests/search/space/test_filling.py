"""search.space.filling: staged networks are made to fit, and no narrower than they must be."""

from collections.abc import Iterator

import numpy as np
import pytest

from models.graph import macs
from search.cost.munas import size
from search.space.filling import LEAST_SHARE, Shares, filled, fitted
from search.space.staged import Staged, assemble, random_staged, scaled


def _told(most_macs: float | None, most_size: float | None, most_ram: float | None) -> Shares[Staged]:
    """Shares of bounds; RAM as a constant and a multiple of the sum of the widths."""

    def shares(genotype: Staged, exact: bool = False) -> Iterator[tuple[str, float]]:
        graph = assemble(genotype, (48, 48, 1), 3)
        if most_macs is not None:
            yield "macs", sum(macs(graph, op) for op in graph.ops) / most_macs
        if most_size is not None:
            yield "size", size(graph) / most_size
        if most_ram is not None and not exact:
            yield "ram", (5000 + 40 * sum(genotype.widths)) / most_ram

    return shares


BOUNDS = [(1e6, 2e4, None), (1e6, 2e4, 7500), (3e5, None, None), (None, None, 9000)]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_draw_takes_most_of_the_tightest_bound(bounds: tuple[float | None, ...]) -> None:
    shares = _told(*bounds)
    parts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        genotype = filled(random_staged(rng), shares, rng)
        parts.append(max(share for _, share in shares(genotype)))
    assert max(parts) <= 1 and np.mean(np.array(parts) >= LEAST_SHARE - 0.05) > 0.9
    assert np.std(parts) > 0.005 or bounds[0] is None


def test_without_bounds_a_draw_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    genotype = random_staged(rng)
    assert filled(genotype, _told(None, None, None), rng) == genotype


def test_a_child_that_fits_stays_as_it_is() -> None:
    shares = _told(1e6, 2e4, 8000)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        genotype = filled(random_staged(rng), shares, rng)
        assert fitted(genotype, shares) == genotype
        wider = scaled(genotype, 1.7)
        again = fitted(wider, shares)
        assert max(share for _, share in shares(again)) <= 1
        assert again == wider or max(share for _, share in shares(again)) > 0.7


def test_what_takes_long_to_count_is_seldom_asked_for() -> None:
    asked: list[bool] = []
    told = _told(1e6, 2e4, 7500)

    def shares(genotype: Staged, exact: bool = False) -> Iterator[tuple[str, float]]:
        asked.append(exact)
        return told(genotype, exact)

    for seed in range(50):
        rng = np.random.default_rng(seed)
        filled(random_staged(rng), shares, rng)
    assert asked.count(False) < 4 * 50 and asked.count(True) > 9 * 50


def test_bounds_that_nothing_keeps_end_all_the_same() -> None:
    shares = _told(10, 10, 10)
    rng = np.random.default_rng(0)
    assert set(filled(random_staged(rng), shares, rng).widths) == {1}
