"""Camera RAW files and headerless frames -> linear pixels P, uint16, with the sensor they come from.

``P = clip(code - black[colour], 0, white - max(black))``: black is subtracted for each colour on its own
and every colour saturates at the same value. Pixels are those of the visible area, turned upright as the
file asks, and the colour filter is the one at the top-left pixel returned.

Refused, with the file and the reason: what LibRaw cannot decode; a frame that the file is too short for or
whose rows are in part all zero, because LibRaw returns zeros or stale memory for pixels that are missing and
does not say so; more than 200 million pixels, a TIFF of more than 64 pages; a file with no header known from
any camera, unless its geometry is given (LibRaw would take it for some camera of that file size); filters
that are not of R, G and B. Nothing is demosaiced, white-balanced or denoised.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Self

import numpy as np
import rawpy
import tifffile

from loggrad_tf import quiet
from loggrad_tf.data.dng import LINEAR
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER, MIN_BITS, MONO, Sensor

# Suffixes of the camera formats LibRaw reads (libraw.org/supported-cameras).
_SUFFIXES = (
    ".3fr .ari .arw .bay .braw .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25 .kdc"
    " .mdc .mef .mos .mrw .nef .nrw .orf .pef .ptx .pxn .raf .raw .rw2 .rwl .rwz .sr2 .srf .srw .x3f"
)
SUFFIXES = frozenset(_SUFFIXES.split())
# Where a camera's file says what it is: (offset, bytes).
_HEADERS = (
    (0, b"II*\0"),  # TIFF: DNG, NEF, CR2, ARW, PEF ...
    (0, b"MM\0*"),
    (0, b"IIU\0"),  # Panasonic
    (0, b"IIRO"),  # Olympus
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIII"),  # Phase One
    (0, b"MMMM"),
    (6, b"HEAPCCDR"),  # Canon CRW
    (4, b"ftypcrx "),  # Canon CR3
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"\0MRM"),  # Minolta
    (0, b"FOVb"),  # Sigma
    (0, b"ARRI"),
    (0, b"\xff\xd8\xff"),  # a JPEG, which a few cameras append RAW data to
)
_TIFF = (b"II*\0", b"MM\0*")
_JPEG = b"\xff\xd8\xff"
MAX_PIXELS = 200 * 10**6
# Of a TIFF, previews and the like included; cameras write fewer than ten.
MAX_PAGES = 64
# Rows that are held as wider integers at a time; a multiple of any filter's side.
_BAND = 36 * 8
# A frame is taken for incomplete when more than this share of its rows is all zero.
MAX_ZERO_ROWS = 1 / 16
# No camera's compression goes below this; a file with less holds no frame.
MIN_BITS_PER_PIXEL = 0.5
# LibRaw's orientation -> quarter turns counter-clockwise.
_TURNS = {0: 0, 3: 2, 5: 1, 6: 3}


@dataclasses.dataclass(frozen=True)
class Geometry:
    """What a headerless frame does not say of itself: 8-bit codes if bits is 8, else 16-bit words."""

    width: int
    height: int
    bits: int
    black: int
    white: int
    cfa: str
    byte_order: str = "little"

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.byte_order not in ("little", "big"):
            raise LogGradError(
                f"geometry {self.width}x{self.height}, byte order '{self.byte_order}':"
                " need at least 1x1, and little or big"
            )

    @property
    def sensor(self) -> Sensor:
        return Sensor(self.bits, self.black, self.white, self.cfa)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``width,height,bits,black,white,cfa[,byte order]``, as a command line gives it."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) not in (6, 7) or not all(part.isdigit() for part in parts[:5]):
            raise LogGradError(
                f"geometry '{text}': write width,height,bits,black,white,cfa[,byte order],"
                " as 768,512,14,600,15520,RGGB,little"
            )
        width, height, bits, black, white = map(int, parts[:5])
        return cls(width, height, bits, black, white, *parts[5:])


@dataclasses.dataclass(frozen=True)
class RawImage:
    """A linear frame.

    Attributes:
      pixels: P, uint16 [H, W], values 0..sensor.span; [H, W, 3] (R, G, B) if the pattern is ``linear``.
      sensor: depth and levels; its cfa is the pattern for a Bayer frame and ``mono`` for any other.
      pattern: ``mono``, ``linear``, or the letters of the repeating filter square, row-major from
        pixel (0, 0): 4 for Bayer, 36 for X-Trans.
      camera: maker's name for it; empty if the file does not tell.
    """

    pixels: np.ndarray
    sensor: Sensor
    pattern: str
    camera: str


def kind_of(image: RawImage, suffix: str) -> str:
    """What tells one camera's frames from another's: its name, the depth of a code, the kind of filter.

    Not its levels, which change with the sensitivity and from one file to the next, and not the rotation of a
    Bayer filter, which changes with how the camera was held. ``suffix`` stands for a name that the file does
    not tell.
    """
    kinds = {MONO: "monochrome", LINEAR: "demosaiced"}
    kind = kinds.get(image.pattern) or ("Bayer" if image.pattern in BAYER else "X-Trans")
    return f"{image.camera or f'unnamed {suffix} camera'}, {image.sensor.bits} bits, {kind}"


def _reason(head: bytes, error: Exception) -> str:
    if head.startswith(_JPEG):
        return "it is a JPEG that wears a RAW suffix"
    if isinstance(error, rawpy.LibRawIOError):
        return "its pixel data is cut off or missing (LibRaw: input/output error)"
    if isinstance(error, rawpy.LibRawFileUnsupportedError):
        return "LibRaw knows no such format, or there are no pixels in it"
    text = error.args[0] if error.args else error
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return f"LibRaw cannot decode it ({' '.join(text.split())})"


def _camera(tags: tifffile.TiffTags) -> str:
    names = [str(tags[code].value).strip("\0 ") for code in (271, 272) if code in tags]
    if len(names) == 2 and names[1].split()[:1] == names[0].split()[:1]:
        names = names[1:]
    return " ".join(names)


def _inspect(path: Path, head: bytes) -> str:
    """The camera's name from a TIFF header, "" in other formats; a frame ending after its file is an error.

    LibRaw returns whatever its buffer held before, another photograph's pixels included, where the data of
    a frame is missing, and does not say so.
    """
    if head[:4] not in _TIFF:
        return ""
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = (page for top in tiff.pages for page in itertools.chain((top,), top.pages or ()))
            for number, page in enumerate(pages):
                if number == MAX_PAGES:
                    raise LogGradError(
                        f"{path}: more than {MAX_PAGES} pages: damaged; copy it again from the camera"
                    )
                if not isinstance(page, tifffile.TiffPage) or page.photometric not in (32803, 34892):
                    continue
                segments = zip(page.dataoffsets, page.databytecounts, strict=False)
                end = max((offset + count for offset, count in segments), default=0)
                if end > size:
                    raise LogGradError(
                        f"{path}: it is cut off: its pixel data ends at byte {end}, the file at {size};"
                        " copy it again from the camera"
                    )
            return _camera(tiff.pages.first.tags)
    except LogGradError:
        raise
    except Exception:  # on a damaged file the library raises whatever comes, and LibRaw is to judge it
        return ""


def _read_camera_file(path: Path, head: bytes, black: int | None) -> RawImage | LogGradError:
    """The frame, or why there is none; LibRaw and tifffile write on stderr meanwhile."""
    try:
        camera = _inspect(path, head)
        with rawpy.imread(str(path)) as raw:
            _check_size(path, raw.sizes)
            return _decode(path, raw, camera, black)
    except LogGradError as error:
        return error
    except MemoryError:
        raise
    except Exception as error:  # rawpy's own, and what it does not expect of a damaged file
        reason = _reason(head, error)
        return LogGradError(f"{path}: {reason}; copy it again from the camera or leave it out")


def _check_size(path: Path, sizes: rawpy.ImageSizes) -> None:
    size, pixels = path.stat().st_size, sizes.raw_width * sizes.raw_height
    if not 0 < pixels <= MAX_PIXELS:
        raise LogGradError(
            f"{path}: {sizes.raw_width}x{sizes.raw_height} pixels, 1 to {MAX_PIXELS} are read: leave it out"
        )
    if size * 8 < pixels * MIN_BITS_PER_PIXEL:
        raise LogGradError(
            f"{path}: {size} bytes cannot hold {sizes.raw_width}x{sizes.raw_height} pixels:"
            " the pixel data is not in the file; copy it again from the camera"
        )


def _check_rows(path: Path, codes: np.ndarray) -> None:
    rows = codes.reshape(codes.shape[0], -1)
    empty = int(np.count_nonzero(~rows.any(axis=1)))
    if empty > rows.shape[0] * MAX_ZERO_ROWS:
        raise LogGradError(
            f"{path}: {empty} of its {rows.shape[0]} rows hold only zeros:"
            " the pixel data is not in the file; copy it again from the camera"
        )


def _linearize(codes: np.ndarray, tile: np.ndarray, white: int) -> tuple[np.ndarray, int]:
    """Subtract each place's own black; tile: the blacks of the repeating square. -> P, the largest black."""
    top = int(tile.max())
    pixels = np.empty(codes.shape, np.uint16)
    side = tile.shape[0]
    for start in range(0, len(codes), _BAND):
        band, made = codes[start : start + _BAND], pixels[start : start + _BAND]
        for row in range(side):
            for column in range(side):
                place = band[row::side, column::side].astype(np.int32) - tile[row, column]
                made[row::side, column::side] = np.clip(place, 0, white - top)
    return pixels, top


