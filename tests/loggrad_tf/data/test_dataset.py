"""The prepared set: contract, cache, rejects, races, and damage."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import load
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.voc import Object
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import Sensor
from tests.support import REPOSITORY
from tests.support.archives import archive, frame, photograph, pictures


@pytest.mark.seconds
@pytest.mark.parametrize("mode", ["gray", "mosaic"])
def test_the_contract_holds(tmp_path: Path, mode: str) -> None:
    spec = f"pascalraw:{archive(tmp_path / 'a', 12, 'GBRG')}"
    data = load(spec, size=32, mode=mode, cache=tmp_path / "cache")
    assert (data.pixels.dtype, data.pixels.shape) == (np.uint16, (12, 32, 32))
    assert (data.labels.dtype, data.split.dtype) == (np.int32, np.uint8)
    assert data.class_names == ("bicycle", "car", "person") and data.mode == mode and data.spec == spec
    assert data.sensor == Sensor(12, 64, 4095, "mono" if mode == "gray" else "RGGB")
    assert data.pixels.max() <= data.sensor.span and not data.pixels.flags.writeable
    assert np.bincount(data.labels).tolist() == [4, 4, 4] and set(data.split) == {0, 1, 2}
    assert data.counts().sum() == 12
    assert sum(len(data.subset(name)[0]) for name in ("train", "val", "test")) == 12
    assert all(np.array_equal(data.labels_of(name), data.subset(name)[1]) for name in ("train", "test"))
    with (data.path / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "item", "class", "split", "source", "box", "sha256"]
    for index, row in enumerate(rows):
        assert row["sha256"] == hashlib.sha256(data.pixels[index].tobytes()).hexdigest()
        assert row["class"] == data.class_names[data.labels[index]]
        assert row["split"] == ("train", "val", "test")[data.split[index]]
    digest = hashlib.sha256((data.path / "manifest.csv").read_bytes()).hexdigest()
    assert data.manifest_sha256 == digest


@pytest.mark.seconds
def test_a_changed_set_is_refused_in_one_line(tmp_path: Path) -> None:
    data = load(f"pascalraw:{archive(tmp_path / 'a')}", size=16, cache=tmp_path / "cache")
    data.check_manifest(data.manifest_sha256, "it was read", "restore it")
    with pytest.raises(LogGradError) as refused:
        data.check_manifest("f" * 64, "it was read", "restore it")
    assert str(refused.value) == (
        f"data set {data.spec} has changed since it was read"
        f" (manifest {data.manifest_sha256[:12]}, was ffffffffffff): restore it"
    )


@pytest.mark.seconds
def test_a_set_is_prepared_once_and_anew_when_its_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = archive(tmp_path / "a"), tmp_path / "cache"
    first = load(f"pascalraw:{folder}", size=16, cache=cache)
    elsewhere = load(f"pascalraw:{folder}", size=16, cache=tmp_path / "other")
    assert elsewhere.manifest_sha256 == first.manifest_sha256
    monkeypatch.setattr(dataset, "_prepare", None)
    assert load(f"pascalraw:{folder}", size=16, cache=cache).path == first.path
    monkeypatch.undo()
    assert load(f"pascalraw:{folder}", size=18, cache=cache).path != first.path
    write_dng(folder / "original/raw/2014_000003.dng", frame(99), cfa="RGGB", black=64)
    changed = load(f"pascalraw:{folder}", size=16, cache=cache)
    assert changed.path != first.path and changed.manifest_sha256 != first.manifest_sha256
    assert np.flatnonzero((changed.pixels != first.pixels).any(axis=(1, 2))).tolist() == [3]


@pytest.mark.seconds
def test_equal_names_sizes_and_times_do_not_hide_other_pixels(tmp_path: Path) -> None:
    def brighten(folder: Path) -> None:
        path = folder / "original/raw/2014_000003.dng"
        path.write_bytes(path.read_bytes()[:-8000] + bytes([7]) * 8000)

    def age(folder: Path) -> Path:
        for path in folder.rglob("*"):
            os.utime(path, (10**9, 10**9))
        return folder

    cache = tmp_path / "cache"
    first = load(f"pascalraw:{age(archive(tmp_path / 'a'))}", size=16, cache=cache)
    brighten(archive(tmp_path / "b"))
    second = load(f"pascalraw:{age(tmp_path / 'b')}", size=16, cache=cache)
    brighten(tmp_path / "a")
    third = load(f"pascalraw:{age(tmp_path / 'a')}", size=16, cache=cache)
    assert first.manifest_sha256 != second.manifest_sha256 == third.manifest_sha256


@pytest.mark.seconds
def test_unreadable_photographs_are_listed_and_the_rest_is_kept(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a")
    path = folder / "original/raw/2014_000004.dng"
    path.write_bytes(path.read_bytes()[:900])
    photograph(folder, "2014_000050", (Object("car", 1, 1, 3, 3), Object("car", 5, 4, 44, 36)))
    data = load(f"pascalraw:{folder}", size=16, cache=tmp_path / "cache")
    assert len(data.pixels) == 12
    listed = {(reject.file, reject.item): reject.reason for reject in data.rejects()}
    assert set(listed) == {("original/raw/2014_000004.dng", -1), ("original/raw/2014_000050.dng", 0)}
    assert "cut off" in listed["original/raw/2014_000004.dng", -1]
    assert "1 objects lost" in listed["original/raw/2014_000004.dng", -1]
    assert "longer side of 6 pixels" in listed["original/raw/2014_000050.dng", 0]


@pytest.mark.seconds
def test_a_class_without_crops_is_an_error_that_names_the_reason(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a", 6)
    for number in (1, 4):
        (folder / f"original/raw/2014_00000{number}.dng").write_bytes(b"II*\0nothing here")
    with pytest.raises(LogGradError, match=r"class 'car' has no crop \(2 rejects in (.*\.csv)") as caught:
        load(f"pascalraw:{folder}", size=16, cache=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    listing = Path(str(caught.value).split("rejects in ")[1].split(",")[0])
    assert listing.read_text().count("2014_00000") >= 2
    assert not [path for path in (tmp_path / "cache/sets").iterdir() if path.is_dir()]


@pytest.mark.seconds
def test_photographs_of_another_depth_are_requantised(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a", 6)
    codes = np.full((80, 120), 16383, np.uint16)
    write_dng(folder / "original/raw/2014_000005.dng", codes, cfa="RGGB", white=16383)
    data = load(f"pascalraw:{folder}", size=16, cache=tmp_path / "cache")
    assert data.sensor == Sensor(12, 64, 4095) and (data.pixels[5] == data.sensor.span).all()


@pytest.mark.seconds
def test_folders_of_pictures_use_several_processes_and_list_the_corrupt(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 8)
    (folder / "cup/03.png").write_bytes((folder / "cup/03.png").read_bytes()[:300])
    data = load(f"folder:{folder}", size=16, cache=tmp_path / "cache")
    assert len(data.pixels) == 15 and data.sensor == Sensor(12, 0, 4095)
    assert [reject.file for reject in data.rejects()] == ["cup/03.png"]


@pytest.mark.seconds
def test_wrong_requests_are_one_line(tmp_path: Path) -> None:
    for spec, options, reason in (
        (
            "pascal",
            {},
            "write synthetic, synthetic:PHOTOGRAPHS@SEED, synthetic:street, synthetic:street-unseen, "
            "pascalraw:DIR, folder:DIR or prepared:DIR",
        ),
        ("synthetic:", {}, "write synthetic"),
        ("synthetic:12@x", {}, "write synthetic"),
        ("synthetic:0@1", {}, "draw 1 to 100000 photographs"),
        ("folder:", {}, "write synthetic"),
        (f"folder:{tmp_path}/none", {}, "no such folder"),
        ("synthetic", {"size": 33}, "^size 33"),
        ("synthetic", {"mode": "rgb"}, "mode 'rgb'"),
    ):
        with pytest.raises(LogGradError, match=reason):
            load(spec, cache=tmp_path, **options)
    data = load(f"folder:{pictures(tmp_path / 'p', 2)}", size=16, cache=tmp_path / "cache")
    with pytest.raises(LogGradError, match="split test is empty"):
        data.subset("test")
    with pytest.raises(LogGradError, match="split 'all'"):
        data.subset("all")


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["pixels.npy", "labels.npy", "manifest.csv", "dataset.json"])
def test_a_damaged_set_is_an_error_that_says_what_to_delete(tmp_path: Path, name: str) -> None:
    spec, cache = f"folder:{pictures(tmp_path / 'p', 4)}", tmp_path / "cache"
    path = load(spec, size=16, cache=cache).path
    for damage in ("cut", "gone"):
        if damage == "cut":
            (path / name).write_bytes((path / name).read_bytes()[:20])
        else:
            (path / name).unlink()
        with pytest.raises(LogGradError, match=r"damaged \(.*delete the folder"):
            load(spec, size=16, cache=cache)
        with pytest.raises(LogGradError, match=r"not a prepared set, or damaged"):
            dataset.open_prepared(path)


@pytest.mark.seconds
def test_a_prepared_folder_is_opened_without_its_source(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 4)
    data = load(f"folder:{folder}", size=16, cache=tmp_path / "cache")
    shutil.rmtree(folder)
    moved = data.path.rename(tmp_path / "moved")
    again = dataset.open_prepared(moved)
    assert np.array_equal(again.pixels, data.pixels) and np.array_equal(again.split, data.split)
    assert (again.spec, again.sensor, again.path) == (data.spec, data.sensor, moved)
    assert again.manifest_sha256 == data.manifest_sha256 and again.class_names == data.class_names
    with pytest.raises(LogGradError, match="no such folder"):
        dataset.open_prepared(data.path)


_LOADER = """
import sys
from pathlib import Path
from loggrad_tf.data import dataset
if __name__ == "__main__":
    data = dataset.load(sys.argv[1], size=16, cache=Path(sys.argv[2]))
    print(data.path, data.manifest_sha256, "tensorflow" in sys.modules)
