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
from models.moves import Cells, Moves, extra_of, moved
from models.recipe import TrainConfig


def training_batches(
    pixels: np.ndarray,
    labels: np.ndarray,
    units: int,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    transform: Callable[[tf.Tensor], tf.Tensor] | None = None,
    cells: Cells | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented, encoded batches: (float32 (batch, H, W, 1), one-hot or 0/1 labels).

    Those of a detector are one-hot, (batch, rows, columns, units); all 0 where a cell is asked nothing.

    The last, smaller batch of an epoch is left out (when there is a full one), so that the
    compiled transform sees one shape.

    Args:
      units: outputs of the network; one decides two classes.
      transform: of P (batch, H, W), in place of the front end's; nothing is cut out of what it gives.
      cells: of a detector, what each is to say of images that have moved; ``labels`` are not looked at then.
    """
    count = len(pixels)
    size = min(config.batch_size, count)
    memory = tf.constant(pixels)
    targets = tf.constant(one_hot(labels, units)) if cells is None else None
    encode = transform or _encoder(front_end)
    cutout = config.cutout if transform is None else 0
    mosaic = front_end.sensor.cfa != MONO

    moving = config.flip, config.shift, mosaic, config.zoom
    last = _last(pixels.shape[2], mosaic)

    @tf.autograph.experimental.do_not_convert
    def batch(indices: tf.Tensor, randomness: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, draws = tf.gather(memory, indices), _draws(randomness, size, *moving)
        if any((config.flip, config.shift, config.zoom)):
            images = _move(images, draws, mosaic, config.zoom)
        images = cut_out(encode(images), randomness, cutout)
        if cells is None:
            return images, tf.gather(targets, indices)
        return images, _asked(cells, indices, draws, last, units)

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
    pixels: tf.Tensor, randomness: tf.Tensor, flip: bool, shift: int, mosaic: bool = False, zoom: float = 0.0
) -> tf.Tensor:
    """Random mirror images, shifts and scales of linear RAW pixels, per image, before the transform.

    On a mosaic every colour stays where the filter has it: shifts are even, a mirrored image of even width
    is moved on by one column, and nothing is scaled. The border is mirrored about the outermost
    pixel, which pairs equal colours.

    Args:
      pixels: (batch, H, W), integer.
      randomness: two int64 that decide everything.
      flip: mirror each image left to right with probability 1/2.
      shift: largest displacement in pixels, each axis, less than H and W.
      mosaic: the pixels are a Bayer mosaic.
      zoom: what the largest scale exceeds 1 by.
    """
    if not (flip or shift or zoom):
        return pixels
    count = pixels.shape[0] if pixels.shape[0] is not None else tf.shape(pixels)[0]
    return _move(pixels, _draws(randomness, count, flip, shift, mosaic, zoom), mosaic, zoom)


def _draws(
    randomness: tf.Tensor, count: int | tf.Tensor, flip: bool, shift: int, mosaic: bool, zoom: float
) -> tuple[tf.Tensor, ...]:
    """Rows, columns, mirrored and extra of :class:`models.moves.Moves` for some images, int32 (count,)."""
    rows = columns = mirrored = extra = tf.zeros([count], tf.int32)
    if shift:
        step = 2 if mosaic else 1
        steps = shift // step
        corner = step * tf.random.stateless_uniform(
            [2, count, 1], randomness + 1, maxval=2 * steps + 1, dtype=tf.int32
        )
        rows, columns = corner[0, :, 0] - steps * step, corner[1, :, 0] - steps * step
    if flip:
        mirrored = tf.cast(tf.random.stateless_uniform([count, 1], randomness)[:, 0] < 0.5, tf.int32)
    if zoom and not mosaic:
        drawn = tf.random.stateless_uniform([count], randomness + 5, -1, 1, tf.float64)
        extra = tf.numpy_function(functools.partial(extra_of, zoom=zoom), [drawn], tf.int32, stateful=False)
    return rows, columns, mirrored, extra


def _move(pixels: tf.Tensor, draws: tuple[tf.Tensor, ...], mosaic: bool, zoom: float) -> tf.Tensor:
    _, height, width = pixels.shape
    last = _last(width, mosaic)
    if zoom and not mosaic:
        images = tf.numpy_function(
            lambda pixels, *draws: moved(pixels, Moves(last, *draws)),
            [pixels, *draws],
            pixels.dtype,
            stateful=False,
        )
        return tf.ensure_shape(images, pixels.shape)
    down, across, mirrored, _ = (each[:, None] for each in draws)
    rows = _mirrored(tf.range(height)[None] + down, height)
    columns = _mirrored(tf.range(width)[None] + across, width)
    columns = tf.where(mirrored > 0, _mirrored(last - columns, width), columns)
    # NumPy copies pixels an order of magnitude faster than TensorFlow gathers them.
    images = tf.numpy_function(_take, [pixels, rows, columns], pixels.dtype, stateful=False)
    return tf.ensure_shape(images, pixels.shape)


def _asked(cells: Cells, frames: tf.Tensor, draws: tuple[tf.Tensor, ...], last: int, units: int) -> tf.Tensor:
    """What each cell is to say, float32 (batch, rows, columns, units)."""
    found = tf.numpy_function(
        lambda frames, *draws: cells.asked(frames, Moves(last, *draws)),
        [frames, *draws],
        tf.int32,
        stateful=False,
    )
    shape = frames.shape[0], cells.grid.rows, cells.grid.columns
    return tf.one_hot(tf.ensure_shape(found, shape), units)


def _last(width: int, mosaic: bool) -> int:
    """The column that column 0 of a mirrored image comes from."""
    return width - 2 if mosaic and width % 2 == 0 else width - 1


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
