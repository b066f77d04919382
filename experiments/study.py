"""What every experiment is given, and how its result is written.

An experiment is a module of this package with a ``run(study) -> Result``; :mod:`experiments.catalogue`
lists them, ``python -m experiments --figure=NAME`` runs one. Its result is a folder:

    OUT/NAME/results.csv     every number, one line each, with its seed
    OUT/NAME/pairs.csv       differences of inputs or networks, with 95 % intervals (:mod:`experiments.ruler`)
    OUT/NAME/*.png           the figures
    OUT/NAME/claims.md       what the paper says, and what was found
    OUT/NAME/study.json      command, profile, versions, time, data sets and the hashes of their manifests
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

from experiments.jobs import NETWORK, Job, Training, run_all, taken
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.request import CLASSIFY, DETECT, Request
from loggrad_tf.data.sides import Size, dimensions, short
from loggrad_tf.data.sources import SPLITS
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from loggrad_tf.transform.frontend import FrontEnd, fit
from models.graph import Graph
from models.training.native import build
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
      pairs: of pairs.csv; all have the same keys. None where nothing was compared crop by crop.
    """

    rows: list[dict[str, Any]]
    figures: dict[str, Figure]
    claims: list[Claim]
    pairs: list[dict[str, Any]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Study:
    """What an experiment is asked for.

    Attributes:
      name: of the experiment, and of its folder.
      spec: data set: ``synthetic``, ``pascalraw:DIR`` or ``folder:DIR``.
      profile: of :data:`experiments.catalogue.PROFILES`: quick takes minutes on two cores, long is one split
        of short trainings, folds is five folds of long ones, paper has the paper's sizes, epochs and batches.
      changes: what the command line changes of the profile's scale (epochs, seeds, size).
      out: folder of all results.
      workers: processes for trainings.
      task: what the classes of its data set are of, see :class:`loggrad_tf.data.request.Request`.
      manifests: of the data sets that it has opened, SHA-256 by size and mode.
      seconds: of the processor, by folder of a job that it has asked for.
    """

    name: str
    spec: str
    profile: str
    changes: dict[str, Any]
    out: Path
    workers: int
    task: str = CLASSIFY
    manifests: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: dict[Path, float] = dataclasses.field(default_factory=dict)

    def scale(self, scales: dict[str, Scale]) -> Scale:
        """The profile's entry, with what the command line changes of it.

        Args:
          scales: for each profile a frozen dataclass; changes of fields it does not have are left out.

        Raises:
          LogGradError: no entry for the profile, or a rectangle for an experiment on squares.
        """
        if self.profile not in scales:
            others = ", ".join(scales)
            raise LogGradError(f"--profile={self.profile}: {self.name} does not have it; choose of {others}")
        chosen: Any = scales[self.profile]
        names = {field.name for field in dataclasses.fields(chosen)}
        known = {name: value for name, value in self.changes.items() if name in names}
        if isinstance(known.get("size"), tuple) and isinstance(chosen.size, int):
            raise LogGradError(f"--size={short(known['size'])}: {self.name} is of squares: give one side")
        changed: Scale = dataclasses.replace(chosen, **known)
        return changed

    def data(self, size: Size, mode: str = "gray") -> DataSet:
        """The data set, prepared on first use.

        Raises:
          LogGradError: it is asked for as whole frames with boxes.
        """
        if Request(self.spec, size, mode, task=self.task).detects:
            raise LogGradError(f"--task={self.task}: {self.name} is of classes: leave it out")
        return self._opened(size, mode, self.task)

    def frames(self, size: Size, mode: str = "gray") -> DataSet:
        """Whole frames with boxes, prepared on first use."""
        asked = Request(self.spec, size, mode, task=self.task).detects
        return self._opened(size, mode, self.task if asked else DETECT)

    def _opened(self, size: Size, mode: str, task: str) -> DataSet:
        data = dataset.load(self.spec, size=size, mode=mode, task=task)
        self.manifests[f"{dimensions(size)}, {mode}"] = data.manifest_sha256
        return data

    def run(self, jobs: Sequence[Job]) -> list[Path]:
        """Folders of the jobs' results, made if need be."""
        folders = run_all(jobs, self.out / "jobs", self.workers)
        self.seconds.update((folder, taken(folder)) for folder in folders)
        return folders

    def write(self, result: Result) -> Path:
        """Write the result's folder; returns it."""
        folder = self.out / self.name
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "results.csv", _table(result.rows))
        if result.pairs:
            write_whole(folder / "pairs.csv", _table(result.pairs))
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
            "cpu_minutes": round(sum(self.seconds.values()) / 60, 1),
            "processor": build.processor(),
            "versions": versions(),
        }
        write_whole(folder / "study.json", f"{json.dumps(about, indent=1)}\n".encode())
        return folder


def _table(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


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
    """Pixels and labels of validation and test together; a fold has no test split.

    Fixed networks and fixed recipes select nothing on the validation split, so both splits measure
    them, with a smaller standard error.
    """
    there = [name for name in SPLITS[1:] if (data.split == SPLITS.index(name)).any()]
    pixels, labels = zip(*map(data.subset, there), strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def right(model: Any, front: FrontEnd, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which images a network classifies rightly, bool (N,).

    Args:
      model: Keras model behind ``front``.
      pixels: P of ``front.sensor``, uint16 (N, H, W).
    """
    from models.training.measure import classify, predict

    return classify(predict(model, front, pixels)) == labels
