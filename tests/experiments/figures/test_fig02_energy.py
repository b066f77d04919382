"""experiments.figures.fig02_energy: sums, the order of the paper, claims that follow the numbers."""

import csv
from pathlib import Path

import pytest

from experiments.figures import fig02_energy as fig02
from experiments.study import Result, Study
from export.predict import pipeline
from export.predict.pipeline import STAGES, Pipeline, Stage
from export.predict.power import Constant


@pytest.fixture(scope="module")
def made() -> tuple[Study, Result]:
    study = Study("fig02_energy", "synthetic", "quick", {"size": 64}, Path("unused"), 1)
    return study, fig02.run(study)


def test_rows_of_a_pipeline_add_up(made: tuple[Study, Result]) -> None:
    rows = [row for row in made[1].rows if row["pipeline"] != "published"]
    assert {row["target"] for row in rows} == {"asic", "accelerator", "mps2-an386", "mps2-an505"}
    keys = {(row["network"], row["target"], row["pipeline"]) for row in rows}
    assert len(keys) == 2 * (2 * 6 + 2 * 7)
    for key in keys:
        own = [row for row in rows if (row["network"], row["target"], row["pipeline"]) == key]
        *stages, total = own
        assert total["stage"] == "total" and [r["stage"] for r in stages] == [
            s for s in STAGES if s in {r["stage"] for r in stages}
        ]
        for end in ("low", "nominal", "high"):
            assert sum(row[end] for row in stages) == pytest.approx(total[end], rel=1e-3)
        assert sum(row["share"] for row in stages) == pytest.approx(1, abs=1e-3)
        assert all(row["source"] for row in stages)


def _total(result: Result, network: str, target: str, kind: str) -> float:
    [row] = [
        r
        for r in result.rows
        if (r["network"], r["target"], r["pipeline"], r["stage"]) == (network, target, kind, "total")
    ]
    return float(row["nominal"])


@pytest.mark.parametrize("network", list(fig02.NETWORKS))
@pytest.mark.parametrize("target", [fig02.ASIC, fig02.ACCELERATOR])
def test_jpeg_over_raw_over_log_gradient(made: tuple[Study, Result], network: str, target: str) -> None:
    totals = [_total(made[1], network, target, kind) for kind in (fig02.CONVENTIONAL, "jpeg8", "raw16")]
    totals.append(_total(made[1], network, target, "loggrad_1p5"))
    assert totals == sorted(totals, reverse=True)


def test_published_points_are_rows(made: tuple[Study, Result]) -> None:
    found = {(r["target"], r["stage"]): r for r in made[1].rows if r["pipeline"] == "published"}
    assert found["STM32L4R5", "CNN"]["nominal"] == pytest.approx(3.9, rel=0.1)
    assert found["chip", "sensor"]["nominal"] == pytest.approx(0.13)
    assert found["chip", "ISP"]["low"] == pytest.approx(0.98)


@pytest.mark.seconds
def test_written_result(made: tuple[Study, Result], tmp_path: Path) -> None:
    study = Study("fig02_energy", "synthetic", "quick", {"size": 64}, tmp_path, 1)
    folder = study.write(made[1])
    with (folder / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(made[1].rows)
    assert {p.name for p in folder.glob("*.png")} == {"energy.png", "shares.png"}


def test_claims_follow_the_numbers() -> None:
    table = fig02.pipelines(64)
    said = fig02._microcontrollers(table).ours
    assert "the CNN decides" in said and "the camera counts" not in said
    # A network that costs nothing: then the camera is what counts.
    nothing = Stage("CNN", Constant(1e-15, 1e-15, 1e-15, "J", "test"))
    free = {key: Pipeline(p.title, p.pixels, (*p.stages[:-1], nothing)) for key, p in table.items()}
    said = fig02._microcontrollers(free).ours
    assert "the camera counts" in said and "the CNN decides" not in said


def test_depth_at_which_raw_is_dearer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "from 14 bits on" in fig02._depth().ours
    monkeypatch.setattr(pipeline, "ADC", Constant(0.0, 0.0, 0.0, "pJ per step", "test"))
    assert "RAW is always below" in fig02._depth().ours
