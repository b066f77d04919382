"""The hand-made network that competes with what a search finds: trained alike, and kept if nothing is better.

A search must be worth more than a network that somebody draws in an afternoon. So beside its finalists
:func:`models.zoo.small_bn` is trained, the best one made by hand so far, or :func:`models.zoo.cells` of
detectors, with all its widths so much smaller that it fits the bounds. Searches as the paper did them have
none (:data:`search.run.profiles.PLAIN`).
"""

import dataclasses

from models import zoo
from models.graph import WEIGHTED, Graph
from models.pruning.channels import prunable, resized
from search.cost.costs import Costs, costs
from search.cost.objectives import overrun
from search.run.config import Config
from search.run.profiles import PLAIN
from search.strategy.proposal import NARROWINGS

NAME, DETECTOR = "small_bn", "cells"
# In place of a candidate's, which are far smaller: its seeds are drawn by it.
INDEX = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Rival:
    """Attributes:
    graph: the network, narrowed if it must be.
    costs: of it.
    """

    graph: Graph
    costs: Costs

    @property
    def widths(self) -> str:
        """Channels of its layers but the last: 8-10-16-32."""
        return "-".join(str(op.shape[-1]) for op in self.graph.ops[:-1] if op.kind in WEIGHTED)


def name_of(config: Config) -> str:
    """Which network of :mod:`models.zoo` it is."""
    return DETECTOR if config.detects else NAME


def hand_made(config: Config) -> Rival | None:
    """The widest one within the bounds; None if none is, or the search is to have none.

    It is narrowed in the steps in which a search narrows the network it begins with.
    """
    if config.profile in PLAIN:
        return None
    made = (zoo.NETWORKS | zoo.DETECTORS)[name_of(config)]
    whole = made(config.size, len(config.class_names))
    target = config.settings().target
    for factor in NARROWINGS:
        graph = _narrowed(whole, factor)
        found = costs(graph, target)
        if overrun(found, config.bounds) <= 1:
            return Rival(graph, found)
    return None


def _narrowed(graph: Graph, factor: float) -> Graph:
    groups = prunable(graph, exempt_first=False)
    return resized(graph, {group.name: max(1, round(factor * group.channels)) for group in groups})
