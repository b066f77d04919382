"""Folders of pictures: the three layouts, the imitated sensor, and what is left out."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf.data import folder, imitation, photo
from loggrad_tf.data.sources import Picture, Reject, assign
from loggrad_tf.data.voc import Annotation, Object, write_voc
from loggrad_tf.errors import LogGradError
from tests.support.archives import linear_rgb, pictures


def test_class_folders_are_listed(tmp_path: Path) -> None:
    pictures(tmp_path, 3)
    (tmp_path / "cup/readme.txt").write_text("x")
    (tmp_path / "cup/.hidden").write_text("x")
    source = folder.plan(tmp_path)
    assert source.class_names == ("cup", "plate") and len(source.pictures) == 6
    assert [r.file for r in source.rejects] == ["cup/readme.txt"]
    assert source.rejects[0].reason.startswith("not a picture (.jpg, ")
    (tmp_path / "train.txt").write_text("cup/00.png\nplate/00.png\ncup/99.png\n")
    source = folder.plan(tmp_path)
    assert [picture.split for picture in source.pictures] == ["train", "train"]
    assert {r.file: r.reason for r in source.rejects}["cup/99.png"] == "listed, but no such file"
    assert sum("in none of" in r.reason for r in source.rejects) == 4


def test_a_manifest_gives_class_split_and_group(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    (tmp_path / "manifest.csv").write_text(
        "file,class,split,group,note\ncup/00.png,mug,val,g1,\ncup/01.png,mug,test,g2,\nplate/00.png,dish,train,g3,\n"
        "plate/09.png,dish,train,g3,\n../x.png,dish,train,g3,\nplate/01.png,dish,later,g3,\ncup/00.png,mug,val,g1,\n"
    )
    source = folder.plan(tmp_path)
    assert source.class_names == ("dish", "mug")
    assert [(p.file, p.split, p.group) for p in source.pictures] == [
        ("cup/00.png", "val", "g1"),
        ("cup/01.png", "test", "g2"),
        ("plate/00.png", "train", "g3"),
    ]
    assert [r.reason for r in source.rejects] == [
        "no such file",
        "it lies outside the folder",
        "split 'later' is not train, val or test",
        "it is in the manifest twice",
    ]
    (tmp_path / "manifest.csv").write_text("name,class\na,b\n")
    with pytest.raises(LogGradError, match="must name the columns file and class"):
        folder.plan(tmp_path)


def test_a_photograph_in_several_classes_is_one_group(tmp_path: Path) -> None:
    pictures(tmp_path, 40)
    splits: dict[str, set[str]] = defaultdict(set)
    for picture in assign(folder.plan(tmp_path).pictures):
        splits[picture.path.stem].add(picture.split)
    assert len(splits) == 40 and all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}
    (tmp_path / "train.txt").write_text("cup/00.png\nplate/00.png\n")
    (tmp_path / "test.txt").write_text("cup/01.png\nplate/02.png\n")
    (tmp_path / "val.txt").write_text("plate/01.png\ncup/02.png\n")
    listed = assign(folder.plan(tmp_path).pictures)
    assert [(p.file, p.split) for p in listed[:3]] == [
        ("cup/00.png", "train"),
        ("cup/01.png", "test"),
        ("cup/02.png", "val"),
    ]


@pytest.mark.parametrize("column", ["group", "source", "source_image"])
def test_a_manifest_names_the_photograph_of_a_crop(tmp_path: Path, column: str) -> None:
    pictures(tmp_path, 2)
    (tmp_path / "manifest.csv").write_text(
        f"file,class,{column}\ncup/00.png,mug,p1\nplate/00.png,dish,p1\nplate/01.png,dish,\n"
    )
    assert [picture.group for picture in folder.plan(tmp_path).pictures] == ["p1", "p1", "plate/01.png"]


def test_voc_folders_are_cut_by_their_boxes(tmp_path: Path) -> None:
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / part).mkdir(parents=True)
    values = np.zeros((60, 90, 3), np.uint8)
    values[20:40, 30:50] = 255
    for name in ("a", "b", "c"):
        Image.fromarray(values).save(tmp_path / f"JPEGImages/{name}.png")
        boxes = (Object("car", 31, 21, 50, 40), Object("cow", 1, 1, 20, 20), Object("person", 1, 1, 5, 5))
        write_voc(tmp_path / f"Annotations/{name}.xml", Annotation(name, 90, 60, boxes))
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\nb\n")
    source = folder.plan(tmp_path)
    assert [(p.group, p.split, p.items) for p in source.pictures] == [
        ("a", "train", (0, 2)),
        ("b", "train", (0, 2)),
    ]
    assert sorted(r.reason[:9] for r in source.rejects) == ["class 'co", "class 'co", "in no lis"]
    cut = photo.cut(source.pictures[0], 20, "gray", "stretch")
    assert isinstance(cut.crops[0], np.ndarray) and cut.crops[0].min() > 800
    assert "longer side of 5 pixels" in str(cut.crops[1])


def test_presence_is_of_the_whole_photograph(tmp_path: Path) -> None:
    """A clear person, a small one, a difficult one, a wrong box, nobody, nothing at all; no crop of a box."""
    objects = {
        "clear": (Object("person", 1, 1, 4, 3), Object("car", 5, 5, 30, 30), Object("dog", 1, 1, 9, 9)),
        "small": (Object("person", 1, 1, 3, 2), Object("car", 5, 5, 30, 30)),
        "difficult": (Object("person", 1, 1, 30, 30, difficult=True),),
        "wrong": (Object("person", 1, 1, 99, 3), Object("person", 1, 1, 30, 30)),
        "nobody": (Object("car", 1, 1, 99, 3),),
        "nothing": (),
    }
    for place in ("JPEGImages", "Annotations"):
        (tmp_path / place).mkdir()
    for name, boxes in objects.items():
        Image.new("RGB", (60, 40), "gray").save(tmp_path / f"JPEGImages/{name}.jpg")
        write_voc(tmp_path / f"Annotations/{name}.xml", Annotation(name, 60, 40, boxes))
    source = folder.plan(tmp_path, "person")
    assert source.class_names == ("no_person", "person")
    assert {Path(picture.file).stem: picture.labels for picture in source.pictures} == {
        "clear": ("person",),
        "nobody": ("no_person",),
        "nothing": ("no_person",),
    }
    assert all(not picture.boxes and picture.items == (0,) for picture in source.pictures)
    assert {(Path(reject.file).stem, reject.reason) for reject in source.rejects} == {
        ("small", "person only in boxes below 0.5% of it, or difficult ones"),
        ("difficult", "person only in boxes below 0.5% of it, or difficult ones"),
        ("wrong", "box 1 1 99 3 is not inside its frame of 60x40"),
    }
    with pytest.raises(LogGradError, match="task presence:dog: the classes are bicycle, car, person"):
        folder.plan(tmp_path, "dog")
    with pytest.raises(LogGradError, match="--task=presence:cup needs photographs with boxes"):
        folder.plan(pictures(tmp_path / "classes"), "cup")


def test_unusable_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(LogGradError, match="no such folder"):
        folder.plan(tmp_path / "none")
    with pytest.raises(LogGradError, match="no picture in it"):
        folder.plan(tmp_path)
    pictures(tmp_path / "one", 1)
    (tmp_path / "one/saucer").mkdir()
    with pytest.raises(LogGradError, match=r"saucer: no picture in it"):
        folder.plan(tmp_path / "one")
    (tmp_path / "one/saucer/deep").mkdir()
    with pytest.raises(LogGradError, match=r"saucer: no picture in it: .*; if deep is a class, give folder:"):
        folder.plan(tmp_path / "one")
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (30, 30)).save(tmp_path / "flat/a.png")
    with pytest.raises(LogGradError, match=r"flat: no class folders, as a\.png lies in it directly"):
        folder.plan(tmp_path / "flat")
    (tmp_path / "single/cup").mkdir(parents=True)
    Image.new("RGB", (30, 30)).save(tmp_path / "single/cup/a.png")
    with pytest.raises(LogGradError, match="1 class in it"):
        folder.plan(tmp_path / "single")


def test_a_picture_beside_the_class_folders_is_rejected(tmp_path: Path) -> None:
    pictures(tmp_path, 1)
    Image.new("RGB", (30, 30)).save(tmp_path / "loose.png")
    assert folder.plan(tmp_path).rejects == (Reject("loose.png", -1, "in no class folder"),)


def test_pictures_that_cannot_be_decoded_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) - 60])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "float.jpg", format="TIFF")
    for name in ("cut.jpg", "text.jpg", "empty.png", "float.jpg"):
        with pytest.raises(LogGradError, match=name) as caught:
            linear_rgb(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_linear_light_undoes_gamma_and_orientation(tmp_path: Path) -> None:
    values = np.arange(200, dtype=np.uint8).reshape(10, 20)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    light = linear_rgb(tmp_path / "a.png")
    assert np.allclose(light[..., 1], (np.rot90(values, -1) / 255.0) ** 2.2)


def test_the_sensor_has_the_stated_noise_and_exposure() -> None:
    flat = np.full((96, 96, 3), 0.18)
    ratios, exposures = [], []
    for index in range(200):
        seen = imitation.expose(flat, f"{index}.jpg", "gray").astype(float)
        assert seen.max() <= 4095
        exposure = seen.mean() / 4095 / 0.18
        electrons = 9000 * 0.18 * exposure
        ratios.append(seen.std() / (np.sqrt(electrons + 4.5**2) * 4095 / 9000))
        exposures.append(np.log2(exposure))
    assert abs(np.mean(ratios) - 1) < 0.01
    assert -2.02 < min(exposures) < -1.9 and -0.1 < max(exposures) < 0.02
    assert abs(np.mean(exposures) + 1) < 0.1
    assert 1620 / np.sqrt(1620 + 4.5**2) == pytest.approx(40, rel=1e-3)


def test_a_name_gives_the_same_pixels_and_another_name_others() -> None:
    light = np.random.default_rng(0).random((16, 16, 3))
    first = imitation.expose(light, "a.jpg", "gray")
    assert np.array_equal(first, imitation.expose(light, "a.jpg", "gray"))
    assert not np.array_equal(first, imitation.expose(light, "b.jpg", "gray"))


def test_the_mosaic_is_sampled_rggb(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (255, 186, 100)).save(tmp_path / "a.png")
    cut = photo.cut(Picture(tmp_path / "a.png", "a.png", "a", "", (0, 0), ("x",)), 32, "mosaic", "stretch")
    crop = cut.crops[0]
    assert cut.sensor.cfa == "RGGB" and isinstance(crop, np.ndarray)
    red, green, blue = crop[0::2, 0::2].mean(), crop[0::2, 1::2].mean(), crop[1::2, 1::2].mean()
    assert green / red == pytest.approx((186 / 255) ** 2.2, rel=0.05)
    assert blue / red == pytest.approx((100 / 255) ** 2.2, rel=0.05)
    assert crop[1::2, 0::2].mean() == pytest.approx(green, rel=0.02)


def test_the_real_crops_keep_their_split(shared: Path) -> None:
    source = folder.plan(shared / "data/crops")
    counts = {split: sum(p.split == split for p in source.pictures) for split in ("train", "val", "test")}
    assert counts == {"train": 2035, "val": 443, "test": 444} and not source.rejects
    for picture in source.pictures[::300]:
        crop = photo.cut(picture, 96, "gray", "stretch").crops[0]
        assert isinstance(crop, np.ndarray) and crop.shape == (96, 96) and crop.std() > 10


def test_the_real_whole_images_are_cut(shared: Path) -> None:
    source = folder.plan(shared / "data/fullimages")
    strange = [reject for reject in source.rejects if reject.reason.startswith("class")]
    assert len(strange) == len(source.rejects)
    assert sum(len(picture.labels) for picture in source.pictures) + len(strange) == 286
