"""CMake project of library and board: builds strictly and reproducibly, starts up, shows its state."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.firmware_cases import FIRMWARE, compile_c

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
    host_channel_open();
    return 42;
}
"""


def build(folder: Path, board: str, source: str = PROBE, *options: str) -> Path:
    for part in ("lib", "boards", "cmake"):
        shutil.copytree(FIRMWARE / part, folder / part)
    (folder / "CMakeLists.txt").write_text(PROJECT)
    (folder / "probe.c").write_text(source)
    command = ["cmake", "-S", str(folder), "-B", str(folder / "build"), f"-DLG_BOARD={board}", *options]
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
@pytest.mark.parametrize("board", ["stm32vldiscovery", "mps2-an386"])
def test_a_stack_overflow_is_a_fault(board: str, tmp_path: Path) -> None:
    """Below RAM the first board has nothing: the first push faults. In QEMU the second one has an area there
    that reads as zero: the first return faults."""
    elf = build(tmp_path, board, OVERFLOW)
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
    build(tmp_path, "host", PROBE, f"-DLG_WERROR={strict}")
    commands = json.loads((tmp_path / "build" / "compile_commands.json").read_text())
    assert len(commands) > 10
    for one in commands:
        words = one["command"].split()
        assert "-std=c99" in words and "-ffp-contract=off" in words
        assert ("-Werror" in words) == (strict == "ON")


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
