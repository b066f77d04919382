"""The grid of a converted detector, as model.json and project.json have it."""

import dataclasses

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

# Of an int8 score less another: one more than the largest finds nothing.
MARGINS = range(-255, 257)


@dataclasses.dataclass(frozen=True)
class Cells(JsonBase):
    """Attributes:
    rows, columns: of the grid.
    stride: side of a cell, in pixels of the network's input.
    threshold: least margin of an object, in steps of the int8 scores.
    """

    rows: int
    columns: int
    stride: int
    threshold: int

    def __post_init__(self) -> None:
        if not all(0 < value < 2**16 for value in (self.rows, self.columns, self.stride)):
            raise LogGradError(f"a grid of {self.columns}x{self.rows} cells of {self.stride} pixels")
        if self.threshold not in MARGINS:
            raise LogGradError(f"a threshold of {self.threshold}: margins are {MARGINS[0]}..{MARGINS[-1]}")
