"""Morphs: the small steps from one network to a neighbour.

``morphs`` lists every step that applies to a genotype, one entry per place and amount;
``mutate`` draws among them, all equally likely, and redraws a step that leaves the network
as it was (a kernel already clipped to its map, a pooling of a 1x1 map). Contents of added
blocks and layers are drawn as :mod:`search.space` draws them.

The steps (muNAS, table 1): add or remove a block, flip branch/serial, add or remove a layer,
change its kind, filters +-1, 3, 5, kernel +-2, flip stride, batch norm, ReLU or pre-pool, final
pooling on/off, kind or size, add or remove a dense layer, its units +-1, 3, 5.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from models.graph import Graph
from search import space
from search.space import Block, Genotype, Layer

STEPS = (-5, -3, -1, 1, 3, 5)

Change = Callable[[np.random.Generator], Genotype]


@dataclasses.dataclass(frozen=True)
class Morph:
    """One applicable step: what it is called and how it changes the genotype."""

    name: str
    apply: Change


def _replaced(items: Sequence[Any], i: int, *new: Any) -> tuple[Any, ...]:
    return (*items[:i], *new, *items[i + 1 :])


def _inserted(items: Sequence[Any], i: int, new: Any) -> tuple[Any, ...]:
    return (*items[:i], new, *items[i:])


def morphs(genotype: Genotype) -> list[Morph]:
    """Every step that applies to ``genotype``, in a fixed order."""
    return [*_block_morphs(genotype), *_pooling_morphs(genotype), *_dense_morphs(genotype)]


def _block_morphs(genotype: Genotype) -> Iterator[Morph]:
    blocks = genotype.blocks

    def with_blocks(new: tuple[Block, ...]) -> Genotype:
        return dataclasses.replace(genotype, blocks=new)

    if len(blocks) < space.MAX_BLOCKS:
        for i in range(len(blocks) + 1):
            yield Morph(
                f"add block {i}",
                lambda rng, i=i: with_blocks(_inserted(blocks, i, space.random_block(rng, first=i == 0))),
            )
    if len(blocks) > 1:
        for i in range(len(blocks)):
            rest = _replaced(blocks, i)
            rest = _replaced(rest, 0, dataclasses.replace(rest[0], branch=False))
            yield Morph(f"remove block {i}", lambda _, rest=rest: with_blocks(rest))
    for i, block in enumerate(blocks):
        if i > 0:
            flipped = dataclasses.replace(block, branch=not block.branch)
            yield Morph(
                f"block {i}: flip branch",
                lambda _, i=i, flipped=flipped: with_blocks(_replaced(blocks, i, flipped)),
            )
        for name, change in _layers_morphs(block.layers):
            yield Morph(
                f"block {i}: {name}",
                lambda rng, i=i, block=block, change=change: with_blocks(
                    _replaced(blocks, i, dataclasses.replace(block, layers=change(rng)))
                ),
            )


def _layers_morphs(
    layers: tuple[Layer, ...],
) -> Iterator[tuple[str, Callable[[np.random.Generator], tuple[Layer, ...]]]]:
    if len(layers) < space.MAX_LAYERS:
        for j in range(len(layers) + 1):
            yield f"add layer {j}", lambda rng, j=j: _inserted(layers, j, space.random_layer(rng))
    if len(layers) > 1:
        for j in range(len(layers)):
            yield f"remove layer {j}", lambda _, j=j: _replaced(layers, j)
    for j, layer in enumerate(layers):
        for name, changed in _layer_morphs(layer):
            yield f"layer {j}: {name}", lambda _, j=j, changed=changed: _replaced(layers, j, changed)


def _layer_morphs(layer: Layer) -> Iterator[tuple[str, Layer]]:
    replace = dataclasses.replace
    for kind in space.KINDS:
        if kind != layer.kind:
            yield f"kind {kind}", replace(layer, kind=kind)
    if layer.kind != space.DEPTHWISE:
        for step in STEPS:
            filters = layer.filters + step
            if space.MIN_FILTERS <= filters <= space.MAX_FILTERS:
                yield f"filters {step:+d}", replace(layer, filters=filters)
    if layer.kind != space.POINTWISE:
        for step in (-2, 2):
            if layer.kernel + step in space.KERNELS:
                yield f"kernel {step:+d}", replace(layer, kernel=layer.kernel + step)
        yield "flip stride", replace(layer, strided=not layer.strided)
    yield "flip bn", replace(layer, bn=not layer.bn)
    yield "flip relu", replace(layer, relu=not layer.relu)
    yield "flip prepool", replace(layer, prepool=not layer.prepool)


def _pooling_morphs(genotype: Genotype) -> Iterator[Morph]:
    replace = dataclasses.replace
    pooling = genotype.pooling
    if pooling is None:
        yield Morph("pooling on", lambda rng: replace(genotype, pooling=space.random_pooling(rng)))
        return
    yield Morph("pooling off", lambda _: replace(genotype, pooling=None))
    for kind in space.POOL_KINDS:
        if kind != pooling.kind:
            other = replace(pooling, kind=kind)
            yield Morph(f"pooling {kind}", lambda _, other=other: replace(genotype, pooling=other))
    for size in space.POOL_SIZES:
        if size != pooling.size:
            other = replace(pooling, size=size)
            yield Morph(f"pooling {size}", lambda _, other=other: replace(genotype, pooling=other))


def _dense_morphs(genotype: Genotype) -> Iterator[Morph]:
    dense = genotype.dense

    def with_dense(new: tuple[int, ...]) -> Genotype:
        return dataclasses.replace(genotype, dense=new)

    if len(dense) < space.MAX_DENSE:
        for i in range(len(dense) + 1):
            yield Morph(
                f"add dense {i}", lambda rng, i=i: with_dense(_inserted(dense, i, space.random_units(rng)))
            )
    for i, units in enumerate(dense):
        if len(dense) > 1:
            yield Morph(f"remove dense {i}", lambda _, i=i: with_dense(_replaced(dense, i)))
        for step in STEPS:
            if space.MIN_UNITS <= units + step <= space.MAX_UNITS:
                yield Morph(
                    f"dense {i}: units {step:+d}",
                    lambda _, i=i, units=units + step: with_dense(_replaced(dense, i, units)),
                )


def mutate(
    genotype: Genotype, rng: np.random.Generator, assembled: Callable[[Genotype], Graph]
) -> tuple[Genotype, str]:
    """One random morph of ``genotype`` that changes its network.

    Args:
      assembled: the network of a genotype; what "changes" means.
    Returns:
      the child and the morph's name.
    """
    before = assembled(genotype)
    candidates = morphs(genotype)
    while True:  # ends: the units of a dense layer can always be changed, and always show
        morph = candidates[int(rng.integers(len(candidates)))]
        child = morph.apply(rng)
        if assembled(child) != before:
            return child, morph.name
