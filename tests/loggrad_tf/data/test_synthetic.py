"""The synthetic archive: same files whatever the workers, RAW files that LibRaw reads back."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import rawpy

from loggrad_tf.data import synthetic, voc
from loggrad_tf.errors import LogGradError
from loggrad_tf.scene import camera

SEED, COUNT = 5, 8


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("archive")
    synthetic.write_archive(directory, COUNT, SEED, workers=1)
    return directory


def _digests(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.mark.seconds
def test_layout_is_pascalraws(archive: Path) -> None:
    names = [f"2014_{k:06d}" for k in range(1, COUNT + 1)]
    assert sorted(path.name for path in (archive / "original/raw").iterdir()) == [f"{n}.dng" for n in names]
    assert sorted(path.name for path in (archive / "annotations").iterdir()) == [f"{n}.xml" for n in names]
    assert (archive / "trainval/train.txt").read_text().split() == names[1::2]
    assert (archive / "trainval/val.txt").read_text().split() == names[0::2]


@pytest.mark.seconds
def test_two_workers_write_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    synthetic.write_archive(tmp_path, COUNT, SEED, workers=2)
    assert _digests(tmp_path) == _digests(archive)


def test_a_longer_archive_begins_with_the_shorter_one(archive: Path, tmp_path: Path) -> None:
    synthetic.write_archive(tmp_path, 2, SEED, workers=1)
    longer = _digests(archive)
    assert all(
        longer[name] == digest for name, digest in _digests(tmp_path).items() if "trainval" not in name
    )


def test_another_seed_is_another_archive() -> None:
    assert not np.array_equal(synthetic.take(SEED, 1)[1], synthetic.take(SEED + 1, 1)[1])


@pytest.mark.seconds
def test_libraw_reads_back_what_was_taken(archive: Path) -> None:
    for index in range(1, COUNT + 1):
        _, codes, cfa = synthetic.take(SEED, index)
        with rawpy.imread(str(archive / f"original/raw/{synthetic.name_of(index)}.dng")) as raw:
            np.testing.assert_array_equal(raw.raw_image_visible, codes)
            assert set(raw.black_level_per_channel) == {camera.BLACK}
            assert raw.white_level == camera.WHITE
            letters = "".join("RGBG"[k] for k in raw.raw_pattern.ravel())
            assert letters == cfa


@pytest.mark.seconds
def test_annotations_hold_the_boxes_of_the_scene(archive: Path) -> None:
    for index in range(1, COUNT + 1):
        scene, codes, _ = synthetic.take(SEED, index)
        read = voc.read_voc(archive / f"annotations/{synthetic.name_of(index)}.xml")
        assert (read.width, read.height) == synthetic.FRAME
        assert [item.name for item in read.objects] == [item.name for item in scene.objects]
        assert 1 <= len(read.objects) <= 3
        for item, drawn in zip(read.objects, scene.objects, strict=True):
            assert 1 <= item.xmin < item.xmax <= 600 and 1 <= item.ymin < item.ymax <= 400
            left, top, right, bottom = voc.scale_box(item, synthetic.FRAME, (codes.shape[1], codes.shape[0]))
            assert (
                left <= drawn.box[0]
                and top <= drawn.box[1]
                and drawn.box[2] <= right
                and drawn.box[3] <= bottom
            )
            np.testing.assert_allclose((left, top, right, bottom), drawn.box, atol=0.73)


def test_no_photographs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LogGradError, match="at least 1"):
        synthetic.write_archive(tmp_path, 0, SEED)
