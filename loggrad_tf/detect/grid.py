"""The grid a detector answers on, and what each of its cells is to say.

A detector gives each cell a score for the background and one for each class. A cell is ``stride`` pixels
square; at the right and the lower edge it may reach beyond the frame. What a cell is to say:

- the class of the box whose centre lies in it;
- so do the eight cells round that one, if their own centres lie in the middle half of the box, across and
  down: a large object is found in any of them;
- where two boxes claim a cell, the smaller one has it, and of equal ones the first;
- nothing (:data:`IGNORED`), if its centre lies in a difficult box, or that box's centre in it, and no other
  box claims it;
- else background.

A truncated object is what is to be seen of it.
"""

import dataclasses

import numpy as np

from loggrad_tf.data.sides import Size, sides
from loggrad_tf.errors import LogGradError

IGNORED, BACKGROUND = -1, 0


@dataclasses.dataclass(frozen=True)
class Grid:
    """Cells over a frame.

    Attributes:
      rows, columns: of cells.
      stride: side of a cell, pixels.
    """

    rows: int
    columns: int
    stride: int

    @classmethod
    def over(cls, frame: Size, rows: int, columns: int) -> "Grid":
        """The grid of a network that answers with so many rows and columns for frames of a size.

        Raises:
          LogGradError: no cells that are squares cover the frame like that.
        """
        height, width = sides(frame)
        strides = [s for s in range(1, height + 1) if (-(-height // s), -(-width // s)) == (rows, columns)]
        whole = [s for s in strides if not s & (s - 1)]
        if not whole:
            raise LogGradError(
                f"a grid of {columns}x{rows} cells on frames of {width}x{height}: they would not be squares"
                " of 1, 2, 4, 8 ... pixels: let paddings be 'same' and strides be 2"
            )
        return cls(rows, columns, whole[-1])

    def cells(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the cells that hold points (pixels), int64; a point on the far edge is inside."""
        row = np.clip(np.floor_divide(y, self.stride), 0, self.rows - 1).astype(np.int64)
        column = np.clip(np.floor_divide(x, self.stride), 0, self.columns - 1).astype(np.int64)
        return row, column


def targets(boxes: np.ndarray, frames: int, grid: Grid) -> np.ndarray:
    """What each cell of each frame is to say.

    Args:
      boxes: :data:`loggrad_tf.data.boxes.BOX` [n].
      frames: how many there are.

    Returns:
      int32 [frames, rows, columns]: :data:`IGNORED`, :data:`BACKGROUND`, or 1 + the class.
    """
    found = np.zeros((frames, grid.rows, grid.columns), np.int32)
    x, y = (boxes["left"] + boxes["right"]) / 2, (boxes["top"] + boxes["bottom"]) / 2
    width, height = boxes["right"] - boxes["left"], boxes["bottom"] - boxes["top"]
    rows, columns = grid.cells(x, y)
    # Later ones paint over earlier ones: difficult, then from large to small, the first of equals last.
    order = np.lexsort((-np.arange(len(boxes)), -(width * height), ~boxes["difficult"]))
    middles = [(np.arange(count) + 0.5) * grid.stride for count in (grid.rows, grid.columns)]
    for k in order:
        map_ = found[boxes["frame"][k]]
        hard = boxes["difficult"][k]
        share, value = (0.5, IGNORED) if hard else (0.25, 1 + boxes["label"][k])
        down = np.abs(middles[0] - y[k]) <= share * height[k]
        across = np.abs(middles[1] - x[k]) <= share * width[k]
        if not hard:
            down[: max(rows[k] - 1, 0)] = down[rows[k] + 2 :] = False
            across[: max(columns[k] - 1, 0)] = across[columns[k] + 2 :] = False
        map_[np.ix_(down, across)] = value
        map_[rows[k], columns[k]] = value
    return found
