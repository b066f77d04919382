"""Pictures that are too large, endless, or made to exhaust memory: rejects, and the rest is kept."""

import itertools
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from loggrad_tf import parallel
from loggrad_tf.data import crops, dataset, hdr, imitation, limits, raw
from loggrad_tf.errors import LogGradError
from tests.support import REPOSITORY
from tests.support.archives import archive, pictures


def png(path: Path, width: int, height: int, rows: int | None = None) -> None:
    """A PNG of black, 8 bits a colour, of which ``rows`` are there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pack = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    packed = b"".join(pack.compress(row) for _ in range(height if rows is None else rows)) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", packed), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("sides", [(13100, 13000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path, sides: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    png(path, *(min(side, 20000) for side in sides), rows=0)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", *sides)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(LogGradError, match=rf"^{path}: .*pixels") as caught:
        imitation.read(path)
    assert "\n" not in str(caught.value)


def test_the_limits_of_pixels_are_those_of_the_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    png(tmp_path / "a.png", 40, 30)
    path = archive(tmp_path / "a", 1) / "original/raw/2014_000000.dng"
    imitation.read(tmp_path / "a.png"), raw.read_raw(path)
    monkeypatch.setattr(imitation, "MAX_PIXELS", 1199)
    monkeypatch.setattr(raw, "MAX_PIXELS", 9599)
    with pytest.raises(LogGradError, match="40x30 pixels, at most 1199 are read"):
        imitation.read(tmp_path / "a.png")
    with pytest.raises(LogGradError, match="120x80 pixels, 1 to 9599 are read"):
        raw.read_raw(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # beyond twice that Pillow opens nothing
    with pytest.raises(LogGradError, match="a.png: more than the 1199 pixels that are read: scale it down"):
        imitation.read(tmp_path / "a.png")


def test_pages_without_end_are_refused(tmp_path: Path) -> None:
    def pages(path: Path, count: int) -> Path:
        with tifffile.TiffWriter(path) as writer:
            for _ in range(count):
                writer.write(np.full((24, 24), 9, np.uint16), photometric="minisblack", metadata=None)
        return path

    with pytest.raises(LogGradError, match="more than 64 pages"):
        raw.read_raw(pages(tmp_path / "a.dng", 65))
    assert raw.read_raw(pages(tmp_path / "b.dng", 64)).pixels.shape == (24, 24)


@pytest.mark.seconds
def test_the_damaged_file_that_never_ended_is_one_line(shared: Path) -> None:
    path = shared / "data/hostile/endless_pages.dng"
    done = subprocess.run(
        [sys.executable, "-m", "loggrad_tf.preview", f"--raw={path}", "--out=x.png"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {path}: more than 64 pages")


@pytest.mark.seconds
def test_a_picture_of_many_pixels_costs_little_memory(tmp_path: Path) -> None:
    """169 million pixels in 493 kB, with 2 GB of memory; as float64 they took 8."""
    png(tmp_path / "a.png", 13000, 13000)
    work = parallel.run(_corner, [tmp_path / "a.png"], "x", limits=parallel.Limits(100, 2**31))
    assert isinstance(work[0], np.ndarray) and work[0].shape == (16, 16, 3) and not work[0].any()


def _corner(path: Path) -> np.ndarray:
    picture = imitation.read(path)
    return crops.resize(picture.values, (0, 0, 13000, 13000), 16, picture.light)


def _wait(job: str) -> str:
    if job == "slow":
        time.sleep(1000)
    if job == "large":
        np.ones(2**28)
    return job


@pytest.mark.seconds
def test_a_job_over_its_limits_is_ended_and_the_others_are_done() -> None:
    jobs = ["a", "slow", "b", "large", "c", "slow", "d", "large", "e", "f"]
    few = parallel.Limits(6, 2**29)
    results = parallel.run(_wait, jobs, "x", 2, name=lambda job: f"the {job} one", limits=few)
    for job, result in zip(jobs, results, strict=True):
        expected = {
            "slow": "the slow one: it took longer than 6 s: the decoder hangs on it: leave it out",
            "large": "the large one: it needs more than 0.5 GiB of memory: make it smaller",
        }
        assert str(result) == expected.get(job, job)


@pytest.mark.seconds
def test_a_preparation_goes_on_without_what_is_over_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pictures(tmp_path / "p", 3)
    png(source / "cup/bomb.png", 9000, 9000)
    monkeypatch.setattr(limits, "PICTURE", parallel.Limits(100, 2**27))
    data = dataset.load(f"folder:{source}", size=16, cache=tmp_path / "cache")
    (reject,) = data.rejects()
    assert len(data.pixels) == 6 and reject.file == "cup/bomb.png"
    assert str(source / "cup/bomb.png") in reject.reason and "\n" not in reject.reason


@pytest.mark.parametrize("shape", [(50, 77), (50, 77, 3)])
def test_blocks_change_no_bit(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    plane = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    curve = (np.arange(256) / 255) ** 2.2
    for box, size in itertools.product(((0, 0, 77, 50), (3.5, 2.25, 60.1, 49.9), (10, 10, 20, 20)), (16, 30)):
        whole = crops.resize(curve[plane], box, size)
        for block in (1, 1000, 2**22):
            monkeypatch.setattr(crops, "_BLOCK", block)
            assert np.array_equal(crops.resize(plane, box, size, lambda part: curve[part]), whole)


def test_the_scale_of_a_picture_is_numpys_quantile() -> None:
    random = np.random.default_rng(3)
    for size in (1, 2, 999, 1000, 1001, 1002, 54321):
        values = random.random((size, 1, 1)).astype(np.float32)
        wide = values.astype(np.float64)
        assert hdr._scale(values) == np.quantile(wide, hdr.SCALE_QUANTILE, method="higher")
