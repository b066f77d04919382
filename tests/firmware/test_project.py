"""CMake project of library and board: builds strictly and reproducibly, starts up, shows its state."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.firmware_cases import FIRMWARE, compile_c, workspace

PROJECT = """cmake_minimum_required(VERSION 3.21)
project(probe C)
include(cmake/loggrad.cmake)
loggrad_image(probe probe.c)
loggrad_image(overflow overflow.c)
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

OVERFLOW = """#include "lg_board.h"

static volatile uint32_t initialised = 0x12345678u;
static volatile uint32_t cleared[1000]; /* more than what runs over below */

static uint32_t __attribute__((noinline)) descend(uint32_t depth)
{
    volatile uint32_t frame[64];
    frame[0] = depth;
    const uint32_t below = depth > 0u ? descend(depth - 1u) : 0u;
    return below + frame[0]; /* read afterwards: this frame outlives the call */
}

int main(void)
{
    lg_board_init();
    uint8_t depth = 0;
    (void)lg_board_read(&depth, 1);
    (void)descend(depth);
    for (uint32_t i = 0; i < 1000u; i++) {
        if (cleared[i] != 0u) {
            return 9;
        }
    }
    return initialised == 0x12345678u ? 42 : 9;
}
"""

REFUSED = """#include <stdint.h>
#include <stdlib.h>
#define SEMIHOSTING_H
enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { OPEN_READ = 0, OPEN_WRITE = 4 };
static int opened;
static int32_t semihosting(uint32_t operation, const void *block)
{
    if (operation == SYS_EXIT_EXTENDED) {
        exit((int)((const uintptr_t *)block)[1]);
    }
    return operation == SYS_OPEN && ++opened == REFUSED ? -1 : 0;
}
#include "host_channel.c"
int main(void)
{
    channel_open();
    return 42;
}
"""


def make(folder: Path) -> None:
    """The source tree of a project."""
    for part in ("lib", "boards", "cmake"):
        shutil.copytree(FIRMWARE / part, folder / part)
    (folder / "CMakeLists.txt").write_text(PROJECT)
    (folder / "probe.c").write_text(PROBE)
    (folder / "overflow.c").write_text(OVERFLOW)


