"""Brightness, noise and depth, as numbers that can be worked out by hand."""

import numpy as np
import pytest

from experiments import conditions
from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor

SENSOR = Sensor(12, 256, 4095)


def test_digital_scaling_rounds_half_up_and_clips() -> None:
    pixels = np.array([[0, 1, 2, 3, 5, 3839]], np.uint16)
    assert conditions.digital(pixels, 0.5, SENSOR).tolist() == [[0, 1, 1, 2, 3, 1920]]
    assert conditions.digital(pixels, 1000.0, SENSOR).tolist() == [[0, 1000, 2000, 3000, 3839, 3839]]
    assert np.array_equal(conditions.digital(pixels, 1.0, SENSOR), pixels)


@pytest.mark.parametrize("factor", [1.0, 1 / 16])
def test_a_new_reading_has_the_noise_of_its_electrons(factor: float) -> None:
    pixels = np.full((400, 400), 1000, np.uint16)
    seen = conditions.physical(pixels, factor, SENSOR, np.random.default_rng(0)).astype(float)
    electrons = 1000 * factor * 9000 / SENSOR.span
    spread = np.sqrt(electrons + 4.5**2) * SENSOR.span / 9000
    assert seen.mean() == pytest.approx(1000 * factor, abs=0.05)
    assert seen.std() == pytest.approx(np.hypot(spread, np.sqrt(1 / 12)), rel=0.01)


@pytest.mark.parametrize("snr", [5, 40, 80])
def test_the_full_well_gives_the_ratio_asked_for(snr: int) -> None:
    pixels = np.full((500, 500), round(0.18 * SENSOR.span), np.uint16)
    well = conditions.full_well(snr)
    seen = conditions.physical(pixels, 1.0, SENSOR, np.random.default_rng(0), well).astype(float)
    assert seen.mean() / seen.std() == pytest.approx(snr, rel=0.02)


def test_the_imitated_sensor_has_the_ratio_that_it_is_named_by() -> None:
    assert conditions.full_well(40) == pytest.approx(9000, rel=0.01)


def test_another_depth_has_no_pedestal() -> None:
    pixels = np.array([[0, 1920, 3839]], np.uint16)
    assert conditions.sensor_of(8, SENSOR) == Sensor(8, 0, 255)
    assert conditions.at_depth(pixels, 8, SENSOR).tolist() == [[0, 128, 255]]
    assert conditions.at_depth(pixels, 16, SENSOR).tolist() == [[0, 32776, 65535]]


def test_networks_of_one_input_answer_as_each_alone() -> None:
    import keras

    front = frontend.fixed("loggrad_1p5", SENSOR)
    pixels = np.random.default_rng(0).integers(0, 3840, (300, 8, 8)).astype(np.uint16)
    keras.utils.set_random_seed(0)
    models = [
        keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(units)])
        for units in (3, 1)
    ]
    found = conditions.answers([conditions.forward(model) for model in models], front, pixels)
    three, one = (np.asarray(model(front.encode(pixels))) for model in models)
    assert np.array_equal(found[0], three.argmax(axis=1))
    assert np.array_equal(found[1], one[:, 0] > 0)
    assert len(set(found[0])) == 3 and len(set(found[1])) == 2
