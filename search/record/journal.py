"""The journal: everything a search has decided, one JSON line per event, and its only state.

Records are appended with a single write and an fsync, so after a crash at most the last line
is torn. On opening, a torn last line is cut off with a warning (its candidate is simply done
again); damage anywhere else is an error that names the line. A record that finds the disk full is
taken back, so that the journal ends with a whole line. A record holds nothing that
depends on the clock or the machine: an uninterrupted journal and a resumed one are equal
byte for byte. Durations go to ``timing.jsonl`` beside it, which only reports read.
"""

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

from loggrad_tf import files, json_base
from loggrad_tf.errors import LogGradError

JOURNAL, TIMING = "journal.jsonl", "timing.jsonl"
# Of the records that are no candidates: how the time was divided (search.run.schedule).
SCHEDULE = "schedule"
_RESUME = "resume the search"


def writing(path: Path) -> contextlib.AbstractContextManager[None]:
    """:func:`loggrad_tf.files.writing` for what a search writes."""
    return files.writing(path, _RESUME)


def write_synced(path: Path, data: bytes) -> None:
    """:func:`loggrad_tf.files.write_whole` for what a search writes."""
    files.write_whole(path, data, _RESUME)


def encode(record: dict[str, Any]) -> bytes:
    """One line of canonical JSON: sorted keys, no spaces, ASCII, newline at the end."""
    return (json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n").encode()


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json_base.parse(line, "")
    except LogGradError:
        return None
    return record if isinstance(record, dict) else None


class Journal:
    """An append-only file of records.

    Example::

        journal = Journal(directory / "journal.jsonl")
        for record in journal.records: ...
        journal.append({"event": "candidate", "index": 0})

    Attributes:
      path: the file; created if missing.
      records: what it held when opened.
      warning: what was cut off on opening, or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warning: str | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self.records = self._load()
        except BaseException:
            os.close(self._file)
            raise
        files.sync(path.parent)

    def _load(self) -> list[dict[str, Any]]:
        content = self.path.read_bytes()
        lines = content.split(b"\n")
        torn = lines.pop()  # empty after a complete last line
        records = []
        for number, line in enumerate(lines, 1):
            record = _parse(line)
            if record is None and number == len(lines) and not torn:
                torn = line + b"\n"
                break
            if record is None:
                raise LogGradError(
                    f"{self.path}: line {number} is damaged; restore the file from a copy, or cut it"
                    f" before line {number} to repeat the search from there"
                )
            records.append(record)
        if torn:
            number = len(records) + 1
            self.warning = f"{self.path}: line {number} was torn by a crash; it is dropped and done again"
            os.ftruncate(self._file, len(content) - len(torn))
            os.fsync(self._file)
        return records

    def append(self, record: dict[str, Any]) -> None:
        """Add one record; it is on the disk when this returns.

        Raises:
          DiskFull: the journal is as it was.
          OSError: it cannot be written; the journal is as it was, as far as that can be had.
          ValueError: a number that JSON cannot hold.
        """
        line = encode(record)
        end = os.fstat(self._file).st_size
        try:
            with writing(self.path):
                if os.write(self._file, line) != len(line):
                    raise OSError(errno.ENOSPC, "short write")
                os.fsync(self._file)
        except BaseException:
            with contextlib.suppress(OSError):  # opening cuts it off as well
                os.ftruncate(self._file, end)
            raise

    def close(self) -> None:
        os.close(self._file)
