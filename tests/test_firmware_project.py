"""CMake project of library and board: builds strictly and reproducibly, starts up, shows its state."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.firmware_cases import FIRMWARE

PROJECT = """cmake_minimum_required(VERSION 3.20)
project(probe C)
include(cmake/loggrad.cmake)
loggrad_image(probe probe.c)
"""

PROBE = """#include "lg_board.h"
#include "lg_crc32.h"

static uint8_t state[1234] __attribute__((section(".lg_state")));
static uint32_t initialised = 0x12345678u;

int main(void)
{
    lg_board_init();
    const size_t size = lg_board_read(state, 1000);
    for (size_t i = 1000; i < sizeof state; i++) {
        if (state[i] != 0u || initialised != 0x12345678u) {
            return 5;
        }
    }
    const uint32_t crc = lg_crc32(0u, state, size);
    return lg_board_write(&crc, sizeof crc) == sizeof crc ? 42 : 6;
}
"""


def build(folder: Path, board: str) -> Path:
    for part in ("lib", "boards", "cmake"):
        shutil.copytree(FIRMWARE / part, folder / part)
    (folder / "CMakeLists.txt").write_text(PROJECT)
    (folder / "probe.c").write_text(PROBE)
    command = ["cmake", "-S", str(folder), "-B", str(folder / "build"), f"-DLG_BOARD={board}"]
    if board != "host":
        command.append(f"-DCMAKE_TOOLCHAIN_FILE={folder}/cmake/arm-none-eabi.cmake")
    for step in (command, ["cmake", "--build", str(folder / "build")]):
        done = subprocess.run(step, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "probe.elf"


def start(elf: Path, board: str, data: bytes) -> subprocess.CompletedProcess:
    command = [str(elf)]
    if board != "host":
        qemu = json.loads((FIRMWARE / "boards" / board / "board.json").read_text())["qemu"]
        command = ["qemu-system-arm", "-M", qemu["machine"], *qemu["args"], "-kernel", str(elf)]
    return subprocess.run(command, input=data, capture_output=True, timeout=20)


def test_project_builds_and_runs_on_the_host(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    done = start(build(tmp_path, "host"), "host", b"\0" * 999)
    assert done.returncode == 42 and len(done.stdout) == 4


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386", "stm32vldiscovery"])
def test_project_builds_and_runs(board: str, tmp_path: Path) -> None:
    elf = build(tmp_path, board)
    done = start(elf, board, b"123456789")
    assert done.returncode == 42
    assert int.from_bytes(done.stdout, "little") == 0xCBF43926  # the check value of CRC-32
    sizes = subprocess.run(["arm-none-eabi-size", "-A", str(elf)], capture_output=True, text=True).stdout
    state = next(line.split() for line in sizes.splitlines() if line.startswith(".lg_state"))
    assert int(state[1]) == 1236  # 1234, rounded up to words


@pytest.mark.qemu
def test_build_does_not_depend_on_its_folder(tmp_path: Path) -> None:
    images = []
    for name in ("here", "over/there"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        images.append(build(folder, "mps2-an386").read_bytes())
    assert images[0] == images[1]


def test_unknown_board_is_named(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    with pytest.raises(AssertionError, match="LG_BOARD='nowhere' is no folder"):
        build(tmp_path, "nowhere")
