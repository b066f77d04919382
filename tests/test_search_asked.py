"""search.asked: flags, profiles and bounds, without any data."""

from collections.abc import Iterator

import pytest
from absl import flags
from absl.testing import flagsaver

from export import boards
from loggrad_tf.errors import LogGradError
from models.training import TrainConfig
from search import asked
from search.config import PROFILES
from search.objectives import Bounds


@pytest.fixture(autouse=True)
def parsed() -> Iterator[None]:
    with flagsaver.flagsaver():
        flags.FLAGS(["test"])
        yield


def give(*arguments: str) -> None:
    flags.FLAGS(["test", *arguments])


def test_faithful_is_the_paper() -> None:
    """Appendix C.1 and muNAS' own counts, bounds and sizes; nothing that makes it cheaper."""
    give("--faithful")
    method = asked.method()
    assert (method.rounds, method.population, method.sample, method.model) == (2000, 100, 25, "munas")
    assert (method.max_overrun, method.unique, method.children, method.rungs) == (None, False, 1, ())
    assert method.pruning and not method.varied and method.final_epochs == 0
    paper = TrainConfig(epochs=80, batch_size=128, learning_rate=0.03, momentum=0.9, weight_decay=1e-4)
    given = TrainConfig.from_json(method.train)
    assert given == TrainConfig.from_json(paper.to_json() | {"fused_bn": False})
    assert (given.schedule, given.flip, given.shift, given.label_smoothing) == ("constant", False, 0, 0)
    assert asked.bounds() == Bounds(0.05, 10_000, 20_000, 1_000_000)


def test_every_saving_is_a_flag_of_its_own() -> None:
    give("--profile=paper")
    paper = asked.method()
    assert paper.max_overrun == 1 and paper.unique and paper.children > 1 and paper.rungs and paper.varied
    give("--max_overrun=none", "--nounique", "--children=1", "--rungs=none", "--novaried", "--nofused_bn")
    plain = asked.method()
    assert {k for k in vars(plain) if vars(plain)[k] != vars(PROFILES["faithful"])[k]} == {"model"}


def test_bounds_follow_the_counts() -> None:
    assert asked.bounds() == Bounds(peak_memory=None, ram=10_000)
    give("--resources=munas")
    assert asked.bounds() == Bounds()
    give("--ram_bound=8000", "--memory_bound=none", "--latency_bound=0.05", "--energy_bound=2e-3")
    assert asked.bounds() == Bounds(peak_memory=None, ram=8000, latency=0.05, energy=0.002)


def test_a_board_bounds_its_ram_and_flash() -> None:
    give("--board=stm32vldiscovery")
    assert asked.bounds() == Bounds(peak_memory=None, size=None, ram=8192, flash=128 * 1024)
    give("--flash_bound=60000", "--size_bound=9000")
    assert asked.bounds() == Bounds(peak_memory=None, size=9000, ram=8192, flash=60_000)


@pytest.mark.parametrize("name", [n for n in boards.names() if n != "host"])
def test_every_board_may_be_named(name: str) -> None:
    give(f"--board={name}")
    assert asked.bounds().ram == boards.read(name)["ram"]["length"]


def test_rungs_of_a_profile_lie_below_its_epochs() -> None:
    give("--epochs=3")
    assert asked.method().rungs == (2,)
    give("--rungs=1,3")
    with pytest.raises(LogGradError, match="below the 3 epochs"):
        asked.method()
