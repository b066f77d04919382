"""What a worker does with a candidate: train it, keep its weights, report its errors.

This module is light; TensorFlow is imported inside :func:`open_evaluator`, in the worker, on
one thread and with deterministic operations. The same task gives the same outcome in any
worker, whatever it trained before.
"""

import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from loggrad_tf import dataset, quiet
from loggrad_tf.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.frontend import FrontEnd
from models.graph import Graph
from search.evolution import Outcome
from search.workers import THREADS


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """What all candidates of a search share.

    Attributes:
      data, size, mode: the data set, as :func:`loggrad_tf.dataset.load` takes them.
      manifest_sha256: of that data set when the search began.
      front_end: between its pixels and the network.
      train: JSON form of :class:`models.training.TrainConfig`.
      weights: directory for the candidates' weights.
    """

    data: str
    size: int
    mode: str
    manifest_sha256: str
    front_end: FrontEnd
    train: dict[str, Any]
    weights: Path


@dataclasses.dataclass(frozen=True)
class Task:
    """One candidate: its index, its network and the seed of its training."""

    index: int
    graph: Graph
    seed: int


def weights_path(directory: Path, index: int) -> Path:
    return directory / f"{index:05d}.npz"


def save_weights(path: Path, weights: tuple[np.ndarray, ...]) -> None:
    """Arrays in Keras' order; written beside ``path``, then renamed."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        arrays: dict[str, Any] = {f"w{i:03d}": w for i, w in enumerate(weights)}
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_weights(path: Path) -> tuple[np.ndarray, ...]:
    with np.load(path) as archive:
        return tuple(archive[name] for name in sorted(archive.files))


def start_tensorflow() -> None:
    """Import TensorFlow for reproducible work: one thread, deterministic operations."""
    quiet.import_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.config.experimental.enable_op_determinism()


def open_data(spec: TrainingSpec) -> DataSet:
    """The data set of the search.

    Raises:
      LogGradError: it is not the one that the search began with.
    """
    data = dataset.load(spec.data, size=spec.size, mode=spec.mode)
    if data.manifest_sha256 != spec.manifest_sha256:
        raise LogGradError(
            f"data set {spec.data} has changed since the search began (manifest {data.manifest_sha256[:12]},"
            f" was {spec.manifest_sha256[:12]}): restore it, or start a new search"
        )
    return data


def open_evaluator(spec: TrainingSpec) -> Callable[[Task], Outcome]:
    """Set up a worker: data set mapped from disk, TensorFlow ready."""
    start_tensorflow()
    import keras

    from models import training

    data = open_data(spec)
    config = training.TrainConfig.from_json(spec.train)

    def evaluate(task: Task) -> Outcome:
        keras.backend.clear_session()
        result = training.train(task.graph, data, spec.front_end, config, task.seed)
        errors = (result.val_error, result.train_error)
        if not all(math.isfinite(error) for error in errors):
            return Outcome(None, None, f"training gave errors {errors}")
        save_weights(weights_path(spec.weights, task.index), result.weights)
        return Outcome(*errors)

    return evaluate
