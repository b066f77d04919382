"""Frames of RAW codes from a collector's camera (``program/collect.c``), each exact or not at all.

A frame is taken and held by the board, and its rows are fetched: all at once from QEMU and processes, over a
serial line in runs of a fraction of a second, and what was lost of them again. A frame whose rows do not come
whole in so many rounds (``TRIES`` of :mod:`firmware.channel`) is given up.
"""

import dataclasses
from types import TracebackType
from typing import Self

import numpy as np

from firmware.channel import ANSWER_SECONDS, EXPOSE, GIVE, TAKE, TRIES, WHO, Channel
from firmware.link import Place
from firmware.project import FirmwareError, Project
from firmware.rows import Parts, Size

PROTOCOL = "collect 1"
NO_FRAME = 0x40
# Of the camera, in lg_board.h: error without its sign -> what it means.
ERRORS = {
    1: "the board has no camera",
    2: "nothing answers on its control bus: check its wires and its supply",
    3: "another sensor than the expected one answers",
    4: "no frame begins: check the clock and VSYNC",
    5: "a frame or a row ends too early: check the pixel clock and HREF",
    6: "a row began before it was asked for",
    7: "it has no window of this size",
}
_SCENE = "simulated camera: its scene.bin is missing or of another size"
_MOST_LOST = 3
# Rows that are asked for at once over a serial line: as many as take this long.
_RUN_SECONDS, BITS_PER_BYTE = 0.4, 10


@dataclasses.dataclass
class Traffic:
    """Rows that had to be sent again, and frames that were given up."""

    again: int = 0
    lost: int = 0


def run_of(size: Size, baud: int) -> int:
    """Rows that are asked for at once over a serial line."""
    return max(int(_RUN_SECONDS * baud / BITS_PER_BYTE / size.row_bytes), 1)


class Camera:
    """The camera of a board that runs a collector.

    Args:
      project: a collector's (``Project.collects``).
    """

    def __init__(self, project: Project, timeout: float = ANSWER_SECONDS, place: Place | None = None) -> None:
        if not project.collects:
            raise FirmwareError(
                f"{project.path}: no collector: write one with export.firmware --collect --board"
                f" {project.board['name']}"
            )
        self.size = Size(project.rows, project.row_codes, project.code_bytes)
        self.traffic = Traffic()
        self._stamp = project.stamp
        self._number = 0
        self._channel = Channel(project, timeout, place)
        self._run = self.size.rows
        if not self._channel.link.reliable:
            self._run = run_of(self.size, place.baud if place else project.baud)

    def __enter__(self) -> Self:
        try:
            self._check()
        except BaseException:
            self._channel.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def _check(self) -> None:
        """FirmwareError unless the board runs this project's collector."""
        size = self.size
        numbers = " ".join(f"{number:04x}" for number in (size.rows, size.codes, size.code_bytes))
        expected = f"{WHO} {PROTOCOL} {numbers} {self._stamp}"
        if (told := self._channel.hello()) != expected:
            raise FirmwareError(
                f"the board runs another program ('{told[:60]}'): build it and flash it again"
            )

    def expose(self, lines: int) -> None:
        """Fix the exposure of later frames; ``lines`` of board.json's ``camera.line_us``, 0: automatic."""
        self._ask(EXPOSE, f"{lines:04x}")

    def take(self) -> np.ndarray | None:
        """The next frame, uint16 (rows, codes); None if too much of it was lost on the way.

        Raises:
          FirmwareError: the camera or the board fails.
        """
        self._number = (self._number + 1) % 2**16
        words = self._ask(TAKE, f"{self._number:04x}")
        digest = int(words[3], 16)
        parts = Parts(self.size, self._number)
        for round_ in range(TRIES):
            runs = parts.missing(self._run)
            if round_:
                self.traffic.again += sum(count for _, count in runs)
            for first, count in runs:
                self._ask(GIVE, f"{first:04x}{count:04x}")
                parts = parts.joined(self._channel.rows)
                self._channel.rows.clear()
            if not parts.missing(1):
                break
        frame = parts.frame(digest)
        self.traffic.lost += frame is None
        return frame

    def next(self) -> np.ndarray:
        """The next frame that comes whole, uint16 (rows, codes).

        Raises:
          FirmwareError: the line lets none through, or the camera or the board fails.
        """
        for _ in range(_MOST_LOST):
            if (frame := self.take()) is not None:
                return frame
        raise FirmwareError(
            f"{_MOST_LOST} frames in a row were lost on the line: give export.firmware a lower --baud"
        )

    def _ask(self, letter: str, argument: str) -> list[str]:
        """The words of the answer; FirmwareError if it tells an error."""
        words = self._channel.ask(f"{letter} {argument}")[-1].split()
        try:
            error = int(words[1], 16)
        except (IndexError, ValueError):
            raise FirmwareError(
                f"unreadable answer '{' '.join(words)[:40]}': build the project again"
            ) from None
        if error:
            board = self._channel.project.board
            told = ERRORS.get(error, f"error {error}")
            if "scene_camera.c" in (board.get("common") or ()):
                told = _SCENE
            raise FirmwareError(f"the camera of {board['name']}: {told}")
        return words
