"""Minimal DNG writer: one uncompressed 16-bit RAW frame with the levels and colour filters it needs.

A DNG is a TIFF whose single image is the sensor's codes; the tags below say what they mean
(Adobe DNG specification 1.4). It holds Bayer frames, any other repeating filter of R, G and B
(X-Trans), demosaiced linear RGB and monochrome frames. No compression, no preview, no lens metadata, no
colour calibration: the colour matrix is sRGB's and the neutral is 1 1 1.
Reading is :mod:`loggrad_tf.data.raw`'s work.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from loggrad_tf.transform.sensor import MONO

LINEAR = "linear"
# LibRaw takes a smaller frame for no RAW file.
MIN_SIDE = 22

_PHOTOMETRIC = 262
_MIN_IS_BLACK, _PHOTOMETRIC_CFA, _PHOTOMETRIC_LINEAR_RAW = 1, 32803, 34892
_BYTE, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 3, 4, 5, 10
Tag = tuple[int | str, int | str, int | None, Any, bool]
_COLOURS = "RGB"
# XYZ (D65) -> linear sRGB, in units of 1e-4: IEC 61966-2-1.
_COLOUR_MATRIX = (32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572)
_D65 = 21


def _tag(code: int, kind: int, values: Sequence[int]) -> Tag:
    count = len(values) // 2 if kind in (_RATIONAL, _SRATIONAL) else len(values)
    return (code, kind, count, tuple(values) if len(values) > 1 else values[0], True)


def _ratios(values: Sequence[int], denominator: int = 1) -> list[int]:
    return [part for value in values for part in (value, denominator)]


def _repeat(cfa: str) -> int:
    """Side of the filter's repeating square: 2 for Bayer, 6 for X-Trans."""
    side = int(round(len(cfa) ** 0.5))
    if side * side != len(cfa) or side < 2 or set(cfa) - set(_COLOURS):
        raise LogGradError(
            f"colour filter '{cfa}': write R, G and B row by row for a 2x2 or 6x6 square, 'mono' or 'linear'"
        )
    return side


def write_dng(
    path: Path,
    codes: np.ndarray,
    *,
    cfa: str,
    black: int | Sequence[int] = 0,
    white: int = 4095,
    camera: str = "LogGrad frame",
    active_area: tuple[int, int, int, int] | None = None,
    exposure: tuple[float, float] | None = None,
) -> None:
    """Write one RAW frame that LibRaw, and so :func:`loggrad_tf.data.raw.read_raw`, decodes to its codes.

    Args:
      path: where to; written under a temporary name and renamed.
      codes: uint16 [H, W] sensor codes, pedestal included, or uint16 [H, W, 3] for ``linear``;
        both sides 22 pixels or more.
      cfa: ``RGGB GRBG GBRG BGGR``, 36 letters for a 6x6 filter, ``mono`` or ``linear``;
        row-major from the top-left pixel of the active area.
      black: code of no light; for a Bayer frame also four of them, one for each place of the 2x2 square.
      white: code of saturation, black < white < 65536.
      camera: what the file calls its camera.
      active_area: top, left, bottom, right of the visible pixels (half open); all of them if None.
      exposure: seconds, written to the microsecond, and gain, as ISO 100 times that; None: not told.

    Raises:
      LogGradError: a wrong shape, dtype, filter or level.
    """
    channels = 3 if cfa == LINEAR else 1
    if codes.dtype != np.uint16 or codes.shape[2:] != ((3,) if channels == 3 else ()) or codes.ndim < 2:
        raise LogGradError(
            f"{path}: a DNG with filter '{cfa}' holds uint16 of shape [H, W{', 3' if channels == 3 else ''}],"
            f" not {codes.dtype} of shape {list(codes.shape)}"
        )
    if min(codes.shape[:2]) < MIN_SIDE:
        raise LogGradError(f"{path}: {codes.shape[1]}x{codes.shape[0]} pixels: LibRaw needs {MIN_SIDE}")
    blacks = [black] if isinstance(black, int) else list(black)
    if not (min(blacks) >= 0 and max(blacks) < white < 2**16):
        raise LogGradError(f"{path}: levels black={black}, white={white}: need 0 <= black < white < 65536")
    tags: list[Tag] = [
        _tag(50706, _BYTE, (1, 4, 0, 0)),
        _tag(50707, _BYTE, (1, 1, 0, 0)),
        (271, "s", 0, "LogGrad", True),
        (272, "s", 0, camera, True),
        _tag(274, _SHORT, (1,)),
        (50708, "s", 0, camera, True),
        _tag(50717, _LONG, [white] * channels),
        _tag(50721, _SRATIONAL, _ratios(_COLOUR_MATRIX, 10000)),
        _tag(50728, _RATIONAL, _ratios((1, 1, 1))),
        _tag(50778, _SHORT, (_D65,)),
    ]
    if cfa in (MONO, LINEAR):
        photometric = _PHOTOMETRIC_LINEAR_RAW
        if len(blacks) not in (1, channels):
            raise LogGradError(f"{path}: {len(blacks)} black levels for {channels} channel(s)")
        tags.append(_tag(50714, _RATIONAL, _ratios(blacks * (channels // len(blacks)))))
    else:
        photometric = _PHOTOMETRIC_CFA
        side = _repeat(cfa)
        tags += [
            _tag(33421, _SHORT, (side, side)),
            _tag(33422, _BYTE, [_COLOURS.index(letter) for letter in cfa]),
            _tag(50710, _BYTE, (0, 1, 2)),
            _tag(50711, _SHORT, (1,)),
        ]
        if len(blacks) not in (1, len(cfa)):
            raise LogGradError(f"{path}: {len(blacks)} black levels for a filter of {len(cfa)} places")
        if len(blacks) > 1:
            tags.append(_tag(50713, _SHORT, (side, side)))
        tags.append(_tag(50714, _RATIONAL, _ratios(blacks)))
    if active_area is not None:
        tags.append(_tag(50829, _LONG, active_area))
    if exposure is not None:
        seconds, gain = exposure
        tags.append(_tag(33434, _RATIONAL, (round(seconds * 10**6), 10**6)))
        tags.append(_tag(34855, _SHORT, (round(100 * gain),)))
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder="<") as writer:
        writer.write(
            np.ascontiguousarray(codes),
            photometric=_MIN_IS_BLACK if cfa == MONO else photometric,
            planarconfig="contig" if channels == 3 else None,
            rowsperstrip=codes.shape[0],
            subfiletype=0,
            metadata=None,
            software=False,
            extratags=tags,
        )
    if cfa == MONO:  # tifffile writes linear RAW with three samples only
        file.seek(0)
        with tifffile.TiffFile(file) as written:
            written.pages.first.tags[_PHOTOMETRIC].overwrite(photometric)
    write_whole(Path(path), file.getvalue())
