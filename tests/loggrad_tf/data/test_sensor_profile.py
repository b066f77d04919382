"""A sensor measured from simulated frames against the constants they were made with, and what it changes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf.data import collected, dataset, folder, sensor_profile
from loggrad_tf.data.collected import Collected, Shot
from loggrad_tf.data.sensor_profile import SensorProfile
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import fit
from loggrad_tf.transform.sensor import Sensor

SIDE = 96


@dataclasses.dataclass(frozen=True)
class Made:
    """Constants of a simulated sensor: codes, but for electrons, which are a code's."""

    sensor: Sensor
    black: float
    read: float
    electrons: float
    pattern: float = 0.0

    def frames(self, count: int, signal: float, seed: int, flicker: float = 0.0) -> np.ndarray:
        """uint16 (count, SIDE, SIDE) of a surface that is brighter on one side, in a light that flickers."""
        rng = np.random.default_rng(seed)
        own = self.black + self.pattern * np.random.default_rng(7).standard_normal((SIDE, SIDE))
        light = signal * np.linspace(0.7, 1.3, SIDE) * (1 + flicker * rng.standard_normal((count, 1, 1)))
        light = np.broadcast_to(light, (count, SIDE, SIDE))
        spread = np.sqrt(light / self.electrons + self.read**2)
        codes = np.rint(own + light + spread * rng.standard_normal(light.shape))
        return np.clip(codes, 0, self.sensor.white).astype(np.uint16)


CAMERAS = [
    Made(Sensor(8, 8, 255), 8.3, 0.7, 30.0),
    Made(Sensor(8, 8, 255), 7.6, 1.5, 12.0, pattern=1.0),
    Made(Sensor(10, 64, 1023, "RGGB"), 64.0, 1.28, 9.375, pattern=2.0),
    Made(Sensor(12, 256, 4095, "RGGB"), 255.4, 4.0, 2.2, pattern=3.0),
]


@pytest.mark.parametrize("made", CAMERAS)
@pytest.mark.parametrize("seed", [1, 2])
def test_constants_are_found(made: Made, seed: int) -> None:
    """Black within 0.2 codes, read noise, full well within 5 %, on an uneven surface; the light flickers."""
    stated = dataclasses.replace(made.sensor, black=0)
    profile = sensor_profile.of_dark(made.frames(16, 0.0, seed), stated, "c")
    assert abs(profile.black - made.black) < 0.2 and profile.sensor.black == round(profile.black)
    assert profile.read_noise == pytest.approx(made.read, rel=0.05)
    assert profile.pattern_noise == pytest.approx(made.pattern, rel=0.05, abs=0.15)
    span = made.sensor.white - made.black
    levels = []
    for place, share in enumerate(np.linspace(0.03, 0.9, 12)):
        frames = made.frames(4, share * span, 100 * seed + place, flicker=0.01)
        levels += sensor_profile.levels_of(frames, place, profile)
    assert len(levels) < 48, "the brightest clip, and are left out"
    found = sensor_profile.with_flat(profile, levels)
    assert found.full_well == pytest.approx(made.electrons * span, rel=0.05)


def test_what_is_refused() -> None:
    made = CAMERAS[0]
    with pytest.raises(LogGradError, match="is not dark: cover the lens"):
        sensor_profile.of_dark(made.frames(8, 200.0, 1), made.sensor, "c")
    with pytest.raises(LogGradError, match="cut off at 0"):
        sensor_profile.of_dark(dataclasses.replace(made, black=1.0).frames(8, 0, 1), made.sensor, "c")
    with pytest.raises(LogGradError, match="3 dark frames: take 4"):
        sensor_profile.of_dark(made.frames(3, 0, 1), made.sensor, "c")
    profile = sensor_profile.of_dark(made.frames(8, 0, 1), made.sensor, "c")
    bright = sensor_profile.levels_of(made.frames(4, 400, 1), 1, profile)
    assert bright == []
    with pytest.raises(LogGradError, match="give it more light, or less"):
        sensor_profile.with_flat(profile, bright)
    with pytest.raises(LogGradError, match="does not grow with its light"):
        flat = [sensor_profile.Level(place, 50.0 * place, 0.0) for place in range(1, 5)]
        sensor_profile.with_flat(profile, flat)


def test_it_is_kept_and_read_again(tmp_path: Path) -> None:
    profile = SensorProfile("c", Sensor(8, 9, 255), 8.7, 0.5, 0.1, 12.5)
    assert sensor_profile.read(tmp_path) is None
    sensor_profile.write(profile, tmp_path)
    assert sensor_profile.read(tmp_path) == profile
    path = tmp_path / sensor_profile.NAME
    path.write_text(path.read_text().replace("8.7", "4.2"))
    with pytest.raises(LogGradError, match=r"sensor\.json: damaged .*: measure the sensor again"):
        sensor_profile.read(tmp_path)


