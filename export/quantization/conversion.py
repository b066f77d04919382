"""A trained network -> int8 flatbuffer and its description: of a saved network, or of a Keras model.

From a notebook, behind a layer of levels::

    data = dataset.load("folder:photos", size=96)
    model = keras.Sequential([keras.Input((96, 96, 1)), GradientQuantizer((5500,)), ...])
    model.fit(...)
    write(Path("out"), convert_keras(model, data))

Both go through the same graph, the same calibration and the same converter, so a board computes a Keras model
as exactly as one of the search. With ``Settings(epochs=...)`` the network is fine-tuned as int8 computes it
(:mod:`export.quantization.qat`, or :mod:`export.quantization.tfmot`). If it then does worse on validation
than the network that this began with, the latter is kept; if as well, the trained one is, being what was
asked for.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from export.quantization import accuracy, qat, tfmot
from export.quantization.settings import OURS, Settings
from export.tflite.interpreter import ReferenceInterpreter
from loggrad_tf import files
from loggrad_tf.confusion import Confusion
from loggrad_tf.data.cells import Cells
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.description import VERSION
from loggrad_tf.data.sides import dimensions
from loggrad_tf.detect.scores import Scores, best_threshold
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models import keras_net, progress
from models.bundle import Bundle
from models.from_keras.network import Network, read
from models.graph import Graph
from models.recipe import TFMOT, TrainConfig
from models.training import detection
from models.training.measure import evaluate, logits

PACKAGES = ("tensorflow", "keras", "numpy", "ai-edge-litert")
_DEFAULT = Settings()


@dataclasses.dataclass(frozen=True)
class Converted:
    """A flatbuffer and its description, as written to disk."""

    flatbuffer: bytes
    description: dict[str, Any]

    def confusion(self, split: str) -> Confusion:
        """What the int8 network took ``val`` or ``test`` for."""
        return Confusion.from_json(self.description["confusion"][split])

    @property
    def output_scale(self) -> float:
        """Of one step of the int8 scores, in logits."""
        return ReferenceInterpreter(self.flatbuffer).output_quantization[0]

    def detection(self, name: str) -> dict[str, Scores]:
        """What the ``float``, ``post_training`` or ``int8`` detector finds on ``val`` and ``test``."""
        return {split: Scores.from_json(one) for split, one in self.description["detection"][name].items()}


@dataclasses.dataclass(frozen=True)
class Trained:
    """A float network that is to be converted.

    Attributes:
      graph: the network.
      model: its Keras form (:func:`models.keras_net.build`), trained.
      front_end: what feeds it.
      train: the batches and augmentation of its training, for quantised training.
      seed: of its training; None if that is not known.
    """

    graph: Graph
    model: keras.Model
    front_end: FrontEnd
    train: TrainConfig
    seed: int | None


def convert_bundle(saved: Bundle, data: DataSet, settings: Settings = _DEFAULT) -> Converted:
    """Convert a saved network and measure it on validation and test.

    Args:
      data: the set that it was trained on.
    """
    trained = Trained(saved.graph, saved.model(), saved.front_end, saved.train, saved.seed)
    return convert(trained, data, settings)


def convert_keras(
    model: keras.Model, data: DataSet, input_format: str | None = None, settings: Settings = _DEFAULT
) -> Converted:
    """Convert a Keras model and measure it on validation and test.

    The model begins with a layer that makes levels or gradients of linear RAW pixels; or it takes what
    :meth:`loggrad_tf.transform.frontend.FrontEnd.encode` gives, and ``input_format`` names the format, whose
    thresholds are then fitted to the training images. Either way it is for the sensor of ``data``. Of its
    training nothing is known, so quantised training augments nothing.

    Args:
      model: Functional or Sequential, see :mod:`models.from_keras.layers`; logits, softmax or one sigmoid.
      data: the set that it was trained on, at the model's size.

    Raises:
      LogGradError: a layer that cannot be converted; a model for other pictures or classes; a
        format that is missing, or named though the model has a layer in front.
    """
    network = read(model)
    if network.size != data.size:
        raise LogGradError(
            f"the model takes {dimensions(network.size)} pixels, the data set has {dimensions(data.size)}"
        )
    check_classes(network.graph, data)
    front_end = _front_end(network, data, input_format)
    float_model = keras_net.with_weights(network.graph, network.weights)
    trained = Trained(network.graph, float_model, front_end, TrainConfig(), None)
    return convert(trained, data, settings)


def check_classes(graph: Graph, data: DataSet) -> None:
    """Refuse outputs that are not one a class, or one for two classes; of a detector one and one a class."""
    units, names = graph.output_units, data.class_names
    if (graph.cells is not None) != data.detects:
        raise LogGradError(
            f"the model answers {'once a picture' if graph.cells is None else 'in cells'}, which is not what"
            f" --task={data.task} asks: give another task, or another model"
        )
    if data.detects:
        if units != 1 + len(names):
            raise LogGradError(
                f"the model's scores of a cell: {units}; the background and {', '.join(names)} need"
                f" {1 + len(names)}: end with Conv2D({1 + len(names)}, 1)"
            )
        return
    if units != len(names) and (units, len(names)) != (1, 2):
        raise LogGradError(
            f"the model's outputs: {units}, the data set's classes: {len(names)} ({', '.join(names)}): end"
            f" with Dense({len(names)})"
        )


def _front_end(network: Network, data: DataSet, input_format: str | None) -> FrontEnd:
    found = network.front_end(data.sensor)
    if found is None and input_format is None:
        raise LogGradError(
            "the model has no layer of levels in front: name what it takes with"
            f" --input={', '.join(frontend.FORMATS)}"
        )
    if found is not None and input_format is not None:
        raise LogGradError(
            f"--input={input_format}: layer '{network.front.name}' makes its input; leave it out"
        )
    return found or frontend.fit(str(input_format), data.sensor, data.subset("train")[0])


def convert(trained: Trained, data: DataSet, settings: Settings = _DEFAULT) -> Converted:
    """Convert a float network and measure it on validation and test."""
    graph, front_end = trained.graph, trained.front_end
    pixels, _ = data.subset("train")
    sample = requantize(
        np.asarray(pixels[:: -(-len(pixels) // settings.calibration)]), data.sensor, front_end.sensor
    )
    weights, inputs = keras_net.fold(graph, trained.model), front_end.encode(sample)
    plain = qat.convert(qat.quantized(graph, weights, inputs, qat.Tuning()), front_end)
    flatbuffers, tuned = {"int8": plain}, None
    if settings.epochs is not None:
        tuning = qat.Tuning(epochs=settings.epochs, ternary_first=settings.ternary_first)
        start = qat.quantized(graph, weights, inputs, tuning)
        found, tuned = _tuned(start, trained, data, tuning, settings.trainer)
        flatbuffers = {"post_training": plain, "int8": found}
    measured = _as_detector if data.detects else _as_classifier
    description = {
        "version": VERSION,
        "model_sha256": hashlib.sha256(flatbuffers["int8"]).hexdigest(),
        "graph_sha256": graph.sha256(),
        "front_end": front_end.to_json(),
        "class_names": list(data.class_names),
        "input_shape": list(graph.input_shape),
        "input_scale": front_end.input_scale,
        "input_zero_point": front_end.input_zero_point,
        "data": data.reference.to_json(),
        "quantised_training": tuned,
        **measured(trained, flatbuffers, data),
        "seed": trained.seed,
        "versions": _versions(settings.trainer),
    }
    return Converted(flatbuffers["int8"], description)


def _as_classifier(trained: Trained, flatbuffers: dict[str, bytes], data: DataSet) -> dict[str, Any]:
    """Of model.json: how often the networks are right, and what the last one takes for what."""
    shares, confusion = {}, {}
    for split in accuracy.SPLITS:
        shares[f"float_{split}"] = 1 - evaluate(trained.model, data, trained.front_end, split)
        for name, flatbuffer in flatbuffers.items():
            table = accuracy.of_int8(flatbuffer, data, trained.front_end, split)
            shares[f"{name}_{split}"] = table.accuracy
            confusion[split] = table.to_json()  # the last one is that of int8
    return {"accuracy": shares, "confusion": confusion}


def _as_detector(trained: Trained, flatbuffers: dict[str, bytes], data: DataSet) -> dict[str, Any]:
    """Of model.json: the cells, and what the networks find, each at its best threshold on validation."""
    answers = {
        "float": {
            split: logits(trained.model, data, trained.front_end, split).astype(np.float64)
            for split in accuracy.SPLITS
        }
    }
    for name, flatbuffer in flatbuffers.items():
        answers[name] = {
            split: accuracy.outputs(flatbuffer, data, trained.front_end, split) for split in accuracy.SPLITS
        }
    grid, found = detection.over(data, answers["int8"]["val"]), {}
    for name, own in answers.items():
        threshold = best_threshold(own["val"], data.boxes_of("val"), grid)
        found[name] = {
            split: detection.scored(one, data, split, threshold).to_json() for split, one in own.items()
        }
    cells = Cells(grid.rows, grid.columns, grid.stride, int(threshold))  # the last one is that of int8
    return {"cells": cells.to_json(), "detection": found}


def _tuned(
    start: qat.Quantized, trained: Trained, data: DataSet, tuning: qat.Tuning, trainer: str
) -> tuple[bytes, dict[str, Any]]:
    """The flatbuffer after quantised training, or before it if that did better, and what became of it.

    Returns:
      What was done, ``kept``: the trained network is the one that is returned, and the accuracies of both on
      validation (of a detector F1), ``val_before`` and ``val_after``; the ``trainer``, if it is not ours.
    """
    if trainer == TFMOT and data.detects:
        raise LogGradError("--trainer=tfmot: it trains no detectors: leave it out")
    front_end, config, seed = trained.front_end, qat.tuned(trained.train, tuning), trained.seed or 0
    label = "quantised training"
    if trainer == TFMOT:
        after = tfmot.train(start, data, front_end, config, seed, label)
    else:
        show = progress.of_epochs(label, tuning.epochs, data.detects)
        after = qat.train(start, data, front_end, config, seed, show)
    both = {"before": qat.convert(start, front_end), "after": qat.convert(after, front_end)}
    found = {when: accuracy.quality(made, data, front_end) for when, made in both.items()}
    kept = found["after"] >= found["before"]
    record = {"kept": kept, "val_before": found["before"], "val_after": found["after"]}
    by = {} if trainer == OURS else {"trainer": trainer}
    return both["after" if kept else "before"], tuning.to_json() | by | record


def write(directory: Path, converted: Converted) -> None:
    """``model.json`` and ``model.tflite`` in ``directory``; an earlier pair stays until both are on the disk.

    They get their names in this order: a flatbuffer alone would be taken for one whose rows are those of the
    int8 tensor; a description of a flatbuffer that is not there yet is refused.
    """
    text = json.dumps(converted.description, indent=1) + "\n"
    contents = {"model.json": text.encode(), "model.tflite": converted.flatbuffer}
    files.write_together({directory / name: content for name, content in contents.items()})


def _versions(trainer: str) -> dict[str, str]:
    packages = PACKAGES + (tfmot.PACKAGES if trainer == TFMOT else ())
    return {"python": sys.version.split()[0], **{p: importlib.metadata.version(p) for p in packages}}
