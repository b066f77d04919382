"""The input formats: everything between a linear pixel and the network's input tensor.

A :class:`FrontEnd` fixes the format, the sensor and the thresholds, and travels inside the
model file, so that notebook, converter and board read the same definition.

============== ======================================= ====================== =========
name           float network sees                      int8 tensor            bits/pixel
============== ======================================= ====================== =========
jpeg8          round(255 (P/span)^(1/2.2)) / 255       code - 128             8
raw16          P / span                                8-bit code - 128       16
loggrad_fp     g                                       round(32 g)            32
loggrad_1p5    level -1..1                             the level              log2 3
loggrad_2p25   level -2..2                             the level              log2 5
loggrad_2p75   level -3..3                             the level              log2 7
============== ======================================= ====================== =========

The formats and their names are those of the paper, section 3 (2.75 bit: its reference [26]).
"""

import dataclasses
import math

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform import reference
from loggrad_tf.transform.sensor import Sensor, requantize

LEVELS = {"loggrad_1p5": 1, "loggrad_2p25": 2, "loggrad_2p75": 3}
FORMATS = ("jpeg8", "raw16", "loggrad_fp", *LEVELS)
GAMMA = 2.2

# Share of |g| on the training RAW that lies below each threshold. The first is the project's
# rule (60 %); each further one halves the share that remains above.
QUANTILES = (0.6, 0.8, 0.9)
# Images that thresholds are taken from, and how many of them are transformed at once.
_MOST_IMAGES, _IMAGES_AT_A_TIME = 512, 8
# Thresholds for use without data.
FIXED_THRESHOLDS = {1: (0.30,), 2: (0.30, 0.90), 3: (0.30, 0.90, 1.50)}


@dataclasses.dataclass(frozen=True)
class FrontEnd(JsonBase):
    """One input format at one sensor.

    Attributes:
      format: one of :data:`FORMATS`.
      sensor: what a pixel value means; ``encode`` takes P of this sensor.
      ratios: K_1 < ... < K_n for the quantised formats, else ().
      shift: S; thresholds are ln(K_i / 2^S).
      offset: c inside the logarithm.
      border: ``mirror`` or ``valid`` (gradient formats).
    """

    format: str
    sensor: Sensor
    ratios: tuple[int, ...] = ()
    shift: int = reference.DEFAULT_SHIFT
    offset: int = 1
    border: str = "mirror"

    def __post_init__(self) -> None:
        check_format(self.format)
        if self.border not in reference.BORDERS:
            raise LogGradError(f"border '{self.border}': choose one of {', '.join(reference.BORDERS)}")
        if not 1 <= self.offset <= 2**12:
            raise LogGradError(
                f"offset c = {self.offset}: choose 1 to 4096 (the logarithm of 0 has no value)"
            )
        if len(self.ratios) != self.levels:
            raise LogGradError(f"{self.format} needs {self.levels} threshold ratios, got {self.ratios}")
        if self.levels:
            reference.check_ratios(self.ratios, self.shift)

    @property
    def levels(self) -> int:
        """n of the quantised formats (levels -n..n), 0 for the others."""
        return LEVELS.get(self.format, 0)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """t_i in natural log units."""
        return tuple(reference.threshold_of(k, self.shift) for k in self.ratios)

    @property
    def bits_per_pixel(self) -> float:
        """Information per pixel that the sensor hands to the network."""
        if self.levels:
            return math.log2(2 * self.levels + 1)
        return {"jpeg8": 8.0, "raw16": 16.0, "loggrad_fp": 32.0}[self.format]

    @property
    def input_scale(self) -> float:
        """Scale of the int8 input tensor: real = scale (int8 - zero_point)."""
        if self.levels:
            return 1.0
        return 1 / 32 if self.format == "loggrad_fp" else 1 / 255

    @property
    def input_zero_point(self) -> int:
        return -128 if self.format in ("jpeg8", "raw16") else 0

    def table(self) -> np.ndarray | None:
        """The look-up table that defines the int8 form of the formats without levels.

        jpeg8, raw16: int8 tensor value of each P, shape (span + 1,). loggrad_fp: int16
        fixed-point logarithms (:func:`reference.log_table`). None for the quantised formats.
        """
        if self.levels:
            return None
        span = self.sensor.span
        if self.format == "loggrad_fp":
            return reference.log_table(span, self.offset)
        light = np.arange(span + 1) / span
        exponent = 1 / GAMMA if self.format == "jpeg8" else 1.0
        return (np.floor(255 * light**exponent + 0.5) - 128).astype(np.int8)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """What the float network sees.

        Args:
          pixels: P, uint16, shape (..., H, W), values 0..sensor.span.
        Returns:
          float32, shape (..., H, W, 1) (H-2, W-2 for a gradient format with border ``valid``).
        """
        if self.levels or self.format == "jpeg8":
            real = (self.encode_int8(pixels).astype(np.float32) - self.input_zero_point) * np.float32(
                self.input_scale
            )
            return real
        if self.format == "raw16":
            return (pixels / np.float64(self.sensor.span)).astype(np.float32)[..., None]
        gradient = reference.log_gradient(pixels, self.offset, self.border)
        return gradient.astype(np.float32)[..., None]

    def encode_int8(self, pixels: np.ndarray) -> np.ndarray:
        """What the int8 network sees: int8, shape (..., H, W, 1). Defined by integers alone."""
        if self.levels:
            return reference.levels(pixels, self.ratios, self.shift, self.offset, self.border)[..., None]
        table = self.table()
        assert table is not None
        if self.format == "loggrad_fp":
            return reference.fixed_log_gradient(pixels, table, self.border)[..., None]
        return table[pixels][..., None]


