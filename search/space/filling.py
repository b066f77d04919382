"""Networks made to fit: what a draw or a child becomes before it is asked whether it keeps its bounds.

A network is told its shares of what the bounds allow, the cheapest to count first and no more than are asked
for. A muNAS draw that is over is narrowed or sampled down until it is not, as far as that goes. A staged
draw is scaled to 90-100 % of the bound that is tightest for it, and a child only if it is over.
"""

import dataclasses
from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np

from search.space import genotype as munas
from search.space import staged
from search.space.genotype import Genotype
from search.space.staged import Staged

Of = TypeVar("Of", contravariant=True)


class Shares(Protocol[Of]):
    """Names of costs, and each as a share of what the bounds allow; nothing if nothing is forbidden."""

    def __call__(self, genotype: Of, exact: bool = False) -> Iterator[tuple[str, float]]:
        """Of a network; ``exact``: only of multiply-accumulates and weights, which take no time."""
        ...


MAX_REPAIRS = 24
NARROWING = 0.71
LEAST_SHARE = 0.9
# Of the factor of all widths, and how often their span of octaves is halved.
LARGEST, SMALLEST, HALVINGS = 4.0, 1 / 64, 9
# A step down, and the share of the bound that it is aimed at.
STEEPEST, SLIMMING, AIMED = 0.3, 0.95, 0.96


def repaired(genotype: Genotype, shares: Shares[Genotype], rng: np.random.Generator) -> Genotype:
    """A muNAS network, narrowed or sampled down if it is over a bound."""
    for _ in range(MAX_REPAIRS):
        reason = next((name for name, share in shares(genotype) if share > 1), None)
        if reason is None:
            break
        places = [] if reason == "size" else _full_steps(genotype)
        if places and rng.random() < 0.5:
            genotype = _with_step(genotype, places[0])
        else:
            genotype = munas.scaled(genotype, NARROWING)
    return genotype


def _full_steps(genotype: Genotype) -> list[tuple[int, int]]:
    """Places (block, layer) on the main path that do not sample down, first to last."""
    return [
        (i, j)
        for i, block in enumerate(genotype.blocks)
        for j, layer in enumerate(block.layers)
        if not block.branch and layer.kind != munas.POINTWISE and not layer.strided
    ]


def _with_step(genotype: Genotype, place: tuple[int, int]) -> Genotype:
    i, j = place
    blocks = list(genotype.blocks)
    layers = list(blocks[i].layers)
    layers[j] = dataclasses.replace(layers[j], strided=True)
    blocks[i] = dataclasses.replace(blocks[i], layers=tuple(layers))
    return dataclasses.replace(genotype, blocks=tuple(blocks))


def filled(genotype: Staged, shares: Shares[Staged], rng: np.random.Generator) -> Staged:
    """A staged draw with all widths times the factor that gives it its part of the tightest bound."""
    part = float(rng.uniform(LEAST_SHARE, 1.0))
    if next(shares(genotype, exact=True), None) is not None:
        genotype = _widest(genotype, shares, part)
    return _slimmed(genotype, shares)


def fitted(genotype: Staged, shares: Shares[Staged]) -> Staged:
    """A staged child, all widths times one factor if it is over a bound."""
    if all(share <= 1 for _, share in shares(genotype)):
        return genotype
    if _exact(genotype, shares) > 1:
        genotype = _widest(genotype, shares, 1.0, largest=1.0)
    return _slimmed(genotype, shares)


def _exact(genotype: Staged, shares: Shares[Staged]) -> float:
    """The largest share of those that take no time; 0 if none of them is bounded."""
    return max((share for _, share in shares(genotype, exact=True)), default=0.0)


def _widest(genotype: Staged, shares: Shares[Staged], part: float, largest: float = LARGEST) -> Staged:
    """By halving the octaves: as wide as its exact costs allow, or the narrowest."""
    low, high = SMALLEST, largest
    found = staged.scaled(genotype, low)
    for _ in range(HALVINGS):
        factor = (low * high) ** 0.5
        tried = staged.scaled(genotype, factor)
        if _exact(tried, shares) <= part:
            low, found = factor, tried
        else:
            high = factor
    return found


def _slimmed(genotype: Staged, shares: Shares[Staged]) -> Staged:
    """Step by step down until what takes longer to count fits too, as far as that goes.

    RAM is nearly a constant and a multiple of the widths, so from the second step on the line through the
    last two tells where it ends.
    """
    factor, tried = 1.0, genotype
    earlier: tuple[float, float] | None = None
    for _ in range(MAX_REPAIRS):
        share = max((share for _, share in shares(tried)), default=0.0)
        if share <= 1:
            break
        target = factor / share
        if earlier is not None and earlier[1] > share:
            slope = (earlier[1] - share) / (earlier[0] - factor)
            target = factor - (share - AIMED) / slope
        earlier = factor, share
        factor = min(max(target, STEEPEST * factor), SLIMMING * factor)
        tried = staged.scaled(genotype, factor)
    return tried
