"""What a training draws: shuffled, augmented, transformed batches, all of it from one seed.

Pixels stay linear RAW until the batch is drawn; flips and shifts act on the RAW, and the
transform runs behind them, because a mirrored scene is not the mirrored level map (where
the scene has h + v, its mirror image has -h + v). What is cut out is cut out of the network's input, behind
the transform: a hole in the RAW would have edges.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from loggrad_tf.transform import ops
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import MONO
from models.recipe import TrainConfig


def training_batches(
    pixels: np.ndarray,
    labels: np.ndarray,
    units: int,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    transform: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented, encoded batches: (float32 (batch, H, W, 1), one-hot or 0/1 labels).

    The last, smaller batch of an epoch is left out (when there is a full one), so that the
    compiled transform sees one shape.

    Args:
      units: outputs of the network; one decides two classes.
      transform: of P (batch, H, W), in place of the front end's; nothing is cut out of what it gives.
    """
    count = len(pixels)
    size = min(config.batch_size, count)
    memory = tf.constant(pixels)
    targets = tf.constant(one_hot(labels, units))
    encode = transform or _encoder(front_end)
    cutout = config.cutout if transform is None else 0
    mosaic = front_end.sensor.cfa != MONO

    @tf.autograph.experimental.do_not_convert
    def batch(indices: tf.Tensor, randomness: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = augment(tf.gather(memory, indices), randomness, config.flip, config.shift, mosaic)
        return cut_out(encode(images), randomness, cutout), tf.gather(targets, indices)

    order = tf.data.Dataset.range(count).shuffle(count, seed=seed, reshuffle_each_iteration=True)
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    zipped = tf.data.Dataset.zip(order.batch(size, drop_remainder=True), seeds)
    return zipped.map(batch).prefetch(2)


# Compiled once in a process, whatever it trains.
_encoder = functools.lru_cache(maxsize=8)(ops.encoder)


def one_hot(labels: np.ndarray, units: int) -> np.ndarray:
    """Training targets, float32: (N, units), or (N, 1) of 0 and 1 for one unit."""
    if units == 1:
        return labels[:, None].astype(np.float32)
    return np.eye(units, dtype=np.float32)[labels]


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


def cut_out(images: tf.Tensor, randomness: tf.Tensor, side: int) -> tf.Tensor:
    """A square of zeros in images that are encoded, in each with probability 1/2.

    Zero is "no gradient" for levels and ``loggrad_fp``, and black for jpeg8 and raw16. The first row and
    column are uniform from -side/2 to the image's size - side/2, that one excluded, so squares at the border
    are cut off (DeVries and Taylor 2017).

    Args:
      images: (batch, H, W, C), floating point.
      randomness: two int64 that decide everything.
      side: of the square in pixels; 0 leaves the images as they are.
    """
    if not side:
        return images
    count, height, width = (tf.shape(images)[axis] for axis in range(3))
    rows = _stretch(randomness + 2, count, height, side)[:, :, tf.newaxis]
    columns = _stretch(randomness + 3, count, width, side)[:, tf.newaxis, :]
    cut = tf.random.stateless_uniform([count, 1, 1], randomness + 4) < 0.5
    return tf.where((rows & columns & cut)[..., tf.newaxis], tf.zeros([], images.dtype), images)


def _stretch(randomness: tf.Tensor, count: tf.Tensor, size: tf.Tensor, side: int) -> tf.Tensor:
    """Which of ``size`` rows, or columns, a square of each of ``count`` images covers: bool (count, size)."""
    first = tf.random.stateless_uniform(
        [count, 1], randomness, minval=-(side // 2), maxval=size - side // 2, dtype=tf.int32
    )
    places = tf.range(size)[tf.newaxis]
    return (first <= places) & (places < first + side)


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
