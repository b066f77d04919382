"""The doors prepare and preview, as a user runs them."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sources import STAYS, Reject
from loggrad_tf.data.summary import FEW, counted, doubts, reasons
from loggrad_tf.data.views import colours, shown
from loggrad_tf.transform.sensor import Sensor
from tests.support import REPOSITORY
from tests.support.archives import archive


def _run(door: str, *flags: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"loggrad_tf.{door}", *flags]
    environment = {**os.environ, "LOGGRAD_CACHE": str(cache)}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.seconds
def test_prepare_prints_the_table_and_the_rejects(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a", 12)
    (folder / "original/raw/2014_000002.dng").write_bytes(b"II*\0")
    done = _run("prepare", f"--data=pascalraw:{folder}", "--size=16", "--mode=mosaic", cache=tmp_path / "c")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["class", "train", "val", "test", "all"]
    assert lines[1].split()[0] == "bicycle" and lines[4].split() == ["all", "5", "3", "3", "11"]
    assert "12 bits, black 64, white 4095, RGGB" in done.stdout and "rejects 1" in done.stdout
    assert "camera  LogGrad frame, 12 bits, Bayer: 11 photographs" in done.stdout
    assert "2014_000002.dng" in done.stdout and str(tmp_path / "c") in done.stdout
    [warning] = done.stderr.splitlines()
    assert warning.startswith("warning: pascalraw:") and "5 crops to train on" in warning


@pytest.mark.parametrize(
    ("flags", "code", "reason"),
    [
        (("--data=folder:/nowhere",), 1, "error: /nowhere: no such folder"),
        (("--data=nonsense",), 1, "error: data set 'nonsense'"),
        (("--data=synthetic", "--size=7"), 2, "--size=7"),
        (("--data=synthetic", "--task=find"), 1, "task 'find': choose classify, or presence:person"),
        (
            ("--data=synthetic", "--size=240x95"),
            2,
            "--size=240x95: size 240x95: choose even numbers from 8 to 512",
        ),
        (
            ("--data=synthetic", "--size=240*160"),
            2,
            "write the side of a square, 96, or width and height, 240x160",
        ),
        (
            ("--task=detect", "--size=100x75"),
            2,
            "--size=100x75: size 100x75: choose even numbers from 8 to 512",
        ),
        (("--data=synthetic", "--size=95"), 2, "--size=95: size 95: choose even numbers from 8 to 512"),
        (("--data=synthetic", "--fit=crop"), 1, "--fit=crop: only whole pictures are fitted"),
        (("--data=synthetic", "--mode=rgb"), 2, "--mode"),
        (("--data=synthetic", "--task=detect:car,"), 1, "or detect, or detect:person,car"),
        (("--data=synthetic", "--task=detect", "--fit=pad"), 1, "fit 'pad': what is mirrored would have no"),
    ],
)
def test_prepare_fails_in_one_line(tmp_path: Path, flags: tuple[str, ...], code: int, reason: str) -> None:
    done = _run("prepare", *flags, cache=tmp_path)
    assert done.returncode == code and reason in done.stderr and "Traceback" not in done.stderr


@pytest.mark.seconds
def test_prepare_and_preview_show_frames(tmp_path: Path) -> None:
    folder, out = archive(tmp_path / "a", 12), tmp_path / "sheet.png"
    flags = (f"--data=pascalraw:{folder}", "--task=detect", "--size=60x40")
    done = _run("prepare", *flags, "--check", cache=tmp_path / "c")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[:2] == [["class", "train", "val", "test", "all"], ["bicycle", "2", "1", "1", "4"]]
    assert ["frames", "6", "3", "3", "12"] in lines and ["empty", "frames", "0", "0", "0", "0"] in lines
    assert "size    car: half of them above" in done.stdout and "frames 60x40, gray, crop" in done.stdout
    assert done.stdout.endswith("check   12 frames are those of the manifest\n")
    assert "6 frames to train on" in done.stderr
    done = _run("preview", *flags, "--rows=1", "--columns=2", f"--out={out}", cache=tmp_path / "c")
    assert done.returncode == 0, done.stderr
    with Image.open(out) as sheet:  # two lines and three classes of two pairs of 60x40
        assert sheet.height == 2 * 17 + 3 * (17 + 40 + 2) + 2 and sheet.width >= 2 * (2 * 60 + 2) + 10


@pytest.mark.seconds
def test_preview_draws_crops_and_raw_files(tmp_path: Path) -> None:
    folder, out = archive(tmp_path / "a", 6), tmp_path / "sheet.png"
    flags = (f"--data=pascalraw:{folder}", "--size=32", "--rows=1", "--columns=4", f"--out={out}")
    done = _run("preview", *flags, cache=tmp_path / "c")
    assert done.returncode == 0, done.stderr
    with Image.open(out) as sheet:  # three lines and three classes of two pairs of 96x96
        assert sheet.height == 2 * 17 + 3 * (17 + 96 + 2) + 2 and sheet.width >= 2 * (2 * 96 + 2) + 10
    photograph = folder / "original/raw/2014_000000.dng"
    for flag, side in ((f"--raw={photograph}", (60 * 6, 40 * 6)), (f"--image={photograph}", (384, 384))):
        done = _run("preview", flag, f"--out={out}", cache=tmp_path)
        assert done.returncode == 0, done.stderr
        with Image.open(out) as sheet:
            assert sheet.height == 2 * 17 + side[1] + 4 and sheet.width >= 2 * side[0] + 2
    done = _run("preview", f"--out={out}", cache=tmp_path)
    assert done.returncode == 1 and "give either --data or --raw" in done.stderr
    done = _run("preview", "--task=detect", "--fit=pad", f"--out={out}", cache=tmp_path)
    assert done.returncode == 1 and "fit 'pad'" in done.stderr  # a task alone has its usual data set
    done = _run("preview", f"--raw={photograph}", "--size=32", f"--out={out}", cache=tmp_path / "c")
    assert done.returncode == 1 and "--size: --raw shows the whole frame" in done.stderr
    done = _run("preview", "--data=synthetic", cache=tmp_path)
    assert done.returncode == 2 and done.stderr == "error: --out is missing (see --help)\n"


def test_colours_and_tones_for_the_eye() -> None:
    mosaic = np.zeros((4, 6), np.uint16)
    mosaic[0::2, 1::2] = 3000
    mosaic[0::2, 0::2] = mosaic[1::2, 1::2] = 1000
    mosaic[1::2, 0::2] = 500
    seen = colours(mosaic, "GRBG")
    assert seen.shape == (2, 3, 3) and np.allclose(seen, 1500)
    assert shown(np.array([[0, 1000], [4000, 4000]])).tolist() == [[0, 136], [255, 255]]


def _set(labels: np.ndarray, split: np.ndarray) -> DataSet:
    pixels = np.zeros((len(split), 2, 2), np.uint16)
    return DataSet(
        pixels, labels, split, ("a", "b"), Sensor(12, 0, 4095), "gray", "pad", "folder:x", "0", Path("x")
    )


@pytest.mark.parametrize(("images", "warned"), [(FEW - 1, True), (FEW, False)])
def test_a_set_of_few_crops_is_named(images: int, warned: bool) -> None:
    split = np.repeat(np.arange(3, dtype=np.uint8), (images, 20, 20))
    warnings = doubts(_set(np.arange(len(split), dtype=np.int32) % 2, split))
    assert len(warnings) == warned
    for warning in warnings:
        assert f"folder:x: {images} crops to train on" in warning and "add" in warning


def test_a_class_that_a_split_has_none_of_is_named() -> None:
    split = np.repeat(np.arange(3, dtype=np.uint8), (FEW, 20, 20))
    labels = np.zeros(len(split), np.int32)
    labels[0] = 1
    (warning,) = doubts(_set(labels, split))
    assert warning.startswith("folder:x: no crop of b in val and test: ")


def test_rejects_are_grouped_by_kind() -> None:
    rejects = tuple(Reject(f"a{n}.xml", n, f"box {n} 1 {n} 2 is too small") for n in range(5))
    lines = reasons((*rejects, Reject("b.xml", -1, "no object in it")))
    assert lines == ["     5  a0.xml: box 0 1 0 2 is too small", "     1  b.xml: no object in it"]


def test_rejects_of_frames_that_stay_are_told_apart() -> None:
    lost, kept = Reject("a.xml", -1, "no RAW file a.* for it"), Reject("b.xml", -1, f"its {STAYS} it")
    assert counted(()) == "0" and counted((lost, lost)) == "2 (count, first one of its kind)"
    assert counted((lost, kept, kept)) == (
        "3: 1 left out, 2 of frames that stay without something (count, first one of its kind)"
    )


def test_rejects_that_cost_a_frame_come_first() -> None:
    kept = tuple(
        Reject(f"{n}.xml", -1, f"class '{name}' is none: its {STAYS} it")
        for n, name in enumerate("abcdefghijklm" * 2)
    )
    lost = Reject("Annotations/x.xml", -1, "/photos/Annotations/x.xml: it is not XML; mend or remove it")
    first, *others, more = reasons((*kept, lost))
    assert first == "     1  Annotations/x.xml: it is not XML; mend or remove it"
    assert others[0] == "     2  0.xml: class 'a' is none: its frame stays without it"
    assert len(others) == 11 and more == "        and 2 other reasons: rejects.csv of the set has all"


@pytest.mark.parametrize(
    ("spec", "word"), [("folder:x", "add photographs"), ("synthetic:street", "your own")]
)
def test_nobody_is_to_add_to_drawn_photographs(spec: str, word: str) -> None:
    split = np.repeat(np.arange(3, dtype=np.uint8), (20, 20, 20))
    (warning,) = doubts(dataclasses.replace(_set(np.arange(60, dtype=np.int32) % 2, split), spec=spec))
    assert word in warning
