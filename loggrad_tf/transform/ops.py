"""The transform as TensorFlow operations: eager, graph, tf.data, batched.

Same levels as :mod:`loggrad_tf.transform.reference`, bit for bit. A level compares ``a > (K / 2^S) b``,
a and b products of two pixels. K / 2^S is a float64 without rounding, and K b stays below
2^53, so float64 decides exactly as int64 would, and faster: TensorFlow's CPU kernels have no
vector form for int64. :func:`encoder` compiles the whole transform into one pass over memory
with XLA, which is where most of the speed comes from (``python -m benchmarks.frontend``).
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from loggrad_tf.transform import reference
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.reference import DEFAULT_SHIFT, check_ratios


def neighbours(pixels: tf.Tensor, border: str = "mirror") -> tuple[tf.Tensor, ...]:
    """(U, D, L, R) of every pixel; see :func:`loggrad_tf.transform.reference.neighbours`."""
    if border == "valid":
        return reference.neighbours(pixels, border)
    # The second row stands in for the one above the first, and so on all round;
    # slicing twice leaves a single row to stand in for itself.
    above, below = pixels[..., :2, :][..., -1:, :], pixels[..., -2:, :][..., :1, :]
    before, behind = pixels[..., :2][..., -1:], pixels[..., -2:][..., :1]
    rows = tf.concat([above, pixels, below], axis=-2)
    columns = tf.concat([before, pixels, behind], axis=-1)
    return rows[..., :-2, :], rows[..., 2:, :], columns[..., :-2], columns[..., 2:]


def log_gradient(pixels: tf.Tensor, offset: int = 1, border: str = "mirror") -> tf.Tensor:
    """Paper, equation (2): P (..., H, W), any real dtype -> g float32, same shape.

    With border ``valid`` the result is (..., H-2, W-2).
    """
    logs = tf.math.log(tf.cast(pixels, tf.float32) + float(offset))
    up, down, left, right = neighbours(logs, border)
    return up + left - down - right


def levels(
    pixels: tf.Tensor,
    ratios: tuple[int, ...] | tf.Tensor,
    shift: int = DEFAULT_SHIFT,
    offset: int = 1,
    border: str = "mirror",
) -> tf.Tensor:
    """P (..., H, W), uint8, uint16 or any dtype that holds it exactly -> levels -n..n, int8.

    Args:
      ratios: K_1 < ... < K_n; or float64 (n,) that holds such integers and is not checked.
    """
    if isinstance(ratios, tuple):
        check_ratios(ratios, shift)
        steps = [tf.constant(ratio / 2**shift, tf.float64) for ratio in ratios]
    else:
        steps = tf.unstack(ratios / 2.0**shift)
    shifted = tf.cast(pixels, tf.float64) + float(offset)
    up, down, left, right = neighbours(shifted, border)
    lighter, darker = up * left, down * right
    q = tf.zeros_like(lighter, tf.int8)
    for k in steps:
        q += tf.cast(lighter > k * darker, tf.int8) - tf.cast(darker > k * lighter, tf.int8)
    return q


def encode(pixels: tf.Tensor, front_end: FrontEnd) -> tf.Tensor:
    """What the float network sees: P (..., H, W) integer -> float32 (..., H, W, 1).

    The tensor form of :meth:`FrontEnd.encode`.
    """
    if front_end.levels:
        q = levels(pixels, front_end.ratios, front_end.shift, front_end.offset, front_end.border)
        real = tf.cast(q, tf.float32)
    elif front_end.format == "loggrad_fp":
        real = log_gradient(pixels, front_end.offset, front_end.border)
    elif front_end.format == "raw16":
        real = tf.cast(tf.cast(pixels, tf.float64) / front_end.sensor.span, tf.float32)
    else:
        real = tf.gather(tf.constant(_gamma_values(front_end)), tf.cast(pixels, tf.int32))
    return real[..., tf.newaxis]


def _gamma_values(front_end: FrontEnd) -> np.ndarray:
    return front_end.encode(np.arange(front_end.sensor.span + 1, dtype=np.uint16)[None])[0, :, 0]


def encoder(front_end: FrontEnd) -> Callable[[tf.Tensor], tf.Tensor]:
    """:func:`encode` compiled for use in ``dataset.batch(n).map(encoder(front_end))``.

    Each batch shape is compiled once (a fraction of a second), so batch first.
    """

    def transform(pixels: tf.Tensor) -> tf.Tensor:
        return encode(pixels, front_end)

    # jpeg8 is one table look-up, which XLA does not speed up.
    return tf.function(transform, jit_compile=front_end.format != "jpeg8", autograph=False)
