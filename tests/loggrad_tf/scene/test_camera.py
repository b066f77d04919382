"""The Bayer camera: noise against its stated model, filters, exposure, clipping."""

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from loggrad_tf.scene import camera
from loggrad_tf.scene.camera import Shot
from loggrad_tf.transform.sensor import BAYER, Sensor

SENSOR = Sensor(camera.BITS, camera.BLACK, camera.WHITE, "RGGB")


@pytest.mark.parametrize("electrons, read_noise", [(1.0, 1.0), (4.0, 3.0)])
def test_variance_is_linear_in_the_signal(electrons: float, read_noise: float) -> None:
    shot = Shot(SENSOR, electrons=electrons, read_noise=read_noise)
    for level in (0.0, 20.0, 300.0, 2000.0):
        codes = camera.read_out(np.full((400, 400), level, np.float32), shot, np.random.default_rng(3))
        noise = codes.astype(float) - SENSOR.black
        expected = level / electrons + read_noise**2 + 1 / 12
        assert noise.var() == pytest.approx(expected, rel=0.03)
        assert noise.mean() == pytest.approx(level, abs=5 * np.sqrt(expected / noise.size))


@pytest.mark.parametrize("cfa", BAYER)
def test_each_photosite_sees_its_own_colour(cfa: str) -> None:
    balance = (0.5, 1.0, 0.25)
    shot = Shot(Sensor(12, 256, 4095, cfa), balance=balance)
    flat = np.ones((8, 12, 3), np.float32)
    signal = camera.expose(flat, shot)
    for k, letter in enumerate(cfa):
        site = signal[k // 2 :: 2, k % 2 :: 2]
        np.testing.assert_allclose(
            site, balance["RGB".index(letter)] * camera.MIDDLE * shot.sensor.span, rtol=1e-5
        )


def test_colours_do_not_mix() -> None:
    blue = np.zeros((8, 8, 3), np.float32)
    blue[..., 2] = 1.0
    signal = camera.expose(blue, Shot(Sensor(12, 256, 4095, "GBRG")))
    assert (signal[0::2, 1::2] > 0).all()
    signal[0::2, 1::2] = 0
    assert not signal.any()


def test_exposure_scales_the_signal() -> None:
    radiance = np.random.default_rng(0).uniform(0, 1, (16, 16, 3)).astype(np.float32)
    once, eight = (camera.expose(radiance, Shot(SENSOR, exposure=e)) for e in (1.0, 8.0))
    np.testing.assert_allclose(eight, 8 * once, rtol=1e-5)


def test_metering_does_not_care_for_units() -> None:
    radiance = np.random.default_rng(0).uniform(0, 1, (16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(
        camera.expose(radiance, Shot(SENSOR)), camera.expose(1000 * radiance, Shot(SENSOR)), rtol=1e-4
    )


def test_codes_clip_at_white_and_at_zero() -> None:
    rng = np.random.default_rng(0)
    shot = Shot(SENSOR, read_noise=200.0)
    bright = camera.read_out(np.full((64, 64), 1e6, np.float32), shot, rng)
    assert (bright == SENSOR.white).all()
    dark = camera.read_out(np.zeros((64, 64), np.float32), shot, rng)
    assert dark.min() == 0 and dark.max() > SENSOR.black
    assert 0.02 < (dark == 0).mean() < 0.25


def test_exposures_are_log_uniform_over_six_stops() -> None:
    rng = np.random.default_rng(1)
    shots = [camera.random_shot(rng) for _ in range(1200)]
    stops = np.log2([shot.exposure for shot in shots])
    counts, _ = np.histogram(stops, bins=6, range=(-3, 3))
    assert counts.sum() == 1200
    assert (np.abs(counts - 200) < 5 * np.sqrt(200)).all()
    assert {shot.sensor.cfa for shot in shots} == set(BAYER)


def test_blur_keeps_the_light() -> None:
    point = np.zeros((33, 33, 3), np.float32)
    point[16, 16] = 1.0
    white = (1.0, 1.0, 1.0)
    sharp, soft = (camera.expose(point, Shot(SENSOR, balance=white, blur=(b, b))) for b in (0.0, 2.0))
    assert soft.sum() == pytest.approx(sharp.sum(), rel=1e-3)
    assert soft.max() < 0.1 * sharp.max()


def test_a_camera_without_filters_is_refused() -> None:
    with pytest.raises(LogGradError, match="mono"):
        Shot(Sensor(cfa="mono"))
    with pytest.raises(LogGradError, match="positive"):
        Shot(SENSOR, electrons=0.0)
