"""The search space: what a candidate network may look like.

A genotype is a chain of 1-10 blocks of 1-3 layers, an optional final pooling and 1-3
hidden dense layers, and the share of its channels that training is to prune. A block
continues the network (serial) or runs beside the serial block before it (branch); block 0
is serial. The space, its limits and its sampling
probabilities are those of muNAS (Liberis et al. 2021, table 1), except that every limit
can be drawn. Tensors are none of this module's business: see :mod:`search.space.assembly`.

A layer keeps fields its kind does not use (the kernel of a pointwise layer, the filters
of a depthwise one), so that changing its kind and changing it back returns the same
layer. They do not reach the network.
"""

import dataclasses

import numpy as np

from loggrad_tf.json_base import JsonBase
from search.space.draws import between, chance, pick, random_sparsity
from search.space.limits import require, require_sparsity

CONV, POINTWISE, DEPTHWISE = "conv", "pointwise", "depthwise"
KINDS = (CONV, POINTWISE, DEPTHWISE)
KERNELS = (3, 5, 7)
POOL_KINDS = ("avg", "max")
POOL_SIZES = (2, 4, 6)
MIN_FILTERS, MAX_FILTERS = 1, 128
MIN_UNITS, MAX_UNITS = 10, 256
MAX_BLOCKS, MAX_LAYERS, MAX_DENSE = 10, 3, 3

P_BRANCH = 0.5
P_STRIDE = 0.5
P_PREPOOL = 0.25
P_BN = 0.5
P_RELU = 0.9
P_POOLING = 0.9


@dataclasses.dataclass(frozen=True)
class Layer(JsonBase):
    """One convolution with what may come before it (2x2 max-pool) and after it (BN, ReLU).

    Attributes:
      kind: ``conv``, ``pointwise`` (1x1) or ``depthwise``.
      kernel: 3, 5 or 7; unused by ``pointwise``.
      filters: 1..128; unused by ``depthwise``, which keeps its input's channels.
      strided: step of 2 in place of 1; unused by ``pointwise``.
      prepool, bn, relu: 2x2 max-pool before; batch norm, then ReLU after.
    """

    kind: str
    kernel: int
    filters: int
    strided: bool
    prepool: bool
    bn: bool
    relu: bool

    def __post_init__(self) -> None:
        require(self.kind in KINDS, f"layer kind '{self.kind}', not one of {', '.join(KINDS)}")
        require(self.kernel in KERNELS, f"kernel {self.kernel}, not one of {KERNELS}")
        require(MIN_FILTERS <= self.filters <= MAX_FILTERS, f"{self.filters} filters, not 1 to 128")


@dataclasses.dataclass(frozen=True)
class Block(JsonBase):
    """1-3 layers in series; ``branch`` runs them beside the last serial block."""

    branch: bool
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        require(1 <= len(self.layers) <= MAX_LAYERS, f"{len(self.layers)} layers in a block, not 1 to 3")


@dataclasses.dataclass(frozen=True)
class Pooling(JsonBase):
    """The pooling between the last block and the dense layers: avg or max of 2, 4 or 6."""

    kind: str
    size: int

    def __post_init__(self) -> None:
        require(self.kind in POOL_KINDS, f"final pooling '{self.kind}', not avg or max")
        require(self.size in POOL_SIZES, f"final pooling of {self.size}, not one of {POOL_SIZES}")


