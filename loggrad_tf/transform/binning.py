"""Binning: k x k codes of a camera to one pixel, and mosaics that bin to given pixels.

    pixel = floor((sum of k x k P + k k / 2) / (k k)),   P = clip(code - black, 0, span)

On a Bayer mosaic k = 2 is the gray pixel of :func:`loggrad_tf.data.raw.to_gray`. The board does the same
(``lg_bin.h``).
"""

import numpy as np

FACTORS = (1, 2, 4)


def binned(pixels: np.ndarray, factor: int) -> np.ndarray:
    """P, uint16 (..., H, W) -> uint16 (..., H // factor, W // factor); what fills no square is left out."""
    height, width = pixels.shape[-2] // factor, pixels.shape[-1] // factor
    squares = pixels[..., : height * factor, : width * factor].astype(np.uint32)
    squares = squares.reshape(*pixels.shape[:-2], height, factor, width, factor)
    area = factor * factor
    return ((squares.sum(axis=(-3, -1)) + area // 2) // area).astype(np.uint16)


def spread(pixels: np.ndarray, factor: int, span: int, generator: np.random.Generator) -> np.ndarray:
    """A mosaic of unequal values whose binning is ``pixels``.

    Args:
      pixels: uint16 (H, W), values 0..span.
      generator: the sums of the squares are anywhere in the range that rounds to the pixel.
    Returns:
      P, uint16 (factor H, factor W), values 0..span.
    """
    area = factor * factor
    if area == 1:
        return pixels
    gray = pixels.astype(np.int64)[..., None]
    # Places in pairs go apart by the same; one less than there is room, so that each may still change by 1.
    room = np.maximum(np.minimum(gray, span - gray) - 1, 0)
    apart = generator.integers(0, room + 1, (*pixels.shape, area // 2))
    rest = generator.integers(
        np.where(gray > 0, -(area // 2), 0), np.where(gray < span, area // 2, 1), gray.shape
    )
    order = generator.permuted(np.broadcast_to(np.arange(area), (*pixels.shape, area)), axis=-1)
    places = gray + np.concatenate([apart, -apart], axis=-1)
    places = np.take_along_axis(places, order, axis=-1) + np.sign(rest) * (order < np.abs(rest))
    height, width = pixels.shape
    squares = places.reshape(height, width, factor, factor).swapaxes(1, 2)
    return squares.reshape(height * factor, width * factor).astype(np.uint16)
