"""Small PASCALRAW archives and picture folders for the tests of the data sources."""

from pathlib import Path

import numpy as np
from PIL import Image

from loggrad_tf.data import imitation
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.voc import Annotation, Object, write_voc

CLASSES = ("bicycle", "car", "person")
WIDTH, HEIGHT = 120, 80
FRAME = (60, 40)


def linear_rgb(path: Path) -> np.ndarray:
    """A picture's linear light, float64 [H, W, 3]."""
    picture = imitation.read(path)
    return picture.light(picture.values)


def frame(seed: int, height: int = HEIGHT, width: int = WIDTH, white: int = 4095) -> np.ndarray:
    """Codes of a made-up photograph: a slope and noise above a pedestal of 64."""
    random = np.random.default_rng(seed)
    slope = np.linspace(200, white - 400, width)[None, :] * np.linspace(0.3, 1, height)[:, None]
    return np.clip(64 + slope + random.normal(0, 20, (height, width)), 65, white).astype(np.uint16)


def dng(
    path: Path,
    seed: int = 0,
    *,
    sides: tuple[int, int] = (HEIGHT, WIDTH),
    cfa: str = "RGGB",
    black: int = 64,
    white: int = 4095,
    camera: str = "Test camera",
) -> np.ndarray:
    """One DNG of these rows and columns; its codes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = frame(seed, *sides, white=white)
    write_dng(path, codes, cfa=cfa, black=black, white=white, camera=camera)
    return codes


def photograph(
    folder: Path, name: str, objects: tuple[Object, ...], *, cfa: str = "RGGB", white: int = 4095
) -> None:
    """One DNG and its XML, in PASCALRAW's places."""
    for part in ("original/raw", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    codes = frame(sum(name.encode()), white=white)
    write_dng(folder / f"original/raw/{name}.dng", codes, cfa=cfa, black=64, white=white)
    write_voc(folder / f"annotations/{name}.xml", Annotation(name, *FRAME, objects))


def archive(folder: Path, photographs: int = 12, cfa: str = "RGGB") -> Path:
    """Photographs with one large object each, the classes in turn."""
    for index in range(photographs):
        box = Object(CLASSES[index % 3], 5 + index % 7, 4, 44, 36)
        photograph(folder, f"2014_{index:06d}", (box,), cfa=cfa)
    return folder


def pictures(folder: Path, each: int = 6, size: tuple[int, int] = (40, 30)) -> Path:
    """A folder of PNG files for each of two classes."""
    random = np.random.default_rng(5)
    for label in ("cup", "plate"):
        (folder / label).mkdir(parents=True)
        for index in range(each):
            values = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(values).save(folder / label / f"{index:02d}.png")
    return folder