@dataclasses.dataclass(frozen=True)
class Genotype(JsonBase):
    """A point of the search space.

    Attributes:
      blocks: 1..10; the first one is serial.
      pooling: the final pooling, or None.
      dense: units of the 1-3 hidden dense layers, 10..256 each.
      sparsity: share of its prunable channels that training removes, 0.1..0.85; None: none.
    """

    blocks: tuple[Block, ...]
    pooling: Pooling | None
    dense: tuple[int, ...]
    sparsity: float | None = None

    def __post_init__(self) -> None:
        require(1 <= len(self.blocks) <= MAX_BLOCKS, f"{len(self.blocks)} blocks, not 1 to 10")
        require(not self.blocks[0].branch, "block 0 is a branch; it must be serial")
        require(1 <= len(self.dense) <= MAX_DENSE, f"{len(self.dense)} dense layers, not 1 to 3")
        for units in self.dense:
            require(MIN_UNITS <= units <= MAX_UNITS, f"{units} dense units, not 10 to 256")
        require_sparsity(self.sparsity)

    @property
    def made_of(self) -> dict[str, int]:
        """How many of what it has, by which people compare networks."""
        return {
            "blocks": len(self.blocks),
            "branches": sum(block.branch for block in self.blocks),
            "layers": sum(len(block.layers) for block in self.blocks),
            "dense": len(self.dense),
            "first_filters": self.blocks[0].layers[0].filters,
        }


def random_layer(rng: np.random.Generator) -> Layer:
    """A layer: kind, kernel and filters uniform, switches with the probabilities above."""
    return Layer(
        kind=pick(rng, KINDS),
        kernel=pick(rng, KERNELS),
        filters=between(rng, MIN_FILTERS, MAX_FILTERS),
        strided=chance(rng, P_STRIDE),
        prepool=chance(rng, P_PREPOOL),
        bn=chance(rng, P_BN),
        relu=chance(rng, P_RELU),
    )


def random_block(rng: np.random.Generator, *, first: bool) -> Block:
    """A block of 1-3 random layers; the first of a network is serial, others either."""
    branch = not first and chance(rng, P_BRANCH)
    layers = tuple(random_layer(rng) for _ in range(between(rng, 1, MAX_LAYERS)))
    return Block(branch, layers)


def random_pooling(rng: np.random.Generator) -> Pooling:
    return Pooling(pick(rng, POOL_KINDS), pick(rng, POOL_SIZES))


def random_units(rng: np.random.Generator) -> int:
    return between(rng, MIN_UNITS, MAX_UNITS)


def random_genotype(rng: np.random.Generator, pruned: bool = False) -> Genotype:
    """A starting point: counts uniform over their whole range, ends included.

    Args:
      pruned: draw a sparsity too, uniform over its range.
    """
    count = between(rng, 1, MAX_BLOCKS)
    return Genotype(
        blocks=tuple(random_block(rng, first=i == 0) for i in range(count)),
        pooling=random_pooling(rng) if chance(rng, P_POOLING) else None,
        dense=tuple(random_units(rng) for _ in range(between(rng, 1, MAX_DENSE))),
        sparsity=random_sparsity(rng) if pruned else None,
    )


def scaled_layer(layer: Layer, factor: float) -> Layer:
    """Other filters, within the space."""
    filters = min(max(round(layer.filters * factor), MIN_FILTERS), MAX_FILTERS)
    return dataclasses.replace(layer, filters=filters)


def scaled_units(units: int, factor: float) -> int:
    """Other units of a dense layer, within the space."""
    return min(max(round(units * factor), MIN_UNITS), MAX_UNITS)


def scaled(genotype: Genotype, factor: float) -> Genotype:
    """All widths times ``factor``, within the space."""
    blocks = tuple(
        dataclasses.replace(block, layers=tuple(scaled_layer(old, factor) for old in block.layers))
        for block in genotype.blocks
    )
    dense = tuple(scaled_units(units, factor) for units in genotype.dense)
    return dataclasses.replace(genotype, blocks=blocks, dense=dense)


def normalised(genotype: Genotype) -> Genotype:
    """The same with batch norm behind every layer."""
    blocks = tuple(
        dataclasses.replace(
            block, layers=tuple(dataclasses.replace(layer, bn=True) for layer in block.layers)
        )
        for block in genotype.blocks
    )
    return dataclasses.replace(genotype, blocks=blocks)
