"""Pictures (JPEG, PNG, TIFF, Radiance, OpenEXR) as a sensor would have read what they show.

    x = (v / 255) ** 2.2        for each 8-bit colour v; from a picture in linear light (16 bits, floats,
                                .hdr, .exr) x as :mod:`loggrad_tf.data.hdr` reads it, where it may exceed 1
    resized                     in linear light
    darkened by 2^U(-2, 0)      an exposure of its own
    one channel                 gray: 0.2126 R + 0.7152 G + 0.0722 B, Rec. 709; mosaic: sampled RGGB
    read                        by a 12-bit sensor of 9000 electrons full well and 4.5 electrons read noise:
                                ``P = round(span (N(s, s) + N(0, 4.5^2)) / 9000)`` with s = 9000 x, which is
                                SNR 40 at 18 % of full scale

The random numbers are seeded by a name, so a picture of one name gives the same crop wherever it is prepared.
"""

import hashlib
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from loggrad_tf.data import crops, hdr
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import Sensor

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".hdr", ".exr")
# Of 8 bits; Pillow itself refuses hardly more.
MAX_PIXELS = 170 * 10**6
DARKEST = -2.0
FULL_WELL, READ_NOISE = 9000.0, 4.5
SENSOR = Sensor(bits=12, black=0, white=4095)
MOSAIC = "RGGB"
LUMINANCE = (0.2126, 0.7152, 0.0722)
_LINEAR = ((np.arange(256) / 255.0) ** hdr.GAMMA).astype(np.float64)


def read(path: Path) -> hdr.Picture:
    """A picture upright, and its linear light: 0..1, or above 1 in the highlights of a .hdr, .exr or float
    TIFF.

    Raises:
      LogGradError: it cannot be decoded, or has more pixels than are read.
    """
    found = hdr.read(path)
    if found is not None:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return hdr.Picture(_colours(path, image), _linear)
    except LogGradError:
        raise
    except Image.DecompressionBombError:
        raise LogGradError(
            f"{path}: more than the {MAX_PIXELS} pixels that are read: scale it down"
        ) from None
    except Exception as error:  # on a damaged file the library raises whatever comes
        reason = " ".join(str(error).split()).replace(str(path), "it") or type(error).__name__
        raise LogGradError(f"{path}: it cannot be decoded ({reason}): replace it or leave it out") from error


def _colours(path: Path, image: Image.Image) -> np.ndarray:
    """uint8 [H, W, 3], upright."""
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
        raise LogGradError(f"{path}: a picture of mode {image.mode}: save it with 8 bits a colour")
    if image.width * image.height > MAX_PIXELS:
        raise LogGradError(
            f"{path}: {image.width}x{image.height} pixels, at most {MAX_PIXELS} are read: scale it down"
        )
    ImageOps.exif_transpose(image, in_place=True)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _linear(values: np.ndarray) -> np.ndarray:
    return _LINEAR[values]


def expose(light: np.ndarray, name: str, mode: str) -> np.ndarray:
    """Linear colours -> what the imitated sensor reads.

    Args:
      light: float [H, W, 3], 1 at full scale; H and W even for a mosaic.
      name: seeds the exposure and the noise.
      mode: ``gray`` or ``mosaic``.

    Returns:
      P, uint16 [H, W], 0..4095.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    random = np.random.Generator(np.random.PCG64(seed))
    exposure = 2.0 ** random.uniform(DARKEST, 0.0)
    if mode == "gray":
        red, green, blue = np.moveaxis(light, -1, 0)
        seen = LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
    else:
        seen = light[..., 1].copy()
        seen[0::2, 0::2] = light[0::2, 0::2, 0]
        seen[1::2, 1::2] = light[1::2, 1::2, 2]
    electrons = FULL_WELL * exposure * seen
    sigma = np.sqrt(electrons + READ_NOISE**2)
    read = electrons + sigma * random.standard_normal(electrons.shape)
    return crops.to_codes(read * (SENSOR.span / FULL_WELL), SENSOR.span)
