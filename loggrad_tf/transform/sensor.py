"""What a RAW code means: the sensor's depth, levels and colour filters.

``P = clip(code - black, 0, white - black)`` is the linear pixel value used
everywhere in this project: an integer in sensor codes, never a float in [0, 1].
"""

import dataclasses

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

BAYER = ("RGGB", "GRBG", "GBRG", "BGGR")
MONO = "mono"
MIN_BITS, MAX_BITS = 8, 16
# Pixels requantised at a time.
_CHUNK = 2**20


@dataclasses.dataclass(frozen=True)
class Sensor(JsonBase):
    """An image sensor as the transform sees it.

    Attributes:
      bits: depth B of a code, 8..16.
      black: code of no light (pedestal), 0 <= black < white.
      white: code of saturation, white < 2**bits.
      cfa: ``"mono"`` or one of ``RGGB GRBG GBRG BGGR``, row-major from pixel (0, 0).
    """

    bits: int = 12
    black: int = 0
    white: int = 4095
    cfa: str = MONO

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise LogGradError(f"sensor depth of {self.bits} bits: supported are 8 to 16")
        if not 0 <= self.black < self.white < 2**self.bits:
            raise LogGradError(
                f"sensor levels black={self.black}, white={self.white}: need"
                f" 0 <= black < white < {2**self.bits} at {self.bits} bits"
            )
        if self.cfa != MONO and self.cfa not in BAYER:
            raise LogGradError(f"colour filter '{self.cfa}': choose mono or one of {' '.join(BAYER)}")

    @property
    def span(self) -> int:
        """The largest linear pixel value, ``white - black``."""
        return self.white - self.black

    def linearize(self, codes: np.ndarray) -> np.ndarray:
        """RAW codes (any integer dtype, any shape) -> P, uint16, same shape."""
        return np.clip(codes.astype(np.int64) - self.black, 0, self.span).astype(np.uint16)

    def codes(self, pixels: np.ndarray) -> np.ndarray:
        """P -> the RAW codes a camera would have sent, uint16; inverse of :meth:`linearize`."""
        return (pixels.astype(np.int64) + self.black).astype(np.uint16)


def requantize(pixels: np.ndarray, source: Sensor, target: Sensor) -> np.ndarray:
    """The same light seen at another depth: P of ``source`` -> P of ``target``.

    ``P' = floor((2 P span' + span) / (2 span))``, that is P span'/span rounded half up,
    in integers. The offset c inside the logarithm makes the depth matter, so a network
    is trained at the depth of the sensor that will feed it.

    Args:
      pixels: uint16, any shape, values 0..source.span.
    Returns:
      uint16, same shape, values 0..target.span.
    """
    if source.span == target.span:
        return pixels.astype(np.uint16, copy=False)
    light = np.arange(source.span + 1, dtype=np.int64)
    table = ((2 * light * target.span + source.span) // (2 * source.span)).astype(np.uint16)
    flat = pixels.reshape(-1)
    result = np.empty(flat.shape, np.uint16)
    for start in range(0, len(flat), _CHUNK):  # NumPy widens an index to 8 bytes a pixel
        result[start : start + _CHUNK] = table[flat[start : start + _CHUNK]]
    return result.reshape(pixels.shape)
