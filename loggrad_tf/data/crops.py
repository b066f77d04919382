"""Boxes in a linear frame -> crops of ``size`` (:mod:`loggrad_tf.data.sides`), still integer sensor codes.

An axis that shrinks is averaged over area, as a sensor with larger photosites would do it in the optics:
``out[i] = integral of in over [start + i r, start + (i + 1) r) / r`` with r = length / size, pixels cut at
the edges by their share. An axis that grows is interpolated linearly between pixel centres. Both in linear
light, one axis at a time, rounded half up at the end.

A Bayer mosaic is never interpolated across colours: its four planes are resized each on its own to
``size / 2`` and interleaved again, so the crop has the frame's colour filter at its top-left.

Boxes are ``(left, top, right, bottom)`` in the frame's pixels, from 0, half open, fractions allowed. A box
that is :func:`too_small` is for the caller to reject; a box is never padded and stretched only where
:func:`around` says so. A whole picture has three ways to the crop's proportions (``fit``):

    stretch    both sides are scaled, each on its own
    crop       its middle of these proportions is kept
    pad        scaled as a whole; mirrored rows or columns, on both sides alike, fill the rest

The mirror is the border rule of the transform: the first row is not repeated, row -1 is row 1, so no gradient
is invented at the seam, and on a mosaic every photosite meets its own colour.
"""

import math
from collections.abc import Callable

import numpy as np

from loggrad_tf.data.sides import Size, sides
from loggrad_tf.data.voc import Box
from loggrad_tf.errors import LogGradError

MODES = ("gray", "mosaic")
# Values that are held as float64 at a time, besides the result.
_BLOCK = 2**22


def too_small(box: Box, size: Size) -> str:
    """Why a box, in RAW pixels, is too small for a crop; empty if it is not.

    A Bayer frame is binned by two first, so that a crop of two thirds is enlarged at most three times.
    """
    wide, high = _filled(box, size)
    rows, columns = sides(size)
    side, least = (wide, 2 * columns / 3) if columns >= rows else (high, 2 * rows / 3)
    return f"longer side of {side:.0f} pixels, at least {least:.0f} are needed" if side < least else ""


def _filled(box: Box, size: Size) -> tuple[float, float]:
    """Width and height of the least window of the size's proportions that holds the box."""
    left, top, right, bottom = box
    rows, columns = sides(size)
    wide, high = right - left, bottom - top
    return max(wide, high * (columns / rows)), max(high, wide * (rows / columns))


def around(box: Box, width: int, height: int, size: Size) -> Box:
    """The least window of the size's proportions that holds a box, about its centre, moved into the frame.

    The object keeps its proportions and gets what lies beside it. Where the frame is narrower or lower
    than the window, it ends at the frame and :func:`resize` stretches it.
    """
    left, top, right, bottom = box
    wide, high = _filled(box, size)

    def place(start: float, end: float, least: float, limit: int) -> tuple[float, float]:
        length = min(least, limit)
        begin = min(max((start + end - length) / 2, 0.0), limit - length)
        return begin, begin + length

    (left, right), (top, bottom) = place(left, right, wide, width), place(top, bottom, high, height)
    return left, top, right, bottom


