"""Every board: facts of board.json, static RAM, channels in QEMU, boot block, camera, a debugger's load."""

import functools
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from export import firmware as export
from tests.support.firmware_cases import (
    BOARDS,
    FIRMWARE,
    REPOSITORY,
    STRICT,
    board_sources,
    compile_c,
    library_sources,
    workspace,
)

DATA = {p.parent.name: json.loads(p.read_text()) for p in sorted((FIRMWARE / "boards").glob("*/board.json"))}
LINKED = [(name, channel) for name, data in DATA.items() for channel in data["statics"] or ()]
COMMON = FIRMWARE / "boards" / "common"

# All six functions, no variables of its own; after "!", what is read is written back until "q".
PROBE = """#include "lg_board.h"

int main(void)
{
    lg_board_init();
    uint8_t byte = '!';
    do {
        (void)lg_board_write(&byte, 1u);
    } while (lg_board_read(&byte, 1u) == 1u && byte != 'q');
    uint8_t line[1];
    const int camera = byte == 'c' ? lg_board_camera_line(line, 1u, 0u) : 0;
    return camera + (lg_board_ticks() == 1u ? 1 : 0);
}
"""


@functools.cache
def link(name: str, channel: str) -> Path:
    """The probe for a board."""
    data, folder = DATA[name], Path(workspace().name) / "boards"
    folder.mkdir(exist_ok=True)
    elf, source = folder / f"{name}-{channel}.elf", folder / "probe.c"
    source.write_text(PROBE)
    symbols = {f"{m}_{key}": data[m][key] for m in ("flash", "ram") for key in ("origin", "length")}
    symbols["stack_bytes"] = data["stack"]
    compile_c(
        ["arm-none-eabi-gcc", *data["flags"], *STRICT, *(["-DLG_CHANNEL_UART"] if channel == "uart" else [])]
        + [f"-I{COMMON}", f"-I{FIRMWARE / 'boards' / name}", str(source), *board_sources(name)]
        + [*data["link"], "-Wl,--gc-sections", f"-T{COMMON / 'sections.ld'}", "-o", str(elf)]
        + [f"-Wl,--defsym=lg_{key}={value}" for key, value in symbols.items()]
    )
    return elf


def binary(elf: Path) -> bytes:
    compile_c(["arm-none-eabi-objcopy", "-O", "binary", str(elf), str(elf.with_suffix(".bin"))])
    return elf.with_suffix(".bin").read_bytes()


