"""A network that trains while its weakest channels are masked (:mod:`models.pruning.channels`)."""

import keras
import numpy as np

from models import keras_net
from models.graph import WEIGHTED, Graph, Op
from models.pruning import channels as pruning
from models.pruning.shrink import shrink
from models.recipe import Pruning


class MaskUpdates:
    """Ranks the channels of the network that trains, and sets its :class:`ChannelMask` layers.

    The model is ``keras_net.build(graph, masked=pruning.exits(graph, ...))``. In the batches
    between two rankings it costs nothing.

    Attributes:
      live: by the name of the group, bool per channel: the masks in force.
    """

    def __init__(self, model: keras.Model, graph: Graph, settings: Pruning, steps: int) -> None:
        """``steps`` is the number of batches in the whole training."""
        self._model = model
        self._graph, self._settings, self._steps = graph, settings, steps
        self._done = 0
        self._groups = pruning.prunable(graph, settings.exempt_first)
        self._exits = pruning.exits(graph, settings.exempt_first)
        names = {name for group in self._groups for name in group.ops}
        self._makers = [op for op in graph.ops if op.kind in WEIGHTED and op.name in names]
        self._readers = pruning.readers(graph, {group.name for group in self._groups})
        self.live = {group.name: np.ones(group.channels, bool) for group in self._groups}

    def after_step(self) -> None:
        """To be called after every batch."""
        self._done += 1
        sparsity = self._settings.sparsity_after(self._done, self._steps)
        if sparsity is None:
            return
        kernels = {op.name: keras_net.folded(op, self._model)[0] for op in self._readers}
        spreads = {op.name: self._spread(op) for op in self._makers}
        scores = pruning.saliency(self._graph, self._groups, spreads, kernels)
        self.live = pruning.live_channels(scores, sparsity)
        for name, group in self._exits.items():
            self._model.get_layer(f"{name}_mask").set_weights([self.live[group].astype(np.float32)])

    def _spread(self, op: Op) -> np.ndarray:
        gamma = beta = None
        if op.bn:
            gamma, beta = (np.asarray(w) for w in self._model.get_layer(f"{op.name}_bn").trainable_weights)
        return pruning.spread(op, np.asarray(self._model.get_layer(op.name).kernel), gamma, beta)

    def shrunk(self) -> tuple[Graph, keras.Model]:
        """The smaller network that the masked one is equal to, and its model."""
        plain = keras_net.build(self._graph)
        for layer in plain.layers:
            if layer.weights:
                layer.set_weights(self._model.get_layer(layer.name).get_weights())
        graph, weights = shrink(self._graph, plain.get_weights(), self.live)
        model = keras_net.build(graph)
        model.set_weights(list(weights))
        return graph, model
