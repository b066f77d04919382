"""Studies: a profile's scale, what is measured on, and the folder that is written."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import plots
from experiments.catalogue import EXPERIMENTS, drawn
from experiments.study import Claim, Result, Study, held_out, right
from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor
from tests.support.experiment_cases import small_set


@dataclasses.dataclass(frozen=True)
class Scale:
    epochs: int
    size: int


SCALES = {"quick": Scale(1, 32), "long": Scale(2, 64), "paper": Scale(3, 96)}


def asked(out: Path, **changes: int) -> Study:
    return Study("sample", "synthetic", "long", changes, out, 1)


def found(accuracy: float) -> Result:
    figure, axes = plots.figure()
    axes[0, 0].plot([0, 1], [accuracy, 0.5])
    rows: list[dict[str, Any]] = [{"input": "jpeg8", "accuracy": accuracy}]
    return Result(rows, {"curve": figure}, [Claim("it is 1", f"it is {accuracy}")])


def test_the_command_line_changes_a_profile(tmp_path: Path) -> None:
    assert asked(tmp_path).scale(SCALES) == Scale(2, 64)
    assert asked(tmp_path, epochs=9).scale(SCALES) == Scale(9, 64)
    # An experiment that knows no seeds is not told of them.
    assert asked(tmp_path, seeds=5).scale(SCALES) == Scale(2, 64)


def test_a_result_is_written_whole_and_replaced(tmp_path: Path) -> None:
    study = asked(tmp_path, epochs=9)
    folder = study.write(found(0.25))
    assert folder == tmp_path / "sample"
    study.write(found(0.75))
    assert (folder / "results.csv").read_text() == "input,accuracy\njpeg8,0.75\n"
    assert (folder / "claims.md").read_text().endswith("| it is 1 | it is 0.75 |\n")
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    about = json.loads((folder / "study.json").read_text())
    assert (about["experiment"], about["data"], about["profile"]) == ("sample", "synthetic", "long")
    assert about["changes"] == {"epochs": 9}
    assert sorted(path.name for path in folder.iterdir()) == [
        "claims.md", "curve.png", "results.csv", "study.json",
    ]  # fmt: skip


def test_rows_of_other_keys_are_refused(tmp_path: Path) -> None:
    result = found(0.5)
    result.rows.append({"input": "raw16", "error": 0.5})
    with pytest.raises(ValueError, match="error"):
        asked(tmp_path).write(result)
    assert not (tmp_path / "sample/results.csv").exists()


@pytest.mark.seconds
def test_validation_and_test_are_held_out(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    pixels, labels = held_out(data)
    places = np.concatenate([np.flatnonzero(data.split == 1), np.flatnonzero(data.split == 2)])
    assert np.array_equal(pixels, data.pixels[places]) and np.array_equal(labels, data.labels[places])
    assert len(labels) == 12


def test_right_compares_in_order() -> None:
    front = frontend.fixed("raw16", Sensor(12, 0, 4095))
    labels = np.arange(600) % 3
    pixels = np.broadcast_to(labels[:, None, None].astype(np.uint16), (600, 8, 8))

    def oracle(images: np.ndarray, training: bool) -> np.ndarray:
        assert not training
        shown = np.rint(images[:, 0, 0, 0] * 4095).astype(int)
        return np.eye(3)[np.where(shown == 2, 0, shown)]

    assert np.array_equal(right(oracle, front, pixels, labels), labels != 2)


def test_detectors_are_measured_on_drawn_frames_with_boxes() -> None:
    assert [name for name in EXPERIMENTS if drawn(name) != "synthetic"] == ["detection"]
    assert drawn("detection") == "synthetic:street"


def test_the_catalogue_names_modules() -> None:
    assert all(name.isidentifier() and title for name, title in EXPERIMENTS.items())


def test_a_title_names_the_data_set() -> None:
    specs = {"synthetic": "synthetic", "folder:/data/crops/": "crops", "pascalraw:PASCALRAW": "PASCALRAW"}
    assert {spec: plots.source(spec) for spec in specs} == specs


def test_ticks_between_whole_per_cents_are_told_apart() -> None:
    figure, axes = plots.figure()
    axes[0, 0].plot([0, 1], [0.8354, 0.8600])
    plots.percent(axes[0, 0])
    figure.canvas.draw()
    labels = [tick.get_text() for tick in axes[0, 0].get_yticklabels()]
    assert len(labels) == len(set(labels)) and {"84%", "84.5%"} <= set(labels)
