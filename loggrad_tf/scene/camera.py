"""A Bayer camera: lens blur, exposure, colour filters, shot and read noise, clipping.

A photosite that would read S codes without noise reads ``round(black + S + n)``, clipped to
0 .. white, with ``Var n = S / electrons + read^2`` (codes squared): arrivals of ``electrons`` a code plus
read noise (EMVA 1288, linear model), n Gaussian. Not modelled: fixed pattern, dark current,
crosstalk between colours, non-linearity.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER, MONO, Sensor

BLACK, WHITE, BITS = 256, 4095, 12
MIDDLE = 0.10
EXPOSURE_STOPS = 3.0


@dataclasses.dataclass(frozen=True)
class Shot:
    """One photograph's settings.

    Attributes:
      sensor: depth, levels and colour filter of the file.
      exposure: factor on the metered exposure, 2^-3 .. 2^3; 1 puts the scene's mean
        luminance at 10 % of the span.
      balance: what the red, green and blue photosites make of white light, green = 1.
      electrons: photo-electrons per code.
      read_noise: standard deviation in codes.
      blur: standard deviation of the lens' spread in pixels, down and across.
    """

    sensor: Sensor
    exposure: float = 1.0
    balance: tuple[float, float, float] = (0.55, 1.0, 0.6)
    electrons: float = 4.0
    read_noise: float = 1.5
    blur: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        if self.sensor.cfa == MONO:
            raise LogGradError("camera with colour filter 'mono': choose one of RGGB GRBG GBRG BGGR")
        if min(self.exposure, self.electrons, *self.balance) <= 0 or min(self.read_noise, *self.blur) < 0:
            raise LogGradError(f"camera settings {self}: need positive exposure, electrons and balance")


def random_shot(rng: np.random.Generator) -> Shot:
    """A camera taken off the shelf: any Bayer order, exposure log-uniform over +-3 stops."""
    blur = float(np.exp(rng.uniform(np.log(0.35), np.log(1.6))))
    smear = float(rng.uniform(0.0, 2.0)) if rng.random() < 0.2 else 0.0
    along = (blur + smear, blur) if rng.random() < 0.3 else (blur, blur + smear)
    return Shot(
        sensor=Sensor(BITS, BLACK, WHITE, str(rng.choice(BAYER))),
        exposure=float(2.0 ** rng.uniform(-EXPOSURE_STOPS, EXPOSURE_STOPS)),
        balance=(float(rng.uniform(0.4, 0.75)), 1.0, float(rng.uniform(0.45, 0.8))),
        electrons=float(np.exp(rng.uniform(np.log(1.0), np.log(8.0)))),
        read_noise=float(rng.uniform(0.8, 4.0)),
        blur=along,
    )


def filters(cfa: str, height: int, width: int) -> np.ndarray:
    """Which colour (0 red, 1 green, 2 blue) each photosite sees, uint8 [height, width]."""
    tile = np.array(["RGB".index(letter) for letter in cfa], dtype=np.uint8).reshape(2, 2)
    return np.tile(tile, (-(-height // 2), -(-width // 2)))[:height, :width]


def expose(radiance: np.ndarray, shot: Shot) -> np.ndarray:
    """Noise-free codes above black, float32 [H, W], not yet clipped.

    Args:
      radiance: float32 [H, W, 3], linear light in any unit; the camera meters its mean.
    """
    height, width, _ = radiance.shape
    site = filters(shot.sensor.cfa, height, width)
    sharp = [ndimage.gaussian_filter(radiance[..., k], shot.blur, mode="nearest") for k in range(3)]
    seen = np.choose(site, sharp) * np.array(shot.balance, dtype=np.float32)[site]
    metered = float(radiance.mean(axis=(0, 1)) @ np.array([0.25, 0.5, 0.25]))
    gain = shot.exposure * MIDDLE * shot.sensor.span / max(metered, 1e-9)
    return (np.maximum(seen, 0.0) * gain).astype(np.float32)


def read_out(signal: np.ndarray, shot: Shot, rng: np.random.Generator) -> np.ndarray:
    """Noise-free codes above black [H, W] -> RAW codes with noise, uint16 [H, W], 0 .. white."""
    spread = np.sqrt(signal / np.float32(shot.electrons) + np.float32(shot.read_noise**2))
    noisy = shot.sensor.black + signal + spread * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.clip(np.rint(noisy), 0, shot.sensor.white).astype(np.uint16)


def photograph(radiance: np.ndarray, shot: Shot, rng: np.random.Generator) -> np.ndarray:
    """Radiance float32 [H, W, 3] -> RAW codes uint16 [H, W]."""
    return read_out(expose(radiance, shot), shot, rng)
