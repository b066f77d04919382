"""Runs C library calls on the computer and in QEMU, by a case runner of tests/firmware/c (``lg_case.h``).

A `Case` is what goes in, what must come out and how much memory it takes; `run` sends a list of
them through one program start and returns the answers, cut where the cases say.
"""

import dataclasses
import functools
import json
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tests.support import REPOSITORY

FIRMWARE = REPOSITORY / "firmware"
BOARDS = tuple(
    sorted(
        p.parent.name for p in (FIRMWARE / "boards").glob("*/board.json") if json.loads(p.read_text())["qemu"]
    )
)
STRICT = [
    *("-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wmissing-prototypes"),
    *("-pedantic", "-Werror", "-ffunction-sections", "-fdata-sections"),
]
SANITIZE = (
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"),
    *("-DLG_CASE_MALLOC", "-DLG_DSP_EMULATE"),
)

OPERATIONS = {
    name: number
    for first, names in (
        (0, "end quantizer table_line table_gradient pack unpack crc misuse fault bin"),
        (80, "table_conv level_codes"),
        (
            64,
            "row_depthwise row_max_pool row_average_pool row_mean row_dense row_add row_mul row_lookup"
            " row_copy_pixels requant_double requant_single products",
        ),
        (16, "conv depthwise fully_connected add max_pool average_pool mean pad requantize"),
        (32, "conv_row rescale"),
        (96, "cells"),
    )
    for number, name in enumerate(names.split(), first)
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One call: `data` for the runner, the `expected` answer, the bytes of memory it needs there."""

    name: str
    data: bytes
    expected: bytes
    memory: int
    ticks: bool = False  # the answer ends in a word of counter ticks, which `expected` leaves out

    @property
    def answer_size(self) -> int:
        return len(self.expected) + 4 * self.ticks


def case(
    operation: str,
    words: list[int],
    arrays: list[np.ndarray],
    expected: bytes,
    *,
    name: str = "",
    ticks: bool = False,
    memory: int = 0,
) -> Case:
    """A case from its parameter words and arrays; `memory` adds to what the arrays and the answer take."""
    blobs = [np.ascontiguousarray(a).tobytes() for a in arrays]
    head = struct.pack(f"<{1 + len(words)}I", OPERATIONS[operation], *(w & 0xFFFFFFFF for w in words))
    need = memory + sum(len(b) + 24 for b in blobs) + len(expected) + 24
    return Case(name or operation, head + b"".join(blobs), expected, need, ticks)


@dataclasses.dataclass(frozen=True)
class Program:
    """A built runner: the command that starts it, its memory, and instructions per counter tick."""

    command: tuple[str, ...]
    memory: int
    instructions_per_tick: float


def library_sources() -> list[str]:
    return sorted(str(p) for p in (FIRMWARE / "lib" / "src").glob("*.c"))


def board_sources(name: str) -> list[str]:
    """board.c of the folder, where there is one, and what its board.json takes from boards/common."""
    folder = FIRMWARE / "boards" / name
    common = json.loads((folder / "board.json").read_text())["common"]
    return [str(p) for p in (*folder.glob("board.c"), *(folder.parent / "common" / c for c in common))]


def includes() -> list[str]:
    return [f"-I{FIRMWARE / 'lib' / 'include'}", f"-I{FIRMWARE / 'boards' / 'common'}"]


def compile_c(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def objects(command: list[str], sources: list[str], folder: Path) -> list[str]:
    """Object files of ``sources``, one compiler call each, so that ccache (if installed) knows them again."""
    folder.mkdir(exist_ok=True)
    launcher = ["ccache"] if shutil.which("ccache") else []
    made = [str(folder / f"{Path(source).stem}.o") for source in sources]
    for source, target in zip(sources, made, strict=True):
        compile_c([*launcher, *command, "-c", source, "-o", target])
    return made


@functools.cache
def workspace() -> tempfile.TemporaryDirectory[str]:
    """Where the runners are built, once for all test modules; removed when Python ends."""
    return tempfile.TemporaryDirectory(prefix="loggrad-runners-")


@functools.cache
def build_host(runner: str) -> Program:
    """A runner of tests/firmware/c for this computer, under address and undefined-behaviour sanitizers."""
    program = Path(workspace().name) / runner
    sources = [str(REPOSITORY / f"tests/firmware/c/{runner}.c"), *board_sources("host")]
    command = ["gcc", *STRICT, *SANITIZE, *includes()]
    compiled = objects(command, [*sources, *library_sources()], program.with_suffix(".o"))
    compile_c(["gcc", *SANITIZE, *compiled, "-o", str(program)])
    return Program((str(program),), 1 << 30, 0.0)


@functools.cache
def build_board(name: str, runner: str) -> Program:
    """A runner for a board, started in QEMU."""
    boards = FIRMWARE / "boards"
    board = json.loads((boards / name / "board.json").read_text())
    arena = min(board["ram"]["length"] - board["stack"] - 1536, 1 << 18)
    program = Path(workspace().name) / f"{runner}-{name}.elf"
    symbols = {f"{m}_{key}": board[m][key] for m in ("flash", "ram") for key in ("origin", "length")}
    symbols["stack_bytes"] = board["stack"]
    command, folder = ["arm-none-eabi-gcc", *board["flags"], *STRICT, *includes()], program.with_suffix(".o")
    case = str(REPOSITORY / f"tests/firmware/c/{runner}.c")
    compiled = objects([*command, f"-DLG_CASE_ARENA={arena}"], [case], folder)
    compiled += objects(command, [*board_sources(name), *library_sources()], folder)
    compile_c(
        ["arm-none-eabi-gcc", *board["flags"], *compiled, *board["link"], "-Wl,--gc-sections"]
        + [f"-Wl,--defsym=lg_{key}={value}" for key, value in symbols.items()]
        + [f"-T{boards / 'common' / 'sections.ld'}", "-o", str(program)]
    )
    counter = board["counter"]
    qemu = (
        "qemu-system-arm",
        "-M",
        board["qemu"]["machine"],
        *board["qemu"]["args"],
        "-kernel",
        str(program),
    )
    return Program(qemu, arena, counter["numerator"] / counter["denominator"])


def run(program: Program, cases: list[Case], timeout: float = 120) -> list[bytes]:
    """The answers to `cases`, in order; the program must end well and answer nothing else."""
    data = b"".join(c.data for c in cases) + struct.pack("<I", OPERATIONS["end"])
    done = subprocess.run(program.command, input=data, capture_output=True, timeout=timeout)
    assert done.returncode == 0, (
        f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
    )
    answers, at = [], 0
    for one in cases:
        answers.append(done.stdout[at : at + one.answer_size])
        at += one.answer_size
    assert at == len(done.stdout)
    return answers


def assert_equal(program: Program, cases: list[Case]) -> None:
    """Every answer equals the expected bytes; otherwise the failing cases are named and counted."""
    fitting = [c for c in cases if c.memory <= program.memory]
    assert fitting, "no case fits this program's memory"
    wrong = []
    for one, answer in zip(fitting, run(program, fitting), strict=True):
        got = np.frombuffer(answer[: len(one.expected)], np.uint8)
        want = np.frombuffer(one.expected, np.uint8)
        if (got != want).any():
            wrong.append(f"{one.name}: {(got != want).sum()} of {want.size} bytes differ")
    assert not wrong, f"{len(wrong)} of {len(fitting)} cases: " + "; ".join(wrong[:5])
