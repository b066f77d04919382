"""Morphs of the staged space: one or two steps from one network to a neighbour.

First a sort of step is drawn, then one of that sort, each equally likely; half of the children are two steps
away. The steps: all widths, those of the stem, of a stage or of the hidden layer by a factor; kernel and step
of the stem; add or remove a stage or a block; how a stage samples down; kind, kernel, expansion and residual
of a block; the top and the head. A stage never becomes narrower than what is before it, nor wider than what
follows.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from models.graph import Graph
from search.space import staged
from search.space.draws import moved_sparsity
from search.space.morph import STEPS_KEPT, Morph, fixed, inserted, one_by_sort, replaced
from search.space.staged import Block, Stage, Staged

FACTORS, FINE_FACTORS = (0.71, 1.41), (0.71, 0.84, 1.19, 1.41)
P_ANOTHER = 0.5


def morphs(genotype: Staged) -> list[Morph[Staged]]:
    """Every step that applies to ``genotype``, in a fixed order."""
    stride = dataclasses.replace(genotype.stem, stride=3 - genotype.stem.stride)
    return [
        *width_morphs(genotype),
        *kernel_morphs(genotype),
        fixed("stem: flip stride", dataclasses.replace(genotype, stem=stride)),
        *stage_morphs(genotype),
        *top_morphs(genotype),
        *_head_morphs(genotype),
    ]


def width_morphs(genotype: Staged) -> Iterator[Morph[Staged]]:
    """Those of all widths, of the stem's and of each stage's."""
    for factor in FACTORS:
        yield fixed(f"scale all x{factor}", staged.scaled(genotype, factor))
    widths = genotype.widths
    for place, width in enumerate(widths):
        low = widths[place - 1] if place else staged.MIN_WIDTH
        high = widths[place + 1] if place + 1 < len(widths) else staged.MAX_WIDTH
        tried = {}
        for factor in FINE_FACTORS:
            step = 1 if factor > 1 else -1
            moved = round(width * factor)
            tried[factor] = min(max(moved if moved != width else width + step, low), high)
        for factor, moved in tried.items():
            if moved != width:
                name = f"stage {place - 1}: width x{factor}" if place else f"stem: width x{factor}"
                yield fixed(name, genotype.widened(replaced(widths, place, moved)))


def kernel_morphs(genotype: Staged) -> Iterator[Morph[Staged]]:
    """Those of the stem's kernel."""
    stem, replace = genotype.stem, dataclasses.replace
    for kernel in staged.STEM_KERNELS:
        if abs(kernel - stem.kernel) == 2:
            yield fixed(f"stem: kernel {kernel}", replace(genotype, stem=replace(stem, kernel=kernel)))


def stage_morphs(genotype: Staged) -> Iterator[Morph[Staged]]:
    """Those of stages and blocks; what is added is drawn."""
    stages, replace = genotype.stages, dataclasses.replace
    if len(stages) < staged.MAX_STAGES:
        for i in range(len(stages) + 1):
            yield Morph(f"add stage {i}", _adds_stage(genotype, i))
    if len(stages) > staged.MIN_STAGES:
        for i in range(len(stages)):
            yield fixed(f"remove stage {i}", replace(genotype, stages=replaced(stages, i)))
    for i, stage in enumerate(stages):

        def other(new: Stage, i: int = i) -> Staged:
            return replace(genotype, stages=replaced(stages, i, new))

        yield fixed(f"stage {i}: flip pool", other(replace(stage, pool=not stage.pool)))
        blocks = stage.blocks
        if len(blocks) < staged.MAX_BLOCKS:
            for j in range(len(blocks) + 1):
                yield Morph(f"stage {i}: add block {j}", _adds_block(genotype, i, j))
        if len(blocks) > 1:
            for j in range(len(blocks)):
                yield fixed(f"stage {i}: remove block {j}", other(replace(stage, blocks=replaced(blocks, j))))
        for j, block in enumerate(blocks):
            for name, new in _block_morphs(block):
                changed = replace(stage, blocks=replaced(blocks, j, new))
                yield fixed(f"stage {i}: block {j}: {name}", other(changed))


