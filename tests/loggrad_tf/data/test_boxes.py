"""Boxes of frames: chosen, moved, mirrored, clipped."""

import numpy as np
import pytest

from loggrad_tf.data.boxes import BOX, of_frames, seen_through
from loggrad_tf.errors import LogGradError


def box(frame, left, top, right, bottom, label=0, difficult=False):
    return np.array([(frame, label, left, top, right, bottom, difficult)], BOX)


def test_frames_are_numbered_in_the_order_they_are_asked_for():
    boxes = np.concatenate([box(2, 0, 0, 1, 1), box(0, 0, 0, 2, 2), box(2, 0, 0, 3, 3), box(1, 0, 0, 4, 4)])
    chosen = of_frames(boxes, np.array([2, 1, 5, 2]))
    assert chosen["frame"].tolist() == [0, 0, 1, 3, 3]
    assert chosen["right"].tolist() == [1, 3, 4, 1, 3]
    assert len(of_frames(boxes, np.zeros(0, int))) == 0


def test_a_window_that_is_the_frame_changes_nothing():
    boxes = np.concatenate([box(0, 1, 2, 3, 4), box(1, 5, 6, 7, 8, 1, True)])
    whole = np.tile([0.0, 0.0, 32.0, 16.0], (2, 1))
    assert (seen_through(boxes, whole, np.zeros(2, bool), 16, 32) == boxes).all()


def test_zoom_shift_and_mirror():
    moved = seen_through(
        np.concatenate([box(0, 8, 4, 12, 8), box(1, 8, 4, 12, 8)]),
        np.array([[4, 2, 20, 10], [-4, 0, 28, 16]]),
        np.array([False, True]),
        16,
        32,
    )
    assert [tuple(one)[2:6] for one in moved] == [(8, 4, 16, 12), (16, 4, 20, 8)]


@pytest.mark.parametrize(("left", "difficult"), [(7.0, True), (5.0, False)])
def test_what_is_mostly_cut_off_is_difficult(left, difficult):
    [moved] = seen_through(
        box(0, 0, 0, 10, 10), np.array([[left, 0, left + 32, 16]]), np.zeros(1, bool), 16, 32
    )
    assert (moved["left"], moved["difficult"]) == (0, difficult)


def test_what_is_out_of_the_frame_is_gone():
    assert not len(seen_through(box(0, 0, 0, 10, 10), np.array([[10, 0, 42, 16]]), np.zeros(1, bool), 16, 32))


def test_a_window_without_area_is_refused():
    with pytest.raises(LogGradError, match="no area"):
        seen_through(box(0, 0, 0, 1, 1), np.array([[4, 0, 4, 16]]), np.zeros(1, bool), 16, 32)
