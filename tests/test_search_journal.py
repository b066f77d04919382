"""search.journal: what survives a crash, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from loggrad_tf.errors import LogGradError
from search.journal import Journal, encode

RECORDS: list[dict[str, Any]] = [{"event": "begin"}, {"index": 0, "x": 0.1}, {"index": 1, "x": 1e-9}]


def _write(path: Path) -> bytes:
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    journal.close()
    return path.read_bytes()


def _read(path: Path) -> tuple[list[dict[str, object]], str | None]:
    journal = Journal(path)
    journal.close()
    return journal.records, journal.warning


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "j"
    assert _write(path) == b"".join(encode(r) for r in RECORDS)
    assert _read(path) == (RECORDS, None)


def test_cut_at_every_byte(tmp_path: Path) -> None:
    """Whole lines survive; the torn rest is cut off, with a warning; writing goes on cleanly."""
    path = tmp_path / "j"
    content = _write(path)
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = content[:length].count(b"\n")
        records, warning = _read(path)
        assert records == RECORDS[:whole]
        torn = not content[:length].endswith(b"\n") and length > 0
        assert (warning is not None) == torn
        assert path.read_bytes() == b"".join(encode(r) for r in RECORDS[:whole])
        journal = Journal(path)
        for record in RECORDS[whole:]:
            journal.append(record)
        journal.close()
        assert path.read_bytes() == content


def test_last_line_of_zeros_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "j"
    content = _write(path)
    path.write_bytes(content + b"\0\0\0\0\n")
    records, warning = _read(path)
    assert records == RECORDS and warning is not None
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [b'{"index":0,"x"', b"[1]", b"", b"\xff\xfe"])
def test_damage_in_the_middle_names_the_line(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "j"
    lines = _write(path).split(b"\n")
    lines[1] = damage
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(LogGradError, match="line 2 is damaged"):
        Journal(path)


def test_numbers_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    with pytest.raises(ValueError):
        journal.append({"x": float("nan")})
    journal.close()
    assert (tmp_path / "j").read_bytes() == b""