class Talk:
    """A program and both ends of its line; it is killed at the end."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def __enter__(self) -> "Talk":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def send(self, data: bytes) -> None:
        assert self.process.stdin
        assert self.process.stdin.write(data) == len(data)

    def receive(self, size: int, seconds: float = 10) -> bytes:
        assert self.process.stdout
        got, deadline = b"", time.monotonic() + seconds
        while len(got) < size:
            ready, _, _ = select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{len(got)} of {size} bytes came: {got[-80:]!r}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"closed after {got[-80:]!r}"
            got += data
        return got


def qemu(name: str, serial: str, *more: str) -> list[str]:
    args = list(DATA[name]["qemu"]["args"])
    args[args.index("-serial") + 1] = serial
    if serial != "none":  # in real time: a waiting program must not wait for a counted clock
        del args[args.index("-icount") : args.index("-icount") + 2]
    return ["qemu-system-arm", "-M", DATA[name]["qemu"]["machine"], *args, *more]


@pytest.mark.parametrize("name", DATA)
def test_every_board_has_the_same_fields(name: str) -> None:
    data = DATA[name]
    assert list(data) == list(DATA["host"]) and data["name"] == name
    if data["core"] == "host":
        return
    assert data["channel"] in data["statics"] and "semihosting" in data["statics"]
    assert data["counter"]["unit"] == ("instructions" if data["qemu"] else "cycles")
    assert ("uart_channel.c" in data["common"]) == ("uart" in data["statics"])
    assert data["qemu"] or data["flash_tools"], "neither emulated nor real"
    assert all((COMMON / source).is_file() for source in data["common"])


@pytest.mark.parametrize("name", DATA)
def test_a_project_holds_every_source_of_its_board(name: str, tmp_path: Path) -> None:
    export.write_folders(name, tmp_path / "p")
    sources = [Path(source).relative_to(FIRMWARE) for source in board_sources(name)]
    assert all((tmp_path / "p" / source).is_file() for source in sources)
    assert ("board.c" in (source.name for source in sources)) != ("mps2.c" in DATA[name]["common"])


@pytest.mark.qemu
@pytest.mark.parametrize(("name", "channel"), LINKED)
def test_statics_are_what_board_json_says(name: str, channel: str) -> None:
    elf, data = link(name, channel), DATA[name]
    listing = subprocess.run(["arm-none-eabi-nm", "-S", str(elf)], capture_output=True, text=True).stdout
    symbols = [line.split() for line in listing.splitlines()]
    sizes = {s[3]: int(s[1], 16) for s in symbols if len(s) == 4 and s[2] in "bBdD"}
    places = {s[-1]: int(s[0], 16) for s in symbols}
    assert sum(sizes.values()) == data["statics"][channel], sizes
    assert places["lg_data_start"] == places["lg_data_end"] == data["ram"]["origin"] + data["stack"]
    assert places["lg_bss_end"] - places["lg_bss_start"] == -(-data["statics"][channel] // 8) * 8
    image, first = binary(elf), 256 if name == "raspberry-pi-pico" else 0
    stack, reset = struct.unpack_from("<2I", image, first)
    assert stack == data["ram"]["origin"] + data["stack"]
    assert reset == places["lg_reset"] | 1 and places["lg_vectors"] == data["flash"]["origin"] + first


@pytest.mark.qemu
@pytest.mark.parametrize("name", [n for n in BOARDS if "uart" in DATA[n]["statics"]])
def test_serial_line_echoes(name: str) -> None:
    data = bytes(i * 89 % 251 for i in range(5000)).replace(b"q", b"r") + bytes(range(114, 256))
    with Talk(qemu(name, "stdio", "-kernel", str(link(name, "uart")))) as board:
        assert board.receive(1) == b"!"
        board.send(data)
        assert board.receive(len(data)) == data
        board.send(b"q")
        assert board.receive(9) == b"\nexit 0\n!"  # it has started again


@pytest.mark.qemu
@pytest.mark.parametrize("name", ["mps2-an386", "stm32vldiscovery"])
def test_console_reads_do_not_wait_for_more(name: str) -> None:
    with Talk(qemu(name, "none", "-kernel", str(link(name, "semihosting")))) as board:
        assert board.receive(1) == b"!"
        for size in (1, 2, 63, 64, 65, 200):
            board.send(b"x" * size)
            assert board.receive(size) == b"x" * size
        board.send(b"q")
        assert board.process.wait(10) == 0


def crc32(data: bytes) -> int:
    """Polynomial 0x04C11DB7, start all ones, not reflected, as the boot ROM of the RP2040 computes it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


