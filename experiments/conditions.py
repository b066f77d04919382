"""Light and sensors that the training did not see: brightness, fresh noise, other depths.

All take P of one sensor and give P of the same sensor, uint16, any shape.
"""

import numpy as np

from loggrad_tf.sensor import Sensor, requantize


def digital(pixels: np.ndarray, factor: float, sensor: Sensor) -> np.ndarray:
    """The RAW codes times ``factor``, rounded half up and clipped: what the paper's figure 10 does.

    Noise is scaled with the signal, and dark pixels lose their last bits.
    """
    return np.clip(np.floor(pixels * factor + 0.5), 0, sensor.span).astype(np.uint16)


def physical(
    pixels: np.ndarray,
    factor: float,
    sensor: Sensor,
    rng: np.random.Generator,
    full_well: float = 9000.0,
    read_noise: float = 4.5,
) -> np.ndarray:
    """The scene ``factor`` times as bright, read anew by the sensor.

    P is taken for the light, its own noise included, so at a factor of 1 noise is counted twice. Shot noise
    is that of ``factor`` times the electrons, so darker scenes are noisier.

    Args:
      full_well: electrons at ``sensor.span``.
      read_noise: electrons, one standard deviation.
    """
    electrons = pixels * (factor * full_well / sensor.span)
    noise = np.sqrt(electrons + read_noise**2) * rng.standard_normal(pixels.shape)
    codes = (electrons + noise) * (sensor.span / full_well)
    return np.clip(np.floor(codes + 0.5), 0, sensor.span).astype(np.uint16)


def at_depth(pixels: np.ndarray, bits: int, sensor: Sensor) -> np.ndarray:
    """P of a sensor of another depth and no pedestal, 0 .. 2^bits - 1."""
    return requantize(pixels, sensor, Sensor(bits, 0, 2**bits - 1, sensor.cfa))
