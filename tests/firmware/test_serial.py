"""Boards behind serial ports: a pseudo-terminal with the program of board host at its other end, and a wire
that damages, loses and invents bytes."""

import contextlib
import errno
import os
import random
import select
import shutil
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import serial

from export import firmware
from firmware import build, channel, project, run, verify
from tests.support import REPOSITORY, quantized

Damage = Callable[[bytes], bytes]


class Wire:
    """Carries bytes between a pseudo-terminal and a program; ``port`` is the terminal's name.

    Args:
      to_board, to_host: what the wire makes of the bytes.
      boot: what the board says before the program begins.
    """

    def __init__(
        self, command: list[str], to_board: Damage = bytes, to_host: Damage = bytes, boot: bytes = b""
    ) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.port = os.ttyname(self._slave)
        self.sent = bytearray()
        self._damage = (to_board, to_host)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._stop, self._stopper = os.pipe()
        self._boot = boot
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopper)
        self._thread.join()
        self._process.kill()
        self._process.communicate()
        os.close(self._stop)
        if self.master >= 0:
            self.unplug()

    def unplug(self) -> None:
        os.close(self.master)
        os.close(self._slave)
        self.master = -1

    def _carry(self) -> None:
        assert self._process.stdin and self._process.stdout
        out = self._process.stdout.fileno()
        while True:
            ready, _, _ = select.select(
                [self._stop, out, *([self.master] if self.master >= 0 else [])], [], []
            )
            if self._stop in ready:
                return
            if self.master in ready:
                data = os.read(self.master, 4096)
                if self._boot:
                    os.write(self.master, self._boot)
                    self._boot = b""
                self.sent += data
                self._process.stdin.write(self._damage[0](data))
            if out in ready:
                data = os.read(out, 4096)
                if not data:
                    return
                if self.master >= 0:
                    with contextlib.suppress(BlockingIOError):  # nobody reads: the terminal is full
                        os.write(self.master, self._damage[1](data))


def by_line(change: Callable[[bytes], bytes]) -> Damage:
    """Bytes come in any portions; ``change`` gets whole lines."""
    pending = b""

    def damaged(data: bytes) -> bytes:
        nonlocal pending
        *lines, pending = (pending + data).split(b"\n")
        return b"".join(change(line + b"\n") for line in lines)

    return damaged


