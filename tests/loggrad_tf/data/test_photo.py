"""One photograph as it is squared: codes that are known, four Bayer rotations, three fits, two modes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from loggrad_tf.data import crops, dataset, photo, raw
from loggrad_tf.data.request import FITS
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.reference import log_gradient
from loggrad_tf.transform.sensor import BAYER, Sensor
from tests.support.archives import dng, pictures

SIZE = 24


def _binned(codes: np.ndarray, black: int = 64) -> np.ndarray:
    light = np.clip(codes.astype(int) - black, 0, None)
    return (light[0::2, 0::2] + light[0::2, 1::2] + light[1::2, 0::2] + light[1::2, 1::2] + 2) // 4


@pytest.mark.parametrize("cfa", BAYER)
@pytest.mark.parametrize("fit", FITS)
def test_a_frame_of_twice_the_size_is_its_quads_means(tmp_path: Path, cfa: str, fit: str) -> None:
    codes = dng(tmp_path / "a.dng", 1, sides=(2 * SIZE, 2 * SIZE), cfa=cfa)
    pixels, sensor = photo.read(tmp_path / "a.dng", size=SIZE, mode="gray", fit=fit)
    assert sensor == Sensor(12, 64, 4095) and pixels.dtype == np.uint16
    assert np.array_equal(pixels, _binned(codes))


@pytest.mark.parametrize("cfa", BAYER)
def test_a_mosaic_is_its_own_codes_from_the_first_red_photosite_on(tmp_path: Path, cfa: str) -> None:
    row, column = raw.red_corner(cfa)
    codes = dng(tmp_path / "a.dng", 2, sides=(SIZE + 2 * row, SIZE + 2 * column), cfa=cfa)
    pixels, sensor = photo.read(tmp_path / "a.dng", size=SIZE, mode="mosaic", fit="stretch")
    assert sensor == Sensor(12, 64, 4095, "RGGB")
    assert np.array_equal(pixels, codes[row : row + SIZE, column : column + SIZE] - 64)


def test_crop_keeps_the_middle_square(tmp_path: Path) -> None:
    wide = dng(tmp_path / "wide.dng", 3, sides=(2 * SIZE, 6 * SIZE))
    tall = dng(tmp_path / "tall.dng", 4, sides=(6 * SIZE, 2 * SIZE))
    made, _ = photo.read(tmp_path / "wide.dng", size=SIZE, mode="gray", fit="crop")
    assert np.array_equal(made, _binned(wide)[:, SIZE : 2 * SIZE])
    made, _ = photo.read(tmp_path / "tall.dng", size=SIZE, mode="gray", fit="crop")
    assert np.array_equal(made, _binned(tall)[SIZE : 2 * SIZE])
    mosaic, _ = photo.read(tmp_path / "wide.dng", size=2 * SIZE, mode="mosaic", fit="crop")
    assert np.array_equal(mosaic, wide[:, 2 * SIZE : 4 * SIZE] - 64)


def test_a_rectangle_keeps_the_middle_of_its_proportions_or_mirrors(tmp_path: Path) -> None:
    """24 rows of 48 pixels, from twice as many codes either way."""
    wide = dng(tmp_path / "wide.dng", 3, sides=(48, 192))
    tall = dng(tmp_path / "tall.dng", 4, sides=(96, 96))
    size = (24, 48)
    made, _ = photo.read(tmp_path / "wide.dng", size=size, mode="gray", fit="crop")
    assert np.array_equal(made, _binned(wide)[:, 24:72])
    made, _ = photo.read(tmp_path / "tall.dng", size=size, mode="gray", fit="crop")
    assert np.array_equal(made, _binned(tall)[12:36])
    mosaic, _ = photo.read(tmp_path / "tall.dng", size=(48, 96), mode="mosaic", fit="crop")
    assert np.array_equal(mosaic, tall[24:72] - 64)
    half = dng(tmp_path / "half.dng", 5, sides=(48, 48))
    made, _ = photo.read(tmp_path / "half.dng", size=size, mode="gray", fit="pad")
    assert np.array_equal(made, np.pad(_binned(half), ((0, 0), (12, 12)), "reflect"))


@pytest.mark.parametrize("size", [SIZE, SIZE + 2])
def test_pad_mirrors_the_shorter_side(tmp_path: Path, size: int) -> None:
    wide = dng(tmp_path / "a.dng", 5, sides=(size, 2 * size))
    made, _ = photo.read(tmp_path / "a.dng", size=size, mode="gray", fit="pad")
    content, above = _binned(wide), (size - size // 2) // 2
    assert np.array_equal(made, np.pad(content, ((above, size - size // 2 - above), (0, 0)), "reflect"))
    tall = dng(tmp_path / "b.dng", 6, sides=(2 * size, size))
    mosaic, _ = photo.read(tmp_path / "b.dng", size=2 * size, mode="mosaic", fit="pad")
    left = size // 2 // 2 * 2
    assert np.array_equal(mosaic, np.pad(tall - 64, ((0, 0), (left, size - left)), "reflect"))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2]))
def test_a_mirror_invents_no_value_and_keeps_every_colour_in_its_place(
    rows: int, columns: int, step: int
) -> None:
    rows, columns = rows * step, columns * step
    down, across = np.indices((rows, columns))
    made = crops.mirrored((down % step) * 2 + across % step, size := 2 * max(rows, columns), step)
    assert made.shape == (size, size)
    down, across = np.indices((size, size))
    assert np.array_equal(made, (down % step) * 2 + across % step)
    numbers = crops.mirrored(np.arange(rows * columns).reshape(rows, columns), size, step)
    assert set(np.unique(numbers)) == set(range(rows * columns))
    for lines in (numbers, numbers.T):
        steps = np.abs(np.diff(lines // columns if lines is numbers else lines % columns, axis=0))
        assert steps.max(initial=0) <= 1


def test_there_is_no_gradient_where_the_mirror_begins() -> None:
    slope = np.repeat(np.arange(100, 2500, 200, dtype=np.uint16)[:, None], 24, axis=1)
    size = np.abs(log_gradient(crops.mirrored(slope, 24)))
    assert size[[6, 17]].max() < 1e-12 and size[7:17].min() > 0.1 and size[1:6].min() > 0.1


@pytest.mark.parametrize(
    ("width", "height", "fit", "kept"),
    [
        (90, 60, "stretch", ((0, 0, 90, 60), (24, 24))),
        (90, 61, "crop", ((14, 0, 75, 61), (24, 24))),
        (60, 91, "crop", ((0, 15, 60, 75), (24, 24))),
        (90, 60, "pad", ((0, 0, 90, 60), (16, 24))),
        (60, 90, "pad", ((0, 0, 60, 90), (24, 16))),
        (900, 2, "pad", ((0, 0, 900, 2), (1, 24))),
    ],
)
def test_what_is_kept_of_a_whole_picture(
    width: int, height: int, fit: str, kept: tuple[crops.Box, tuple[int, int]]
) -> None:
    assert crops.whole(width, height, 24, fit) == kept


@pytest.mark.parametrize(("width", "height"), [(90, 60), (64, 98), (600, 22)])
@pytest.mark.parametrize("fit", FITS)
def test_windows_and_rows_of_a_mosaic_are_even(width: int, height: int, fit: str) -> None:
    window, shape = crops.whole(width, height, 26, fit, 2)
    assert not any(int(edge) % 2 for edge in (*window, *shape)) and all(shape)


@pytest.mark.parametrize("mode", ["gray", "mosaic"])
@pytest.mark.parametrize("fit", FITS)
def test_one_file_gives_what_the_set_has(tmp_path: Path, mode: str, fit: str) -> None:
    folder = pictures(tmp_path / "pictures", 4)
    for index, sides in enumerate([(40, 90), (90, 40), (50, 50), (41, 77)]):
        for label in ("cup", "plate"):
            dng(tmp_path / f"raw/{label}/{index}.dng", index, sides=sides, cfa=BAYER[index])
    for where in (folder, tmp_path / "raw"):
        data = dataset.load(f"folder:{where}", size=32, mode=mode, fit=fit, cache=tmp_path / "cache")
        names = [line.split(",")[0] for line in (data.path / "manifest.csv").read_text().splitlines()[1:]]
        assert len(names) == 8
        for name, crop in zip(names, data.pixels, strict=True):
            pixels, sensor = photo.read(where / name, size=32, mode=mode, fit=fit)
            assert np.array_equal(pixels, crop) and sensor == data.sensor
    other, _ = photo.read(folder / "cup/00.png", size=32, mode=mode, fit=fit, name="manifest's name.png")
    first, _ = photo.read(folder / "cup/00.png", size=32, mode=mode, fit=fit, name="cup/00.png")
    assert not np.array_equal(other, first) and np.array_equal(
        first, photo.read(folder / "cup/00.png", size=32, mode=mode, fit=fit)[0]
    )


def test_what_is_kept_decides_whether_it_is_too_small(tmp_path: Path) -> None:
    Image.new("RGB", (200, 20), "gray").save(tmp_path / "a.png")
    dng(tmp_path / "a.dng", sides=(22, 200))
    for path, size in ((tmp_path / "a.png", 32), (tmp_path / "a.dng", 36)):
        for fit in ("stretch", "pad"):
            assert photo.read(path, size=size, mode="gray", fit=fit)[0].shape == (size, size)
        with pytest.raises(LogGradError, match=rf"^{path}: longer side of 2[02] pixels, at least 2[14] are"):
            photo.read(path, size=size, mode="gray", fit="crop")


def test_what_gives_no_crop_is_one_line(tmp_path: Path) -> None:
    dng(tmp_path / "mono.dng", cfa="mono")
    with pytest.raises(LogGradError, match=r"^.*mono.dng: a monochrome frame has no Bayer mosaic"):
        photo.read(tmp_path / "mono.dng", size=32, mode="mosaic", fit="stretch")
    with pytest.raises(LogGradError, match=r"^.*none.jpg: it cannot be "):
        photo.read(tmp_path / "none.jpg", size=32, mode="gray", fit="stretch")
    with pytest.raises(LogGradError, match="fit 'zoom': choose"):
        photo.read(tmp_path / "mono.dng", size=32, mode="gray", fit="zoom")


def test_what_tells_cameras_apart(tmp_path: Path) -> None:
    dng(tmp_path / "a.dng", cfa="GBRG", camera="Model 5")
    image = raw.read_raw(tmp_path / "a.dng")
    assert raw.kind_of(image, ".dng") == "LogGrad Model 5, 12 bits, Bayer"
    nameless = raw.RawImage(image.pixels, Sensor(14, 0, 16383), "G" * 36, "")
    assert raw.kind_of(nameless, ".raf") == "unnamed .raf camera, 14 bits, X-Trans"
