"""The input formats with a gradient that leads somewhere, for whoever optimises pixels.

Forward they are :func:`loggrad_tf.transform.ops.encode` of the rounded pixels, bit for bit. Backward each
rounding is passed straight through, and each step of a quantiser has the slope of a logistic function about
its threshold, because the slope of a step is zero almost everywhere (backward pass differentiable
approximation: Athalye, Carlini & Wagner 2018).
"""

import tensorflow as tf

from loggrad_tf.transform import ops
from loggrad_tf.transform.frontend import GAMMA, FrontEnd

WIDTH = 0.1


def encode(pixels: tf.Tensor, front_end: FrontEnd, width: float = WIDTH) -> tf.Tensor:
    """What the float network sees of the nearest whole P, with a gradient.

    Args:
      pixels: float32 (..., H, W), 0..sensor.span; rounded half up.
      width: of the logistic slopes, in units of g; small ones are steep and lie close to the thresholds.
        Of no matter to formats without levels.
    Returns:
      float32 (..., H, W, 1), as ``ops.encode``.
    """
    whole = tf.floor(pixels + 0.5)
    value = ops.encode(tf.cast(whole, tf.int32), front_end)
    seen = pixels + tf.stop_gradient(whole - pixels)
    smooth = _smooth(seen, front_end, width)[..., tf.newaxis]
    # The difference is exactly 0, so the value is exact.
    return tf.stop_gradient(value) + (smooth - tf.stop_gradient(smooth))


def _smooth(pixels: tf.Tensor, front_end: FrontEnd, width: float) -> tf.Tensor:
    span = float(front_end.sensor.span)
    if front_end.format == "raw16":
        return pixels / span
    if front_end.format == "jpeg8":
        # Half a code above 0, where the slope of the root is infinite.
        return ((pixels + 0.5) / span) ** (1 / GAMMA)
    gradient = ops.log_gradient(pixels, front_end.offset, front_end.border)
    if front_end.format == "loggrad_fp":
        return gradient
    level = tf.zeros_like(gradient)
    for threshold in front_end.thresholds:
        level += tf.sigmoid((gradient - threshold) / width) - tf.sigmoid((-gradient - threshold) / width)
    return level