def _turned(tile: np.ndarray, shape: tuple[int, ...], turns: int) -> np.ndarray:
    """The repeating square at the top-left of a frame of this shape, after its quarter turns."""
    side = tile.shape[0]
    rows, columns = np.ix_(np.arange(side + shape[0] % side) % side, np.arange(side + shape[1] % side) % side)
    return np.rot90(tile[rows, columns], turns)[:side, :side]


def _decode(path: Path, raw: rawpy.RawPy, camera: str, measured: int | None) -> RawImage:
    codes = raw.raw_image_visible
    sizes, white = raw.sizes, int(raw.white_level)
    blacks = [int(level) if measured is None else measured for level in raw.black_level_per_channel]
    if sizes.flip not in _TURNS:
        raise LogGradError(f"{path}: orientation {sizes.flip} is not a turn: save it upright")
    turns = _TURNS[sizes.flip]
    if codes.ndim == 3:
        codes, pattern, tile = codes[..., :3], LINEAR, np.array([[blacks[:3]]])
    elif raw.num_colors == 1:
        pattern, tile = MONO, np.array([[blacks[0]]])
    else:
        side = 2 if raw.raw_pattern is None else raw.raw_pattern.shape[0]
        index = np.array(
            [
                [raw.raw_color(sizes.top_margin + row, sizes.left_margin + column) for column in range(side)]
                for row in range(side)
            ]
        )
        turned = _turned(index, codes.shape, turns)
        pattern = "".join(chr(raw.color_desc[colour]) for colour in turned.ravel())
        if len(pattern) not in (4, 36) or set(pattern) != set("RGB"):
            raise LogGradError(f"{path}: colour filter '{pattern}': Bayer and X-Trans are read")
        tile = np.array(blacks)[index]
    _check_rows(path, codes)
    if not 0 <= int(tile.max()) < white:
        raise LogGradError(f"{path}: black {int(tile.max())} is not below white {white}: levels damaged")
    pixels, black = _linearize(codes, tile, white)
    cfa = pattern if pattern in BAYER else MONO
    sensor = Sensor(max(MIN_BITS, white.bit_length()), black, white, cfa)
    return RawImage(np.ascontiguousarray(np.rot90(pixels, turns)), sensor, pattern, camera)


