"""Crops: laws of the resize, against block means and Pillow, and the mosaic's colours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from loggrad_tf.data.crops import around, crop_gray, crop_mosaic, resize, to_codes, too_small
from loggrad_tf.data.sides import Size, sides
from loggrad_tf.data.voc import Box
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER

SPAN = 4095


@st.composite
def _windows(draw: st.DrawFn) -> tuple[int, int, tuple[float, float, float, float]]:
    width, height = draw(st.integers(2, 60)), draw(st.integers(2, 60))

    def side(limit: int) -> tuple[float, float]:
        start = draw(st.floats(0, limit - 1))
        return start, min(start + draw(st.floats(0.5, limit)), limit)

    (left, right), (top, bottom) = side(width), side(height)
    return width, height, (left, top, right, bottom)


def _plane(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, SPAN + 1, (height, width)).astype(np.uint16)


@given(_windows(), st.integers(1, 24), st.integers(0, 9))
def test_a_crop_stays_within_its_window_and_keeps_a_flat_field(window: tuple, size: int, seed: int) -> None:
    width, height, box = window
    plane = _plane(height, width, seed)
    out = resize(plane, box, size)
    assert out.shape == (size, size) and plane.min() - 1e-6 <= out.min() and out.max() <= plane.max() + 1e-6
    assert np.allclose(resize(np.full_like(plane, 1234), box, size), 1234)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 9))
def test_whole_ratios_are_block_means(down: int, across: int, size: int) -> None:
    plane = _plane(size * down, size * across)
    blocks = plane.reshape(size, down, size, across).astype(float)
    assert np.allclose(resize(plane, (0, 0, size * across, size * down), size), blocks.mean(axis=(1, 3)))


@given(_windows(), st.integers(1, 12))
def test_shrinking_keeps_the_light(window: tuple, size: int) -> None:
    width, height, (left, top, right, bottom) = window
    plane = _plane(height, width).astype(float)
    if min(right - left, bottom - top) < size:
        return
    rows = np.clip(np.minimum(bottom, np.arange(height) + 1) - np.maximum(top, np.arange(height)), 0, 1)
    columns = np.clip(np.minimum(right, np.arange(width) + 1) - np.maximum(left, np.arange(width)), 0, 1)
    mean = rows @ plane @ columns / (rows.sum() * columns.sum())
    assert np.isclose(resize(plane, (left, top, right, bottom), size).mean(), mean)


def test_growing_is_pillows_bilinear_inside() -> None:
    plane = _plane(40, 30)
    theirs = np.asarray(Image.fromarray(plane.astype(np.float32)).resize((96, 96), Image.Resampling.BILINEAR))
    assert np.abs(resize(plane, (0, 0, 30, 40), 96) - theirs).max() < 0.01


def test_codes_round_half_up_and_are_clipped() -> None:
    values = np.array([-3.0, 0.49, 0.5, 1.5, 2.5 - 1e-9, 99.4, 100.6, 1e9])
    assert to_codes(values, 100).tolist() == [0, 0, 1, 2, 3, 99, 100, 100]
    assert crop_gray(np.array([[1, 2], [2, 1]], np.uint16), (0, 0, 2, 2), 1, SPAN).tolist() == [[2]]


@pytest.mark.parametrize("cfa", BAYER)
@given(window=_windows(), half=st.integers(1, 12))
def test_mosaic_colours_never_mix(cfa: str, window: tuple, half: int) -> None:
    width, height, box = window
    level = {"R": 10, "G": 2000, "B": 4000}
    square_of = np.array([level[letter] for letter in cfa], np.uint16).reshape(2, 2)
    twice = tuple(2 * edge for edge in box)
    crop = crop_mosaic(np.tile(square_of, (height, width)), twice, 2 * half, SPAN)
    assert np.array_equal(crop, np.tile(square_of, (half, half)))


def test_a_mosaic_crop_is_four_gray_crops() -> None:
    mosaic = _plane(80, 120)
    crop = crop_mosaic(mosaic, (10, 20, 70, 80), 20, SPAN)
    for row in (0, 1):
        for column in (0, 1):
            plane = mosaic[row::2, column::2]
            assert np.array_equal(crop[row::2, column::2], crop_gray(plane, (5, 10, 35, 40), 10, SPAN))
    with pytest.raises(LogGradError, match="must be even"):
        crop_mosaic(mosaic[:79], (0, 0, 4, 4), 2, SPAN)


@given(_windows(), st.sampled_from([32, (16, 48), (48, 16), (120, 160)]))
def test_windows_have_the_proportions_and_hold_the_box(window: tuple, size: Size) -> None:
    width, height, box = window
    left, top, right, bottom = around(box, width, height, size)
    rows, columns = sides(size)
    scale = max((box[2] - box[0]) / columns, (box[3] - box[1]) / rows)
    assert np.isclose(right - left, min(scale * columns, width))
    assert np.isclose(bottom - top, min(scale * rows, height))
    assert left >= 0 and top >= 0 and right <= width + 1e-9 and bottom <= height + 1e-9
    assert left <= box[0] + 1e-9 and right >= box[2] - 1e-9
    assert top <= box[1] + 1e-9 and bottom >= box[3] - 1e-9


@pytest.mark.parametrize(
    ("size", "box", "why"),
    [
        (96, (0, 0, 63, 10), "longer side of 63 pixels, at least 64 are needed"),
        (96, (0, 0, 10, 64), ""),
        ((60, 120), (0, 0, 79, 10), "longer side of 79 pixels, at least 80 are needed"),
        ((60, 120), (0, 0, 10, 40), ""),
        ((120, 60), (0, 0, 39, 10), "longer side of 78 pixels, at least 80 are needed"),
    ],
)
def test_a_crop_is_enlarged_three_times_at_most(size: Size, box: Box, why: str) -> None:
    assert too_small(box, size) == why


def test_windows_are_checked() -> None:
    for box in ((0, 0, 0, 5), (-1, 0, 3, 3), (0, 0, 11, 3), (0, 4, 3, 2)):
        with pytest.raises(LogGradError, match="not inside the frame of 10x8"):
            resize(np.zeros((8, 10)), box, 4)
