"""Files and folders that are there whole or not at all, and disks that are full."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf import arrays, cli, files
from loggrad_tf.files import DiskFull, exchange, replace_folder, write_together, write_whole
from tests.support.full_disk import files_end_at


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for data in (b"first, and longer", b"second"):
        write_whole(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_whole(path, b"old")
    with (
        files_end_at(10),
        pytest.raises(DiskFull, match=rf"^{path}: the disk is full \(file too large\); free some space"),
    ):
        write_whole(path, b"new" * 4)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_on_the_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_sync(file: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{file}") else "file")
        fsync(file)

    def noted_replace(source: Path, target: Path) -> None:
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_whole(tmp_path / "a.bin", b"data")
    assert done == ["file", "rename", "folder"]


def test_an_array_that_finds_no_space_tells_why(tmp_path: Path) -> None:
    array = np.arange(5000, dtype=np.uint16).reshape(50, 100)
    arrays.save(tmp_path / "a.npy", array)
    assert np.array_equal(np.load(tmp_path / "a.npy"), array)
    with files_end_at(4096), pytest.raises(OSError) as caught:
        arrays.save(tmp_path / "b.npy", array)
    assert "disk is full" in cli._describe(caught.value)


def test_of_two_files_neither_changes_before_both_are_written(tmp_path: Path) -> None:
    old = {tmp_path / "a": b"old", tmp_path / "b": b"old"}
    write_together(old)
    with files_end_at(10), pytest.raises(DiskFull, match=rf"^{tmp_path / 'b'}: the disk is full"):
        write_together({tmp_path / "a": b"new", tmp_path / "b": b"new" * 4})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old


def folders(place: Path) -> tuple[Path, Path]:
    for name in ("fresh", "place"):
        (place / name).mkdir()
        (place / name / name).touch()
    return place / "fresh", place / "place"


def test_names_are_exchanged_at_once(tmp_path: Path) -> None:
    fresh, place = folders(tmp_path)
    exchange(fresh, place)
    assert (fresh / "place").is_file() and (place / "fresh").is_file()
    with pytest.raises(OSError, match="No such file") as caught:
        exchange(fresh, tmp_path / "nothing")
    assert caught.value.filename == str(fresh)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced(can_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, place = folders(tmp_path)
    if not can_exchange:
        monkeypatch.setattr(files, "exchange", _cannot)
    replace_folder(fresh, place)
    assert list(tmp_path.rglob("*")) == [place, place / "fresh"]


def _cannot(one: Path, other: Path) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def test_where_names_cannot_be_exchanged_the_old_folder_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, place = folders(tmp_path)
    rename = os.rename

    def fails(source: Path, target: Path) -> None:
        if source == fresh:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(source), None, str(target))
        rename(source, target)

    monkeypatch.setattr(files, "exchange", _cannot)
    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError) as caught:
        replace_folder(fresh, place)
    assert cli._describe(caught.value) == f"{fresh} -> {place}: Input/output error"
    assert sorted(path.name for path in place.iterdir()) == ["place"]


def test_what_cannot_be_forced_to_the_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "a", b"data")
    assert cli._describe(caught.value) == f"{tmp_path / 'a'}: Input/output error"
