"""benchmarks.trained_out: which trainings stand for a search."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.trained_out import trained
from loggrad_tf.errors import LogGradError
from models import bundle
from tests.support.small_networks import saved_network


def _finalist(run: Path, network: bundle.Bundle, name: str, loss: float) -> None:
    metrics = {"val_error": 0.2, "val_loss": loss}
    bundle.save(run / "finalists" / name, dataclasses.replace(network, metrics=metrics))


def test_the_best_that_was_trained_as_often_as_the_hand_made_network(tmp_path: Path) -> None:
    run = tmp_path / "run"
    network = bundle.load(saved_network(tmp_path))
    bundle.save(run / "best", network)
    for name, loss in (("00003_0", 0.3), ("00003_1", 0.5), ("00007_0", 0.35), ("00007_1", 0.37)):
        _finalist(run, network, name, loss)
    _finalist(run, network, "00009_0", 0.1)  # left behind after its first seed
    with pytest.raises(LogGradError, match="no search that has ended with a hand-made network"):
        trained(run)
    for name in ("small_bn_0", "small_bn_1"):
        _finalist(run, network, name, 0.4)
    found, made = trained(run)
    assert [one.metrics["val_loss"] for one in found] == [0.35, 0.37]
    assert [one.metrics["val_loss"] for one in made] == [0.4, 0.4]