def made_set(folder_: Path, sessions: int, black: int = 8) -> Collected:
    """Frames of three classes in sessions of two frames each."""
    made = Collected("Test camera", Sensor(8, black, 255), 24)
    collected.opened(folder_, made)
    rng = np.random.default_rng(1)
    for label in ("bicycle", "car", "person"):
        for one in range(sessions):
            for number in range(2):
                codes = rng.integers(20, 200, (24, 24)).astype(np.uint16)
                session = f"20261130T0{one:05d}-{label.encode().hex()[:4]}"
                collected.keep(folder_, made, label, session, number, codes, Shot(0.008))
    return made


def test_a_session_is_one_group_and_never_in_two_splits(tmp_path: Path) -> None:
    made_set(tmp_path / "set", 4)
    (tmp_path / "set" / collected.UNLABELLED).mkdir()
    source = folder.plan(tmp_path / "set")
    assert source.class_names == ("bicycle", "car", "person") and len(source.pictures) == 24
    assert len({picture.group for picture in source.pictures}) == 12
    data = dataset.load(f"folder:{tmp_path / 'set'}", size=24, cache=tmp_path / "cache")
    assert [len(data.labels_of(split)) for split in ("train", "val", "test")] == [12, 6, 6]
    assert data.sensor == Sensor(8, 8, 255) and data.cameras == {
        "LogGrad Test camera, 8 bits, monochrome": 24
    }


def test_the_measured_black_is_subtracted(tmp_path: Path) -> None:
    made_set(tmp_path / "set", 3)
    before = dataset.load(f"folder:{tmp_path / 'set'}", size=24, cache=tmp_path / "cache")
    profile = SensorProfile("c", Sensor(8, 11, 255), 11.2, 0.5, 0.1)
    sensor_profile.write(profile, tmp_path / "set")
    after = dataset.load(f"folder:{tmp_path / 'set'}", size=24, cache=tmp_path / "cache")
    assert after.sensor == profile.sensor and after.path != before.path
    assert np.array_equal(after.pixels.astype(int), before.pixels.astype(int) - 3)


def test_the_noise_of_the_sensor_bounds_thresholds(tmp_path: Path) -> None:
    """A set of dim, even frames: quantiles of |g| are those of its noise, the floor lies above them."""
    made_set(tmp_path / "set", 3)
    path = f"folder:{tmp_path / 'set'}"
    before = dataset.load(path, size=24, cache=tmp_path / "cache")
    assert before.noise is None
    profile = SensorProfile("c", Sensor(8, 8, 255), 8.0, 1.0, 0.1, 0.2)
    sensor_profile.write(profile, tmp_path / "set")
    data = dataset.load(path, size=24, cache=tmp_path / "cache")
    signal, read = 0.18 * 0.2 * 247, 0.2
    assert data.noise == pytest.approx(2 * (signal + read**2) ** 0.5 / signal)
    pixels = data.subset("train")[0]
    usual = fit("loggrad_2p25", data.sensor, pixels)
    low = fit("loggrad_2p25", data.sensor, pixels, floor=usual.thresholds[0] / 2)
    high = fit("loggrad_2p25", data.sensor, pixels, floor=usual.thresholds[1] * 2)
    assert low == usual
    assert high.thresholds[0] == pytest.approx(usual.thresholds[1] * 2, rel=1e-3)
    assert high.thresholds[1] > high.thresholds[0]
    gray = SensorProfile("c", Sensor(8, 8, 255, "RGGB"), 8.0, 1.0, 0.1, 0.2)
    assert gray.gradient_noise(4) == pytest.approx(data.noise / 2)
    assert dataclasses.replace(gray, electrons=None).gradient_noise(1) is None


def test_sets_of_other_cameras_are_refused(tmp_path: Path) -> None:
    made = made_set(tmp_path / "set", 1)
    collected.opened(tmp_path / "set", made)
    with pytest.raises(LogGradError, match="not of Test camera, 48 x 48: give another folder"):
        collected.opened(tmp_path / "set", dataclasses.replace(made, side=48))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(LogGradError, match="not empty, and no set"):
        collected.opened(tmp_path / "other", made)
    for label in ("../up", "", ".hidden", "a/b"):
        with pytest.raises(LogGradError, match="--label"):
            collected.check_label(label)