"""


@pytest.mark.seconds
def test_processes_that_prepare_at_once_agree(tmp_path: Path) -> None:
    spec, cache = f"pascalraw:{archive(tmp_path / 'a', 7)}", tmp_path / "cache"
    (tmp_path / "loader.py").write_text(_LOADER)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(tmp_path / "loader.py"), spec, str(cache)]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = {process.communicate(timeout=100)[0] for process in running}
    assert len(answers) == 1 and [process.returncode for process in running] == [0, 0, 0]
    assert answers.pop().split()[2] == "False"
    assert sum(path.is_dir() for path in (cache / "sets").iterdir()) == 1


@pytest.mark.seconds
def test_a_set_that_another_process_prepares_is_waited_for(tmp_path: Path) -> None:
    spec, cache = f"pascalraw:{archive(tmp_path / 'a', 7)}", tmp_path / "cache"
    path = load(spec, size=16, cache=cache).path
    shutil.rmtree(path)
    (tmp_path / "loader.py").write_text(_LOADER)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(tmp_path / "loader.py"), spec, str(cache)]
    with dataset._lock(path):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        time.sleep(3)
        assert process.poll() is None and not path.exists()
    assert str(path) in process.communicate(timeout=100)[0] and path.is_dir()


@pytest.mark.seconds
def test_what_a_killed_preparation_left_is_cleared(tmp_path: Path) -> None:
    spec, cache = f"folder:{pictures(tmp_path / 'p', 4)}", tmp_path / "cache"
    path = load(spec, size=16, cache=cache).path
    path.rename(path.with_name(f".{path.name}.partial"))
    (path.with_name(f".{path.name}.partial") / "pixels.npy").write_bytes(b"half")
    assert len(load(spec, size=16, cache=cache).pixels) == 8
    assert [entry.name for entry in (cache / "sets").iterdir() if entry.is_dir()] == [path.name]


@pytest.mark.seconds
def test_the_synthetic_archive_is_drawn_once_and_read_like_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loggrad_tf.data import synthetic

    calls: list[tuple[int, ...]] = []

    def write_archive(directory: Path, *asked: int) -> None:
        calls.append(asked)
        archive(directory)

    monkeypatch.setattr(synthetic, "write_archive", write_archive)
    first = load("synthetic", size=16, cache=tmp_path)
    second = load("synthetic", size=16, mode="mosaic", cache=tmp_path)
    assert calls == [()] and first.spec == "synthetic" and len(second.pixels) == 12
    head = json.loads((first.path / "dataset.json").read_text())
    assert head["spec"] == "synthetic" and head["crops"] == 12
    other = load("synthetic:40@2", size=16, cache=tmp_path)
    assert calls == [(), (40, 2)] and other.spec == "synthetic:40@2" and other.path != first.path


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path))
    assert dataset.cache_folder() == tmp_path
    monkeypatch.delenv("LOGGRAD_CACHE")
    assert dataset.cache_folder() == Path.home() / ".cache" / "loggrad"
