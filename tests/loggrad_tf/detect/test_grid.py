"""The grid of a detector and what its cells are to say."""

import numpy as np
import pytest

from loggrad_tf.detect.grid import IGNORED, Grid, targets
from loggrad_tf.errors import LogGradError
from tests.loggrad_tf.data.test_boxes import box

GRID = Grid(8, 8, 16)


def test_a_grid_covers_frames_that_are_no_multiple_of_its_stride():
    assert Grid.over((120, 160), 8, 10) == Grid(8, 10, 16)
    assert Grid.over(96, 12, 12) == Grid(12, 12, 8)


@pytest.mark.parametrize("cells", [(7, 10), (8, 9), (1, 10)])
def test_cells_that_are_no_squares_are_refused(cells):
    with pytest.raises(LogGradError, match=f"grid of {cells[1]}x{cells[0]} cells on frames of 160x120"):
        Grid.over((120, 160), *cells)


def test_a_small_box_is_the_cell_of_its_centre():
    [found] = targets(box(0, 33, 17, 43, 31, label=2), 1, GRID)
    assert found[1, 2] == 3
    assert np.count_nonzero(found) == 1


def test_a_large_box_is_the_cells_round_its_centre_and_no_others():
    [found] = targets(box(0, 0, 0, 128, 128), 1, GRID)
    assert (found[3:6, 3:6] == 1).all()
    assert np.count_nonzero(found) == 9


def test_the_smaller_box_has_the_cell_and_of_equal_ones_the_first():
    large, small = box(0, 0, 0, 128, 128, label=0), box(0, 60, 60, 76, 76, label=1)
    for boxes in ([large, small], [small, large]):
        assert targets(np.concatenate(boxes), 1, GRID)[0, 4, 4] == 2
    equal = [box(0, 60, 60, 76, 76, label=2), box(0, 62, 62, 78, 78, label=0)]
    assert targets(np.concatenate(equal), 1, GRID)[0, 4, 4] == 3


def test_difficult_boxes_ask_for_nothing_where_no_other_asks():
    hard, clear = box(0, 32, 32, 96, 96, difficult=True), box(0, 40, 40, 50, 50, label=1)
    [found] = targets(np.concatenate([clear, hard]), 1, GRID)
    assert found[2, 2] == 2
    assert (found == IGNORED).sum() == 15
    assert (found[2:6, 2:6] != 0).all()
