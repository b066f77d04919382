"""Precision, recall, F1, average precision and counts."""

import numpy as np
import pytest

from loggrad_tf.data.boxes import BOX
from loggrad_tf.detect.decode import OBJECT
from loggrad_tf.detect.grid import Grid
from loggrad_tf.detect.scores import HIT, INVENTED, UNCOUNTED, best_threshold, matched, mean_counts, score
from tests.loggrad_tf.data.test_boxes import box

GRID = Grid(4, 4, 16)


def answers(*cells, frames=1, classes=2):
    """Scores with an object (frame, label, row, column, margin) for each of ``cells``."""
    scores = np.full((frames, 4, 4, 1 + classes), -60, np.int8)
    scores[..., 0] = 60
    for frame, label, row, column, margin in cells:
        scores[frame, row, column, 0], scores[frame, row, column, 1 + label] = -30, margin - 30
    return scores


def test_each_box_is_found_once_and_by_the_strongest():
    found = np.array([(0, 0, 0, 0, 5), (0, 0, 2, 2, 9)], OBJECT)
    fates, taken = matched(found, box(0, 0, 0, 64, 64), GRID)
    assert fates.tolist() == [INVENTED, HIT]
    assert taken.tolist() == [-1, 0]


def test_the_smallest_box_is_taken_first():
    boxes = np.concatenate([box(0, 0, 0, 64, 64), box(0, 0, 0, 20, 20)])
    found = np.array([(0, 0, 0, 0, 9), (0, 0, 0, 1, 5)], OBJECT)
    fates, taken = matched(found, boxes, GRID)
    assert fates.tolist() == [HIT, HIT]
    assert taken.tolist() == [1, 0]


def test_a_box_smaller_than_a_cell_is_hit_by_the_cell_that_holds_its_centre():
    fates, _ = matched(np.array([(0, 0, 1, 1, 5)], OBJECT), box(0, 17, 17, 19, 19), GRID)
    assert fates.tolist() == [HIT]


def test_frames_and_classes_are_kept_apart():
    found = np.array([(1, 0, 0, 0, 5), (0, 1, 0, 0, 5)], OBJECT)
    assert matched(found, box(0, 0, 0, 64, 64), GRID)[0].tolist() == [INVENTED, INVENTED]


def test_difficult_boxes_count_for_nothing():
    boxes = box(0, 0, 0, 64, 64, difficult=True)
    measured = score(answers((0, 0, 1, 1, 40)), boxes, GRID, 0, (0.0, 0.0))
    assert (measured.there, measured.hits, measured.invented) == (0, 0, 0)
    assert (measured.precision, measured.recall, measured.f1) == (1, 1, 1)
    assert measured.count_error == 0
    assert matched(np.array([(0, 0, 1, 1, 40)], OBJECT), boxes, GRID)[0].tolist() == [UNCOUNTED]


def test_numbers_by_hand():
    boxes = np.concatenate([box(0, 0, 0, 16, 16), box(0, 32, 32, 64, 64), box(1, 0, 0, 16, 16, label=1)])
    scores = answers((0, 0, 0, 0, 50), (0, 0, 0, 3, 40), (0, 0, 2, 2, 30), (1, 0, 3, 3, 20), frames=2)
    measured = score(scores, boxes, GRID, 30, (1.0, 0.5))
    assert (measured.there, measured.hits, measured.invented) == (3, 2, 1)
    assert measured.precision == pytest.approx(2 / 3)
    assert measured.f1 == pytest.approx(2 / 3)
    # Hits at 50 and 30, an invented one between them: 1/2 (1 + 2/3).
    assert measured.average_precision == pytest.approx((5 / 6, 0.0))
    # Found 3 and 0, 0 and 0; there 2 and 0, 0 and 1.
    assert measured.count_error == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert measured.mean_count_error == pytest.approx((1 + 0.5 + 1 + 0.5) / 4)


def test_the_best_threshold_is_the_highest_of_the_largest_f1():
    boxes = np.concatenate([box(0, 0, 0, 16, 16), box(0, 32, 32, 64, 64)])
    scores = answers((0, 0, 0, 0, 50), (0, 0, 0, 3, 20), (0, 0, 2, 2, 30))
    for few, real, whole in ((20, 25, 26), (29, 29.5, 30), (28, 29, 30), (30, -45, -45)):
        scores[0, 0, 3, 1] = few - 30
        found = best_threshold(scores, boxes, GRID), best_threshold(scores.astype(float), boxes, GRID)
        if few < 30:
            assert found == (whole, real)
            assert score(scores, boxes, GRID, whole, (0, 0)).invented == 0
        else:
            # An invented one of the same margin comes with it.
            assert score(scores, boxes, GRID, found[0], (0, 0)).invented == 1
    shuffled = np.random.default_rng(0).normal(size=(6, 4, 4, 3)).astype(np.float32)
    boxes = np.concatenate([box(frame, 8 * frame, 0, 8 * frame + 16, 30, frame % 2) for frame in range(6)])
    best = best_threshold(shuffled, boxes, GRID)
    f1 = [score(shuffled, boxes, GRID, t, (0, 0)).f1 for t in np.linspace(-5, 5, 201)]
    assert score(shuffled, boxes, GRID, best, (0, 0)).f1 >= max(f1)


def test_the_best_threshold_lies_below_the_least_margin_of_all():
    """So that the last place of a sum does not decide whether it is an object."""
    lone, boxes, grid = np.array([0.0, -0.28]).reshape(1, 1, 1, 2), box(0, 0, 0, 64, 64), Grid(1, 1, 64)
    best = best_threshold(lone, boxes, grid)
    assert best == -0.28 - 2**-10
    assert score(lone - [0, 1e-7], boxes, grid, best, (0,)).hits == 1


def test_mean_counts_leave_difficult_ones_out():
    boxes = np.concatenate([box(0, 0, 0, 1, 1), box(1, 0, 0, 1, 1, 1, True)])
    assert mean_counts(boxes, 4, 2) == (0.25, 0.0)
    assert mean_counts(np.zeros(0, BOX), 4, 2) == (0.0, 0.0)
