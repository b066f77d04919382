"""Whole photographs with boxes: what is kept of their annotations, and where boxes lie in a prepared set."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import sets
from loggrad_tf.data import folder, pascalraw, prepared, views
from loggrad_tf.data.boxes import BOX
from loggrad_tf.data.dataset import load
from loggrad_tf.data.prepared import DataSet, open_prepared
from loggrad_tf.data.sources import Reject
from loggrad_tf.data.summary import doubts, sizes, table
from loggrad_tf.data.voc import Annotation, Object, write_voc
from loggrad_tf.errors import LogGradError
from tests.support.archives import FRAME, photograph, pictures

CAR, PERSON = Object("car", 21, 11, 40, 30), Object("person", 1, 1, 10, 20, difficult=True)


def street(place: Path, frames: dict[str, tuple[Object, ...]], lists: dict[str, str] | None = None) -> Path:
    """Pictures of 60x40 with boxes in VOC layout."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (place / name).mkdir(parents=True)
    for seed, (name, objects) in enumerate(frames.items()):
        values = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(values).save(place / f"JPEGImages/{name}.png")
        write_voc(place / f"Annotations/{name}.xml", Annotation(name, 60, 40, objects))
    for split, names in (lists or {}).items():
        (place / f"ImageSets/Main/{split}.txt").write_text("\n".join(names.split()))
    return place


def boxes(*some: tuple[int, int, float, float, float, float, bool]) -> np.ndarray:
    return np.array(list(some), BOX)


def made(place: Path, size=(20, 30), task="detect:car,person", **options) -> DataSet:
    return load(f"folder:{place}", size=size, task=task, cache=place.parent / "cache", **options)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    frames = {"a": (CAR, Object("person", 1, 1, 10, 20)), "b": (), "c": (CAR, PERSON), "d": (PERSON,)}
    return made(
        street(tmp_path_factory.mktemp("small") / "s", frames, {"train": "d a", "val": "b", "test": "c"})
    )


@pytest.fixture
def copy(small: DataSet, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(small.path, tmp_path / "copy"))


def test_boxes_are_those_of_their_frames_made_to_measure(small: DataSet) -> None:
    assert small.detects and small.class_names == ("car", "person") and small.pixels.shape == (4, 20, 30)
    assert not small.labels.any() and small.split.tolist() == [0, 1, 2, 0] and small.fit == "crop"
    car, person = (0, 10, 5, 20, 15, False), (1, 0, 0, 5, 10)
    assert (small.boxes_of("train") == boxes((0, *car), (0, *person, False), (1, *person, True))).all()
    assert len(small.boxes_of("val")) == 0 and small.boxes_of("val").dtype == BOX
    assert (small.boxes_of("test") == boxes((0, *car), (0, *person, True))).all()
    assert small.counts().tolist() == [[1, 0, 1], [1, 0, 0]]
    prepared.check(small)


@pytest.mark.seconds
def test_classes_are_in_the_order_they_are_asked_for(tmp_path: Path) -> None:
    place = street(
        tmp_path / "s", {"a": (CAR, Object("person", 1, 1, 10, 20), Object("bicycle", 1, 1, 9, 9))}
    )
    assert made(place, task="detect:person,car").boxes_of("train")["label"].tolist() == [1, 0]
    assert made(place, task="detect:person").boxes_of("train")["label"].tolist() == [0]
    assert made(place, task="detect").class_names == ("bicycle", "car", "person")
    (place / "classes.txt").write_text("car\n")
    assert made(place, task="detect").class_names == ("car",)
    with pytest.raises(LogGradError, match="task detect:dog: the classes are car: choose among them"):
        made(place, task="detect:dog")


@pytest.mark.seconds
@pytest.mark.parametrize("mode", ["gray", "mosaic"])
def test_boxes_follow_what_the_fit_keeps(tmp_path: Path, mode: str) -> None:
    """Of 60x40 the middle 40x40: columns 10 to 50."""
    objects = (Object("car", 21, 11, 40, 30), Object("car", 1, 1, 20, 10), Object("car", 1, 1, 8, 8))
    place = street(tmp_path / "s", {"a": objects})
    cropped, stretched = (
        made(place, size=40, task="detect:car", fit=fit, mode=mode) for fit in ("crop", "stretch")
    )
    assert (
        cropped.boxes_of("train") == boxes((0, 0, 10, 10, 30, 30, False), (0, 0, 0, 0, 10, 10, False))
    ).all()
    assert cropped.rejects() == (
        Reject(
            "JPEGImages/a.png",
            -1,
            "objects outside of what the fit keeps: the frame stays without them (boxes: 1)",
        ),
    )
    found = stretched.boxes_of("train")
    assert (
        len(found) == 3
        and np.allclose(found["left"], [40 / 3, 0, 0])
        and np.allclose(found["top"], [10, 0, 0])
    )
    narrow = made(
        street(tmp_path / "n", {"a": (CAR, Object("car", 1, 1, 12, 10))}), size=40, task="detect:car"
    )
    assert narrow.boxes_of("train")["difficult"].tolist() == [False, True]