@pytest.mark.qemu
def test_boot_block_of_the_pico(tmp_path: Path) -> None:
    assert crc32(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2
    source, code = COMMON / "rp2040_boot2.s", tmp_path / "boot2"
    compile_c(["arm-none-eabi-as", str(source), "-o", f"{code}.o"])
    compile_c(["arm-none-eabi-objcopy", "-O", "binary", f"{code}.o", f"{code}.bin"])
    block = binary(link("raspberry-pi-pico", "uart"))[:256]
    assert block[:252] == code.with_suffix(".bin").read_bytes().ljust(252, b"\0")
    assert struct.unpack("<I", block[252:]) == (crc32(block[:252]),)


@pytest.mark.qemu
def test_a_debugger_loads_the_image() -> None:
    """QEMU starts with an empty flash; what gdb writes there must start from its own vectors, and answer."""
    if shutil.which("gdb-multiarch") is None:
        pytest.skip("gdb-multiarch is not installed: firmware/install_tools.sh --tests")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    steps = ["set tcp connect-timeout 10", f"target remote 127.0.0.1:{port}", "load", "monitor system_reset"]
    command = ["gdb-multiarch", "-nx", "-batch", *(w for s in (*steps, "continue") for w in ("-ex", s))]
    board = Talk(qemu("netduinoplus2", "stdio", "-S", "-gdb", f"tcp:127.0.0.1:{port}"))
    with board, Talk([*command, str(link("netduinoplus2", "uart"))]):
        assert board.receive(1, 20) == b"!"
        board.send(b"loaded")
        assert board.receive(6) == b"loaded"


@pytest.mark.seconds
def test_clang_finds_nothing() -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed: firmware/install_tools.sh --tests")
    only = ["-fsyntax-only", "-Wno-unused-command-line-argument"]
    host = [f"-I{COMMON}", f"-I{FIRMWARE / 'lib/include'}", *library_sources()]
    compile_c(["clang", *STRICT, *only, *host, *board_sources("host")])
    gcc = shutil.which("arm-none-eabi-gcc")
    if gcc is None:
        pytest.skip("arm-none-eabi-gcc is not installed: only the host was checked")
    found = subprocess.run([gcc, "-print-sysroot"], capture_output=True, text=True).stdout.strip()
    newlib = next(p for p in (Path(found) / "include", Path("/usr/lib/arm-none-eabi/include")) if p.is_dir())
    # Serial lines where there are some; the other channel comes with the boards that have none.
    for name, channel in dict(LINKED).items():
        data = DATA[name]
        arm = [
            "--target=arm-none-eabi",
            *data["flags"],
            "-isystem",
            str(newlib),
            f"-I{FIRMWARE / 'boards' / name}",
        ]
        arm += ["-DLG_CHANNEL_UART"] if channel == "uart" else []
        compile_c(["clang", *STRICT, *only, *arm, f"-I{COMMON}", *board_sources(name)])


MEMORY = """#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void *copy(void *restrict to, const void *restrict from, size_t size);
void *fill(void *to, int value, size_t size);

/* Blocks of their own, which the sanitizer watches the ends of. */
int main(void)
{
    for (size_t size = 0; size < 40; size++) {
        for (size_t at = 0; at < 16; at++) {
            const size_t left = at % 4, right = at / 4;
            uint8_t *const from = malloc(size + left + 1), *const to = malloc(size + right + 1);
            for (size_t i = 0; i < size; i++) {
                from[left + i] = (uint8_t)(i * 7 + 1);
            }
            to[right] = 99;
            int wrong = copy(to + right, from + left, size) != to + right || (size == 0 && to[right] != 99);
            for (size_t i = 0; i < size; i++) {
                wrong |= to[right + i] != (uint8_t)(i * 7 + 1);
            }
            wrong |= fill(to + right, 0x1A5, size) != to + right || (size == 0 && to[right] != 99);
            for (size_t i = 0; i < size; i++) {
                wrong |= to[right + i] != 0xA5;
            }
            free(from);
            free(to);
            if (wrong) {
                printf("%zu bytes from %zu to %zu", size, left, right);
                return 1;
            }
        }
    }
    return 0;
}
"""


@pytest.mark.parametrize("core", ["-U__ARM_FEATURE_UNALIGNED", "-D__ARM_FEATURE_UNALIGNED"])
def test_copy_and_fill(core: str, tmp_path: Path) -> None:
    (tmp_path / "test.c").write_text(MEMORY)
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fno-builtin"]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    # Under their own names the sanitizer's would be called.
    names = ["-Dmemcpy=copy", "-Dmemset=fill"]
    sources = [str(COMMON / "memory.c"), str(tmp_path / "test.c")]
    compile_c(["gcc", *strict, *sanitize, core, *names, *sources, "-o", str(tmp_path / "test")])
    done = subprocess.run([str(tmp_path / "test")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.qemu
@pytest.mark.parametrize("name", [n for n in DATA if DATA[n]["core"] != "host"])
def test_memory_is_linked_from_here(name: str) -> None:
    """The C library's are larger: 142 and 166 B on the M0, 308 and 164 B on the M4."""
    listing = subprocess.run(
        ["arm-none-eabi-nm", "-S", str(link(name, DATA[name]["channel"]))], capture_output=True, text=True
    ).stdout
    sizes = {
        line.split()[3]: int(line.split()[1], 16) for line in listing.splitlines() if len(line.split()) == 4
    }
    assert 0 < sizes["memcpy"] < 100 and 0 < sizes["memset"] < 100


def driver(folder: Path, *defined: str, periods: int = 400) -> Path:
    """The camera's driver with a simulated sensor, whose rows are so many periods long."""
    program = folder / "hm01b0"
    sources = [str(REPOSITORY / "tests/firmware/c/hm01b0_cases.c"), str(COMMON / "hm01b0.c")]
    include = [f"-I{REPOSITORY / 'tests/firmware/c'}", f"-I{COMMON}"]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-DHM01B0_LINE_PCK={periods}u"]
    compile_c(["gcc", *STRICT, *sanitize, *include, *defined, *sources, "-o", str(program)])
    return program


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose windows are squares."""
    return driver(tmp_path_factory.mktemp("camera"))


def shoot(camera: Path, *arguments: object) -> list[list[str]]:
    command = [str(camera), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize("codes", [1, 48, 96, 121, 122, 123, 200, 244])
def test_camera_rows(camera: Path, codes: int) -> None:
    check_window(camera, codes, codes)


@pytest.mark.parametrize(("codes", "height"), [(162, 122), (163, 122), (48, 123), (97, 48), (324, 244)])
def test_camera_rows_of_windows_that_are_no_squares(tmp_path: Path, codes: int, height: int) -> None:
    made = driver(tmp_path, f"-DLG_CAMERA_ROWS={height}u", periods=440)
    check_window(made, codes, height, periods=440)


@pytest.mark.parametrize(("codes", "height"), [(325, 244), (200, 245)])
def test_camera_has_no_larger_window(tmp_path: Path, codes: int, height: int) -> None:
    assert shoot(driver(tmp_path, f"-DLG_CAMERA_ROWS={height}u"), "size", codes) == [["-7", "0"]]


def check_window(camera: Path, codes: int, height: int, periods: int = 400) -> None:
    """The sensor sends 7 * line + 3 * column, mod 251; the window is in the middle."""
    *rows, registers = shoot(camera, "rows", codes, height, 50)
    binned = codes <= 162 and height <= 122
    columns, lines = (162, 122) if binned else (324, 244)
    left, top = (columns - codes) // 2, (lines - height) // 2
    for row, line in enumerate(rows):
        assert line == [
            "0",
            *(str((7 * (top + row) + 3 * (left + i)) % 251) for i in range(codes)),
        ], f"row {row}"
    assert len(rows) == height
    # streaming, BINNING_MODE, READOUT_X, BIT_CONTROL, LINE_LENGTH_PCK, FRAME_LENGTH_LINES
    expected = ["1", *(("3", "3") if binned else ("0", "1")), "2", str(periods), "132" if binned else "260"]
    assert registers == ["registers", *expected, "writes", "25"]


@pytest.mark.parametrize(
    ("fault", "codes", "status"),
    [
        ("dead", 96, -2),
        ("deaf", 96, -2),
        ("other", 96, -3),
        ("still", 96, -4),
        ("short", 96, -5),
        ("stuck", 96, -5),
        ("size", 0, -7),
        ("size", 245, -7),
    ],
)
def test_camera_faults(camera: Path, fault: str, codes: int, status: int) -> None:
    assert shoot(camera, fault, codes)[0][0] == str(status)


@pytest.mark.parametrize("lines", [2, 130, 258])
def test_camera_exposure_is_fixed(camera: Path, lines: int) -> None:
    """AE_CTRL on at first; then off, INTEGRATION, ANALOG_GAIN 1, DIGITAL_GAIN 1.0, DPC_CTRL off."""
    first, fixed = shoot(camera, "expose", 96, lines)
    assert first == ["0", "1"]
    assert fixed == ["0", "0", "0", str(lines), "0", "256", "0"]


def test_camera_order(camera: Path) -> None:
    """Row 1 first; row 0; a row past the frame; a row after that error; row 0 again."""
    assert shoot(camera, "gone", 96) == [["-6", "0", "-5", "-6", "0"]]


def test_camera_tells_who_is_late(camera: Path) -> None:
    """A row has 400 periods of 10 looks; its codes end in the middle."""
    assert [row[0] for row in shoot(camera, "rows", 96, 3, 1000)[:3]] == ["0", "0", "0"]
    assert [row[0] for row in shoot(camera, "rows", 96, 3, 4000)[:3]] == ["0", "-6", "-6"]
