"""What is known of the boards: the ``board.json`` of each folder of ``firmware/boards``."""

import functools
import json
from pathlib import Path
from typing import Any

from loggrad_tf.errors import LogGradError

BOARDS = Path(__file__).resolve().parent.parent / "firmware" / "boards"


@functools.cache
def names() -> tuple[str, ...]:
    """Names of the boards there are, sorted."""
    return tuple(sorted(path.parent.name for path in BOARDS.glob("*/board.json")))


@functools.cache
def read(name: str) -> dict[str, Any]:
    """The facts of one board. Callers share the dictionary: do not change it.

    Raises:
      LogGradError: no such board.
    """
    if name not in names():
        raise LogGradError(f"board '{name}': no such board; choose one of {', '.join(names())}")
    return json.loads((BOARDS / name / "board.json").read_text())
