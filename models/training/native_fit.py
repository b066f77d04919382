"""Training a graph in compiled code (:mod:`models.training.native`), without TensorFlow."""

import functools
from collections.abc import Sequence

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.detect.grid import IGNORED
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models.graph import Graph
from models.moves import Cells
from models.pruning.ranking import Ranking
from models.recipe import Pruning, TrainConfig, steps_per_epoch
from models.training import loop
from models.training.fit import TrainResult
from models.training.loop import Progress, Stop, diverged
from models.training.measure import validated
from models.training.native.initial import initial
from models.training.native.inputs import Inputs
from models.training.native.network import Descent, Network
from models.variables import by_layer

# Images whose answers are found at once.
_JUDGED = 64


def train(
    graph: Graph,
    data: DataSet,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    on_epoch: Progress | None = None,
    pruning: Pruning | None = None,
    stop: Stop | None = None,
    start: Sequence[np.ndarray] | None = None,
) -> TrainResult:
    """See :func:`models.training.fit.train`."""
    drawn_weights, drawn_batches = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    pixels, labels = data.subset("train")
    images = min(config.batch_size, len(pixels))
    each = steps_per_epoch(len(pixels), config)
    layers = initial(graph, config.initializer, drawn_weights) if start is None else by_layer(graph, start)
    network = Network(graph, images, layers, config.fused_bn)
    steps = each * config.epochs
    descent = Descent(network, functools.partial(config.rate, steps=steps), config)
    inputs = Inputs(requantize(pixels, data.sensor, front_end.sensor), front_end, config.cutout)

    masks = NetworkMasks(network, graph, pruning, steps) if pruning else None
    cells = Cells.of(graph, data)
    wanted = labels if graph.cells is None else np.full((len(pixels), *graph.cells), IGNORED, np.int32)

    def epoch() -> dict[str, float]:
        order = drawn_batches.permutation(len(pixels))[: each * images]
        draws = inputs.draws(drawn_batches, len(order), config)
        if cells is not None:
            wanted[order] = cells.asked(order, inputs.moves(draws))
        if masks is None:
            return _entry(descent.steps(inputs, wanted, order, draws))
        reports = []
        for k in range(0, len(order), images):
            batch = slice(k, k + images)
            reports.append(descent.steps(inputs, wanted, order[batch], draws[batch]))
            masks.after_step()
        return _entry(np.concatenate(reports))

    history = tuple(loop.epochs(epoch, range(config.epochs), on_epoch, stop))
    weights = network.weights()
    if masks is not None:
        graph, weights = masks.smaller()
    scores = logits(graph, weights, data, front_end, "val")
    val_error, val_loss, threshold = validated(scores, data)
    return TrainResult(
        val_error=val_error,
        val_loss=val_loss,
        train_error=history[-1]["error"],
        history=history,
        graph=graph,
        weights=weights,
        stopped=len(history) < config.epochs and not diverged(history[-1]),
        threshold=threshold,
    )


def logits(
    graph: Graph, weights: Sequence[np.ndarray], data: DataSet, front_end: FrontEnd, split: str
) -> np.ndarray:
    """The float network's outputs on one split, float32 (N, units) or (N, rows, columns, units).

    Args:
      weights: in the order of ``keras_net.build(graph).get_weights()``.
    """
    network = Network(graph, _JUDGED, by_layer(graph, weights))
    pixels, _ = data.subset(split)
    return network.logits(Inputs(requantize(pixels, data.sensor, front_end.sensor), front_end))


def _entry(reports: np.ndarray) -> dict[str, float]:
    """The history's entry of an epoch."""
    loss, right = (float(reports[name].mean(dtype=np.float64)) for name in ("loss", "right"))
    return {"loss": loss, "error": 1 - right}


class NetworkMasks(Ranking):
    """Sets the masks of a network that trains natively."""

    def __init__(self, network: Network, graph: Graph, settings: Pruning, steps: int) -> None:
        """``steps`` is the number of batches in the whole training."""
        super().__init__(graph, settings, steps)
        self._network = network

    def arrays(self, layer: str) -> list[np.ndarray]:
        return [array.copy() for array in self._network.layers[layer]]

    def mask(self, op: str, live: np.ndarray) -> None:
        self._network.mask(op, live)
