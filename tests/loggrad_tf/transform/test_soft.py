"""The soft front end: the same values, bit for bit, and a slope where a step has none."""

import numpy as np
import pytest
import tensorflow as tf

from loggrad_tf.transform import frontend, ops, reference, soft
from loggrad_tf.transform.frontend import FORMATS, FrontEnd
from loggrad_tf.transform.sensor import Sensor

SENSOR = Sensor(bits=12, black=100, white=3900)


def drawn(size: int = 14) -> np.ndarray:
    rng = np.random.default_rng(3)
    wild = rng.integers(0, SENSOR.span + 1, (6, size, size + 1))
    dark = rng.integers(0, 9, (6, size, size + 1))
    return np.concatenate([wild, dark]).astype(np.uint16)


def derivative(front_end: FrontEnd, pixels: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """Of sum(weights x encoded) by the pixels."""
    place = tf.constant(pixels, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(place)
        total = tf.reduce_sum(weights * soft.encode(place, front_end, width)[..., 0])
    return tape.gradient(total, place).numpy()


@pytest.mark.parametrize("border", ["mirror", "valid"])
@pytest.mark.parametrize("name", FORMATS)
def test_values_are_those_of_the_front_end(name: str, border: str) -> None:
    pixels = drawn()
    front_end = FrontEnd(name, SENSOR, frontend.fit(name, SENSOR, pixels).ratios, border=border)
    expected = ops.encode(pixels, front_end).numpy()
    got = soft.encode(tf.constant(pixels, tf.float32), front_end).numpy()
    assert got.dtype == np.float32 and np.array_equal(got, expected)
    if front_end.levels:
        levels = ops.levels(pixels, front_end.ratios, border=border).numpy()
        assert np.array_equal(got[..., 0], levels) and np.unique(levels).size == 2 * front_end.levels + 1
    # Pixels between two codes count as the nearer one; a half goes up.
    off = np.random.default_rng(4).choice([-0.5, -0.3, 0.0, 0.49], pixels.shape).astype(np.float32)
    off = np.where(pixels + off < 0, 0, off)
    assert np.array_equal(soft.encode(pixels + off, front_end).numpy(), expected)


@pytest.mark.parametrize(("name", "tolerance"), [("jpeg8", 0.1), ("raw16", 1e-4), ("loggrad_fp", 2e-3)])
def test_slopes_of_formats_without_levels_are_finite_differences(name: str, tolerance: float) -> None:
    """Over enough codes that a rounding to 8 bits does not show."""
    rng = np.random.default_rng(5)
    pixels = rng.integers(900, 2000, (1, 7, 8)).astype(np.uint16)
    weights = rng.normal(size=pixels.shape).astype(np.float32)
    front_end = FrontEnd(name, SENSOR)
    slope = derivative(front_end, pixels, weights, 0.1)
    step = 200 if name == "jpeg8" else 20
    for row, column in ((0, 0), (3, 4), (6, 7), (2, 0)):
        changed = []
        for sign in (-1, 1):
            moved = pixels.astype(int)
            moved[0, row, column] += sign * step
            changed.append(np.sum(weights * front_end.encode(moved.astype(np.uint16))[..., 0]))
        difference = (changed[1] - changed[0]) / (2 * step)
        assert slope[0, row, column] == pytest.approx(difference, rel=tolerance, abs=1e-6)


@pytest.mark.parametrize("width", [0.05, 0.3])
def test_slope_of_a_level_is_that_of_logistic_functions_about_the_thresholds(width: float) -> None:
    front_end = frontend.fixed("loggrad_2p25", SENSOR)
    pixels = np.random.default_rng(6).integers(500, 1200, (1, 5, 6)).astype(np.uint16)
    g = reference.log_gradient(pixels)[0, 2, 3]
    weights = np.zeros(pixels.shape, np.float32)
    weights[0, 2, 3] = 1
    slope = derivative(front_end, pixels, weights, width)
    logistic = sum(
        s * (1 - s) / width
        for t in front_end.thresholds
        for s in (1 / (1 + np.exp(-(side * g - t) / width)) for side in (-1, 1))
    )
    expected = np.zeros(pixels.shape)
    for (row, column), sign in {(1, 3): 1, (2, 2): 1, (3, 3): -1, (2, 4): -1}.items():
        expected[0, row, column] = sign * logistic / (pixels[0, row, column] + 1)
    np.testing.assert_allclose(slope, expected, rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize("name", FORMATS)
def test_slopes_are_finite_in_the_dark(name: str) -> None:
    pixels = np.zeros((1, 6, 6), np.uint16)
    slope = derivative(frontend.fixed(name, SENSOR), pixels, np.ones(pixels.shape, np.float32), 0.01)
    assert np.isfinite(slope).all()
