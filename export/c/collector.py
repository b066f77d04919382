"""The firmware project of a collector: frames of the board's camera to the host, and no network.

A board collects if its ``board.json`` describes a camera (``lg_board_camera_line`` reads it, and
``lg_board_camera_expose`` fixes its exposure) and its RAM holds a frame. Refused are windows that the camera
does not have, that LibRaw would not read, or that would begin a Bayer mosaic at another colour.
"""

import dataclasses
import json
from typing import Any

from export.c.emit import PROGRAM, TEMPLATES, presets
from export.c.text import filled
from firmware.project import COLLECTOR
from loggrad_tf import __version__
from loggrad_tf.data.dng import MIN_SIDE
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import MONO

# Of the program beside its frame, and for the board's sources: less than this.
_REST_BYTES = 1024


@dataclasses.dataclass(frozen=True)
class Collector:
    """Everything of the project that does not depend on the board alone.

    Attributes:
      side: rows of a frame, and codes of a row.
      files: path in the project -> content.
    """

    board: dict[str, Any]
    side: int
    files: dict[str, bytes]
    model_sha256: str = "collector"
    form: str = "project"


def make(board: dict[str, Any], version: int, command: str, side: int | None, baud: int) -> Collector:
    """The collector for a board.

    Args:
      board: facts, as :func:`export.boards.read` has them.
      version: of project.json.
      command: what made the files.
      side: of the window, in photosites; None: all of the largest square that the camera has.
      baud: of the serial line.

    Raises:
      LogGradError: the board has no camera, or cannot hold or send such a frame.
    """
    camera, name = board.get("camera"), board["name"]
    if camera is None:
        raise LogGradError(f"--board={name}: no camera: its board.json has none (docs/own-board.md)")
    side = camera["side"] if side is None else side
    even = camera["cfa"] == MONO or side % 2 == 0
    if not MIN_SIDE <= side <= camera["side"] or not even:
        kind = "" if camera["cfa"] == MONO else "an even number "
        raise LogGradError(f"--window={side}: choose {kind}from {MIN_SIDE} to {camera['side']}")
    code_bytes = 1 if camera["bits"] <= 8 else 2
    if board["ram"] is not None:
        free = board["ram"]["length"] - board["stack"] - _REST_BYTES
        if (needed := side * side * code_bytes) > free:
            raise LogGradError(
                f"--window={side}: a frame takes {needed} B, {name} has {free} B: choose a smaller --window"
            )
    stamp = f"{__version__}/{name}/{side}"
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
        "rows": side,
        "row_codes": side,
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
        "SIDE": side,
        "BITS": camera["bits"],
        "LINE": f"a serial line of {baud} baud" if board["channel"] == "uart" else "standard output",
    }
    files = {
        "project.json": (json.dumps(record, indent=1) + "\n").encode(),
        "src/collect.h": _header(side, code_bytes, stamp).encode(),
        "program/main.c": (PROGRAM / "collect.c").read_bytes(),
        "CMakeLists.txt": (TEMPLATES / "collect_CMakeLists.txt").read_bytes(),
        "CMakePresets.json": presets(board, baud),
        "README.md": filled((TEMPLATES / "collect_README.md.in").read_text(), readme).encode(),
    }
    return Collector(board, side, files)


def _header(side: int, code_bytes: int, stamp: str) -> str:
    return f"""/* SPDX-License-Identifier: Apache-2.0 */
/* How large a frame of program/main.c is. */
#ifndef COLLECT_H
#define COLLECT_H

#include <stdint.h>

#define COLLECT_ROWS {side}u
#define COLLECT_CODES {side}u
#define COLLECT_STAMP "{stamp}"

typedef uint{8 * code_bytes}_t collect_code;

#endif
"""
