"""What no network of the space can go below, so that bounds that cannot be met are refused before a draw.

It is the least that one of the space's narrowest networks has (:mod:`search.space.floors`).
"""

import dataclasses

from export.predict.deployed import fixed_ram
from loggrad_tf.data.sides import dimensions, size_of
from loggrad_tf.errors import LogGradError
from search.cost.costs import RESOURCES, count
from search.cost.quantities import FLAG_OF, QUANTITIES
from search.strategy.proposal import Settings, build


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
                size, target = size_of(*settings.input_shape[:2]), settings.target
                raise LogGradError(
                    f"{FLAG_OF[name]}={bounds[name]:.10g}: no network of the space is below"
                    f" {self._one(name)}, behind {target.front_end.format} of {dimensions(size)} on"
                    f" {target.board}: raise the bound, or choose a smaller --size or another --board"
                )


def floor(settings: Settings) -> Floor:
    """What no network goes below, of the costs that are bounded; a tenth of a second."""
    names = sorted(settings.bounds.resources, key=RESOURCES.index)
    graphs = [build(genotype, settings) for genotype in settings.space.narrowest]
    least: dict[str, float] = {}
    fixed = None
    for graph in graphs:
        for name, value in count(graph, settings.target, tuple(names)):
            least[name] = min(value, least.get(name, value))
    if "ram" in least:
        fixed = fixed_ram(graphs[0], settings.target.front_end, settings.target.board)
    return Floor({name: least[name] for name in names}, fixed)
