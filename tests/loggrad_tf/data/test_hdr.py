"""Pictures in linear light: values to the formats' precision, the scale, orientations, and hostile files."""

import re
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenEXR
import pytest
import tifffile

from loggrad_tf.data import dataset, hdr, photo
from loggrad_tf.data.sources import Picture
from loggrad_tf.errors import LogGradError
from tests.support.archives import linear_rgb

HEIGHT, WIDTH = 24, 40


def light(seed: int = 0) -> np.ndarray:
    """A picture of six decades, float32 [24, 40, 3]."""
    exponents = np.random.default_rng(seed).uniform(-4, 2, (HEIGHT, WIDTH, 3))
    return (10.0**exponents).astype(np.float32)


def scaled(values: np.ndarray) -> np.ndarray:
    """What a picture without a full scale is to become: three values in 2,880 lie above."""
    rank = int(np.ceil(0.999 * (values.size - 1)))
    return values / np.sort(values, axis=None)[rank]


def rgbe(values: np.ndarray) -> np.ndarray:
    """Three mantissas and an exponent for each pixel, as Ward (1991) codes them: uint8 [H, W, 4]."""
    exponent = np.floor(np.log2(np.maximum(values.max(axis=2), 1e-30))) + 1
    mantissas = np.floor(values / np.exp2(exponent)[..., None] * 256)
    return np.concatenate([mantissas, exponent[..., None] + 128], axis=2).astype(np.uint8)


def runs(line: bytes) -> bytes:
    """One component of a line: runs of four or more as 128 + length, the rest as it is."""
    coded, place = b"", 0
    while place < len(line):
        same = len(line[place:]) - len(line[place:].lstrip(line[place : place + 1]))
        if same >= 4:
            coded += bytes([128 + min(same, 127), line[place]])
            place += min(same, 127)
        else:
            coded += bytes([same]) + line[place : place + same]
            place += same
    return coded


def radiance(values: np.ndarray, lines: str = "", resolution: str = "", rle: bool = False) -> bytes:
    """A .hdr file of ``values`` in the order of its lines."""
    lines = lines or "FORMAT=32-bit_rle_rgbe"
    resolution = resolution or f"-Y {values.shape[0]} +X {values.shape[1]}"
    pixels = rgbe(values)
    body = pixels.tobytes()
    if rle:
        start = bytes([2, 2, values.shape[1] >> 8, values.shape[1] & 255])
        body = b"".join(start + b"".join(runs(row.tobytes()) for row in line.T) for line in pixels)
    return f"#?RADIANCE\n{lines}\n\n{resolution}\n".encode() + body


def exr(path: Path, channels: dict[str, np.ndarray], **header: Any) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | header
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


def read(path: Path) -> np.ndarray:
    picture = hdr.read(path)
    assert picture is not None
    found = picture.light(picture.values)
    assert found.dtype == np.float64 and found.shape[2] == 3
    return found


@pytest.mark.parametrize("rle", [True, False])
def test_radiance_has_eight_bits_of_the_largest_colour(tmp_path: Path, rle: bool) -> None:
    values = light()
    (tmp_path / "a.hdr").write_bytes(radiance(values, "EXPOSURE=2\nFORMAT=32-bit_rle_rgbe", rle=rle))
    coded = rgbe(values).astype(np.float64)
    stored = coded[..., :3] * np.exp2(coded[..., 3:] - 136)
    assert np.allclose(read(tmp_path / "a.hdr"), scaled(stored), rtol=1e-12)
    largest = values.argmax(axis=2)[..., None]
    ratio = np.take_along_axis(stored, largest, 2) / np.take_along_axis(values, largest, 2)
    assert ratio.min() > 1 - 1 / 128 and ratio.max() <= 1


def test_runs_of_radiance_are_expanded(tmp_path: Path) -> None:
    values = np.repeat(light()[:, :4], 10, axis=1)
    data = radiance(values, rle=True)
    assert len(data) < HEIGHT * WIDTH * 4 / 2
    (tmp_path / "a.hdr").write_bytes(data)
    found = read(tmp_path / "a.hdr")
    assert np.array_equal(found, np.repeat(found[:, ::10], 10, axis=1)) and len(np.unique(found)) > 100


