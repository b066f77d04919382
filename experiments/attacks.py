"""Attacks on a network by changing its light: one step, many steps, and one that sees the scores alone.

All look for the picture inside a :class:`Box` that gives the true class the smallest margin, and return
whole codes: a RAW frame that a sensor could have read. Pixels are P, uint16 (N, H, W); labels int (N,);
a margin is the logit of the true class less the largest other one, and a picture is classified rightly
while it is positive. Of a victim that is :func:`exposed` the pixels are what its network sees, float32
(N, H, W), and so is what comes back: numbers that its front end may never give.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from loggrad_tf.transform.frontend import FrontEnd

_BATCH = 100


@dataclasses.dataclass(frozen=True)
class Victim:
    """What an attack may ask of a network.

    Attributes:
      margins: (pixels, labels) -> float32 (N,); all that the black-box attack uses.
      slopes: (real pixels float32, labels, width) -> derivative of each image's margin by its pixels, float32
        (N, H, W); ``width`` is that of :func:`loggrad_tf.transform.soft.encode`.
    """

    margins: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slopes: Callable[[np.ndarray, np.ndarray, float], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Box:
    """The pictures that an attacker can make of some: ``low <= P' <= high``, (N, H, W), of their dtype."""

    low: np.ndarray
    high: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "Box":
        return Box(self.low[chosen], self.high[chosen])


def box(pixels: np.ndarray, share: float, floor: float, span: int) -> Box:
    """``|P' - P| <= share P + floor``, in whole codes, 0..span; at a share of 0 nothing may change.

    Args:
      share: of the light of each pixel, 0.01 for one per cent.
      floor: codes that may change however dark the pixel is, such as the sensor's read noise.
    """
    reach = np.floor(share * pixels.astype(np.float64) + floor) if share > 0 else np.zeros(pixels.shape)
    return Box(
        np.maximum(pixels - reach, 0).astype(np.uint16), np.minimum(pixels + reach, span).astype(np.uint16)
    )


def around(inputs: np.ndarray, share: float, low: float, high: float) -> Box:
    """``|x' - x| <= share (high - low)`` and ``low <= x' <= high``, of what a network sees, float32."""
    reach = share * (high - low)
    below, above = np.maximum(inputs - reach, low), np.minimum(inputs + reach, high)
    return Box(below.astype(np.float32), above.astype(np.float32))


def fgsm(victim: Victim, pixels: np.ndarray, labels: np.ndarray, limits: Box, width: float) -> np.ndarray:
    """Each pixel at the end of its range that the slope points to (Goodfellow et al. 2015)."""
    slopes = victim.slopes(pixels.astype(np.float32), labels, width)
    return np.where(slopes > 0, limits.low, np.where(slopes < 0, limits.high, pixels)).astype(pixels.dtype)


def pgd(
    victim: Victim,
    pixels: np.ndarray,
    labels: np.ndarray,
    limits: Box,
    steps: int,
    widths: Iterable[float],
) -> np.ndarray:
    """Projected gradient descent (Madry et al. 2018): the best of all pictures on the way, for each image.

    The first step is :func:`fgsm`'s, so the result is never weaker; further ones shrink linearly. The path
    runs through real numbers, slopes and margins are those of the rounded picture.

    Args:
      widths: one descent is made with each.
    """
    low, high = limits.low.astype(np.float32), limits.high.astype(np.float32)
    reach = np.maximum(high - pixels, pixels - low)
    best, least = pixels, victim.margins(pixels, labels)
    for width in widths:
        place = pixels.astype(np.float32)
        for step in range(steps):
            length = reach * np.float32(1 - step / steps)
            place = np.clip(place - length * np.sign(victim.slopes(place, labels, width)), low, high)
            tried = np.floor(place + 0.5).astype(np.uint16) if pixels.dtype == np.uint16 else place
            best, least = _better(victim, labels, best, least, tried)
    return best


