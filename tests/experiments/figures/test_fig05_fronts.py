"""experiments.figures.fig05_fronts and searches: factors by hand, names, errors; the experiment, slow."""

import dataclasses
from pathlib import Path

import pytest

from experiments import searches
from experiments.figures import fig05_fronts
from experiments.figures.fig05_fronts import RETRAINED, factor, least_cost
from experiments.searches import Search
from experiments.study import Study
from loggrad_tf.errors import LogGradError
from search.reporting import reading
from search.run.rundir import JOURNAL
from tests.support.report_cases import CONFIG, invented, write_run
from tests.support.search_cases import point

# error, peak memory, size, MACs
JPEG = [point(0.02, 900, 5000, 80_000), point(0.10, 500, 1000, 20_000), point(0.30, 100, 900, 1000)]
OURS = [point(0.02, 1000, 1000, 16_000), point(0.25, 50, 300, 4000)]


def test_the_factor_at_equal_error_by_hand() -> None:
    assert factor(OURS, JPEG, "size", 0.02) == pytest.approx(5)
    assert factor(OURS, JPEG, "peak_memory", 0.02) == pytest.approx(0.9)
    assert factor(OURS, JPEG, "macs", 0.1) == pytest.approx(20_000 / 16_000)  # the error of neither is 0.1
    assert factor(OURS, JPEG, "macs", 0.3) == pytest.approx(1000 / 4000)
    assert factor(OURS, JPEG, "size", 0.01) is None
    assert factor(OURS, JPEG[1:], "size", 0.05) is None and factor(JPEG[1:], OURS, "size", 0.05) is None
    assert least_cost([], "size", 1.0) is None


def test_factors_compare_searches_of_one_seed() -> None:
    fronts = {"jpeg8": [JPEG, JPEG[1:]], "loggrad_1p5": [OURS, OURS]}
    rows = fig05_fronts._factor_rows(RETRAINED, fronts, 2)
    assert {row["against"] for row in rows} == {"jpeg8"}  # RAW was not searched
    at = {(row["seed"], row["error"]): row["size"] for row in rows}
    assert (at[0, 0.02], at[1, 0.02]) == (5.0, "")
    assert at[1, 0.1] == 1.0
    assert fig05_fronts._factors(rows, "loggrad_1p5", "jpeg8", 0.02) == "5, 5 and 0.9"
    both = fig05_fronts._factors(rows, "loggrad_1p5", "jpeg8", 0.3)
    assert both == "3 (3-3), 0.25 (0.25-0.25) and 2 (2-2)"
    no = [row | {"size": "", "macs": "", "peak_memory": ""} for row in rows]
    assert fig05_fronts._factors(no, "loggrad_1p5", "jpeg8", 0.02) == "not reached by both"
    assert fig05_fronts._reached(fronts, ("loggrad_1p5", "jpeg8"))[0] == 0.1


def test_what_is_retrained_is_on_a_stair(tmp_path: Path) -> None:
    records = invented(200)
    config = dataclasses.replace(CONFIG, method=dataclasses.replace(CONFIG.method, rounds=200))
    run = reading.read(write_run(tmp_path / "run", config, records))
    chosen = fig05_fronts._on_stairs(run)
    assert chosen == sorted(chosen)
    for cost in fig05_fronts.COSTS:  # none that is left out is better than all that are chosen, at its cost
        for index, one in run.points.items():
            rivals = [
                run.points[i].error
                for i in chosen
                if getattr(run.points[i].costs, cost) <= getattr(one.costs, cost)
            ]
            assert index in chosen or min(rivals) <= one.error
    least = min(run.points.values(), key=lambda p: p.error)
    assert least in [run.points[i] for i in chosen] and len(chosen) < len(run.front)


SEARCH = Search("folder:/photos/street", "ab" * 32, "quick", "jpeg8", 3, ("--rounds=4",))


def test_a_directory_says_what_it_holds() -> None:
    assert SEARCH.name.startswith("folder-street_quick_jpeg8_seed3_")
    others = [
        dataclasses.replace(SEARCH, manifest_sha256="cd" * 32),
        dataclasses.replace(SEARCH, flags=("--rounds=5",)),
        dataclasses.replace(SEARCH, spec="folder:/elsewhere/street"),
    ]
    assert len({one.name for one in (SEARCH, *others)}) == 4


@pytest.mark.seconds
def test_a_search_that_fails_says_why(tmp_path: Path) -> None:
    wrong = dataclasses.replace(SEARCH, flags=("--rungs=4,2",))
    with pytest.raises(LogGradError, match=r"search of jpeg8, seed 3: --rungs=4,2: give rising .*log\.txt"):
        searches.run_all([wrong], tmp_path, 1)
    assert (tmp_path / wrong.name / searches.LOG).is_file()


@pytest.mark.slow
def test_a_tiny_study_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = ("--rungs=none", "--children=1")
    tiny = fig05_fronts.Scale(16, 1, 3, 2, 2, 2, "--profile=quick", 1, ("jpeg8", "loggrad_1p5"), more)
    monkeypatch.setitem(fig05_fronts.SCALES, "quick", tiny)
    study = Study("fig05_fronts", "synthetic", "quick", {}, tmp_path, 2)
    result = fig05_fronts.run(study)
    assert {path.stem for path in study.write(result).glob("*.png")} == {"figure5", "figure6"}
    networks = [row for row in result.rows if row["what"] == "network"]
    for name in tiny.inputs:
        searched = [r for r in networks if (r["input"], r["split"]) == (name, fig05_fronts.SEARCHED)]
        scored = [r for r in networks if (r["input"], r["split"]) == (name, RETRAINED)]
        assert len(searched) == 3 and 1 <= len(scored) <= 3
        costs = {r["candidate"]: r["macs"] for r in searched}
        assert all(r["macs"] == costs[r["candidate"]] for r in scored)
    assert len(result.claims) == 3

    journals = sorted((tmp_path / "searches").glob(f"*/{JOURNAL}"))
    before = [path.read_bytes() for path in journals]
    journals[0].write_bytes(b"".join(before[0].splitlines(keepends=True)[:2]))  # as if killed after the first
    again = fig05_fronts.run(study)
    assert [path.read_bytes() for path in journals] == before
    assert again.rows == result.rows
