"""Folders of RAW files: class folders, manifests and boxes; one camera, never pictures beside it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf.data import dataset, folder, photo
from loggrad_tf.data.prepared import DataSet
from loggrad_tf.data.sources import assign
from loggrad_tf.data.voc import Annotation, Object, write_voc
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER, Sensor, requantize
from tests.support.archives import dng


def _set(path: Path, **asked: str) -> DataSet:
    return dataset.load(f"folder:{path}", size=32, cache=path.parent / "cache", **asked)


def _classes(path: Path, each: int = 4, **kind: str) -> Path:
    for index in range(each):
        for label in ("cup", "plate"):
            dng(path / label / f"{label}_{index}.dng", index, **kind)
    return path


def _files(data: DataSet) -> list[str]:
    return [line.split(",")[0] for line in (data.path / "manifest.csv").read_text().splitlines()[1:]]


@pytest.mark.seconds
def test_class_folders_become_a_set_of_one_sensor(tmp_path: Path) -> None:
    for index, cfa in enumerate(BAYER):
        dng(tmp_path / f"a/cup/{index}.dng", index, cfa=cfa)
        dng(tmp_path / f"a/plate/{index}.dng", 9 + index, cfa=cfa)
    gray, mosaic = _set(tmp_path / "a"), _set(tmp_path / "a", mode="mosaic")
    assert gray.sensor == Sensor(12, 64, 4095) and mosaic.sensor == Sensor(12, 64, 4095, "RGGB")
    assert len(gray.pixels) == len(mosaic.pixels) == 8 and not gray.rejects() and not mosaic.rejects()
    assert gray.cameras == {"LogGrad Test camera, 12 bits, Bayer": 8}
    assert gray.class_names == ("cup", "plate") and np.bincount(gray.labels).tolist() == [4, 4]


@pytest.mark.seconds
def test_levels_of_one_camera_may_differ(tmp_path: Path) -> None:
    _classes(tmp_path / "a")
    dng(tmp_path / "a/cup/z.dng", 7, black=71, white=4000)
    data = _set(tmp_path / "a")
    assert data.sensor == Sensor(12, 64, 4095) and data.cameras == {"LogGrad Test camera, 12 bits, Bayer": 9}
    pixels, sensor = photo.read(tmp_path / "a/cup/z.dng", size=32, mode="gray", fit="stretch")
    assert sensor == Sensor(12, 71, 4000)
    assert np.array_equal(
        data.pixels[_files(data).index("cup/z.dng")], requantize(pixels, sensor, data.sensor)
    )


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ({"camera": "Other"}, "LogGrad Other, 12 bits, Bayer"),
        ({"white": 16383}, "LogGrad Test camera, 14 bits, Bayer"),
        ({"cfa": "mono"}, "LogGrad Test camera, 12 bits, monochrome"),
    ],
)
def test_several_sensors_are_an_error_that_says_which(tmp_path: Path, kind: dict, named: str) -> None:
    _classes(tmp_path / "a")
    for name in ("y", "z"):
        dng(tmp_path / f"a/cup/{name}.dng", 7, **kind)
    with pytest.raises(LogGradError) as refused:
        _set(tmp_path / "a")
    assert str(refused.value) == (
        f"folder:{tmp_path / 'a'}: photographs of 2 sensors (8 of LogGrad Test camera, 12 bits, Bayer, as"
        f" cup/cup_0.dng; 2 of {named}, as cup/y.dng): a network is made for one: give each a folder of"
        " its own"
    )


def test_raw_files_beside_pictures_are_refused(tmp_path: Path) -> None:
    _classes(tmp_path, 2)
    Image.new("RGB", (40, 40)).save(tmp_path / "cup/cup_0.JPG")
    with pytest.raises(LogGradError) as refused:
        folder.plan(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: RAW files and pictures in one set, as {tmp_path}/cup/cup_0.dng and"
        f" {tmp_path}/cup/cup_0.JPG: keep one kind, and move the JPEGs that a camera wrote beside its RAW"
        " files to another folder"
    )
    (tmp_path / "manifest.csv").write_text("file,class\ncup/cup_0.dng,cup\nplate/plate_0.dng,plate\n")
    assert len(folder.plan(tmp_path).pictures) == 2
    with (tmp_path / "manifest.csv").open("a") as file:
        file.write("cup/cup_0.JPG,cup\n")
    with pytest.raises(
        LogGradError, match=r"manifest.csv: RAW files and pictures in one set, as .*cup_0.JPG"
    ):
        folder.plan(tmp_path)


def test_a_manifest_of_raw_files_has_classes_splits_and_groups(tmp_path: Path) -> None:
    lines = ["file,class,split,group"]
    for index in range(6):
        dng(tmp_path / f"a/card 1/{index}.DNG", index, cfa=BAYER[index % 4])
        label, split = "mug" if index % 2 else "dish", "train" if index < 4 else "test"
        lines.append(f"card 1/{index}.DNG,{label},{split},g{index // 2}")
    (tmp_path / "a/manifest.csv").write_text("\n".join(lines) + "\n")
    assert [picture.group for picture in folder.plan(tmp_path / "a").pictures] == [
        "g0",
        "g0",
        "g1",
        "g1",
        "g2",
        "g2",
    ]
    data = _set(tmp_path / "a", mode="mosaic")
    assert data.class_names == ("dish", "mug") and data.counts().tolist() == [[2, 0, 1], [2, 0, 1]]


def test_boxes_cut_raw_files_as_they_cut_an_archive(tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    for name in ("a", "b"):
        dng(tmp_path / f"JPEGImages/{name}.dng", 3)
        boxes = (Object("car", 5, 4, 44, 36), Object("person", 1, 1, 8, 8))
        write_voc(tmp_path / f"Annotations/{name}.xml", Annotation(name, 60, 40, boxes))
    (picture, _) = folder.plan(tmp_path).pictures
    cut = photo.cut(picture, 36, "gray", "stretch")
    assert isinstance(cut.crops[0], np.ndarray) and "longer side of 16 pixels" in str(cut.crops[1])
    assert cut.sensor == Sensor(12, 64, 4095)
    with pytest.raises(LogGradError, match=f"folder:{tmp_path} has boxes: give --fit=stretch"):
        dataset.load(f"folder:{tmp_path}", size=32, fit="pad", cache=tmp_path / "cache")
    Image.new("RGB", (40, 40)).save(tmp_path / "JPEGImages/a.jpg")
    with pytest.raises(LogGradError, match="RAW files and pictures in one set"):
        folder.plan(tmp_path)
    (tmp_path / "JPEGImages/a.jpg").unlink()
    dng(tmp_path / "JPEGImages/a.NEF", 3)
    assert [reject.reason for reject in folder.plan(tmp_path).rejects] == [
        "several photographs for it: a.NEF, a.dng"
    ]


@pytest.mark.seconds
def test_strange_names_are_read_and_strange_files_are_rejects(tmp_path: Path) -> None:
    path = _classes(tmp_path / "a")
    dng(path / "Tasse für Tee/Bild 1 (klein).DNG", 20)
    (path / "plate/link.dng").symlink_to(path / "cup/cup_0.dng")
    (path / "plate/nowhere.dng").symlink_to(path / "cup/none.dng")
    whole = (path / "cup/cup_0.dng").read_bytes()
    (path / "cup/cut.dng").write_bytes(whole[: len(whole) // 2])
    (path / "cup/text.cr2").write_text("hello")
    (path / "cup/empty.arw").write_bytes(b"")
    (path / "cup/frame.raw").write_bytes(bytes(2 * 120 * 80))
    (path / "cup/notes.txt").write_text("x")
    dng(path / "plate/more/inside.dng", 21)
    Image.new("RGB", (40, 40)).save(path / "cup/jpeg.NEF", format="JPEG")
    data = _set(path)
    assert data.class_names == ("Tasse für Tee", "cup", "plate")
    assert "Tasse für Tee/Bild 1 (klein).DNG" in _files(data) and "plate/link.dng" in _files(data)
    assert data.counts().tolist()[0] == [1, 0, 0]
    reasons = {reject.file: reject.reason for reject in data.rejects()}
    wanted = {
        "cup/cut.dng": "it is cut off",
        "cup/empty.arw": "it is empty",
        "cup/frame.raw": "if it is a headerless frame, give its geometry",
        "cup/jpeg.NEF": "it is a JPEG that wears a RAW suffix",
        "cup/notes.txt": "not a picture",
        "cup/text.cr2": "it has no header that a camera writes",
        "plate/more": "a folder inside: move its photographs up",
        "plate/nowhere.dng": "a link to no file",
    }
    assert reasons.keys() == wanted.keys()
    assert all(wanted[name] in reason for name, reason in reasons.items())


@pytest.mark.seconds
def test_files_of_real_cameras(tmp_path: Path, shared: Path) -> None:
    """One camera a folder becomes a set; two are refused; every bad file is a reject."""
    real, bad = shared / "data/rawfiles/real", sorted((shared / "data/rawfiles/bad").iterdir())
    for label in ("cup", "plate"):
        (tmp_path / "a" / label).mkdir(parents=True)
        good = real / "canon_eos550d_magiclantern_1888x1182.dng"
        for split in ("train", "val"):
            (tmp_path / f"a/{label}/{split}.dng").symlink_to(good)
            with (tmp_path / f"a/{split}.txt").open("a") as file:
                file.write(f"{label}/{split}.dng\n")
    with (tmp_path / "a/train.txt").open("a") as file:
        file.writelines(f"cup/{path.name}\n" for path in (*bad, *real.glob("*.raw")))
    for path in (*bad, *real.glob("*.raw")):
        (tmp_path / "a/cup" / path.name).symlink_to(path)
    data = _set(tmp_path / "a")
    assert data.sensor == Sensor(14, 2056, 15000) and len(data.pixels) == 4
    assert data.cameras == {"Canon EOS Kiss X4, 14 bits, Bayer": 4}
    assert len(data.rejects()) == len(bad) + 4 == 17
    for name in ("kodak_dc50.kdc", "canon_eos_6d_lossy_linear.dng"):
        (tmp_path / "a/plate" / name).symlink_to(real / name)
        with (tmp_path / "a/train.txt").open("a") as file:
            file.write(f"plate/{name}\n")
    with pytest.raises(
        LogGradError, match=r"of 3 sensors \(4 of Canon EOS Kiss X4.*1 of .*EOS 6D.*demos.*1 of .*DC50"
    ):
        _set(tmp_path / "a")


def test_dealt_raw_files_of_one_name_are_one_group(tmp_path: Path) -> None:
    for label in ("cup", "plate"):
        dng(tmp_path / f"{label}/IMG_1.dng")
        dng(tmp_path / f"{label}/IMG_2.dng")
    assert {picture.group for picture in assign(folder.plan(tmp_path).pictures)} == {"IMG_1", "IMG_2"}