def search(
    victim: Victim,
    pixels: np.ndarray,
    labels: np.ndarray,
    limits: Box,
    queries: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Random search by scores alone, after the Square attack (Andriushchenko et al. 2020).

    It begins with vertical stripes. A query brings the pixels of a square to an end of their range, all to
    the same end or each to one of its own: a log gradient does not see a square that brightens as a whole.
    The square shrinks from 80 % of the side to one pixel; what lowers the margin is kept.
    """
    count, height, width = pixels.shape
    best, least = pixels, victim.margins(pixels, labels)
    stripes = np.broadcast_to(rng.random((count, 1, width)) < 0.5, pixels.shape)
    best, least = _better(victim, labels, best, least, np.where(stripes, limits.high, limits.low))
    images = np.arange(count)[:, None, None]
    for query in range(queries):
        side = max(1, round(0.8 * min(height, width) * (1 - query / queries) ** 2))
        rows = rng.integers(0, height - side + 1, (count, 1, 1)) + np.arange(side)[:, None]
        columns = rng.integers(0, width - side + 1, (count, 1, 1)) + np.arange(side)
        alike = rng.random((count, 1, 1)) < 0.5
        up = np.where(alike, rng.random((count, 1, 1)) < 0.5, rng.random((count, side, side)) < 0.5)
        tried, places = best.copy(), (images, rows, columns)
        tried[places] = np.where(up, limits.high[places], limits.low[places])
        best, least = _better(victim, labels, best, least, tried)
    return best


def noise(limits: Box, rng: np.random.Generator) -> np.ndarray:
    """No attack: every pixel at one end of its range, drawn by lot."""
    return np.where(rng.random(limits.low.shape) < 0.5, limits.low, limits.high)


def _better(
    victim: Victim, labels: np.ndarray, best: np.ndarray, least: np.ndarray, tried: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    margins = victim.margins(tried, labels)
    won = margins < least
    return np.where(won[:, None, None], tried, best), np.where(won, margins, least)


def victim(model: Any, front_end: FrontEnd) -> Victim:
    """A Keras model behind its input format; slopes are those of :func:`loggrad_tf.transform.soft.encode`."""
    import tensorflow as tf

    from loggrad_tf.transform import ops, soft

    def encode(pixels: Any) -> Any:
        return ops.encode(pixels, front_end)

    def smooth(pixels: Any, width: Any) -> Any:
        return soft.encode(pixels, front_end, width)

    return _victim(model, tf.uint16, encode, smooth)


def exposed(model: Any) -> Victim:
    """A Keras model without its front end: its pixels are its inputs, float32 (N, H, W)."""
    import tensorflow as tf

    def as_it_is(inputs: Any, width: Any = None) -> Any:
        return inputs[..., tf.newaxis]

    return _victim(model, tf.float32, as_it_is, as_it_is)


def _victim(
    model: Any, dtype: Any, encode: Callable[[Any], Any], smooth: Callable[[Any, Any], Any]
) -> Victim:
    """``encode`` and ``smooth`` turn pixels into inputs (N, H, W, 1); the latter has slopes."""
    import tensorflow as tf

    def margin(scores: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        if scores.shape[-1] == 1:  # one logit decides two classes
            return scores[:, 0] * tf.cast(2 * labels - 1, tf.float32)
        truth = tf.one_hot(labels, scores.shape[-1], dtype=tf.float32)
        return tf.reduce_sum(truth * scores, -1) - tf.reduce_max(scores - 1e9 * truth, -1)

    def scores(encoded: tf.Tensor) -> tf.Tensor:
        return model(tf.ensure_shape(encoded, model.input_shape), training=False)

    shown = tf.TensorSpec([None, None, None], dtype)
    real = tf.TensorSpec([None, None, None], tf.float32)
    classes = tf.TensorSpec([None], tf.int32)

    @tf.function(input_signature=[shown, classes], autograph=False)
    def margins(pixels: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return margin(scores(encode(pixels)), labels)

    @tf.function(input_signature=[real, classes, tf.TensorSpec([], tf.float32)], autograph=False)
    def slopes(pixels: tf.Tensor, labels: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            total = margin(scores(smooth(pixels, width)), labels)
        return tape.gradient(total, pixels)

    def in_batches(function: Any, pixels: np.ndarray, labels: np.ndarray, *more: Any) -> np.ndarray:
        starts = range(0, len(pixels), _BATCH)
        labels = labels.astype(np.int32)
        parts = [function(pixels[i : i + _BATCH], labels[i : i + _BATCH], *more).numpy() for i in starts]
        return np.concatenate(parts)

    return Victim(
        lambda pixels, labels: in_batches(margins, pixels, labels),
        lambda pixels, labels, width: in_batches(slopes, pixels, labels, np.float32(width)),
    )
