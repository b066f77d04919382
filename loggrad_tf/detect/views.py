"""Frames as people see them, and in them what a detector found, missed and invented.

What was found is a green box with a dot where its cell is, what was missed a yellow box, what was invented a
red cell, each with the name of its class. Difficult boxes are not shown, nor objects that hit nothing else:
they count for nothing.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.views import camera_saw
from loggrad_tf.detect.grid import Grid
from loggrad_tf.detect.scores import HIT, INVENTED, matched

FOUND, MISSED, WRONG = "#17c964", "#ffd60a", "#ff4d4f"
# Frames are magnified to this width at least, and so many are side by side.
_LEAST, _ACROSS = 400, 3
_GAP, _PAPER, _EDGE = 4, 255, "#101010"
_FONT = ImageFont.load_default(13)


def telling(found: np.ndarray, boxes: np.ndarray, most: int) -> np.ndarray:
    """The numbers of some frames that show something: evenly spaced among those with objects, found or there.

    Args:
      found: :data:`loggrad_tf.detect.decode.OBJECT`.
      boxes: :data:`loggrad_tf.data.boxes.BOX` of the same frames.
      most: so many at most.
    """
    there = np.union1d(found["frame"], boxes["frame"][~boxes["difficult"]])
    if len(there) <= most:
        return there
    return there[(np.arange(most) * len(there)) // most]


def sheet(data: DataSet, split: str, found: np.ndarray, grid: Grid, frames: np.ndarray) -> Image.Image:
    """Some frames of a split, three in a row.

    Args:
      found: all objects of the split, :data:`loggrad_tf.detect.decode.OBJECT`.
      frames: numbers within the split, at least one.
    """
    pixels, _ = data.subset(split)
    boxes = data.boxes_of(split)
    fates, taken = matched(found, boxes, grid)
    missed = ~boxes["difficult"]
    missed[taken[taken >= 0]] = False
    tiles = []
    for frame in frames.tolist():
        tile = _Tile(camera_saw(np.asarray(pixels[frame]), data.sensor.cfa))
        for box in boxes[missed & (boxes["frame"] == frame)]:
            tile.box(box, data.class_names[box["label"]], MISSED)
        for k in np.flatnonzero(found["frame"] == frame):
            one, name = found[k], data.class_names[found["label"][k]]
            if fates[k] == HIT:
                tile.box(boxes[taken[k]], name, FOUND)
                tile.dot(one, grid, FOUND)
            elif fates[k] == INVENTED:
                tile.cell(one, grid, name)
        tiles.append(tile.image)
    width, height = tiles[0].size
    across = min(_ACROSS, len(tiles))
    down = -(-len(tiles) // across)
    size = across * (width + _GAP) - _GAP, down * (height + _GAP) - _GAP
    whole = Image.new("RGB", size, (_PAPER,) * 3)
    for place, image in enumerate(tiles):
        whole.paste(image, ((place % across) * (width + _GAP), (place // across) * (height + _GAP)))
    return whole


class _Tile:
    """One frame, magnified, that is drawn upon."""

    def __init__(self, saw: np.ndarray) -> None:
        height, width = saw.shape[:2]
        self._factor = max(1, -(-_LEAST // width))
        size = width * self._factor, height * self._factor
        self.image = Image.fromarray(saw).resize(size, Image.Resampling.BILINEAR)
        self._pen = ImageDraw.Draw(self.image)

    def box(self, box: np.ndarray, name: str, colour: str) -> None:
        self._outline([float(box[side]) for side in ("left", "top", "right", "bottom")], name, colour)

    def cell(self, one: np.ndarray, grid: Grid, name: str) -> None:
        left, top = float(one["column"]) * grid.stride, float(one["row"]) * grid.stride
        self._outline([left, top, left + grid.stride, top + grid.stride], name, WRONG)

    def dot(self, one: np.ndarray, grid: Grid, colour: str) -> None:
        x, y = ((float(one[name]) + 0.5) * grid.stride * self._factor for name in ("column", "row"))
        self._pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour, outline=_EDGE)

    def _outline(self, corners: list[float], name: str, colour: str) -> None:
        """A line within a dark one, so that it shows on any picture; its name above or within."""
        limits = self.image.width - 1, self.image.height - 1
        left, top, right, bottom = (
            min(max(round(value * self._factor), 0), limits[k % 2]) for k, value in enumerate(corners)
        )
        right, bottom = max(right, left), max(bottom, top)
        self._pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_EDGE, width=4)
        self._pen.rectangle((left, top, right, bottom), outline=colour, width=2)
        beside = max(min(left + 3, limits[0] - round(self._pen.textlength(name, _FONT)) - 2), 0)
        place = (beside, top - 16 if top >= 16 else top + 2)
        self._pen.text(place, name, fill=colour, font=_FONT, stroke_width=2, stroke_fill=_EDGE)
