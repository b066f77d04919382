"""loggrad_tf.detect.views: what is drawn round what, on frames of any size and colour."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageColor

from loggrad_tf.data.boxes import BOX
from loggrad_tf.data.prepared import DataSet
from loggrad_tf.detect import views
from loggrad_tf.detect.decode import OBJECT
from loggrad_tf.detect.grid import Grid
from loggrad_tf.transform.sensor import Sensor

GRID = Grid(2, 3, 16)


def small_data(frames: int = 5, cfa: str = "mono") -> DataSet:
    pixels = np.full((frames, 32, 48), 1000, np.uint16)
    boxes = np.array(
        [
            (1, 0, 2, 2, 14, 30, False),  # found
            (1, 1, 34, 4, 46, 12, False),  # missed
            (3, 0, 0, 0, 8, 8, True),  # difficult
            (4, 1, 33, 17, 47, 31, False),  # missed
        ],
        BOX,
    )
    return DataSet(
        pixels, np.zeros(frames, np.int32), np.full(frames, 2, np.uint8), ("person", "car"),
        Sensor(12, 0, 4095, cfa), "here", "gray", "crop", "0" * 64, (), Path(), task="detect", boxes=boxes,
    )  # fmt: skip


FOUND = np.array([(1, 0, 0, 0, 3.0), (1, 1, 1, 1, 2.0), (3, 0, 0, 0, 1.0)], OBJECT)


def _count(image: np.ndarray, colour: str) -> int:
    return int((image == np.array(ImageColor.getrgb(colour))).all(axis=-1).sum())


def test_what_was_found_missed_and_invented_has_its_colour() -> None:
    sheet = np.asarray(views.sheet(small_data(), "test", FOUND, GRID, np.array([1, 3, 4])))
    factor = 9  # to at least 400 pixels
    assert sheet.shape == (32 * factor, 3 * 48 * factor + 2 * 4, 3)
    width = 48 * factor
    both, difficult, alone = (sheet[:, k * (width + 4) : k * (width + 4) + width] for k in range(3))
    for colour in (views.FOUND, views.MISSED, views.WRONG):
        assert _count(both, colour) > 200
        assert _count(difficult, colour) == 0, "neither the difficult box nor what hits it"
    assert _count(alone, views.MISSED) > 200 and _count(alone, views.FOUND) == _count(alone, views.WRONG) == 0
    assert tuple(both[2 * factor, 8 * factor]) == ImageColor.getrgb(views.FOUND), "the upper edge of its box"
    assert tuple(both[20 * factor, 16 * factor]) == ImageColor.getrgb(views.WRONG), "the cell at 16, 16"
    assert tuple(both[4 * factor, 40 * factor]) == ImageColor.getrgb(views.MISSED)


def test_a_mosaic_is_shown_in_colour() -> None:
    sheet = views.sheet(small_data(cfa="RGGB"), "test", FOUND[:0], GRID, np.array([0]))
    assert sheet.size == (48 * 9, 32 * 9)


@pytest.mark.parametrize(("most", "frames"), [(9, [1, 3, 4]), (2, [1, 3]), (1, [1])])
def test_frames_that_show_something_are_spread_over_the_split(most: int, frames: list[int]) -> None:
    data = small_data()
    assert data.boxes is not None
    assert views.telling(FOUND, data.boxes, most).tolist() == frames
    assert views.telling(FOUND[:0], data.boxes, most).tolist() == [1, 4][:most]
    assert len(views.telling(FOUND[:0], data.boxes[:0], most)) == 0


def test_frames_larger_than_a_tile_stay_as_they_are() -> None:
    data = small_data(frames=2)
    large = dataclasses.replace(data, pixels=np.ones((2, 64, 480), np.uint16), boxes=data.boxes[:0])
    assert views.sheet(large, "test", FOUND[:0], Grid(4, 30, 16), np.array([0, 1])).size == (964, 64)
