"""Training a graph on a data set: one function, deterministic from its seed.

The recipe is a :class:`models.recipe.TrainConfig`; what is drawn says :mod:`models.training.batches`, how a
step is made :mod:`models.training.descent`.
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models import keras_net
from models.graph import Graph, output_units
from models.pruning.channels import Fits, exits
from models.pruning.masking import MaskUpdates
from models.recipe import Pruning, TrainConfig
from models.training.batches import steps_per_epoch, training_batches
from models.training.descent import Descent, Progress, Stop, diverged
from models.training.measure import measure


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """Attributes:
    val_error: share of the validation split classified wrongly, 0..1.
    val_loss: mean cross-entropy on the validation split, nats; infinite if the training diverged.
    train_error: running mean over the last epoch's augmented batches.
    history: per epoch, ``loss`` and ``error`` on the training batches.
    graph: the network that was trained, without its pruned channels.
    weights: in the order of ``keras_net.build(graph).get_weights()``.
    stopped: the training ended before its last epoch because it was told to.
    """

    val_error: float
    val_loss: float
    train_error: float
    history: tuple[dict[str, float], ...]
    graph: Graph
    weights: tuple[np.ndarray, ...]
    stopped: bool


def train(
    graph: Graph,
    data: DataSet,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    on_epoch: Progress | None = None,
    pruning: Pruning | None = None,
    stop: Stop | None = None,
    fits: Fits | None = None,
) -> TrainResult:
    """Train ``graph`` from scratch on the training split.

    Same arguments and thread count give the same weights, bit for bit. ``data`` is brought
    to the depth of ``front_end.sensor`` first.

    Args:
      on_epoch: called after each epoch with its number, from 0, and its history entry.
      pruning: mask channels while training; the result is the smaller network without them.
      stop: see :meth:`models.training.descent.Descent.epochs`. A network that is stopped loses the
        channels that are masked by then.
      fits: where ``pruning`` has no sparsity, what it is to end within; a training that ends before
        ``pruning`` does leaves more.
    """
    if fits is not None and pruning is None:
        raise LogGradError("a training that is to end within bounds must prune: give it a pruning")
    begin(graph, data, config, seed)
    masked = exits(graph, pruning.exempt_first) if pruning else ()
    model = keras_net.build(graph, config.fused_bn, masked, config.initializer)
    pixels, labels = data.subset("train")
    steps = steps_per_epoch(len(pixels), config) * config.epochs
    descent = Descent(
        model,
        functools.partial(config.rate, steps=steps),
        config.momentum if config.optimizer == "sgd" else None,
        config.weight_decay,
        config.label_smoothing,
    )
    batches = training_batches(
        requantize(pixels, data.sensor, front_end.sensor),
        labels,
        graph.output_units,
        front_end,
        config,
        seed,
    )
    masks = MaskUpdates(model, graph, pruning, steps, fits) if pruning else None
    after_step = masks.after_step if masks else None
    history = tuple(descent.epochs(batches, range(config.epochs), after_step, on_epoch, stop))
    if masks is not None:
        graph, model = masks.shrunk()
    val_error, val_loss = measure(model, data, front_end, "val")
    return TrainResult(
        val_error=val_error,
        val_loss=val_loss,
        train_error=history[-1]["error"],
        history=history,
        graph=graph,
        weights=tuple(np.asarray(w) for w in model.get_weights()),
        stopped=len(history) < config.epochs and not diverged(history[-1]),
    )


def begin(graph: Graph, data: DataSet, config: TrainConfig, seed: int) -> None:
    """What comes before any training: checks, TensorFlow's options, and all seeds.

    Raises:
      LogGradError: a network of other outputs than ``data`` needs, or a shift or cutout beyond the image.
    """
    if graph.output_units != output_units(len(data.class_names)):
        raise LogGradError(
            f"the network has {graph.output_units} outputs, {len(data.class_names)} classes need"
            f" {output_units(len(data.class_names))}"
        )
    if config.shift >= min(graph.input_shape[:2]):
        raise LogGradError(f"shift {config.shift} is not below the image side {min(graph.input_shape[:2])}")
    if config.cutout > min(graph.input_shape[:2]):
        raise LogGradError(f"cutout {config.cutout} is beyond the image side {min(graph.input_shape[:2])}")
    # TensorFlow's remapper fuses a convolution with the addition of a padded map into a oneDNN
    # kernel that crashes the process (2.21), and its fusions do not speed up training.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    # Sets NumPy's, Python's and TensorFlow's seeds; initialisers and shuffles derive from it.
    keras.utils.set_random_seed(seed)