def check_format(name: str, flag: str = "") -> None:
    """Refuse an input format that there is not.

    Args:
      flag: that named it, as ``--input``; empty if none did.

    Raises:
      LogGradError: what may be chosen instead.
    """
    if name not in FORMATS:
        by = f"{flag}: " if flag else ""
        raise LogGradError(f"{by}unknown input format '{name}': choose one of {', '.join(FORMATS)}")


def fixed(name: str, sensor: Sensor) -> FrontEnd:
    """The front end without data: thresholds 0.30 (3 levels), 0.30/0.90 (5), 0.30/0.90/1.50 (7)."""
    check_format(name)
    thresholds = FIXED_THRESHOLDS.get(LEVELS.get(name, 0), ())
    return FrontEnd(name, sensor, tuple(reference.ratio_of(t) for t in thresholds))


def fit(
    name: str,
    sensor: Sensor,
    pixels: np.ndarray,
    source: Sensor | None = None,
    floor: float | None = None,
) -> FrontEnd:
    """The front end whose thresholds are quantiles of |g| on training pixels.

    A quantile travels between sensors where a fixed threshold does not: real files differ
    several-fold in contrast. At most 512 images, evenly spread over ``pixels``, are read, a few at a time.

    Args:
      name: one of :data:`FORMATS`.
      sensor: the sensor of the front end.
      pixels: P of the training split, uint16, shape (N, H, W).
      source: what the pixels mean, if not ``sensor``; the images read are requantised to that.
      floor: below which no threshold goes, natural log: the noise of a sensor that was measured.
    """
    check_format(name)
    count = LEVELS.get(name, 0)
    if not count:
        return FrontEnd(name, sensor)
    if len(pixels) == 0:
        raise LogGradError(f"{name}: no training image to take thresholds from")
    sample = pixels[:: -(-len(pixels) // _MOST_IMAGES)]
    magnitude = np.empty(sample.shape)
    for start in range(0, len(sample), _IMAGES_AT_A_TIME):
        images = slice(start, start + _IMAGES_AT_A_TIME)
        seen = requantize(np.asarray(sample[images]), source or sensor, sensor)
        np.abs(reference.log_gradient(seen), out=magnitude[images])
    ratios: list[int] = []
    for quantile in np.quantile(magnitude, QUANTILES[:count], overwrite_input=True):
        smallest = ratios[-1] + 1 if ratios else 2**reference.DEFAULT_SHIFT + 1
        ratios.append(max(reference.ratio_of(max(float(quantile), floor or 0.0)), smallest))
    return FrontEnd(name, sensor, tuple(ratios))
