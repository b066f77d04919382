"""Light and sensors that the training did not see, and how many images are right under them.

All conditions take P of one sensor, uint16, any shape. :func:`digital` and :func:`physical` give P of the
same sensor, :func:`at_depth` that of another.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor, requantize

# Electrons, one standard deviation; with 9000 electrons of full well this is SNR 40 at 18 % of full scale.
READ_NOISE = 4.5
GREY = 0.18
_BATCH = 128


def in_batches(change: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """``change`` of some images at a time, since most changes take several times their memory."""
    return np.concatenate([change(pixels[i : i + _BATCH]) for i in range(0, len(pixels), _BATCH)])


def digital(pixels: np.ndarray, factor: float, sensor: Sensor) -> np.ndarray:
    """The RAW codes times ``factor``, rounded half up and clipped: what the paper's figure 10 does.

    Noise is scaled with the signal, and dark pixels lose their last bits.
    """
    return in_batches(
        lambda some: np.clip(np.floor(some * factor + 0.5), 0, sensor.span).astype(np.uint16), pixels
    )


def physical(
    pixels: np.ndarray,
    factor: float,
    sensor: Sensor,
    rng: np.random.Generator,
    full_well: float = 9000.0,
    read_noise: float = READ_NOISE,
) -> np.ndarray:
    """The scene ``factor`` times as bright, read anew by the sensor.

    P is taken for the light, its own noise included, so at a factor of 1 noise is counted twice. Shot noise
    is that of ``factor`` times the electrons, so darker scenes are noisier.

    Args:
      full_well: electrons at ``sensor.span``.
      read_noise: electrons, one standard deviation.
    """

    def read(some: np.ndarray) -> np.ndarray:
        electrons = some * (factor * full_well / sensor.span)
        noise = np.sqrt(electrons + read_noise**2) * rng.standard_normal(some.shape)
        codes = (electrons + noise) * (sensor.span / full_well)
        return np.clip(np.floor(codes + 0.5), 0, sensor.span).astype(np.uint16)

    return in_batches(read, pixels)


def at_depth(pixels: np.ndarray, bits: int, sensor: Sensor) -> np.ndarray:
    """P of :func:`sensor_of` that many bits; beyond the sensor's own the codes are scaled, not finer."""
    return requantize(pixels, sensor, sensor_of(bits, sensor))


def sensor_of(bits: int, sensor: Sensor) -> Sensor:
    """A sensor of another depth and no pedestal, 0 .. 2^bits - 1, with the colour filters of ``sensor``."""
    return Sensor(bits, 0, 2**bits - 1, sensor.cfa)


def full_well(snr: float) -> float:
    """Electrons at full scale of a sensor whose signal-to-noise ratio is ``snr`` at 18 % of it.

    Solves ``snr = s / sqrt(s + READ_NOISE^2)`` for the electrons s at 18 %.
    """
    return (snr**2 + np.sqrt(snr**4 + 4 * (snr * READ_NOISE) ** 2)) / (2 * GREY)


def forward(model: Any) -> Callable[[Any], Any]:
    """A Keras model as one traced function of a batch, without training: a third of the time."""
    import tensorflow as tf

    signature = [tf.TensorSpec(model.input_shape)]
    return tf.function(functools.partial(model, training=False), input_signature=signature, autograph=False)


def answers(
    forwards: Sequence[Callable[[Any], Any]], front: FrontEnd, pixels: np.ndarray
) -> list[np.ndarray]:
    """The class that each of several networks of one input gives each image, int64 (N,).

    Args:
      forwards: of :func:`forward`.
      pixels: P of ``front.sensor``, uint16 (N, H, W); encoded once for all networks.
    """
    from models.training.measure import classify

    found: list[list[np.ndarray]] = [[] for _ in forwards]
    for start in range(0, len(pixels), _BATCH):
        seen = front.encode(pixels[start : start + _BATCH])
        for classes, network in zip(found, forwards, strict=True):
            classes.append(classify(network(seen).numpy()))
    return [np.concatenate(classes) for classes in found]
