"""Talking to the program on the board: lines with a checksum, one answer for each.

    <text>*<CRC-32 of the text, 8 hex digits>\\n

The board's side, and every command, are in program/main.c, in a project too. A line that does not carry its
checksum is not an answer. Between lines of text may be rows of RAW codes in binary: they are kept in
``Channel.rows`` for :mod:`firmware.rows`. QEMU and processes lose nothing: all rows of a frame are sent at
once, and a refusal is an error. A serial port may lose and damage bytes: one line at a time, sent again until
it is answered, which is safe because a row carries its number and is pushed once.

``timeout`` bounds a whole answer, all lines of it. What a board says is kept only as far as the layers of its
project can need it: one that goes on and on, with newlines or without, is an error.
"""

import argparse
import dataclasses
import os
import re
import select
import time
import zlib
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from firmware import project as projects
from firmware.link import (
    ANSWER_SECONDS,
    BAUD,
    EXIT,
    Link,
    Place,
    ProcessLink,
    SerialLink,
    end_of,
)
from firmware.project import FirmwareError, Project
from firmware.rows import MARK, Parts, Size
from loggrad_tf.detect.decode import OBJECT

# Over a serial port: how long to wait at first before a line is sent again (then twice as long, and so
# on), how long for the first sign of life, and how often a line or a frame is sent.
PATIENCE, CONTACT_SECONDS, TRIES = 1.0, 10.0, 20

# What the board must agree on; tests/firmware/test_protocol.py compares it with the C.
# Of program/main.c: letters of commands and other lines, digits of a row's number and of a checksum.
PROTOCOL = "loggrad 2"
WHO, FRAME, ROW, RESULT, CAMERA_FRAME, MEMORY = "I", "F", "R", "S", "C", "M"
PIECE, UNREADABLE, KEEP = "L", "E", "K"
ROW_DIGITS, CRC_DIGITS = 4, 8
# Commands of program/collect.c, whose answers repeat the argument (firmware/camera.py).
EXPOSE, TAKE, GIVE = "P", "T", "G"
ECHOED = (EXPOSE, TAKE, GIVE)
# The numbers between model and stamp in the answer to WHO.
WHO_NUMBERS = ("rows", "row_codes", "code_digits", "layers", "outputs", "state_bytes")
# Reports of a frame.
SCORES, DIGEST, LAYERS = 0, 1, 2
# Statuses: of lib/include/lg_status.h, of main.c, and CAMERA with the errors of lg_board.h.
ROW_TAKEN, FRAME_COMPLETE, TOO_FEW_ROWS = 1, 0, -14
OUT_OF_TURN, CAMERA, NO_CAMERA = -64, -100, -101
# Of an object in the answer of a detector; as text, with the space before it.
OBJECT_BYTES = 8
_OBJECT_CHARACTERS = 1 + 2 * OBJECT_BYTES
# What a piece of one byte takes as text, and what any answer may take beside its pieces.
_PIECE_CHARACTERS, _ANSWER_CHARACTERS = 40, 65536
# A frame of a camera may take so much longer than an answer.
_CAMERA_PATIENCE = 5
# Binary rows that are kept; nobody asks for as many at once.
_MOST_ROWS = 4096
_EXIT_LINE = re.compile(rb"%s ([1-9]\d{0,2})" % EXIT.encode())


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece of a layer's output, as the board made it, and the digest of the frame up to its end."""

    layer: int
    data: bytes
    digest: int


@dataclasses.dataclass(frozen=True)
class Result:
    """The answer to one frame.

    Attributes:
      scores: int8 (outputs,).
      label: the class the board decides on; of a detector how many objects there are.
      ticks: of the board's counter, spent in quantiser and network.
      digest: CRC-32 of all pieces of all layers in the order they are made; 0 if not asked for.
      pieces: outputs of the layers in that order, if asked for.
      objects: of a detector, :data:`loggrad_tf.detect.decode.OBJECT` of frame 0; None of a classifier.
    """

    scores: np.ndarray
    label: int
    ticks: int
    digest: int = 0
    pieces: tuple[Piece, ...] = ()
    objects: np.ndarray | None = None


