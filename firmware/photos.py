"""Photographs for an image: cut as in training, seen by the model's sensor, as the codes of a frame.

RAW files and pictures both (:mod:`loggrad_tf.data.photo`), each within the limits of one picture
(:mod:`loggrad_tf.data.limits`); size, mode and fit are those of model.json. A project without a model.json,
whose rows are those of the int8 tensor, and one that names no data are refused.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from firmware.project import FirmwareError, Project
from loggrad_tf import parallel
from loggrad_tf.data import description, limits, photo
from loggrad_tf.data.request import Request
from loggrad_tf.data.sides import dimensions
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.binning import spread
from loggrad_tf.transform.sensor import Sensor, requantize


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A photograph as the board takes it.

    Attributes:
      codes: uint8 or uint16 (rows, codes a row), what :meth:`firmware.channel.Channel.classify` takes.
      note: what became of it, a phrase.
    """

    path: Path
    codes: np.ndarray
    note: str


def read(project: Project, paths: list[Path], flag: str = "--image") -> list[Photo]:
    """The photographs at ``paths``, for the image of ``project``.

    Args:
      flag: that named them.

    Raises:
      FirmwareError: a photograph that cannot be read, or a project that has no front end to go through.
    """
    try:
        found = description.read(project.path / "model.tflite", project.model_sha256)
        if found is None:
            raise FirmwareError(
                f"{flag}: {project.path} has no {description.NAME}, so no front end that a photograph could"
                f" go through: leave {flag} out, or generate a project of a network that export.convert made"
            )
        if found.data is None:
            raise FirmwareError(
                f"{flag}: {project.path / description.NAME} names no data, so not how photographs are"
                " cut: convert the network again, and generate the project again"
            )
        data = found.data
        read_one = functools.partial(photo.read, size=data.size, mode=data.mode, fit=data.fit)
        made = parallel.run(read_one, paths, "reading", limits=limits.PICTURE)
        return [
            _as_codes(project, path, one, found.front_end.sensor, data, flag)
            for path, one in zip(paths, made, strict=True)
        ]
    except LogGradError as error:
        raise FirmwareError(str(error)) from None


def _as_codes(
    project: Project,
    path: Path,
    made: tuple[np.ndarray, Sensor] | LogGradError,
    target: Sensor,
    data: Request,
    flag: str,
) -> Photo:
    if isinstance(made, LogGradError):
        raise made
    own, sensor = made
    note = f"made {dimensions(data.size)} ({data.mode}, {data.fit})"
    if sensor.span != target.span:
        note += (
            f", from black to white 0..{sensor.span} in the photograph, scaled to 0..{target.span} of the"
            " network's sensor"
        )
    pixels = requantize(own, sensor, target)
    mosaic = spread(pixels, project.binning, target.span, np.random.default_rng(0))
    if mosaic.shape != (project.rows, project.row_codes):
        raise FirmwareError(
            f"{flag}: {description.NAME} gives {mosaic.shape[1]}x{mosaic.shape[0]} codes, the image takes"
            f" {project.row_codes}x{project.rows}: generate the project again"
        )
    kind = np.uint8 if project.code_bytes == 1 else np.uint16
    return Photo(path, target.codes(mosaic).astype(kind), note)
