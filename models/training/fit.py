"""Training a graph on a data set: one function, deterministic from its seed.

Pixels stay linear RAW until the batch is drawn; flips and shifts act on the RAW, and the
transform runs behind them, because a mirrored scene is not the mirrored level map (where
the scene has h + v, its mirror image has -h + v). The paper's schedule (appendix C.1) is
:class:`TrainConfig`'s default: SGDW, learning rate 0.03, momentum 0.9, weight decay 1e-4,
batches of 128, 80 epochs.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import ops
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import MONO, requantize
from models import keras_net
from models.graph import Graph, output_units
from models.pruning.channels import Pruning, exits
from models.pruning.masking import MaskUpdates
from models.recipe import TrainConfig
from models.training.descent import Descent

Progress = Callable[[int, dict[str, float]], None]
Stop = Callable[[int, float], bool]

# Images of one step of predict, and their pixels: of 224x224 pixels 47 images.
_BATCH_IMAGES, _BATCH_PIXELS = 256, 256 * 96 * 96


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
) -> TrainResult:
    """Train ``graph`` from scratch on the training split.

    Same arguments and thread count give the same weights, bit for bit. ``data`` is brought
    to the depth of ``front_end.sensor`` first.

    Args:
      on_epoch: called after each epoch with its number, from 0, and its history entry.
      pruning: mask channels while training; the result is the smaller network without them.
      stop: asked after each epoch with its number and the sum of the training losses of the
        epochs so far, which estimates how fast a network learns (Ru et al. 2021); True ends
        the training. A network that is stopped loses the channels that are masked by then.
    """
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
        len(data.class_names),
        front_end,
        config,
        seed,
    )
    masks = MaskUpdates(model, graph, pruning, steps) if pruning else None
    history: list[dict[str, float]] = []
    stopped = False
    while len(history) < config.epochs and not stopped:
        history.append(descent.epoch(batches, masks.after_step if masks else None))
        if on_epoch is not None:
            on_epoch(len(history) - 1, history[-1])
        if not math.isfinite(history[-1]["loss"]):
            break
        if stop is not None and stop(len(history) - 1, sum(h["loss"] for h in history)):
            stopped = len(history) < config.epochs
    if masks is not None:
        graph, model = masks.shrunk()
    val_error, val_loss = measure(model, data, front_end, "val")
    return TrainResult(
        val_error=val_error,
        val_loss=val_loss,
        train_error=history[-1]["error"],
        history=tuple(history),
        graph=graph,
        weights=tuple(np.asarray(w) for w in model.get_weights()),
        stopped=stopped,
    )


def begin(graph: Graph, data: DataSet, config: TrainConfig, seed: int) -> None:
    """What comes before any training: checks, TensorFlow's options, and all seeds.

    Raises:
      LogGradError: a network of other outputs than ``data`` needs, or a shift beyond the image.
    """
    if graph.output_units != output_units(len(data.class_names)):
        raise LogGradError(
            f"the network has {graph.output_units} outputs, {len(data.class_names)} classes need"
            f" {output_units(len(data.class_names))}"
        )
    if config.shift >= min(graph.input_shape[:2]):
        raise LogGradError(f"shift {config.shift} is not below the image side {min(graph.input_shape[:2])}")
    # TensorFlow's remapper fuses a convolution with the addition of a padded map into a oneDNN
    # kernel that crashes the process (2.21), and its fusions do not speed up training.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    # Sets NumPy's, Python's and TensorFlow's seeds; initialisers and shuffles derive from it.
    keras.utils.set_random_seed(seed)


def training_batches(
    pixels: np.ndarray,
    labels: np.ndarray,
    classes: int,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    transform: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented, encoded batches: (float32 (batch, H, W, 1), one-hot or 0/1 labels).

    The last, smaller batch of an epoch is left out (when there is a full one), so that the
    compiled transform sees one shape.

    Args:
      transform: of P (batch, H, W), in place of the front end's.
    """
    count = len(pixels)
    size = min(config.batch_size, count)
    memory = tf.constant(pixels)
    targets = tf.constant(one_hot(labels, classes))
    encode = transform or _encoder(front_end)
    mosaic = front_end.sensor.cfa != MONO

    @tf.autograph.experimental.do_not_convert
    def batch(indices: tf.Tensor, randomness: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = augment(tf.gather(memory, indices), randomness, config.flip, config.shift, mosaic)
        return encode(images), tf.gather(targets, indices)

    order = tf.data.Dataset.range(count).shuffle(count, seed=seed, reshuffle_each_iteration=True)
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    zipped = tf.data.Dataset.zip(order.batch(size, drop_remainder=True), seeds)
    return zipped.map(batch).prefetch(2)


# Compiled once in a process, whatever it trains.
_encoder = functools.lru_cache(maxsize=8)(ops.encoder)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Training targets, float32: (N, classes), or (N, 1) of 0 and 1 for two classes."""
    if classes == 2:
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]


def augment(
    pixels: tf.Tensor, randomness: tf.Tensor, flip: bool, shift: int, mosaic: bool = False
) -> tf.Tensor:
    """Random mirror images and shifts of linear RAW pixels, per image, before the transform.

    On a mosaic every colour stays where the filter has it: shifts are even, and a mirrored
    image of even width is moved on by one column. The border is mirrored about the outermost
    pixel, which pairs equal colours.

    Args:
      pixels: (batch, H, W), integer.
      randomness: two int64 that decide everything.
      flip: mirror each image left to right with probability 1/2.
      shift: largest displacement in pixels, each axis, less than H and W.
      mosaic: the pixels are a Bayer mosaic.
    """
    if not (flip or shift):
        return pixels
    batch, height, width = pixels.shape
    count = batch if batch is not None else tf.shape(pixels)[0]
    rows, columns = tf.range(height)[None], tf.range(width)[None]
    if shift:
        step = 2 if mosaic else 1
        steps = shift // step
        corner = step * tf.random.stateless_uniform(
            [2, count, 1], randomness + 1, maxval=2 * steps + 1, dtype=tf.int32
        )
        rows = _mirrored(rows + corner[0] - steps * step, height)
        columns = _mirrored(columns + corner[1] - steps * step, width)
    if flip:
        flipped = tf.random.stateless_uniform([count, 1], randomness) < 0.5
        last = width - 2 if mosaic and width % 2 == 0 else width - 1
        columns = tf.where(flipped, _mirrored(last - columns, width), columns)
    # NumPy copies pixels an order of magnitude faster than TensorFlow gathers them.
    moved = tf.numpy_function(_take, [pixels, rows, columns], pixels.dtype, stateful=False)
    return tf.ensure_shape(moved, pixels.shape)


def _mirrored(places: tf.Tensor, size: int) -> tf.Tensor:
    """Indices outside 0..size-1, reflected about the outermost ones."""
    return (size - 1) - tf.abs((size - 1) - tf.abs(places))


def _take(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Pixel (rows[n, i], columns[n, j]) of every image n; a single row of indices serves all."""
    count = len(pixels)
    rows, columns = (np.broadcast_to(x, (count, x.shape[1])) for x in (rows, columns))
    moved = np.empty_like(pixels)
    for i in range(count):
        pixels[i].take(rows[i], axis=0).take(columns[i], axis=1, out=moved[i])
    return moved


def logits(model: keras.Model, data: DataSet, front_end: FrontEnd, split: str) -> np.ndarray:
    """The float network's outputs on one split, (N, units)."""
    pixels, _ = data.subset(split)
    return predict(model, front_end, requantize(pixels, data.sensor, front_end.sensor))


def predict(model: keras.Model, front_end: FrontEnd, pixels: np.ndarray) -> np.ndarray:
    """The float network's outputs, (N, units), in batches that shrink as the images grow.

    Args:
      pixels: P of ``front_end.sensor``, uint16 (N, H, W).
    """
    height, width = pixels.shape[1:]
    size = max(1, min(_BATCH_IMAGES, _BATCH_PIXELS // (height * width)))
    chunks = [
        np.asarray(model(front_end.encode(pixels[i : i + size]), training=False))
        for i in range(0, len(pixels), size)
    ]
    return np.concatenate(chunks)


def classify(scores: np.ndarray) -> np.ndarray:
    """Class index per row: the largest logit, or the sign of the only one."""
    return (scores[:, 0] > 0).astype(np.int64) if scores.shape[1] == 1 else scores.argmax(axis=1)


def evaluate(model: keras.Model, data: DataSet, front_end: FrontEnd, split: str) -> float:
    """Error rate 0..1 on one split; a network that diverged counts as always wrong."""
    return measure(model, data, front_end, split)[0]


def measure(model: keras.Model, data: DataSet, front_end: FrontEnd, split: str) -> tuple[float, float]:
    """Error rate 0..1 and mean cross-entropy in nats on one split; (1, infinity) if it diverged."""
    labels = data.labels_of(split)
    scores = logits(model, data, front_end, split).astype(np.float64)
    if not np.isfinite(scores).all():
        return 1.0, math.inf
    classes = scores if scores.shape[1] > 1 else np.concatenate([np.zeros_like(scores), scores], axis=1)
    # Cross-entropy = log sum exp - the right class' logit.
    losses = np.logaddexp.reduce(classes, axis=1) - classes[np.arange(len(labels)), labels]
    return float(np.mean(classify(scores) != labels)), float(losses.mean())


def majority_error(data: DataSet, split: str) -> float:
    """The error of always answering the most frequent training class."""
    counts = np.bincount(data.labels_of("train"), minlength=len(data.class_names))
    return float(np.mean(data.labels_of(split) != counts.argmax()))


def steps_per_epoch(images: int, config: TrainConfig) -> int:
    """Full batches in the training split; a split smaller than one batch is one step."""
    return max(1, images // config.batch_size)
