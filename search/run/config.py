"""What a search is: every flag, resolved, plus all that its history depends on."""

import dataclasses
from pathlib import Path
from typing import Any

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.request import CLASSIFY, FITS, Request
from loggrad_tf.data.sides import Size, sides
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.frontend import FrontEnd, fit
from loggrad_tf.transform.sensor import Sensor
from search.cost.costs import Target
from search.cost.objectives import Bounds
from search.strategy.method import Method
from search.strategy.proposal import Settings
from search.workers.evaluator import TrainingSpec

# Of a method, what may change when a search goes on: no candidate depends on it.
EXTENSIBLE = ("rounds", "finalists", "final_seeds", "final")
# Costs are counted for a Cortex-M4 unless a board is named.
BOARD = "mps2-an386"


@dataclasses.dataclass(frozen=True)
class Config(JsonBase):
    """A search, self-contained; ``config.json`` of its directory.

    Attributes:
      profile: where the values of flags that were not given come from.
      data, task, input, mode, bits, size, fit: what the networks see (bits 0: the data set's own depth). A
        folder in ``data`` is absolute, see :func:`absolute_data`.
      seed, workers, bounds: see :class:`search.strategy.proposal.Settings`.
      board: that costs are counted for, a folder of firmware/boards; one of the user's is its absolute path.
      method: how candidates are drawn and trained.
      front_end: fitted, thresholds included.
      class_names: of the data set.
      manifest_sha256: of the data set.
      onednn: the flag TF_ENABLE_ONEDNN_OPTS that all training ran under.
      threads: TensorFlow threads per worker.
      versions: of what computes; a different one may round differently.
      budget: seconds to divide (:mod:`search.run.schedule`); None: the method says how many of everything.
      cell_entropy: see :class:`search.strategy.proposal.Settings`.
    """

    profile: str
    data: str
    input: str
    mode: str
    bits: int
    size: Size
    seed: int
    workers: int
    bounds: Bounds
    board: str
    method: Method
    front_end: FrontEnd
    class_names: tuple[str, ...]
    manifest_sha256: str
    onednn: str
    threads: int
    versions: dict[str, str]
    fit: str = FITS[0]
    budget: float | None = None
    task: str = CLASSIFY
    cell_entropy: float | None = None

    @property
    def request(self) -> Request:
        """The data set, as it is opened again."""
        return Request(self.data, self.size, self.mode, self.fit, self.task)

    @property
    def detects(self) -> bool:
        """Whether it searches detectors; their error is 1 - F1."""
        return self.request.detects

    def history(self) -> dict[str, Any]:
        """JSON form without what may change when the search goes on."""
        found = self.to_json()
        for name in EXTENSIBLE:
            del found["method"][name]
        del found["budget"]
        if self.fit == FITS[0]:
            del found["fit"]  # as in the runs from before there was a choice
        if self.task == CLASSIFY:
            del found["task"]
        if self.cell_entropy is None:
            del found["cell_entropy"]
        return found

    def settings(self) -> Settings:
        return Settings(
            target=Target(self.front_end, self.board),
            method=self.method,
            bounds=self.bounds,
            input_shape=(*sides(self.size), 1),
            classes=len(self.class_names),
            workers=self.workers,
            seed=self.seed,
            cell_entropy=self.cell_entropy,
        )

    def training(self, data: Path, weights: Path) -> TrainingSpec:
        """What its workers need, with the directories of the prepared data set and of the weights."""
        return TrainingSpec(data, self.front_end, self.method.train, weights, self.method.rungs)


def absolute_data(spec: str) -> str:
    """``folder:DIR`` and ``pascalraw:DIR`` with an absolute DIR, so that they hold from anywhere."""
    kind, _, where = spec.partition(":")
    named = where and kind != "synthetic"
    return f"{kind}:{Path(where).expanduser().resolve()}" if named else spec


def target_sensor(data: DataSet, bits: int) -> Sensor:
    """The sensor the networks are trained for: the data set's, or a full-range one of ``bits``."""
    return Sensor(bits, 0, 2**bits - 1, data.sensor.cfa) if bits else data.sensor


def fit_front_end(data: DataSet, name: str, bits: int) -> FrontEnd:
    """Front end ``name`` with thresholds from the training split at the target depth."""
    sensor = target_sensor(data, bits)
    return fit(name, sensor, data.subset("train")[0], data.sensor, data.noise)


def differences(stored: dict[str, Any], given: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ, each with both values."""
    found = []
    for key in sorted(set(stored) | set(given)):
        old, new = stored.get(key), given.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key} was {old}, now {new}")
    return found
