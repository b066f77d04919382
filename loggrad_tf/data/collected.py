"""Photographs of a board's own camera, as ``firmware.collect`` keeps them and ``folder:SET`` reads them.

    SET/collected.json       the camera, and the window of its frames
    SET/sensor.json          what was measured of it, if it was (:mod:`loggrad_tf.data.sensor_profile`)
    SET/<class>/<session>_<number>.dng
    SET/unlabelled/...       no class: to be sorted by hand

Frames of one session share its light and its place, so a session is a group: it never falls into two splits.
Of seven sessions of a class in a row, the second is for validation and the third for the test, and a session
keeps its split as more are collected: so a network that was trained before is tested on what it never saw.
A set is of one camera and one window; another one is refused.
"""

import dataclasses
import datetime
import json
import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from loggrad_tf import json_base
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.sides import Size, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.sensor import Sensor

NAME = "collected.json"
UNLABELLED = "unlabelled"
_STEM = re.compile(r"(\d{8}T\d{6}-[0-9a-f]{4})_\d{6}")
_LABEL = re.compile(r"\w[\w -]{0,62}")


@dataclasses.dataclass(frozen=True)
class Collected(JsonBase):
    """A set's camera.

    Attributes:
      camera: what photographs call it.
      sensor: as the board states it.
      side: of a frame, photosites: the side of a square, or rows and columns.
    """

    camera: str
    sensor: Sensor
    side: Size


@dataclasses.dataclass(frozen=True)
class Shot:
    """How a frame was exposed: seconds, and factor of amplification."""

    seconds: float
    gain: float = 1.0


def session_of(stem: str) -> str:
    """The session of a frame, by its file's name without the suffix; the name itself if it is of none."""
    match = _STEM.fullmatch(stem)
    return match[1] if match else stem


def dealt(frames: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The split of each session.

    Args:
      frames: session and class of each. The class of most of a session's frames counts, the first of equals.
    """
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for session, label in frames:
        labels[session][label] += 1
    seen: Counter[str] = Counter()
    splits = {}
    for session in sorted(labels):
        counted = labels[session]
        label = min(counted, key=lambda one: (-counted[one], one))
        splits[session] = {1: "val", 2: "test"}.get(seen[label] % 7, "train")
        seen[label] += 1
    return splits


def new_session() -> str:
    """A name that no other session has."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def check_label(label: str) -> str:
    """``label`` if a folder of a class can be called that.

    Raises:
      LogGradError: it cannot.
    """
    if not _LABEL.fullmatch(label):
        raise LogGradError(f"--label={label[:40]}: give letters, digits, spaces, - and _")
    return label


def opened(folder: Path, asked: Collected) -> None:
    """Begin a set, or make sure that one is of this camera.

    Raises:
      LogGradError: it is of another one, or the folder holds something else.
    """
    path = folder / NAME
    if path.is_file():
        found = json_base.read_as(Collected, path, "give another folder")
        if found != asked:
            raise LogGradError(
                f"{folder}: frames of {_told(found)}, not of {_told(asked)}: give another folder"
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise LogGradError(f"{folder}: not empty, and no set that was collected: give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(asked.to_json(), indent=1) + "\n").encode())


def _told(made: Collected) -> str:
    rows, columns = sides(made.side)
    return f"{made.camera}, {columns} x {rows}"


def keep(
    folder: Path,
    made: Collected,
    label: str,
    session: str,
    number: int,
    codes: np.ndarray,
    shot: Shot | None,
) -> Path:
    """Write a frame, whole or not at all.

    Args:
      codes: uint16 (rows, columns), black included.
      shot: None if the camera exposed by itself.
    """
    place = folder / label
    place.mkdir(exist_ok=True)
    path = place / f"{session}_{number:06d}.dng"
    sensor = made.sensor
    write_dng(
        path,
        codes,
        cfa=sensor.cfa,
        black=sensor.black,
        white=sensor.white,
        camera=made.camera,
        exposure=None if shot is None else (shot.seconds, shot.gain),
    )
    return path
