"""Pictures in linear light, as inverse tone mappers such as ExpandNet write them.

    Radiance .hdr           RGBE, run-length coded or flat, any of the eight orientations
    OpenEXR .exr            half or float; channels R, G, B or Y; one part, scan lines or tiles
    TIFF                    integers of 8 or 16 bits, or floats of 16 or 32, one or three colours
    PNG                     16 bits

What a file is its first bytes tell. Alpha is ignored; a TIFF may hold smaller copies and masks of its
picture, but no second picture.
Radiance, OpenEXR and float TIFF are linear but know no full scale: the value that 0.1 % of a picture's
colour values exceed (or its largest, should that be 0) becomes 1. What lies above stays above, up to 2^16,
so that a shorter exposure finds something in the highlights. Integers of 16 bits are taken as linear, with
the largest number of their depth as 1, whatever transfer curve the file may name; those of 8 bits as coded
with a gamma of 2.2.
"""

import contextlib
import dataclasses
import functools
import io
import itertools
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenEXR
import tifffile
from PIL import Image

from loggrad_tf import quiet
from loggrad_tf.errors import LogGradError

GAMMA = 2.2
MAX_PIXELS = 2**26
# Of a TIFF, looked at for a second picture.
MAX_PAGES = 64
MAX_BYTES = 2**30
# Share of a picture's colour values that lie at or below its full scale.
SCALE_QUANTILE = 0.999
BRIGHTEST = 2.0**16
_ORIENTATION = 0x0112
_PNG_DEPTH = 24
# "-Y 480 +X 640": rows from the top, pixels from the left.
_RESOLUTION = re.compile(rb"([-+])([XY]) (\d{1,9}) ([-+])([XY]) (\d{1,9})")


@dataclasses.dataclass(frozen=True)
class _Decoded:
    """Values [H, W] or [H, W, colours], upright; which of them is 1, None if the file does not say; their
    transfer curve's exponent."""

    values: np.ndarray
    full_scale: float | None
    gamma: float = 1.0


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as it is coded, upright.

    Attributes:
      values: [H, W, C], as the file has them.
      light: what any part of them, [h, w, C], stands for in linear light, float64 [h, w, 3].
    """

    values: np.ndarray
    light: Callable[[np.ndarray], np.ndarray]


def read(path: Path) -> Picture | None:
    """A picture in linear light, 0 .. 2^16; None if the file is none of these formats.

    Raises:
      LogGradError: it is damaged, too large, of a variant that is not read, or holds NaN, infinite or
        negative values.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_PNG_DEPTH + 2)
        size = path.stat().st_size
    except OSError as error:
        raise LogGradError(
            f"{path}: it cannot be read ({error.strerror}): replace it or leave it out"
        ) from error
    decode = _decoder(head)
    if decode is None:
        return None
    if size > MAX_BYTES:
        raise LogGradError(f"{path}: {size} bytes, at most {MAX_BYTES} are read: make it smaller")
    # The libraries write on both streams what they also raise.
    with quiet.stderr(), contextlib.redirect_stdout(io.StringIO()):
        found = _attempt(decode, path)
    if isinstance(found, LogGradError):
        raise found
    return _picture(path, found)


def _decoder(head: bytes) -> Callable[[Path], _Decoded] | None:
    if head.startswith(b"#?"):
        return _radiance
    if head.startswith(b"\x76\x2f\x31\x01"):
        return _exr
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[_PNG_DEPTH : _PNG_DEPTH + 1] == b"\x10":
        return _png
    return None


def _attempt(decode: Callable[[Path], _Decoded], path: Path) -> _Decoded | LogGradError:
    try:
        return decode(path)
    except LogGradError as error:
        return error
    except Exception as error:  # on a damaged file the libraries raise whatever comes
        reason = " ".join(str(error).split()).replace(str(path), "it")[:200] or type(error).__name__
        return LogGradError(f"{path}: it cannot be decoded ({reason}): replace it or leave it out")


def _check_size(path: Path, width: int, height: int) -> None:
    if not (width > 0 and height > 0 and width * height <= MAX_PIXELS):
        raise LogGradError(f"{path}: {width}x{height} pixels, 1 to {MAX_PIXELS} are read: scale it down")


def _picture(path: Path, found: _Decoded) -> Picture:
    values = found.values if found.values.ndim == 3 else found.values[..., None]
    values = values[..., : 3 if values.shape[2] >= 3 else 1]
    for what, wrong in (("NaN or infinite", ~np.isfinite(values)), ("negative", values < 0)):
        if wrong.any():
            row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)[:2]
            raise LogGradError(
                f"{path}: {what} value in row {row}, column {column}: write it anew without any"
            )
    full = _scale(values) if found.full_scale is None else found.full_scale
    if full == 0:
        raise LogGradError(f"{path}: black everywhere, so its values have no scale: leave it out")
    return Picture(values, functools.partial(_light, full=full, gamma=found.gamma))


