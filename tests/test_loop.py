"""The loop of docs/collect.md in small: collect, search, deploy, watch, correct, train on, deploy again."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.support.native_cases import needs_compiler

CLASSES = ("bicycle", "car", "person")
CORRECTED = 4


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "LOGGRAD_CACHE": str(folder / "cache")}


def _door(folder: Path, module: str, *words: str) -> str:
    """What a command prints that is run in ``folder``."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, f"{module} {words}: {done.stderr}"
    return done.stdout


def _deployed(door: Callable[..., str], run: str) -> None:
    """The network of a run on the emulated board, equal to TFLite."""
    door("export.convert", f"--run={run}")
    board = ("--board=mps2-an386-camera", "--binning=2", "--out=deployed", "--replace", "--vectors=4")
    door("export.firmware", f"--model={run}/export/model.tflite", *board)
    assert "verify: 4 vectors, 0 mismatches" in door("firmware.verify", "--project=deployed")


def _corrected(url: str) -> list[str]:
    """Say of the first frames that they are of the class behind the one that they were judged to be."""
    seen, files = -1, []
    while len(files) < CORRECTED:
        with urllib.request.urlopen(f"{url}state?since={seen}", timeout=60) as answer:
            state = json.load(answer)
        for frame in state["frames"][: CORRECTED - len(files)]:
            seen = frame["number"]
            label = CLASSES[(frame["label"] + 1) % len(CLASSES)]
            body = json.dumps({"frame": seen, "label": label}).encode()
            kind = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{url}wrong", body, kind, method="POST")
            with urllib.request.urlopen(request, timeout=60) as answer:
                files.append(json.load(answer)["file"])
    return files


@needs_compiler
@pytest.mark.seconds
def test_the_loop(tmp_path: Path) -> None:
    door = functools.partial(_door, tmp_path)
    door("export.firmware", "--collect", "--board=host-camera", "--window=96", "--out=collector")
    for _ in range(3):
        for label in CLASSES:
            door("firmware.collect", "--project=collector", "--out=photos", f"--label={label}", "--frames=6")
    short = (
        "--rounds=2",
        "--epochs=2",
        "--finalists=1",
        "--final_epochs=4",
        "--final_seeds=1",
        "--workers=1",
    )
    door("search.evolve", "--data=folder:photos", "--size=48", "--trainer=native", *short, "--out=run")
    _deployed(door, "run")
    watching = subprocess.Popen(
        [sys.executable, "-m", "firmware.watch", "--project=deployed", "--out=photos"],
        cwd=tmp_path, env=_environment(tmp_path), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert watching.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", watching.stdout.readline())
        assert found is not None
        files = _corrected(found[0])
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 0
    finally:
        watching.kill()
    assert len(set(files)) == CORRECTED and all((tmp_path / file).is_file() for file in files)
    told = door("models.train", "--from=run", "--data=folder:photos", "--out=better")
    assert "on folder:photos" in told and "mended  spoilt" in told
    told = door("loggrad_tf.prepare", "--data=folder:photos", "--size=48")
    [row] = [line.split() for line in told.splitlines() if line.startswith("all ")]
    assert row == ["all", str(18 + CORRECTED), "18", "18", str(54 + CORRECTED)]
    _deployed(door, "better")
