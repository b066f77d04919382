"""Detectors by input: what is trained and measured, and the network beside ours."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.beyond import detection
from experiments.study import Study
from loggrad_tf.errors import LogGradError
from models.graph import macs, weight_count
from tests.loggrad_tf.data.test_frames import CAR, street

LISTS = {"train": "a b c d", "val": "e f", "test": "g h"}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    place = street(tmp_path / "s", dict.fromkeys("abcdefgh", (CAR,)), LISTS)
    (place / "classes.txt").write_text("car\nperson\n")
    changes = {"size": (32, 48), "epochs": 1}
    return Study("detection", f"folder:{place}", "quick", changes, tmp_path / "out", 1, "detect:car")


@pytest.mark.seconds
def test_every_detector_is_measured_at_every_brightness(study: Study) -> None:
    folder = study.write(detection.run(study))
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    exponents = sorted({int(row["exponent"]) for row in rows})
    assert exponents == list(range(-6, 4))
    assert len(rows) == 2 * 2 * len(exponents)  # inputs, kinds of light
    assert {row["set"] for row in rows} == {"test"}
    assert all(0 <= float(row["f1"]) <= 1 and float(row["mean_count_error"]) == 0 for row in rows)
    assert sorted(path.name for path in folder.glob("*.png")) == ["brightness.png", "found.png"]
    assert json.loads((folder / "study.json").read_text())["manifests_sha256"].keys() == {"48x32, gray"}


def test_a_question_about_classes_is_not_asked_of_frames(study: Study) -> None:
    with pytest.raises(LogGradError, match="--task=detect:car: detection is of classes: leave it out"):
        study.data(32)
    squares = dataclasses.replace(study, name="squares")
    with pytest.raises(LogGradError, match="--size=48x32: squares is of squares: give one side"):
        squares.scale({"quick": _Squares()})


@dataclasses.dataclass(frozen=True)
class _Squares:
    size: int = 32


def test_a_difference_is_that_of_the_f1s_and_its_interval_narrows_with_photographs() -> None:
    rng = np.random.default_rng(1)

    def counts(found: float, frames: int) -> np.ndarray:
        hits = rng.random((3, frames)) < found
        return np.stack([hits, rng.random((3, frames)) < 0.3, np.ones_like(hits)], axis=-1).astype(int)

    widths = []
    for frames in (40, 640):
        one, other = counts(0.6, frames), counts(0.4, frames)
        gap, low, high = detection.difference(one, other, [str(k) for k in range(frames)])
        f1 = [2 * a[0] / a.sum() for arm in (one, other) for a in arm.sum(axis=1)]
        assert gap == pytest.approx(np.mean(f1[:3]) - np.mean(f1[3:]))
        assert low < gap < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2.5
    assert detection.difference(one, one, [str(k) for k in range(frames)]) == (0, 0, 0)
    # What is one photograph's is one observation.
    gap, low, high = detection.difference(one, other, ["a", "b"] * (frames // 2))
    assert low < gap < high


def test_the_other_network_is_mobilenet_up_to_a_stride_of_16() -> None:
    graph = detection.mobilenet((160, 240), 2)
    assert graph.cells == (10, 15)
    assert graph.output_units == 3
    assert sum(macs(graph, op) for op in graph.ops) == 31_498_800
    assert sum(weight_count(graph, op) for op in graph.ops) == 94_683
