"""Objects from scores, against the rule said cell by cell."""

import numpy as np
import pytest

from loggrad_tf.detect.decode import EVERYTHING, cells, objects
from loggrad_tf.errors import LogGradError


def by_the_rule(scores, threshold):
    found = []
    for frame, map_ in enumerate(scores.astype(int)):
        label, margin = map_[..., 1:].argmax(-1), map_[..., 1:].max(-1) - map_[..., 0]
        rows, columns = margin.shape
        for row in range(rows):
            for column in range(columns):
                mine = margin[row, column]
                best = mine >= threshold
                for r in range(max(row - 1, 0), min(row + 2, rows)):
                    for c in range(max(column - 1, 0), min(column + 2, columns)):
                        if label[r, c] != label[row, column] or (r, c) == (row, column):
                            continue
                        earlier = (r, c) < (row, column)
                        best &= mine > margin[r, c] if earlier else mine >= margin[r, c]
                if best:
                    found.append((frame, label[row, column], row, column, mine))
    return found


@pytest.mark.parametrize("spread", [2, 6, 128])
@pytest.mark.parametrize("shape", [(3, 7, 9, 4), (2, 1, 5, 2), (2, 5, 1, 3), (1, 1, 1, 2)])
def test_objects_are_those_of_the_rule(shape, spread):
    scores = np.random.default_rng(spread).integers(-spread, spread, shape).astype(np.int8)
    for threshold in (EVERYTHING, 0, spread // 2):
        assert [tuple(one) for one in objects(scores, threshold)] == by_the_rule(scores, threshold)


def test_the_widest_margins_do_not_wrap():
    _, margins = cells(np.array([[-128, 127], [127, -128]], np.int8))
    assert margins.tolist() == [255, -255]


def test_a_plateau_is_one_object_at_its_first_cell():
    scores = np.zeros((1, 4, 4, 2), np.int8)
    scores[0, 1:3, 1:3, 1] = 5
    assert [(one["row"], one["column"]) for one in objects(scores, 1)] == [(1, 1)]


def test_scores_without_a_class_are_refused():
    with pytest.raises(LogGradError, match="1 score a cell"):
        objects(np.zeros((1, 2, 2, 1), np.int8), 0)
