"""Training a graph in TensorFlow; what is drawn says :mod:`models.training.batches`, how a step is made
:mod:`models.training.descent`."""

import functools
from collections.abc import Sequence

import keras
import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models import keras_net
from models.graph import Graph
from models.moves import Cells
from models.pruning.channels import exits
from models.pruning.masking import MaskUpdates
from models.recipe import Pruning, TrainConfig, steps_per_epoch
from models.training.batches import training_batches
from models.training.descent import Descent
from models.training.fit import TrainResult, check
from models.training.loop import Progress, Stop, diverged
from models.training.measure import logits, validated


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
    begin(graph, data, config, seed)
    masked = exits(graph, pruning.exempt_first) if pruning else ()
    model = keras_net.build(graph, config.fused_bn, masked, config.initializer)
    if start is not None:
        model.set_weights(list(start))
    pixels, labels = data.subset("train")
    steps = steps_per_epoch(len(pixels), config) * config.epochs
    descent = Descent(
        model,
        functools.partial(config.rate, steps=steps),
        config.momentum if config.optimizer == "sgd" else None,
        config.weight_decay,
        config.label_smoothing,
        plain=config.fused_bn and all(len(op.inputs) <= 2 for op in graph.ops),
    )
    batches = training_batches(
        requantize(pixels, data.sensor, front_end.sensor),
        labels,
        graph.output_units,
        front_end,
        config,
        seed,
        cells=Cells.of(graph, data),
    )
    masks = MaskUpdates(model, graph, pruning, steps) if pruning else None
    after_step = masks.after_step if masks else None
    history = tuple(descent.epochs(batches, range(config.epochs), after_step, on_epoch, stop))
    if masks is not None:
        graph, model = masks.shrunk()
    val_error, val_loss, threshold = validated(logits(model, data, front_end, "val"), data)
    return TrainResult(
        val_error=val_error,
        val_loss=val_loss,
        train_error=history[-1]["error"],
        history=history,
        graph=graph,
        weights=tuple(np.asarray(w) for w in model.get_weights()),
        stopped=len(history) < config.epochs and not diverged(history[-1]),
        threshold=threshold,
    )


def begin(graph: Graph, data: DataSet, config: TrainConfig, seed: int) -> None:
    """What comes before any training in TensorFlow: checks, and all seeds."""
    check(graph, data, config)
    # Sets NumPy's, Python's and TensorFlow's seeds; initialisers and shuffles derive from it.
    keras.utils.set_random_seed(seed)
