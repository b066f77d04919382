"""Photographs as people see them, and beside each what the network sees: sheets of a set, one file alone.

A photograph is shown with its 99.5 % quantile as white and gamma 2.2; a mosaic in colour, a pixel for each
2x2 square, with its channels' means made equal for the eye only. Beside it stands the input tensor, pixel for
pixel: levels from black (-n) over gray (0) to white (n); the 8 bits of jpeg8 and raw16 as they are;
loggrad_fp with 0 as gray and the 99.5 % quantile of its size as black and white. Boxes of frames are drawn on
both, each class in its colour, difficult ones in gray.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from loggrad_tf.data import crops, photo, raw
from loggrad_tf.data.boxes import of_frames
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sides import Size, dimensions, sides
from loggrad_tf.data.sources import SPLITS
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import MONO, Sensor

_GAP, _BETWEEN, _LINE, _PAPER, _INK = 2, 10, 17, 32, 235
_FONT = ImageFont.load_default(12)
# A crop is magnified to this side at least, a photograph alone to the second; a whole frame is scaled down to
# the third.
_LEAST, _ALONE, _MOST = 96, 384, 800
_BRIGHTEST = 0.995
# Of the boxes of classes, in turn.
COLOURS = {
    "red": (255, 80, 60),
    "blue": (70, 170, 255),
    "yellow": (255, 205, 50),
    "green": (90, 220, 110),
    "violet": (180, 110, 255),
    "pink": (255, 150, 190),
}
DIFFICULT = (150, 150, 150)
# Rows that are held as floats at a time.
_BAND = 256


def shown(pixels: np.ndarray) -> np.ndarray:
    """P [H, W] or [H, W, 3] -> uint8 for the eye: 99.5 % quantile white, gamma 2.2."""
    white = max(float(np.quantile(pixels, _BRIGHTEST)), 1.0)
    seen = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), _BAND):
        band = slice(start, start + _BAND)
        seen[band] = np.round(255 * np.clip(pixels[band] / white, 0, 1) ** (1 / 2.2))
    return seen


def colours(mosaic: np.ndarray, cfa: str) -> np.ndarray:
    """A Bayer mosaic, P [H, W] -> float [H/2, W/2, 3], its channels scaled to one mean."""
    planes = np.zeros((mosaic.shape[0] // 2, mosaic.shape[1] // 2, 3))
    for place, letter in enumerate(cfa):
        planes[..., "RGB".index(letter)] += mosaic[place // 2 :: 2, place % 2 :: 2] / cfa.count(letter)
    means = planes.mean(axis=(0, 1))
    return planes * (means.mean() / np.maximum(means, 1e-9))


def network_sees(front_end: FrontEnd, pixels: np.ndarray) -> np.ndarray:
    """P uint16 [H, W] -> uint8 [H, W], what the input format makes of it."""
    if front_end.levels:
        levels = front_end.encode_int8(pixels)[..., 0].astype(np.float64)
        return np.round(127.5 + 127.5 * levels / front_end.levels).astype(np.uint8)
    if front_end.format == "loggrad_fp":
        gradient = front_end.encode(pixels)[..., 0]
        most = max(float(np.quantile(np.abs(gradient), _BRIGHTEST)), 1e-9)
        return np.round(127.5 + 127.5 * np.clip(gradient / most, -1, 1)).astype(np.uint8)
    return (front_end.encode_int8(pixels)[..., 0].astype(np.int16) + 128).astype(np.uint8)


def camera_saw(pixels: np.ndarray, cfa: str) -> np.ndarray:
    """P [H, W] -> uint8 [H, W, 3]."""
    if cfa == MONO:
        return np.repeat(shown(pixels)[..., None], 3, axis=2)
    return shown(colours(pixels, cfa)).repeat(2, axis=0).repeat(2, axis=1)


def _pair(saw: np.ndarray, sees: np.ndarray, factor: int) -> np.ndarray:
    """uint8 [H, W, 3] and [H, W] side by side, each pixel ``factor`` pixels high and wide."""
    gap = np.full((saw.shape[0] * factor, _GAP, 3), _PAPER, np.uint8)
    right = np.repeat(sees[..., None], 3, axis=2)
    parts = [part.repeat(factor, axis=0).repeat(factor, axis=1) for part in (saw, right)]
    return np.concatenate([parts[0], gap, parts[1]], axis=1)


def describe(front_end: FrontEnd, whose: str) -> str:
    """The input format and its thresholds, with whose quantiles these are."""
    count = front_end.levels
    if not count:
        return front_end.format
    thresholds = ", ".join(f"{threshold:.2f}" for threshold in front_end.thresholds)
    shares = ", ".join(f"{share:.0%}" for share in frontend.QUANTILES[:count])
    return (
        f"{front_end.format}, t = {thresholds} ({shares} quantile of |g| in {whose});"
        f" levels {-count} to {count} from black to white"
    )


def _describe_sensor(sensor: Sensor) -> str:
    return f"{sensor.bits} bits, black {sensor.black}, white {sensor.white}, {sensor.cfa}"


def _page(blocks: list[tuple[list[str], np.ndarray | None]]) -> Image.Image:
    """Blocks of lines of text, each with its picture, uint8 [H, W, 3], below: one sheet."""
    lines = [line for texts, _ in blocks for line in texts]
    pictures = [picture for _, picture in blocks if picture is not None]
    width = max([int(_FONT.getlength(line)) + 1 for line in lines] + [one.shape[1] for one in pictures])
    height = sum(one.shape[0] + _GAP for one in pictures) + _LINE * len(lines)
    page = Image.new("RGB", (width + 2 * _GAP, height + _GAP), (_PAPER,) * 3)
    draw, top = ImageDraw.Draw(page), 0
    for texts, picture in blocks:
        for line in texts:
            draw.text((_GAP, top + 1), line, fill=(_INK,) * 3, font=_FONT)
            top += _LINE
        if picture is not None:
            page.paste(Image.fromarray(picture), (_GAP, top))
            top += picture.shape[0] + _GAP
    return page


def sheet(data: DataSet, name: str, rows: int, columns: int) -> Image.Image:
    """Crops of every class, ``rows`` x ``columns`` at most and spread evenly, each with what a network sees.

    Args:
      data: the set; thresholds are taken from its training split, as training takes them, or if it has none
        from its test split. Of a set of frames those with an object of the class are shown.
      name: the input format.
      rows, columns: of pairs.

    Raises:
      LogGradError: no such format, or neither a training nor a test crop.
    """
    fitted = "train" if (data.split == SPLITS.index("train")).any() else "test"
    front_end = frontend.fit(name, data.sensor, data.subset(fitted)[0])
    factor = max(1, _LEAST // max(sides(data.size)))
    cameras = "; ".join(data.cameras)
    head = [
        describe(front_end, f"the {'training' if fitted == 'train' else fitted} split"),
        f"{_describe_sensor(data.sensor)}{f'; {cameras}' if cameras else ''}; {data.fit}",
    ]
    blocks: list[tuple[list[str], np.ndarray | None]] = [(head, None)]
    for label, class_name in enumerate(data.class_names):
        train, val, test = data.counts()[label]
        members = np.flatnonzero(data.labels == label)
        if data.boxes is not None:
            members = np.unique(data.boxes["frame"][data.boxes["label"] == label])
        count = min(rows * columns, len(members))
        chosen = members[np.linspace(0, len(members) - 1, count).round().astype(int)]
        pairs = [
            _pair(camera_saw(crop, data.sensor.cfa), network_sees(front_end, crop), factor)
            for crop in data.pixels[chosen]
        ]
        if data.boxes is not None:
            inside = of_frames(data.boxes, chosen)
            wide = factor * data.pixels.shape[2] + _GAP
            pairs = [_boxed(pair, inside[inside["frame"] == k], factor, wide) for k, pair in enumerate(pairs)]
        drawn = f", {_colour(label)}" if data.detects else ""
        caption = f"{class_name}{drawn}: {train} train, {val} val, {test} test"
        blocks.append(([caption], _grid(pairs, columns) if pairs else None))
    return _page(blocks)


def _colour(label: int) -> str:
    return tuple(COLOURS)[label % len(COLOURS)]


def _boxed(pair: np.ndarray, boxes: np.ndarray, factor: int, wide: int) -> np.ndarray:
    """A pair with the boxes of its frame on both sides, the second ``wide`` pixels to the right."""
    picture = Image.fromarray(pair)
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        colour = DIFFICULT if box["difficult"] else COLOURS[_colour(box["label"])]
        left, top, right, bottom = (factor * float(box[side]) for side in ("left", "top", "right", "bottom"))
        for start in (0, wide):
            draw.rectangle(
                (start + left, top, start + max(right - 1, left), max(bottom - 1, top)), outline=colour
            )
    return np.asarray(picture)


def _grid(cells: list[np.ndarray], columns: int) -> np.ndarray:
    """Cells of one size, uint8 [H, W, 3], in rows of ``columns``."""
    high, wide = cells[0].shape[:2]
    across, down = min(columns, len(cells)), -(-len(cells) // columns)
    grid = np.full((down * (high + _GAP) - _GAP, across * (wide + _BETWEEN) - _BETWEEN, 3), _PAPER, np.uint8)
    for place, cell in enumerate(cells):
        top, left = place // columns * (high + _GAP), place % columns * (wide + _BETWEEN)
        grid[top : top + high, left : left + wide] = cell
    return grid


def photograph(path: Path, name: str, *, size: Size, mode: str, fit: str) -> Image.Image:
    """One photograph as a set would have it; thresholds are taken from itself.

    Raises:
      LogGradError: it gives no crop, as :func:`loggrad_tf.data.photo.read` says.
    """
    pixels, sensor = photo.read(path, size=size, mode=mode, fit=fit)
    front_end = frontend.fit(name, sensor, pixels[None])
    about = f"{path.name}: {_describe_sensor(sensor)}; {dimensions(size)}, {fit}"
    pair = _pair(
        camera_saw(pixels, sensor.cfa), network_sees(front_end, pixels), max(1, _ALONE // max(sides(size)))
    )
    return _page([([about, describe(front_end, "this photograph")], pair)])


def frame(path: Path, name: str, mode: str, geometry: raw.Geometry | None = None) -> Image.Image:
    """A whole RAW frame, at most 800 pixels a side; thresholds are taken from itself.

    Raises:
      LogGradError: it cannot be read, or has no mosaic where one is asked for.
    """
    image = raw.read_raw(path, geometry)
    try:
        flat = raw.to_gray(image) if mode == "gray" else raw.to_mosaic(image)
    except LogGradError as error:
        raise LogGradError(f"{path}: {error}") from error
    height, width = flat.pixels.shape
    shrink = min(1.0, _MOST / max(height, width))
    step = 1 if mode == "gray" else 2
    rows, columns = (max(round(side * shrink / step), 1) * step for side in (height, width))
    crop = crops.crop_gray if mode == "gray" else crops.crop_mosaic
    pixels = crop(flat.pixels, (0, 0, width, height), (rows, columns), flat.sensor.span)
    front_end = frontend.fit(name, flat.sensor, pixels[None])
    saw = _colour_frame(image, (rows, columns)) if mode == "gray" else camera_saw(pixels, flat.sensor.cfa)
    pair = _pair(saw, network_sees(front_end, pixels), max(1, _ALONE // max(rows, columns)))
    scaled = f", shown at {columns}x{rows}" if (rows, columns) != (height, width) else ""
    camera = image.camera or "unnamed camera"
    about = f"{path.name}: {camera}; {_describe_sensor(flat.sensor)}; {width}x{height}{scaled}"
    return _page([([about, describe(front_end, "this frame")], pair)])


def _colour_frame(image: raw.RawImage, shape: tuple[int, int]) -> np.ndarray:
    """uint8 [*shape, 3]: in colour if the frame is Bayer or demosaiced, else in gray."""
    if image.pattern == raw.LINEAR:
        height, width = image.pixels.shape[:2]
        return shown(crops.resize(image.pixels, (0, 0, width, height), shape))
    if image.pattern in raw.BAYER:
        mosaic = raw.to_mosaic(image)
        height, width = mosaic.pixels.shape
        double = (2 * shape[0], 2 * shape[1])
        small = crops.crop_mosaic(mosaic.pixels, (0, 0, width, height), double, mosaic.sensor.span)
        return shown(colours(small, mosaic.sensor.cfa))
    gray = raw.to_gray(image)
    height, width = gray.pixels.shape
    small = crops.crop_gray(gray.pixels, (0, 0, width, height), shape, gray.sensor.span)
    return camera_saw(small, MONO)
