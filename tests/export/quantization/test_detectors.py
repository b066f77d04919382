"""A trained detector becomes int8: its threshold is chosen by int8 scores, and a board finds the same."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export import firmware
from export.firmware import Options
from export.quantization import accuracy, conversion
from export.quantization.settings import Settings
from export.tflite.interpreter import ReferenceInterpreter
from firmware import project, run, verify
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.voc import Object
from loggrad_tf.detect.scores import Scores
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models import bundle, keras_net
from models.recipe import NATIVE
from models.training import detection, native_fit
from tests.loggrad_tf.data.test_frames import CAR, street
from tests.models.training.test_detectors import CONFIG, HEIGHT, WIDTH, detector, squares
from tests.support import REPOSITORY
from tests.support.native_cases import needs_compiler

pytestmark = needs_compiler


@pytest.fixture(scope="module")
def data() -> DataSet:
    return squares()


@pytest.fixture(scope="module")
def trained(data: DataSet) -> conversion.Trained:
    end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    config = dataclasses.replace(CONFIG, trainer=NATIVE)
    found = native_fit.train(detector(), data, end, config, seed=0)
    model = keras_net.build(found.graph)
    model.set_weights(list(found.weights))
    return conversion.Trained(found.graph, model, end, CONFIG, 0)


@pytest.fixture(scope="module")
def converted(trained: conversion.Trained, data: DataSet) -> conversion.Converted:
    return conversion.convert(trained, data)


def test_float_and_int8_side_by_side(
    converted: conversion.Converted,
    trained: conversion.Trained,
    data: DataSet,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, rounded = converted.detection("float"), converted.detection("int8")
    assert real["val"].f1 > 0.5 and abs(real["test"].f1 - rounded["test"].f1) < 0.1
    assert "accuracy" not in converted.description and "confusion" not in converted.description
    cells = converted.description["cells"]
    assert trained.graph.cells == (cells["rows"], cells["columns"]) and cells["stride"] == 4
    assert rounded["val"].threshold == cells["threshold"] == rounded["test"].threshold


def test_the_threshold_is_the_best_on_validation(converted: conversion.Converted, data: DataSet) -> None:
    end = frontend.FrontEnd.from_json(converted.description["front_end"])
    answers = accuracy.outputs(converted.flatbuffer, data, end, "val")
    assert answers.dtype == np.int8 and answers.shape[1:] == (6, 10, 3)
    every = [detection.scored(answers, data, "val", threshold).f1 for threshold in range(-255, 257)]
    best = converted.detection("int8")["val"]
    assert best.f1 == max(every) == every[int(best.threshold) + 255]


def test_a_board_finds_what_was_measured(
    converted: conversion.Converted, data: DataSet, tmp_path: Path
) -> None:
    """The frames of the test split through the image: hits and inventions are those of the conversion."""
    conversion.write(tmp_path, converted)
    firmware.write(firmware.make(tmp_path / "model.tflite", "host", Options(1)), tmp_path / "p")
    made = project.load(tmp_path / "p")
    pixels, _ = data.subset("test")
    end = frontend.FrontEnd.from_json(converted.description["front_end"])
    frames = end.sensor.codes(pixels).astype(np.uint16)
    np.savez(
        made.path / "vectors.npz",
        frames=frames,
        tensors=end.encode_int8(pixels),
        labels=np.full(len(frames), -1),
        note="test",
    )
    verdict = verify.verify(made)
    found = converted.detection("int8")["test"]
    assert verdict.passed and verdict.vectors == found.frames
    assert verdict.objects == found.hits + found.invented and verdict.found is None
    assert run.load_vectors(made).note == "test"


def test_quantised_training(trained: conversion.Trained, data: DataSet) -> None:
    """It trains a detector too, and is kept if it finds as much on validation."""
    found = conversion.convert(trained, data, Settings(epochs=2))
    tuned = found.description["quantised_training"]
    before, after = (found.detection(name)["val"].f1 for name in ("post_training", "int8"))
    assert tuned["val_before"] == before and after == max(before, tuned["val_after"])
    assert tuned["kept"] == (tuned["val_after"] >= before)
    with pytest.raises(LogGradError, match="--trainer=tfmot: it trains no detectors"):
        conversion.convert(trained, data, Settings(epochs=1, trainer="tfmot"))


def test_a_model_of_another_task_is_refused(data: DataSet) -> None:
    classes = dataclasses.replace(data, task="classify", boxes=None)
    with pytest.raises(LogGradError, match="answers in cells, which is not what --task=classify asks"):
        conversion.check_classes(detector(), classes)
    with pytest.raises(LogGradError, match=r"scores of a cell: 4; the background and square, bar need 3"):
        conversion.check_classes(detector(4), data)


def door(*words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.seconds
def test_from_a_saved_detector_to_objects_of_a_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands: an untrained one finds something, wherever it is."""
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    names = {split: [f"{split}{i}" for i in range(6)] for split in ("train", "val", "test")}
    photographs = {name: (CAR, Object("person", 1, 1, 10, 20)) for some in names.values() for name in some}
    place = street(tmp_path / "s", photographs, {split: " ".join(some) for split, some in names.items()})
    data = dataset.load(f"folder:{place}", size=(HEIGHT, WIDTH), task="detect:car,person")
    graph = detector()
    bundle.save(
        tmp_path / "net",
        bundle.Bundle(
            graph=graph,
            front_end=frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0]),
            class_names=data.class_names,
            weights=tuple(np.asarray(w) for w in keras_net.build(graph).get_weights()),
            data=data.reference,
            train=CONFIG,
            seed=0,
            metrics={},
        ),
    )
    said = door("export.convert", f"--run={tmp_path / 'net'}")
    assert "AP car" in said and re.search(r"cells: 10x6 of 4 pixels; an object has a margin of -?\d+", said)
    found = re.search(
        r"margin of (-?\d+) or more \((-?\d+\.\d\d) in logits\): the threshold is chosen anew on validation,"
        r" by the scores of int8; by those of float it is (-?\d+\.\d\d)\n",
        said,
    )
    assert found
    described = json.loads((tmp_path / "net/export/model.json").read_text())
    scale = ReferenceInterpreter((tmp_path / "net/export/model.tflite").read_bytes()).output_quantization[0]
    assert int(found[1]) == described["cells"]["threshold"]
    assert float(found[2]) == pytest.approx(scale * int(found[1]), abs=0.006)
    own = described["detection"]["float"]["val"]["threshold"]
    assert float(found[3]) == pytest.approx(own, abs=0.006)
    model, out = tmp_path / "net/export/model.tflite", tmp_path / "p"
    door("export.firmware", f"--model={model}", "--board=host", f"--out={out}", "--vectors=6")
    said = door("firmware.verify", f"--project={out}")
    assert re.search(r"compared .* [1-9]\d* objects", said)
    told = re.search(
        r"\nfound    (\d+) of \d+ objects, (\d+) invented, in 6 frames: F1 (\d\.\d{3}), as the board", said
    )
    board, int8 = (
        json.loads((out / "certificate.json").read_text())["found"],
        described["detection"]["int8"]["test"],
    )
    assert told and (int(told[1]), int(told[2])) == (board["hits"], board["invented"])
    assert {name: int8[name] for name in board} == board
    assert float(told[3]) == pytest.approx(Scores.from_json(int8).f1, abs=0.001)
    photo = place / "JPEGImages/test0.png"
    said = door("firmware.run", f"--project={out}", f"--image={photo}", f"--draw={tmp_path / 'seen'}")
    assert re.match(rf"{photo}: (car|person) at \d+,\d+ \([+-]\d+\)", said)
    assert [path.name for path in (tmp_path / "seen").iterdir()] == ["0_test0.png"]
