"""The choice on validation, devices that are off, the claims' numbers, and a whole tiny run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.beyond import thresholds
from experiments.study import Study
from loggrad_tf.transform import reference
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor


def row(name: str, rule: str, t1: float, val: float, test: float, **changes: Any) -> dict[str, Any]:
    fields = {"input": name, "rule": rule, "t1": t1, "t2": 3 * t1, "seed": 0, "device": 1.0}
    return {**fields, "val": val, "test": test, "held_out": (val + test) / 2, **changes}


ROWS = [
    made
    for name in thresholds.INPUTS
    for made in (
        row(name, "grid 0.05", 0.05, 0.60, 0.99),
        row(name, "grid 0.3", 0.3, 0.80, 0.82),
        row(name, "fixed", 0.3, 0.80, 0.82),
        row(name, "quantile", 0.5, 0.79, 0.79),
        row(name, "quantile 80", 0.7, 0.82, 0.70),
        row(name, "trained", 0.6, 0.95, 0.85),
        *(row(name, "quantile", 0.5, 0.79 - d, 0.79 - d, device=1 + 10 * d) for d in (0.015, 0.1)),
    )
]


def test_the_search_looks_at_validation_only_and_not_at_trained_ones() -> None:
    assert [thresholds.searched(ROWS, name) for name in thresholds.INPUTS] == ["quantile 80"] * 2


def test_a_device_that_is_off_scales_logarithms() -> None:
    front = FrontEnd("loggrad_2p25", Sensor(), tuple(reference.ratio_of(t) for t in (0.3, 0.9)))
    np.testing.assert_allclose(thresholds.off(front, 2.0).thresholds, (0.6, 1.8), atol=3e-4)
    assert thresholds.off(front, 1.0) == front


def test_claims_state_the_numbers_of_the_rows() -> None:
    claim = thresholds._sensitivity(ROWS, []).ours
    assert "0.05: 79.5 %, 0.3: 81.0 %" in claim and "within 2 points of the best: 0.05, 0.3" in claim
    text = thresholds._tuning(ROWS).ours
    assert "best on validation: quantile 80, 0.70: 70.0 %" in text
    assert "fixed, 0.30: 82.0 %" in text and "fixed, 0.30 and 0.90: 82.0 %" in text
    assert "trained, 0.60: 85.0 %" in text and "trained over quantile +11.0 points" in text
    assert "95.0 %" not in text


@pytest.mark.slow
def test_a_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in ("flat", "steep", "upright"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(12):
            pixels = rng.integers(90, 200, (16, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{k}.png")
    changes = {"size": 16, "epochs": 2, "seeds": 2}
    study = Study("thresholds", f"folder:{tmp_path / 'photos'}", "quick", changes, tmp_path / "out", 2)
    result = thresholds.run(study)
    folder = study.write(result)
    assert sorted(path.name for path in folder.glob("*.png")) == ["accuracy.png", "course.png", "device.png"]
    assert len(result.claims) == 3
    keys = {(r["input"], r["rule"], r["seed"], r["device"]) for r in result.rows}
    # A grid of three, two other quantiles, and three rules on four devices each; two inputs, two seeds.
    assert len(keys) == len(result.rows) == 2 * 2 * (3 + 2 + 3 * 4)
    trained = [r for r in result.rows if r["rule"] == "trained" and r["input"] == "loggrad_2p25"]
    assert all(0.05 <= r["t1"] < r["t2"] for r in trained)
