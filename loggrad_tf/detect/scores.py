"""How good a detector is: objects found against boxes.

An object hits a box of its class in its frame if the centre of its cell lies in the box, or the box's centre
in its cell. Objects are taken by falling margin; each takes the smallest box it hits that nobody has taken.
One that hits difficult boxes only counts for nothing; any other is invented. So a box is found once, and a
higher threshold leaves the first of the same objects.

- *precision*, *recall*, *F1*: of all classes together, at one threshold; the best one is chosen on
  validation photographs.
- *average precision* of a class: the area under precision over recall, precision being the largest at that
  recall or a higher one (PASCAL VOC, from 2010 on).
- *count error*: the mean over frames and classes of the difference between how many were found and how many
  are there. Beside it that of always answering how many there are on average.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from loggrad_tf.detect.decode import EVERYTHING, objects
from loggrad_tf.detect.grid import Grid
from loggrad_tf.json_base import JsonBase

INVENTED, HIT, UNCOUNTED = 0, 1, -1


@dataclasses.dataclass(frozen=True)
class Scores(JsonBase):
    """Of one detector on one split.

    Attributes:
      threshold: least margin of an object.
      frames: that were looked at.
      there: boxes, without difficult ones.
      hits: of them, found.
      invented: objects that hit nothing.
      average_precision: of each class, 0..1; 0 for one without boxes.
      count_error: objects a frame and class.
      mean_count_error: of always answering the mean.
    """

    threshold: float
    frames: int
    there: int
    hits: int
    invented: int
    average_precision: tuple[float, ...]
    count_error: float
    mean_count_error: float

    @property
    def precision(self) -> float:
        """Hits of all objects found; 1 if there are none."""
        found = self.hits + self.invented
        return self.hits / found if found else 1.0

    @property
    def recall(self) -> float:
        """Boxes found of those there; 1 if there are none."""
        return self.hits / self.there if self.there else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return f1(self.there, self.hits, self.invented)


def f1(there: int, hits: int, invented: int) -> float:
    """Harmonic mean of precision and recall; 1 if nothing is there and nothing was found."""
    every = there + hits + invented
    return 2 * hits / every if every else 1.0


def matched(found: np.ndarray, boxes: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of each object, and which box it takes.

    Args:
      found: :data:`loggrad_tf.detect.decode.OBJECT` [n].
      boxes: :data:`loggrad_tf.data.boxes.BOX` [m], of the same frames.

    Returns:
      int8 [n], :data:`HIT`, :data:`INVENTED` or :data:`UNCOUNTED`; int64 [n], the place of the box, or -1.
    """
    fates, taken_by = np.zeros(len(found), np.int8), np.full(len(found), -1, np.int64)
    taken = np.zeros(len(boxes), bool)
    rows, columns = grid.cells((boxes["left"] + boxes["right"]) / 2, (boxes["top"] + boxes["bottom"]) / 2)
    areas = (boxes["right"] - boxes["left"]) * (boxes["bottom"] - boxes["top"])
    order = np.lexsort((areas, boxes["frame"]))
    starts = np.searchsorted(boxes["frame"], np.arange(_frames(found, boxes) + 1), sorter=order)
    for k in np.argsort(-found["margin"], kind="stable"):
        one = found[k]
        mine = order[starts[one["frame"]] : starts[one["frame"] + 1]]
        mine = mine[boxes["label"][mine] == one["label"]]
        x, y = ((one[name] + 0.5) * grid.stride for name in ("column", "row"))
        inside = (boxes["left"][mine] <= x) & (x < boxes["right"][mine])
        inside &= (boxes["top"][mine] <= y) & (y < boxes["bottom"][mine])
        hit = mine[inside | ((rows[mine] == one["row"]) & (columns[mine] == one["column"]))]
        clear = hit[~boxes["difficult"][hit]]
        free = clear[~taken[clear]]
        if len(free):
            taken[free[0]] = True
            fates[k], taken_by[k] = HIT, free[0]
        elif not len(clear) and len(hit):
            fates[k] = UNCOUNTED
    return fates, taken_by