def noise(seed: int, rate: float) -> Damage:
    """One byte in 1 / rate is flipped, lost, doubled, followed by another, or by the end of a line."""
    generator = random.Random(seed)

    def damaged(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if generator.random() >= rate:
                out.append(byte)
                continue
            other = generator.randrange(256)
            out += generator.choice(
                [
                    b"",
                    bytes([byte ^ 1 << other % 8]),
                    bytes([byte, byte]),
                    bytes([byte, other]),
                    b"\n" + bytes([byte]),
                ]
            )
        return bytes(out)

    return damaged


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """A built project of board host with eight frames."""
    folder = tmp_path_factory.mktemp("serial")
    net = quantized.Net(5)
    x = net.conv(net.input((12, 8, 1), 1.0, 0), 4, 3, 2)
    (folder / "model.tflite").write_bytes(net.flatbuffer(net.dense(net.mean(x), 3)))
    firmware.write(firmware.make(folder / "model.tflite", "host", firmware.Options(8)), folder / "p")
    found = project.load(folder / "p")
    build.build(found)
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(channel, "PATIENCE", 0.05)
    yield


def connected(made: project.Project, wire: Wire, timeout: float = 20.0) -> channel.Channel:
    return channel.Channel(made, timeout, channel.Place(wire.port))


@pytest.mark.seconds
def test_a_clean_line_verifies_every_frame(made: project.Project) -> None:
    with Wire([str(made.elf)]) as wire:
        verdict = verify.verify(made, place=channel.Place(wire.port))
    assert (verdict.vectors, verdict.mismatches, verdict.channel) == (8, 0, "serial")
    assert verdict.bytes_compared == 8 * (sum(layer.bytes for layer in made.layers) + made.outputs)


@pytest.mark.seconds
@pytest.mark.parametrize("seed", range(4))
def test_noise_both_ways_changes_nothing(made: project.Project, seed: int) -> None:
    """Over a line that spoils one byte in 300, in both directions, every layer still compares equal."""
    with Wire([str(made.elf)], noise(seed, 1 / 300), noise(seed + 100, 1 / 300)) as wire:
        verdict = verify.verify(made, 20.0, place=channel.Place(wire.port))
        assert (verdict.vectors, verdict.mismatches) == (8, 0)
        rows = wire.sent.count(b"R 00")
    assert rows > (3 + 8) * made.rows, "nothing was sent twice: the noise did nothing"


@pytest.mark.seconds
def test_answers_that_are_lost_do_not_push_a_row_twice(made: project.Project) -> None:
    """Every other answer is lost: every row is sent twice, and counts once."""
    lines = 0

    def lose(line: bytes) -> bytes:
        nonlocal lines
        lines += 1
        return line if lines % 2 else b""

    frames = run.load_vectors(made).frames
    with channel.Channel(made) as board:
        expected = [board.classify(frame).scores for frame in frames]
    with Wire([str(made.elf)], to_host=by_line(lose)) as wire, connected(made, wire) as board:
        for frame, scores in zip(frames[:2], expected[:2], strict=True):
            assert np.array_equal(board.classify(frame).scores, scores)
        assert wire.sent.count(b"R 0003") >= 3


def test_one_damaged_row_is_sent_again(made: project.Project) -> None:
    frame = run.load_vectors(made).frames[0]
    with channel.Channel(made) as board:
        expected = board.classify(frame, channel.LAYERS)
    spoilt = [b"R 0004 "]

    def spoil(data: bytes) -> bytes:
        return data.replace(spoilt.pop(), b"R 0004 7") if spoilt and spoilt[0] in data else data

    with Wire([str(made.elf)], to_board=by_line(spoil)) as wire, connected(made, wire) as board:
        assert board.classify(frame, channel.LAYERS).pieces == expected.pieces
        assert wire.sent.count(b"R 0004 ") == 2 and wire.sent.count(b"R 0005 ") == 1


def test_a_lost_layer_line_repeats_the_frame(made: project.Project) -> None:
    frame = run.load_vectors(made).frames[0]
    with channel.Channel(made) as board:
        expected = board.classify(frame, channel.LAYERS)
    lost = [b"L 2 "]

    def lose(data: bytes) -> bytes:
        return data.replace(lost.pop(), b"L 3 ") if lost and lost[0] in data else data

    with Wire([str(made.elf)], to_host=by_line(lose)) as wire, connected(made, wire) as board:
        assert board.classify(frame, channel.LAYERS).pieces == expected.pieces
        assert wire.sent.count(b"F 2") == 2


def test_boot_text_and_half_a_line(made: project.Project) -> None:
    boot = b"\x00\xffboot ok\r\nversion 3\r\nhalf a li"
    with Wire([str(made.elf)], boot=boot) as wire:
        os.write(wire.master, channel.frame_line("I loggrad 9 stale")[5:])
        with connected(made, wire) as board:
            assert board.who()["model_sha256"] == made.model_sha256
            assert board.memory() == (0, 0)


def test_the_board_is_reset_in_the_middle_of_a_frame(made: project.Project, tmp_path: Path) -> None:
    """A board that has lost its place says so, and the frame begins again."""
    again = tmp_path / "board.py"
    again.write_text(
        "import subprocess, sys, threading\n"
        "rows = 0\n"
        "def start():\n"
        "    p = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=sys.stdout, bufsize=0)\n"
        "    return p\n"
        "program = start()\n"
        "for line in sys.stdin.buffer:\n"
        "    rows += line.startswith(b'R 0007')\n"
        "    if rows == 1:\n"
        "        rows = 2\n"
        "        program.kill(); program.wait(); program = start()\n"
        "    program.stdin.write(line)\n"
    )
    frame = run.load_vectors(made).frames[0]
    with channel.Channel(made) as board:
        expected = board.classify(frame).scores
    with (
        Wire([sys.executable, "-u", str(again), str(made.elf)]) as wire,
        connected(made, wire) as board,
    ):
        board.who()
        assert np.array_equal(board.classify(frame).scores, expected)
        assert wire.sent.count(b"F 0") == 2


@pytest.mark.seconds
def test_a_board_that_says_nothing(made: project.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "CONTACT_SECONDS", 0.5)
    with (
        Wire(["sleep", "60"]) as wire,
        connected(made, wire) as board,
        pytest.raises(project.FirmwareError, match=r"at 115200 baud: no answer within 0\.5 s: is this"),
    ):
        board.who()


def test_a_board_that_understands_nothing(made: project.Project) -> None:
    with (
        Wire([str(made.elf)], to_board=lambda data: data.replace(b"*", b"x")) as wire,
        connected(made, wire) as board,
        pytest.raises(project.FirmwareError, match="refuses 'I' 20 times"),
    ):
        board.who()


@pytest.mark.seconds
def test_a_board_that_babbles(made: project.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless text without checksums, then endless answers to something else."""
    monkeypatch.setattr(channel, "CONTACT_SECONDS", 0.5)
    for text in ("x" * 500, channel.frame_line("Z 0").decode().strip()):
        with Wire(["yes", text]) as wire, connected(made, wire) as board:
            started = time.monotonic()
            with pytest.raises(project.FirmwareError, match="no answer within"):
                board.who()
            assert time.monotonic() - started < 5


def test_a_program_that_stops_says_so(made: project.Project) -> None:
    """boards/common/uart_channel.c: what a board writes in place of an exit code."""
    with (
        Wire(["sh", "-c", "read line; printf '\\nexit 67\\n'; exec sleep 60"]) as wire,
        connected(made, wire) as board,
        pytest.raises(project.FirmwareError, match="stopped at exception 3"),
    ):
        board.who()


def test_a_port_that_vanishes(made: project.Project) -> None:
    with Wire([str(made.elf)]) as wire, connected(made, wire) as board:
        board.who()
        wire.unplug()
        with pytest.raises(project.FirmwareError, match="the port has vanished"):
            for _ in range(20):
                board.ask("I")


def test_ports_that_cannot_be_opened(
    made: project.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for port, message in (
        (tmp_path / "none", "no such port; there are:"),
        (tmp_path / "file", "not a serial"),
    ):
        with pytest.raises(project.FirmwareError, match=message):
            channel.Channel(made, place=channel.Place(str(port)))
    with Wire([str(made.elf)]) as wire:
        with (
            connected(made, wire),
            pytest.raises(project.FirmwareError, match="another program has it open"),
        ):
            connected(made, wire)
        with pytest.raises(project.FirmwareError, match="cannot be set to -3 baud"):
            channel.Channel(made, place=channel.Place(wire.port, -3))

    def refused(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "Serial", refused)
    with pytest.raises(project.FirmwareError, match="no permission: join the group"):
        channel.Channel(made, place=channel.Place("/dev/ttyACM0"))


@pytest.mark.slow
@pytest.mark.qemu
def test_the_serial_line_of_an_emulated_board(tmp_path: Path, made: project.Project) -> None:
    """The image for the serial line, its start-up and its driver, with QEMU's USART between."""
    options = firmware.Options(3)
    firmware.write(firmware.make(made.path / "model.tflite", "netduinoplus2", options), tmp_path / "p")
    board = project.load(tmp_path / "p")
    assert verify.verify(board).mismatches == 0
    elf = build.build(board, serial=True)
    command = [project.tool("qemu-system-arm"), "-M", "netduinoplus2", "-display", "none", "-monitor", "none"]
    with Wire([*command, "-serial", "stdio", "-icount", "shift=10", "-kernel", str(elf)]) as wire:
        verdict = verify.verify(board, place=channel.Place(wire.port))
    assert (verdict.vectors, verdict.mismatches) == (3, 0)
    assert (verdict.channel, verdict.unit) == ("serial", "ticks")
    assert 0 < verdict.stack_used < verdict.stack_size


@pytest.mark.seconds
def test_commands_take_a_port(made: project.Project, tmp_path: Path) -> None:
    shutil.copytree(made.path, tmp_path / "p")
    for verb, last in (("run", "run: 8 frames"), ("verify", "verify: 8 vectors, 0 mismatches")):
        with Wire([str(made.elf)]) as wire:
            command = ["-m", f"firmware.{verb}", "--project", str(tmp_path / "p"), "--port", wire.port]
            done = subprocess.run(
                [sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().split("\n")[-1].startswith(last)
    command = ["-m", "firmware.verify", "--project", str(tmp_path / "p"), "--port", str(tmp_path / "none")]
    done = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
