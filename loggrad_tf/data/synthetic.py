"""The built-in data set: drawn street photographs as real RAW files in PASCALRAW's layout.

    DIR/original/raw/2014_000001.dng    12-bit Bayer codes, one of the four rotations
    DIR/annotations/2014_000001.xml     boxes in a 600x400 frame, from 1, both ends included
    DIR/trainval/{train,val}.txt        even and odd numbers

Photograph k depends on ``(seed, k)`` alone, not on the number of processes. It exists so that
everything downstream can be tried, tested and taught without a download; what a network
scores on it says nothing about photographs of the real world.
"""

import functools
from pathlib import Path

import numpy as np

from loggrad_tf import parallel
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.voc import Annotation, Object, write_voc
from loggrad_tf.errors import LogGradError
from loggrad_tf.scene.camera import BLACK, WHITE, photograph, random_shot
from loggrad_tf.scene.street import Scene, SceneObject, draw_scene

WIDTH, HEIGHT = 432, 288
FRAME = (600, 400)
PHOTOGRAPHS = 1000


def name_of(index: int) -> str:
    """PASCALRAW's name of photograph ``index`` = 1, 2, ..."""
    return f"2014_{index:06d}"


def take(seed: int, index: int) -> tuple[Scene, np.ndarray, str]:
    """Photograph ``index`` of a collection: the scene, its RAW codes uint16 [288, 432], the colour filter."""
    rng = np.random.default_rng([seed, index])
    scene = draw_scene(rng, WIDTH, HEIGHT)
    while not scene.objects:
        scene = draw_scene(rng, WIDTH, HEIGHT)
    shot = random_shot(rng)
    return scene, photograph(scene.radiance, shot, rng), shot.sensor.cfa


def frame_box(item: SceneObject) -> Object:
    """A box in the photograph's pixels -> the annotation frame: whole pixels that it touches, from 1."""
    across, down = FRAME[0] / WIDTH, FRAME[1] / HEIGHT
    left, top, right, bottom = item.box
    return Object(
        name=item.name,
        xmin=int(np.floor(left * across)) + 1,
        ymin=int(np.floor(top * down)) + 1,
        xmax=int(np.ceil(right * across)),
        ymax=int(np.ceil(bottom * down)),
        occluded=item.occluded,
        truncated=item.truncated,
    )


def _write(index: int, directory: Path, seed: int) -> None:
    scene, codes, cfa = take(seed, index)
    name = name_of(index)
    boxes = tuple(frame_box(item) for item in scene.objects)
    write_dng(directory / "original/raw" / f"{name}.dng", codes, cfa=cfa, black=BLACK, white=WHITE)
    write_voc(directory / "annotations" / f"{name}.xml", Annotation(name, *FRAME, boxes))


def write_archive(
    directory: Path, photographs: int = PHOTOGRAPHS, seed: int = 1, workers: int | None = None
) -> None:
    """Draw and write photographs 1 .. ``photographs``; progress and the time left on stderr.

    Args:
      directory: made if it is not there; files of the same names are replaced.
      workers: processes; None for one a processor.

    Raises:
      LogGradError: fewer than one photograph, or a file cannot be written.
    """
    if photographs < 1:
        raise LogGradError(f"{photographs} photographs: need at least 1")
    for folder in ("original/raw", "annotations", "trainval"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    write = functools.partial(_write, directory=directory, seed=seed)
    for result in parallel.run(write, range(1, photographs + 1), "drawing photographs", workers):
        if result is not None:
            raise result
    for split, odd in (("train", 0), ("val", 1)):
        names = [name_of(index) for index in range(1, photographs + 1) if index % 2 == odd]
        path = directory / "trainval" / f"{split}.txt"
        partial = path.with_suffix(".partial")
        partial.write_text("".join(f"{name}\n" for name in names), encoding="ascii")
        partial.replace(path)