@pytest.mark.seconds
@pytest.mark.parametrize("mode", ["gray", "mosaic"])
@pytest.mark.parametrize("cfa", ["RGGB", "BGGR"])
def test_raw_frames_have_boxes_too(tmp_path: Path, mode: str, cfa: str) -> None:
    """A photograph of 120x80 photosites whose boxes are drawn in a frame of 60x40."""
    for name in ("a", "b", "c"):
        photograph(tmp_path / "p", name, (Object("car", 21, 11, 40, 30),), cfa=cfa)
    data = load(
        f"pascalraw:{tmp_path / 'p'}", size=(40, 60), mode=mode, task="detect:car", cache=tmp_path / "cache"
    )
    found = data.boxes
    assert found is not None and found["frame"].tolist() == [0, 1, 2] and FRAME == (60, 40)
    for side, value in zip(("left", "top", "right", "bottom"), (20, 10, 40, 30), strict=True):
        assert np.abs(found[side] - value).max() <= 0.6  # a mosaic begins at a red photosite
    assert data.sensor.cfa == ("mono" if mode == "gray" else "RGGB")


def test_nothing_is_dropped_silently(tmp_path: Path) -> None:
    """Inverted, outside, unknown ones, a wrong one that is not asked for, no XML, no picture, too small."""
    frames = {
        "good": (CAR,),
        "empty": (),
        "inverted": (CAR, Object("car", 30, 30, 20, 20)),
        "outside": (Object("car", 50, 30, 61, 40), CAR),
        "unknown": (Object("dog", 1, 1, 99, 9), Object("dog", 1, 1, 9, 9), CAR, Object("cup", 1, 1, 9, 9)),
        "other": (Object("person", 9, 9, 1, 1), CAR),
        "alone": (CAR,),
        "ghost": (CAR,),
        "tiny": (CAR,),
    }
    place = street(tmp_path / "s", frames)
    (place / "Annotations/alone.xml").unlink()
    (place / "JPEGImages/ghost.png").unlink()
    Image.new("RGB", (12, 8), "gray").save(place / "JPEGImages/tiny.png")
    source = folder.plan(place, asked=("car",))
    kept = {Path(picture.file).stem: len(picture.boxes) for picture in source.pictures}
    assert kept == {"good": 1, "empty": 0, "unknown": 1, "other": 1, "tiny": 1}
    data = made(place, task="detect:car")
    assert {(Path(one.file).stem, one.item, one.reason) for one in data.rejects()} == {
        ("inverted", 1, "box 30 30 20 20 has no area: its frame is left out"),
        ("outside", 0, "box 50 30 61 40 is not inside its frame of 60x40: its frame is left out"),
        (
            "unknown",
            -1,
            "class 'cup' is not one of bicycle, car, person: its frame stays without it (boxes: 1)",
        ),
        (
            "unknown",
            -1,
            "class 'dog' is not one of bicycle, car, person: its frame stays without it (boxes: 2)",
        ),
        ("alone", -1, "no Annotations/alone.xml for it"),
        ("ghost", -1, "no JPEGImages/ghost.* for it"),
        ("tiny", 0, "longer side of 12 pixels, at least 20 are needed"),
    }
    assert len(data.pixels) == 4 and data.boxes is not None and len(data.boxes) == 3


