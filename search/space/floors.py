"""The narrowest networks of each space: a cost is least at one of them.

They have one channel and the narrowest dense layer. Of muNAS' space: a layer that reads the input and steps
or pools as far as it can, or a chain of such layers, which leaves the fewest weights. Of the staged space,
and of detectors: stages of one block each. That random networks, as narrow, are never below them is tested,
not proved.
"""

import functools
import itertools

from search.space import cells, staged
from search.space.genotype import (
    CONV,
    MAX_LAYERS,
    MIN_FILTERS,
    MIN_UNITS,
    POINTWISE,
    Block,
    Genotype,
    Layer,
    Pooling,
)
from search.space.staged import Staged

_LAST = 6
_CHAINS = (2, 3, 4, 5)


def _chain(layers: tuple[Layer, ...], pool: str | None) -> Genotype:
    blocks = tuple(Block(False, layers[i : i + MAX_LAYERS]) for i in range(0, len(layers), MAX_LAYERS))
    return Genotype(blocks, Pooling(pool, _LAST) if pool else None, (MIN_UNITS,))


def narrowest() -> tuple[Genotype, ...]:
    """Of muNAS' space."""
    layer = functools.partial(Layer, filters=MIN_FILTERS, bn=False, relu=True)
    point, pooled = (layer(POINTWISE, 3, strided=False, prepool=pool) for pool in (False, True))
    stepped = [layer(CONV, 3, strided=True, prepool=pool) for pool in (False, True)]
    return (
        _chain((point,), None),
        _chain((pooled,), "avg"),
        *(_chain((conv,), pool) for conv in stepped for pool in (None, "avg", "max")),
        _chain((layer(CONV, 7, strided=True, prepool=False),), None),
        _chain((stepped[1],) * 2, "max"),
        *(_chain((pooled,) * depth, "avg") for depth in _CHAINS),
    )


def narrowest_staged() -> tuple[Staged, ...]:
    """Of the staged space."""
    depths, hidden = (staged.MIN_STAGES, staged.MAX_STAGES), (None, staged.MIN_HIDDEN)
    found = []
    for kernel, kind, pool, depth, units in itertools.product(
        (3, 7), (staged.CONV, staged.SEPARABLE), (False, True), depths, hidden
    ):
        stage = staged.Stage(pool, staged.MIN_WIDTH, (staged.Block(kind, 3, 2, False),))
        added = staged.Stage(pool, staged.MIN_WIDTH, (staged.Block(kind, 3, 2, True),))
        stem = staged.Stem(kernel, 2, staged.MIN_WIDTH)
        found.append(Staged(stem, (stage,) * depth, units, True))
        if kind == staged.CONV and pool:  # an addition in place of a ReLU
            found.append(Staged(stem, (added, *(stage,) * (depth - 1)), units, True))
    return tuple(found)


def narrowest_cells() -> tuple[Staged, ...]:
    """Of the space of detectors."""
    found = []
    for kernel, stride, kind, pool, depth in itertools.product(
        (3, 7),
        staged.STRIDES,
        (staged.CONV, staged.SEPARABLE),
        (False, True),
        range(2, staged.MAX_STAGES + 1),
    ):
        stage = staged.Stage(pool, staged.MIN_WIDTH, (staged.Block(kind, 3, 2, False),))
        tried = Staged(staged.Stem(kernel, stride, staged.MIN_WIDTH), (stage,) * depth, None, False)
        if cells.reaches(tried):
            found.append(tried)
    return tuple(found)
