"""Frames of fixed cameras as an archive: days in splits, boxes in frames, same bytes, unseen cameras."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import rawpy

from loggrad_tf.data import drawn, pascalraw, street, voc
from loggrad_tf.data.drawn import Drawn
from loggrad_tf.data.sources import assign
from loggrad_tf.data.street import SEEN, UNSEEN, Filming
from loggrad_tf.scene import fixed
from tests.support import REPOSITORY

FILMING = Filming(cameras=(1, 2), days=4, frames=2, val=1, test=1)
SEED = 3
SPLIT_OF_DAY = {1: "train", 2: "train", 3: "val", 4: "test"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("street")
    street.write_archive(directory, FILMING, SEED, workers=1)
    return directory


def _digests(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.mark.seconds
def test_names_say_camera_day_and_time(archive: Path) -> None:
    names = sorted(path.stem for path in (archive / "original/raw").iterdir())
    assert len(names) == 16
    for name in names:
        assert re.fullmatch(r"cam[12]-day0[1-4]-(0[6-9]|1\d|2[0-2])[0-5]\d-0[12]", name)
    assert sorted(path.stem for path in (archive / "annotations").iterdir()) == names
    assert [name for name in names if name.startswith("cam1-day01")] == [
        name for name, _ in street.film(SEED, 1, 1, 2)
    ]


@pytest.mark.seconds
def test_days_are_groups_and_have_one_split(archive: Path) -> None:
    source = pascalraw.plan(archive, "car")
    assert assign(source.pictures) == source.pictures
    for picture in source.pictures:
        camera, day, *_ = picture.path.stem.split("-")
        assert picture.group == f"{camera}-{day}"
        assert picture.split == SPLIT_OF_DAY[int(day.removeprefix("day"))]
    assert {picture.split for picture in source.pictures} == {"train", "val", "test"}


@pytest.mark.seconds
def test_two_workers_write_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    street.write_archive(tmp_path, FILMING, SEED, workers=2)
    assert _digests(tmp_path) == _digests(archive)


@pytest.mark.seconds
def test_files_hold_what_was_taken(archive: Path) -> None:
    for name, frame in street.film(SEED, 2, 1, 2):
        with rawpy.imread(str(archive / f"original/raw/{name}.dng")) as raw:
            np.testing.assert_array_equal(raw.raw_image_visible, frame.codes)
            assert "".join("RGBG"[k] for k in raw.raw_pattern.ravel()) == frame.cfa
        read = voc.read_voc(archive / f"annotations/{name}.xml")
        assert (read.width, read.height) == (fixed.WIDTH, fixed.HEIGHT)
        assert len(read.objects) == len(frame.objects)
        for item, seen in zip(read.objects, frame.objects, strict=True):
            assert (item.name, item.difficult, item.occluded, item.truncated) == (
                seen.name,
                seen.difficult,
                seen.occluded,
                seen.truncated,
            )
            box = voc.scale_box(item, (read.width, read.height), (fixed.WIDTH, fixed.HEIGHT))
            np.testing.assert_allclose(box, seen.box, atol=0.51)


@pytest.mark.seconds
def test_boxes_lie_in_their_frames(archive: Path) -> None:
    boxes = [item for path in (archive / "annotations").iterdir() for item in voc.read_voc(path).objects]
    assert {item.name for item in boxes} == {"bicycle", "car", "person"}
    for item in boxes:
        assert 1 <= item.xmin <= item.xmax <= fixed.WIDTH and 1 <= item.ymin <= item.ymax <= fixed.HEIGHT


def test_every_day_has_a_split() -> None:
    splits = [SEEN.split(day) for day in range(1, SEEN.days + 1)]
    assert splits == ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    assert {UNSEEN.split(day) for day in range(1, UNSEEN.days + 1)} == {"test"}
    frames = [len(one.cameras) * one.days * one.frames for one in (SEEN, UNSEEN)]
    assert frames == [960, 240]


def test_unseen_cameras_look_at_other_streets() -> None:
    assert not set(SEEN.cameras) & set(UNSEEN.cameras)
    cameras = [fixed.fixed_camera(np.random.default_rng([1, k])) for k in (*SEEN.cameras, *UNSEEN.cameras)]
    assert len({camera.place.view.focal for camera in cameras}) == len(cameras)
    for place, one in enumerate(cameras):
        for other in cameras[place + 1 :]:
            assert (one.surfaces.albedo != other.surfaces.albedo).mean() > 0.9


def test_what_a_name_asks_for() -> None:
    assert Drawn.of("synthetic:street") == Drawn(None, "street")
    assert Drawn.of("synthetic:street-unseen") == Drawn(None, "street-unseen")
    assert Drawn.of("synthetic:street@7") == Drawn((7,), "street")
    for other in ("synthetic:street@x", "synthetic:streets", "synthetic:street:9@1", "folder:street"):
        assert Drawn.of(other) is None
    every = [
        Drawn.of(f"synthetic{rest}")
        for rest in ("", ":7@7", ":street", ":street@7", ":street-unseen", ":street-unseen@7")
    ]
    assert len({str(one.listing) for one in every if one}) == len(every)
    assert len({one.folder for one in every if one}) == len(every)


@pytest.mark.parametrize("kind", ["synthetic", "street"])
def test_a_collection_is_drawn_anew_when_what_draws_it_changes(kind: str) -> None:
    """The files that are hashed are all the files of the scene that the collection's module imports."""
    pattern = re.compile(r"^from loggrad_tf\.scene(?:\.(\w+) import|\simport ([\w, ]+))", re.MULTILINE)
    listed = set(drawn._DRAWING[kind])
    found, left = set(), {f"data/{kind}.py"}
    while left:
        name = left.pop()
        found.add(name)
        for module, modules in pattern.findall((REPOSITORY / "loggrad_tf" / name).read_text()):
            names = [module] if module else [part.split(" as ")[0].strip() for part in modules.split(",")]
            left |= {f"scene/{one}.py" for one in names} - found
    assert found == listed
