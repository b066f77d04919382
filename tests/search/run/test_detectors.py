"""Searches for detectors: their defaults, their hand-made rival, what chooses the network, how F1 is told."""

import dataclasses

import numpy as np
import pytest

from models import zoo
from models.recipe import DETECTOR_RECIPES, NATIVE, OBJECT_WEIGHT
from search.cost.objectives import Bounds
from search.cost.quantities import broken, reached, verdict
from search.run import rival
from search.run.choice import goes_by_loss
from search.run.finalists import counted
from search.run.profiles import ALL_PROFILES, DETECTOR_BOUNDS, for_images, longest, trained_out
from search.run.progress import table
from search.run.schedule import OPEN
from search.strategy.proposal import standing
from search.workers.evaluator import cell_entropy
from tests.loggrad_tf.detect.test_views import small_data
from tests.search.reporting.test_detection import DETECTS, SCORES, candidates
from tests.search.run.test_options import ask
from tests.support.search_cases import point

PROFILE = ALL_PROFILES["detect"]


@pytest.mark.seconds
def test_defaults_of_the_task() -> None:
    plain, rounds, own, presence = ask(
        "--task=detect",
        "--task=detect:car --rounds=9",
        "--task=detect --epochs=11 --macs_bound=5e6",
        "--task=presence:car --data=folder:x",
    )
    bounds = {"error": 0.5, "macs": 3_000_000, "size": 20_000, "ram": 16_000}
    assert plain[1] == dict.fromkeys(plain[1]) | bounds
    assert plain[0]["rounds"] == OPEN, "as long as its time lasts"
    assert plain[0] | {"rounds": PROFILE.rounds} == PROFILE.to_json()
    assert rounds[0]["rounds"] == 9
    assert own[0]["train"]["epochs"] == 11 and own[1]["macs"] == 5_000_000
    assert presence[0]["rounds"] == ALL_PROFILES["quick"].rounds and presence[1]["error"] == 0.05


def test_the_profile_trains_as_the_recipe_of_detectors_does() -> None:
    brief, recipe = PROFILE.train, DETECTOR_RECIPES["quick"]
    assert dataclasses.replace(brief, epochs=recipe.epochs, trainer=recipe.trainer) == recipe
    assert brief.trainer == NATIVE and brief.epochs < PROFILE.final.epochs == recipe.epochs
    assert longest(1000, "detect") == DETECTOR_RECIPES["long"].epochs < longest(1000)
    long = dataclasses.replace(PROFILE, final=dataclasses.replace(PROFILE.final, epochs=300))
    assert trained_out("detect", long, (48, 64)).final.cutout is None, "nothing is cut out of frames"
    assert for_images(PROFILE, 100).train.epochs == 10 * brief.epochs


def test_the_rival_is_a_detector_within_the_bounds() -> None:
    config = dataclasses.replace(DETECTS, bounds=Bounds(macs=100_000))
    whole, made = zoo.cells((48, 64), 2), rival.hand_made(config)
    assert made is not None and made.costs.macs <= 100_000 and made.graph.cells == whole.cells == (3, 4)
    assert rival.name_of(config) == "cells" and made.graph.output_units == 3


def test_f1_chooses_unless_the_search_goes_by_loss() -> None:
    by_loss = dataclasses.replace(DETECTS, method=dataclasses.replace(DETECTS.method, rank_by="loss"))
    assert not goes_by_loss(DETECTS) and goes_by_loss(by_loss)
    assert goes_by_loss(dataclasses.replace(DETECTS, profile="quick"))
    record = next(r for r in candidates() if r.ranked)
    judged = standing(record, by_loss.settings())
    assert judged is not None and record.outcome.val_loss is not None
    assert judged.error == min(record.outcome.val_loss / 0.3, 1.0), "the share of the loss of guessing"
    assert standing(record, DETECTS.settings()) == record.point


def test_cells_are_guessed_by_their_frequency() -> None:
    """By hand: five frames of 2x3 cells; a person, two cars, and one cell that is left out."""
    data = dataclasses.replace(small_data(), split=np.zeros(5, np.uint8))
    counts = np.array([26, OBJECT_WEIGHT, 2 * OBJECT_WEIGHT])
    shares = counts / counts.sum()
    assert cell_entropy(data) == pytest.approx(float(-(shares * np.log(shares)).sum()))


def test_it_is_told_as_f1() -> None:
    assert reached(0.688, True) == "F1 0.312" and reached(0.0688, False) == "error 6.88%"
    over = point(0.62, 9, 9, 9)
    assert verdict(over, DETECTOR_BOUNDS, True).endswith(
        "over its bounds: 1 - F1 on validation 62.00 of 50 %"
    )
    assert broken(over, DETECTOR_BOUNDS, True) == ["1 - F1 on validation"]
    heading, row, memories = table({3: over}, DETECTOR_BOUNDS, 3, True).splitlines()
    assert heading.split()[:3] == ["candidate", "val", "F1"] and row.split()[:3] == ["*", "3", "0.380"]
    assert "memory B" in heading and "RAM B" in heading
    assert memories.startswith("  memory: ") and "; RAM: " in memories
    assert counted(SCORES) == (
        "its counts are off by 0.42 a frame and class, always answering the mean by 0.55"
    )
