"""Talking to the program on the board: lines with a checksum, one answer for each.

    <text>*<CRC-32 of the text, 8 hex digits>\\n

The board's side, and every command, are in src/main.c of the project. A line that does not
carry its checksum is not an answer; a board that stops talking is an error with the reason.
"""

import dataclasses
import os
import select
import subprocess
import tempfile
import time
import zlib
from types import TracebackType

import numpy as np

from firmware import project as projects
from firmware.project import FirmwareError, Project

ANSWER_SECONDS = 120.0
ROW_TAKEN, FRAME_COMPLETE = 1, 0


@dataclasses.dataclass(frozen=True)
class Piece:
    """What the board reports of a layer's output: bytes and their CRC-32."""

    layer: int
    bytes: int
    crc: int


@dataclasses.dataclass(frozen=True)
class Result:
    """The answer to one frame.

    Attributes:
      scores: int8 (outputs,).
      label: the class the board decides on.
      instructions: executed by quantiser and network; None where the board has no counter.
      pieces: outputs of the layers in order, if asked for.
    """

    scores: np.ndarray
    label: int
    instructions: int | None
    pieces: tuple[Piece, ...]


class Channel:
    """A running image: in QEMU, or as a process of this computer for board ``host``."""

    def __init__(self, project: Project, timeout: float = ANSWER_SECONDS) -> None:
        self.project = project
        self.timeout = timeout
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the channel)
        self._process = subprocess.Popen(
            command(project), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        self._pending = b""

    def __enter__(self) -> "Channel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def who(self) -> dict[str, str | int]:
        """What the image says of itself; FirmwareError unless it is this project's."""
        words = self.ask("I")[-1].split()
        if words[:3] != ["I", "loggrad", "1"] or len(words) != 10:
            raise FirmwareError(
                f"the board speaks another protocol ({' '.join(words[:3])}): build the project again"
            )
        keys = ("rows", "row_codes", "code_digits", "layers", "outputs", "state_bytes")
        return {"model_sha256": words[3]} | {k: int(w) for k, w in zip(keys, words[4:], strict=True)}

    def classify(self, frame: np.ndarray, layers: bool = False) -> Result:
        """Push a frame, row by row, and fetch the scores.

        Args:
          frame: (rows, codes a row), uint8, uint16 or int8.
          layers: also report every layer's output.
        """
        self.ask(f"F {int(layers)}")
        pieces: list[Piece] = []
        for y, row in enumerate(frame):
            *reports, answer = self.ask(f"R {encode_row(row, self.project.code_bytes)}")
            pieces += [_piece(report) for report in reports]
            status = _integer(answer.split(), 1)
            if status != (FRAME_COMPLETE if y == len(frame) - 1 else ROW_TAKEN):
                raise FirmwareError(
                    f"row {y} of {len(frame)}: the board answers status {status} (lib/include/lg_status.h)"
                )
        words = self.ask("S")[-1].split()
        if _integer(words, 1) != 0 or len(words) != 5:
            raise FirmwareError(f"scores: the board answers status {words[1]} (lib/include/lg_status.h)")
        counter = self.project.board["counter"]
        instructions = None
        if counter:
            instructions = int(words[3], 16) * counter["numerator"] // counter["denominator"]
        scores = np.frombuffer(bytes.fromhex(words[4]), np.int8)
        return Result(scores, _integer(words, 2), instructions, tuple(pieces))

    def ask(self, text: str) -> list[str]:
        """Send a command; the lines up to and including its answer, without checksums."""
        deadline = time.monotonic() + self.timeout
        self._send(frame_line(text), deadline)
        lines: list[str] = []
        while True:
            line = self._line(deadline)
            if line == "E":
                raise FirmwareError(f"the board could not read '{text[:20]}': the line between is faulty")
            lines.append(line)
            if line[:1] == text[:1]:
                return lines
            if line[:1] != "L":
                raise FirmwareError(
                    f"unexpected answer '{line[:40]}' to '{text[:20]}': build the project again"
                )

    def _send(self, data: bytes, deadline: float) -> None:
        while data:
            _, ready, _ = select.select([], [self._to], [], max(deadline - time.monotonic(), 0))
            if not ready:
                raise self._silent()
            try:
                data = data[os.write(self._to, data) :]
            except BrokenPipeError:
                raise self._ended() from None

    def _line(self, deadline: float) -> str:
        while True:
            while b"\n" not in self._pending:
                ready, _, _ = select.select([self._from], [], [], max(deadline - time.monotonic(), 0))
                if not ready:
                    raise self._silent()
                data = os.read(self._from, 65536)
                if not data:
                    raise self._ended()
                self._pending += data
            line, self._pending = self._pending.split(b"\n", 1)
            text, star, crc = line.rpartition(b"*")
            if star and crc == b"%08x" % zlib.crc32(text):
                return text.decode("ascii", "replace")

    def _silent(self) -> FirmwareError:
        self._process.kill()
        return FirmwareError(
            f"no answer within {self.timeout:g} s: the program hangs, or needs a longer --timeout"
        )

    def _ended(self) -> FirmwareError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().split("\n")[-1]
        reason = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        if 64 < code < 80:
            reason = f"stopped at exception {code - 64} (3 hard fault, 4 memory, 5 bus, 6 usage fault)"
        return FirmwareError(f"the program {reason}{': ' + said if said else ''}")


def command(project: Project) -> list[str]:
    """What starts the image."""
    if project.on_host:
        return [str(project.elf)]
    qemu = project.board["qemu"]
    return [
        projects.tool("qemu-system-arm"),
        "-M",
        qemu["machine"],
        *qemu["args"],
        "-kernel",
        str(project.elf),
    ]


def frame_line(text: str) -> bytes:
    """A line as it goes over the channel."""
    return f"{text}*{zlib.crc32(text.encode()):08x}\n".encode()


def encode_row(row: np.ndarray, code_bytes: int) -> str:
    """Codes in hex, two digits a byte, most significant first."""
    return (
        row.astype(row.dtype.newbyteorder(">")).tobytes().hex()
        if code_bytes == row.itemsize
        else _refuse(row)
    )


def _refuse(row: np.ndarray) -> str:
    raise FirmwareError(
        f"vectors.npz: codes of {row.itemsize} bytes do not fit this project: generate it again"
    )


def _piece(line: str) -> Piece:
    words = line.split()
    return Piece(_integer(words, 1), _integer(words, 2), int(words[3], 16))


def _integer(words: list[str], place: int) -> int:
    try:
        return int(words[place])
    except (IndexError, ValueError):
        raise FirmwareError(f"unreadable answer '{' '.join(words)[:40]}': build the project again") from None
