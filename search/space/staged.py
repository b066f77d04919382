"""The staged space: networks as people make them by hand, most of which learn.

A stem convolution, then 2-4 stages. A stage samples down first, by a 2x2 max-pool or by the step of its first
block, and has 1-3 blocks of one width; widths do not shrink from stage to stage. A block is a convolution, a
depthwise with a pointwise convolution, or an inverted bottleneck (pointwise, depthwise, linear pointwise),
and may be added to its input where the shapes agree. The head is the logits behind a global average, or
behind one hidden dense layer, which reads the average or, of a small map, all of it. A pointwise convolution,
the top, may widen what the head reads: on the small map of the end many channels cost little.

Every convolution is padded to keep its map's size and has batch norm and ReLU; the last one of an inverted
bottleneck has no ReLU, and of a block that is added to its input the sum has it. A map of one pixel is not
sampled down, and a map of more than :data:`MAX_FLAT` pixels is averaged rather than flattened, so every
genotype has a network. A block keeps fields its kind does not use; they do not reach the network.

Of the fixed networks of :mod:`models.zoo`, ``small_bn`` is a point of the space (:data:`STARTS`).
``two_conv_one_fc`` is none: it has no batch norm, and its dense layer reads the flattened output of a pool.
"""

import dataclasses
from typing import Self

import numpy as np

from loggrad_tf.json_base import JsonBase
from models.graph import SAME, VALID, Graph, GraphBuilder, output_units
from search.space.draws import between, chance, pick, random_sparsity
from search.space.limits import require, require_sparsity

CONV, SEPARABLE, INVERTED = "conv", "separable", "inverted"
KINDS = (CONV, SEPARABLE, INVERTED)
# A step of 4 is for detectors (search.space.cells).
STEM_KERNELS, STRIDES = (3, 5, 7), (1, 2, 4)
KERNELS, EXPANSIONS = (3, 5), (2, 3, 4)
MIN_WIDTH, MAX_WIDTH = 1, 128
MIN_HIDDEN, MAX_HIDDEN = 10, 128
MIN_STAGES, MAX_STAGES, MAX_BLOCKS = 2, 4, 3
MAX_FLAT = 36

# What trained-out networks of about a million multiply-accumulates are worth decides what is drawn often (the
# table in docs/results.md): a pool before each stage, four stages so that the head reads a few pixels of many
# channels, one 3x3 convolution a stage, and widths that grow late. Large kernels, hidden layers and further
# blocks learn fast and end worse.
P_TOP, TOP_GROWTH = 0.1, (1.5, 3.0)
P_HIDDEN, P_RESIDUAL, P_POOL, P_STEM_STRIDE = 0.03, 0.5, 0.97, 0.97
# Of two, three and four stages.
P_STAGES = (0.03, 0.17, 0.8)
# Of one, two and three blocks in a stage, and of a block's kinds.
P_BLOCKS = (0.96, 0.03, 0.01)
P_KINDS = (0.96, 0.02, 0.02)
# Of the kernels of the stem and of blocks.
P_STEM_KERNELS, P_KERNELS = (0.75, 0.22, 0.03), (0.95, 0.05)
# How much wider than what is before it the first stage is, and each other one.
DRAWN_STEM, FIRST_GROWTH, GROWTH = 32, (1.0, 1.5), (1.3, 2.2)


@dataclasses.dataclass(frozen=True)
class Stem(JsonBase):
    """The convolution that reads the input: kernel 3, 5 or 7, step 1, 2 or 4, 1..128 filters."""

    kernel: int
    stride: int
    width: int

    def __post_init__(self) -> None:
        require(self.kernel in STEM_KERNELS, f"kernel {self.kernel} of the stem, not one of {STEM_KERNELS}")
        require(self.stride in STRIDES, f"stride {self.stride} of the stem, not 1, 2 or 4")
        require(MIN_WIDTH <= self.width <= MAX_WIDTH, f"{self.width} filters of the stem, not 1 to 128")


@dataclasses.dataclass(frozen=True)
class Block(JsonBase):
    """What a stage is made of.

    Attributes:
      kind: ``conv``, ``separable`` (depthwise and pointwise) or ``inverted``.
      kernel: 3 or 5, of the convolution or the depthwise one.
      expansion: 2, 3 or 4 times its input's channels inside; of ``inverted`` only.
      residual: added to its input, where the shapes agree.
    """

    kind: str
    kernel: int
    expansion: int
    residual: bool

    def __post_init__(self) -> None:
        require(self.kind in KINDS, f"block '{self.kind}', not one of {', '.join(KINDS)}")
        require(self.kernel in KERNELS, f"kernel {self.kernel}, not one of {KERNELS}")
        require(self.expansion in EXPANSIONS, f"expansion {self.expansion}, not one of {EXPANSIONS}")


