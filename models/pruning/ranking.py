"""When and which channels of a network that trains are masked, whatever trains it; the arithmetic is that of
:mod:`models.pruning.channels`."""

import abc

import numpy as np

from models.graph import WEIGHTED, Graph, Op
from models.pruning import channels as pruning
from models.pruning.polynomial import sparsities
from models.pruning.shrink import shrink
from models.recipe import Pruning
from models.variables import folded, in_order, norm_of, shapes


class Ranking(abc.ABC):
    """Ranks the channels of the network that trains, and masks the weakest where they leave their group.

    In the batches between two rankings it costs nothing.

    Attributes:
      live: by the name of the group, bool per channel: the masks in force.
    """

    def __init__(self, graph: Graph, settings: Pruning, steps: int) -> None:
        """``steps`` is the number of batches in the whole training."""
        self._graph = graph
        self._sparsities = sparsities(settings, steps)
        self._done = 0
        self._groups = pruning.prunable(graph, settings.exempt_first)
        self._exits = pruning.exits(graph, settings.exempt_first)
        names = {name for group in self._groups for name in group.ops}
        self._makers = [op for op in graph.ops if op.kind in WEIGHTED and op.name in names]
        self._readers = pruning.readers(graph, {group.name for group in self._groups})
        self.live = {group.name: np.ones(group.channels, bool) for group in self._groups}

    @abc.abstractmethod
    def arrays(self, layer: str) -> list[np.ndarray]:
        """The weights of a layer, by its name in :data:`models.variables.Layers`, as they are now."""

    @abc.abstractmethod
    def mask(self, op: str, live: np.ndarray) -> None:
        """Let readers of an op see only its live channels, bool (channels,)."""

    def after_step(self) -> None:
        """To be called after every batch."""
        self._done += 1
        sparsity = self._sparsities.get(self._done)
        if sparsity is None:
            return
        kernels = {op.name: self._folded(op) for op in self._readers}
        spreads = {op.name: self._spread(op) for op in self._makers}
        scores = pruning.saliency(self._graph, self._groups, spreads, kernels)
        self.live = pruning.live_channels(scores, sparsity)
        for name, group in self._exits.items():
            self.mask(name, self.live[group])

    def _folded(self, op: Op) -> np.ndarray:
        norm = self.arrays(norm_of(op)) if op.bn else None
        return folded(op, self.arrays(op.name), norm)[0]

    def _spread(self, op: Op) -> np.ndarray:
        gamma, beta = self.arrays(norm_of(op))[:2] if op.bn else (None, None)
        return pruning.spread(op, self.arrays(op.name)[0], gamma, beta)

    def smaller(self) -> tuple[Graph, tuple[np.ndarray, ...]]:
        """The smaller network that the masked one is equal to, and its weights."""
        layers = {name: self.arrays(name) for name in shapes(self._graph)}
        return shrink(self._graph, in_order(self._graph, layers), self.live)
