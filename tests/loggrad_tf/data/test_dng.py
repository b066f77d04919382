"""The DNG writer against LibRaw and tifffile, two readers that know nothing of it."""

from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile

from loggrad_tf.data.dng import write_dng
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER

XTRANS = "GGRGGBGGBGGRBRGRBGGGBGGRGGRGGBRBGBRG"


def _codes(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(64, 4096, shape).astype(np.uint16)


@pytest.mark.parametrize("cfa", [*BAYER, XTRANS, "mono"])
def test_libraw_returns_the_codes_levels_and_filter(tmp_path: Path, cfa: str) -> None:
    codes, path = _codes((66, 90)), tmp_path / "frame.dng"
    write_dng(path, codes, cfa=cfa, black=64, white=4000, camera="Test 1")
    with rawpy.imread(str(path)) as raw:
        assert np.array_equal(raw.raw_image, codes)
        assert raw.white_level == 4000 and raw.black_level_per_channel[0] == 64
        if cfa != "mono":
            side = 6 if cfa == XTRANS else 2
            letters = [chr(raw.color_desc[raw.raw_color(r, c)]) for r in range(side) for c in range(side)]
            assert "".join(letters) == cfa
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        assert page.tags[262].value == (34892 if cfa == "mono" else 32803)
        assert page.tags[272].value == "Test 1" and np.array_equal(page.asarray(), codes)


def test_linear_frames_hold_three_colours(tmp_path: Path) -> None:
    codes = _codes((32, 48, 3))
    write_dng(tmp_path / "frame.dng", codes, cfa="linear", black=10)
    with rawpy.imread(str(tmp_path / "frame.dng")) as raw:
        assert raw.raw_pattern is None and np.array_equal(raw.raw_image[..., :3], codes)


def test_black_of_each_place_and_the_active_area_arrive(tmp_path: Path) -> None:
    path = tmp_path / "frame.dng"
    write_dng(path, _codes((66, 90)), cfa="GBRG", black=[60, 61, 62, 63], active_area=(2, 4, 64, 88))
    with rawpy.imread(str(path)) as raw:
        assert raw.raw_image_visible.shape == (62, 84)
        red, green, blue, other_green = raw.black_level_per_channel
        assert raw.color_desc == b"RGBG" and (blue, red) == (61, 62)
        assert {green, other_green} == {60, 63}


@pytest.mark.parametrize(
    ("codes", "options", "reason"),
    [
        (np.zeros((24, 21), np.uint16), {"cfa": "RGGB"}, "21x24 pixels"),
        (np.zeros((4, 4), np.uint8), {"cfa": "RGGB"}, "uint8"),
        (np.zeros((4, 4, 3), np.uint16), {"cfa": "RGGB"}, "shape"),
        (np.zeros((24, 24), np.uint16), {"cfa": "linear"}, "shape"),
        (np.zeros((24, 24), np.uint16), {"cfa": "RGBX"}, "colour filter 'RGBX'"),
        (np.zeros((24, 24), np.uint16), {"cfa": "RGGB", "black": 4095}, "black=4095"),
        (np.zeros((24, 24), np.uint16), {"cfa": "RGGB", "black": [1, 2]}, "2 black levels"),
    ],
)
def test_wrong_frames_are_refused_and_leave_no_file(
    tmp_path: Path, codes: np.ndarray, options: dict, reason: str
) -> None:
    with pytest.raises(LogGradError, match=reason):
        write_dng(tmp_path / "frame.dng", codes, **options)
    assert not list(tmp_path.iterdir())
