"""What a detector's board found in a frame, as text and as a picture, and how many of the objects there.

An object is told by its class, the centre of its cell in pixels of the network's input, and its margin. The
picture is the frame as its camera saw it, with the cells of objects, a colour for each class.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from firmware.certificate import Found
from firmware.project import FirmwareError, Project
from loggrad_tf.data import description, views
from loggrad_tf.detect.grid import Grid
from loggrad_tf.detect.scores import HIT, INVENTED, matched
from loggrad_tf.errors import LogGradError

# A side of the picture is at least so many pixels.
_LEAST = 480
_EDGE = "#101010"
# A colour for each class, then from the beginning again.
_COLOURS = ("#ff4b30", "#35c2ff", "#ffd23f", "#5bd75b", "#d98cff", "#ff9f1c")


def told(project: Project, objects: np.ndarray) -> str:
    """A line.

    Args:
      objects: :data:`loggrad_tf.detect.decode.OBJECT` [n].
    """
    assert project.cells is not None
    stride = project.cells.stride
    return "; ".join(
        f"{project.class_name(int(one['label']))} at {stride * int(one['column']) + stride // 2},"
        f"{stride * int(one['row']) + stride // 2} ({int(one['margin']):+d})"
        for one in objects
    )


def found(project: Project, boxes: np.ndarray, objects: Sequence[np.ndarray]) -> Found | None:
    """What became of the boxes in frames and of the board's objects; None where no box is known.

    Args:
      boxes: :data:`loggrad_tf.data.boxes.BOX` [n], of these frames or further ones.
      objects: :data:`loggrad_tf.detect.decode.OBJECT`, an array for each frame.
    """
    cells, there = project.cells, boxes[boxes["frame"] < len(objects)]
    if cells is None or not len(there):
        return None
    every = np.concatenate(objects)
    every["frame"] = np.repeat(np.arange(len(objects)), [len(one) for one in objects])
    fates, _ = matched(every, there, Grid(cells.rows, cells.columns, cells.stride))
    hits, invented = (int(np.count_nonzero(fates == fate)) for fate in (HIT, INVENTED))
    return Found(len(objects), int(np.count_nonzero(~there["difficult"])), hits, invented)


def draw(project: Project, codes: np.ndarray, objects: np.ndarray, path: Path) -> None:
    """Write a PNG.

    Args:
      codes: (rows, codes a row), as the board takes them.
      objects: as :func:`told` takes them.

    Raises:
      FirmwareError: nothing says what the codes are.
    """
    assert project.cells is not None
    try:
        found = description.read(project.path / "model.tflite", project.model_sha256)
    except LogGradError as error:
        raise FirmwareError(str(error)) from None
    if found is None:
        raise FirmwareError(f"{project.path}: no {description.NAME}: generate the project again")
    sensor = found.front_end.sensor
    saw = views.camera_saw(sensor.linearize(codes), sensor.cfa)
    factor = -(-_LEAST // max(saw.shape[:2]))
    picture = Image.fromarray(saw.repeat(factor, axis=0).repeat(factor, axis=1))
    pen, side = ImageDraw.Draw(picture), factor * project.binning * project.cells.stride
    for one in objects:
        left, top = side * int(one["column"]), side * int(one["row"])
        colour = _COLOURS[int(one["label"]) % len(_COLOURS)]
        pen.rectangle((left, top, left + side - 1, top + side - 1), outline=colour, width=2)
        name = project.class_name(int(one["label"]))
        pen.text((left + 4, top + 2), name, fill=colour, stroke_width=2, stroke_fill=_EDGE)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
