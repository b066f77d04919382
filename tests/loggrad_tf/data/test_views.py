"""What a preview shows of each input format, of a set, of one photograph and of a whole frame."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf.data import dataset, photo, raw, views
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import LEVELS, FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from tests.support.archives import dng, pictures

SENSOR = Sensor(12, 0, 4095)
PIXELS = np.random.default_rng(0).integers(0, 4096, (40, 40)).astype(np.uint16)


@pytest.mark.parametrize("name", LEVELS)
def test_levels_are_steps_from_black_to_white(name: str) -> None:
    front_end = fixed(name, SENSOR)
    levels, seen = front_end.encode_int8(PIXELS)[..., 0], views.network_sees(front_end, PIXELS)
    steps = {
        "loggrad_1p5": [0, 128, 255],
        "loggrad_2p25": [0, 64, 128, 191, 255],
        "loggrad_2p75": [0, 42, 85, 128, 170, 212, 255],
    }[name]
    assert [set(seen[levels == level]) for level in np.unique(levels)] == [{step} for step in steps]


def test_formats_without_levels_are_gray() -> None:
    for name in ("jpeg8", "raw16"):
        seen = views.network_sees(fixed(name, SENSOR), PIXELS)
        assert np.array_equal(seen, np.round(255 * fixed(name, SENSOR).encode(PIXELS)[..., 0]))
    seen = views.network_sees(fixed("loggrad_fp", SENSOR), PIXELS)
    gradient = fixed("loggrad_fp", SENSOR).encode(PIXELS)[..., 0]
    assert seen.dtype == np.uint8 and (seen[gradient == gradient.max()] == 255).all()
    assert (seen[gradient < -0.1] < 128).all() and (seen[gradient > 0.1] > 127).all()
    flat = np.full((9, 9), 700, np.uint16)
    assert (views.network_sees(fixed("loggrad_fp", SENSOR), flat) == 128).all()


def test_the_caption_names_format_thresholds_and_whose_they_are() -> None:
    assert views.describe(FrontEnd("loggrad_2p25", SENSOR, (5600, 9000)), "this frame") == (
        "loggrad_2p25, t = 0.31, 0.79 (60%, 80% quantile of |g| in this frame);"
        " levels -2 to 2 from black to white"
    )
    assert views.describe(fixed("jpeg8", SENSOR), "this frame") == "jpeg8"


def _right(picture: np.ndarray, side: int, factor: int) -> np.ndarray:
    """The network's half of a single photograph's sheet, each pixel once."""
    left = views._GAP + side * factor + views._GAP
    top = 2 * views._LINE
    return picture[top : top + side * factor : factor, left : left + side * factor : factor, 0]


@pytest.mark.parametrize("mode", ["gray", "mosaic"])
def test_one_photograph_stands_beside_its_levels(tmp_path: Path, mode: str) -> None:
    dng(tmp_path / "a.dng", 3, sides=(100, 140), cfa="GBRG")
    pictures(tmp_path / "p", 1)
    for path in (tmp_path / "a.dng", tmp_path / "p/cup/00.png"):
        sheet = views.photograph(path, "loggrad_1p5", size=32, mode=mode, fit="pad")
        pixels, sensor = photo.read(path, size=32, mode=mode, fit="pad")
        front_end = frontend.fit("loggrad_1p5", sensor, pixels[None])
        assert np.array_equal(_right(np.asarray(sheet), 32, 12), views.network_sees(front_end, pixels))


def test_a_whole_frame_in_mosaic_is_not_the_gray_one(tmp_path: Path) -> None:
    codes = dng(tmp_path / "a.dng", 3, sides=(40, 40))
    gray, mosaic = (
        np.asarray(views.frame(tmp_path / "a.dng", "loggrad_1p5", mode)) for mode in ("gray", "mosaic")
    )
    sensor = Sensor(12, 64, 4095, "RGGB")
    light = sensor.linearize(codes)
    front_end = frontend.fit("loggrad_1p5", sensor, light[None])
    assert np.array_equal(_right(mosaic, 40, 9), views.network_sees(front_end, light))
    binned = raw.to_gray(raw.read_raw(tmp_path / "a.dng")).pixels
    front_end = frontend.fit("loggrad_1p5", Sensor(12, 64, 4095), binned[None])
    assert np.array_equal(_right(gray, 20, 19), views.network_sees(front_end, binned))
    dng(tmp_path / "mono.dng", cfa="mono")
    with pytest.raises(LogGradError, match="mono.dng: a monochrome frame has no Bayer mosaic"):
        views.frame(tmp_path / "mono.dng", "loggrad_1p5", "mosaic")


@pytest.mark.parametrize("mode", ["gray", "mosaic"])
def test_a_large_frame_is_scaled_down(tmp_path: Path, mode: str) -> None:
    dng(tmp_path / "a.dng", 3, sides=(1100, 1900), cfa="BGGR")
    sheet = views.frame(tmp_path / "a.dng", "loggrad_2p25", mode)
    assert 2 * 800 <= sheet.width <= 2 * 800 + 10 and 440 < sheet.height < 520


@pytest.mark.seconds
@pytest.mark.parametrize("mode", ["gray", "mosaic"])
def test_a_sheet_has_pairs_of_each_class(tmp_path: Path, mode: str) -> None:
    data = dataset.load(f"folder:{pictures(tmp_path / 'p', 7)}", size=32, mode=mode, cache=tmp_path / "c")
    sheet = np.asarray(views.sheet(data, "loggrad_1p5", 2, 2))
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    first = views.network_sees(front_end, data.pixels[np.flatnonzero(data.labels == 0)[0]])
    left, top = views._GAP + 96 + views._GAP, 3 * views._LINE
    assert np.array_equal(sheet[top : top + 96 : 3, left : left + 96 : 3, 0], first)
    assert sheet.shape[0] == 4 * views._LINE + 2 * (2 * 96 + 2 + views._GAP) + views._GAP


@pytest.mark.seconds
def test_a_class_of_a_prepared_set_may_have_no_crop(tmp_path: Path) -> None:
    data = dataset.load(f"folder:{pictures(tmp_path / 'p', 5)}", size=32, cache=tmp_path / "c")
    more = dataclasses.replace(data, class_names=(*data.class_names, "spoon"))
    less, sheet = (np.asarray(views.sheet(one, "loggrad_1p5", 1, 2)) for one in (data, more))
    assert sheet.shape[0] == less.shape[0] + views._LINE
