"""Linear pixels made visible: contact sheets of a data set, a RAW frame in gray and colour.

A crop is shown with its 99.5 % quantile as white and gamma 2.2; a mosaic crop in colour at half its size,
with its channels' means made equal for the eye only.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from loggrad_tf.data import raw
from loggrad_tf.data.dataset import DataSet

_GAP, _CAPTION, _PAPER, _INK = 2, 14, 32, 235
_WIDEST = 1600
# Rows that are held as floats at a time.
_BAND = 256


def shown(pixels: np.ndarray) -> np.ndarray:
    """P [H, W] or [H, W, 3] -> uint8 for the eye: 99.5 % quantile white, gamma 2.2."""
    white = max(float(np.quantile(pixels, 0.995)), 1.0)
    seen = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), _BAND):
        band = slice(start, start + _BAND)
        seen[band] = np.round(255 * np.clip(pixels[band] / white, 0, 1) ** (1 / 2.2))
    return seen


def colours(mosaic: np.ndarray, cfa: str) -> np.ndarray:
    """A Bayer mosaic, P [H, W] -> float [H/2, W/2, 3], its channels scaled to one mean."""
    planes = np.zeros((mosaic.shape[0] // 2, mosaic.shape[1] // 2, 3))
    for place, letter in enumerate(cfa):
        planes[..., "RGB".index(letter)] += mosaic[place // 2 :: 2, place % 2 :: 2] / cfa.count(letter)
    means = planes.mean(axis=(0, 1))
    return planes * (means.mean() / np.maximum(means, 1e-9))


def sheet(data: DataSet, rows: int, columns: int) -> Image.Image:
    """Crops of every class, ``rows`` x ``columns`` at most, with their number in each split above."""
    side = data.pixels.shape[1] // (2 if data.mode == "mosaic" else 1)
    cell, counts = side + _GAP, data.counts()
    height = len(data.class_names) * (_CAPTION + rows * cell)
    picture = Image.new("RGB", (columns * cell, height), (_PAPER,) * 3)
    draw = ImageDraw.Draw(picture)
    for label, name in enumerate(data.class_names):
        top = label * (_CAPTION + rows * cell)
        train, val, test = counts[label]
        draw.text((_GAP, top + 1), f"{name}: {train} train, {val} val, {test} test", fill=(_INK,) * 3)
        members = np.flatnonzero(data.labels == label)
        count = min(rows * columns, len(members))
        chosen = members[np.linspace(0, len(members) - 1, count).round().astype(int)]
        for place, index in enumerate(chosen):
            crop = data.pixels[index]
            seen = shown(crop if data.mode == "gray" else colours(crop, data.sensor.cfa))
            corner = (place % columns * cell, top + _CAPTION + place // columns * cell)
            picture.paste(Image.fromarray(seen), corner)
    return picture


def photograph(path: Path, geometry: raw.Geometry | None = None) -> Image.Image:
    """A RAW file's gray frame and, if it is Bayer or linear, the colours beside it.

    Raises:
      LogGradError: it cannot be read.
    """
    image = raw.read_raw(path, geometry)
    gray = shown(raw.to_gray(image).pixels)
    views = [np.repeat(gray[..., None], 3, axis=2)]
    if image.pattern == image.sensor.cfa and image.pattern != raw.MONO:
        views.append(shown(colours(raw.to_mosaic(image).pixels, image.pattern)))
    elif image.pattern == raw.LINEAR:
        views.append(shown(image.pixels))
    # A mosaic that begins at its first red photosite may be a row or column shorter.
    height = min(view.shape[0] for view in views)
    picture = Image.fromarray(np.concatenate([view[:height] for view in views], axis=1))
    picture.thumbnail((_WIDEST, _WIDEST))
    return picture
