"""The few ways in which genotypes are drawn."""

from typing import TypeVar

import numpy as np

from search.space.limits import MAX_SPARSITY, MIN_SPARSITY

Drawn = TypeVar("Drawn")
SPARSITY_STEP = 0.05


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """An integer of low .. high, ends included."""
    return int(rng.integers(low, high, endpoint=True))


def pick(rng: np.random.Generator, choices: tuple[Drawn, ...]) -> Drawn:
    """One of them, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True so often."""
    return bool(rng.random() < probability)


def random_sparsity(rng: np.random.Generator) -> float:
    """Uniform over its range."""
    return float(rng.uniform(MIN_SPARSITY, MAX_SPARSITY))


def moved_sparsity(sparsity: float | None, rng: np.random.Generator) -> float | None:
    """A child's: its parent's plus N(0, 0.05), within its range; None stays None and draws nothing."""
    if sparsity is None:
        return None
    moved = sparsity + SPARSITY_STEP * float(rng.standard_normal())
    return min(max(moved, MIN_SPARSITY), MAX_SPARSITY)
