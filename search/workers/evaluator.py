"""What a worker does with a candidate: train it, keep its weights, report its errors.

This module is light; TensorFlow is imported inside :func:`open_evaluator`, in the worker, on
one thread and with deterministic operations, and not at all if candidates are trained natively. The same task
gives the same outcome in any worker, whatever it trained before.
"""

import dataclasses
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from loggrad_tf import arrays
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sides import sides
from loggrad_tf.detect.grid import IGNORED, Grid, targets
from loggrad_tf.transform.frontend import FrontEnd
from models import progress
from models.graph import WEIGHTED, Graph
from models.recipe import NATIVE, OBJECT_WEIGHT, Pruning, TrainConfig
from models.training import fit
from models.training.native import library
from models.training.reproducible import start_tensorflow
from search.record.history import Outcome
from search.record.journal import write_synced
from search.space.cells import STRIDE


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """What all candidates of a search share.

    Attributes:
      data: the prepared data set's directory. Workers read it as it is; that it is the right one, and
        prepared at all, is the parent's to see to.
      front_end: between its pixels and the network.
      train: how a candidate is trained.
      weights: directory for the candidates' weights.
      rungs: epochs after which a training ends that has learned nothing: its mean loss is still that of
        answering how frequent the classes are.
      label: what a line of progress calls each training, before its index; empty shows none.
    """

    data: Path
    front_end: FrontEnd
    train: TrainConfig
    weights: Path
    rungs: tuple[int, ...] = ()
    label: str = ""


@dataclasses.dataclass(frozen=True)
class Task:
    """One candidate.

    Attributes:
      index: its place in the history.
      graph: the network to train.
      seed: of its training.
      pruning: what becomes of its channels; None: all stay.
      limits: epoch -> sum of the training losses so far, above which training ends.
      name: what a line of progress calls it; empty: the label of all and its index.
    """

    index: int
    graph: Graph
    seed: int
    pruning: Pruning | None = None
    limits: tuple[tuple[int, float], ...] = ()
    name: str = ""


# Seconds after which an epoch hangs for sure.
EPOCH_LIMIT = 600.0
# A loss below this share of the classes' entropy has learned something.
LEARNED = 0.99


def entropy(labels: np.ndarray) -> float:
    """Nats: the mean loss of always answering with the frequencies of the classes."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def cell_entropy(data: DataSet) -> float:
    """Of a set with boxes, nats: the mean loss of always answering how frequent the classes of cells are.

    Those with an object count as they do in the loss.
    """
    rows, columns = (-(-side // STRIDE) for side in sides(data.size))
    frames = len(data.labels_of("train"))
    asked = targets(data.boxes_of("train"), frames, Grid.over(data.size, rows, columns))
    counts = np.unique(asked[asked != IGNORED], return_counts=True)[1] * 1.0
    counts[1:] *= OBJECT_WEIGHT
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def weights_path(directory: Path, index: int) -> Path:
    return directory / f"{index:05d}.npz"


def save_weights(path: Path, weights: tuple[np.ndarray, ...]) -> None:
    """Arrays in Keras' order; on the disk, whole, when this returns."""
    file = io.BytesIO()
    named: dict[str, Any] = {f"w{i:03d}": w for i, w in enumerate(weights)}
    np.savez(file, **named)
    write_synced(path, file.getvalue())


def load_weights(path: Path) -> tuple[np.ndarray, ...]:
    return tuple(arrays.load_archive(path, "restore it from a copy").values())


def open_evaluator(spec: TrainingSpec) -> Callable[[Task], Outcome]:
    """Set up a worker: data set mapped from disk, TensorFlow or the native training step ready."""
    forget = _prepare(spec.train)
    data = dataset.open_prepared(spec.data)
    chance = cell_entropy(data) if data.detects else entropy(data.labels_of("train"))

    def evaluate(task: Task) -> Outcome:
        forget()
        name = task.name or f"{spec.label} {task.index}"
        show = progress.of_epochs(name, spec.train.epochs, data.detects) if spec.label else None
        limits = dict(task.limits)
        areas = [0.0]

        def hopeless(epoch: int, area: float) -> bool:
            areas.append(area)
            learned_nothing = epoch + 1 in spec.rungs and area - areas[-2] > LEARNED * chance
            return learned_nothing or area > limits.get(epoch + 1, math.inf)

        result = fit.train(
            task.graph, data, spec.front_end, spec.train, task.seed, show, task.pruning, hopeless
        )
        save_weights(weights_path(spec.weights, task.index), result.weights)
        before = {op.name: op.shape[-1] for op in task.graph.ops}
        return Outcome(
            result.val_error,
            result.train_error,
            val_loss=round(result.val_loss, 6) if math.isfinite(result.val_loss) else None,
            stopped=result.stopped,
            threshold=result.threshold,
            # A network that diverged ends with a loss that is no number, which the journal cannot hold.
            curve=tuple(
                (round(e["loss"], 4), round(e["error"], 4))
                for e in result.history
                if math.isfinite(e["loss"])
            ),
            widths=tuple(
                (op.name, op.shape[-1])
                for op in result.graph.ops
                if op.kind in WEIGHTED and op.shape[-1] != before[op.name]
            ),
        )

    return evaluate


def _prepare(config: TrainConfig) -> Callable[[], object]:
    """Make ready what trains; returns what forgets all that was trained."""
    if config.trainer == NATIVE:
        library.load()
        return lambda: None
    start_tensorflow()
    import keras

    return keras.backend.clear_session
