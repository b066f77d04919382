"""What a simulated camera sees (``boards/common/scene_camera.c``): a file of photo-electrons in the project.

    scene.bin   words of 16 bits, little endian: MAGIC, frames, rows, codes of a row, then for every photosite
                the photo-electrons that a line of exposure makes in it, in 1/256

Drawn street scenes, aimed at an object of the class that is collected if there is one, photographs of a
folder, the dark, or an even surface. Noise, exposure, black level and rounding are the camera's own. At
USUAL_LINES of exposure a drawn scene is metered as :mod:`loggrad_tf.scene.camera` does it, and a photograph
is as bright as it was taken.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from firmware.project import FirmwareError, Project
from loggrad_tf.data import crops, photo
from loggrad_tf.data.pascalraw import CLASSES
from loggrad_tf.data.raw import SUFFIXES
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from loggrad_tf.scene import camera, street
from loggrad_tf.scene.camera import Shot
from loggrad_tf.transform.sensor import Sensor

SOURCE, FILE = "scene_camera.c", "scene.bin"
# Of the C: what it is compared with in tests/firmware/test_simulated.py.
MAGIC, USUAL_LINES = 0x5343, 100
ELECTRONS, READ_ELECTRONS = 9.375, 12.0
_UNIT = 256.0
# Electrons a line of the brightest colour of an even surface: a well is full after half of all lines.
FLAT_ELECTRONS = 45.0
_BALANCE = (0.55, 1.0, 0.6)
_WIDTH, _HEIGHT = 432, 288
_FRAMES = 40


def is_simulated(project: Project) -> bool:
    """Has the board a camera that sees a file?"""
    return SOURCE in (project.board.get("common") or ())


def lay(project: Project, scenes: list[np.ndarray]) -> None:
    """Put scenes before the camera.

    Args:
      scenes: float [rows, codes] each, electrons a line of exposure.
    """
    head = np.array([MAGIC, len(scenes), project.rows, project.row_codes], "<u2")
    words = np.clip(np.rint(np.stack(scenes) * _UNIT), 0, 65535).astype("<u2")
    write_whole(project.path / FILE, head.tobytes() + words.tobytes())


def dark(project: Project) -> list[np.ndarray]:
    """No light."""
    return [np.zeros((project.rows, project.row_codes))]


def flat(project: Project, electrons: float = FLAT_ELECTRONS) -> list[np.ndarray]:
    """An even, white surface."""
    sites = camera.filters(project.board["camera"]["cfa"], project.rows, project.row_codes)
    return [electrons * np.array(_BALANCE)[sites]]


def drawn(project: Project, label: str) -> list[np.ndarray]:
    """Street scenes, others each time, about an object of class ``label`` if scenes have such."""
    rng = np.random.default_rng()
    stated, size = project.board["camera"], (project.rows, project.row_codes)
    sensor = Sensor(stated["bits"], stated["black"], stated["white"], stated["cfa"])
    found = []
    for box, radiance in _windows(rng, label, size):
        seen = crops.resize(radiance, box, size).astype(np.float32)
        codes = camera.expose(seen, Shot(sensor, balance=_BALANCE))
        found.append(codes * (ELECTRONS / USUAL_LINES))
        if len(found) == _FRAMES:
            break
    return found


def of_classes(project: Project, names: tuple[str, ...]) -> list[np.ndarray]:
    """Street scenes about objects of those classes that scenes have, in turn; whole streets if it is none."""
    found = [drawn(project, name) for name in names if name in CLASSES] or [drawn(project, "")]
    return [scene for turn in zip(*found, strict=True) for scene in turn]


def _windows(
    rng: np.random.Generator, label: str, size: tuple[int, int]
) -> Iterator[tuple[crops.Box, np.ndarray]]:
    """Windows of drawn scenes, of the proportions of a size, and the scenes' radiance."""
    rows, columns = size
    width = min(_HEIGHT * columns / rows, float(_WIDTH))
    while True:
        scene = street.draw_scene(rng, _WIDTH, _HEIGHT)
        boxes = [item.box for item in scene.objects if item.name == label]
        if label not in CLASSES:
            left = rng.uniform(0, _WIDTH - width)
            boxes = [(left, 0.0, left + width, width * rows / columns)]
        for box in boxes:
            yield crops.around(box, _WIDTH, _HEIGHT, size), scene.radiance


def photographs(project: Project, path: Path) -> list[np.ndarray]:
    """RAW files of Bayer sensors in a folder, as large as can be; FirmwareError if there are none."""
    names = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES) if path.is_dir() else []
    if not names:
        raise FirmwareError(f"--scene={path}: no folder of RAW files: give one, or leave it out")
    found, size = [], (project.rows, project.row_codes)
    for one in names:
        try:
            pixels, sensor = photo.read(one, size=size, mode="mosaic", fit="crop")
        except LogGradError as error:
            raise FirmwareError(str(error)) from None
        stated = project.board["camera"]
        codes = pixels * ((stated["white"] - stated["black"]) / sensor.span)
        found.append(codes * (ELECTRONS / USUAL_LINES))
    return found
