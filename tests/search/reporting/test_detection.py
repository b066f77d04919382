"""search.reporting of a search for detectors: F1 in place of errors, and frames with what was found."""

import dataclasses
import functools
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from export.predict.deployed import deployed
from loggrad_tf.detect.scores import Scores
from models import zoo
from models.field import receptive_field
from search.cost.objectives import Bounds
from search.record.history import Record
from search.reporting import network, png, reading
from search.reporting import page as report_page
from search.run import rival
from search.run.finalists import FOUND
from search.run.profiles import ALL_PROFILES, DETECTOR_BOUNDS
from search.strategy.proposal import training_seed
from tests.support.report_cases import CONFIG, searched, write_run

DETECTS = dataclasses.replace(
    CONFIG, size=(48, 64), profile="detect", task="detect:car,person", class_names=("car", "person"),
    bounds=dataclasses.replace(DETECTOR_BOUNDS, error=0.5, peak_memory=None, ram=16_000), cell_entropy=0.3,
    method=dataclasses.replace(ALL_PROFILES["detect"], rounds=12, population=4, sample=2, rungs=(2, 4)),
    fit="crop",
)  # fmt: skip
SCORES = Scores(1.5, 40, 60, 24, 12, (0.31, 0.127), 0.42, 0.55)


@functools.cache
def candidates() -> tuple[Record, ...]:
    return tuple(searched(DETECTS, 12))


def _written(place: Path, hand_made: bool = False) -> Path:
    run = write_run(place, DETECTS, candidates())
    index = rival.INDEX if hand_made else reading.read(run).chosen
    assert index is not None
    metrics = {"val_error": 0.62, "test_error": 0.655, "mean_val_error": 0.63, "mean_test_error": 0.66}
    metrics |= {"beside_val_error": 0.7, "beside_test_error": 0.71}
    saved = {"seed": training_seed(DETECTS.seed, index), "train": {"epochs": 30}, "metrics": metrics}
    saved["detection"] = {"val": SCORES.to_json(), "test": SCORES.to_json()}
    (run / "best").mkdir()
    (run / "best/network.json").write_text(json.dumps(saved))
    return run


def _words(page: str) -> str:
    return re.sub(" +", " ", re.sub("<[^>]*>", " ", page.replace("\n", "")))


@pytest.mark.seconds
@pytest.mark.parametrize("hand_made", [False, True])
def test_a_detector_has_an_f1_and_scores(tmp_path: Path, hand_made: bool) -> None:
    run = _written(tmp_path / "run", hand_made)
    page = report_page.page([reading.read(run)])
    words = _words(page)
    assert "after 30 epochs of training: validation F1 0.380" in words and "test F1 0.345." in words
    names = ["best found", "hand-made cells, trained alike"]
    first, second = names[::-1] if hand_made else names
    assert f"{first} 0.370 0.340 {second} 0.300 0.290" in words
    assert "test 40 60 66.7% 40.0% 0.500 0.310 0.127 0.42 0.55" in words
    assert "AP car AP person count error" in words
    assert "It answers on 4 × 3 cells, each of which sees" in words
    assert "error of cells in training (%)" in page and "training error" not in page
    assert "1 - F1 on validation (%)" in words and "1 - F1 on validation 50 %" in words
    assert "validation error" not in words and "test error" not in words
    assert "<img" not in page, "no picture was drawn"


@pytest.mark.seconds
def test_the_flash_of_the_chosen_one_is_that_of_the_search(tmp_path: Path) -> None:
    run = reading.read(_written(tmp_path / "run"))
    assert run.chosen is not None
    graph = network.chosen_graph(run, run.chosen)[1]
    found = deployed(graph, DETECTS.settings().target.front_end, DETECTS.board)
    assert f"flash {found.flash:,} B" in network.deployed(run, graph)


@pytest.mark.seconds
def test_frames_with_what_was_found_are_shown(tmp_path: Path) -> None:
    run = _written(tmp_path / "run")
    Image.new("RGB", (40, 20), (1, 2, 3)).save(run / FOUND)
    page = report_page.page([reading.read(run)])
    assert page.count('<img class="frames" alt="') == 1 and 'src="data:image/png;base64,' in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy and "img-src data:" in policy[1] and "default-src 'none'" in policy[1]
    assert "found" in page and "missed" in page and "invented" in page


@pytest.mark.seconds
def test_it_is_asked_for_again_by_its_task(tmp_path: Path) -> None:
    run = reading.read(_written(tmp_path / "run"))
    asked = reading.arguments(run.config)
    assert "--task=detect:car,person" in asked and "--size=64x48" in asked
    assert not any(flag.startswith(("--profile", "--faithful", "--fit")) for flag in asked)
    assert not reading.unlike_profile(run.config)
    text = reading.begins_with(run.directory)
    assert DETECTS.settings().space.start(text) == dataclasses.replace(
        run.records[run.chosen or 0].candidate.genotype, sparsity=None
    )


def test_a_cell_sees_no_more_than_the_frame() -> None:
    field = receptive_field(zoo.cells((320, 480), 3))[0]
    small, wide, large = (network.sees(zoo.cells(size, 3)) for size in ((48, 64), (160, 320), (320, 480)))
    assert 160 < field < 320
    assert "4 × 3 cells, each of which sees the whole frame or, at its edges, most of it." in small
    assert f"20 × 10 cells, each of which sees {field} × 160 pixels of the input." in wide
    assert f"30 × 20 cells, each of which sees {field} × {field} pixels of the input." in large


def test_the_hand_made_one_is_begun_with_by_its_name(tmp_path: Path) -> None:
    assert reading.begins_with(_written(tmp_path / "run", hand_made=True)) == "cells"


@pytest.mark.seconds
def test_fronts_for_print(tmp_path: Path) -> None:
    run = reading.read(_written(tmp_path / "run"))
    png.write_png(tmp_path / "fronts.png", [run])
    with Image.open(tmp_path / "fronts.png") as image:
        assert image.width > 500
    assert run.bounds == dataclasses.replace(Bounds(), error=0.5, peak_memory=None, macs=3e6, ram=16_000)
