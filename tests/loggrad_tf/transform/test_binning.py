"""Binning: definition, and mosaics made for gray frames."""

import numpy as np
import pytest

from loggrad_tf.data.raw import RawImage, to_gray
from loggrad_tf.transform import binning
from loggrad_tf.transform.sensor import Sensor


def test_two_by_two_is_the_gray_of_photographs() -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (3, 13, 18)).astype(np.uint16)
    for image in pixels:
        gray = to_gray(RawImage(image, Sensor(16, 0, 65535, "GRBG"), "GRBG", "")).pixels
        assert np.array_equal(binning.binned(image, 2), gray)
    assert np.array_equal(binning.binned(pixels, 2), np.stack([binning.binned(image, 2) for image in pixels]))
    assert np.array_equal(binning.binned(pixels, 1), pixels)


def test_four_by_four_is_rounded_once() -> None:
    square = np.zeros((5, 7), np.uint16)
    square[0, :4] = 2, 2, 2, 1
    assert binning.binned(square, 4).tolist() == [[0]]  # 7 / 16; rounded twice it would be 1
    square[3, 3] = 1
    assert binning.binned(square, 4).tolist() == [[1]]


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("span", [1, 2, 3, 255, 3936, 65535])
def test_a_mosaic_for_every_gray_frame(factor: int, span: int) -> None:
    rng = np.random.default_rng(span)
    gray = rng.integers(0, span + 1, (40, 30)).astype(np.uint16)
    gray[:2], gray[2:4] = 0, span
    made = binning.spread(gray, factor, span, rng)
    assert made.dtype == np.uint16 and made.max() <= span
    assert np.array_equal(binning.binned(made, factor), gray)
    squares = made.reshape(40, factor, 30, factor).swapaxes(1, 2).reshape(40, 30, -1).astype(int)
    off = squares.sum(-1) - factor**2 * gray.astype(int)
    area = factor**2
    assert (off.min(), off.max()) == (-(area // 2), area // 2 - 1)  # all sums that round to the pixel
    if span > 3:
        assert (np.ptp(squares, -1)[4:] > span // 4).mean() > 0.3
