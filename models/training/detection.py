"""A float detector on one split of a data set: its loss, its threshold and how many objects it finds."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.detect import grid, scores
from loggrad_tf.detect.decode import objects
from loggrad_tf.detect.grid import BACKGROUND, IGNORED, Grid
from loggrad_tf.detect.scores import Scores
from models.recipe import OBJECT_WEIGHT


def judged(answers: np.ndarray, data: DataSet, split: str) -> tuple[float, float, float | None]:
    """1 - F1 at the best threshold, mean cross-entropy a cell in nats, and that threshold, in logits.

    Cells with an object count :data:`models.recipe.OBJECT_WEIGHT` times as much in the mean, as in training.
    (1, infinity, None) if the logits are not finite.

    Args:
      answers: logits of the split's frames, [frames, rows, columns, 1 + classes].
    """
    answers = answers.astype(np.float64)
    if not np.isfinite(answers).all():
        return 1.0, math.inf, None
    boxes, cells = data.boxes_of(split), over(data, answers)
    threshold = scores.best_threshold(answers, boxes, cells)
    found = scores.score(answers, boxes, cells, threshold, _means(data))
    asked = grid.targets(boxes, len(answers), cells)
    losses = np.logaddexp.reduce(answers, axis=-1)
    losses -= np.take_along_axis(answers, np.maximum(asked, 0)[..., None], axis=-1)[..., 0]
    weights = np.where(asked == IGNORED, 0.0, np.where(asked == BACKGROUND, 1.0, OBJECT_WEIGHT))
    return 1 - found.f1, float(np.average(losses, weights=weights)), threshold


def scored(answers: np.ndarray, data: DataSet, split: str, threshold: float) -> Scores:
    """What a detector finds on one split, at a threshold in the units of its scores.

    Args:
      answers: scores of the split's frames, int8 or floating point [frames, rows, columns, 1 + classes].
    """
    return scores.score(answers, data.boxes_of(split), over(data, answers), threshold, _means(data))


# Longer sides of objects in pixels, between which recall is told apart.
SIDES = (20, 64)


def by_side(answers: np.ndarray, data: DataSet, split: str, threshold: float) -> list[tuple[int, int]]:
    """Objects found and objects there, by their longer side: up to :data:`SIDES`, and above.

    Args:
      answers, threshold: as :func:`scored` has them.
    """
    boxes = data.boxes_of(split)
    _, taken = scores.matched(objects(answers, threshold), boxes, over(data, answers))
    sides = np.maximum(boxes["right"] - boxes["left"], boxes["bottom"] - boxes["top"])
    groups = np.searchsorted(SIDES, sides, side="right")
    found = groups[taken[taken >= 0]]
    there = groups[~boxes["difficult"]]
    return [
        (int(np.count_nonzero(found == group)), int(np.count_nonzero(there == group)))
        for group in range(len(SIDES) + 1)
    ]


def told(found: Mapping[str, Scores], class_names: Sequence[str]) -> str:
    """Scores by split, as a table."""
    classes = [f"AP {name}" for name in class_names]
    wide = max(10, *(len(name) + 2 for name in classes))
    head = f"{'split':8}{'frames':>8}{'objects':>9}{'precision':>11}{'recall':>8}{'F1':>8}"
    lines = [
        head + "".join(f"{name:>{wide}}" for name in classes) + f"{'count error':>13}{'of the mean':>13}"
    ]
    for split, one in found.items():
        line = f"{split:8}{one.frames:>8}{one.there:>9}{one.precision:>11.1%}{one.recall:>8.1%}{one.f1:>8.3f}"
        line += "".join(f"{share:>{wide}.3f}" for share in one.average_precision)
        lines.append(line + f"{one.count_error:>13.3f}{one.mean_count_error:>13.3f}")
    return "\n".join(lines)


def recalls(counts: Sequence[tuple[int, int]]) -> str:
    """What :func:`by_side` found, as a line."""
    small, large = SIDES
    names = (f"under {small} pixels", f"{small} to {large}", f"from {large} on")
    shares = (f"{name} {found} of {there}" for name, (found, there) in zip(names, counts, strict=True))
    return "found by their longer side: " + ", ".join(shares)


def doubts(found: Scores, split: str) -> list[str]:
    """What to warn of: nothing found, or a count that is no better than always answering the mean."""
    if not found.hits:
        return [
            f"{split}: none of {found.there} objects found: train longer, on more photographs, or take a"
            " larger network"
        ]
    if found.count_error >= found.mean_count_error:
        return [
            f"{split}: its counts are off by {found.count_error:.2f} a frame and class, no better than always"
            f" answering the mean ({found.mean_count_error:.2f})"
        ]
    return []


def over(data: DataSet, answers: np.ndarray) -> Grid:
    """The grid that a detector's answers to the set's frames are on."""
    return Grid.over(data.size, *answers.shape[1:3])


def _means(data: DataSet) -> tuple[float, ...]:
    """Objects of each class in a training frame."""
    frames = len(data.labels_of("train"))
    return scores.mean_counts(data.boxes_of("train"), frames, len(data.class_names))
