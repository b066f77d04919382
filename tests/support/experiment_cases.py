"""A small data set, and jobs that need no TensorFlow, for tests of the experiments."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError

CLASSES = ("bar", "disc", "cross")
SIZE = 32


def nothing() -> None:
    """In place of loading TensorFlow, for processes whose jobs do without."""


def write_pictures(folder: Path, each: int = 12, domains: tuple[str, ...] = ()) -> Path:
    """Drawn pictures of three classes with a manifest; with ``domains`` it has a column of that name."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 32
    shapes = {"bar": abs(y) < 6, "disc": x**2 + y**2 < 400, "cross": (abs(x) < 5) | (abs(y - x) < 6)}
    folder.mkdir(parents=True)
    lines = ["file,class,split,group" + (",domain" if domains else "")]
    for label, shape in shapes.items():
        for k in range(each):
            values = np.where(shape, 200, 70) + rng.integers(-20, 20, shape.shape)
            name = f"{label}{k:02d}.png"
            Image.fromarray(values.astype(np.uint8)).save(folder / name)
            split = ("train", "train", "train", "val", "test", "train")[k % 6]
            line = f"{name},{label},{split},{label}{k}"
            lines.append(line + (f",{domains[k % len(domains)]}" if domains else ""))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def small_set(folder: Path, domains: tuple[str, ...] = ()) -> DataSet:
    """Those pictures, prepared at 32 x 32: 8 train, 2 val, 2 test of each class."""
    pictures = write_pictures(folder / "pictures", domains=domains)
    return dataset.load(f"folder:{pictures}", size=SIZE, cache=folder / "cache")


@dataclasses.dataclass(frozen=True)
class Note:
    """Writes its text, and a line into ``log`` each time it is done; with ``how`` it fails instead."""

    text: str
    log: Path
    how: str = ""

    @property
    def title(self) -> str:
        return f"note {self.text}"

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text}

    def run(self, directory: Path) -> str:
        (directory / "half.txt").write_text("half")
        if self.how == "error":
            raise LogGradError("the ink is dry")
        if self.how == "death":
            os._exit(3)
        (directory / "note.txt").write_text(self.text)
        with self.log.open("a") as file:
            file.write(f"{self.text}\n")
        return "written"
