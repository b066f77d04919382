"""From a detector's scores to objects: whole-number arithmetic, the same in ``lg_cells.c`` bit for bit.

A cell's class is the one of its largest score, the background left aside; of equal ones the first. Its
*margin* is that score less the background's. A cell is an object if its margin is at least the threshold, and
no neighbour of the same class, of up to eight, has a larger one; of neighbours with equal margins the first
by rows and columns is the object.

Scores of int8 give margins of -255 to 255. The same rule holds for floating-point scores, which is how a
network is measured before it is converted.
"""

import numpy as np

from loggrad_tf.errors import LogGradError

# What comes out, in the order of frames, rows and columns; margins are exact for int8 scores.
OBJECT = np.dtype(
    [*((name, np.int32) for name in ("frame", "label", "row", "column")), ("margin", np.float64)]
)
# Below any margin of int8 scores: every largest of its neighbourhood is an object.
EVERYTHING = -256


def cells(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class and margin of each cell.

    Args:
      scores: int8 or floating point [..., 1 + classes]; the background comes first.

    Returns:
      int32 [...] and int16 or the scores' own type [...].

    Raises:
      LogGradError: no class beside the background.
    """
    if scores.shape[-1] < 2:
        raise LogGradError(f"{scores.shape[-1]} score a cell: need the background's and one for each class")
    wide = scores.astype(np.int16) if scores.dtype == np.int8 else scores
    return wide[..., 1:].argmax(axis=-1).astype(np.int32), wide[..., 1:].max(axis=-1) - wide[..., 0]


def objects(scores: np.ndarray, threshold: float) -> np.ndarray:
    """The objects in frames.

    Args:
      scores: int8 or floating point [frames, rows, columns, 1 + classes].
      threshold: least margin, in the scores' own unit; a whole number for int8.

    Returns:
      :data:`OBJECT` [n].
    """
    labels, margins = cells(scores)
    frames, rows, columns = margins.shape
    kept = margins >= threshold
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            if (down, across) == (0, 0):
                continue
            here = (_overlap(down, rows), _overlap(across, columns))
            there = (_overlap(-down, rows), _overlap(-across, columns))
            mine, other = margins[:, here[0], here[1]], margins[:, there[0], there[1]]
            earlier = (down, across) < (0, 0)
            beaten = other >= mine if earlier else other > mine
            same = labels[:, here[0], here[1]] == labels[:, there[0], there[1]]
            kept[:, here[0], here[1]] &= ~(same & beaten)
    places = np.nonzero(kept)
    found = np.zeros(len(places[0]), OBJECT)
    found["frame"], found["row"], found["column"] = places
    found["label"], found["margin"] = labels[places], margins[places]
    return found


def _overlap(step: int, size: int) -> slice:
    """The places that have a neighbour ``step`` further on."""
    return slice(max(-step, 0), size - max(step, 0))