def configure(
    folder: Path, board: str, *options: str, out: Path | None = None, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [
        "cmake",
        "-S",
        str(folder),
        "-B",
        str(out or folder / "build"),
        f"-DLG_BOARD={board}",
        *options,
    ]
    if board != "host":
        command.append(f"-DCMAKE_TOOLCHAIN_FILE={folder}/cmake/arm-none-eabi.cmake")
    environment = os.environ | ({"PATH": path} if path else {})
    command[0] = shutil.which("cmake") or "cmake"
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def build(folder: Path, board: str, *options: str, out: Path | None = None) -> Path:
    """Make a project unless there is one, build it, and say where the images are."""
    if not (folder / "CMakeLists.txt").exists():
        make(folder)
    out = out or folder / "build"
    done = configure(folder, board, *options, out=out)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(["cmake", "--build", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@functools.cache
def built(board: str) -> Path:
    """The images of a board, built once."""
    folder = Path(workspace().name) / f"project-{board}"
    folder.mkdir()
    return build(folder, board)


def message(done: subprocess.CompletedProcess[str]) -> str:
    """What CMake says, its line breaks taken out."""
    assert done.returncode != 0
    return " ".join((done.stdout + done.stderr).split())


def start(elf: Path, board: str, data: bytes) -> subprocess.CompletedProcess:
    command = [str(elf)]
    if board != "host":
        qemu = json.loads((FIRMWARE / "boards" / board / "board.json").read_text())["qemu"]
        command = ["qemu-system-arm", "-M", qemu["machine"], *qemu["args"], "-kernel", str(elf)]
    return subprocess.run(command, input=data, capture_output=True, timeout=20)


@pytest.mark.seconds
def test_project_builds_and_runs_on_the_host() -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    done = start(built("host") / "probe.elf", "host", b"\0" * 999)
    assert done.returncode == 42 and len(done.stdout) == 4


@pytest.mark.qemu
@pytest.mark.parametrize(
    "board", ["mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "stm32vldiscovery"]
)
def test_project_builds_and_runs(board: str) -> None:
    elf = built(board) / "probe.elf"
    done = start(elf, board, b"123456789")
    assert done.returncode == 42
    assert int.from_bytes(done.stdout, "little") == 0xCBF43926  # the check value of CRC-32
    sizes = subprocess.run(["arm-none-eabi-size", "-A", str(elf)], capture_output=True, text=True).stdout
    state = next(line.split() for line in sizes.splitlines() if line.startswith(".lg_state"))
    assert int(state[1]) == 1236  # 1234, rounded up to words


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["stm32vldiscovery", "mps2-an386"])
def test_a_stack_overflow_is_a_fault(board: str) -> None:
    """Below RAM the first board has nothing: the first push faults. In QEMU the second one has an area there
    that reads as zero: the first return faults."""
    elf = built(board) / "overflow.elf"
    assert start(elf, board, bytes([2])).returncode == 42
    stack = json.loads((FIRMWARE / "boards" / board / "board.json").read_text())["stack"]
    for depth in (stack // 256 + 3, 255):
        code = start(elf, board, bytes([depth])).returncode
        assert 67 <= code <= 69, f"{depth} frames ran past the stack: exit code {code}"


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_host_without_a_console_ends_the_program(refused: int, tmp_path: Path) -> None:
    source, program = tmp_path / "refused.c", tmp_path / "refused"
    source.write_text(REFUSED)
    include = f"-I{FIRMWARE / 'boards' / 'common'}"
    compile_c(["gcc", "-std=c99", f"-DREFUSED={refused}", include, str(source), "-o", str(program)])
    assert subprocess.run([str(program)], timeout=20).returncode == (63 if refused else 42)


@pytest.mark.parametrize("strict", ["ON", "OFF"])
def test_every_file_is_compiled_as_c99(strict: str, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    make(tmp_path)
    assert configure(tmp_path, "host", f"-DLG_WERROR={strict}").returncode == 0
    commands = json.loads((tmp_path / "build" / "compile_commands.json").read_text())
    assert len(commands) > 10
    for one in commands:
        words = one["command"].split()
        assert "-std=c99" in words and "-ffp-contract=off" in words
        assert ("-Werror" in words) == (strict == "ON")


@pytest.mark.qemu
@pytest.mark.usefixtures("no_compiler_cache")
def test_build_does_not_depend_on_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "over" / "there"
    folder.mkdir(parents=True)
    (tmp_path / "here").mkdir()
    there = build(folder, "mps2-an386")
    images = [p / "probe.elf" for p in (build(tmp_path / "here", "mps2-an386"), there)]
    assert images[0].read_bytes() == images[1].read_bytes()


@pytest.mark.qemu
def test_a_read_only_tree_with_spaces_builds_elsewhere(tmp_path: Path) -> None:
    """And on the serial line, which CMake gives to a real board unless told otherwise."""
    folder, out = tmp_path / "my project", tmp_path / "its build"
    make(folder)
    paths = [folder, *folder.rglob("*")]
    before = sorted(paths)
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        elf = build(folder, "nucleo-f446re", out=out) / "probe.elf"
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert sorted([folder, *folder.rglob("*")]) == before
    names = subprocess.run(["arm-none-eabi-nm", str(elf)], capture_output=True, text=True).stdout
    assert " T uart_get" in names and "semihosting" not in names
    elf = build(folder, "nucleo-f446re", "-DLG_CHANNEL=semihosting", out=out) / "probe.elf"
    names = subprocess.run(["arm-none-eabi-nm", str(elf)], capture_output=True, text=True).stdout
    assert " uart_get" not in names and " b host" in names
    refused = configure(folder, "mps2-an386", "-DLG_CHANNEL=uart", out=tmp_path / "refused")
    assert "LG_CHANNEL='uart' is no channel of mps2-an386" in message(refused)


def test_a_missing_toolchain_is_named(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    make(tmp_path)
    empty, broken = tmp_path / "bin", tmp_path / "broken"
    empty.mkdir()
    done = configure(tmp_path, "mps2-an386", path=str(empty))
    assert "arm-none-eabi-gcc is not on PATH: apt install gcc-arm-none-eabi" in message(done)
    broken.mkdir()
    for name in ("arm-none-eabi-gcc", "arm-none-eabi-ar"):
        (broken / name).write_text("#!/bin/sh\necho nano.specs\n")
        (broken / name).chmod(0o755)
    done = configure(
        tmp_path, "mps2-an386", f"-DLG_TOOLCHAIN_DIR={broken}", out=tmp_path / "b", path=str(empty)
    )
    assert "has no C library (nano.specs): apt install libnewlib-arm-none-eabi" in message(done)


def test_an_old_cmake_is_told(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    script = tmp_path / "old.cmake"
    script.write_text(f'set(CMAKE_VERSION 3.18.4)\ninclude("{FIRMWARE}/cmake/loggrad.cmake")\n')
    done = subprocess.run(["cmake", "-P", str(script)], capture_output=True, text=True)
    assert "CMake 3.18.4 is too old, 3.21 or later is needed: pip install cmake" in message(done)


@pytest.mark.parametrize("name", ["nowhere", "", "common"])
def test_unknown_board_is_named(name: str, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    make(tmp_path)
    said = message(configure(tmp_path, name))
    assert f"LG_BOARD='{name}' is no folder" in said and "host, microbit, mps2-an385" in said
