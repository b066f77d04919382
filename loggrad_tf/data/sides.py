"""The size of what a network sees: the side of a square, or rows and columns.

In JSON a square is its side and any other rectangle ``[rows, columns]``; for people, on the command line
and in messages, it is ``96`` and ``240x160``, width first, as photographs are named.
"""

import re

from loggrad_tf.errors import LogGradError

# Rows and columns that are equal are always written as their side.
Size = int | tuple[int, int]

_TEXT = re.compile(r"(\d{1,5})(?:x(\d{1,5}))?")


def sides(size: Size) -> tuple[int, int]:
    """Rows and columns."""
    return (size, size) if isinstance(size, int) else size


def size_of(rows: int, columns: int) -> Size:
    """The size that has these :func:`sides`."""
    return rows if rows == columns else (rows, columns)


def parsed(text: str) -> Size:
    """``96`` or ``240x160``, width first.

    Raises:
      LogGradError: anything else.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise LogGradError(f"size '{text}': write the side of a square, 96, or width and height, 240x160")
    width, height = int(match[1]), int(match[2] or match[1])
    return size_of(height, width)


def short(size: Size) -> str:
    """What :func:`parsed` reads: ``96``, ``240x160``."""
    return str(size) if isinstance(size, int) else dimensions(size)


def dimensions(size: Size) -> str:
    """Width and height: ``96x96``, ``240x160``."""
    rows, columns = sides(size)
    return f"{columns}x{rows}"
