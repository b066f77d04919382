"""The RAW reader on real camera files, on broken ones, and on frames written for the purpose."""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.raw import Geometry, RawImage, _turned, read_raw, to_gray, to_mosaic
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import BAYER, Sensor
from tests.loggrad_tf.data.test_dng import XTRANS

REAL = [
    ("real/kodak_dc50.kdc", (512, 768), Sensor(14, 0, 16383, "GRBG")),
    ("real/canon_eos550d_magiclantern_1888x1182.dng", (1156, 1734), Sensor(14, 2056, 15000, "RGGB")),
    ("real/canon_eos_6d_lossy_linear.dng", (816, 1224, 3), Sensor(16, 0, 65535, "mono")),
    ("repacked/nikon_rose_768x512_rggb.dng", (512, 768), Sensor(14, 600, 15520, "RGGB")),
    ("repacked/nikon_rose_768x512_grbg.dng", (512, 768), Sensor(14, 600, 15520, "GRBG")),
    ("repacked/nikon_rose_768x512_gbrg.dng", (512, 768), Sensor(14, 600, 15520, "GBRG")),
    ("repacked/nikon_rose_768x512_bggr.dng", (512, 768), Sensor(14, 600, 15520, "BGGR")),
    ("repacked/semisynth_xtrans_384x252.dng", (252, 384), Sensor(14, 600, 15520, "mono")),
    ("repacked/semisynth_linear_rgb_384x256.dng", (256, 384, 3), Sensor(14, 600, 15520, "mono")),
]


