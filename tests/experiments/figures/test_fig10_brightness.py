"""Figure 10, and that experiments share the trainings that they have in common."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from experiments.beyond import domains, sensor
from experiments.figures import fig04_reconstruction, fig09_filters, fig10_brightness
from experiments.jobs import Job, place
from experiments.study import Study
from loggrad_tf.data.dataset import DataSet
from tests.support.experiment_cases import SIZE, small_set, write_pictures


class Asked(Exception):
    """The jobs that an experiment asks for first."""


@dataclasses.dataclass(frozen=True)
class Listing(Study):
    """Runs nothing: the first jobs asked for are raised."""

    set: DataSet | None = None

    def data(self, size: int, mode: str = "gray") -> DataSet:
        assert self.set is not None and size == SIZE
        return self.set

    def run(self, jobs: Sequence[Job]) -> list[Path]:
        raise Asked({place(self.out, job): job for job in jobs})


def asked(module: ModuleType, data: DataSet, profile: str) -> dict[Path, Job]:
    study = Listing(module.__name__, data.spec, profile, {"size": SIZE}, Path("out"), 1, set=data)
    with pytest.raises(Asked) as raised:
        module.run(study)
    jobs: dict[Path, Job] = raised.value.args[0]
    return jobs


@pytest.mark.seconds
@pytest.mark.parametrize("profile", ["quick", "long", "paper"])
def test_trainings_are_shared(tmp_path: Path, profile: str) -> None:
    data = small_set(tmp_path)
    brightness = asked(fig10_brightness, data, profile)
    largest = {path for path, job in brightness.items() if "32 filters" in job.title}
    small = brightness.keys() - largest
    seeds = 1 if profile == "quick" else 3
    assert len(largest) == len(small) == 5 * seeds
    assert largest <= asked(fig09_filters, data, profile).keys()
    assert small == asked(sensor, data, profile).keys() == asked(domains, data, profile).keys()


def test_relit_pictures_are_the_same_for_every_network(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    pixels = np.asarray(data.pixels)
    first, second = (fig10_brightness.relit(pixels, -3, "physical", data) for _ in range(2))
    assert np.array_equal(first, second)
    digital = fig10_brightness.relit(pixels, -3, "digital", data)
    assert np.array_equal(digital, np.floor(pixels / 8 + 0.5)) and not np.array_equal(first, digital)


def test_drops_are_points_below_brightness_one() -> None:
    values = np.full((2, 15), 0.8)
    values[:, 0], values[:, 9] = (0.6, 0.7), (0.7, 0.8)
    assert fig10_brightness.drops(values, (-6, 3)) == pytest.approx([15, 5])


@pytest.mark.slow
def test_experiments_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(domains, "STRANGERS", (("bar", ("rf_",)),))
    spec = f"folder:{write_pictures(tmp_path / 'pictures', domains=('voc2007', 'rf_web'))}"
    lines = {}
    for module in (fig10_brightness, sensor, domains, fig04_reconstruction):
        name = module.__name__.rpartition(".")[2]
        study = Study(name, spec, "quick", {"size": SIZE, "epochs": 1}, tmp_path / "out", 2)
        folder = study.write(module.run(study))
        lines[name] = len((folder / "results.csv").read_text().splitlines()) - 1
        assert list(folder.glob("*.png")) and "nan" not in (folder / "claims.md").read_text()
    assert lines == {
        "fig10_brightness": 2 * 2 * 15 * 5,
        "sensor": 5 * (1 + 5 + 7) + 2 * 2,
        "domains": 5 * (2 * 3 + 1),
        "fig04_reconstruction": 4,
    }
