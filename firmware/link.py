"""The way to a board: QEMU or a process of this computer, which lose nothing, or a serial port, which may.

A link is two file descriptors, and errors that say what became of what is at their other end; what goes over
them is :mod:`firmware.channel`'s. A program of this computer is started in the project's folder, where a
simulated camera (``scene_camera.c``) looks for its scene.
"""

import dataclasses
import errno
import os
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Protocol

from firmware import project as projects
from firmware.project import BAUD, FirmwareError, Project

ANSWER_SECONDS = 120.0
# Of boards/common: how programs end (startup.c, uart_channel.c).
EXIT, EXCEPTION, EXCEPTIONS = "exit", 64, 16
# Of main.c: net_init refuses.
NOT_READY = 1


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the program runs: ``port`` is a serial port, None means QEMU or a process of this computer."""

    port: str | None = None
    baud: int = BAUD


class Link(Protocol):
    """The way to a board: file descriptors, and errors that say what became of it."""

    reading: int
    writing: int
    reliable: bool

    def silent(self, seconds: float) -> FirmwareError: ...

    def ended(self) -> FirmwareError: ...

    def close(self) -> None: ...


class ProcessLink:
    """QEMU with the image, or the image itself for board ``host``.

    Args:
      options: of QEMU, further ones; it is then given time to write what they ask for when it ends.
    """

    reliable = True

    def __init__(self, project: Project, options: Sequence[str] = ()) -> None:
        self._end_seconds = ANSWER_SECONDS if options else 1.0
        self._project = project
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the link)
        self.process = subprocess.Popen(
            [*command(project), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            cwd=project.path,
        )
        assert self.process.stdin and self.process.stdout
        self.writing, self.reading = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.writing, False)

    def silent(self, seconds: float) -> FirmwareError:
        self.process.kill()
        return FirmwareError(
            f"no answer within {seconds:g} s: the program hangs, or needs a longer --timeout"
        )

    def ended(self) -> FirmwareError:
        code = self.process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().split("\n")[-1]
        return FirmwareError(f"the program {end_of(code, self._project)}{': ' + said if said else ''}")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        try:
            self.process.wait(self._end_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._errors.close()


class SerialLink:
    """A serial port; the program on the board goes on running when it is closed."""

    reliable = False

    def __init__(self, port: str, baud: int) -> None:
        try:
            import serial
        except ImportError:
            raise FirmwareError("--port needs pyserial: pip install pyserial") from None
        self._name = f"{port} at {baud} baud"
        try:
            self._port = serial.Serial(port, baud, timeout=0, exclusive=True)
        except (serial.SerialException, ValueError) as error:
            raise FirmwareError(_port_error(port, baud, error)) from None
        self.reading = self.writing = self._port.fileno()

    def silent(self, seconds: float) -> FirmwareError:
        return FirmwareError(
            f"{self._name}: no answer within {seconds:g} s: is this the board, does it run this project's"
            " image, is the baud rate right?"
        )

    def ended(self) -> FirmwareError:
        return FirmwareError(f"{self._name}: the port has vanished: is the board still plugged in?")

    def close(self) -> None:
        self._port.close()


def end_of(code: int, project: Project) -> str:
    """What became of a program with this exit code."""
    if code == NOT_READY and project.arena_bytes is not None:
        return (
            f"ended with code {code}: the interpreter does not fit its arena of {project.arena_bytes:,} B:"
            " generate the project again with a larger --arena_bytes"
        )
    if EXCEPTION < code < EXCEPTION + EXCEPTIONS:
        return f"stopped at exception {code - EXCEPTION} (3 hard fault, 4 memory, 5 bus, 6 usage fault)"
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


def _port_error(port: str, baud: int, error: Exception) -> str:
    from serial.tools import list_ports

    number = getattr(error, "errno", None)
    if isinstance(error, ValueError):
        return f"{port}: cannot be set to {baud} baud"
    if number == errno.ENOENT:
        found = sorted(info.device for info in list_ports.comports())
        return f"{port}: no such port; there are: {', '.join(found) or 'none'}"
    if number == errno.EACCES:
        return f"{port}: no permission: join the group that owns it (often dialout) and log in again"
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"{port}: another program has it open"
    return f"{port}: not a serial port that can be used ({error})"


def command(project: Project) -> list[str]:
    """What starts the image."""
    if project.on_host:
        return [str(project.elf)]
    qemu = project.board["qemu"]
    if qemu is None:
        raise FirmwareError(
            f"board {project.board['name']} is not emulated: flash it with firmware.flash, then give --port;"
            " or generate the project for a board that QEMU has, such as mps2-an386"
        )
    return [
        projects.tool("qemu-system-arm"),
        "-M",
        qemu["machine"],
        *qemu["args"],
        "-kernel",
        str(project.elf),
    ]
