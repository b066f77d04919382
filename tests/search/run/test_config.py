"""search.run.config: searches of before are read and written as they were."""

import dataclasses
import hashlib
import json

import pytest

from loggrad_tf.errors import LogGradError
from models.recipe import TrainConfig
from search.run.config import Config
from search.run.profiles import PROFILES
from search.strategy.method import Method
from tests.support.report_cases import CONFIG

# As config.json has had it since the first searches.
TRAIN = {
    "epochs": 80, "batch_size": 128, "learning_rate": 0.03, "momentum": 0.9, "weight_decay": 1e-4,
    "schedule": "constant", "label_smoothing": 0.0, "flip": False, "shift": 0, "fused_bn": False,
}  # fmt: skip
STORED = {
    "rounds": 2000, "population": 100, "sample": 25, "model": "munas", "pruning": True, "max_overrun": None,
    "unique": False, "children": 1, "elitist": False, "rank_by": "error", "rungs": [], "varied": False,
    "always_bn": False, "padding": "valid", "start": "", "train": TRAIN, "final": {"epochs": 0},
    "finalists": 1, "final_seeds": 1,
}  # fmt: skip
QUICK = {"epochs": 8, "batch_size": 64, "schedule": "cosine", "flip": True, "shift": 8, "fused_bn": True}
QUICK["label_smoothing"] = 0.1


def test_a_stored_method_is_read_and_written_as_it_was() -> None:
    assert PROFILES["faithful"].to_json() == STORED
    assert Method.from_json(STORED) == PROFILES["faithful"]
    quick = PROFILES["quick"].to_json()
    assert quick["train"] == TRAIN | QUICK
    assert quick["final"] == {"epochs": 100} and quick["rung_share"] == 0.5
    assert Method.from_json(quick) == PROFILES["quick"]


def test_another_optimizer_is_written_down() -> None:
    adam = Method.from_json(STORED | {"train": TRAIN | {"optimizer": "adam"}})
    assert adam.to_json()["train"] == TRAIN | {"optimizer": "adam"}


def test_a_search_of_before_drew_from_munas_space() -> None:
    """Its config.json names no space, and is written without one."""
    assert Method.from_json(STORED).space == "munas" and "space" not in CONFIG.history()["method"]
    staged = dataclasses.replace(CONFIG, method=dataclasses.replace(CONFIG.method, space="staged"))
    assert staged.history()["method"]["space"] == "staged"
    assert Config.from_json(json.loads(json.dumps(staged.to_json()))) == staged
    with pytest.raises(LogGradError, match="space 'nowhere', not one of munas, staged"):
        Method.from_json(STORED | {"space": "nowhere"})


def test_another_pruning_schedule_is_written_down() -> None:
    assert "pruning_schedule" not in STORED and Method.from_json(STORED).pruning_schedule == "cubic"
    theirs = Method.from_json(STORED | {"pruning_schedule": "tfmot"})
    assert theirs.to_json() == STORED | {"pruning_schedule": "tfmot"}
    with pytest.raises(LogGradError, match="pruning schedule 'linear', not one of cubic, tfmot"):
        Method.from_json(STORED | {"pruning_schedule": "linear"})


def test_the_history_keeps_its_hash() -> None:
    """By it a journal knows its config.json; another one, and no search of before could go on."""
    brief = TrainConfig(epochs=8, batch_size=64, schedule="cosine", flip=True, shift=4)
    before = dataclasses.replace(CONFIG.method, train=brief, rung_share=0.1)
    text = json.dumps(dataclasses.replace(CONFIG, method=before).history(), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "9cae6c6004e7187d"
    assert Config.from_json(json.loads(json.dumps(CONFIG.to_json()))) == CONFIG


@pytest.mark.parametrize("missing", ["rounds", "train"])
def test_a_stored_method_is_whole(missing: str) -> None:
    stored = {name: value for name, value in STORED.items() if name != missing}
    with pytest.raises(LogGradError, match=f"Method: key '{missing}' is missing"):
        Method.from_json(stored)
