"""A firmware project on disk, and the shell round the commands that work on one.

Every command: ``python -m firmware.VERB --project DIR``, exit code 0 done, 1 something is wrong (one
line on stderr), 2 the command line is wrong, 130 interrupted.
"""

import argparse
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from loggrad_tf.data.cells import Cells
from loggrad_tf.errors import LogGradError

PACKAGES = {
    "cmake": "cmake",
    "ninja": "ninja-build",
    "gcc": "gcc",
    "g++": "g++",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "nano.specs": "libnewlib-arm-none-eabi",
    "arm-none-eabi-size": "binutils-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}


# Of boards/common/uart.h: the speed of serial lines, unless a project says another one.
BAUD = 115200
COLLECTOR = "collect"


class FirmwareError(Exception):
    """What is wrong, where, and how to mend it, in one line."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer the board reports: its name, the tensor of the flatbuffer, its bytes.

    Attributes:
      part: what of the tensor it is; None: all.
    """

    name: str
    tensor: int
    bytes: int
    part: "Part | None" = None


@dataclasses.dataclass(frozen=True)
class Part:
    """Channels of a tensor from ``first`` on, and which of its rows; ``rows`` empty: all."""

    first: int
    channels: int
    rows: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Node:
    """What makes rows of a layer, and the work that is predicted of it for a frame.

    Attributes:
      name: as the plan has it; ``input`` of what makes the input's rows.
      macs: multiply-accumulates.
      instructions, cycles: None where nothing is predicted.
    """

    name: str
    macs: int
    instructions: int | None
    cycles: int | None


@dataclasses.dataclass(frozen=True)
class Project:
    """project.json and board.json of one directory, checked.

    Attributes:
      rows, row_codes: of a frame, as the board takes it.
      binning: k; the board averages k x k codes to a pixel.
      name: what its public symbols begin with.
      nodes: the input, then every node in the order of its number; none in projects of another runtime.
      stamp: what the image says of generator and front end; None in projects that have none.
      arena_bytes: of an interpreter; None where the network is C.
      stateful: 1 if a frame's scores depend on the frames before it.
      runtime: of the network, or "collect", which has none.
      baud: of the image's serial line, if it has one.
      joined: the flatbuffer's inputs, if it has several; ``input_tensor`` is then the number of their row,
        and the numbers behind it are those of its pieces.
      cells: the grid of a detector, which gives objects in place of a class; None of a classifier.
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
    nodes: tuple[Node, ...] = ()
    stamp: str | None = None
    input_tensor: int | None = None
    output_tensor: int | None = None
    binning: int = 1
    arena_bytes: int | None = None
    stateful: int = 0
    name: str = "net"
    runtime: str = "loggrad"
    baud: int = BAUD
    joined: tuple[int, ...] = ()
    cells: Cells | None = None

    @property
    def collects(self) -> bool:
        """Is it a collector of frames, without a network?"""
        return self.runtime == COLLECTOR

    def check_network(self) -> None:
        """FirmwareError if it is a collector's."""
        if self.collects:
            raise FirmwareError(f"{self.path}: a collector, it has no network: use firmware.collect")

    @property
    def elf(self) -> Path:
        return self.path / "build" / "firmware.elf"

    @property
    def on_host(self) -> bool:
        return bool(self.board["core"] == "host")

    @property
    def cycles(self) -> int | None:
        """Of a frame, predicted; None where nothing is."""
        found = [node.cycles for node in self.nodes if node.cycles is not None]
        return sum(found) if found else None

    def check_classes(self, what: str) -> None:
        """FirmwareError if it is a detector's, of which ``what`` makes no sense."""
        if self.cells is not None:
            raise FirmwareError(f"{self.path}: a detector, which gives objects and no class: {what}")

    def class_name(self, index: int) -> str:
        return self.class_names[index] if index < len(self.class_names) else f"class {index}"


def load(path: Path) -> Project:
    """Read a project; FirmwareError if ``path`` is not one."""
    path = path.resolve()  # as CMake writes it down
    try:
        record = _read(path / "project.json", _PROJECT)
        if (form := record.get("form", "project")) != "project":
            raise FirmwareError(
                f"{path}: a library for {form}, which is built there: leave out --as of export.firmware for a"
                " project that is built here"
            )
        if record["loggrad_project"] != 1:
            version = record["loggrad_project"]
            raise FirmwareError(
                f"{path}/project.json: project version {version}, this program reads 1: generate it again"
            )
        if not re.fullmatch(r"[\w-]{1,100}", record["board"]):
            raise _damaged(path / "project.json", "board is no name")
        board = _read(path / "boards" / record["board"] / "board.json", _BOARD)
    except FileNotFoundError as error:
        raise FirmwareError(
            f"{path}: not a firmware project, {error.filename} is missing: see export.firmware"
        ) from None
    _check_board(path / "boards" / record["board"] / "board.json", board)
    copied: dict[str, Any] = {key: record.get(key) for key in _COPIED}
    return Project(
        path=path,
        board=board,
        layers=tuple(_layer(path / "project.json", layer) for layer in record["layers"]),
        nodes=tuple(_node(path / "project.json", node) for node in record.get("nodes") or ()),
        class_names=tuple(_texts(path / "project.json", record["class_names"], "class_names")),
        predicted=_predicted(path / "project.json", record["predicted"]),
        binning=record.get("binning", 1),
        stateful=record.get("stateful", 0),
        name=record.get("name", "net"),
        runtime=record.get("runtime", "loggrad"),
        baud=record.get("baud", BAUD),
        joined=_tensors(path / "project.json", record.get("joined") or []),
        cells=_cells(path / "project.json", record.get("cells"), record["outputs"], record["class_names"]),
        **copied,
    )


# Of a project.json or board.json, and of its numbers.
_MAX_BYTES, _MOST = 16 * 2**20, 2**32
_PROJECT: dict[str, type] = {
    "loggrad_project": int,
    "board": str,
    "model_sha256": str,
    "rows": int,
    "row_codes": int,
    "code_bytes": int,
    "outputs": int,
    "state_bytes": int,
    "layers": list,
    "class_names": list,
    "predicted": dict,
}
_OPTIONAL: dict[str, type] = {
    "stamp": str,
    "input_tensor": int,
    "output_tensor": int,
    "binning": int,
    "arena_bytes": int,
    "stateful": int,
    "name": str,
    "form": str,
    "runtime": str,
    "baud": int,
    "nodes": list,
    "joined": list,
    "cells": dict,
}
_COPIED = (
    *("model_sha256", "rows", "row_codes", "code_bytes", "outputs", "state_bytes"),
    *("stamp", "input_tensor", "output_tensor", "arena_bytes"),
)
_BOARD: dict[str, type] = {"name": str, "core": str}
# Of board.json's camera, where there is one.
_CAMERA: dict[str, type] = {
    **{"title": str, "cfa": str},
    **dict.fromkeys(("bits", "black", "white", "side", "lines", "line_us"), int),
}
_CAMERA_OPTIONAL: dict[str, type] = {"width": int}
# What a board that images can be run on or flashed to must have.
_HARDWARE: dict[str, type] = {"flash": dict, "ram": dict, "channel": str, "statics": dict}


def _damaged(path: Path, reason: str) -> FirmwareError:
    return FirmwareError(f"{path}: damaged ({reason}): generate the project again")


def _read(path: Path, kinds: Mapping[str, type]) -> dict[str, Any]:
    """The object in a JSON file, with these keys and values of these types."""
    if path.stat().st_size > _MAX_BYTES:
        raise _damaged(path, f"more than {_MAX_BYTES} bytes")
    try:
        record = json.loads(path.read_bytes())
    except RecursionError:
        raise _damaged(path, "nested too deeply") from None
    except ValueError as error:
        raise _damaged(path, f"no JSON, {error}") from None
    if not isinstance(record, dict):
        raise _damaged(path, "no object")
    _check(path, record, kinds)
    _check(path, {key: value for key, value in record.items() if value is not None}, _OPTIONAL, needed=False)
    return record


def _check(path: Path, record: dict[str, Any], kinds: Mapping[str, type], needed: bool = True) -> None:
    for key, kind in kinds.items():
        if key not in record:
            if needed:
                raise _damaged(path, f"'{key}' is missing")
            continue
        value = record[key]
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise _damaged(path, f"'{key}' is of type {type(value).__name__}, not {kind.__name__}")
        if isinstance(value, int) and not 0 <= value < _MOST:
            raise _damaged(path, f"'{key}' is outside 0..{_MOST - 1}")


def _layer(path: Path, layer: Any) -> Layer:
    if not isinstance(layer, dict) or set(layer) - {"part"} != {"name", "tensor", "bytes"}:
        raise _damaged(path, "a layer has other keys than name, tensor, bytes")
    _check(path, layer, {"name": str, "tensor": int, "bytes": int})
    return Layer(**layer | ({"part": _part(path, layer["part"])} if "part" in layer else {}))


def _part(path: Path, part: Any) -> Part:
    if not isinstance(part, dict) or set(part) != {"first", "channels", "rows"}:
        raise _damaged(path, "a part of a layer has other keys than first, channels, rows")
    _check(path, part, {"first": int, "channels": int, "rows": list})
    for row in part["rows"]:
        _check(path, {"row": row}, {"row": int})
    return Part(part["first"], part["channels"], tuple(part["rows"]))


def _tensors(path: Path, values: list[Any]) -> tuple[int, ...]:
    for value in values:
        _check(path, {"joined": value}, {"joined": int})
    return tuple(values)


def _cells(path: Path, values: Any, outputs: int, class_names: list[Any]) -> Cells | None:
    if values is None:
        return None
    try:
        cells: Cells = Cells.from_json(values)
    except LogGradError as error:
        raise _damaged(path, f"cells: {error}") from None
    if not class_names or outputs != cells.rows * cells.columns * (1 + len(class_names)):
        raise _damaged(path, "outputs, classes and cells do not belong together")
    return cells


def _node(path: Path, node: Any) -> Node:
    numbers = ("macs", "instructions", "cycles")
    if not isinstance(node, dict) or set(node) != {"name", *numbers} or node["macs"] is None:
        raise _damaged(path, f"a node has other keys than name, {', '.join(numbers)}")
    _check(path, node, {"name": str} | {key: int for key in numbers if node[key] is not None})
    return Node(**node)


def _texts(path: Path, values: list[Any], name: str) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise _damaged(path, f"'{name}' is no list of names")
    return values


def _predicted(path: Path, sizes: dict[str, Any]) -> dict[str, int | None]:
    known = {key: int for key, value in sizes.items() if value is not None}
    _check(path, sizes, known)
    return dict.fromkeys(("ram", "flash", "program", "stack")) | sizes


def _check_board(path: Path, board: dict[str, Any]) -> None:
    if board["name"] != path.parent.name:
        raise _damaged(path, f"it is of another board than {path.parent.name}")
    parts: dict[str, dict[str, type]] = {
        "qemu": {"machine": str, "args": list},
        "counter": {"numerator": int, "denominator": int},
        "flash_tools": {},
    }
    for key, kinds in parts.items():
        if key not in board:
            raise _damaged(path, f"'{key}' is missing")
        if board[key] is not None:
            _check(path, board, {key: dict})
            _check(path, board[key], kinds)
    if board.get("camera") is not None:
        _check(path, board, {"camera": dict})
        _check(path, board["camera"], _CAMERA)
        _check(path, board["camera"], _CAMERA_OPTIONAL, needed=False)
    if board["core"] == "host" or (board["qemu"] is None and board["flash_tools"] is None):
        return
    _check(path, board, _HARDWARE)
    for memory in ("flash", "ram"):
        _check(path, board[memory], {"origin": int, "length": int})
    _check(path, board["statics"], dict.fromkeys(board["statics"], int))
    if board["counter"] is not None and not board["counter"]["denominator"]:
        raise _damaged(path, "its counter has a denominator of 0")
    if board["qemu"] is not None:
        _texts(path, board["qemu"]["args"], "args")


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
