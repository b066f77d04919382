"""Files that are there whole or not at all, and disks that are full."""

import os
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf import arrays, cli
from loggrad_tf.files import DiskFull, write_whole
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
