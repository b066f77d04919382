"""Drawn frames of fixed cameras, as RAW files with boxes in PASCALRAW's layout.

    DIR/original/raw/cam2-day05-1430-07.dng   camera, day, time of day, frame of the day; 12-bit Bayer codes
    DIR/annotations/cam2-day05-1430-07.xml    boxes in the frame's own 640x480 photosites
    DIR/trainval/{train,val,test}.txt         the split of each frame
    DIR/groups.txt                            each frame and its group, its camera's day

A camera looks at one street, day and night, in sun and haze. Days are split, never the frames of one: the
last two of twelve test, the two before them validate. The unseen cameras are others, with other streets and
other sensors, and all that they saw is for testing. A frame depends on the seed, its camera, its day and its
number alone, not on the number of processes. What a network scores here says nothing about real streets.
"""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from loggrad_tf import parallel
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.voc import Annotation, Object, write_voc
from loggrad_tf.files import write_whole
from loggrad_tf.scene import fixed
from loggrad_tf.scene.camera import BLACK, WHITE
from loggrad_tf.scene.hours import random_day
from loggrad_tf.scene.traffic import parked

FIRST_MINUTE, LAST_MINUTE = 6 * 60, 23 * 60


@dataclasses.dataclass(frozen=True)
class Filming:
    """Which frames of which cameras.

    Attributes:
      cameras: their numbers; each number is another street.
      days: of each camera, from 1.
      frames: of a day, spread from 06:00 to 23:00.
      val, test: how many of the days, the last ones, validate and test.
    """

    cameras: tuple[int, ...]
    days: int
    frames: int
    val: int
    test: int

    def split(self, day: int) -> str:
        """Of a day's frames."""
        return (
            "test"
            if day > self.days - self.test
            else "val"
            if day > self.days - self.test - self.val
            else "train"
        )


SEEN = Filming(cameras=(1, 2, 3, 4), days=12, frames=20, val=2, test=2)
UNSEEN = Filming(cameras=(5, 6), days=6, frames=20, val=0, test=6)


def group_of(camera: int, day: int) -> str:
    """The name of a camera's day."""
    return f"cam{camera}-day{day:02d}"


def film(seed: int, camera: int, day: int, frames: int) -> Iterable[tuple[str, fixed.Frame]]:
    """The frames of one day with their names, in the order of the clock."""
    scene = fixed.fixed_camera(np.random.default_rng([seed, camera]))
    rng = np.random.default_rng([seed, camera, day])
    weather = random_day(rng)
    standing = parked(scene.place, scene.furniture, rng)
    slot = (LAST_MINUTE - FIRST_MINUTE) / frames
    for index in range(frames):
        rng = np.random.default_rng([seed, camera, day, index + 1])
        minute = int(FIRST_MINUTE + slot * (index + rng.random()))
        name = f"{group_of(camera, day)}-{minute // 60:02d}{minute % 60:02d}-{index + 1:02d}"
        yield name, fixed.take(scene, weather, minute, standing, rng)


def _box(item: fixed.Seen) -> Object:
    """In whole photosites that it touches, from 1, both ends included."""
    left, top, right, bottom = item.box
    return Object(
        name=item.name,
        xmin=int(np.floor(left)) + 1,
        ymin=int(np.floor(top)) + 1,
        xmax=int(np.ceil(right)),
        ymax=int(np.ceil(bottom)),
        difficult=item.difficult,
        occluded=item.occluded,
        truncated=item.truncated,
    )


def _write(day: tuple[int, int], directory: Path, seed: int, frames: int) -> list[str]:
    names = []
    for name, frame in film(seed, *day, frames):
        boxes = tuple(_box(item) for item in frame.objects)
        note = Annotation(name, fixed.WIDTH, fixed.HEIGHT, boxes)
        raw = directory / "original/raw" / f"{name}.dng"
        write_dng(raw, frame.codes, cfa=frame.cfa, black=BLACK, white=WHITE, camera=f"street {day[0]}")
        write_voc(directory / "annotations" / f"{name}.xml", note)
        names.append(name)
    return names


def write_archive(directory: Path, filming: Filming, seed: int = 1, workers: int | None = None) -> None:
    """Draw and write all frames of a filming; progress and the time left on stderr.

    Args:
      directory: made if it is not there; files of the same names are replaced.
      workers: processes; None for one a processor.

    Raises:
      LogGradError: a file cannot be written.
    """
    for folder in ("original/raw", "annotations", "trainval"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    days = [(camera, day) for camera in filming.cameras for day in range(1, filming.days + 1)]
    write = functools.partial(_write, directory=directory, seed=seed, frames=filming.frames)
    lists: dict[str, list[str]] = {}
    groups: list[str] = []
    for (camera, day), names in zip(days, parallel.run(write, days, "drawing days", workers), strict=True):
        if isinstance(names, Exception):
            raise names
        lists.setdefault(filming.split(day), []).extend(names)
        groups += [f"{name} {group_of(camera, day)}" for name in names]
    for split, listed in lists.items():
        write_whole(directory / "trainval" / f"{split}.txt", "".join(f"{one}\n" for one in listed).encode())
    write_whole(directory / "groups.txt", "".join(f"{one}\n" for one in groups).encode())
