"""Training a graph on a data set: one function, deterministic from its seed.

The recipe is a :class:`models.recipe.TrainConfig`. It names what makes the steps, TensorFlow
(:mod:`models.training.keras_fit`) or compiled code of our own (:mod:`models.training.native_fit`); nothing of
TensorFlow is imported for the latter.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.detect.grid import Grid
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import Graph, output_units
from models.recipe import NATIVE, Pruning, TrainConfig
from models.training.loop import Progress, Stop


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """Attributes:
    val_error: share of the validation split classified wrongly, 0..1; of a detector 1 - F1, at ``threshold``.
    val_loss: mean cross-entropy on the validation split, nats, of a detector a cell, those with objects
      weighted as in training; infinite if the training diverged.
    train_error: running mean over the last epoch's augmented batches; of a detector the share of its cells.
    history: per epoch, ``loss`` and ``error`` on the training batches.
    graph: the network that was trained, without its pruned channels.
    weights: in the order of ``keras_net.build(graph).get_weights()``.
    stopped: the training ended before its last epoch because it was told to.
    threshold: of a detector, the least margin of an object, in logits, that gives the largest F1 on the
      validation split; None of a classifier, and if the training diverged.
    """

    val_error: float
    val_loss: float
    train_error: float
    history: tuple[dict[str, float], ...]
    graph: Graph
    weights: tuple[np.ndarray, ...]
    stopped: bool
    threshold: float | None = None


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
    """Train ``graph`` on the training split.

    Same arguments and thread count give the same weights, bit for bit. ``data`` is brought
    to the depth of ``front_end.sensor`` first.

    Args:
      on_epoch: called after each epoch with its number, from 0, and its history entry.
      pruning: mask channels while training; the result is the smaller network without them.
      stop: see :func:`models.training.loop.epochs`. A network that is stopped loses the
        channels that are masked by then.
      start: weights to begin with, in the order of ``keras_net.build(graph).get_weights()``; None: drawn.

    Raises:
      LogGradError: what :func:`check` refuses, or a native training where nothing compiles it.
    """
    check(graph, data, config)
    if config.trainer == NATIVE:
        from models.training import native_fit

        return native_fit.train(graph, data, front_end, config, seed, on_epoch, pruning, stop, start)
    from models.training import keras_fit

    return keras_fit.train(graph, data, front_end, config, seed, on_epoch, pruning, stop, start)


def check(graph: Graph, data: DataSet, config: TrainConfig) -> None:
    """What comes before any training.

    Raises:
      LogGradError: a network of other outputs than ``data`` needs, or a shift, zoom or cutout beyond the
        image.
    """
    if (graph.cells is not None) != data.detects:
        raise LogGradError(
            f"{data.spec}: prepared for --task={data.task}: a network that answers"
            f" {'once a cell' if graph.cells else 'once a picture'} cannot learn that; a detector takes"
            " --task=detect, any other network one of the other tasks"
        )
    units = output_units(len(data.class_names), data.detects)
    if graph.output_units != units:
        raise LogGradError(
            f"the network has {graph.output_units} outputs, {len(data.class_names)} classes need {units}"
        )
    if graph.cells is not None:
        Grid.over(data.size, *graph.cells)
    if config.shift >= min(graph.input_shape[:2]):
        raise LogGradError(f"shift {config.shift} is not below the image side {min(graph.input_shape[:2])}")
    if config.zoom and config.shift >= (min(graph.input_shape[:2]) - 1) * (1 - config.zoom / 2):
        raise LogGradError(
            f"shift {config.shift} and zoom {config.zoom:g} reach beyond the mirror image of"
            f" {min(graph.input_shape[:2])} pixels: give less of either"
        )
    if config.cutout > min(graph.input_shape[:2]):
        raise LogGradError(f"cutout {config.cutout} is beyond the image side {min(graph.input_shape[:2])}")