def whole(width: int, height: int, size: Size, fit: str, step: int = 1) -> tuple[Box, tuple[int, int]]:
    """What is kept of a whole picture, and the rows and columns that it becomes before :func:`mirrored`.

    Args:
      width, height: of the picture.
      size: the crop's.
      fit: ``stretch``, ``crop`` or ``pad``.
      step: 2 for a mosaic: edges of the window, rows and columns are then even.
    """
    rows, columns = sides(size)
    if fit == "crop":
        wide, high = min(width, height * columns // rows), min(height, width * rows // columns)
        left, top = (width - wide) // 2 // step * step, (height - high) // 2 // step * step
        return (left, top, left + wide, top + high), (rows, columns)
    if fit == "pad":
        filled, of = (columns, width) if width * rows >= height * columns else (rows, height)
        rows, columns = (
            max(math.floor(filled * length / of / step + 0.5), 1) * step for length in (height, width)
        )
    return (0, 0, width, height), (rows, columns)


def mirrored(pixels: np.ndarray, size: Size, step: int = 1) -> np.ndarray:
    """Rows and columns of [rows, columns] mirrored about the first and last, as often as it takes.

    Args:
      pixels: neither side longer than that of ``size``.
      size: the output's.
      step: 2 for a mosaic, whose colours stay in their places.

    Returns:
      An array of ``size``, the pixels in the middle.
    """

    def places(length: int, wanted: int) -> np.ndarray:
        first = (wanted - length) // 2 // step * step
        period = max(2 * (length - 1), 1)
        place = (np.arange(wanted) - first) % period
        return np.minimum(place, period - place)

    if pixels.shape == sides(size):
        return pixels
    return pixels[np.ix_(*map(places, pixels.shape, sides(size)))]


def _along(values: np.ndarray, start: float, end: float, size: int) -> np.ndarray:
    """Resize axis 0 of [N, ...] from the window ``start``..``end`` to ``size``: float64 [size, ...]."""
    length, ratio = values.shape[0], (end - start) / size
    edges = start + ratio * np.arange(size + 1)
    broad = (-1,) + (1,) * (values.ndim - 1)
    if ratio < 1:
        centres = np.clip((edges[:-1] + edges[1:]) / 2 - 0.5, 0, length - 1)
        whole = np.minimum(centres.astype(np.int64), max(length - 2, 0))
        part = (centres - whole).reshape(broad)
        return values[whole] * (1 - part) + values[np.minimum(whole + 1, length - 1)] * part
    # The light up to each edge: whole pixels by their running sum, the last by its share.
    running = np.zeros((length + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=running[1:])
    edges = np.clip(edges, 0, length)
    whole = np.minimum(edges.astype(np.int64), length - 1)
    light = running[whole] + (edges - whole).reshape(broad) * values[whole]
    return np.diff(light, axis=0) / np.diff(edges).reshape(broad)


def _real(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)


def resize(
    plane: np.ndarray,
    box: Box,
    size: Size,
    light: Callable[[np.ndarray], np.ndarray] = _real,
) -> np.ndarray:
    """One window of a plane of like pixels, at another size.

    Args:
      plane: [H, W] or [H, W, C], any real dtype.
      box: the window, inside the plane; its sides are scaled to those of ``size`` each on its own.
      size: the output's.
      light: what a part of the plane, of the same form, stands for in linear light, float64.

    Returns:
      float64 [rows, columns] or [rows, columns, C], no value outside the plane's least and greatest.
    """
    rows, columns = sides(size)
    left, top, right, bottom = box
    height, width = plane.shape[:2]
    if not (0 <= left < right <= width + 1e-6 and 0 <= top < bottom <= height + 1e-6):
        raise LogGradError(f"window {box} is not inside the frame of {width}x{height}")
    # One pixel more on every side, which interpolation may reach for.
    row, column = max(int(top) - 1, 0), max(int(left) - 1, 0)
    window = plane[row : int(np.ceil(bottom)) + 1, column : int(np.ceil(right)) + 1]
    step = max(1, _BLOCK // math.prod((window.shape[0], *window.shape[2:])))
    blocks = (window[:, start : start + step] for start in range(0, window.shape[1], step))
    tall = np.concatenate([_along(light(block), top - row, bottom - row, rows) for block in blocks], axis=1)
    return _along(tall.swapaxes(0, 1), left - column, right - column, columns).swapaxes(0, 1)


def to_codes(values: np.ndarray, span: int) -> np.ndarray:
    """Real values -> P, uint16: rounded half up, clipped to 0..span.

    A tie goes up even if the order of a sum left it a little below: the same crop on every machine.
    """
    return np.clip(np.floor(values + (0.5 + 1e-7)), 0, span).astype(np.uint16)


def crop_gray(pixels: np.ndarray, box: Box, size: Size, span: int) -> np.ndarray:
    """P uint16 [H, W] -> P uint16 [rows, columns]."""
    return to_codes(resize(pixels, box, size), span)


def crop_mosaic(pixels: np.ndarray, box: Box, size: Size, span: int) -> np.ndarray:
    """P of a Bayer mosaic, uint16 [H, W] with even H and W -> uint16 [rows, columns], same filter at (0, 0).

    The window's edges are moved to the nearest even pixel first, so that the four planes are cut alike.
    """
    height, width = pixels.shape
    rows, columns = sides(size)
    if height % 2 or width % 2 or rows % 2 or columns % 2:
        raise LogGradError(f"mosaic of {width}x{height} to {columns}x{rows}: sides must be even")
    left, right = _even(box[0], box[2], width // 2)
    top, bottom = _even(box[1], box[3], height // 2)
    crop = np.empty((rows, columns), np.uint16)
    for row in (0, 1):
        for column in (0, 1):
            plane = resize(pixels[row::2, column::2], (left, top, right, bottom), (rows // 2, columns // 2))
            crop[row::2, column::2] = to_codes(plane, span)
    return crop


def _even(start: float, end: float, limit: int) -> tuple[int, int]:
    """A window's edges in plane pixels: whole ones, at least one, inside the plane."""
    first = min(int(np.floor(start / 2 + 0.5)), limit - 1)
    return first, min(max(int(np.floor(end / 2 + 0.5)), first + 1), limit)
