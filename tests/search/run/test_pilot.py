"""search.run.pilot: candidates are trained as long as the budget allows."""

import dataclasses

import pytest

from search.run import pilot
from search.run.config import Config
from search.run.pilot import longer
from search.run.profiles import PROFILES
from tests.support.report_cases import CONFIG

QUICK = PROFILES["quick"]


@pytest.mark.parametrize(
    ("epochs", "found", "rungs"),
    [(3.0, 8, (2, 4)), (16.0, 16, (4, 8)), (21.9, 21, (5, 10)), (900.0, 160, (40, 80))],
)
def test_epochs_lie_between_the_profiles_and_twenty_times_those(
    epochs: float, found: int, rungs: tuple[int, ...]
) -> None:
    made = longer(QUICK, epochs)
    assert made.train.epochs == found and made.rungs == rungs
    assert dataclasses.replace(made, train=QUICK.train, rungs=QUICK.rungs) == QUICK


def test_two_dozen_of_them_fit_into_the_searchs_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 40 % of 600 s on two workers are 480 s, 20 s for each of 24; at half a second an epoch 40."""
    monkeypatch.setattr(pilot, "epoch_seconds", lambda config, data: 0.5)
    config: Config = dataclasses.replace(CONFIG, method=QUICK, budget=600.0, workers=2)
    found = pilot.lengthened(config, None)  # type: ignore[arg-type]
    assert found.method.train.epochs == 40 and found.budget == 600.0
    late = pilot.lengthened(config, None, 300.0)  # type: ignore[arg-type]
    assert late.method.train.epochs == 20 and late.budget == 600.0
    gone = pilot.lengthened(config, None, 900.0)  # type: ignore[arg-type]
    assert gone.method.train.epochs == QUICK.train.epochs
