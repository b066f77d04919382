"""A trained network on disk: everything needed to evaluate, convert and deploy it.

A bundle is a directory of two files: ``network.json`` (graph, front end, classes, data set,
training, metrics) and ``weights.npz`` (arrays in Keras' order). It is written beside its
name and changes places with an older one, so a directory of that name is whole, and a save
that was killed can be repeated.
"""

import dataclasses
import io
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loggrad_tf import arrays, files, json_base
from loggrad_tf.confusion import Confusion
from loggrad_tf.data.request import DataReference
from loggrad_tf.detect.scores import Scores
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import WEIGHTED, Graph, weight_shapes
from models.recipe import Pruning, TrainConfig

if TYPE_CHECKING:
    import keras

VERSION = 1
_REMEDY = "train it anew"
FILES = ("network.json", "weights.npz")


@dataclasses.dataclass(frozen=True)
class Description(JsonBase):
    """What network.json holds.

    Attributes:
      graph: the network, without pruned channels.
      front_end: what feeds it.
      class_names: in label order; a detector's are those of the objects it finds.
      data: where it was trained.
      train: how it was trained.
      seed: of that training.
      metrics: e.g. ``val_error``, ``test_error``; of a detector 1 - F1.
      pruning: what took channels from it while it was trained, if anything did.
      confusion: which classes it takes for which, on ``val`` and ``test``; None if nobody counted.
      threshold: of a detector, the least margin of an object, in logits; None of a classifier.
      detection: of a detector, what it finds at that threshold, on ``val`` and ``test``.
    """

    graph: Graph
    front_end: FrontEnd
    class_names: tuple[str, ...]
    data: DataReference
    train: TrainConfig
    seed: int
    metrics: dict[str, float]
    pruning: Pruning | None = None
    confusion: dict[str, Confusion] | None = None
    threshold: float | None = None
    detection: dict[str, Scores] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bundle(Description):
    """A description and its weights: arrays in the order of ``keras_net.build(graph).get_weights()``."""

    weights: tuple[np.ndarray, ...]

    def model(self) -> "keras.Model":
        """The Keras model with these weights; imports Keras, which reading a bundle does not."""
        from models import keras_net

        model = keras_net.build(self.graph)
        try:
            model.set_weights(list(self.weights))
        except ValueError:
            raise LogGradError(f"weights in another order than their network's; {_REMEDY}") from None
        return model


def check_replaceable(directory: Path) -> None:
    """Raise unless ``directory`` is missing, empty or a bundle."""
    if not directory.exists():
        return
    others = {p.name for p in directory.iterdir()} - set(FILES) if directory.is_dir() else set()
    if others and (directory / FILES[0]).is_file():
        raise LogGradError(
            f"{directory}: holds {', '.join(sorted(others))} beside its saved network: choose another name,"
            " or move that away"
        )
    if others or not directory.is_dir():
        raise LogGradError(f"{directory}: exists and is no saved network; choose another name")


def save(directory: Path, bundle: Bundle) -> None:
    """Write ``bundle`` to ``directory``, replacing an older bundle there.

    Raises:
      LogGradError: something else lies there, or the disk is full.
    """
    check_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        fields = {name: value for name, value in vars(bundle).items() if name != "weights"}
        description = {"version": VERSION, **Description(**fields).to_json()}
        named: dict[str, Any] = {f"w{i:03d}": w for i, w in enumerate(bundle.weights)}
        archive = io.BytesIO()
        np.savez(archive, **named)
        with files.writing(directory):
            (temporary / "network.json").write_text(json.dumps(description, indent=1) + "\n")
            (temporary / "weights.npz").write_bytes(archive.getvalue())
            files.sync_tree(temporary)
        temporary.chmod(0o755)
        files.replace_folder(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_weights(graph: Graph, weights: tuple[np.ndarray, ...]) -> None:
    """Are there arrays of the shapes that the graph's ops have? (Keras knows their order.)"""
    wanted: list[tuple[int, ...]] = []
    for op in graph.ops:
        wanted += weight_shapes(graph, op) if op.kind in WEIGHTED else ()
        wanted += [op.shape[-1:]] * 4 if op.bn else []
    if Counter(array.shape for array in weights) != Counter(wanted):
        raise LogGradError("weights.npz is of another network")
    if any(array.dtype != np.float32 for array in weights):
        raise LogGradError("weights.npz holds other values than float32")


def find(run: Path, flag: str) -> Path:
    """RUN/best of a search run, or RUN itself if it is a saved network.

    Raises:
      LogGradError: there is none; names ``flag``.
    """
    if not run.is_dir():
        raise LogGradError(f"--{flag}={run}: not a directory; give the one that search.evolve wrote")
    for candidate in (run / "best", run):
        if (candidate / "network.json").is_file():
            return candidate
    raise LogGradError(
        f"--{flag}={run}: no finished network there (best/network.json); finish the search with --resume"
    )


def load(directory: Path) -> Bundle:
    """Read a bundle; a missing, foreign or damaged one is an error that says so."""
    description = directory / "network.json"
    if not description.is_file():
        raise LogGradError(f"{directory}: no saved network (network.json) there; run a search first")
    data = json_base.read(description, _REMEDY)
    if not isinstance(data, dict) or data.pop("version", None) != VERSION:
        raise LogGradError(f"{description}: written by another version; {_REMEDY}")
    try:
        saved = Description.from_json(data)
    except (LogGradError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise LogGradError(f"{description}: damaged network ({error}); {_REMEDY}") from None
    try:
        weights = tuple(arrays.load_archive(directory / "weights.npz", "").values())
        _check_weights(saved.graph, weights)
    except (LogGradError, LookupError) as error:
        raise LogGradError(
            f"{directory}: damaged network (network.json or weights.npz: {error}); {_REMEDY}"
        ) from None
    return Bundle(**vars(saved), weights=weights)
