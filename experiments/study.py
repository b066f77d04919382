"""What every experiment is given, and how its result is written.

An experiment is a module of this package with a ``run(study) -> Result``; :mod:`experiments.catalogue`
lists them, ``python -m experiments --figure=NAME`` runs one. Its result is a folder:

    OUT/NAME/results.csv     every number, one line each, with its seed
    OUT/NAME/*.png           the figures
    OUT/NAME/claims.md       what the paper says, and what was found
    OUT/NAME/study.json      command, profile, versions, data sets and the hashes of their manifests
    OUT/jobs/                trainings, which experiments share
"""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure

from experiments.jobs import NETWORK, Job, Training, run_all
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.files import write_whole
from loggrad_tf.transform.frontend import FrontEnd, fit
from models.graph import Graph
from search.record.versions import versions

Scale = TypeVar("Scale")


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row of RESULTS.md: what the paper says and where, what was found, and how."""

    paper: str
    ours: str


@dataclasses.dataclass(frozen=True)
class Result:
    """What an experiment found.

    Attributes:
      rows: of results.csv; all have the same keys.
      figures: file name without suffix -> figure.
      claims: in the order of the paper.
    """

    rows: list[dict[str, Any]]
    figures: dict[str, Figure]
    claims: list[Claim]


@dataclasses.dataclass(frozen=True)
class Study:
    """What an experiment is asked for.

    Attributes:
      name: of the experiment, and of its folder.
      spec: data set: ``synthetic``, ``pascalraw:DIR`` or ``folder:DIR``.
      profile: of :data:`experiments.catalogue.PROFILES`: quick takes minutes on two cores, long is what
        RESULTS.md was made with, paper has the paper's sizes, epochs and batches.
      changes: what the command line changes of the profile's scale (epochs, seeds, size).
      out: folder of all results.
      workers: processes for trainings.
      manifests: of the data sets that it has opened, SHA-256 by size and mode.
    """

    name: str
    spec: str
    profile: str
    changes: dict[str, int]
    out: Path
    workers: int
    manifests: dict[str, str] = dataclasses.field(default_factory=dict)

    def scale(self, scales: dict[str, Scale]) -> Scale:
        """The profile's entry, with what the command line changes of it.

        Args:
          scales: for each profile a frozen dataclass; changes of fields it does not have are left out.
        """
        chosen: Any = scales[self.profile]
        names = {field.name for field in dataclasses.fields(chosen)}
        known = {name: value for name, value in self.changes.items() if name in names}
        changed: Scale = dataclasses.replace(chosen, **known)
        return changed

    def data(self, size: int, mode: str = "gray") -> DataSet:
        """The data set, prepared on first use."""
        data = dataset.load(self.spec, size=size, mode=mode)
        self.manifests[f"{size}x{size}, {mode}"] = data.manifest_sha256
        return data

    def run(self, jobs: Sequence[Job]) -> list[Path]:
        """Folders of the jobs' results, made if need be."""
        return run_all(jobs, self.out / "jobs", self.workers)

    def write(self, result: Result) -> Path:
        """Write the result's folder; returns it."""
        folder = self.out / self.name
        folder.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(result.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(result.rows)
        write_whole(folder / "results.csv", text.getvalue().encode())
        for name, figure in result.figures.items():
            image = io.BytesIO()
            figure.savefig(image, dpi=150, metadata={"Software": None})
            write_whole(folder / f"{name}.png", image.getvalue())
        lines = [f"| {claim.paper} | {claim.ours} |" for claim in result.claims]
        table = "\n".join(["| the paper | found |", "|---|---|", *lines])
        write_whole(folder / "claims.md", f"{table}\n".encode())
        about = {
            "experiment": self.name,
            "data": self.spec,
            "profile": self.profile,
            "changes": self.changes,
            "command": ["python", "-m", "experiments", *sys.argv[1:]],
            "manifests_sha256": self.manifests,
            "versions": versions(),
        }
        write_whole(folder / "study.json", f"{json.dumps(about, indent=1)}\n".encode())
        return folder


def front_end(data: DataSet, name: str) -> FrontEnd:
    """Input format ``name`` with thresholds from the training split."""
    return fit(name, data.sensor, data.subset("train")[0])


def training(
    name: str, graph: Graph, data: DataSet, front: FrontEnd, train: dict[str, Any], seed: int
) -> Training:
    """The job of training ``graph``; ``train`` are the values of TrainConfig that are not its defaults."""
    return Training(name, graph, front, data.path, data.manifest_sha256, train, seed)


def network(folder: Path) -> Any:
    """The saved network (:class:`models.bundle.Bundle`) in the result of a :class:`Training`."""
    from models import bundle

    return bundle.load(folder / NETWORK)


def held_out(data: DataSet) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of validation and test together.

    Fixed networks and fixed recipes select nothing on the validation split, so both splits measure
    them, with a smaller standard error.
    """
    pixels, labels = zip(data.subset("val"), data.subset("test"), strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def right(model: Any, front: FrontEnd, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which images a network classifies rightly, bool (N,).

    Args:
      model: Keras model behind ``front``.
      pixels: P of ``front.sensor``, uint16 (N, H, W).
    """
    from models.training.measure import classify, predict

    return classify(predict(model, front, pixels)) == labels
