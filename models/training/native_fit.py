"""Training a graph in compiled code (:mod:`models.training.native`), without TensorFlow."""

import functools

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models.graph import Graph
from models.recipe import Pruning, TrainConfig, steps_per_epoch
from models.training import loop
from models.training.fit import TrainResult
from models.training.loop import Progress, Stop, diverged
from models.training.measure import judged
from models.training.native.initial import initial
from models.training.native.inputs import Inputs
from models.training.native.network import Descent, Network


def train(
    graph: Graph,
    data: DataSet,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    on_epoch: Progress | None = None,
    pruning: Pruning | None = None,
    stop: Stop | None = None,
) -> TrainResult:
    """See :func:`models.training.fit.train`."""
    if pruning is not None:
        raise LogGradError("--trainer=native does not prune: train with --trainer=tensorflow")
    drawn_weights, drawn_batches = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    pixels, labels = data.subset("train")
    images = min(config.batch_size, len(pixels))
    each = steps_per_epoch(len(pixels), config)
    layers = initial(graph, config.initializer, drawn_weights)
    network = Network(graph, images, layers, config.fused_bn)
    descent = Descent(network, functools.partial(config.rate, steps=each * config.epochs), config)
    inputs = Inputs(requantize(pixels, data.sensor, front_end.sensor), front_end, config.cutout)

    def epoch() -> dict[str, float]:
        order = drawn_batches.permutation(len(pixels))[: each * images]
        reports = descent.steps(inputs, labels, order, inputs.draws(drawn_batches, len(order), config))
        return _means(reports)

    history = tuple(loop.epochs(epoch, range(config.epochs), on_epoch, stop))
    pixels, labels = data.subset("val")
    logits = network.logits(Inputs(requantize(pixels, data.sensor, front_end.sensor), front_end))
    val_error, val_loss = judged(logits, labels)
    return TrainResult(
        val_error=val_error,
        val_loss=val_loss,
        train_error=history[-1]["error"],
        history=history,
        graph=graph,
        weights=network.weights(),
        stopped=len(history) < config.epochs and not diverged(history[-1]),
    )


def _means(reports: np.ndarray) -> dict[str, float]:
    """The history's entry of an epoch."""
    return {
        "loss": float(reports["loss"].mean(dtype=np.float64)),
        "error": 1 - float(reports["right"].mean(dtype=np.float64)),
    }
