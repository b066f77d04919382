"""Flashing: which programmer is taken, the exact commands, and the UF2 format."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from firmware import flash, project, uf2
from tests.support.firmware_cases import FIRMWARE, REPOSITORY

NOWHERE = flash.Place(None, None)
REAL = [
    "arduino-nano-33-ble",
    "arduino-tiny-ml-kit",
    "microbit",
    "netduinoplus2",
    "nrf52840-dk",
    "nucleo-f446re",
    "nucleo-g474re",
    "nucleo-h743zi",
    "raspberry-pi-pico",
    "stm32vldiscovery",
]


def made(folder: Path, board: str) -> project.Project:
    """A project as far as flashing looks at it."""
    shutil.copytree(FIRMWARE / "boards" / board, folder / "boards" / board)
    record = {"loggrad_project": 1, "board": board, "model_sha256": "", "rows": 1, "row_codes": 1}
    record |= {"code_bytes": 1, "layers": [], "outputs": 1, "class_names": [], "state_bytes": 0}
    (folder / "project.json").write_text(json.dumps(record | {"predicted": {}}))
    return project.load(folder)


def door(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firmware.flash", "--project", str(path), *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def install(folder: Path, *names: str) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)


def test_every_real_board_says_how_it_is_written() -> None:
    boards = [json.loads(p.read_text()) for p in (FIRMWARE / "boards").glob("*/board.json")]
    assert sorted(b["name"] for b in boards if b["flash_tools"]) == REAL
    for board in boards:
        assert set(board["flash_tools"] or ()) <= set(flash.RUNNERS)


@pytest.mark.parametrize("board", REAL)
def test_every_command_of_every_board(board: str, tmp_path: Path) -> None:
    one = made(tmp_path / "p", board)
    place = flash.Place(Path("/media/me/RPI-RP2"), "/dev/ttyACM3")
    image, elf = str(one.elf.with_suffix(".bin")), str(one.elf)
    for runner in flash.tools(one):
        *_, last = flash.commands(one, runner, place)
        if runner in ("openocd", "pyocd"):
            assert any(elf in word for word in last)
        elif runner in ("st-flash", "uf2", "bossac"):
            assert flash.commands(one, runner, place)[0] == [
                "arm-none-eabi-objcopy",
                "-O",
                "binary",
                elf,
                image,
            ]
            assert image in last


def test_the_first_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = made(tmp_path / "p", "netduinoplus2")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(project.FirmwareError, match="apt install openocd.*apt install stlink-tools"):
        flash.choose(board, None, NOWHERE)
    install(tmp_path / "bin", "st-flash", "pyocd")
    assert flash.choose(board, None, NOWHERE) == "pyocd"
    assert flash.choose(board, "st-flash", NOWHERE) == "st-flash"
    with pytest.raises(project.FirmwareError, match="--runner uf2: choose one of openocd, pyocd"):
        flash.choose(board, "uf2", NOWHERE)
    _, write = flash.commands(board, "st-flash", NOWHERE)
    assert write == ["st-flash", "--reset", "write", str(board.elf.with_suffix(".bin")), "0x08000000"]
    words = flash.commands(board, "openocd", NOWHERE)[0]
    assert words[:5] == ["openocd", "-f", "interface/stlink.cfg", "-f", "target/stm32f4x.cfg"]


def test_boot_loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pico, nano = made(tmp_path / "p", "raspberry-pi-pico"), made(tmp_path / "n", "arduino-nano-33-ble")
    drive = tmp_path / "media" / "me" / "RPI RP2"
    drive.mkdir(parents=True)
    monkeypatch.setattr(flash, "DRIVES", (str(tmp_path / "media/*/*"),))
    monkeypatch.setattr(flash, "PORTS", (str(tmp_path / "ttyACM*"),))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert flash.find(None, None) == NOWHERE
    with pytest.raises(project.FirmwareError, match="INFO_UF2.TXT.*BOOTSEL"):
        flash.choose(pico, None, NOWHERE)
    with pytest.raises(project.FirmwareError, match="INFO_UF2.TXT is missing"):
        flash.find(drive, None)
    (drive / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    (tmp_path / "ttyACM7").touch()
    place = flash.find(None, None)
    assert place == flash.Place(drive, str(tmp_path / "ttyACM7"))
    assert flash.choose(pico, None, place) == "uf2"
    _, write = flash.commands(pico, "uf2", place)
    assert write[3] == str(pico.elf.with_suffix(".bin")) and write[4] == str(drive / "firmware.uf2")
    assert write[5:] == ["--origin=0x10000000", "--family=0xe48bff56"]
    _, write = flash.commands(nano, "bossac", place)
    assert write == [
        "bossac",
        "--port=ttyACM7",
        "-U",
        "-i",
        "-e",
        "-w",
        str(nano.elf.with_suffix(".bin")),
        "-R",
    ]
    with pytest.raises(project.FirmwareError, match="press the board's reset button twice"):
        flash.flash(nano, "bossac", NOWHERE)
    second = tmp_path / "media" / "me" / "other"
    second.mkdir()
    (second / "INFO_UF2.TXT").touch()
    with pytest.raises(project.FirmwareError, match="several UF2 drives"):
        flash.find(None, None)
    assert flash.find(second, "COM3") == flash.Place(second, "COM3")


@pytest.mark.seconds
def test_dry_run_launches_nothing(tmp_path: Path) -> None:
    board = made(tmp_path / "p q", "stm32vldiscovery")
    result = door(board.path, "--dry-run", "--runner", "openocd")
    assert result.returncode == 0, result.stderr
    last = result.stdout.strip().split("\n")[-1]
    assert last.startswith("openocd -f interface/stlink.cfg -f target/stm32f1x.cfg")
    assert "st-flash  missing: st-flash: apt install stlink-tools" in result.stdout
    for board_name in REAL:
        one = made(tmp_path / board_name, board_name)
        result = door(one.path, "--dry-run")
        assert result.returncode == 0 and not (one.path / "build").exists(), result.stderr
    assert door(board.path, "--dry-run", "--runner", "uf2").stderr.startswith(
        "error: --runner uf2: choose one"
    )
    refused = door(made(tmp_path / "m", "mps2-an386").path, "--dry-run")
    assert refused.returncode == 1 and "not real hardware" in refused.stderr


def test_what_is_launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board, log = made(tmp_path / "p q", "nucleo-f446re"), tmp_path / "log"
    install(tmp_path / "bin", "arm-none-eabi-objcopy", "st-flash")
    for name, code in (("arm-none-eabi-objcopy", 0), ("st-flash", 3)):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho {name} "$#" >> "{log}"\nexit {code}\n')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(flash.build, "build", lambda _: None)
    with pytest.raises(project.FirmwareError, match="st-flash failed: is the board connected"):
        flash.flash(board, flash.choose(board, None, NOWHERE), NOWHERE)
    assert log.read_text().split() == ["arm-none-eabi-objcopy", "4", "st-flash", "4"]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000])
def test_uf2_blocks(size: int, tmp_path: Path) -> None:
    image = bytes(i % 251 + 1 for i in range(size))
    (tmp_path / "i.bin").write_bytes(image)
    command = [sys.executable, "-m", "firmware.uf2", str(tmp_path / "i.bin"), str(tmp_path / "i.uf2")]
    command += ["--origin=0x10000000", "--family=0xe48bff56"]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0
    data = (tmp_path / "i.uf2").read_bytes()
    count = (size + 255) // 256
    assert len(data) == 512 * count
    back = b""
    for number in range(count):
        block = data[512 * number : 512 * (number + 1)]
        assert block[:4] == b"UF2\n"
        assert struct.unpack("<7I", block[4:32]) == (
            0x9E5D5157,
            0x2000,
            0x10000000 + 256 * number,
            256,
            number,
            count,
            0xE48BFF56,
        )
        assert block[32 + 256 : 508] == bytes(220) and block[508:] == bytes.fromhex("306fb10a")
        back += block[32 : 32 + 256]
    assert back == image.ljust(256 * count, b"\0")


@pytest.mark.parametrize(
    ("image", "origin"), [(b"", 0), (b"a", 1), (b"a", 128), (b"ab", 2**32 - 1), (b"a", -256)]
)
def test_uf2_refuses(image: bytes, origin: int) -> None:
    with pytest.raises(ValueError, match=r"empty|multiple of 256"):
        uf2.convert(image, origin, 1)
