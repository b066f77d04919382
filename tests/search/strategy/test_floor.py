"""search.strategy.floor: nothing is below it, and bounds below it are refused."""

import dataclasses

import numpy as np
import pytest

from export.predict.deployed import deployed
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from search.cost.costs import RESOURCES, Target, costs
from search.cost.objectives import Bounds
from search.space import genotype as space
from search.space import staged
from search.space.floors import narrowest
from search.strategy import floor as floors
from search.strategy.proposal import Settings, build
from tests.support import search_cases
from tests.support.search_cases import SENSOR, changed

EVERY = Bounds(0.05, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9)


def _settings(side: int, format: str, board: str, padding: str) -> Settings:
    target = Target(frontend.fixed(format, SENSOR), board)
    asked = changed(search_cases.settings(side), padding=padding, max_overrun=1.0, bounds=EVERY)
    return dataclasses.replace(asked, target=target)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("side", "format", "board", "padding"),
    [(48, "loggrad_1p5", "mps2-an386", "same"), (32, "raw16", "microbit", "valid")],
)
def test_no_network_is_below_it(side: int, format: str, board: str, padding: str) -> None:
    """Random networks, as narrow as the space has them and as they come."""
    settings = _settings(side, format, board, padding)
    found = floors.floor(settings)
    assert list(found.least) == list(RESOURCES)
    rng = np.random.default_rng(0)
    for k in range(40):
        drawn = space.random_genotype(rng)
        if k % 4:
            drawn = dataclasses.replace(space.scaled(drawn, 1e-3), dense=(space.MIN_UNITS,))
        counted = costs(build(drawn, settings), settings.target)
        for name, least in found.least.items():
            assert getattr(counted, name) >= least, (name, drawn)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("side", "format", "board"), [(48, "loggrad_1p5", "mps2-an386"), (32, "raw16", "microbit")]
)
def test_no_staged_network_is_below_it(side: int, format: str, board: str) -> None:
    settings = changed(_settings(side, format, board, "same"), space="staged")
    found = floors.floor(settings)
    rng = np.random.default_rng(0)
    for k in range(30):
        drawn = staged.scaled(staged.random_staged(rng), 0.1 if k % 4 == 0 else 1e-3)
        counted = costs(build(drawn, settings), settings.target)
        for name, least in found.least.items():
            assert getattr(counted, name) >= least, (name, drawn)


def test_only_bounded_costs_are_counted_and_stack_and_program_are_told_apart() -> None:
    settings = changed(_settings(32, "loggrad_1p5", "mps2-an386", "same"), bounds=Bounds(ram=9000))
    found = floors.floor(settings)
    assert set(found.least) == {"macs", "size", "peak_memory", "ram"}
    assert found.fixed is not None and 4000 < found.fixed < found.least["ram"]
    larger = changed(_settings(64, "loggrad_1p5", "mps2-an386", "same"), bounds=Bounds(ram=9000))
    assert floors.floor(larger).fixed == found.fixed + 2 * 32, "a line of codes"
    fixed = f"{found.fixed:,} B of it stack, program and a line of input"
    assert f"RAM on the board {found.least['ram']:,} B ({fixed})" in found.text
    point = build(narrowest()[0], settings)
    assert deployed(point, settings.target.front_end, settings.target.board).ram == found.least["ram"]


def test_bounds_below_it_are_refused_before_anything_is_drawn() -> None:
    settings = changed(_settings(32, "loggrad_1p5", "mps2-an386", "same"), bounds=Bounds(ram=9000))
    found = floors.floor(settings)
    least = int(found.least["ram"])
    found.check(settings)
    found.check(changed(settings, bounds=Bounds(ram=least)))
    tight = changed(settings, bounds=Bounds(ram=least - 1))
    with pytest.raises(
        LogGradError, match=rf"--ram_bound={least - 1}: no network .* RAM on the board {least:,} B"
    ):
        found.check(tight)
    found.check(changed(tight, max_overrun=1.1))
    found.check(changed(tight, max_overrun=None))
    with pytest.raises(LogGradError, match="--macs_bound=1: .*multiply-accumulates"):
        found.check(changed(settings, bounds=Bounds(ram=9000, macs=1)))
