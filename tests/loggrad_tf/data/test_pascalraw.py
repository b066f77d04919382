"""PASCALRAW archives: the layout, what is listed as left out, and the crops themselves."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf.data import crops, pascalraw, photo, raw
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.sources import Picture, Reject
from loggrad_tf.data.voc import Annotation, Object, write_voc
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER
from tests.support.archives import HEIGHT, WIDTH, archive, photograph


def _reasons(rejects: tuple[Reject, ...]) -> dict[tuple[str, int], str]:
    return {(reject.file, reject.item): reject.reason for reject in rejects}


def test_everything_left_out_is_listed(tmp_path: Path) -> None:
    archive(tmp_path, 4)
    (tmp_path / "original/raw/2014_000000.dng").unlink()
    (tmp_path / "annotations/2014_000001.xml").unlink()
    (tmp_path / "annotations/2014_000002.xml").write_text("<annotation>")
    shutil.copy(tmp_path / "original/raw/2014_000003.dng", tmp_path / "original/raw/2014_000003.NEF")
    good, outside = Object("car", 1, 1, 60, 40), Object("car", 1, 1, 61, 9)
    unknown = Object("bus", 1, 1, 9, 9)
    photograph(tmp_path, "2014_000004", (outside, good, unknown))
    photograph(tmp_path, "2014_000005", ())
    (tmp_path / "original/raw/notes.txt").write_text("not a photograph")
    (tmp_path / "trainval").mkdir()
    (tmp_path / "trainval/val.txt").write_text("2014_000004\n2014_000099\n")
    source = pascalraw.plan(tmp_path)
    assert [(p.file, p.labels, p.items) for p in source.pictures] == [
        ("original/raw/2014_000004.dng", ("car",), (1,))
    ]
    reasons = _reasons(source.rejects)
    assert len(reasons) == len(source.rejects) == 8
    for key, part in {
        ("annotations/2014_000000.xml", -1): "no RAW file 2014_000000.*",
        ("original/raw/2014_000001.dng", -1): "no 2014_000001.xml",
        ("annotations/2014_000002.xml", -1): "not XML",
        ("annotations/2014_000003.xml", -1): "2 RAW files",
        ("annotations/2014_000004.xml", 0): "not inside its frame of 60x40",
        ("annotations/2014_000004.xml", 2): "class 'bus'",
        ("annotations/2014_000005.xml", -1): "no object",
        ("trainval/val.txt", -1): "'2014_000099' has neither",
    }.items():
        assert part in reasons[key]


def test_missing_and_empty_folders_are_one_line(tmp_path: Path) -> None:
    for make, reason in (
        (None, "no such folder"),
        ("", "no folder original/raw"),
        ("original/raw", "no folder annotations"),
        ("annotations", "no RAW file in it"),
    ):
        if make is not None:
            (tmp_path / "set" / make).mkdir(parents=True)
        with pytest.raises(LogGradError, match=reason) as caught:
            pascalraw.plan(tmp_path / "set")
        assert "\n" not in str(caught.value)
    write_dng(tmp_path / "set/original/raw/a.dng", np.full((24, 24), 9, np.uint16), cfa="RGGB")
    with pytest.raises(LogGradError, match="no XML file in it"):
        pascalraw.plan(tmp_path / "set")


def _picture(path: Path, boxes: tuple[Object, ...], frame: tuple[int, int] = (60, 40)) -> Picture:
    return Picture(path, path.name, "a", "", frame, ("car",) * len(boxes), boxes, tuple(range(len(boxes))))


@pytest.mark.parametrize("cfa", BAYER)
def test_crops_are_the_boxes_pixels(tmp_path: Path, cfa: str) -> None:
    path = tmp_path / "a.dng"
    codes = np.random.default_rng(2).integers(64, 4096, (HEIGHT, WIDTH)).astype(np.uint16)
    write_dng(path, codes, cfa=cfa, black=64)
    picture = _picture(path, (Object("car", 11, 6, 30, 25), Object("car", 1, 1, 2, 2)))
    linear = codes.astype(np.int64) - 64
    gray = photo.cut(picture, 10, "gray", "stretch")
    means = np.floor(linear.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(1, 3)) + 0.5)
    window = means[5:25, 10:30].reshape(10, 2, 10, 2).mean(axis=(1, 3))
    assert np.array_equal(gray.crops[0], crops.to_codes(window, 4031)) and gray.sensor.cfa == "mono"
    assert "longer side of 4 pixels, at least 7" in str(gray.crops[1])
    odd = _picture(path, (Object("car", 22, 12, 61, 51),), (WIDTH, HEIGHT))
    mosaic = photo.cut(odd, 40, "mosaic", "stretch")
    down, right = raw.red_corner(cfa)
    top, left = (11 if down else 12), (21 if right else 22)
    assert mosaic.sensor.cfa == "RGGB"
    assert np.array_equal(mosaic.crops[0], linear[top : top + 40, left : left + 40])


def test_a_frame_of_other_proportions_is_refused(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", np.full((80, 120), 900, np.uint16), cfa="RGGB")
    box = (Object("car", 1, 1, 40, 60),)
    with pytest.raises(LogGradError, match="frame of 40x60, the picture is 120x80"):
        photo.cut(_picture(tmp_path / "a.dng", box, (40, 60)), 16, "gray", "stretch")


@pytest.mark.seconds
def test_the_real_annotations_meet_one_photograph(shared: Path, tmp_path: Path) -> None:
    with tarfile.open(next((shared / "data/pascalraw_annotations").glob("*.tar.gz"))) as tar:
        tar.extractall(tmp_path, filter="data")
    (tmp_path / "original/raw").mkdir(parents=True)
    codes = np.random.default_rng(0).integers(1, 4026, (400, 600)).astype(np.uint16)
    write_dng(tmp_path / "original/raw/2014_000949.dng", codes, cfa="RGGB", white=4025)
    source = pascalraw.plan(tmp_path)
    assert [picture.labels for picture in source.pictures] == [("person",)]
    assert len(source.rejects) == 4258
    crop = photo.cut(source.pictures[0], 96, "gray", "stretch").crops[0]
    assert isinstance(crop, np.ndarray) and crop.shape == (96, 96)


def test_real_camera_files_in_the_layout(shared: Path, tmp_path: Path) -> None:
    for part in ("original/raw", "annotations"):
        (tmp_path / part).mkdir(parents=True)
    folder = shared / "data/rawfiles"
    for path in (folder / "real/kodak_dc50.kdc", folder / "repacked/nikon_rose_768x512_gbrg.dng"):
        shutil.copy(path, tmp_path / "original/raw" / path.name)
        note = Annotation(path.stem, 600, 400, (Object("car", 101, 51, 500, 350),))
        write_voc(tmp_path / f"annotations/{path.stem}.xml", note)
    for picture in pascalraw.plan(tmp_path).pictures:
        for mode in crops.MODES:
            crop = photo.cut(picture, 96, mode, "stretch").crops[0]
            assert isinstance(crop, np.ndarray) and crop.std() > 100


def test_a_test_part_makes_the_lists_decide(tmp_path: Path) -> None:
    archive(tmp_path, 4)
    (tmp_path / "trainval").mkdir()
    for split, number in (("train", 0), ("val", 1), ("test", 2)):
        (tmp_path / f"trainval/{split}.txt").write_text(f"2014_00000{number}\n")
    source = pascalraw.plan(tmp_path)
    assert [picture.split for picture in source.pictures] == ["train", "val", "test"]
    assert _reasons(source.rejects) == {
        ("original/raw/2014_000003.dng", -1): "in no list of train, val and test"
    }
    assert tmp_path / "trainval/test.txt" in source.files
    (tmp_path / "trainval/test.txt").unlink()
    assert {picture.split for picture in pascalraw.plan(tmp_path).pictures} == {""}


def test_groups_are_read_from_their_file(tmp_path: Path) -> None:
    archive(tmp_path, 3)
    groups = tmp_path / "groups.txt"
    groups.write_text("2014_000000 monday\n2014_000002 monday\n")
    source = pascalraw.plan(tmp_path)
    assert [picture.group for picture in source.pictures] == ["monday", "2014_000001", "monday"]
    assert groups in source.files
    groups.write_text("2014_000000\n")
    with pytest.raises(LogGradError, match="write the name of a photograph and its group"):
        pascalraw.plan(tmp_path)
