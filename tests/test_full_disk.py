"""Doors that meet a full disk: one line that names the place, on a real file system of a few kilobytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.export.test_firmware import write_model
from tests.support import REPOSITORY, quantized
from tests.support.archives import pictures
from tests.support.full_disk import on_small_disk
from tests.support.report_cases import CONFIG, invented, write_run
from tests.support.small_networks import saved_network


def _prepare(folder: Path, disk: Path) -> list[str]:
    return ["loggrad_tf.prepare", f"--data=folder:{pictures(folder / 'p', 8)}", "--size=48"]


def _convert(folder: Path, disk: Path) -> list[str]:
    return ["export.convert", f"--run={saved_network(folder)}", f"--out={disk}"]


def _firmware(folder: Path, disk: Path) -> list[str]:
    model = write_model(folder, quantized.serial())
    return ["export.firmware", f"--model={model}", "--board=host", f"--out={disk / 'project'}"]


def _report(folder: Path, disk: Path) -> list[str]:
    run = write_run(folder / "run", CONFIG, invented(12))
    return ["search.report", f"--run={run}", f"--out={disk / 'report.html'}"]


@pytest.mark.seconds
@pytest.mark.parametrize("door", [_prepare, _convert, _firmware, _report])
def test_a_full_disk_is_one_line(door: object, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    before = on_small_disk(disk, 4)
    assert callable(door)
    cache = disk if door is _prepare else tmp_path / "cache"
    done = subprocess.run(
        [*before, sys.executable, "-m", *door(tmp_path, disk)],
        cwd=REPOSITORY, env={**os.environ, "LOGGRAD_CACHE": str(cache)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {disk}") and "the disk is full" in last and "free some space" in last
