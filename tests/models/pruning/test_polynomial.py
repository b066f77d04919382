"""tfmot's PolynomialDecay masks what the cubic formula masks, and leaves this process alone."""

import dataclasses
import json
import os
import sys

import numpy as np
import pytest

from loggrad_tf import own_process
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models.pruning import polynomial
from models.pruning.polynomial import sparsities
from models.recipe import TFMOT, Pruning, TrainConfig
from models.training import fit
from tests.models.training.test_fit import stripes, tiny


def _both(plan: Pruning, total: int) -> tuple[dict[int, float], dict[int, float]]:
    return sparsities(plan, total), sparsities(dataclasses.replace(plan, schedule=TFMOT), total)


def test_the_cubic_schedule_is_that_of_the_settings() -> None:
    plan = Pruning(0.8)
    due = {n: s for n in range(1, 1281) if (s := plan.sparsity_after(n, 1280)) is not None}
    assert sparsities(plan, 1280) == due and len(due) == 35


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("plan", "total"),
    [
        (Pruning(0.8), 2880),
        (Pruning(0.31, begin=0.05, end=0.4), 256),
        (Pruning(0.97, begin=0.0, end=1.0, every=1), 50),
        (Pruning(0.5, begin=0.99, end=1.0), 1),
    ],
)
def test_polynomial_decay_gives_the_shares_of_the_cubic_schedule(plan: Pruning, total: int) -> None:
    cubic, theirs = _both(plan, total)
    assert list(theirs) == list(cubic)
    assert list(theirs.values()) == pytest.approx(list(cubic.values()), abs=1e-6)
    assert list(theirs.values())[-1] == plan.sparsity


@pytest.mark.seconds
def test_one_process_serves_all_trainings_of_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    calls = []
    polynomial._decay.cache_clear()
    inner = own_process.call
    monkeypatch.setattr(polynomial.own_process, "call", lambda *args: calls.append(args) or inner(*args))
    for sparsity in (0.2, 0.7):
        sparsities(Pruning(sparsity, schedule=TFMOT), 320)
    assert len(calls) == 1
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert not {"tf_keras", "tensorflow_model_optimization"} & set(sys.modules)


@pytest.mark.seconds
def test_a_network_comes_out_bit_for_bit_as_by_the_cubic_schedule() -> None:
    data = stripes()
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    config = TrainConfig(epochs=4, batch_size=30, schedule="cosine")
    plan = Pruning(0.5, begin=0.0, end=0.6, every=3, exempt_first=False)
    one, other = (
        fit.train(tiny(), data, front_end, config, 0, pruning=dataclasses.replace(plan, schedule=schedule))
        for schedule in ("cubic", TFMOT)
    )
    assert one.graph == other.graph != tiny()
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_schedule_is_written_down_where_it_is_not_the_usual_one() -> None:
    plan = Pruning(0.5)
    assert "schedule" not in plan.to_json()
    theirs = dataclasses.replace(plan, schedule=TFMOT)
    assert theirs.to_json()["schedule"] == TFMOT
    assert Pruning.from_json(json.loads(json.dumps(theirs.to_json()))) == theirs
    with pytest.raises(LogGradError, match="pruning schedule 'linear': choose one of cubic, tfmot"):
        Pruning(0.5, schedule="linear")
