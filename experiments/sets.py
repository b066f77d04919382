"""Data sets made from another one: other pixels, or crops in other splits."""

import csv
import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np

from loggrad_tf import json_base
from loggrad_tf.data import boxes, prepared
from loggrad_tf.data.prepared import DataSet, Head
from loggrad_tf.data.sources import SPLITS

# Where a job that makes a set puts it.
SET = "set"


def manifest(data: DataSet) -> list[dict[str, str]]:
    """The lines of a prepared set's manifest, in the order of its arrays."""
    with (data.path / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(
    directory: Path,
    data: DataSet,
    chosen: np.ndarray,
    split: np.ndarray,
    pixels: np.ndarray | None = None,
    classes: tuple[np.ndarray, tuple[str, ...]] | None = None,
) -> None:
    """Write a prepared set that :func:`loggrad_tf.data.prepared.open_prepared` reads, with its own manifest.

    Its source is itself: ``prepared:DIRECTORY``.

    Args:
      directory: made; must not exist.
      data: where the crops come from.
      chosen: places of the crops in ``data``, integers (M,).
      split: of each, uint8 (M,): 0 train, 1 val, 2 test.
      pixels: what they become, uint16 (M, size, size); None for what they are.
      classes: the class of each, integers (M,), and the names of the classes; None for those of ``data``.
        Frames keep their objects whatever their pixels become.
    """
    if pixels is None:
        pixels = np.asarray(data.pixels[chosen])
    labels, names = classes or (data.labels[chosen], data.class_names)
    lines = manifest(data)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    for place, part, label, crop in zip(chosen, split, labels, pixels, strict=True):
        digest = hashlib.sha256(crop.astype("<u2").tobytes()).hexdigest()
        name = lines[place]["class"] if data.detects else names[label]
        writer.writerow(lines[place] | {"class": name, "split": SPLITS[part], "sha256": digest})
    written = text.getvalue().encode()
    head = dataclasses.replace(
        json_base.read_as(Head, data.path / "dataset.json"),
        crops=len(chosen),
        class_names=tuple(names),
        manifest_sha256=hashlib.sha256(written).hexdigest(),
        spec=None,
    )
    directory.mkdir()
    rejects = (data.path / "rejects.csv").read_bytes()
    inside = None if data.boxes is None else boxes.of_frames(data.boxes, chosen)
    prepared.write(directory, head, pixels, np.asarray(labels), split, written, rejects, inside)
