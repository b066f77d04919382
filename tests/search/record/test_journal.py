"""search.record.journal: what survives a crash, and what is refused."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loggrad_tf.errors import LogGradError
from loggrad_tf.files import DiskFull
from search.record.journal import Journal, encode, write_synced
from tests.search.run import test_rundir
from tests.support import REPOSITORY
from tests.support.full_disk import files_end_at

METHOD = dataclasses.replace(test_rundir.CONFIG.method, rounds=12, children=1, pruning=False)
LIGHT = dataclasses.replace(test_rundir.CONFIG, method=METHOD)
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


def test_disk_full_at_every_byte(tmp_path: Path) -> None:
    """A record that finds no room leaves the journal as it was, and goes in when there is room again."""
    path = tmp_path / "j"
    content = _write(path)
    start = len(encode(RECORDS[0]))
    for room in range(start, start + len(encode(RECORDS[1]))):
        path.write_bytes(content[:start])
        journal = Journal(path)
        with files_end_at(room), pytest.raises(DiskFull, match=f"{path}: the disk is full .*resume"):
            journal.append(RECORDS[1])
        assert path.read_bytes() == content[:start]
        for record in RECORDS[1:]:
            journal.append(record)
        journal.close()
        assert path.read_bytes() == content


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_rundir, "CONFIG", LIGHT)


@pytest.mark.seconds
@pytest.mark.parametrize("part", [0, 0.5])
def test_search_on_a_full_disk_goes_on_when_there_is_space(light: None, tmp_path: Path, part: float) -> None:
    """At every line, no space at its beginning or in its middle; then there is, for one line more."""
    test_rundir.search(tmp_path / "whole")
    whole = test_rundir.state(tmp_path / "whole")
    lines = whole["journal.jsonl"].splitlines(keepends=True)
    directory = tmp_path / "run"
    for number in range(2, len(lines)):  # other files of a run are as short as its first two lines
        before = b"".join(lines[:number])
        room = len(before) + round(part * len(lines[number]))
        with files_end_at(room), pytest.raises(DiskFull, match="journal.jsonl"):
            test_rundir.search(directory, number, resume=number > 2)
        assert (directory / "journal.jsonl").read_bytes() == before
    test_rundir.search(directory, resume=True)
    assert test_rundir.state(directory) == whole


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "00001.npz"
    write_synced(path, b"old")
    with files_end_at(10), pytest.raises(DiskFull, match=f"{path}: the disk is full"):
        write_synced(path, b"x" * 11)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_synced(tmp_path / "missing" / "file", b"")


FULL = """
import sys
from pathlib import Path
from loggrad_tf.files import DiskFull
from search.record.journal import Journal, encode, write_synced
folder = Path(sys.argv[1])
filler = folder / "filler"
filler.write_bytes(bytes(48 * 1024))
journal = Journal(folder / "journal.jsonl")
records = []
try:
    while True:
        records.append({"index": len(records), "filling": "x" * 611})
        journal.append(records[-1])
except DiskFull as error:
    print(error)
missed = records[-1:]
assert journal.path.read_bytes() == b"".join(encode(r) for r in records[:-1]) and len(records) > 10
try:
    write_synced(folder / "00001.npz", bytes(8192))
except DiskFull as error:
    print(error)
assert sorted(p.name for p in folder.iterdir()) == ["filler", "journal.jsonl"]
filler.unlink()
for record in missed:
    journal.append(record)
journal.close()
assert Journal(journal.path).records == records
"""


def test_a_real_file_system_that_is_full(tmp_path: Path) -> None:
    """64 KB of memory, mounted for one process."""
    alone = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k loggrad "$0" && exec "$@"']
    probe = subprocess.run([*alone, str(tmp_path), "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("file systems can be mounted by root only")
    command = [*alone, str(tmp_path), sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{tmp_path / name}: the disk is full (no space left on device);"
        " free some space and resume the search"
        for name in ("journal.jsonl", "00001.npz")
    ]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.search.run import test_rundir
from tests.search.record.test_journal import LIGHT

write, folder, part, lines = os.write, Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
test_rundir.CONFIG = LIGHT
journal = folder / "run" / "journal.jsonl"

def die_at(number):
    def write_or_die(file, line):
        if journal.read_bytes().count(10) == number:
            write(file, line[: round(part * len(line))])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(file, line)
    return write_or_die

for number in range(lines):
    child = os.fork()
    if child == 0:
        os.write = die_at(number)
        test_rundir.search(folder / "run", number, resume=number > 0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (folder / str(number)).write_bytes(journal.read_bytes())
test_rundir.search(folder / "run", resume=True)
"""


@pytest.mark.seconds
@pytest.mark.parametrize("part", [0, 0.5, 1])
def test_processes_killed_at_every_write(light: None, tmp_path: Path, part: float) -> None:
    """SIGKILL before, within or after the writing of each line; the process after it goes on to the next."""
    test_rundir.search(tmp_path / "whole")
    whole = test_rundir.state(tmp_path / "whole")
    lines = whole["journal.jsonl"].splitlines(keepends=True)
    assert len(lines) == 13
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(part), str(len(lines))],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for number, line in enumerate(lines):
        left = tmp_path / str(number)
        assert left.read_bytes() == b"".join(lines[:number]) + line[: round(part * len(line))]
        _, warning = _read(left)
        torn = f"{left}: line {number + 1} was torn by a crash; it is dropped and done again"
        assert warning == (torn if part == 0.5 else None)
    assert test_rundir.state(tmp_path / "run") == whole