def _block_morphs(block: Block) -> Iterator[tuple[str, Block]]:
    replace = dataclasses.replace
    for kind in staged.KINDS:
        if kind != block.kind:
            yield f"kind {kind}", replace(block, kind=kind)
    for kernel in staged.KERNELS:
        if kernel != block.kernel:
            yield f"kernel {kernel}", replace(block, kernel=kernel)
    if block.kind == staged.INVERTED:
        for expansion in staged.EXPANSIONS:
            if abs(expansion - block.expansion) == 1:
                yield f"expansion {expansion}", replace(block, expansion=expansion)
    yield "flip residual", replace(block, residual=not block.residual)


def _adds_stage(genotype: Staged, i: int) -> Callable[[np.random.Generator], Staged]:
    """Of one block, and of the width half-way between its neighbours."""
    widths = genotype.widths
    following = widths[i + 1] if i + 1 < len(widths) else staged.scaled_width(widths[i], staged.GROWTH[1])
    width = round((widths[i] * following) ** 0.5)

    def added(rng: np.random.Generator) -> Staged:
        new = Stage(bool(rng.random() < staged.P_POOL), width, (staged.random_block(rng),))
        return dataclasses.replace(genotype, stages=inserted(genotype.stages, i, new))

    return added


def _adds_block(genotype: Staged, i: int, j: int) -> Callable[[np.random.Generator], Staged]:
    def added(rng: np.random.Generator) -> Staged:
        stage = genotype.stages[i]
        wider = dataclasses.replace(stage, blocks=inserted(stage.blocks, j, staged.random_block(rng)))
        return dataclasses.replace(genotype, stages=replaced(genotype.stages, i, wider))

    return added


def top_morphs(genotype: Staged) -> Iterator[Morph[Staged]]:
    """Those of the top."""
    replace, top = dataclasses.replace, genotype.top
    if top is None:
        widened = staged.scaled_width(genotype.widths[-1], 2.0)
        yield fixed("add top", replace(genotype, top=widened))
    else:
        yield fixed("remove top", replace(genotype, top=None))
        for factor in FACTORS:
            if (width := staged.scaled_width(top, factor)) != top:
                yield fixed(f"top: width x{factor}", replace(genotype, top=width))


def _head_morphs(genotype: Staged) -> Iterator[Morph[Staged]]:
    replace, units = dataclasses.replace, genotype.hidden
    if units is None:
        for flat in (False, True):
            read = "flat" if flat else "average"
            hidden = replace(genotype, hidden=2 * staged.MIN_HIDDEN, flat=flat)
            yield fixed(f"head hidden of the {read}", hidden)
        return
    yield fixed("head average", replace(genotype, hidden=None))
    yield fixed("flip flat", replace(genotype, flat=not genotype.flat))
    for factor in FACTORS:
        moved = staged.scaled_hidden(units, factor)
        if moved != units:
            yield fixed(f"hidden x{factor}", replace(genotype, hidden=moved))


# Parents of several children are asked for their steps again and again.
steps = functools.lru_cache(maxsize=STEPS_KEPT)(morphs)


def mutate(
    genotype: Staged,
    rng: np.random.Generator,
    assembled: Callable[[Staged], Graph],
    fitted: Callable[[Staged], Staged],
    steps: Callable[[Staged], list[Morph[Staged]]] = steps,
) -> tuple[Staged, str]:
    """A random child of ``genotype`` whose network differs.

    Args:
      assembled: the network of a genotype; what "differs" means.
      fitted: makes a child fit that does not.
      steps: those that apply to a genotype.
    Returns:
      the child and the names of its steps, joined by ``; ``.
    """
    before, wanted = assembled(genotype), 2 if rng.random() < P_ANOTHER else 1
    while True:  # ends: kernel and step of the stem always show, and do not change with the widths
        child, names = genotype, list[str]()
        while len(names) < wanted:
            morph = one_by_sort(steps(child), rng)
            moved = morph.apply(rng)
            if assembled(moved) != assembled(child):
                child = moved
                names.append(morph.name)
        child = fitted(child)
        if assembled(child) != before:
            return dataclasses.replace(child, sparsity=moved_sparsity(child.sparsity, rng)), "; ".join(names)