@pytest.mark.parametrize("first", ["-Y", "+Y", "-X", "+X"])
@pytest.mark.parametrize("positive", [True, False])
def test_radiance_is_turned_upright(tmp_path: Path, first: str, positive: bool) -> None:
    values = light()
    (tmp_path / "a.hdr").write_bytes(radiance(values))
    second = ("+" if positive else "-") + ("X" if first[1] == "Y" else "Y")
    # Lines in the order of the file: where Y falls or X grows, the upright picture's own order.
    turned = values if first[1] == "Y" else values.swapaxes(0, 1)
    turned = turned if first in ("-Y", "+X") else turned[::-1]
    turned = turned if second in ("-Y", "+X") else turned[:, ::-1]
    resolution = f"{first} {turned.shape[0]} {second} {turned.shape[1]}"
    (tmp_path / "b.hdr").write_bytes(radiance(turned, resolution=resolution))
    assert np.array_equal(read(tmp_path / "b.hdr"), read(tmp_path / "a.hdr"))


@pytest.mark.parametrize("compression", ["NO", "RLE", "ZIPS", "ZIP", "PIZ"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_openexr_is_exact(tmp_path: Path, compression: str, dtype: type) -> None:
    values = light().astype(dtype)
    kind = getattr(OpenEXR, f"{compression}_COMPRESSION")
    exr(tmp_path / "a.exr", {"RGB": values}, compression=kind)
    assert np.allclose(read(tmp_path / "a.exr"), scaled(values.astype(np.float64)), rtol=1e-15)


def test_openexr_of_gray_with_alpha_and_by_channels(tmp_path: Path) -> None:
    values = light()
    exr(tmp_path / "y.exr", {"Y": values[..., 0].copy(), "A": values[..., 1].copy()})
    assert np.allclose(read(tmp_path / "y.exr"), scaled(values[..., 0])[..., None])
    planes = {name: values[..., place].copy() for place, name in enumerate("RGB")}
    exr(tmp_path / "c.exr", planes | {"Z": values[..., 0].copy()})
    assert np.allclose(read(tmp_path / "c.exr"), scaled(values))


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits"])
def test_tiff_of_integers_is_linear_and_of_floats_relative(tmp_path: Path, compression: str | None) -> None:
    path, values = tmp_path / "a.tif", light()
    codes = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    tifffile.imwrite(path, codes, photometric="rgb", compression=compression, rowsperstrip=7)
    assert np.array_equal(read(path), codes / 65535)
    tifffile.imwrite(path, values, photometric="rgb", compression=compression)
    assert np.allclose(read(path), scaled(values))
    tifffile.imwrite(path, values[..., 0].astype(np.float16), compression=compression)
    assert np.allclose(read(path), scaled(values[..., 0].astype(np.float16).astype(float))[..., None])
    tifffile.imwrite(path, codes.astype(np.uint8), photometric="rgb", compression=compression)
    assert np.allclose(read(path), (codes.astype(np.uint8) / 255) ** 2.2)


def test_tiff_in_planes_tiles_alpha_and_turned(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    codes = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16)
    expected = codes[..., :3] / 65535
    planes = np.ascontiguousarray(np.moveaxis(codes[..., :3], -1, 0))
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read(path), expected)
    tifffile.imwrite(path, codes[..., :3], photometric="rgb", tile=(16, 16), compression="zlib")
    assert np.array_equal(read(path), expected)
    tifffile.imwrite(path, codes, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(read(path), expected)
    tag = [(274, "H", 1, 6, True)]
    tifffile.imwrite(path, codes[..., :3], photometric="rgb", extratags=tag)
    assert np.array_equal(read(path), np.rot90(expected, -1))


def test_png_keeps_sixteen_bits(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16)
    for samples in (1, 2, 3, 4):
        values = codes[..., 0] if samples == 1 else codes[..., :samples]
        (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(values)))
        expected = codes[..., :3] if samples > 2 else codes[..., :1]
        assert np.array_equal(linear_rgb(tmp_path / "a.png"), np.broadcast_to(expected / 65535, (24, 40, 3)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_pillow(orientation: int) -> None:
    from PIL import Image, ImageOps

    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(values)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(hdr._upright(values, orientation), np.asarray(ImageOps.exif_transpose(image)))


def test_the_scale_is_a_value_of_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = np.full((20, 100), 0.25, np.float32)
    values[0, :2] = (40, 2e30)
    tifffile.imwrite(path, values)
    found = read(path)[..., 0]
    assert found[1, 1] * 40 == 0.25 and found[0, 0] == 1 and found[0, 1] == hdr.BRIGHTEST
    tifffile.imwrite(path, np.eye(100, dtype=np.float32) * 7 * (np.arange(100) == 4))
    assert read(path).max() == 1
    exr(tmp_path / "a.exr", {"RGB": light()})
    exr(tmp_path / "b.exr", {"RGB": light() * np.float32(64)})
    assert np.array_equal(read(tmp_path / "a.exr"), read(tmp_path / "b.exr"))


def test_a_short_exposure_holds_highlights(tmp_path: Path) -> None:
    values = np.full((32, 32, 3), 0.01, np.float32)
    values[8:24, 8] = 1.0
    values[8:24, 9:24] = 0.7
    exr(tmp_path / "a.exr", {"RGB": values})
    cut = photo.cut(Picture(tmp_path / "a.exr", "a.exr", "a", "", (0, 0), ("x",)), 32, "gray", "stretch")
    crop = cut.crops[0]
    assert isinstance(crop, np.ndarray)
    inside, outside = crop[9:23, 10:23].mean(), crop[:7].mean()
    assert inside / outside == pytest.approx(70, rel=0.1) and inside < 4095


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def hostile(tmp_path: Path) -> dict[str, str]:
    """Files that must be refused, and part of the reason."""
    values, codes = light(), np.ones((HEIGHT, WIDTH, 3), np.uint16)
    cases: dict[str, tuple[bytes, str]] = {}
    bad = {"nan": np.nan, "inf": np.inf, "negative": -1.0}
    for name, value in bad.items():
        wrong = values.copy()
        wrong[2, 3, 1] = value
        reason = (
            "negative value in row 2, column 3" if name == "negative" else "NaN or infinite value in row 2"
        )
        exr(tmp_path / f"{name}.exr", {"RGB": wrong})
        cases[f"{name}.exr"] = ((tmp_path / f"{name}.exr").read_bytes(), reason)
        tifffile.imwrite(tmp_path / "x.tif", wrong, photometric="rgb")
        cases[f"{name}.tif"] = ((tmp_path / "x.tif").read_bytes(), reason)
    whole = {"cut.hdr": radiance(values)}
    exr(tmp_path / "x.exr", {"RGB": values})
    whole["cut.exr"] = (tmp_path / "x.exr").read_bytes()
    for name, compression in (("cut.tif", None), ("cut_lzw.tif", "lzw")):
        tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb", compression=compression)
        whole[name] = (tmp_path / "x.tif").read_bytes()
    noise = np.random.default_rng(1).integers(0, 65536, codes.shape).astype(np.uint16)
    whole["cut.png"] = bytes(imagecodecs.png_encode(noise))
    for name, data in whole.items():
        for share in (0.1, 0.5, 0.9, 0.995):
            cases[f"{share}_{name}"] = (data[: int(len(data) * share)], "")
    for suffix in ("hdr", "exr", "tif", "png"):
        cases[f"empty.{suffix}"] = (b"", "")
        cases[f"text.{suffix}"] = (b"hello, this is text", "")
    huge = struct.pack("<4i", 0, 0, 199999, 199999)
    window = re.sub(
        rb"((?:data|display)Window\0box2i\0....).{16}", lambda m: m[1] + huge, whole["cut.exr"], flags=re.S
    )
    cases["bomb.exr"] = (window, "200000x200000 pixels")
    cases["bomb.hdr"] = (radiance(values, resolution="-Y 200000 +X 200000"), "200000x200000 pixels")
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 10000, 10000, 16, 2, 0, 0, 0))
    rows = zlib.compress(bytes(10**6), 9)
    png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    cases["bomb.png"] = (png, "10000x10000 pixels")
    tifffile.imwrite(tmp_path / "x.tif", values[:, :, 0])
    tall = (tmp_path / "x.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "x.tif") as tiff:
        tags = {name: tiff.pages.first.tags[name].valueoffset for name in ("ImageWidth", "ImageLength")}
        counts = tiff.pages.first.tags["StripByteCounts"].valueoffset
    giant = bytearray(tall)
    for offset in tags.values():
        giant[offset : offset + 2] = struct.pack("<H", 60000)
    cases["bomb.tif"] = (bytes(giant), "60000x60000 pixels")
    hollow = bytearray(tall)
    hollow[counts : counts + 2] = b"\0\0"
    cases["hollow.tif"] = (bytes(hollow), "")
    cases["zero.hdr"] = (radiance(values, resolution="-Y 0 +X 9"), "0 pixels")
    cases["xyze.hdr"] = (radiance(values, "FORMAT=32-bit_rle_xyze"), "format '32-bit_rle_xyze'")
    cases["twice.hdr"] = (radiance(values, resolution="-Y 24 +Y 40"), "no Radiance header")
    cases["black.hdr"] = (radiance(values * 0), "black everywhere")
    exr(tmp_path / "x.exr", {"depth": values[..., 0].copy()})
    cases["depth.exr"] = ((tmp_path / "x.exr").read_bytes(), "channels depth: R, G, B or Y")
    parts = [OpenEXR.Part({"name": name}, {"RGB": values}) for name in ("left", "right")]
    with OpenEXR.File(parts) as file:
        file.write(str(tmp_path / "x.exr"))
    cases["stereo.exr"] = ((tmp_path / "x.exr").read_bytes(), "2 parts")
    for name, (array, options) in {
        "int32.tif": (np.ones((9, 9), np.int32), {}),
        "double.tif": (np.ones((9, 9)), {}),
        "white.tif": (codes[..., 0], {"photometric": "miniswhite"}),
        "five.tif": (np.ones((9, 9, 5), np.uint16), {"planarconfig": "contig", "photometric": "minisblack"}),
        "series.tif": (np.ones((3, 9, 9), np.uint16), {"photometric": "minisblack"}),
        "volume.tif": (np.ones((16, 16, 16), np.uint16), {"volumetric": True, "tile": (16, 16, 16)}),
    }.items():
        tifffile.imwrite(tmp_path / "x.tif", array, **options)
        cases[name] = ((tmp_path / "x.tif").read_bytes(), "a TIFF of")
    for path in ("x.exr", "x.tif"):
        (tmp_path / path).unlink()
    for name, (data, _) in cases.items():
        (tmp_path / name).write_bytes(data)
    return {name: reason for name, (_, reason) in cases.items()}


def test_hostile_files_are_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cases = hostile(tmp_path)
    capfd.readouterr()
    for name, reason in cases.items():
        with pytest.raises(LogGradError, match=re.escape(reason or name)) as caught:
            linear_rgb(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", ["hdr", "exr", "tif", "png"])
def test_damaged_bytes_never_end_the_process(tmp_path: Path, suffix: str) -> None:
    values = light()[:12, :16]
    path = tmp_path / f"a.{suffix}"
    if suffix == "hdr":
        path.write_bytes(radiance(values))
    elif suffix == "exr":
        exr(path, {"RGB": values})
    elif suffix == "tif":
        tifffile.imwrite(path, values, photometric="rgb", compression="zlib")
    else:
        path.write_bytes(imagecodecs.png_encode((values * 100).astype(np.uint16)))
    whole, random = path.read_bytes(), np.random.default_rng(3)
    read(path)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = linear_rgb(path)
            assert np.isfinite(found).all()
        except LogGradError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 5


@pytest.mark.seconds
def test_a_folder_of_all_formats_is_prepared_and_lists_what_it_left_out(tmp_path: Path) -> None:
    for label in ("person", "no_person"):
        (tmp_path / "set" / label).mkdir(parents=True)
    for index in range(12):
        label, values = ("person", "no_person")[index % 2], light(index)
        target = tmp_path / "set" / label / f"{index}"
        if index % 4 < 2:
            exr(target.with_suffix(".exr"), {"RGB": values})
        else:
            target.with_suffix(".hdr").write_bytes(radiance(values))
    (tmp_path / "set/person/torn.hdr").write_bytes(radiance(light())[:200])
    (tmp_path / "set/person/notes.txt").write_text("x")
    data = dataset.load(f"folder:{tmp_path / 'set'}", size=16, cache=tmp_path / "cache")
    assert data.class_names == ("no_person", "person") and len(data.labels) == 12
    assert [reject.file for reject in data.rejects()] == ["person/notes.txt", "person/torn.hdr"]
    assert "it cannot be decoded" in data.rejects()[1].reason
    assert data.pixels.std() > 100


def test_smaller_copies_beside_a_picture_are_no_second_one(tmp_path: Path) -> None:
    codes = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(codes, photometric="minisblack")
        tiff.write(codes[::2, ::2], photometric="minisblack", subfiletype=1)
    found = hdr.read(tmp_path / "a.tif")
    assert found is not None and found.values.shape[:2] == (24, 40)
