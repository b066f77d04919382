"""What networks are measured with: a set's own held-out photographs, or all of them by folds.

With folds each crop is classified by networks that were trained without its photograph: a fold is a prepared
set whose training split are the other folds, and whose validation split it is. Two networks, or two inputs,
are compared crop by crop (:mod:`loggrad_tf.data.folds`): what both find hard falls out of the difference.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from experiments import sets
from experiments.jobs import Training, open_data
from experiments.study import Study, front_end, held_out, held_splits, network, training
from loggrad_tf.data import folds
from loggrad_tf.data.dataset import DataSet, open_prepared
from loggrad_tf.data.sources import SPLITS
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import Graph
from models.recipe import NATIVE
from models.training import native_fit

Name = TypeVar("Name")

_TRAIN, _VAL = SPLITS.index("train"), SPLITS.index("val")


@dataclasses.dataclass(frozen=True)
class Fold:
    """The job of making the set that leaves one fold out; its result is a prepared set.

    Attributes:
      data: the prepared source.
      manifest_sha256: of the source.
      number: of the fold, from 0.
      count: of the folds.
    """

    data: Path
    manifest_sha256: str
    number: int
    count: int

    @property
    def title(self) -> str:
        return f"photographs without fold {self.number + 1} of {self.count}"

    def to_json(self) -> dict[str, Any]:
        return {"fold": self.number, "of": self.count, "manifest_sha256": self.manifest_sha256}

    def run(self, directory: Path) -> str:
        data = open_data(self.data)
        mine = folds.deal(data.groups(), data.labels, self.count) == self.number
        split = np.where(mine, _VAL, _TRAIN).astype(np.uint8)
        sets.write(directory / sets.SET, data, np.arange(len(mine)), split)
        return f"{mine.sum()} of {len(mine)} crops held out"


@dataclasses.dataclass(frozen=True)
class Ruler:
    """Where networks are trained, and the crops that they are measured on.

    Attributes:
      parts: data sets; each network is trained once on each.
      groups: the photograph of each held-out crop, part by part.
      parted: the part of each, int64 (N,).
    """

    parts: tuple[DataSet, ...]
    groups: tuple[str, ...]
    parted: np.ndarray

    def trainings(
        self, name: str, graph: Graph, fronts: Sequence[FrontEnd], recipe: dict[str, Any], seeds: int
    ) -> list[Training]:
        """Of one network behind one input, seed by seed, part by part.

        Args:
          fronts: one a part.
          recipe: values of TrainConfig that are not its defaults.
        """
        return [
            training(name, graph, part, front, recipe, seed)
            for seed in range(seeds)
            for part, front in zip(self.parts, fronts, strict=True)
        ]

    @property
    def labels(self) -> np.ndarray:
        """Of all held-out crops, part by part."""
        return np.concatenate([held_out(part)[1] for part in self.parts])

    def logits(
        self, folders: Sequence[Path], seen: Callable[[FrontEnd], FrontEnd] = lambda front: front
    ) -> np.ndarray:
        """What the networks of :meth:`trainings` answer, float32 (seeds, units, N).

        Args:
          folders: of their results.
          seen: the front end that a network is shown the crops through, of the one it was trained behind.
        """
        from models.training.measure import predict

        found = []
        for place, folder in enumerate(folders):
            part, saved = self.parts[place % len(self.parts)], network(folder)
            front = seen(saved.front_end)
            if saved.train.trainer == NATIVE:  # a Keras model takes longer to build than to ask
                each = [
                    native_fit.logits(saved.graph, saved.weights, part, front, split)
                    for split in held_splits(part)
                ]
                found.append(np.concatenate(each).T)
            else:
                found.append(predict(saved.model(), front, held_out(part)[0]).T)
        return self.joined(found)

    def right(self, logits: np.ndarray) -> np.ndarray:
        """Whether answers of :meth:`logits`, or sums of them, are right, bool (seeds, N)."""
        from models.training.measure import classify

        return np.stack([classify(seed.T) for seed in logits]) == self.labels

    def joined(self, found: Sequence[np.ndarray]) -> np.ndarray:
        """What was found seed by seed, part by part, (..., crops), as (seeds, ..., N)."""
        each = len(self.parts)
        return np.stack([np.concatenate(found[k : k + each], axis=-1) for k in range(0, len(found), each)])

    def fronts(self, name: str) -> list[FrontEnd]:
        """Input format ``name`` with the thresholds of each part's own training split."""
        return [front_end(part, name) for part in self.parts]

    def thinned(self, images: int) -> "Ruler":
        """The same with :func:`spread` of so many held-out crops of each part."""
        chosen = list[int]()
        for part in np.unique(self.parted):
            mine = np.flatnonzero(self.parted == part)
            chosen += mine[spread(len(mine), images)].tolist()
        return Ruler(self.parts, tuple(self.groups[k] for k in chosen), self.parted[chosen])

    def pairs(self, what: str, scores: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """Rows of pairs.csv: how many points each has more than each further one, crop by crop.

        Args:
          what: the scores are of.
          scores: by input or network, (seeds, N); True or 1 is a point per crop.

        Returns:
          nothing for a single seed, which does not show how much trainings differ.
        """
        return [
            self._pair(what, one, other, 100.0 * (scores[one].astype(np.float64) - scores[other]))
            for one, other in itertools.combinations(scores, 2)
            if len(scores[one]) > 1
        ]

    def _pair(self, what: str, one: str, other: str, points: np.ndarray) -> dict[str, Any]:
        found = folds.estimate(points, self.groups, self.parted)
        low, high = found.interval
        return {
            "measure": what,
            "one": one,
            "other": other,
            "points": round(found.mean, 2),
            "low": round(low, 2),
            "high": round(high, 2),
        }


def spread(count: int, wanted: int) -> np.ndarray:
    """Places of ``wanted`` of ``count`` things, evenly spread, or of all, int64."""
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(int)


def told(pairs: Sequence[dict[str, Any]], names: dict[str, str]) -> str:
    """Pairs in words: ``A over B +1.20 points (0.30 to 2.10)``."""
    return "; ".join(
        f"{names.get(p['one'], p['one'])} over {names.get(p['other'], p['other'])} {p['points']:+.1f} points"
        f" ({p['low']:+.1f} to {p['high']:+.1f})"
        for p in pairs
    )


def ruler(study: Study, data: DataSet, count: int) -> Ruler:
    """The held-out splits of ``data`` for a ``count`` of 1, else all its crops by so many folds."""
    return rulers(study, {"": data}, count)[""]


def rulers(study: Study, data: dict[Name, DataSet], count: int) -> dict[Name, Ruler]:
    """:func:`ruler` of several sets; their folds are made together."""
    parts: dict[Name, tuple[DataSet, ...]] = {name: (one,) for name, one in data.items()}
    if count > 1:
        jobs = [Fold(one.path, one.manifest_sha256, k, count) for one in data.values() for k in range(count)]
        made = (open_prepared(folder / sets.SET) for folder in study.run(jobs))
        parts = {name: tuple(itertools.islice(made, count)) for name in data}
    return {name: _of(of) for name, of in parts.items()}


def _of(parts: tuple[DataSet, ...]) -> Ruler:
    groups, parted = list[str](), list[int]()
    for number, part in enumerate(parts):
        names = np.array(part.groups())
        held = np.concatenate([names[part.split == SPLITS.index(name)] for name in held_splits(part)])
        groups += held.tolist()
        parted += [number] * len(held)
    return Ruler(parts, tuple(groups), np.array(parted, np.int64))
