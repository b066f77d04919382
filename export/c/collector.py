"""The firmware project of a collector: frames of the board's camera to the host, and no network.

A board collects if its ``board.json`` describes a camera (``lg_board_camera_line`` reads it, and
``lg_board_camera_expose`` fixes its exposure) and its RAM holds a frame. Refused are windows that the camera
does not have, that LibRaw would not read, or that would begin a Bayer mosaic at another colour.
"""

import dataclasses
import json
from typing import Any

from export.board_fields import largest_window
from export.c.emit import PROGRAM, TEMPLATES, presets
from export.c.text import filled
from firmware.project import COLLECTOR
from loggrad_tf import __version__
from loggrad_tf.data.dng import MIN_SIDE
from loggrad_tf.data.sides import Size, short, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import MONO

# Of the program beside its frame, and for the board's sources: less than this.
_REST_BYTES = 1024


@dataclasses.dataclass(frozen=True)
class Collector:
    """Everything of the project that does not depend on the board alone.

    Attributes:
      size: of a frame, photosites.
      files: path in the project -> content.
    """

    board: dict[str, Any]
    size: Size
    files: dict[str, bytes]
    model_sha256: str = "collector"
    form: str = "project"


def make(board: dict[str, Any], version: int, command: str, window: Size | None, baud: int) -> Collector:
    """The collector for a board.

    Args:
      board: facts, as :func:`export.boards.read` has them.
      version: of project.json.
      command: what made the files.
      window: in photosites; None: all of the largest square that the camera has.
      baud: of the serial line.

    Raises:
      LogGradError: the board has no camera, or cannot hold or send such a frame.
    """
    camera, name = board.get("camera"), board["name"]
    if camera is None:
        raise LogGradError(f"--board={name}: no camera: its board.json has none (docs/own-board.md)")
    size = camera["side"] if window is None else window
    _check_window(camera, size)
    rows, columns = sides(size)
    code_bytes = 1 if camera["bits"] <= 8 else 2
    if board["ram"] is not None:
        free = board["ram"]["length"] - board["stack"] - _REST_BYTES
        if (needed := rows * columns * code_bytes) > free:
            raise LogGradError(
                f"--window={short(size)}: a frame takes {needed} B, {name} has {free} B: choose a smaller"
                " --window"
            )
    stamp = f"{__version__}/{name}/{short(size)}"
    record = {
        "loggrad_project": version,
        "generator": __version__,
        "board": name,
        "command": command,
        "runtime": COLLECTOR,
        "form": "project",
        "model_sha256": Collector.model_sha256,
        "stamp": stamp,
        "baud": baud,
        "rows": rows,
        "row_codes": columns,
        "code_bytes": code_bytes,
        "layers": [],
        "outputs": 0,
        "class_names": [],
        "state_bytes": 0,
        "predicted": {},
    }
    readme = {
        "TITLE": board["title"],
        "CAMERA": camera["title"],
        "ROWS": rows,
        "CODES": columns,
        "BITS": camera["bits"],
        "LINE": f"a serial line of {baud} baud" if board["channel"] == "uart" else "standard output",
    }
    files = {
        "project.json": (json.dumps(record, indent=1) + "\n").encode(),
        "src/collect.h": _header(rows, columns, code_bytes, stamp).encode(),
        "program/main.c": (PROGRAM / "collect.c").read_bytes(),
        "CMakeLists.txt": (TEMPLATES / "collect_CMakeLists.txt").read_bytes(),
        "CMakePresets.json": presets(board, baud, (rows, columns)),
        "README.md": filled((TEMPLATES / "collect_README.md.in").read_text(), readme).encode(),
    }
    return Collector(board, size, files)


def _check_window(camera: dict[str, Any], size: Size) -> None:
    """LogGradError, with what fits, unless the camera has such a window."""
    (rows, columns), (most_rows, most_columns) = sides(size), largest_window(camera)
    even = camera["cfa"] == MONO or (rows % 2 == 0 and columns % 2 == 0)
    if even and MIN_SIDE <= rows <= most_rows and MIN_SIDE <= columns <= most_columns:
        return
    if isinstance(size, int):
        fits = f"{'' if camera['cfa'] == MONO else 'an even number '}from {MIN_SIDE} to {most_rows}"
    else:
        kind = "" if camera["cfa"] == MONO else "even numbers, "
        fits = f"{kind}a width from {MIN_SIDE} to {most_columns}, a height from {MIN_SIDE} to {most_rows}"
    raise LogGradError(f"--window={short(size)}: choose {fits}")


def _header(rows: int, columns: int, code_bytes: int, stamp: str) -> str:
    return f"""/* SPDX-License-Identifier: Apache-2.0 */
/* How large a frame of program/main.c is. */
#ifndef COLLECT_H
#define COLLECT_H

#include <stdint.h>

#define COLLECT_ROWS {rows}u
#define COLLECT_CODES {columns}u
#define COLLECT_STAMP "{stamp}"

typedef uint{8 * code_bytes}_t collect_code;

#endif
"""
