"""Frames that move, and what is asked of their cells then."""

import numpy as np
import pytest

from loggrad_tf.data.boxes import BOX
from loggrad_tf.detect.grid import BACKGROUND, IGNORED, Grid
from models.moves import PIXEL, Moves, asked, extra_of, moved

HEIGHT, WIDTH = 32, 48
GRID = Grid(4, 6, 8)


def moves(rows: int = 0, columns: int = 0, mirrored: int = 0, extra: int = 0, last: int = WIDTH - 1) -> Moves:
    one = [np.array([value], np.int32) for value in (rows, columns, mirrored, extra)]
    return Moves(last, *one)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(0, 0, left, top, right, bottom, False)], BOX)


def says(boxes: np.ndarray, of: Moves) -> np.ndarray:
    return asked(boxes, of, HEIGHT, WIDTH, GRID)[0]


def test_a_frame_that_rests_is_itself() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (1, HEIGHT, WIDTH)).astype(np.uint16)
    np.testing.assert_array_equal(moved(pixels, moves()), pixels)
    assert moves().windows(HEIGHT, WIDTH).tolist() == [[0, 0, WIDTH, HEIGHT]]


def test_an_object_on_the_left_is_on_the_right_in_the_mirror() -> None:
    there = np.argwhere(says(box(2, 9, 7, 14), moves()) == 1)
    mirror = np.argwhere(says(box(2, 9, 7, 14), moves(mirrored=1)) == 1)
    assert there.tolist() == [[1, 0]] and mirror.tolist() == [[1, 5]]


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (3, -5), (-4, 6)])
@pytest.mark.parametrize("extra", [0, PIXEL // 4, -PIXEL // 5])
@pytest.mark.parametrize("last", [WIDTH - 1, WIDTH - 2])
def test_boxes_go_where_their_pixels_go(
    mirrored: int, rows: int, columns: int, extra: int, last: int
) -> None:
    """The window of a move says where a bright square lies afterwards."""
    pixels = np.zeros((1, HEIGHT, WIDTH), np.uint16)
    pixels[0, 12:20, 16:28] = 1000
    move = moves(rows, columns, mirrored, extra, last)
    seen = moved(pixels, move)[0].astype(float)
    left, top, right, bottom = move.windows(HEIGHT, WIDTH)[0]
    step = 1 + extra / PIXEL
    middle = [((22 - left) / step, (16 - top) / step)]
    if mirrored:
        middle = [(WIDTH - (22 - left) / step, (16 - top) / step)]
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    found = (seen * x).sum() / seen.sum(), (seen * y).sum() / seen.sum()
    assert found == pytest.approx(middle[0], abs=0.1)
    assert seen.sum() == pytest.approx(1000 * 96 / step**2, rel=0.05)
    assert (right - left, bottom - top) == pytest.approx((WIDTH * step, HEIGHT * step))


def test_what_lies_beyond_the_frame_is_not_asked_for() -> None:
    found = says(box(2, 9, 7, 14), moves(rows=8, columns=-8))
    assert (found[3] == IGNORED).all() and (found[:3, 0] == IGNORED).all()
    assert found[0, 1] == 1 and (found[1:3, 1:] == BACKGROUND).all()


def test_a_cell_that_reaches_over_the_edge_is_asked() -> None:
    found = asked(box(2, 9, 7, 14), moves(), 28, 44, Grid(4, 6, 8))
    assert not (found == IGNORED).any()


def test_scales_lie_between_the_zoom_and_its_inverse() -> None:
    extra = extra_of(np.array([-1.0, 0.0, 1.0]), 0.25)
    assert (1 / (1 + extra / PIXEL)).tolist() == pytest.approx([1 / 1.25, 1, 1.25], abs=1e-4)