class Channel:
    """A running image, in QEMU, as a process, or on a board behind a serial port.

    Args:
      options: further ones of QEMU.

    Attributes:
      rows: binary rows that have come and nobody has taken yet, without their newline.
    """

    def __init__(
        self,
        project: Project,
        timeout: float = ANSWER_SECONDS,
        place: Place | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.project = project
        self.timeout = timeout
        port = place.port if place else None
        self.link: Link = SerialLink(port, place.baud) if place and port else ProcessLink(project, options)
        sizes = [layer.bytes for layer in project.layers] or [0]
        self._said = 0  # characters of the answers to a frame's rows, or to another command
        self._most = _ANSWER_CHARACTERS + _PIECE_CHARACTERS * (sum(sizes) + project.outputs)
        cells = project.cells.rows * project.cells.columns if project.cells is not None else 0
        answer = 2 * project.outputs + _OBJECT_CHARACTERS * cells
        self._longest = _ANSWER_CHARACTERS + max(2 * max(sizes), answer)
        self._outgoing = b""
        self._pending = b""
        self._lines: deque[str] = deque()
        self.rows: deque[bytes] = deque(maxlen=_MOST_ROWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.link.close()

    def who(self) -> dict[str, str | int]:
        """What the image says of itself; FirmwareError unless it speaks this protocol."""
        words = self.hello().split()
        self.project.check_network()
        if words[:3] != [WHO, *PROTOCOL.split()] or len(words) != 5 + len(WHO_NUMBERS):
            raise FirmwareError(
                f"the board speaks another protocol ({' '.join(words[:3])}): build the project again"
            )
        numbers = {key: _integer(words, place) for place, key in enumerate(WHO_NUMBERS, 4)}
        return {"model_sha256": words[3], "stamp": words[-1]} | numbers

    def hello(self) -> str:
        """The image's answer to WHO, the first word of a conversation."""
        return self.ask(WHO, None if self.link.reliable else CONTACT_SECONDS)[-1]

    def memory(self) -> tuple[int, int]:
        """(bytes of stack ever used, size of the stack); (0, 0) where the board does not know."""
        words = self.ask(MEMORY)[-1].split()
        return _integer(words, 1), _integer(words, 2)

    def arena_used(self) -> int | None:
        """Bytes that an interpreter uses of its arena; None where the network is C."""
        words = self.ask(MEMORY)[-1].split()
        return _integer(words, 3) if len(words) > 3 else None

    def camera(self) -> Result:
        """Classify what the board's camera sees now."""
        return self._camera(CAMERA_FRAME)

    def kept(self, number: int) -> tuple[Result, np.ndarray | None]:
        """Classify what the board's camera sees now, and the frame that was judged: uint16 (rows, codes).

        None in its place if a row was lost: the board holds no frame, and cannot send it again.

        Args:
          number: of the frame, 0..65535, another one each time.
        """
        project = self.project
        self.rows.clear()
        result = self._camera(f"{KEEP} {number:04x}")
        parts = Parts(Size(project.rows, project.row_codes, project.code_bytes), number)
        return result, parts.joined(self.rows).frame(result.digest)

    def _camera(self, command: str) -> Result:
        """The result of a frame of the camera."""
        board = self.project.board
        stated = board.get("camera")
        if stated is None and command[:1] == KEEP:
            raise FirmwareError(f"board {board['name']} has no camera that board.json describes")
        if stated is not None and (stated["bits"] > 8) != (self.project.code_bytes > 1):
            raise FirmwareError(
                f"the model is for codes of {8 * self.project.code_bytes} bits, the camera of {board['name']}"
                f" has {stated['bits']}: train on its own frames (firmware.collect)"
            )
        self.ask(f"{FRAME} {SCORES}")
        answer = self.ask(command)[-1]
        letter = command[:1]
        if answer == f"{letter} {NO_CAMERA}":
            raise FirmwareError(f"board {board['name']} has no camera")
        if answer.startswith(f"{letter} -") and _integer(answer.split(), 1) < CAMERA:
            error = _integer(answer.split(), 1) - CAMERA
            raise FirmwareError(f"the camera fails with {error} (boards/common/lg_board.h)")
        return _result(answer, (), self.project.cells is not None)

    def classify(self, frame: np.ndarray, report: int = SCORES) -> Result:
        """Push a frame, row by row, and fetch the scores.

        Args:
          frame: (rows, codes a row), uint8, uint16 or int8.
          report: SCORES, DIGEST, or LAYERS: also every layer's output.
        """
        rows = [row_text(y, row, self.project.code_bytes) for y, row in enumerate(frame)]
        heard: list[tuple[Piece, ...]] = []
        for _ in range(1 if self.link.reliable else TRIES):
            result = self._frame(rows, report)
            if result is None:
                continue  # the board has started afresh
            if report != LAYERS:
                return result
            heard.append(result.pieces)
            pieces = _joined(heard)
            if pieces and pieces[-1].digest == result.digest:
                return dataclasses.replace(result, pieces=pieces)
        raise FirmwareError("the board's reports of a frame do not join: too many lines are lost")

    def _frame(self, rows: list[str], report: int) -> Result | None:
        """One attempt; None if it must be repeated because the board has lost its place."""
        self.ask(f"{FRAME} {report}")
        if self.link.reliable:
            self._outgoing = b"".join(frame_line(row) for row in rows)
        pieces: list[Piece] = []
        for y, row in enumerate(rows):
            *reports, answer = self._answer(row) if self.link.reliable else self.ask(row)
            pieces += [_piece(line) for line in reports]
            status = _integer(answer.split(), 1)
            if status == OUT_OF_TURN and not self.link.reliable:
                return None
            if status != (FRAME_COMPLETE if y == len(rows) - 1 else ROW_TAKEN):
                raise FirmwareError(
                    f"row {y} of {len(rows)}: the board answers status {status} (lib/include/lg_status.h)"
                )
        answer = self.ask(RESULT)[-1]
        if answer == f"{RESULT} {TOO_FEW_ROWS}" and not self.link.reliable:
            return None
        return _result(answer, tuple(pieces), self.project.cells is not None)

    def ask(self, text: str, timeout: float | None = None) -> list[str]:
        """Send a command; the lines up to and including its answer, without checksums."""
        self._said = self._said if text[:1] == ROW else 0
        if self.link.reliable:
            self._outgoing = frame_line(text)
            return self._answer(text)
        return self._insist(text, min(self.timeout, timeout or self.timeout))

    def _answer(self, text: str) -> list[str]:
        """The answer to what was sent, over a link where every line arrives."""
        deadline = time.monotonic() + self.timeout
        lines: list[str] = []
        while True:
            line = self._line(deadline)
            if line is None:
                raise self.link.silent(self.timeout)
            if line == UNREADABLE:
                raise FirmwareError(f"the board could not read '{text[:20]}': the line between is faulty")
            lines.append(line)
            self._count(line, text)
            if line[:1] == text[:1]:
                return lines
            if line[:1] != PIECE:
                raise FirmwareError(
                    f"unexpected answer '{line[:40]}' to '{text[:20]}': build the project again"
                )

    def _insist(self, text: str, timeout: float) -> list[str]:
        """Send a command until it is answered. A newline first ends whatever the board has half of; answers
        to anything else have come late and are passed over."""
        deadline = time.monotonic() + timeout
        wait = PATIENCE * (_CAMERA_PATIENCE if text[:1] in (CAMERA_FRAME, KEEP, TAKE) else 1)
        sent, again = 0, time.monotonic()
        lines: list[str] = []
        data = frame_line(text)
        while True:
            if time.monotonic() >= deadline:
                raise self.link.silent(timeout)
            if time.monotonic() >= again:
                if sent == TRIES:
                    raise FirmwareError(f"the board refuses '{text[:20]}' {TRIES} times: the line is faulty")
                self._outgoing = (b"\n" if sent or text == WHO else b"") + data
                again = time.monotonic() + wait
                sent, wait = sent + 1, wait * 2
            line = self._line(min(deadline, again))
            if line == UNREADABLE:
                again, wait = time.monotonic(), PATIENCE
            elif line is not None and _answers(text, line):
                return [*lines, line]
            elif line is not None and line[:1] == PIECE:
                lines.append(line)
                self._count(line, text)

    def _count(self, line: str, text: str) -> None:
        """Another line of the answer; FirmwareError if there are more than a frame can have."""
        self._said += len(line)
        if self._said > self._most:
            raise FirmwareError(
                f"the answer to '{text[:20]}' has no end, {self._most} characters came:"
                " build the project again"
            )

    def _line(self, deadline: float) -> str | None:
        """The next line that carries its checksum, without it; None at the deadline. Sends meanwhile."""
        while not self._lines:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            writing = [self.link.writing] if self._outgoing else []
            readable, writable, _ = select.select([self.link.reading], writing, [], left)
            try:
                if writable:
                    self._outgoing = self._outgoing[os.write(self.link.writing, self._outgoing[:65536]) :]
                if readable:
                    self._take(os.read(self.link.reading, 65536))
            except BlockingIOError:
                continue
            except OSError:
                raise self.link.ended() from None
        return self._lines.popleft()

    def _take(self, data: bytes) -> None:
        if not data:
            raise self.link.ended()
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > self._longest:
            if self.link.reliable:
                raise FirmwareError(
                    f"the board says a line of more than {self._longest} characters: build the project again"
                )
            self._pending = b""  # noise, or another baud rate
        for line in lines:
            if line.startswith(MARK):
                self.rows.append(line)
                continue
            text, star, crc = line.rstrip(b"\r").rpartition(b"*")
            if star and crc == _checksum(text):
                self._lines.append(text.decode("ascii", "replace"))
            elif not self.link.reliable and (end := _EXIT_LINE.fullmatch(line.rstrip())):
                raise FirmwareError(f"the program on the board {end_of(int(end[1]), self.project)}")


def executed(board: Channel, ticks: int) -> tuple[int, str] | None:
    """(count, unit) of a result's ticks; None where the board has no counter.

    QEMU counts instructions, by the scale of board.json; of those the timer of the real chip knows nothing,
    and its ticks are given as they are.
    """
    counter = board.project.board["counter"]
    if not counter:
        return None
    unit = str(counter.get("unit", "instructions"))
    if unit == "instructions" and not board.link.reliable:
        return ticks, "ticks"
    return ticks * counter["numerator"] // counter["denominator"], unit


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The options of every command that talks to a board."""
    parser.add_argument("--port", help="serial port of a board that runs the image (default: QEMU)")
    parser.add_argument("--baud", type=int, help=f"of the serial port (default: the project's, or {BAUD})")
    parser.add_argument(
        "--timeout", type=projects.seconds, default=ANSWER_SECONDS, help="seconds for one answer"
    )


def frame_line(text: str) -> bytes:
    """A line as it goes over the channel."""
    data = text.encode()
    return b"%s*%s\n" % (data, _checksum(data))


def _checksum(data: bytes) -> bytes:
    return b"%0*x" % (CRC_DIGITS, zlib.crc32(data))


def row_text(y: int, row: np.ndarray, code_bytes: int) -> str:
    """The command that pushes row ``y`` of a frame."""
    return f"{ROW} {y:0{ROW_DIGITS}x} {encode_row(row, code_bytes)}"


def encode_row(row: np.ndarray, code_bytes: int) -> str:
    """Codes in hex, two digits a byte, most significant first."""
    if code_bytes != row.itemsize:
        raise FirmwareError(
            f"vectors.npz: codes of {row.itemsize} bytes do not fit this project: generate it again"
        )
    return row.astype(row.dtype.newbyteorder(">")).tobytes().hex()


def _answers(text: str, line: str) -> bool:
    """Is this the answer to that command, and to that row or argument?"""
    if line[:1] != text[:1]:
        return False
    if text[:1] in ECHOED:
        return line.split()[2:3] == text.split()[1:]
    return text[:1] != ROW or line.split()[2:] == [str(int(text.split()[1], 16))]


def _result(answer: str, pieces: tuple[Piece, ...], detects: bool) -> Result:
    words = answer.split()
    if _integer(words, 1) != 0 or len(words) < 6 or (not detects and len(words) > 6):
        raise FirmwareError(f"scores: the board answers status {words[1]} (lib/include/lg_status.h)")
    scores = np.frombuffer(_hex(answer, words[4]), np.int8)
    ticks, digest = (int.from_bytes(_hex(answer, words[place])) for place in (3, 5))
    objects = _objects(answer, words[6:], _integer(words, 2)) if detects else None
    return Result(scores, _integer(words, 2), ticks, digest, pieces, objects)


def _objects(answer: str, words: list[str], count: int) -> np.ndarray:
    """The objects of an answer, each a word: row, column, class, margin, big-endian."""
    data = [_hex(answer, word) for word in words]
    if len(data) != count or any(len(one) != OBJECT_BYTES for one in data):
        raise FirmwareError(f"unreadable answer '{answer[:40]}': build the project again")
    fields = np.frombuffer(b"".join(data), ">i2").reshape(count, OBJECT_BYTES // 2)
    found = np.zeros(count, OBJECT)
    for place, name in enumerate(("row", "column", "label")):
        found[name] = fields[:, place].astype(np.uint16)
    found["margin"] = fields[:, 3]
    return found


def _piece(line: str) -> Piece:
    words = line.split()
    if len(words) != 4:
        raise FirmwareError(f"unreadable answer '{line[:40]}': build the project again")
    return Piece(_integer(words, 1), _hex(line, words[3]), int.from_bytes(_hex(line, words[2])))


def _joined(heard: list[tuple[Piece, ...]]) -> tuple[Piece, ...]:
    """The pieces of a frame from its beginning, as far as they were heard in one of its repetitions: each
    continues the digest of the one before."""
    joined: list[Piece] = []
    digest, before = 0, -1
    while len(joined) > before:
        before = len(joined)
        for piece in (piece for pieces in heard for piece in pieces):
            if zlib.crc32(piece.data, digest) == piece.digest:
                joined.append(piece)
                digest = piece.digest
    return tuple(joined)


def _hex(line: str, word: str) -> bytes:
    try:
        return bytes.fromhex(word)
    except ValueError:
        raise FirmwareError(f"unreadable answer '{line[:40]}': build the project again") from None


def _integer(words: list[str], place: int) -> int:
    try:
        return int(words[place])
    except (IndexError, ValueError):
        raise FirmwareError(f"unreadable answer '{' '.join(words)[:40]}': build the project again") from None