def test_raw_archives_list_what_is_missing(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        photograph(tmp_path / "p", name, () if name == "a" else (CAR,))
    (tmp_path / "p/annotations/b.xml").unlink()
    (tmp_path / "p/original/raw/c.dng").unlink()
    source = pascalraw.plan(tmp_path / "p", asked=())
    assert [picture.labels for picture in source.pictures] == [("",)]
    assert [reject.reason for reject in source.rejects] == ["no b.xml for it", "no RAW file c.* for it"]


UNUSABLE = (
    ({"a": (), "b": ()}, "detect:car", "class 'car' has no object: add photographs of it$"),
    ({"a": (Object("dog", 1, 1, 9, 9),)}, "detect:car", "object .1 rejects in .*often: class 'dog' is not"),
    ({"a": (CAR,)}, "detect", "class 'bicycle' has no object.*, or give --task=detect:car$"),
    ({"a": (CAR, PERSON)}, "detect:car,person", "class 'person' has no object: .*--task=detect:car$"),
)  # fmt: skip


@pytest.mark.parametrize(("frames", "task", "reason"), UNUSABLE)
def test_what_cannot_be_learnt_is_refused(
    tmp_path: Path, frames: dict[str, tuple[Object, ...]], task: str, reason: str
) -> None:
    with pytest.raises(LogGradError, match=reason) as caught:
        made(street(tmp_path / "s", frames), task=task)
    assert "\n" not in str(caught.value)


def test_frames_need_boxes_and_no_mirror(tmp_path: Path) -> None:
    with pytest.raises(LogGradError, match="--task=detect needs photographs with boxes"):
        made(pictures(tmp_path / "classes", 3))
    with pytest.raises(LogGradError, match="fit 'pad': what is mirrored would have no boxes"):
        made(street(tmp_path / "s", {"a": (CAR,)}), fit="pad")
    for task in ("detect:", "detect:car,", "detect:car,car", "detects"):
        with pytest.raises(LogGradError, match=f"task '{task}': choose classify"):
            made(tmp_path / "s", task=task)


def test_a_set_for_tests_alone_opens(tmp_path: Path) -> None:
    data = made(street(tmp_path / "s", {"a": (CAR,), "b": ()}, {"test": "a b"}))
    assert data.split.tolist() == [2, 2] and len(data.boxes_of("test")) == 1
    (warning,) = doubts(data)
    assert "nothing to train on" in warning
    with pytest.raises(LogGradError, match="split train is empty"):
        data.boxes_of("train")
    with pytest.raises(LogGradError, match="class 'car' has no object"):
        made(street(tmp_path / "none", {"a": (), "b": ()}, {"test": "a b"}))


def test_lists_of_a_raw_archive_with_a_test_part_decide(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        photograph(tmp_path / "p", name, (CAR,))
    (tmp_path / "p/trainval").mkdir()
    for split, name in (("train", "b"), ("test", "a")):
        (tmp_path / f"p/trainval/{split}.txt").write_text(f"{name}\n")
    source = pascalraw.plan(tmp_path / "p", asked=("car",))
    assert [(picture.group, picture.split) for picture in source.pictures] == [("a", "test"), ("b", "train")]
    assert source.rejects == (Reject("original/raw/c.dng", -1, "in no list of train, val and test"),)


@pytest.mark.seconds
def test_a_changed_box_is_another_set(tmp_path: Path) -> None:
    place = street(tmp_path / "s", {"a": (CAR,)})
    one = made(place, task="detect:car")
    write_voc(place / "Annotations/a.xml", Annotation("a", 60, 40, (Object("car", 21, 11, 40, 31),)))
    other = made(place, task="detect:car")
    assert one.manifest_sha256 != other.manifest_sha256 and (one.pixels == other.pixels).all()


def test_the_table_counts_objects_and_frames(small: DataSet) -> None:
    assert [line.split() for line in table(small).splitlines()] == [
        ["class", "train", "val", "test", "all"],
        ["car", "1", "0", "1", "2"],
        ["person", "1", "0", "0", "1"],
        ["all", "2", "0", "1", "3"],
        ["difficult", "1", "0", "1", "2"],
        ["frames", "2", "1", "1", "4"],
        ["empty", "frames", "0", "1", "0", "1"],
    ]
    assert sizes(small)[0] == "car: half of them above 10 pixels, 80 % from 10 to 10"
    few, *missing = doubts(small)
    assert "2 frames to train on" in few
    assert [line.partition(": ")[2].partition(":")[0] for line in missing] == [
        f"{small.spec.partition(': ')[2]}no object of car in val",
        "no object of person in val and test",
    ]


def _with(**fields: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(found: np.ndarray) -> np.ndarray:
        for name, value in fields.items():
            found[name][1] = value
        return found

    return change


DAMAGES: tuple[tuple[Callable[[np.ndarray], np.ndarray], str], ...] = (
    (_with(left=np.nan), "boxes.npy: box 1 is"),
    (_with(left=-1), "boxes.npy: box 1 is"),
    (_with(right=0), "boxes.npy: box 1 is"),
    (_with(right=31), "boxes.npy: box 1 is"),
    (_with(bottom=20.5), "boxes.npy: box 1 is"),
    (_with(label=2), "boxes.npy: box 1 is"),
    (_with(label=-1), "boxes.npy: box 1 is"),
    (_with(frame=4), "boxes.npy: box 1 is"),
    (lambda found: found[::-1], "boxes.npy: box . is .* out of order"),
    (lambda found: found["left"], "boxes.npy: float32 of shape"),
    (lambda found: found[None], "boxes.npy: .* no list of boxes"),
)  # fmt: skip


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_opening_sees_damaged_boxes(
    copy: Path, damage: Callable[[np.ndarray], np.ndarray], reason: str
) -> None:
    np.save(copy / "boxes.npy", damage(np.load(copy / "boxes.npy")))
    with pytest.raises(LogGradError, match=rf"not a prepared set, or damaged .*({reason})") as caught:
        open_prepared(copy)
    assert "\n" not in str(caught.value)


def test_opening_misses_boxes_and_checking_sees_other_ones(copy: Path) -> None:
    path = copy / "boxes.npy"
    kept = np.load(path)
    for change in (_with(left=0.5), _with(difficult=True), _with(label=0), lambda found: found[1:]):
        np.save(path, change(kept.copy()))
        with pytest.raises(LogGradError, match=r"crop 0 \(JPEGImages/a.png\): box is .*, in manifest.csv"):
            prepared.check(open_prepared(copy))
    path.unlink()
    with pytest.raises(LogGradError, match="boxes.npy: damaged"):
        open_prepared(copy)
    head = json.loads((copy / "dataset.json").read_text()) | {"task": "detect:"}
    (copy / "dataset.json").write_text(json.dumps(head))
    with pytest.raises(LogGradError, match="dataset.json: task 'detect:': choose classify"):
        open_prepared(copy)


def test_other_tasks_have_no_boxes(tmp_path: Path) -> None:
    data = load(f"folder:{pictures(tmp_path / 'p', 3)}", size=16, cache=tmp_path / "cache")
    assert not data.detects
    with pytest.raises(LogGradError, match="task classify has no boxes: give --task=detect"):
        data.boxes_of("train")


def test_a_prepared_set_is_opened_as_it_is(small: DataSet) -> None:
    again = load(f"prepared:{small.path}", size=(20, 30), task="detect:car,person")
    assert again.boxes is not None and small.boxes is not None and (again.boxes == small.boxes).all()
    with pytest.raises(LogGradError, match="--task=detect:car,person$"):
        load(f"prepared:{small.path}", size=(20, 30))


def test_a_sheet_shows_frames_with_an_object_of_each_class(small: DataSet) -> None:
    """Boxes are drawn on what the camera saw and on what the network sees."""
    with_boxes = np.asarray(views.sheet(small, "jpeg8", 1, 1))
    without = np.asarray(views.sheet(dataclasses.replace(small, boxes=small.boxes[:0]), "jpeg8", 1, 1))
    assert with_boxes.shape[0] > without.shape[0]
    pixels = {tuple(pixel) for pixel in with_boxes.reshape(-1, 3).tolist()}
    assert {views.COLOURS["red"], views.COLOURS["blue"]} <= pixels
    left = np.argwhere((with_boxes == views.COLOURS["red"]).all(axis=2))[:, 1]
    factor = 3  # of a frame of 30x20, so that it is 90 pixels wide
    assert set(left - left.min()) >= {0, factor * 10 - 1, factor * 30 + 2}


def test_a_set_made_of_frames_keeps_their_boxes(small: DataSet, tmp_path: Path) -> None:
    chosen = np.array([3, 0])
    sets.write(tmp_path / "made", small, chosen, np.array([0, 2], np.uint8), small.pixels[chosen] // 2)
    half = open_prepared(tmp_path / "made")
    prepared.check(half)
    assert half.boxes is not None and half.boxes["frame"].tolist() == [0, 1, 1]
    assert (half.boxes_of("test") == small.boxes_of("train")[:2]).all()


@pytest.mark.seconds
def test_scenes_have_their_boxes(shared: Path, tmp_path: Path) -> None:
    """As many as its README counts, whichever the photograph's proportions."""
    source = folder.plan(shared / "data/scenes", asked=("person", "car"))
    counts = dict.fromkeys(
        ((name, split) for name in ("person", "car") for split in ("train", "val", "test")), 0
    )
    for picture in source.pictures:
        for item in picture.boxes:
            counts[item.name, picture.split] += 1
    assert list(counts.values()) == [726, 148, 135, 919, 225, 220] and len(source.pictures) == 1667
