"""One photograph, RAW or a picture, cut to crops of linear pixels: the same for a set and for one file.

A RAW file (:data:`loggrad_tf.data.raw.SUFFIXES`) is read as it is: in mode ``gray`` binned to one value a
2x2 square, in mode ``mosaic`` from its first red photosite on, so that every crop's filter is RGGB. Any other
file is taken for a picture and imitated (:mod:`loggrad_tf.data.imitation`). A photograph with boxes gives a
window about each of them; one without, or one whose boxes are to be found in it, is itself the crop, made to
measure as ``fit`` says (:mod:`loggrad_tf.data.crops`).

Refused: what cannot be decoded, what has no mosaic where one is asked for, boxes drawn in a frame of other
proportions. A crop that too few pixels stand for is a reason in place of its pixels.
"""

from pathlib import Path

import numpy as np

from loggrad_tf.data import crops, imitation, raw, voc
from loggrad_tf.data.request import Request
from loggrad_tf.data.sides import Size, sides
from loggrad_tf.data.sources import Cut, Picture
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import Sensor

# The camera of a picture that none of its own codes came with.
IMITATED = "imitated from pictures"
# How far the proportions of a frame and its photograph may differ: 600x400 against 6034x4012 is 0.3 %.
FRAME_TOLERANCE = 0.02


def is_raw(path: Path) -> bool:
    """Whether a file's suffix is that of a camera's RAW format."""
    return path.suffix.lower() in raw.SUFFIXES


def cut(picture: Picture, size: Size, mode: str, fit: str, black: int | None = None) -> Cut:
    """Decode one photograph and cut its objects, or the whole of it.

    Args:
      black: of a RAW file's sensor, as it was measured; None: as the file says.

    Raises:
      LogGradError: it cannot be read, has no mosaic where one is asked for, or its boxes' frame does not fit.
    """
    if is_raw(picture.path):
        return _cut_raw(picture, size, mode, fit, black)
    return _cut_imitated(picture, size, mode, fit)


def read(
    path: Path, *, size: Size, mode: str, fit: str, name: str | None = None
) -> tuple[np.ndarray, Sensor]:
    """One photograph as a whole, made to measure.

    The pixels are those of the file in a prepared set, bit for bit, as long as the set's sensor is the file's
    own and, for a picture, its name is the one that the set knows it by: the name seeds the imitation's
    exposure and noise.

    Args:
      path: a RAW file or a picture.
      size: of the result in pixels, sides even, 8..512.
      mode: ``gray`` or ``mosaic``.
      fit: as :class:`loggrad_tf.data.request.Request` has it.
      name: the file's name in the set; None for ``folder/file``, which class folders give it.

    Returns:
      P, uint16 [rows, columns], and what its values mean.

    Raises:
      LogGradError: a request that no crop can have, or a photograph that gives none; in one line.
    """
    Request("", size, mode, fit).check()
    path = Path(path)
    if name is None:
        name = "/".join(path.absolute().parts[-2:])
    try:
        made = cut(Picture(path, name, name, "", (0, 0), ("",)), size, mode, fit)
    except LogGradError as error:
        raise LogGradError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    crop = made.crops[0]
    if isinstance(crop, str):
        raise LogGradError(f"{path}: {crop}: give a larger photograph")
    return crop, made.sensor


def check_frame(frame: tuple[int, int], width: int, height: int) -> None:
    """Refuse boxes drawn in a frame of other proportions than the picture, turned or cropped."""
    if abs(frame[0] * height / (frame[1] * width) - 1) > FRAME_TOLERANCE:
        raise LogGradError(
            f"boxes are drawn in a frame of {frame[0]}x{frame[1]}, the picture is {width}x{height}:"
            " other proportions"
        )


def _cut_raw(picture: Picture, size: Size, mode: str, fit: str, black: int | None) -> Cut:
    image = raw.read_raw(picture.path, black=black)
    height, width = image.pixels.shape[:2]
    if picture.boxes:
        check_frame(picture.frame, width, height)
    kept: voc.Box = (0, 0, width, height)
    flat = raw.to_gray(image) if mode == "gray" else raw.to_mosaic(image)
    crop, step = (crops.crop_gray, 1) if mode == "gray" else (crops.crop_mosaic, 2)
    rows, columns = flat.pixels.shape
    scale = height // rows
    above, aside = raw.red_corner(image.pattern) if mode == "mosaic" else (0, 0)
    # The box that is judged, in the photograph's pixels; the window in the flat frame's, what it becomes.
    asked: list[tuple[voc.Box, voc.Box, tuple[int, int]]] = []
    for item in picture.windows:
        box = voc.scale_box(item, picture.frame, (width, height))
        left, right = ((edge - aside) / scale for edge in box[::2])
        top, bottom = ((edge - above) / scale for edge in box[1::2])
        within = (max(left, 0), max(top, 0), min(right, columns), min(bottom, rows))
        asked.append((box, crops.around(within, columns, rows, size), sides(size)))
    if not picture.windows:
        judged, _ = crops.whole(width, height, size, fit)
        window, shape = crops.whole(columns, rows, size, fit, step)
        asked.append((judged, window, shape))
        across, down = ([place * scale for place in window[side::2]] for side in (0, 1))
        kept = (across[0] + aside, down[0] + above, across[1] + aside, down[1] + above)
    results = tuple(
        crops.too_small(box, size)
        or crops.mirrored(crop(flat.pixels, window, shape, flat.sensor.span), size, step)
        for box, window, shape in asked
    )
    camera = raw.kind_of(image, picture.path.suffix.lower())
    return Cut(flat.sensor, results, camera, _in_frame(kept, picture.frame, width, height))


def _cut_imitated(picture: Picture, size: Size, mode: str, fit: str) -> Cut:
    seen = imitation.read(picture.path)
    height, width = seen.values.shape[:2]
    sensor, step = imitation.SENSOR, 1
    if mode == "mosaic":
        sensor, step = Sensor(sensor.bits, sensor.black, sensor.white, imitation.MOSAIC), 2
    # The box that is judged; the window, what it becomes, and the name that seeds it.
    asked: list[tuple[voc.Box, voc.Box, tuple[int, int], str]] = []
    kept: voc.Box = (0, 0, width, height)
    if picture.boxes:
        check_frame(picture.frame, width, height)
    if picture.windows:
        for place, item in zip(picture.items, picture.windows, strict=True):
            box = voc.scale_box(item, picture.frame, (width, height))
            asked.append(
                (box, crops.around(box, width, height, size), sides(size), f"{picture.file} {place}")
            )
    else:
        kept, shape = crops.whole(width, height, size, fit, step)
        asked.append((kept, kept, shape, picture.file))

    def crop(window: voc.Box, shape: tuple[int, int], name: str) -> np.ndarray:
        light = crops.resize(seen.values, window, shape, seen.light)
        return crops.mirrored(imitation.expose(light, name, mode), size, step)

    results = tuple(
        crops.too_small(box, size) or crop(window, shape, name) for box, window, shape, name in asked
    )
    return Cut(sensor, results, IMITATED, _in_frame(kept, picture.frame, width, height))


def _in_frame(window: voc.Box, frame: tuple[int, int], width: int, height: int) -> voc.Box:
    """A window of a photograph in the pixels of the frame of its boxes."""
    left, top, right, bottom = window
    wide, high = frame
    return left * wide / width, top * high / height, right * wide / width, bottom * high / height