def _frames(*arrays: np.ndarray) -> int:
    return max((int(array["frame"].max()) + 1 for array in arrays if len(array)), default=0)


def best_threshold(scores: np.ndarray, boxes: np.ndarray, grid: Grid) -> float:
    """The threshold of the largest F1; of equal ones the highest.

    It lies halfway between the least margin of an object and the next one below, a whole number for int8, and
    2^-10 below it where none is lower: another order of sums, as another processor may have it, does not make
    an object of it or none.

    Args:
      scores: as :func:`loggrad_tf.detect.decode.objects` takes them.
      boxes: of the same frames.
    """
    found = objects(scores, -np.inf)
    fates, _ = matched(found, boxes, grid)
    order = np.argsort(-found["margin"], kind="stable")
    margins, fates = found["margin"][order], fates[order]
    hits, invented = np.cumsum(fates == HIT), np.cumsum(fates == INVENTED)
    f1 = 2 * hits / np.maximum(hits + invented + np.count_nonzero(~boxes["difficult"]), 1)
    # Objects of one margin come and go together.
    last = np.append(margins[1:] != margins[:-1], True)
    steps, best = margins[last], int(np.argmax(f1[last]))
    half = (steps[best] - steps[best + 1]) / 2 if best + 1 < len(steps) else 2.0**-10
    if scores.dtype == np.int8:
        half = np.ceil(half) - 1
    return float(steps[best] - half)


def score(
    scores: np.ndarray, boxes: np.ndarray, grid: Grid, threshold: float, mean_counts: Sequence[float]
) -> Scores:
    """Measure a detector's answers.

    Args:
      scores: int8 or floating point [frames, rows, columns, 1 + classes].
      boxes: :data:`loggrad_tf.data.boxes.BOX`, of these frames.
      threshold: least margin, in the scores' own unit.
      mean_counts: how many objects of each class a frame has on average, where the detector was trained.
    """
    frames, classes = len(scores), scores.shape[-1] - 1
    every = objects(scores, EVERYTHING if scores.dtype == np.int8 else -np.inf)
    fates, _ = matched(every, boxes, grid)
    kept = every["margin"] >= threshold
    asked = boxes[~boxes["difficult"]]
    there, found = (_counts(some, frames, classes) for some in (asked, every[kept & (fates != UNCOUNTED)]))
    return Scores(
        threshold=float(threshold),
        frames=frames,
        there=len(asked),
        hits=int(np.count_nonzero(kept & (fates == HIT))),
        invented=int(np.count_nonzero(kept & (fates == INVENTED))),
        average_precision=tuple(
            _average_precision(every[mine], fates[mine], int(there[:, label].sum()))
            for label in range(classes)
            for mine in (every["label"] == label,)
        ),
        count_error=float(np.abs(found - there).mean()),
        mean_count_error=float(np.abs(np.asarray(mean_counts) - there).mean()),
    )


def mean_counts(boxes: np.ndarray, frames: int, classes: int) -> tuple[float, ...]:
    """Objects of each class in a frame, on average; difficult ones are not counted."""
    return tuple(_counts(boxes[~boxes["difficult"]], frames, classes).mean(axis=0).tolist())


def _counts(some: np.ndarray, frames: int, classes: int) -> np.ndarray:
    """How many of each class are in each frame, int64 [frames, classes]."""
    table = np.zeros((frames, classes), np.int64)
    np.add.at(table, (some["frame"], some["label"]), 1)
    return table


def _average_precision(found: np.ndarray, fates: np.ndarray, there: int) -> float:
    if not there:
        return 0.0
    order = np.argsort(-found["margin"], kind="stable")
    counted = fates[order][fates[order] != UNCOUNTED]
    hits = np.cumsum(counted == HIT)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[counted == HIT].sum() / there)
