"""Formats, thresholds and the sensor's arithmetic."""

import tracemalloc

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend, reference
from loggrad_tf.transform.frontend import FORMATS, FrontEnd
from loggrad_tf.transform.sensor import Sensor, requantize

SENSOR = Sensor(bits=12, black=256, white=4000)


def scene(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, SENSOR.span + 1, (6, 24, 32)).astype(np.uint16)


@pytest.mark.parametrize("name", FORMATS)
def test_int8_form_stands_for_the_float_form(name: str) -> None:
    front_end = frontend.fit(name, SENSOR, scene())
    real, code = front_end.encode(scene()), front_end.encode_int8(scene())
    assert real.dtype == np.float32 and code.dtype == np.int8
    assert real.shape == code.shape == (6, 24, 32, 1)
    dequantized = front_end.input_scale * (code.astype(float) - front_end.input_zero_point)
    inside = np.abs(code.astype(int)) < 127
    tolerance = {"raw16": 0.5 / 255, "loggrad_fp": 1 / 64 + 2**-10}.get(name, 1e-6)
    assert np.abs(dequantized - real)[inside].max() <= tolerance + 1e-6


@pytest.mark.parametrize("name", FORMATS)
def test_json_round_trip(name: str) -> None:
    front_end = frontend.fit(name, SENSOR, scene())
    assert FrontEnd.from_json(front_end.to_json()) == front_end
    with pytest.raises(LogGradError, match="unknown key 'gain'"):
        FrontEnd.from_json({**front_end.to_json(), "gain": 2})


def test_thresholds_are_quantiles_of_the_training_gradient() -> None:
    front_end = frontend.fit("loggrad_2p75", SENSOR, scene())
    q = front_end.encode_int8(scene())
    shares = [np.mean(np.abs(q) <= level) for level in range(3)]
    np.testing.assert_allclose(shares, frontend.QUANTILES, atol=0.01)


def test_thresholds_come_from_at_most_512_images_seen_at_the_sensor_of_the_front_end() -> None:
    pixels = np.random.default_rng(3).integers(0, 4096, (1030, 6, 8)).astype(np.uint16)
    pixels[1::3] = 0
    camera, target = Sensor(12, 0, 4095), Sensor(8, 0, 255)
    fitted = frontend.fit("loggrad_2p25", target, pixels, camera)
    gradient = np.abs(reference.log_gradient(requantize(pixels[::3], camera, target)))
    expected = [reference.ratio_of(float(t)) for t in np.quantile(gradient, frontend.QUANTILES[:2])]
    assert fitted.sensor == target and list(fitted.ratios) == expected


def test_flat_pictures_still_give_increasing_ratios() -> None:
    flat = np.full((4, 8, 8), 100, np.uint16)
    front_end = frontend.fit("loggrad_2p75", SENSOR, flat)
    assert front_end.ratios == (4097, 4098, 4099)
    assert not front_end.encode_int8(flat).any()


def test_fixed_front_end_has_the_stated_thresholds() -> None:
    assert frontend.fixed("loggrad_2p25", SENSOR).thresholds == pytest.approx((0.3, 0.9), abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "png"}, "unknown input format 'png': choose one of jpeg8"),
        ({"ratios": (5000, 6000)}, "needs 1 threshold ratios"),
        ({"border": "zero"}, "border 'zero'"),
        ({"offset": 0}, "offset c = 0"),
    ],
)
def test_bad_front_ends_are_refused(change: dict, message: str) -> None:
    with pytest.raises(LogGradError, match=message):
        FrontEnd(**{"format": "loggrad_1p5", "sensor": SENSOR, "ratios": (5000,), **change})


def test_sensor_levels() -> None:
    codes = np.array([0, 255, 256, 257, 4000, 4095], np.uint16)
    pixels = SENSOR.linearize(codes)
    np.testing.assert_array_equal(pixels, [0, 0, 0, 1, 3744, 3744])
    np.testing.assert_array_equal(SENSOR.linearize(SENSOR.codes(pixels)), pixels)
    for bad in ({"bits": 7}, {"white": 5000}, {"black": 4000}, {"cfa": "XYZW"}):
        with pytest.raises(LogGradError):
            Sensor(**{"bits": 12, "black": 256, "white": 4000, **bad})


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_requantize_rounds_half_up(bits: int) -> None:
    target = Sensor(bits=bits, white=2**bits - 1)
    pixels = np.arange(SENSOR.span + 1, dtype=np.uint16)
    got = requantize(pixels, SENSOR, target)
    expected = np.floor(pixels.astype(float) * target.span / SENSOR.span + 0.5)
    np.testing.assert_array_equal(got, expected)
    assert got[-1] == target.span
    np.testing.assert_array_equal(requantize(pixels, SENSOR, SENSOR), pixels)
    many = np.random.default_rng(1).integers(0, SENSOR.span + 1, (3, 700, 600)).astype(np.uint16)
    np.testing.assert_array_equal(requantize(many, SENSOR, target), got[many])
    tracemalloc.start()
    requantize(many, SENSOR, target)
    assert tracemalloc.get_traced_memory()[1] < 2 * many.size + 12e6
    tracemalloc.stop()