def _scale(values: np.ndarray) -> float:
    """The value that 1 - SCALE_QUANTILE of all exceed, or the largest should that be 0."""
    place = math.ceil((values.size - 1) * SCALE_QUANTILE)
    return float(np.partition(values, place, axis=None)[place]) or float(values.max())


def _light(values: np.ndarray, full: float, gamma: float) -> np.ndarray:
    light = np.minimum(values.astype(np.float64) / full, BRIGHTEST) ** gamma
    return np.broadcast_to(light, (*light.shape[:2], 3))


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an Exif or TIFF orientation, 1..8."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def _radiance(path: Path) -> _Decoded:
    data = path.read_bytes()
    head, blank, rest = data.partition(b"\n\n")
    line, newline, body = rest.partition(b"\n")
    resolution = _RESOLUTION.fullmatch(line.strip())
    if not blank or not newline or not resolution or resolution[2] == resolution[5]:
        raise LogGradError(f"{path}: no Radiance header with a line like '-Y 480 +X 640': write it anew")
    formats = [entry[7:].strip() for entry in head.split(b"\n") if entry.startswith(b"FORMAT=")]
    if formats and formats[-1] != b"32-bit_rle_rgbe":
        name = formats[-1].decode("ascii", "replace")
        raise LogGradError(f"{path}: Radiance format '{name}': write it as 32-bit_rle_rgbe")
    lines, length = int(resolution[3]), int(resolution[6])
    _check_size(path, length, lines)
    values = np.empty((lines, length, 3), np.float32)
    imagecodecs.rgbe_decode(body, header=False, rle=True, out=values)
    # Y grows upwards and X to the right; upright is -Y +X.
    for axis, direction in enumerate((resolution[1] + resolution[2], resolution[4] + resolution[5])):
        if direction in (b"+Y", b"-X"):
            values = np.flip(values, axis)
    return _Decoded(values.swapaxes(0, 1) if resolution[2] == b"X" else values, None)


def _exr(path: Path) -> _Decoded:
    with OpenEXR.File(str(path), header_only=True) as file:
        wanted = _check_exr(path, len(file.parts), file.header())
    with OpenEXR.File(str(path), separate_channels=True) as file:
        planes = file.channels()
        return _Decoded(np.stack([planes[name].pixels for name in wanted], axis=-1), None)


def _check_exr(path: Path, parts: int, header: dict[str, Any]) -> str:
    """The channels to read."""
    if parts != 1 or header["type"] not in (OpenEXR.scanlineimage, OpenEXR.tiledimage):
        raise LogGradError(f"{path}: an OpenEXR of {parts} parts or of deep pixels: write its colours alone")
    names = {channel.name for channel in header["channels"]}
    wanted = "RGB" if names >= set("RGB") else "Y"
    if not names >= set(wanted):
        raise LogGradError(f"{path}: channels {', '.join(sorted(names))[:100]}: R, G, B or Y are needed")
    if any((channel.xSampling, channel.ySampling) != (1, 1) for channel in header["channels"]):
        raise LogGradError(
            f"{path}: a channel of fewer pixels than the picture has: write R, G and B in full"
        )
    (left, top), (right, bottom) = (corner.tolist() for corner in header["dataWindow"])
    # All channels are decoded, also those that are not read.
    _check_size(path, right - left + 1, (bottom - top + 1) * max(1, len(names) // 4))
    return wanted


def _tiff(path: Path) -> _Decoded:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        others = itertools.islice(tiff.pages, 1, MAX_PAGES)
        if any(isinstance(one, tifffile.TiffPage) and not (one.is_reduced or one.is_mask) for one in others):
            raise LogGradError(f"{path}: a TIFF of several pictures: save each as a file of its own")
        if page.dtype not in (np.uint8, np.uint16, np.float16, np.float32):
            raise LogGradError(f"{path}: a TIFF of {page.dtype} values: 16-bit integers or floats are needed")
        if page.photometric not in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB):
            raise LogGradError(f"{path}: a TIFF of colours {page.photometric!r:.40}: gray or RGB is needed")
        if page.axes not in ("YX", "YXS", "SYX") or page.samplesperpixel > 4:
            raise LogGradError(f"{path}: a TIFF of axes {page.axes}, {page.shape}: one picture is needed")
        _check_size(path, page.imagewidth, page.imagelength)
        if not min(page.databytecounts, default=0) or len(page.databytecounts) != math.prod(page.chunked):
            raise LogGradError(f"{path}: a part of its pixels is missing: replace it or leave it out")
        values = page.asarray()
        values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
        tag = page.tags.get(_ORIENTATION)
    values, bits = _upright(values, tag.value if tag else 1), page.bitspersample
    if values.dtype.kind == "f":
        return _Decoded(values, None)
    return _Decoded(values, 2.0**bits - 1, GAMMA if bits <= 8 else 1.0)


def _png(path: Path) -> _Decoded:
    data = path.read_bytes()
    _check_size(path, *struct.unpack_from(">II", data, 16))
    with Image.open(io.BytesIO(data)) as image:
        orientation = image.getexif().get(_ORIENTATION, 1)
    return _Decoded(_upright(imagecodecs.png_decode(data), orientation), 65535.0)
