"""Morphs: the small steps from one network to a neighbour.

``morphs`` lists every step that applies to a genotype, one entry per place and amount. A child is
one of them, all equally likely, redrawn if the network stays as it was (a kernel already clipped
to its map, a pooling of a 1x1 map). Contents of added blocks and layers are drawn as
:mod:`search.space.genotype` draws them.

The steps (muNAS, table 1): add or remove a block, flip branch/serial, add or remove a layer,
change its kind, filters +-1, 3, 5, kernel +-2, flip stride, batch norm, ReLU or pre-pool, final
pooling on/off, kind or size, add or remove a dense layer, its units +-1, 3, 5. The sparsity of a
pruned network moves by N(0, 0.05) with every child.

Most of these are steps of a few filters, which hardly change a network. ``varied`` steps: first a
sort of step is drawn, then one of that sort; widths also change by factors, of one layer or of all;
and a child may be several steps away.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from models.graph import Graph
from search.space import genotype as space
from search.space.draws import moved_sparsity
from search.space.genotype import Genotype, Layer
from search.space.morph import STEPS_KEPT, Morph, any_of, fixed, inserted, one_by_sort, replaced

STEPS = (-5, -3, -1, 1, 3, 5)
# Varied steps.
FACTORS = (0.5, 0.71, 1.41, 2.0)
P_ANOTHER, MOST_STEPS = 0.5, 4

Layers = tuple[Layer, ...]
ChangeLayers = Callable[[np.random.Generator], Layers]


def morphs(genotype: Genotype) -> list[Morph[Genotype]]:
    """Every step that applies to ``genotype``, in a fixed order."""
    return [*_block_morphs(genotype), *_pooling_morphs(genotype), *_dense_morphs(genotype)]


def scalings(genotype: Genotype) -> list[Morph[Genotype]]:
    """Steps that change widths by factors: of one layer, one dense layer, or all."""
    replace, found = dataclasses.replace, []
    for factor in FACTORS:
        found.append(fixed(f"scale all x{factor}", space.scaled(genotype, factor)))
        for i, block in enumerate(genotype.blocks):
            for j, layer in enumerate(block.layers):
                if layer.kind != space.DEPTHWISE:
                    layers = replaced(block.layers, j, space.scaled_layer(layer, factor))
                    blocks = replaced(genotype.blocks, i, replace(block, layers=layers))
                    name = f"block {i}: layer {j}: scale filters x{factor}"
                    found.append(fixed(name, replace(genotype, blocks=blocks)))
        for i, units in enumerate(genotype.dense):
            dense = replaced(genotype.dense, i, space.scaled_units(units, factor))
            found.append(fixed(f"dense {i}: scale units x{factor}", replace(genotype, dense=dense)))
    return found


def _add_block(genotype: Genotype, i: int, rng: np.random.Generator) -> Genotype:
    new = space.random_block(rng, first=i == 0)
    return dataclasses.replace(genotype, blocks=inserted(genotype.blocks, i, new))


def _change_layers(genotype: Genotype, i: int, change: ChangeLayers, rng: np.random.Generator) -> Genotype:
    block = dataclasses.replace(genotype.blocks[i], layers=change(rng))
    return dataclasses.replace(genotype, blocks=replaced(genotype.blocks, i, block))


def _block_morphs(genotype: Genotype) -> Iterator[Morph[Genotype]]:
    blocks, replace = genotype.blocks, dataclasses.replace
    if len(blocks) < space.MAX_BLOCKS:
        for i in range(len(blocks) + 1):
            yield Morph(f"add block {i}", functools.partial(_add_block, genotype, i))
    if len(blocks) > 1:
        for i in range(len(blocks)):
            first, *rest = replaced(blocks, i)
            yield fixed(f"remove block {i}", replace(genotype, blocks=(replace(first, branch=False), *rest)))
    for i, block in enumerate(blocks):
        if i > 0:
            flipped = replace(block, branch=not block.branch)
            yield fixed(f"block {i}: flip branch", replace(genotype, blocks=replaced(blocks, i, flipped)))
        for name, change in _layers_morphs(block.layers):
            yield Morph(f"block {i}: {name}", functools.partial(_change_layers, genotype, i, change))


def _add_layer(layers: Layers, j: int, rng: np.random.Generator) -> Layers:
    return inserted(layers, j, space.random_layer(rng))


def _put(layers: Layers, _: np.random.Generator) -> Layers:
    return layers


def _layers_morphs(layers: Layers) -> Iterator[tuple[str, ChangeLayers]]:
    if len(layers) < space.MAX_LAYERS:
        for j in range(len(layers) + 1):
            yield f"add layer {j}", functools.partial(_add_layer, layers, j)
    if len(layers) > 1:
        for j in range(len(layers)):
            yield f"remove layer {j}", functools.partial(_put, replaced(layers, j))
    for j, layer in enumerate(layers):
        for name, changed in _layer_morphs(layer):
            yield f"layer {j}: {name}", functools.partial(_put, replaced(layers, j, changed))


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


def _add_pooling(genotype: Genotype, rng: np.random.Generator) -> Genotype:
    return dataclasses.replace(genotype, pooling=space.random_pooling(rng))


def _pooling_morphs(genotype: Genotype) -> Iterator[Morph[Genotype]]:
    replace, pooling = dataclasses.replace, genotype.pooling
    if pooling is None:
        yield Morph("pooling on", functools.partial(_add_pooling, genotype))
        return
    yield fixed("pooling off", replace(genotype, pooling=None))
    for kind in space.POOL_KINDS:
        if kind != pooling.kind:
            yield fixed(f"pooling {kind}", replace(genotype, pooling=replace(pooling, kind=kind)))
    for size in space.POOL_SIZES:
        if size != pooling.size:
            yield fixed(f"pooling {size}", replace(genotype, pooling=replace(pooling, size=size)))


def _add_dense(genotype: Genotype, i: int, rng: np.random.Generator) -> Genotype:
    return dataclasses.replace(genotype, dense=inserted(genotype.dense, i, space.random_units(rng)))


def _dense_morphs(genotype: Genotype) -> Iterator[Morph[Genotype]]:
    dense, replace = genotype.dense, dataclasses.replace
    if len(dense) < space.MAX_DENSE:
        for i in range(len(dense) + 1):
            yield Morph(f"add dense {i}", functools.partial(_add_dense, genotype, i))
    for i, units in enumerate(dense):
        if len(dense) > 1:
            yield fixed(f"remove dense {i}", replace(genotype, dense=replaced(dense, i)))
        for step in STEPS:
            if space.MIN_UNITS <= units + step <= space.MAX_UNITS:
                new = replaced(dense, i, units + step)
                yield fixed(f"dense {i}: units {step:+d}", replace(genotype, dense=new))


# Parents of several children are asked for their steps again and again.
_steps = functools.lru_cache(maxsize=STEPS_KEPT)(morphs)


@functools.lru_cache(maxsize=STEPS_KEPT)
def _varied(genotype: Genotype) -> list[Morph[Genotype]]:
    return [*morphs(genotype), *scalings(genotype)]


def mutate(
    genotype: Genotype,
    rng: np.random.Generator,
    assembled: Callable[[Genotype], Graph],
    varied: bool = False,
) -> tuple[Genotype, str]:
    """A random child of ``genotype`` whose network differs.

    Args:
      assembled: the network of a genotype; what "differs" means.
      varied: see the module's head.
    Returns:
      the child and the names of its steps, joined by ``; ``.
    """
    before, names = assembled(genotype), []
    child = genotype
    while True:  # ends: the units of a dense layer can always be changed, and always show
        morph = one_by_sort(_varied(child), rng) if varied else any_of(_steps(child), rng)
        moved = morph.apply(rng)
        if assembled(moved) == assembled(child):
            continue
        child = moved
        names.append(morph.name)
        enough = not varied or len(names) >= MOST_STEPS or rng.random() >= P_ANOTHER
        if enough and assembled(child) != before:
            break
    return dataclasses.replace(child, sparsity=moved_sparsity(child.sparsity, rng)), "; ".join(names)
