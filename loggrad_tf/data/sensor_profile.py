"""A sensor measured: black level and read noise from frames of the dark, conversion from an even surface.

A photosite that would read S codes above black without noise reads them with variance

    Var = S / K + r^2 + 1/12

where K is photo-electrons a code, r the read noise in codes, and 1/12 what rounding to whole codes adds (EMVA
1288, linear model; photon transfer). Variances are those in time: of one photosite over several frames, or
half that of the difference of two, less the difference's mean, so that neither the pattern of the photosites
nor an uneven or a flickering light counts. A full well is ``K (white - black)`` electrons: more light changes
no code.

Refused: a dark that is not dark or lies below code 0, and surfaces that are too dark or too bright.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loggrad_tf import json_base
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.noise import gradient_noise
from loggrad_tf.transform.sensor import Sensor

NAME = "sensor.json"
_ROUNDING = 1 / 12
# Most codes that may be 0 in the dark, or at white on a surface that is measured.
_MOST_CLIPPED = 1e-3
# Of white: a mean above it in the dark is light.
_MOST_DARK = 0.5
_LEAST_LEVELS = 3


@dataclasses.dataclass(frozen=True)
class SensorProfile(JsonBase):
    """What was measured of one camera at one gain; in codes, unless said otherwise.

    Attributes:
      camera: what its photographs call it.
      sensor: depth and white as the board states them, black as it was measured, rounded.
      black: mean code of no light.
      read_noise: r, standard deviation in time.
      pattern_noise: standard deviation of the photosites' own black levels.
      electrons: K, photo-electrons a code; None until a surface was measured.
    """

    camera: str
    sensor: Sensor
    black: float
    read_noise: float
    pattern_noise: float
    electrons: float | None = None

    def __post_init__(self) -> None:
        if self.read_noise < 0 or self.pattern_noise < 0 or round(self.black) != self.sensor.black:
            raise LogGradError(f"black {self.black}, noise {self.read_noise}, {self.pattern_noise}: damaged")
        if self.electrons is not None and self.electrons <= 0:
            raise LogGradError(f"{self.electrons} electrons a code: damaged")

    @property
    def full_well(self) -> float | None:
        """Electrons at white; None until a surface was measured."""
        return None if self.electrons is None else self.electrons * (self.sensor.white - self.black)

    def gradient_noise(self, photosites: int) -> float | None:
        """Noise of g at middle gray (:func:`loggrad_tf.transform.noise.gradient_noise`), where a pixel is the
        mean of so many photosites: the electrons of all, the read noise of their root. None before a surface
        was measured."""
        if self.electrons is None or self.full_well is None:
            return None
        read = self.read_noise * self.electrons * photosites**0.5
        return gradient_noise(full_well=photosites * self.full_well, read_noise=read)

    def text(self) -> str:
        """One line for people."""
        noise = f"read noise {self.read_noise:.2f}, pattern {self.pattern_noise:.2f} codes"
        dark = f"black {self.black:.2f}, {noise}"
        if self.electrons is None or self.full_well is None:
            return dark
        return f"{dark}; {self.electrons:.3g} electrons a code, full well {self.full_well:.0f} electrons"


@dataclasses.dataclass(frozen=True)
class Level:
    """An even surface at one exposure, the photosites of one colour: means of codes above black."""

    exposure: int
    signal: float
    variance: float


def of_dark(frames: np.ndarray, sensor: Sensor, camera: str) -> SensorProfile:
    """The profile from frames of the covered lens.

    Args:
      frames: uint16 (N, H, W), N of 4 or more.
      sensor: as the board states it.

    Raises:
      LogGradError: light falls in, or black lies below 0.
    """
    if len(frames) < 4:
        raise LogGradError(f"{len(frames)} dark frames: take 4 or more")
    codes = frames.astype(np.float64)
    black = float(codes.mean())
    if black > _MOST_DARK * sensor.white:
        raise LogGradError(f"a mean code of {black:.0f} of {sensor.white} is not dark: cover the lens")
    if float((frames == 0).mean()) > _MOST_CLIPPED:
        raise LogGradError(
            "codes of the dark are cut off at 0: their mean is not the black level; raise the sensor's black"
        )
    in_time = float(codes.var(axis=0, ddof=1).mean())
    means = float(codes.mean(axis=0).var())
    return SensorProfile(
        camera=camera,
        sensor=dataclasses.replace(sensor, black=round(black)),
        black=black,
        read_noise=max(in_time - _ROUNDING, 0.0) ** 0.5,
        pattern_noise=max(means - in_time / len(frames), 0.0) ** 0.5,
    )


def levels_of(frames: np.ndarray, exposure: int, profile: SensorProfile) -> list[Level]:
    """What an even surface gives at one exposure, for each place of a 2x2 square; none where it clips.

    Args:
      frames: uint16 (N, H, W), N even.
    """
    found = []
    for row in range(2):
        for column in range(2):
            codes = frames[:, row::2, column::2]
            if float((codes >= profile.sensor.white).mean()) > _MOST_CLIPPED:
                continue
            values = codes.astype(np.float64)
            apart = values[0::2] - values[1::2]
            apart -= apart.mean(axis=(1, 2), keepdims=True)
            variance = float((apart**2).mean()) / 2 - _ROUNDING
            found.append(Level(exposure, float(values.mean()) - profile.black, variance))
    return found


def with_flat(profile: SensorProfile, levels: Sequence[Level]) -> SensorProfile:
    """The profile with the conversion that fits the levels best: variance over signal, read noise as it is.

    Raises:
      LogGradError: too few levels lie between dark and white, or their noise does not grow with the light.
    """
    span = profile.sensor.white - profile.black
    read = profile.read_noise**2
    used = [level for level in levels if level.signal > 0.02 * span]
    if len({level.exposure for level in used}) < _LEAST_LEVELS:
        raise LogGradError(
            f"{len(used)} measurements of the surface lie between dark and white: give it more light, or less"
        )
    signal = np.array([level.signal for level in used])
    noise = np.array([level.variance - read for level in used])
    # A variance errs in proportion to itself: the first slope, of the brightest level, says by how much.
    brightest = int(signal.argmax())
    first = max(float(noise[brightest] / signal[brightest]), 0.0)
    weight = (signal / (first * signal + read + _ROUNDING)) ** 2
    slope = float((weight * noise / signal).sum() / weight.sum())
    if slope <= 0:
        raise LogGradError(
            "the noise of the surface does not grow with its light: is it photographed at all?"
        )
    return dataclasses.replace(profile, electrons=1 / slope)


def write(profile: SensorProfile, folder: Path) -> Path:
    """Keep a profile in a folder of photographs: :data:`NAME`."""
    path = folder / NAME
    write_whole(path, (json.dumps(profile.to_json(), indent=1) + "\n").encode())
    return path


def read(folder: Path) -> SensorProfile | None:
    """The profile that lies in a folder of photographs, or None.

    Raises:
      LogGradError: it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    return json_base.read_as(SensorProfile, path, "measure the sensor again with firmware.collect")
