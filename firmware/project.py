"""A firmware project on disk, and the shell round the commands that work on one.

Every command: ``python -m firmware.VERB --project DIR``, exit code 0 done, 1 something is wrong (one
line on stderr), 2 the command line is wrong, 130 interrupted.
"""

import argparse
import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

PACKAGES = {
    "cmake": "cmake",
    "ninja": "ninja-build",
    "gcc": "gcc",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "nano.specs": "libnewlib-arm-none-eabi",
    "arm-none-eabi-size": "binutils-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}


class FirmwareError(Exception):
    """What is wrong, where, and how to mend it, in one line."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer the board reports: its name, the tensor of the flatbuffer, its bytes."""

    name: str
    tensor: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Project:
    """project.json and board.json of one directory, checked.

    Attributes:
      rows, row_codes: of a frame, as the board takes it.
      binning: k; the board averages k x k codes to a pixel.
      stamp: what the image says of generator and front end; None in projects that have none.
      input_tensor, output_tensor: the int8 tensors at the edges; None where they are the flatbuffer's own.
    """

    path: Path
    board: dict[str, Any]
    model_sha256: str
    rows: int
    row_codes: int
    code_bytes: int
    layers: tuple[Layer, ...]
    outputs: int
    class_names: tuple[str, ...]
    state_bytes: int
    predicted: dict[str, int | None]
    stamp: str | None = None
    input_tensor: int | None = None
    output_tensor: int | None = None
    binning: int = 1

    @property
    def elf(self) -> Path:
        return self.path / "build" / "firmware.elf"

    @property
    def on_host(self) -> bool:
        return bool(self.board["core"] == "host")

    def class_name(self, index: int) -> str:
        return self.class_names[index] if index < len(self.class_names) else f"class {index}"


def load(path: Path) -> Project:
    """Read a project; FirmwareError if ``path`` is not one."""
    path = path.absolute()
    try:
        record = json.loads((path / "project.json").read_text())
        version = record["loggrad_project"]
        board = json.loads((path / "boards" / record["board"] / "board.json").read_text())
        if version != 1:
            raise FirmwareError(f"{path}: project version {version}, this program reads 1: generate it again")
        return Project(
            path=path,
            board=board,
            layers=tuple(Layer(**layer) for layer in record["layers"]),
            class_names=tuple(record["class_names"]),
            **{
                key: record[key]
                for key in (
                    "model_sha256",
                    "rows",
                    "row_codes",
                    "code_bytes",
                    "outputs",
                    "state_bytes",
                    "predicted",
                )
            },
            **{key: record.get(key) for key in ("stamp", "input_tensor", "output_tensor")},
            binning=record.get("binning", 1),
        )
    except FileNotFoundError as error:
        raise FirmwareError(
            f"{path}: not a firmware project, {error.filename} is missing: see export.firmware"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise FirmwareError(f"{path}/project.json: damaged ({error!r}): generate the project again") from None


def predicted(value: int | None) -> str:
    """The end of a line that tells a measured size."""
    return "" if value is None else f", predicted {value:,}"


def tool(name: str) -> str:
    """The path of a program; FirmwareError naming its package if it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise FirmwareError(f"{name} is not installed: apt install {PACKAGES.get(name, name)}")
    return found


def first_line(command: list[str]) -> str:
    """What a program says its version is."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout or result.stderr).strip().split("\n")[0]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def seconds(text: str) -> float:
    """The value of a flag that is a positive, finite time."""
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}': give a number of seconds above 0")
    return value


def count(text: str) -> int:
    """The value of a flag that is a number of things, at least one."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}': give a number of at least 1")
    return value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see --help)\n")


def bare_parser(doc: str | None) -> argparse.ArgumentParser:
    """No options, and errors of one line."""
    lines = (doc or "").strip().split("\n")
    return _Parser(description=lines[0], epilog="\n".join(lines[1:]))


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options every command that works on a project has."""
    made = bare_parser(doc)
    made.add_argument("--project", type=Path, required=True, help="directory that export.firmware wrote")
    return made


def run(main: Callable[[], int]) -> None:
    """Call ``main`` and exit with its code; an expected error is one line."""
    try:
        code = main()
    except FirmwareError as error:
        code = _fail(1, str(error))
    except OSError as error:
        code = _fail(1, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        code = _fail(130, "interrupted")
    sys.exit(code)


def _fail(code: int, message: str) -> int:
    sys.stdout.flush()
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code
