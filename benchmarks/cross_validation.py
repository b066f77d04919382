"""Networks trained alike on all folds of photographs but one, and scored on that one.

A training is known by what decides its result: the network, the input format, the sets, the crops that are
held out, the recipe and the seed. Its result is one file of a folder, so an interrupted command goes on where
it was, and a network that is compared with others later is not trained again. The thresholds of an input
format are fitted to the training crops of each fold.

Several sets are one: crops of one photograph, by the name of their group, are in one fold wherever they come
from. Sets of other classes, another size or another mode are refused, and so is one set given twice.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loggrad_tf import files, json_base
from loggrad_tf.data import dataset, folds
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sides import short
from loggrad_tf.data.sources import SPLITS
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models.graph import Graph
from models.recipe import TrainConfig
from search.record.history import Outcome
from search.record.versions import versions
from search.run.progress import left
from search.workers.evaluator import EPOCH_LIMIT, start_tensorflow
from search.workers.pool import Pool

# The split of the crops that a training does not see, by the name that training gives it.
HELD_OUT = "val"
_REMEDY = "delete it, and the training is done again"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What all trainings share.

    Attributes:
      sets: folders of the prepared sets.
      folds: how many.
      format: of the input.
      train: the recipe.
      out: folder of the results.
    """

    sets: tuple[Path, ...]
    folds: int
    format: str
    train: TrainConfig
    out: Path


@dataclasses.dataclass(frozen=True)
class Training:
    """One network on all folds but ``fold``; ``name`` is for people, and no part of what it is."""

    name: str
    graph: Graph
    fold: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Score(JsonBase):
    """What a file of the folder of results holds.

    Attributes:
      training: all that it depends on.
      right: whether each held-out crop was classified rightly, in the order of the crops.
      losses: cross-entropy of each in nats; none if the training diverged, which is wrong everywhere.
      versions: of what computed it.
    """

    training: dict[str, Any]
    right: tuple[bool, ...]
    losses: tuple[float, ...]
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Crops:
    """All crops of one or several sets.

    Attributes:
      data: them, as one set whose splits mean nothing.
      groups: the photograph of each.
      folds: the fold of each, int64 (N,).
      manifests: of the sets, SHA-256.
    """

    data: DataSet
    groups: tuple[str, ...]
    folds: np.ndarray
    manifests: tuple[str, ...]

    def without(self, fold: int) -> DataSet:
        """The set whose training split are all folds but one, which is split :data:`HELD_OUT`."""
        split = np.where(self.folds == fold, SPLITS.index(HELD_OUT), SPLITS.index("train"))
        return dataclasses.replace(self.data, split=split.astype(np.uint8))


def crops(sets: Sequence[DataSet], count: int) -> Crops:
    """Crops of all sets, brought to the depth of the first one, dealt to ``count`` folds.

    Raises:
      LogGradError: sets that do not go together, or a class in too few photographs.
    """
    first = sets[0]
    for other in sets[1:]:
        mine, its = _form(first), _form(other)
        if mine != its:
            raise LogGradError(f"{other.spec}: {its}, and {first.spec}: {mine}: give sets of one kind")
    manifests = tuple(one.manifest_sha256 for one in sets)
    if len(set(manifests)) < len(sets):
        raise LogGradError(
            f"{', '.join(one.spec for one in sets)}: two of them are the same set: give it once"
        )
    data = first
    if len(sets) > 1:
        pixels = [requantize(np.asarray(one.pixels), one.sensor, first.sensor) for one in sets]
        labels = np.concatenate([one.labels for one in sets])
        data = dataclasses.replace(first, pixels=np.concatenate(pixels), labels=labels)
    groups = tuple(name for one in sets for name in one.groups())
    return Crops(data, groups, folds.deal(groups, data.labels, count), manifests)


def _form(data: DataSet) -> str:
    return f"size {short(data.size)}, mode {data.mode}, classes {', '.join(data.class_names)}"


def identity(protocol: Protocol, among: Crops, training: Training) -> dict[str, Any]:
    """All that the result of a training depends on, as JSON."""
    held_out = np.packbits(among.folds == training.fold).tobytes()
    return {
        "graph": training.graph.to_json(),
        "format": protocol.format,
        "manifests_sha256": list(among.manifests),
        "held_out_sha256": hashlib.sha256(held_out).hexdigest(),
        "train": protocol.train.to_json(),
        "seed": training.seed,
    }


def place(protocol: Protocol, among: Crops, training: Training) -> Path:
    """The file of a training's result."""
    text = json.dumps(identity(protocol, among, training), sort_keys=True)
    return protocol.out / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def open_trainer(protocol: Protocol) -> Callable[[Training], Outcome]:
    """Set up a worker: sets opened, crops dealt, TensorFlow ready. It writes down how its trainings score."""
    start_tensorflow()
    import keras

    from models import keras_net
    from models.training import fit, measure

    among = crops([dataset.open_prepared(path) for path in protocol.sets], protocol.folds)

    @functools.lru_cache(maxsize=protocol.folds)
    def front_end(fold: int) -> FrontEnd:
        pixels, _ = among.without(fold).subset("train")
        return frontend.fit(protocol.format, among.data.sensor, pixels)

    def train(training: Training) -> Outcome:
        keras.backend.clear_session()
        data, front = among.without(training.fold), front_end(training.fold)
        result = fit.train(training.graph, data, front, protocol.train, training.seed)
        model = keras_net.build(training.graph)
        model.set_weights(list(result.weights))
        logits = measure.logits(model, data, front, HELD_OUT).astype(np.float64)
        labels = data.labels_of(HELD_OUT)
        right, losses = np.zeros(len(labels), bool), np.zeros(0)
        if np.isfinite(logits).all():
            right = measure.classify(logits) == labels
            losses = measure.cross_entropies(logits, labels)
        score = Score(
            identity(protocol, among, training),
            tuple(bool(one) for one in right),
            tuple(round(float(one), 6) for one in losses),
            versions(),
        )
        text = json.dumps(score.to_json()) + "\n"
        files.write_whole(place(protocol, among, training), text.encode())
        return Outcome(result.val_error, result.train_error)

    return train


