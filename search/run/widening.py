"""The wider start of a network that is to be pruned down to the bounds while it trains."""

import math

from models.graph import Graph
from models.pruning.channels import prunable, resized

FACTOR = 1.5


def widened(graph: Graph, factor: float = FACTOR) -> Graph:
    """The same network, the channels of every layer but input and logits times ``factor``, rounded up."""
    groups = prunable(graph, exempt_first=False)
    return resized(graph, {group.name: math.ceil(factor * group.channels) for group in groups})
