"""The profile of folds, from end to end on a tiny folder: every crop measured, every two inputs compared."""

import csv
import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from experiments import recipes
from experiments.beyond import adversarial, mosaic, multiscale, sensor, thresholds
from experiments.figures import fig09_filters, fig10_brightness
from experiments.study import Study
from loggrad_tf.errors import LogGradError
from tests.support.experiment_cases import SIZE, write_pictures

SMALL: dict[ModuleType, dict[str, Any]] = {
    fig09_filters: {"filters": (2, 4)},
    fig10_brightness: {},
    adversarial: {"shares": (0.02,), "images": 12, "steps": 2, "queries": 2},
    thresholds: {"grid": (0.3, 1.2)},
    mosaic: {},
    multiscale: {"inputs": ("loggrad_1p5",)},
}
# What the pictures are too small for at the size of the others.
SIZES = {multiscale: 64}
# Lines of results.csv and of pairs.csv: all pairs of three inputs.
LINES = {
    fig09_filters: (3 * 2 * 2, 2 * 3 + 1),
    fig10_brightness: (2 * 15 * 3 * 2, 2 * 3 * 3),
    adversarial: (3 * 2 * 9 * 2, 2 * 3),
    # Two of the grid, the quantile and fixed, the last two on four devices; each against the quantile.
    thresholds: (2 * 2 * (2 + 2 * 4), 2 * (2 * 3 + 3)),
    mosaic: (4 * 2, 6),
    # Five networks and the sum of three.
    multiscale: (6 * 2, 15),
}


@pytest.mark.slow
@pytest.mark.parametrize("module", SMALL, ids=lambda module: module.__name__.rpartition(".")[2])
def test_by_folds(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    tiny = dataclasses.replace(module.SCALES["folds"], folds=2, **SMALL[module])
    monkeypatch.setitem(module.SCALES, "folds", tiny)
    spec = f"folder:{write_pictures(tmp_path / 'pictures')}"
    study = Study("x", spec, "folds", {"size": SIZES.get(module, SIZE), "epochs": 1}, tmp_path / "out", 1)
    folder = study.write(module.run(study))
    results, pairs = (list(csv.DictReader((folder / name).open())) for name in ("results.csv", "pairs.csv"))
    assert (len(results), len(pairs)) == LINES[module]
    assert {row["seed"] for row in results} == {"0", "1"}
    assert all(float(pair["low"]) <= float(pair["points"]) <= float(pair["high"]) for pair in pairs)
    assert "nan" not in (folder / "claims.md").read_text()
    # A crop more or less is 1/36 of all of them; attacks are on 6 of each of two folds.
    crops = 12 if module is adversarial else 36
    column = "held_out" if module is thresholds else "accuracy"
    assert all(abs(float(row[column]) * crops % 1 - 0.5) > 0.49 for row in results)


def test_read_outs_of_one_frame_are_shifted_alike() -> None:
    assert recipes.long_of_field(48) == recipes.long(48)
    assert [recipes.long_of_field(size)["shift"] for size in (64, 32, 16)] == [10, 5, 2]


def test_an_experiment_without_folds_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        LogGradError, match="--profile=folds: x does not have it; choose of quick, long, paper"
    ):
        Study("x", "synthetic", "folds", {}, tmp_path, 1).scale(sensor.SCALES)