def run(
    protocol: Protocol, among: Crops, trainings: Sequence[Training], workers: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Right and wrong, bool (n,), and losses, float64 (n,), on the held-out crops of each training.

    What is not there yet is trained, so many at a time.

    Raises:
      LogGradError: a training failed, or a result is damaged. What was finished is kept.
    """
    places = [place(protocol, among, one) for one in trainings]
    wanted = {path: i for i, path in reversed(list(enumerate(places)))}
    missing = sorted(i for path, i in wanted.items() if not path.is_file())
    if len(missing) < len(wanted):
        print(f"{len(wanted) - len(missing)} of {len(wanted)} trainings are there already", flush=True)
    if missing:
        protocol.out.mkdir(parents=True, exist_ok=True)
        _train(protocol, trainings, missing, workers)
    scores = [
        _read(path, int((among.folds == one.fold).sum())) for path, one in zip(places, trainings, strict=True)
    ]
    programs = {score.versions.get("program") for score in scores}
    if len(programs) > 1:
        print(
            f"warning: {protocol.out}: trainings of {len(programs)} versions of this program: name another"
            " --out to train all of them alike",
            file=sys.stderr,
        )
    infinite = [np.full(len(score.right), np.inf) for score in scores]
    return [
        (np.array(score.right, bool), np.array(score.losses) if score.losses else none)
        for score, none in zip(scores, infinite, strict=True)
    ]


def _train(protocol: Protocol, trainings: Sequence[Training], missing: list[int], workers: int) -> None:
    waiting, done, begin = list(missing), 0, time.monotonic()
    limit = EPOCH_LIMIT * protocol.train.epochs
    with Pool(min(workers, len(missing)), open_trainer, protocol, limit) as pool:
        while done < len(missing):
            while waiting and pool.idle:
                index = waiting.pop(0)
                pool.submit(index, trainings[index])
            for finished in pool.wait():
                one, error = trainings[finished.index], finished.outcome.val_error
                title = f"{one.name}, fold {one.fold + 1} of {protocol.folds}, seed {one.seed}"
                if error is None:
                    raise LogGradError(f"{title}: {finished.outcome.failure}")
                done += 1
                seconds = (time.monotonic() - begin) / done * (len(missing) - done)
                print(f"[{done}/{len(missing)}] {title}: {1 - error:.1%} right | {left(seconds)}", flush=True)


def _read(path: Path, count: int) -> Score:
    score = json_base.read_as(Score, path, _REMEDY)
    if len(score.right) != count or len(score.losses) not in (0, count):
        raise LogGradError(f"{path}: damaged (not {count} crops): {_REMEDY}")
    return score


def report(
    among: Crops,
    trainings: Sequence[Training],
    results: Sequence[tuple[np.ndarray, np.ndarray]],
    costs: dict[str, str],
) -> list[str]:
    """A line for each network, and one for each pair of them.

    Args:
      results: of :func:`run`, beside ``trainings``.
      costs: of each network, in words; the networks are reported in this order.
    """
    right = {name: 100 * _table(among, trainings, [one for one, _ in results], name) for name in costs}
    losses = {name: _table(among, trainings, [one for _, one in results], name) for name in costs}

    def found(scores: np.ndarray, less: np.ndarray | float = 0.0) -> folds.Estimate | None:
        """None if a training diverged."""
        if not (np.isfinite(scores).all() and np.isfinite(less).all()):
            return None
        return folds.estimate(scores - less, among.groups, among.folds)

    alone = [
        f"{name}: {_error(found(right[name]), '.2f')} % right, loss {_error(found(losses[name]), '.4f')} nats"
        f"\n    {text}"
        for name, text in costs.items()
    ]
    pairs = [
        f"{one} less {other}: {_interval(found(right[one], right[other]), '+.2f')} points,"
        f" loss {_interval(found(losses[one], losses[other]), '+.4f')}"
        for one, other in itertools.combinations(costs, 2)
    ]
    return alone + pairs


def _error(found: folds.Estimate | None, form: str) -> str:
    if found is None:
        return "infinite"
    return f"{found.mean:{form}} (standard error {found.standard_error:{form}})"


def _interval(found: folds.Estimate | None, form: str) -> str:
    if found is None:
        return "infinite"
    low, high = found.interval
    return f"{found.mean:{form}} ({low:{form}} to {high:{form}})"


def _table(
    among: Crops, trainings: Sequence[Training], values: Sequence[np.ndarray], name: str
) -> np.ndarray:
    """The scores of one network on every crop, float64 (seeds, N); ``values`` lie beside ``trainings``."""
    seeds = sorted({one.seed for one in trainings})
    table = np.full((len(seeds), len(among.folds)), np.nan)
    for one, scores in zip(trainings, values, strict=True):
        if one.name == name:
            table[seeds.index(one.seed), among.folds == one.fold] = scores
    return table
