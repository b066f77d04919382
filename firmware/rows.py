"""Rows of RAW codes as a board sends them in binary, and the frame that they are joined to: pure functions.

    MARK, then, stuffed: frame number, row number, codes, CRC-32 of all these; a newline ends it

as ``program/rows.h`` has it: numbers of 16 bits, codes of one byte or two, the most significant first. A
serial line may lose, flip or double bytes. What is kept is exact or is not kept: a row must have its length
and its checksum, and a frame the digest that the board gave of all its codes.
"""

import dataclasses
import zlib
from collections.abc import Iterable
from typing import Self

import numpy as np

# Of program/rows.h; tests/firmware/test_rows.py compares them.
MARK, MASK, ESCAPE, FLIP = b"\x02", 0xAA, 0x1B, 0x20
_NUMBERS, _CRC = 4, 4
_TYPES = {1: ">u1", 2: ">u2"}


@dataclasses.dataclass(frozen=True)
class Size:
    """Of a frame: rows, codes of a row, bytes of a code (1 or 2)."""

    rows: int
    codes: int
    code_bytes: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on the line, where none is escaped: mark and newline included."""
        return _NUMBERS + self.codes * self.code_bytes + _CRC + 2


@dataclasses.dataclass(frozen=True)
class Row:
    """A row that came whole: of which frame, which row, its codes as bytes."""

    frame: int
    number: int
    data: bytes


def encode(frame: int, number: int, data: bytes) -> bytes:
    """A row as it goes over the line, its newline included."""
    head = frame.to_bytes(2) + number.to_bytes(2) + data
    line = bytearray(MARK)
    for byte in head + zlib.crc32(head).to_bytes(_CRC):
        masked = byte ^ MASK
        line += bytes([ESCAPE, masked ^ FLIP]) if masked in (ord("\n"), ESCAPE) else bytes([masked])
    return bytes(line) + b"\n"


def decode(line: bytes, size: Size) -> Row | None:
    """The row of a line without its newline; None unless it is a row of such a frame, whole."""
    if line[:1] != MARK:
        return None
    plain = bytearray()
    escaped = False
    for byte in line[1:]:
        if byte == ESCAPE and not escaped:
            escaped = True
            continue
        plain.append((byte ^ FLIP if escaped else byte) ^ MASK)
        escaped = False
    head, crc = bytes(plain[:-_CRC]), bytes(plain[-_CRC:])
    if (
        escaped
        or len(head) != _NUMBERS + size.codes * size.code_bytes
        or zlib.crc32(head).to_bytes(_CRC) != crc
    ):
        return None
    row = Row(int.from_bytes(head[:2]), int.from_bytes(head[2:4]), head[_NUMBERS:])
    return row if row.number < size.rows else None


@dataclasses.dataclass(frozen=True)
class Parts:
    """What has come of one frame.

    Attributes:
      size: of the frame.
      number: of the frame, as the board counts it.
      rows: number of a row -> its codes as bytes.
    """

    size: Size
    number: int
    rows: dict[int, bytes] = dataclasses.field(default_factory=dict)

    def joined(self, lines: Iterable[bytes]) -> Self:
        """With the rows of further lines; what is damaged, or of another frame, is left out."""
        found = (decode(line, self.size) for line in lines)
        more = {row.number: row.data for row in found if row is not None and row.frame == self.number}
        return dataclasses.replace(self, rows=self.rows | more)

    def missing(self, most: int) -> list[tuple[int, int]]:
        """(first row, rows) of what has not come, in runs of ``most`` rows or fewer."""
        runs: list[tuple[int, int]] = []
        for row in range(self.size.rows):
            if row in self.rows:
                continue
            first, count = runs[-1] if runs else (-1, 0)
            if count and first + count == row and count < most:
                runs[-1] = (first, count + 1)
            else:
                runs.append((row, 1))
        return runs

    def frame(self, digest: int) -> np.ndarray | None:
        """The codes, uint16 (rows, codes); None if a row is missing or they have another digest (CRC-32)."""
        if len(self.rows) < self.size.rows:
            return None
        data = b"".join(self.rows[row] for row in range(self.size.rows))
        if zlib.crc32(data) != digest:
            return None
        codes = np.frombuffer(data, np.dtype(_TYPES[self.size.code_bytes]))
        return codes.astype(np.uint16).reshape(self.size.rows, self.size.codes)
