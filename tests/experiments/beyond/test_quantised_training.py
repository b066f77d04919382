"""What the claims say of made-up numbers, one job's file, and a whole tiny run."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.beyond import quantised_training
from experiments.beyond.quantised_training import (
    BITS,
    BOARD,
    CONTROL,
    FOUND,
    INPUTS,
    TERNARY,
    TFMOT_BITS,
    Found,
    Rounding,
)
from experiments.figures import fig10_brightness
from experiments.study import Study, front_end
from tests.support.experiment_cases import small_set, write_pictures

# Float, int8, 4, 3, 2 bits and a ternary first layer of two seeds: after training, and trained while rounded.
ACCURACY = {
    CONTROL: (0.80, 0.804),
    "8 bits": (0.798, 0.81),
    "4 bits": (0.70, 0.80),
    "3 bits": (0.60, 0.795),
    "2 bits": (0.40, 0.75),
    TERNARY: (0.50, 0.78),
    "8 bits, tfmot": (0.798, 0.808),
    "4 bits, tfmot": (0.70, 0.785),
}


def found(**changed: tuple[float, float]) -> Found:
    """Every input has ACCURACY, second seeds 0.01 more; ``changed`` are int8's of an input."""
    table = {}
    for name in INPUTS:
        for weights, pair in ACCURACY.items():
            pair = changed.get(name, pair) if weights == "8 bits" else pair
            for tuned in (0, 1):
                table[name, weights, tuned] = np.array([pair[tuned], pair[tuned] + 0.01])
    return table


def test_int8_is_as_good_as_float_within_half_a_point() -> None:
    text = quantised_training._int8_claim(found(raw16=(0.794, 0.796))).ours
    assert "JPEG, 8 bit: 80.5 % (80.0-81.0) in float; int8 after training -0.20 points" in text
    assert "RAW, 16 bit: 80.5 % (80.0-81.0) in float; int8 after training -0.60 points" in text
    assert "float trained as long +0.40 points" in text
    assert text.endswith(": 3 of 4 inputs after training, 4 trained while rounded")


def test_fewest_bits_are_counted_against_float_of_the_same_training() -> None:
    text = quantised_training._bits_claim(found()).ours
    assert "2 bits 40.5 % (40.0-41.0) and 75.5 % (75.0-76.0)" in text
    assert text.endswith("JPEG, 8 bit 3, RAW, 16 bit 3, log gradient, 1.5 bit 3, log gradient, 2.25 bit 3")
    longer = {key: value + 0.006 if key[1:] == (CONTROL, 1) else value for key, value in found().items()}
    assert "JPEG, 8 bit 4" in quantised_training._bits_claim(longer).ours
    table = {key: np.array([0.5, 0.5]) if key[1] != CONTROL else value for key, value in found().items()}
    assert "JPEG, 8 bit none" in quantised_training._bits_claim(table).ours


def test_whose_training_does_better_is_told_by_bits() -> None:
    text = quantised_training._tfmot_claim(found()).ours
    assert text.startswith("JPEG, 8 bit: 8 bits 81.5 % (81.0-82.0) and 81.3 % (80.8-81.8), -0.20 points")
    assert "4 bits 80.5 % (80.0-81.0) and 79.0 % (78.5-79.5), -1.50 points" in text


def test_jobs_of_before_keep_their_folders(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    training = fig10_brightness.small(data, front_end(data, "loggrad_1p5"), 1, 0)
    tuning = {"epochs": 1, "bits": 4, "ternary_first": False}
    ours, theirs = (Rounding(training, tmp_path, tuning, trainer) for trainer in ("ours", "tfmot"))
    assert ours.to_json() == {"network": training.to_json(), "tuning": tuning, "board": BOARD}
    assert theirs.to_json() == ours.to_json() | {"trainer": "tfmot"}
    assert (ours.arm, theirs.arm) == ("4 bits", "4 bits, tfmot")


@pytest.mark.seconds
def test_a_job_measures_before_and_after_and_counts_the_plan(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    training = fig10_brightness.small(data, front_end(data, "loggrad_1p5"), 1, 0)
    training = dataclasses.replace(training, train=training.train | {"batch_size": 12})
    (tmp_path / "net").mkdir()
    training.run(tmp_path / "net")
    rows = []
    for name, trainer, tuning in (
        ("ternary", "ours", {"epochs": 1, "bits": 8, "ternary_first": True}),
        ("control", "ours", {"epochs": 1, "bits": None, "ternary_first": False}),
        ("4 bits", "ours", {"epochs": 1, "bits": 4, "ternary_first": False}),
        ("by tfmot", "tfmot", {"epochs": 1, "bits": 4, "ternary_first": False}),
    ):
        job = Rounding(training, tmp_path / "net", tuning, trainer)
        (tmp_path / name).mkdir()
        job.run(tmp_path / name)
        rows += quantised_training._rows(job, json.loads((tmp_path / name / FOUND).read_text()))
    names = [TERNARY, CONTROL, "4 bits", "4 bits, tfmot"]
    assert [row["weights"] for row in rows] == [name for name in names for _ in range(2)]
    assert [row["tuned"] for row in rows] == 4 * [0, 1]
    assert rows[6]["accuracy"] == rows[4]["accuracy"]  # both begin with the same network
    kernels = 8 * 9 + 10 * 72 + 16 * 90 + 32 * 144 + 32 * 3
    assert rows[0]["packed_weight_bytes"] == kernels - 8 * 9 * 6 // 8
    assert rows[2]["packed_weight_bytes"] == 4 * kernels
    assert rows[1]["agreement"] >= 0.9 and rows[2]["agreement"] == ""
    assert 0 < rows[1]["first_layer_instructions"] < rows[1]["board_instructions"]
    assert rows[2]["board_instructions"] == ""


@pytest.mark.slow
def test_a_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    pictures = write_pictures(tmp_path / "pictures", each=36)
    changes = {"size": 32, "epochs": 1}
    study = Study("quantised_training", f"folder:{pictures}", "quick", changes, tmp_path / "out", 2)
    result = quantised_training.run(study)
    assert set(result.figures) == {"weight_bits", "int8"} and len(result.claims) == 4
    assert len(result.rows) == len(INPUTS) * (len(BITS) + 2 + len(TFMOT_BITS)) * 2
    for row in result.rows:
        assert 0 <= row["accuracy"] <= 1
        if row["weights"] in ("8 bits", TERNARY):
            assert row["agreement"] >= 0.9
