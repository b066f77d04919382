"""What a board's camera saw lately, what the network made of it, and which of it was wrong.

The newest frames are held, each with its codes: MOST_FRAMES at most, and as many as fit into MOST_BYTES,
however long it goes on. One that was judged wrongly is kept as a DNG file of a set
(:mod:`loggrad_tf.data.collected`) under the class that it is. Said twice it is kept once; said otherwise it
moves to the other class.
"""

import dataclasses
import io
import math
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
from PIL import Image

from firmware.project import FirmwareError, Project
from loggrad_tf.data import collected, description, views
from loggrad_tf.data.collected import Collected
from loggrad_tf.data.sides import sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.binning import binned
from loggrad_tf.transform.frontend import FrontEnd

MOST_FRAMES, MOST_BYTES = 600, 64 * 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """A frame that was judged.

    Attributes:
      number: counted from 0 since the command began.
      time: when it came, seconds (``time.time``).
      codes: uint16 (rows, codes a row), black included.
      label: the class that the board decided on.
      scores: int8 values, one an output.
      spent: what the board counted for it, with its unit; None where it has no counter.
      milliseconds: the same as time; None unless the board counts its own cycles.
    """

    number: int
    time: float
    codes: np.ndarray
    label: int
    scores: tuple[int, ...]
    spent: str | None = None
    milliseconds: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Eyes:
    """How frames of a project are drawn: as its camera saw them, and as its network does.

    Attributes:
      made: the camera.
      front_end: of model.json.
      binning: k; k x k codes are averaged to a pixel.
    """

    made: Collected
    front_end: FrontEnd
    binning: int

    def camera_saw(self, codes: np.ndarray) -> bytes:
        """A PNG of (rows, codes a row) pixels, for the eye."""
        sensor = self.made.sensor
        return _png(views.camera_saw(sensor.linearize(codes), sensor.cfa))

    def network_sees(self, codes: np.ndarray) -> bytes:
        """A PNG of the input tensor, pixel for pixel; levels from black over gray to white."""
        pixels = binned(self.front_end.sensor.linearize(codes), self.binning)
        return _png(views.network_sees(self.front_end, pixels))


def eyes_of(project: Project, made: Collected) -> Eyes:
    """FirmwareError unless model.json says how codes become the input tensor."""
    try:
        found = description.read(project.path / "model.tflite", project.model_sha256)
    except LogGradError as error:
        raise FirmwareError(str(error)) from None
    if found is None:
        raise FirmwareError(
            f"{project.path}: no {description.NAME}, so nothing tells what the network sees: generate the"
            " project again of a network that export.convert made"
        )
    return Eyes(made, found.front_end, project.binning)


def _png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png", compress_level=1)
    return data.getvalue()


class Memory:
    """The newest frames and the corrections of one command; several threads may ask it.

    Args:
      made: the camera.
      class_names: in label order.
      folder: the set of what is corrected, begun with the first correction.

    Attributes:
      capacity: frames that are held.
      labels: classes that a folder can be called like: the others cannot be corrected to.
      corrected: frames that were kept.
    """

    def __init__(self, made: Collected, class_names: tuple[str, ...], folder: Path) -> None:
        self.folder = folder
        self.class_names = class_names
        self.labels = tuple(name for name in class_names if _can_be_folder(name))
        self.capacity = max(min(MOST_FRAMES, MOST_BYTES // (2 * math.prod(sides(made.side)))), 1)
        self.corrected = 0
        self._made = made
        self._session = collected.new_session()
        self._lock = threading.Lock()
        self._frames: deque[Seen] = deque(maxlen=self.capacity)
        self._kept: dict[int, tuple[str, Path]] = {}
        self._lost = 0
        self._trouble: str | None = None

    def add(self, seen: Seen) -> None:
        """The next frame; whatever trouble there was is over."""
        with self._lock:
            self._frames.append(seen)
            self._trouble = None

    def lose(self) -> None:
        """A frame was judged, and did not come whole."""
        with self._lock:
            self._lost += 1
            self._trouble = None

    def fail(self, reason: str) -> None:
        """The board does not answer, or not as it should."""
        with self._lock:
            self._trouble = reason

    def frame(self, number: int) -> Seen | None:
        """The frame of that number; None if it is not held, or never was."""
        with self._lock:
            return next((one for one in self._frames if one.number == number), None)

    def state(self, since: int) -> dict[str, object]:
        """What a page shows: frames with numbers above ``since``, and how things stand."""
        with self._lock:
            frames = [_told(one) for one in self._frames if one.number > since]
            return {
                "now": time.time(),
                "oldest": self._frames[0].number if self._frames else 0,
                "frames": frames,
                "kept": {str(number): label for number, (label, _) in self._kept.items()},
                "corrected": self.corrected,
                "lost": self._lost,
                "trouble": self._trouble,
            }

    def correct(self, seen: Seen, label: str) -> Path:
        """Keep a frame as what it is; the file.

        Args:
          label: one of ``labels``.

        Raises:
          LogGradError: the folder is a set of another camera, or none.
        """
        with self._lock:
            before = self._kept.get(seen.number)
            if before is not None and before[0] == label:
                return before[1]
            collected.opened(self.folder, self._made)
            number = self.corrected if before is None else _number_of(before[1])
            path = collected.keep(self.folder, self._made, label, self._session, number, seen.codes, None)
            if before is None:
                self.corrected += 1
            else:
                before[1].unlink(missing_ok=True)
            oldest = self._frames[0].number if self._frames else 0
            self._kept = {one: what for one, what in self._kept.items() if one >= oldest}
            self._kept[seen.number] = (label, path)
            return path


def _number_of(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _can_be_folder(name: str) -> bool:
    try:
        return bool(collected.check_label(name))
    except LogGradError:
        return False


def _told(seen: Seen) -> dict[str, object]:
    """A frame without its codes."""
    return {
        field.name: getattr(seen, field.name) for field in dataclasses.fields(Seen) if field.name != "codes"
    }
