"""Test frames for a firmware project: RAW codes as a camera sends them, and what they must become.

    codes = P + black,   tensor = FrontEnd.encode_int8(P)

P comes from the test split of the data set named in model.json, at the front end's sensor. Without
that data set the frames are random, and ``note`` says so. A board that bins gets a mosaic whose binning
is P: its places are unequal, and its squares sum to anything that rounds to P.
"""

import dataclasses
import io
from typing import Any

import numpy as np

from export.plan.input import Input
from loggrad_tf.data import boxes, dataset
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.binning import spread
from loggrad_tf.transform.sensor import requantize

UNLABELLED = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Vectors:
    """Frames with their expected input tensors.

    Attributes:
      frames: (N, rows, codes a row), uint8, uint16 or int8 as the project takes them.
      tensors: int8 (N, H, W, C).
      labels: int32 (N,), -1 where unknown.
      note: where they come from, one phrase.
      boxes: :data:`loggrad_tf.data.boxes.BOX` of the frames, for a detector; none where unknown.
    """

    frames: np.ndarray
    tensors: np.ndarray
    labels: np.ndarray
    note: str
    boxes: np.ndarray = dataclasses.field(default_factory=boxes.empty)

    def npz(self) -> bytes:
        """The file: the fields as arrays, boxes where there are any. Equal vectors give equal bytes."""
        known: dict[str, Any] = {"boxes": self.boxes} if len(self.boxes) else {}
        file = io.BytesIO()
        np.savez(
            file,
            frames=self.frames,
            tensors=self.tensors,
            labels=self.labels,
            note=np.array(self.note),
            **known,
        )
        return file.getvalue()


def make(source: Input, data: Request | None, count: int) -> Vectors:
    """``count`` frames for ``source``; fewer, never one twice, where the test split has fewer.

    Args:
      data: of model.json, or None.
    """
    shape = (count, source.height, source.width, source.channels)
    generator = np.random.default_rng(0)
    if source.front_end is None:
        tensors = generator.integers(-128, 128, shape, dtype=np.int8)
        frames = tensors.reshape(count, source.rows, source.row_codes)
        return Vectors(
            frames, tensors, np.full(count, UNLABELLED, np.int32), "random int8 frames (no model.json)"
        )
    front_end, there = source.front_end, boxes.empty()
    try:
        if data is None:
            raise LogGradError("model.json names no data set")
        images = dataset.opened(data)
        pixels, labels = images.subset("test")
        if len(pixels) == 0 or pixels.shape[1:] != (source.lines, source.line_pixels):
            raise LogGradError(
                f"data set {data.spec} has no test images of {source.line_pixels}x{source.lines}"
            )
        count = min(count, len(pixels))
        chosen = np.linspace(0, len(pixels) - 1, count).round().astype(int)
        linear = requantize(np.asarray(pixels[chosen]), images.sensor, front_end.sensor)
        labels = np.asarray(labels[chosen], np.int32)
        if data.detects:
            there = boxes.of_frames(images.boxes_of("test"), chosen)
        note = f"test images of {data.spec}"
    except LogGradError as error:
        size = (count, source.lines, source.line_pixels)
        linear = generator.integers(0, front_end.sensor.span + 1, size).astype(np.uint16)
        labels = np.full(count, UNLABELLED, np.int32)
        note = f"random frames, no photographs ({error})"
    mosaic = np.stack([spread(image, source.binning, front_end.sensor.span, generator) for image in linear])
    codes = front_end.sensor.codes(mosaic).astype(np.uint8 if source.code_bytes == 1 else np.uint16)
    return Vectors(codes, front_end.encode_int8(linear), labels, note, there)