@dataclasses.dataclass(frozen=True)
class Stage(JsonBase):
    """1-3 blocks of one width, 1..128, behind a 2x2 max-pool (``pool``) or with a first step of 2."""

    pool: bool
    width: int
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        require(MIN_WIDTH <= self.width <= MAX_WIDTH, f"a stage of width {self.width}, not 1 to 128")
        require(1 <= len(self.blocks) <= MAX_BLOCKS, f"{len(self.blocks)} blocks in a stage, not 1 to 3")


@dataclasses.dataclass(frozen=True)
class Staged(JsonBase):
    """A point of the staged space.

    Attributes:
      stem: before the stages.
      stages: 2..4, none narrower than what is before it.
      hidden: units of the hidden dense layer, 10..128; None: there is none.
      flat: it reads a small map as it is, not its average.
      top: width, 1..128, of a pointwise convolution behind the stages; None: there is none.
      sparsity: share of its prunable channels that training removes, 0.1..0.85; None: none.
    """

    stem: Stem
    stages: tuple[Stage, ...]
    hidden: int | None
    flat: bool
    sparsity: float | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.top is not None:
            require(MIN_WIDTH <= self.top <= MAX_WIDTH, f"a top of width {self.top}, not 1 to 128")
        require(MIN_STAGES <= len(self.stages) <= MAX_STAGES, f"{len(self.stages)} stages, not 2 to 4")
        widths = self.widths
        require(list(widths) == sorted(widths), f"widths {', '.join(map(str, widths))}, which shrink")
        if self.hidden is not None:
            within = MIN_HIDDEN <= self.hidden <= MAX_HIDDEN
            require(within, f"{self.hidden} hidden units, not 10 to 128")
        require_sparsity(self.sparsity)

    @property
    def made_of(self) -> dict[str, int]:
        """How many of what it has, by which people compare networks."""
        blocks = [block for stage in self.stages for block in stage.blocks]
        return {
            "stages": len(self.stages),
            "blocks": len(blocks),
            **{kind: sum(block.kind == kind for block in blocks) for kind in KINDS},
            "top": self.top or 0,
            "hidden": self.hidden or 0,
            "first_filters": self.stem.width,
        }

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the stem and of each stage."""
        return self.stem.width, *(stage.width for stage in self.stages)

    def widened(self, widths: tuple[int, ...]) -> Self:
        """The same with other widths of stem and stages."""
        stem = dataclasses.replace(self.stem, width=widths[0])
        stages = tuple(
            dataclasses.replace(stage, width=width)
            for stage, width in zip(self.stages, widths[1:], strict=True)
        )
        return dataclasses.replace(self, stem=stem, stages=stages)


def _small_bn() -> Staged:
    stages = tuple(Stage(True, width, (Block(CONV, 3, 2, False),)) for width in (10, 16, 32))
    return Staged(Stem(3, 2, 8), stages, None, False)


STARTS = {"small_bn": _small_bn()}


def scaled_width(width: int, factor: float) -> int:
    """Another width, within the space."""
    return min(max(round(width * factor), MIN_WIDTH), MAX_WIDTH)


def scaled_top(width: int | None, factor: float) -> int | None:
    """Another width of the top, if there is one, within the space."""
    return None if width is None else scaled_width(width, factor)


def scaled_hidden(units: int | None, factor: float) -> int | None:
    """Other units of the hidden layer, if there is one, within the space."""
    return None if units is None else min(max(round(units * factor), MIN_HIDDEN), MAX_HIDDEN)


def scaled(genotype: Staged, factor: float) -> Staged:
    """All widths and the hidden units times ``factor``, within the space."""
    wider = genotype.widened(tuple(scaled_width(width, factor) for width in genotype.widths))
    hidden, top = scaled_hidden(genotype.hidden, factor), scaled_top(genotype.top, factor)
    return dataclasses.replace(wider, hidden=hidden, top=top)


def random_block(rng: np.random.Generator) -> Block:
    """A block, mostly a convolution."""
    kind = KINDS[int(rng.choice(len(KINDS), p=P_KINDS))]
    kernel = KERNELS[int(rng.choice(len(KERNELS), p=P_KERNELS))]
    return Block(kind, kernel, pick(rng, EXPANSIONS), chance(rng, P_RESIDUAL))


def random_staged(rng: np.random.Generator, pruned: bool = False) -> Staged:
    """A network whose widths are right in proportion only: :mod:`search.space.filling` makes them fit.

    The first stage is 1 to 1.5 times as wide as the stem, each other one 1.3 to 2.2 times as wide as what is
    before it.

    Args:
      pruned: draw a sparsity too, uniform over its range.
    """
    kernel = STEM_KERNELS[int(rng.choice(len(STEM_KERNELS), p=P_STEM_KERNELS))]
    stem = Stem(kernel, 2 if chance(rng, P_STEM_STRIDE) else 1, DRAWN_STEM)
    width, stages = float(DRAWN_STEM), []
    for place in range(MIN_STAGES + int(rng.choice(len(P_STAGES), p=P_STAGES))):
        width *= float(rng.uniform(*(GROWTH if place else FIRST_GROWTH)))
        count = 1 + int(rng.choice(MAX_BLOCKS, p=P_BLOCKS))
        blocks = tuple(random_block(rng) for _ in range(count))
        stages.append(Stage(chance(rng, P_POOL), scaled_width(1, width), blocks))
    hidden = between(rng, MIN_HIDDEN, MAX_HIDDEN) if chance(rng, P_HIDDEN) else None
    sparsity = random_sparsity(rng) if pruned else None
    top = scaled_width(1, width * float(rng.uniform(*TOP_GROWTH))) if chance(rng, P_TOP) else None
    return Staged(stem, tuple(stages), hidden, chance(rng, 0.5), sparsity, top)


def assemble(genotype: Staged, input_shape: tuple[int, int, int], classes: int) -> Graph:
    """The network of ``genotype`` for maps of ``input_shape`` (H, W, C) and ``classes`` >= 2."""
    b = GraphBuilder()
    x = add_stem(b, b.input(*input_shape), genotype.stem)
    for stage in genotype.stages:
        rows, columns, _ = b.shape(x)
        stride = 2 if max(rows, columns) > 1 else 1
        if stage.pool:
            x = b.max_pool(x, min(2, rows), min(2, columns)) if stride == 2 else x
            stride = 1
        x = add_blocks(b, x, stage, stride)
    x = add_top(b, x, genotype.top)
    rows, columns, _ = b.shape(x)
    flat = genotype.hidden is not None and genotype.flat and rows * columns <= MAX_FLAT
    x = b.flatten(x) if flat else b.global_avg(x)
    if genotype.hidden is not None:
        x = b.dense(x, genotype.hidden, relu=True)
    return b.build(b.dense(x, output_units(classes)))


def add_stem(b: GraphBuilder, x: int, stem: Stem) -> int:
    """The stem behind op ``x``; the position of what it gives."""
    return _conv(b, x, stem.width, stem.kernel, stem.stride)


def add_blocks(b: GraphBuilder, x: int, stage: Stage, stride: int) -> int:
    """The blocks of a stage, the first with that step."""
    for block in stage.blocks:
        x, stride = _block(b, x, block, stage.width, stride), 1
    return x


def add_top(b: GraphBuilder, x: int, top: int | None) -> int:
    """The top, if there is one."""
    return x if top is None else _conv(b, x, top, 1)


def _conv(b: GraphBuilder, x: int, filters: int, kernel: int, stride: int = 1, relu: bool = True) -> int:
    padding = SAME if kernel > 1 else VALID
    return b.conv(x, filters, kernel, stride=stride, padding=padding, bn=True, relu=relu)


def _block(b: GraphBuilder, x: int, block: Block, width: int, stride: int) -> int:
    channels, source = b.shape(x)[2], x
    added = block.residual and stride == 1 and channels == width
    if block.kind == CONV:
        x = _conv(b, x, width, block.kernel, stride, relu=not added)
        return b.add([source, x], relu=True) if added else x
    inverted = block.kind == INVERTED
    if inverted:
        x = _conv(b, x, channels * block.expansion, 1)
    x = b.depthwise(x, block.kernel, stride=stride, padding=SAME, bn=True, relu=True)
    x = _conv(b, x, width, 1, relu=not inverted and not added)
    return b.add([source, x], relu=not inverted) if added else x
