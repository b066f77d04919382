"""The space of detectors: staged networks that answer on a grid of cells.

A genotype is one of :mod:`search.space.staged` without a hidden layer. Its stem steps by 1, 2 or 4 and each
stage samples down until a cell is :data:`STRIDE` pixels; the stages and blocks behind that widen what a cell
sees. Pools are padded, so that the cells at the far edges are there. The head is a pointwise convolution: for
each cell a score of the background and one of each class.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from models.graph import SAME, Graph, GraphBuilder, output_units
from search.space import staged, staged_morphs
from search.space.draws import chance, random_sparsity
from search.space.limits import require
from search.space.morph import STEPS_KEPT, Morph, fixed
from search.space.staged import Block, Stage, Staged, Stem

# Side of a cell, pixels.
STRIDE = 16

# Of stems that step by 1, 2 and 4, and of their kernels.
P_STEM_STRIDES, P_STEM_KERNELS = (0.05, 0.55, 0.4), (0.3, 0.45, 0.25)
# How much wider than what is before it the first stage is, and each other one: maps of the stem are large, so
# channels come late.
DRAWN_STEM, FIRST_GROWTH, GROWTH = 8, (1.2, 4.0), (1.1, 2.2)
# Of a further stage behind the one that reaches the stride, while there may be one.
P_FURTHER, P_POOL, P_TOP = 0.6, 0.5, 0.1
# Of one, two and three blocks, of their kinds and of their kernels: before the stride is reached, and behind.
P_BLOCKS = ((0.85, 0.12, 0.03), (0.4, 0.4, 0.2))
P_KINDS = ((0.45, 0.4, 0.15), (0.2, 0.5, 0.3))
P_KERNELS = ((0.85, 0.15), (0.5, 0.5))
P_RESIDUAL = 0.7


def _cells() -> Staged:
    """:func:`models.zoo.cells`."""
    small, large = (Block(staged.SEPARABLE, kernel, 2, False) for kernel in staged.KERNELS)
    parts = (32, (small,)), (56, (large,)), (56, (large, large))
    return Staged(Stem(5, 4, 12), tuple(Stage(True, *part) for part in parts), None, False)


STARTS = {"cells": _cells()}


def reaches(genotype: Staged) -> bool:
    """Is it a detector: do stem and stages sample down to the stride, and is no dense layer behind them?"""
    return genotype.hidden is None and genotype.stem.stride * 2 ** len(genotype.stages) >= STRIDE


def random_cells(rng: np.random.Generator, pruned: bool = False) -> Staged:
    """A detector whose widths are right in proportion only: :mod:`search.space.filling` makes them fit.

    Args:
      pruned: draw a sparsity too, uniform over its range.
    """
    kernel = staged.STEM_KERNELS[int(rng.choice(len(staged.STEM_KERNELS), p=P_STEM_KERNELS))]
    stride = staged.STRIDES[int(rng.choice(len(staged.STRIDES), p=P_STEM_STRIDES))]
    sampling = (STRIDE // stride).bit_length() - 1
    count = sampling
    while count < staged.MAX_STAGES and chance(rng, P_FURTHER):
        count += 1
    width, stages = float(DRAWN_STEM), []
    for place in range(count):
        width *= float(rng.uniform(*(GROWTH if place else FIRST_GROWTH)))
        behind = int(place + 1 >= sampling)
        depth = 1 + int(rng.choice(staged.MAX_BLOCKS, p=P_BLOCKS[behind]))
        blocks = tuple(_random_block(rng, behind) for _ in range(depth))
        stages.append(Stage(chance(rng, P_POOL), staged.scaled_width(1, width), blocks))
    sparsity = random_sparsity(rng) if pruned else None
    growth = float(rng.uniform(*staged.TOP_GROWTH))
    top = staged.scaled_width(1, width * growth) if chance(rng, P_TOP) else None
    return Staged(Stem(kernel, stride, DRAWN_STEM), tuple(stages), None, False, sparsity, top)


def _random_block(rng: np.random.Generator, behind: int) -> Block:
    kind = staged.KINDS[int(rng.choice(len(staged.KINDS), p=P_KINDS[behind]))]
    kernel = staged.KERNELS[int(rng.choice(len(staged.KERNELS), p=P_KERNELS[behind]))]
    expansion = staged.EXPANSIONS[int(rng.integers(len(staged.EXPANSIONS)))]
    return Block(kind, kernel, expansion, chance(rng, P_RESIDUAL))


def assemble(genotype: Staged, input_shape: tuple[int, int, int], classes: int) -> Graph:
    """The network of ``genotype`` for frames of ``input_shape`` (H, W, C) and ``classes`` >= 1.

    Raises:
      LogGradError: it does not reach the stride, or has a dense layer.
    """
    require(reaches(genotype), f"no detector of stride {STRIDE} without a dense layer")
    b = GraphBuilder()
    x, stride = staged.add_stem(b, b.input(*input_shape), genotype.stem), genotype.stem.stride
    for stage in genotype.stages:
        step = 2 if stride < STRIDE else 1
        stride *= step
        if step == 2 and stage.pool:
            x, step = b.max_pool(x, 2, padding=SAME), 1
        x = staged.add_blocks(b, x, stage, step)
    x = staged.add_top(b, x, genotype.top)
    return b.build(b.conv(x, output_units(classes, detects=True), 1))


def morphs(genotype: Staged) -> list[Morph[Staged]]:
    """Every step to another detector, in a fixed order."""
    removable = genotype.stem.stride * 2 ** (len(genotype.stages) - 1) >= STRIDE
    stages = staged_morphs.stage_morphs(genotype)
    return [
        *staged_morphs.width_morphs(genotype),
        *staged_morphs.kernel_morphs(genotype),
        *_step_morphs(genotype),
        *(morph for morph in stages if removable or morph.sort != "remove stage"),
        *staged_morphs.top_morphs(genotype),
    ]


def _step_morphs(genotype: Staged) -> Iterator[Morph[Staged]]:
    for stride in staged.STRIDES:
        moved = dataclasses.replace(genotype, stem=dataclasses.replace(genotype.stem, stride=stride))
        if stride != genotype.stem.stride and reaches(moved):
            yield fixed(f"stem: step {stride}", moved)


# Parents of several children are asked for their steps again and again.
steps = functools.lru_cache(maxsize=STEPS_KEPT)(morphs)
