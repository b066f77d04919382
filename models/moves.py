"""How frames move in training, and what a detector is to say of them then.

A frame is scaled about its middle, moved, and mirrored left to right, all on linear RAW. Places are whole
65536ths of a pixel, so NumPy, TensorFlow and the compiled code (``Encoder::move`` in
``native/source/input.cpp``) have the same pixels. What lies beyond a frame is its mirror image about the
outermost pixels; its cells ask for nothing, because the objects there have no boxes.
"""

import dataclasses
from typing import Self

import numpy as np

from loggrad_tf.data.boxes import of_frames, seen_through
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sides import sides
from loggrad_tf.detect.grid import BACKGROUND, IGNORED, Grid, targets
from models.graph import Graph

# A pixel in the units of :attr:`Moves.extra`.
PIXEL = 1 << 16


@dataclasses.dataclass(frozen=True)
class Moves:
    """Of some frames; but for ``last`` integers [frames] each.

    Attributes:
      last: the column that column 0 of a mirrored frame comes from.
      rows, columns: pixels that the frame moves up and left.
      mirrored: 1 for left to right; what is moved is the mirror image.
      extra: by how much more than a pixel of the frame a pixel moves on, in 65536ths; below 0 objects grow.
    """

    last: int
    rows: np.ndarray
    columns: np.ndarray
    mirrored: np.ndarray
    extra: np.ndarray

    def windows(self, height: int, width: int) -> np.ndarray:
        """What is seen of each frame: left, top, right, bottom in its pixels, float64 [frames, 4]."""
        step = 1 + self.extra / PIXEL
        left = self.columns + (width - 1) * (1 - step) / 2 + (0.5 - step / 2)
        top = self.rows + (height - 1) * (1 - step) / 2 + (0.5 - step / 2)
        right, bottom = left + width * step, top + height * step
        turned = self.mirrored != 0
        across = np.where(turned, self.last + 1 - right, left), np.where(turned, self.last + 1 - left, right)
        return np.stack([across[0], top, across[1], bottom], axis=1)


@dataclasses.dataclass(frozen=True)
class Cells:
    """What the cells of a detector are asked in training.

    Attributes:
      boxes: :data:`loggrad_tf.data.boxes.BOX` of the training frames.
      grid: that it answers on.
      height, width: of a frame.
    """

    boxes: np.ndarray
    grid: Grid
    height: int
    width: int

    @classmethod
    def of(cls, graph: Graph, data: DataSet) -> Self | None:
        """Of a network on the training split; None for a classifier."""
        if graph.cells is None:
            return None
        return cls(data.boxes_of("train"), Grid.over(data.size, *graph.cells), *sides(data.size))

    def asked(self, frames: np.ndarray, moves: Moves) -> np.ndarray:
        """:func:`asked` of some training frames, by their numbers, none of them twice."""
        return asked(of_frames(self.boxes, frames), moves, self.height, self.width, self.grid)


def asked(boxes: np.ndarray, moves: Moves, height: int, width: int, grid: Grid) -> np.ndarray:
    """What each cell of each moved frame is to say.

    Args:
      boxes: :data:`loggrad_tf.data.boxes.BOX` of the frames before they move, in their order.
      height, width: of a frame.

    Returns:
      int32 [frames, rows, columns], as :func:`loggrad_tf.detect.grid.targets` has it; nothing is asked of
      cells whose centre shows what lies beyond the frame.
    """
    windows = moves.windows(height, width)
    seen = seen_through(boxes, windows, moves.mirrored != 0, height, width)
    found = targets(seen, len(windows), grid)
    step = (1 + moves.extra / PIXEL)[:, None]
    sides = (grid.rows, height), (grid.columns, width)
    centres = [np.minimum((np.arange(count) + 0.5) * grid.stride, side) for count, side in sides]
    y = windows[:, 1, None] + centres[0] * step
    mirrored = moves.mirrored[:, None] != 0
    x = np.where(mirrored, windows[:, 2, None] - centres[1] * step, windows[:, 0, None] + centres[1] * step)
    beyond = ((y < 0) | (y > height))[:, :, None] | ((x < 0) | (x > width))[:, None, :]
    found[beyond & (found == BACKGROUND)] = IGNORED
    return found


def moved(pixels: np.ndarray, moves: Moves) -> np.ndarray:
    """Frames as their moves show them: between four pixels, by whole 256ths of the way from one to the next.

    Args:
      pixels: P, uint16 [frames, rows, columns].
    """
    found = np.empty_like(pixels)
    height, width = pixels.shape[1:]
    down = _places(height, moves.rows, moves.extra)
    across = _places(width, moves.columns, moves.extra)
    turned = _inside(moves.last * PIXEL - across, width)
    across = np.where(moves.mirrored[:, None] != 0, turned, across)
    for k, frame in enumerate(pixels):
        (upper, lower, y), (first, second, x) = _between(down[k], height), _between(across[k], width)
        rows = frame.take(first, axis=1) * (256 - x) + frame.take(second, axis=1) * x
        whole = rows.take(upper, axis=0) * (256 - y[:, None]) + rows.take(lower, axis=0) * y[:, None]
        found[k] = (whole + (1 << 15)) >> 16
    return found


def _places(size: int, shift: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Where each pixel of an axis comes from, in 65536ths of a pixel, int64 [frames, size]."""
    places = np.arange(size) * (PIXEL + extra[:, None].astype(np.int64))
    return _inside(
        places + shift[:, None] * PIXEL + (-(size - 1) * extra[:, None].astype(np.int64) >> 1), size
    )


def _inside(places: np.ndarray, size: int) -> np.ndarray:
    """Places beyond an axis, reflected about its outermost pixels."""
    end = (size - 1) * PIXEL
    return end - np.abs(end - np.abs(places))


def _between(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels before and behind places, and how far it is to them from the first, in 256ths, uint32."""
    first = places >> 16
    return first, np.minimum(first + 1, size - 1), (places >> 8 & 255).astype(np.uint32)


def extra_of(drawn: np.ndarray, zoom: float) -> np.ndarray:
    """:attr:`Moves.extra` for scales between 1 / (1 + zoom) and 1 + zoom, uniform in their logarithm.

    Args:
      drawn: numbers of -1 to 1; at 1 objects are largest.
    """
    return np.rint(PIXEL * (np.power(1 + zoom, -drawn) - 1)).astype(np.int32)
