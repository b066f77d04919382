"""benchmarks.kernels: rows that are named once, a picture of those that grow, the quantiser by packing."""

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import kernels
from export import boards, firmware
from export.c import emit
from export.plan.plan import plan
from tests.support import REPOSITORY

HEADER = (REPOSITORY / "firmware/lib/include/lg_quantizer.h").read_text()


def found(name: str, channels: int, spent: int) -> kernels.Found:
    return kernels.Found(name, (4, 4, channels), 1000, spent, 1.0)


def test_each_row_is_there_once() -> None:
    keys = [(row.name, row.shape) for row in (*kernels.ROWS, *kernels.QUANTIZERS)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", kernels.SERIES)
def test_what_is_drawn_grows_in_channels(name: str) -> None:
    channels = [row.shape[2] for row in kernels.SERIES[name]]
    assert len(channels) > 2 and channels == sorted(set(channels))
    assert set(kernels.SERIES[name]) <= set(kernels.ROWS)


def test_a_line_a_row() -> None:
    rows = [found("1x1", 4, 2500), found("dense", 8, 1250)]
    head, first, second = kernels.table(rows, "kernel", "MAC").splitlines()
    assert head.split() == ["kernel", "input", "MACs", "cycles", "a", "MAC", "bound", "ratio"]
    assert first.split() == ["1x1", "4x4x4", "1,000", "2,500", "2.50", "1.00", "2.50"]
    assert second.split() == ["dense", "4x4x8", "1,000", "1,250", "1.25", "1.00", "1.25"]


def test_the_picture_is_opaque_and_of_the_numbers(tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    for path, spent in ((one, 3000), (other, 2000)):
        series = {
            name: [found(name, 4, 4000), found(name, 8, spent)] for name in ("1x1", "3x3", "5x5", "dense")
        }
        kernels.plot(path, series, "a core")
    pixels = [np.asarray(Image.open(path).convert("RGBA")) for path in (one, other)]
    assert pixels[0].shape == pixels[1].shape and (pixels[0][..., 3] == 255).all()
    assert (pixels[0] != pixels[1]).any()


@pytest.mark.parametrize("row", kernels.QUANTIZERS, ids=lambda row: row.name)
def test_level_lines_go_by_a_loop_of_the_library(row: kernels.Quantizer) -> None:
    graph, source = kernels.behind(row)
    text = emit.emit(plan(graph, "cortex-m4", source.levels), source, (), "", "probe")["net.c"]
    suffix = "" if row.packing == "S8" else f"_{row.packing.lower()}"
    loop = f"lg_levels_{8 * source.code_bytes}_3{suffix}"
    made = kernels.packed(text, source.level_loop, row.packing)
    assert f" {loop}," in made and f".packing = LG_PACK_{row.packing}," in made
    assert f" {loop}," in HEADER or f" {loop};" in HEADER


def test_a_picture_of_another_kind_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.kernels", "--plot=kernels.jpg"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "--plot=kernels.jpg: the picture is a PNG" in done.stderr


@pytest.mark.qemu
@pytest.mark.seconds
def test_what_is_executed_is_above_the_bound(tmp_path: Path) -> None:
    record = boards.read("mps2-an386")
    firmware.write_folders("mps2-an386", tmp_path)
    layer = kernels.measure(kernels.dense(16, 4), record, tmp_path)
    assert layer.items == 64 and layer.each > layer.bound
    small = [dataclasses.replace(row, shape=(12, 40, 1)) for row in kernels.QUANTIZERS[:6]]
    lines = [kernels.measure_quantizer(row, record, tmp_path) for row in small]
    assert all(one.items == 480 and one.bound < one.each < 8 * one.bound for one in lines)
    for bits in (lines[:3], lines[3:]):
        assert all(denser.cycles < one.cycles for one, denser in itertools.pairwise(bits))
    assert all(wide.cycles > narrow.cycles for narrow, wide in zip(lines[:3], lines[3:], strict=True))