def _means(image: RawImage) -> dict[str, float]:
    places: dict[str, list[float]] = {letter: [] for letter in "RGB"}
    for place, letter in enumerate(image.pattern):
        places[letter].append(image.pixels[place // 2 :: 2, place % 2 :: 2].mean())
    return {letter: float(np.mean(values)) for letter, values in places.items()}


@pytest.mark.parametrize(("name", "shape", "sensor"), REAL)
def test_real_files_decode(shared: Path, name: str, shape: tuple, sensor: Sensor) -> None:
    image = read_raw(shared / "data/rawfiles" / name)
    assert image.pixels.shape == shape and image.pixels.dtype == np.uint16 and image.sensor == sensor
    assert image.camera and 0 < image.pixels.max() <= sensor.span
    gray = to_gray(image)
    assert gray.sensor == Sensor(sensor.bits, sensor.black, sensor.white, "mono")
    assert abs(gray.pixels.mean() / image.pixels.mean() - 1) < 0.2


@pytest.mark.parametrize("cfa", BAYER)
def test_four_rotations_of_one_scene_agree(shared: Path, cfa: str) -> None:
    folder = shared / "data/rawfiles"
    dng = read_raw(folder / f"repacked/nikon_rose_768x512_{cfa.lower()}.dng")
    bare = folder / f"real/nikon_dsc1339_768x512_{cfa.lower()}.raw"
    assert np.array_equal(dng.pixels, read_raw(bare, Geometry(768, 512, 14, 600, 15520, cfa)).pixels)
    means = _means(dng)
    assert means == pytest.approx({"R": 1540, "G": 1138, "B": 552.5}, rel=0.01)
    first = read_raw(folder / "repacked/nikon_rose_768x512_rggb.dng")
    assert np.abs(to_gray(dng).pixels.astype(int) - to_gray(first).pixels).mean() < 40
    with pytest.raises(LogGradError, match="no header that a camera writes"):
        read_raw(bare)


def test_every_bad_file_gives_one_line(shared: Path) -> None:
    folder = shared / "data/rawfiles"
    files = sorted((folder / "bad").iterdir())
    assert len(files) == 13
    for path in [files[0], read_good(folder), *files]:
        with pytest.raises(LogGradError) if path.parent.name == "bad" else contextlib.nullcontext() as caught:
            read_raw(path)
        if caught is not None:
            text = str(caught.value)
            assert text.startswith(f"{path}: ") and "\n" not in text and text.count(str(path)) == 1
    for path in (folder / "bad").glob("truncated_*"):
        with pytest.raises(LogGradError, match=f"ends at byte .* the file at {path.stat().st_size}"):
            read_raw(path)
    with pytest.raises(LogGradError, match="is a JPEG"):
        read_raw(folder / "bad/nikon_d70s_jpeg_named.nef")
    for name in ("headeronly_dng.dng", "headeronly_panasonic.rw2"):
        with pytest.raises(LogGradError, match="cannot hold .* pixels"):
            read_raw(folder / "bad" / name)


def read_good(folder: Path) -> Path:
    """A frame decoded before the bad ones, whose pixels LibRaw's memory then still holds."""
    path = folder / "real/canon_eos550d_magiclantern_1888x1182.dng"
    read_raw(path)
    return path


def test_a_file_cut_at_any_length_is_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.dng", tmp_path / "cut.dng"
    write_dng(whole, np.full((64, 64), 500, np.uint16), cfa="RGGB", black=64)
    data = whole.read_bytes()
    assert read_raw(whole).pixels.shape == (64, 64)
    for length in (0, 3, 7, 8, 100, len(data) // 4, len(data) // 2, len(data) - 1):
        cut.write_bytes(data[:length])
        with pytest.raises(LogGradError) as caught:
            read_raw(cut)
        assert str(cut) in str(caught.value) and "\n" not in str(caught.value)


def test_rows_of_zeros_are_missing_data(tmp_path: Path) -> None:
    codes = np.full((64, 64), 500, np.uint16)
    codes[60:] = 0
    write_dng(tmp_path / "dark.dng", codes, cfa="RGGB", black=64)
    assert not read_raw(tmp_path / "dark.dng").pixels[60:].any()
    codes[50:] = 0
    write_dng(tmp_path / "cut.dng", codes, cfa="RGGB", black=64)
    with pytest.raises(LogGradError, match="14 of its 64 rows hold only zeros"):
        read_raw(tmp_path / "cut.dng")


@pytest.mark.parametrize("cfa", BAYER)
@pytest.mark.parametrize("corner", [(0, 0), (3, 5), (4, 7), (5, 2)])
def test_the_filter_is_that_of_the_pixel_returned(tmp_path: Path, cfa: str, corner: tuple[int, int]) -> None:
    level = {"R": 1000, "G": 2000, "B": 3000}
    codes = np.zeros((60, 80), np.uint16)
    for row in (0, 1):
        for column in (0, 1):
            letter = cfa[(row - corner[0]) % 2 * 2 + (column - corner[1]) % 2]
            codes[row::2, column::2] = level[letter]
    write_dng(tmp_path / "a.dng", codes, cfa=cfa, black=100, active_area=(*corner, 56, 76))
    image = read_raw(tmp_path / "a.dng")
    assert _means(image) == {"R": 900, "G": 1900, "B": 2900}
    assert (to_gray(image).pixels == 1900).all()
    mosaic = to_mosaic(image)
    assert mosaic.sensor.cfa == mosaic.pattern == "RGGB" and _means(mosaic) == _means(image)
    assert mosaic.pixels.shape[0] % 2 == mosaic.pixels.shape[1] % 2 == 0


@pytest.mark.parametrize("corner", [(0, 0), (3, 5), (1, 2)])
def test_the_xtrans_filter_is_that_of_the_pixel_returned(tmp_path: Path, corner: tuple[int, int]) -> None:
    level = {"R": 1000, "G": 2000, "B": 3000}
    codes = np.zeros((48, 60), np.uint16)
    for row, column in np.ndindex(6, 6):
        letter = XTRANS[(row - corner[0]) % 6 * 6 + (column - corner[1]) % 6]
        codes[row::6, column::6] = level[letter]
    write_dng(tmp_path / "a.dng", codes, cfa=XTRANS, black=0, active_area=(*corner, 45, 57))
    image = read_raw(tmp_path / "a.dng")
    seen = [level[letter] for letter in image.pattern]
    assert image.pixels[:6, :6].ravel().tolist() == seen


def test_black_is_subtracted_for_each_colour_and_white_is_common(tmp_path: Path) -> None:
    codes = np.full((32, 32), 4095, np.uint16)
    codes[:4] = 100
    write_dng(tmp_path / "a.dng", codes, cfa="RGGB", black=[90, 95, 105, 100], white=4000)
    image = read_raw(tmp_path / "a.dng")
    assert image.sensor == Sensor(12, 105, 4000, "RGGB") and (image.pixels[4:] == 3895).all()
    assert [int(image.pixels[r, c]) for r in (0, 1) for c in (0, 1)] == [10, 5, 0, 0]


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_frames_are_turned_upright(tmp_path: Path, orientation: int, turns: int) -> None:
    path, random = tmp_path / "a.dng", np.random.default_rng(1)
    codes = random.integers(100, 4000, (30, 44)).astype(np.uint16)
    codes[0::2, 0::2] = 4000
    write_dng(path, codes, cfa="RGGB", black=0)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags[274].overwrite(orientation)
    image = read_raw(path)
    assert np.array_equal(image.pixels, np.rot90(codes, turns))
    assert _means(image)["R"] == 4000


@given(st.sampled_from((1, 2, 6)), st.integers(6, 20), st.integers(6, 20), st.integers(0, 3))
def test_turning_a_filter_is_turning_a_frame_of_it(side: int, height: int, width: int, turns: int) -> None:
    tile = np.arange(side * side).reshape(side, side)
    frame = tile[np.ix_(np.arange(height) % side, np.arange(width) % side)]
    assert np.array_equal(_turned(tile, frame.shape, turns), np.rot90(frame, turns)[:side, :side])


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
def test_binning_rounds_half_up_and_stays_in_codes(seed: int, rows: int, columns: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 65536, (2 * rows, 2 * columns)).astype(np.uint16)
    gray = to_gray(RawImage(pixels, Sensor(16, 0, 65535, "RGGB"), "RGGB", "")).pixels
    exact = pixels.reshape(rows, 2, columns, 2).astype(float).mean(axis=(1, 3))
    assert gray.dtype == np.uint16 and np.array_equal(gray, np.floor(exact + 0.5))


def test_xtrans_and_linear_frames_are_gray_only(tmp_path: Path) -> None:
    levels = np.array([{"R": 900, "G": 1800, "B": 2700}[letter] for letter in XTRANS]).reshape(6, 6)
    write_dng(tmp_path / "x.dng", np.tile(levels, (4, 5)).astype(np.uint16), cfa=XTRANS, black=0)
    image = read_raw(tmp_path / "x.dng")
    assert image.pattern == XTRANS and image.sensor.cfa == "mono"
    assert (to_gray(image).pixels == 1800).all() and to_gray(image).pixels.shape == (8, 10)
    with pytest.raises(LogGradError, match="X-Trans frame has no Bayer mosaic"):
        to_mosaic(image)
    write_dng(tmp_path / "l.dng", np.full((32, 32, 3), (100, 200, 301), np.uint16), cfa="linear", black=0)
    linear = read_raw(tmp_path / "l.dng")
    assert (to_gray(linear).pixels == 200).all()
    with pytest.raises(LogGradError, match="demosaiced frame"):
        to_mosaic(linear)
    write_dng(tmp_path / "m.dng", np.full((32, 33), 7, np.uint16), cfa="mono", black=0)
    mono = read_raw(tmp_path / "m.dng")
    assert (mono.pattern, mono.pixels.shape) == ("mono", (32, 33)) and to_gray(mono) is mono


def test_headerless_frames_need_a_geometry_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "frame.raw"
    codes = np.arange(1, 25, dtype=">u2").reshape(4, 6) * 100
    codes.astype(">u2").tofile(path)
    image = read_raw(path, Geometry.parse("6,4,12,64,4000,GRBG,big"))
    assert np.array_equal(image.pixels, np.clip(codes.astype(int) - 64, 0, None)) and image.pattern == "GRBG"
    for text, reason in (
        ("6,5,12,64,4000,GRBG", "48 bytes, but 6x5"),
        ("6,4,12,64,4000,GRBG", "does not fit 12 bits"),
        ("6,4,12,64,4000,XYZW,big", "colour filter 'XYZW'"),
        ("6,4,12,64,4000,GRBG,middle", "byte order 'middle'"),
        ("6,4,12", "write width,height"),
    ):
        with pytest.raises(LogGradError, match=reason):
            read_raw(path, Geometry.parse(text))
    with pytest.raises(LogGradError, match=r"missing\.nef: No such file"):
        read_raw(tmp_path / "missing.nef")


def test_decoders_write_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, np.full((40, 40), 9, np.uint16), cfa="RGGB")
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(LogGradError, match=r"a\.dng"):
        read_raw(path)

    def chatter(name: str) -> None:
        os.write(2, b"a.dng: data corrupted at 7\n")
        raise rawpy.LibRawIOError(-100009)

    path.write_bytes(whole)
    monkeypatch.setattr(rawpy, "imread", chatter)
    with pytest.raises(LogGradError, match="cut off or missing"):
        read_raw(path)
    assert capfd.readouterr().err == ""
