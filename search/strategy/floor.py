"""What no network of the space can go below, so that bounds that cannot be met are refused before a draw.

A cost is least at one of a few networks of one channel and the narrowest dense layer: a layer that reads the
input and steps or pools as far as it can, or a chain of such layers, which leaves the fewest weights. That
random networks, as narrow, are never below them is tested, not proved.
"""

import dataclasses
import functools

from export.predict.deployed import fixed_ram
from loggrad_tf.errors import LogGradError
from search.cost.costs import RESOURCES, count
from search.cost.quantities import FLAG_OF, QUANTITIES
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
from search.strategy.proposal import Settings, build

_LAST = 6
_CHAINS = (2, 3, 4, 5)


def _network(layers: tuple[Layer, ...], pool: str | None) -> Genotype:
    blocks = tuple(Block(False, layers[i : i + MAX_LAYERS]) for i in range(0, len(layers), MAX_LAYERS))
    return Genotype(blocks, Pooling(pool, _LAST) if pool else None, (MIN_UNITS,))


def _narrowest() -> tuple[Genotype, ...]:
    """The networks one of which has the least of each cost."""
    layer = functools.partial(Layer, filters=MIN_FILTERS, bn=False, relu=True)
    point, pooled = (layer(POINTWISE, 3, strided=False, prepool=pool) for pool in (False, True))
    stepped = [layer(CONV, 3, strided=True, prepool=pool) for pool in (False, True)]
    return (
        _network((point,), None),
        _network((pooled,), "avg"),
        *(_network((conv,), pool) for conv in stepped for pool in (None, "avg", "max")),
        _network((layer(CONV, 7, strided=True, prepool=False),), None),
        _network((stepped[1],) * 2, "max"),
        *(_network((pooled,) * depth, "avg") for depth in _CHAINS),
    )


@dataclasses.dataclass(frozen=True)
class Floor:
    """The least of each bounded cost that a network of the space has.

    Attributes:
      least: by name, in the order of :data:`search.cost.costs.RESOURCES`.
      fixed: bytes of its RAM that are stack, program and the line of input that the program holds, whatever
        the network; None if RAM is not bounded.
    """

    least: dict[str, float]
    fixed: int | None

    @property
    def text(self) -> str:
        """All of it, as the end of a sentence."""
        return ", ".join(self._one(name) for name in self.least)

    def _one(self, name: str) -> str:
        q = QUANTITIES[name]
        of_it = f" ({self.fixed:,} B of it stack, program and a line of input)" if name == "ram" else ""
        return f"{q.label} {q.text(self.least[name])} {q.unit}".rstrip() + of_it

    def check(self, settings: Settings) -> None:
        """Refuse bounds that no network can keep, if the search keeps to them.

        Raises:
          LogGradError: the first such bound, what it would have to be, and what else helps.
        """
        most = settings.method.max_overrun
        if most is None:
            return
        bounds = settings.bounds.resources
        for name, value in self.least.items():
            if value > most * bounds[name]:
                size, target = settings.input_shape[0], settings.target
                raise LogGradError(
                    f"{FLAG_OF[name]}={bounds[name]:.10g}: no network of the space is below"
                    f" {self._one(name)}, behind {target.front_end.format} of {size}x{size} on"
                    f" {target.board}: raise the bound, or choose a smaller --size or another --board"
                )


def floor(settings: Settings) -> Floor:
    """What no network goes below, of the costs that are bounded; a tenth of a second."""
    names = sorted(settings.bounds.resources, key=RESOURCES.index)
    graphs = [build(genotype, settings) for genotype in _narrowest()]
    least: dict[str, float] = {}
    fixed = None
    for graph in graphs:
        for name, value in count(graph, settings.target, tuple(names)):
            least[name] = min(value, least.get(name, value))
    if "ram" in least:
        fixed = fixed_ram(graphs[0], settings.target.front_end, settings.target.board)
    return Floor({name: least[name] for name in names}, fixed)
