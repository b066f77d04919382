"""What is known of the boards, and where they are: folders of ``firmware/boards``, or of the user's.

A board is called by its name, or, outside ``firmware/boards``, by the absolute path of its folder; whatever
takes a board takes both. The doors have ``--boards`` beside ``--board``; :func:`place` makes one of them.
A board of the user's is checked field by field (:mod:`export.board_fields`).
"""

import functools
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from export import board_fields
from loggrad_tf import json_base
from loggrad_tf.errors import LogGradError

BOARDS = Path(__file__).resolve().parent.parent / "firmware" / "boards"
COMMON = BOARDS / "common"
FILE = "board.json"
# Flags that are defined here belong to the door that asks for them.
flags.disclaim_key_flags()


def define_flag() -> None:
    """Define ``--boards``, for a door that has ``--board``."""
    flags.DEFINE_string(
        "boards", None, "Folder that holds the board of --board, if it is your own [firmware/boards]."
    )


@functools.cache
def names() -> tuple[str, ...]:
    """Names of the boards of ``firmware/boards``, sorted."""
    return _names(BOARDS)


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in folder.glob(f"*/{FILE}")))


def place(board: str | None, folder: str | None) -> str | None:
    """What :func:`read` takes for the flags ``--board`` and ``--boards``; None where neither was given.

    Raises:
      LogGradError: there is no such board, or a folder but no board of it.
    """
    if folder is None:
        if board is not None and board not in names() and not Path(board).is_absolute():
            raise LogGradError(f"--board={board}: no such board; choose one of {', '.join(names())}")
        return None if board is None else _called(Path(board))
    where = Path(folder).expanduser().resolve()
    there = _names(where)
    if not there:
        raise LogGradError(
            f"--boards={folder}: no board there, a folder with a {FILE}: see docs/own-board.md"
        )
    if board not in there:
        given = "--board is missing" if board is None else f"--board={board}: no such board"
        raise LogGradError(f"{given}; --boards={folder} has {', '.join(there)}")
    return _called(where / board)


def _called(folder: Path) -> str:
    """A board's name if it is ours, else its absolute path."""
    return folder.name if folder.parent in (BOARDS, Path()) else str(folder)


@functools.cache
def read(board: str) -> dict[str, Any]:
    """The facts of one board: its board.json, and its ``folder``. Callers share them: do not change them.

    Args:
      board: a name, or the absolute path of a folder.
    Raises:
      LogGradError: no such board, or something is wrong with the user's.
    """
    if not Path(board).is_absolute():
        if board not in names():
            raise LogGradError(f"board '{board}': no such board; choose one of {', '.join(names())}")
        return json.loads((BOARDS / board / FILE).read_text()) | {"folder": str(BOARDS / board)}
    path = Path(board) / FILE
    if path.parent.parent == BOARDS:
        return read(path.parent.name)
    try:
        found = json_base.read(path, "see docs/own-board.md")
    except (FileNotFoundError, NotADirectoryError):
        raise LogGradError(f"board '{board}': {path} is missing: put the folder back") from None
    return board_fields.check(found, path, COMMON) | {"folder": board}


def is_ours(facts: Mapping[str, Any]) -> bool:
    """Is it a board of ``firmware/boards``?"""
    return Path(facts["folder"]).parent == BOARDS


def as_flags(facts: Mapping[str, Any], short: bool = False) -> str:
    """The flags that name a board, for a shell.

    Args:
      short: without the path of this machine.
    """
    if is_ours(facts):
        return f"--board={facts['name']}"
    where = Path(facts["folder"]).parent
    return f"--boards={shlex.quote(where.name if short else str(where))} --board={facts['name']}"
