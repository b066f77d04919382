"""A Keras model that trains while its weakest channels are masked."""

import keras
import numpy as np

from models import keras_net
from models.graph import Graph
from models.pruning.ranking import Ranking
from models.recipe import Pruning


class MaskUpdates(Ranking):
    """Sets the :class:`ChannelMask` layers of a model.

    The model is ``keras_net.build(graph, masked=pruning.exits(graph, ...))``.
    """

    def __init__(self, model: keras.Model, graph: Graph, settings: Pruning, steps: int) -> None:
        """``steps`` is the number of batches in the whole training."""
        super().__init__(graph, settings, steps)
        self._model = model

    def arrays(self, layer: str) -> list[np.ndarray]:
        found: list[np.ndarray] = self._model.get_layer(layer).get_weights()
        return found

    def mask(self, op: str, live: np.ndarray) -> None:
        self._model.get_layer(f"{op}_mask").set_weights([live.astype(np.float32)])

    def shrunk(self) -> tuple[Graph, keras.Model]:
        """The smaller network that the masked one is equal to, and its model."""
        graph, weights = self.smaller()
        model = keras_net.build(graph)
        model.set_weights(list(weights))
        return graph, model
