"""The same photographs as another read-out would give them: binned pixels, or a mosaic turned into gray.

A view is a data set of its own, made once by a job; its crops, splits and labels are those of its source.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments import sets
from experiments.conditions import in_batches
from experiments.jobs import open_data
from experiments.study import Study
from loggrad_tf import json_base
from loggrad_tf.data.dataset import DataSet, open_prepared
from loggrad_tf.files import write_whole
from loggrad_tf.transform.binning import binned
from loggrad_tf.transform.sensor import MONO


def demosaiced(mosaic: np.ndarray) -> np.ndarray:
    """Gray at the size of the mosaic: ``(R + 2 G + B) / 4`` of bilinearly interpolated colours, half up.

    A missing colour is the mean of the two or four nearest photosites that have it; beyond the border they
    are mirrored about the outermost one, so that colours keep their places.

    Args:
      mosaic: P, uint16 (..., H, W), H and W even, RGGB or BGGR: red and blue count alike.
    Returns:
      uint16, same shape.
    """
    height, width = mosaic.shape[-2:]
    pad = [(0, 0)] * (mosaic.ndim - 2) + [(1, 1), (1, 1)]
    wide = np.pad(mosaic, pad, mode="reflect").astype(np.uint32)
    rows, columns = slice(1, height + 1), slice(1, width + 1)
    up, down, left, right = wide[..., :-2, columns], wide[..., 2:, columns], wide[..., :-2], wide[..., 2:]
    sides = up + down + left[..., rows, :] + right[..., rows, :]
    corners = left[..., :-2, :] + left[..., 2:, :] + right[..., :-2, :] + right[..., 2:, :]
    centre = wide[..., rows, columns]
    # In sixteenths. At a red site: 4 R, 8 of the mean of four greens, 4 of the mean of four blues.
    coloured = 4 * centre + 2 * sides + corners
    # At a green one: 8 G, 4 of the mean of two reds, 4 of the mean of two blues.
    green = 8 * centre + 2 * sides
    odd = (np.arange(height)[:, None] + np.arange(width)) % 2 == 1
    return ((np.where(odd, green, coloured) + 8) // 16).astype(np.uint16)


VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "binned_2": lambda pixels: binned(pixels, 2),
    "binned_4": lambda pixels: binned(pixels, 4),
    "demosaiced": demosaiced,
}


@dataclasses.dataclass(frozen=True)
class View:
    """The job of making one view, gray; its result is a prepared set.

    Attributes:
      name: of :data:`VIEWS`.
      data: the prepared source.
      manifest_sha256: of the source.
    """

    name: str
    data: Path
    manifest_sha256: str

    @property
    def title(self) -> str:
        return f"photographs {self.name.replace('_', ' ')}"

    def to_json(self) -> dict[str, Any]:
        return {"view": self.name, "manifest_sha256": self.manifest_sha256}

    def run(self, directory: Path) -> str:
        data = open_data(self.data)
        pixels = in_batches(VIEWS[self.name], data.pixels)
        sets.write(directory / sets.SET, data, np.arange(len(pixels)), data.split, pixels)
        about = directory / sets.SET / "dataset.json"
        head = json_base.read(about)
        sensor = dataclasses.replace(data.sensor, cfa=MONO).to_json()
        head |= {"size": pixels.shape[1], "mode": "gray", "sensor": sensor}
        write_whole(about, (json.dumps(head, indent=1) + "\n").encode())
        return f"{len(pixels)} of {pixels.shape[1]}x{pixels.shape[2]}"


def see(study: Study, data: DataSet, name: str) -> DataSet:
    """View ``name`` of ``data``, made on first use."""
    folder = study.run([View(name, data.path, data.manifest_sha256)])[0]
    return open_prepared(folder / sets.SET)