def _read_headerless(path: Path, geometry: Geometry) -> RawImage:
    order = "<" if geometry.byte_order == "little" else ">"
    kind = np.dtype(np.uint8) if geometry.bits == 8 else np.dtype(f"{order}u2")
    need, have = geometry.width * geometry.height * kind.itemsize, path.stat().st_size
    if need != have:
        raise LogGradError(
            f"{path}: {have} bytes, but {geometry.width}x{geometry.height} at {geometry.bits} bits"
            f" needs {need}: give the right geometry"
        )
    codes = np.fromfile(path, kind).reshape(geometry.height, geometry.width)
    top = int(codes.max())
    if top >= 2**geometry.bits:
        raise LogGradError(
            f"{path}: code {top} does not fit {geometry.bits} bits: give the right depth or byte order"
        )
    _check_rows(path, codes)
    return RawImage(geometry.sensor.linearize(codes), geometry.sensor, geometry.cfa, "")


def read_raw(path: Path, geometry: Geometry | None = None, black: int | None = None) -> RawImage:
    """Read one RAW frame.

    Args:
      path: a camera's file, or a headerless frame if geometry is given.
      geometry: what a headerless frame needs said.
      black: as it was measured, in place of what a camera's file says.

    Raises:
      LogGradError: the file cannot be read, in one line with the reason.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise LogGradError(f"{path}: {error.strerror or error}: check the path") from error
    if not head:
        raise LogGradError(f"{path}: it is empty: copy it again from the camera")
    if geometry is not None:
        return _read_headerless(path, geometry)
    if not any(head[offset:].startswith(magic) for offset, magic in _HEADERS):
        raise LogGradError(
            f"{path}: it has no header that a camera writes: if it is a headerless frame, give its geometry"
            " (width,height,bits,black,white,cfa[,byte order]) or write it as a DNG (loggrad_tf.data.dng)"
        )
    with quiet.stderr():
        image = _read_camera_file(path, head, black)
    if isinstance(image, LogGradError):
        raise image
    return image


def _sums(pixels: np.ndarray, side: int) -> np.ndarray:
    """The sums of side x side blocks, uint32; a last row or column that fills none is left out."""
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    sums = np.zeros((height, width), np.uint32)
    for row in range(side):
        for column in range(side):
            sums += pixels[row : height * side : side, column : width * side : side]
    return sums


def _halve(pixels: np.ndarray) -> np.ndarray:
    return (_sums(pixels, 2) + 2) // 4


def _third(pixels: np.ndarray) -> np.ndarray:
    return (2 * _sums(pixels, 3) + 9) // 18


def to_gray(image: RawImage) -> RawImage:
    """The frame as a monochrome sensor with larger pixels would have it, in the same codes.

    Bayer: ``(R + G1 + G2 + B) / 4`` over each 2x2 square, half the size. X-Trans: the mean of each 3x3
    block, a third of the size. Linear RGB: ``(R + 2 G + B) / 4``. All rounded half up. A last odd row or
    column that fills no block is left out.
    """
    if image.pattern == MONO:
        return image
    if image.pattern == LINEAR:
        gray = np.full(image.pixels.shape[:2], 2, np.uint32)
        for colour in (0, 1, 1, 2):
            gray += image.pixels[..., colour]
        gray //= 4
    else:
        gray = _halve(image.pixels) if len(image.pattern) == 4 else _third(image.pixels)
    sensor = dataclasses.replace(image.sensor, cfa=MONO)
    return RawImage(gray.astype(np.uint16), sensor, MONO, image.camera)


def red_corner(pattern: str) -> tuple[int, int]:
    """Row and column, 0 or 1, of the first red photosite of a Bayer frame."""
    return divmod(pattern.index("R"), 2)


def to_mosaic(image: RawImage) -> RawImage:
    """A Bayer frame from its first red photosite on, with an even height and width: its filter is RGGB.

    Frames of cameras with different filters so become alike. Any other kind of frame is refused.
    """
    if image.pattern not in BAYER:
        kinds = {MONO: "a monochrome frame", LINEAR: "a demosaiced frame"}
        kind = kinds.get(image.pattern, "an X-Trans frame")
        raise LogGradError(f"{kind} has no Bayer mosaic: use mode gray")
    row, column = red_corner(image.pattern)
    pixels = image.pixels[row:, column:]
    pixels = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
    return RawImage(pixels, dataclasses.replace(image.sensor, cfa=BAYER[0]), BAYER[0], image.camera)
