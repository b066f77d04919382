"""A trained network on disk: everything needed to evaluate, convert and deploy it.

A bundle is a directory of two files: ``network.json`` (graph, front end, classes, data set,
training, metrics) and ``weights.npz`` (arrays in Keras' order). It is written beside its
name and renamed, an older one having been renamed away, so a directory of that name is
whole or missing, and a save that was killed can be repeated.
"""

import dataclasses
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import from_fields
from models import keras_net
from models.graph import Graph
from models.pruning.channels import Pruning
from models.training.fit import TrainConfig

VERSION = 1
FILES = ("network.json", "weights.npz")


@dataclasses.dataclass(frozen=True)
class DataReference:
    """Which data set a network was trained on.

    Attributes:
      spec: ``synthetic``, ``pascalraw:DIR`` or ``folder:DIR``.
      size: side of the crops in pixels.
      mode: ``gray`` or ``mosaic``.
      manifest_sha256: hash of the prepared set's manifest.
    """

    spec: str
    size: int
    mode: str
    manifest_sha256: str


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Attributes:
    graph: the network, without pruned channels.
    front_end: what feeds it.
    class_names: in label order.
    weights: arrays in the order of ``keras_net.build(graph).get_weights()``.
    data: where it was trained.
    train: how it was trained.
    seed: of that training.
    metrics: e.g. ``val_error``, ``test_error``.
    pruning: what took channels from it while it was trained, if anything did.
    """

    graph: Graph
    front_end: FrontEnd
    class_names: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    data: DataReference
    train: TrainConfig
    seed: int
    metrics: dict[str, float]
    pruning: Pruning | None = None

    def model(self) -> keras.Model:
        """The Keras model with these weights."""
        model = keras_net.build(self.graph)
        model.set_weights(list(self.weights))
        return model


def check_replaceable(directory: Path) -> None:
    """Raise unless ``directory`` is missing, empty or a bundle."""
    if not directory.exists():
        return
    if not directory.is_dir() or not {p.name for p in directory.iterdir()} <= set(FILES):
        raise LogGradError(f"{directory}: exists and is no saved network; choose another name")


def save(directory: Path, bundle: Bundle) -> None:
    """Write ``bundle`` to ``directory``, replacing an older bundle there."""
    check_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    old = temporary.with_name(temporary.name + "-old")
    try:
        description = {
            "version": VERSION,
            "graph": bundle.graph.to_json(),
            "front_end": bundle.front_end.to_json(),
            "class_names": list(bundle.class_names),
            "data": dataclasses.asdict(bundle.data),
            "train": bundle.train.to_json(),
            "seed": bundle.seed,
            "metrics": bundle.metrics,
            "pruning": bundle.pruning.to_json() if bundle.pruning else None,
        }
        (temporary / "network.json").write_text(json.dumps(description, indent=1) + "\n")
        arrays: dict[str, Any] = {f"w{i:03d}": w for i, w in enumerate(bundle.weights)}
        np.savez(temporary / "weights.npz", **arrays)
        temporary.chmod(0o755)
        if directory.exists():
            os.rename(directory, old)
        os.rename(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def load(directory: Path) -> Bundle:
    """Read a bundle; a missing, foreign or damaged one is an error that says so."""
    description = directory / "network.json"
    if not description.is_file():
        raise LogGradError(f"{directory}: no saved network (network.json) there; run a search first")
    try:
        data = json.loads(description.read_text())
        if data.pop("version") != VERSION:
            raise LogGradError(f"{description}: written by another version; train it anew")
        with np.load(directory / "weights.npz") as archive:
            weights = tuple(archive[name] for name in sorted(archive.files))
        data["graph"] = Graph.from_json(data["graph"])
        data["front_end"] = FrontEnd.from_json(data["front_end"])
        data["class_names"] = tuple(data["class_names"])
        data["data"] = from_fields(DataReference, data["data"])
        data["train"] = TrainConfig.from_json(data["train"])
        pruning = data.get("pruning")
        data["pruning"] = Pruning.from_json(pruning) if pruning else None
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise LogGradError(f"{directory}: damaged network ({error}); train it anew") from None
    return from_fields(Bundle, {**data, "weights": weights})
