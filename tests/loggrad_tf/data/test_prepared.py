"""A prepared set that was damaged: what is seen when it is opened, and what ``check`` sees besides."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loggrad_tf.data import prepared
from loggrad_tf.data.dataset import load
from loggrad_tf.data.prepared import DataSet, open_prepared
from loggrad_tf.errors import LogGradError
from tests.support import REPOSITORY
from tests.support.archives import pictures


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    source = pictures(tmp_path / "p", 4)
    (source / "cup/readme.txt").write_text("no picture")
    return load(f"folder:{source}", size=16, cache=tmp_path / "cache")


def _saved(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    np.save(path, change(np.load(path)))


def _described(path: Path, **changes: Any) -> None:
    head = json.loads((path / "dataset.json").read_text()) | changes
    (path / "dataset.json").write_text(json.dumps(head))


def _put(place: Any, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


def _promising(path: Path, shape: tuple[int, ...]) -> None:
    """A header that promises more than there is."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<i4", "fortran_order": False, "shape": shape})
    path.write_bytes(file.getvalue() + bytes(32))


OPENING: tuple[tuple[Callable[[Path], None], str], ...] = (
    (lambda p: _saved(p / "pixels.npy", _put((5, 2, 2), 4096)), "pixels.npy: crop 5 has values outside"),
    (lambda p: _saved(p / "pixels.npy", lambda a: a.astype(np.int32)), "pixels.npy: int32 of shape"),
    (lambda p: _saved(p / "pixels.npy", lambda a: a[:, :8]), r"pixels.npy: uint16 of shape \[8, 8, 16\]"),
    (lambda p: _saved(p / "labels.npy", _put(3, 2)), "labels.npy: crop 3 has values outside 0..1"),
    (lambda p: _saved(p / "labels.npy", _put(0, -1)), "labels.npy: crop 0 has values outside"),
    (lambda p: _saved(p / "labels.npy", lambda a: a.astype(np.float32)), "labels.npy: float32"),
    (lambda p: _saved(p / "split.npy", _put(7, 3)), "split.npy: crop 7 has values outside 0..2"),
    (lambda p: _saved(p / "split.npy", lambda a: a[:-1]), r"split.npy: uint8 of shape \[7\]"),
    (lambda p: np.save(p / "labels.npy", np.array([{}] * 8), allow_pickle=True), "labels.npy: damaged"),
    (lambda p: _promising(p / "labels.npy", (10**15,)), "labels.npy: damaged"),
    (lambda p: _promising(p / "split.npy", (2**62, 8)), "split.npy: damaged"),
    (lambda p: _described(p, class_names=["cup"]), "labels.npy: crop"),
    (lambda p: _described(p, class_names=["cup", "cup"]), "class names"),
    (lambda p: _described(p, class_names="cup"), "class_names is 'cup', a list is needed"),
    (lambda p: _described(p, mode="rgb"), "mode 'rgb'"),
    (lambda p: _described(p, size=2**70), "size is .* 64 bits"),
    (lambda p: _described(p, crops=True), "crops is True, an integer is needed"),
    (lambda p: _described(p, sensor={"bits": 17}), "dataset.json: damaged"),
    (lambda p: _described(p, sensor=None), "dataset.json: damaged"),
    (lambda p: _described(p, manifest_sha256="0"), "do not belong together"),
    (lambda p: _described(p, surprise=1), "unknown key 'surprise'"),
    (lambda p: _deep(p / "dataset.json"), "nested too deeply"),
    (lambda p: _binary(p / "dataset.json"), "no JSON"),
)  # fmt: skip


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe{}\x80")


@pytest.mark.seconds
@pytest.mark.parametrize(("damage", "reason"), OPENING)
def test_opening_sees_it(data: DataSet, damage: Callable[[Path], None], reason: str) -> None:
    damage(data.path)
    with pytest.raises(
        LogGradError, match=rf"^{data.path}: not a prepared set, or damaged .*{reason}"
    ) as caught:
        open_prepared(data.path)
    assert "\n" not in str(caught.value) and str(caught.value).endswith("else restore it from a copy")


def _line(path: Path, number: int, old: str, new: str) -> None:
    """Change a line of the manifest, and its hash with it."""
    manifest = path / "manifest.csv"
    lines = manifest.read_text().split("\n")
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)
    manifest.write_text("\n".join(lines))
    _described(path, manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest())


def _rejects(path: Path, lines: bytes) -> None:
    (path / "rejects.csv").write_bytes(b"file,item,reason\n" + lines)


CHECKING: tuple[tuple[Callable[[Path], None], str], ...] = (
    (lambda p: _saved(p / "pixels.npy", _put((6, 0, 0), 0)), "crop 6 .*sha256 is"),
    (lambda p: _saved(p / "labels.npy", _put(0, 1)), "crop 0 .*class is plate, in manifest.csv cup"),
    (lambda p: _line(p, 3, ",train,", ",later,"), "crop 2 .*split is train, in manifest.csv later"),
    (lambda p: _line(p, 8, "plate", "plate\nplate"), "entry 8 is not complete"),
    (lambda p: _line(p, 0, "item", "items"), "its columns are not file, item, class"),
    (lambda p: _rejects(p, b""), "0 rejects, 1 in dataset.json"),
    (lambda p: _rejects(p, b"a,b,c\n"), "rejects.csv: damaged"),
    (lambda p: _rejects(p, b"\xff,1,c\n"), "rejects.csv: damaged"),
    (lambda p: (p / "rejects.csv").unlink(), "rejects.csv: damaged"),
)  # fmt: skip


@pytest.mark.seconds
@pytest.mark.parametrize(("damage", "reason"), CHECKING)
def test_checking_sees_it(data: DataSet, damage: Callable[[Path], None], reason: str) -> None:
    prepared.check(data)
    damage(data.path)
    with pytest.raises(LogGradError, match=rf"^{data.path}.*{reason}") as caught:
        prepared.check(open_prepared(data.path))
    assert "\n" not in str(caught.value)


def test_groups_are_the_photographs_of_the_manifest(data: DataSet) -> None:
    manifest = data.path / "manifest.csv"
    lines = manifest.read_text().splitlines(keepends=True)
    column = lines[0].split(",").index("source")
    assert data.groups() == tuple(line.split(",")[column] for line in lines[1:])
    assert len(set(data.groups())) == 4  # of each stem, in both classes
    manifest.write_text("".join(lines[:-1]))
    with pytest.raises(LogGradError, match=rf"{manifest}: damaged \(7 crops, 8 in the set\)"):
        data.groups()


@pytest.mark.seconds
def test_the_door_checks(data: DataSet) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = ["loggrad_tf.prepare", f"--data=prepared:{data.path}", "--size=16", "--check"]
        return subprocess.run(
            [sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
        )

    done = run()
    assert done.returncode == 0 and done.stdout.endswith("check   8 crops are those of the manifest\n")
    _saved(data.path / "pixels.npy", _put((1, 1, 1), 17))
    done = run()
    assert done.returncode == 1 and done.stderr.startswith(f"error: {data.path}: crop 1 ")
    assert done.stderr.count("\n") == 1
