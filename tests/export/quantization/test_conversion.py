"""A Keras model trained by ``fit`` becomes what a network of the search becomes, and a board computes it."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from export import firmware
from export.firmware import Options
from export.quantization import conversion, qat
from export.quantization.conversion import convert_keras, write
from export.quantization.settings import Settings
from firmware import project, verify
from loggrad_tf import FrontEnd, GradientQuantizer, LogGradError
from loggrad_tf.confusion import Confusion
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform.frontend import fixed
from tests.export.test_firmware import SENSOR, small, write_model
from tests.models.training.test_fit import stripes
from tests.support import REPOSITORY

SIDE = 16


def pictures(folder: Path) -> str:
    """Noisy stripes in two directions."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for name, pattern in (("flat", y % 4 < 2), ("upright", x % 4 < 2)):
        (folder / name).mkdir(parents=True)
        for i in range(60):
            light = draw.integers(40, 90) * (1 + np.roll(pattern, draw.integers(4), (0, 1)))
            picture = np.clip(light + draw.normal(0, 4, (SIDE, SIDE)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / name / f"{i:02d}.png")
    return f"folder:{folder}"


def network(front: list[layers.Layer], units: int, last: str | None) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            *front,
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.SeparableConv2D(8, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(units, activation=last),
        ]
    )


def fitted(model: keras.Model, inputs: np.ndarray, labels: np.ndarray, loss: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    model.fit(inputs, labels, batch_size=16, epochs=12, verbose=0)
    return model


@pytest.mark.qemu
def test_a_board_computes_a_model_that_fit_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    spec = pictures(tmp_path / "pictures")
    data = dataset.load(spec, size=SIDE)
    pixels, labels = data.subset("train")
    model = network([GradientQuantizer((4700,))], 1, "sigmoid")
    fitted(model, pixels[..., None], labels, "binary_crossentropy").save(tmp_path / "net.keras")

    command = [sys.executable, "-m", "export.convert", f"--keras={tmp_path / 'net.keras'}", f"--data={spec}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "int8 on validation:" in done.stdout and "int8 on test:" in done.stdout
    description = json.loads((tmp_path / "net_export" / "model.json").read_text())
    assert description["accuracy"]["int8_test"] > 0.8
    assert description["front_end"] == FrontEnd("loggrad_1p5", data.sensor, (4700,)).to_json()
    assert description["data"] == data.reference.to_json() and description["seed"] is None
    found = Confusion.from_json(description["confusion"]["test"])
    assert found.class_names == ("flat", "upright") and found.accuracy == description["accuracy"]["int8_test"]
    # The same as by a notebook.
    converted = convert_keras(model, data)
    assert converted.description == description
    assert converted.flatbuffer == (tmp_path / "net_export" / "model.tflite").read_bytes()

    project_folder = tmp_path / "p"
    made = firmware.make(tmp_path / "net_export" / "model.tflite", "mps2-an386", Options(6))
    firmware.write(made, project_folder)
    verdict = verify.verify(project.load(project_folder))
    assert verdict.passed and verdict.mismatches == 0, verdict.complaints


@pytest.fixture(scope="module")
def two() -> DataSet:
    return stripes(2)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("units", "last", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (2, "softmax", "sparse_categorical_crossentropy"),
        (2, None, "from logits"),
    ],
)
def test_two_classes_by_one_unit_or_two(two: DataSet, units: int, last: str | None, loss: str) -> None:
    pixels, labels = two.subset("train")
    front_end = FrontEnd("loggrad_1p5", two.sensor, (4700,))
    by_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = network([GradientQuantizer((4700,))], units, last)
    fitted(model, pixels[..., None], labels, by_logits if loss == "from logits" else loss)
    converted = convert_keras(model, two, settings=Settings(epochs=2))
    accuracy = converted.description["accuracy"]
    assert min(accuracy.values()) > 0.9
    assert converted.description["front_end"] == front_end.to_json()
    answers = np.asarray(model(two.subset("test")[0][..., None], training=False))
    right = answers.argmax(axis=1) if units == 2 else answers[:, 0] > 0.5
    assert accuracy["float_test"] == pytest.approx(np.mean(right == two.labels_of("test")))


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["raw16", "loggrad_2p25"])
def test_a_model_without_a_layer_in_front_takes_a_format(name: str) -> None:
    data = stripes(3)
    from loggrad_tf.transform import frontend

    pixels, labels = data.subset("train")
    front_end = frontend.fit(name, data.sensor, pixels)
    model = network([], 3, "softmax")
    fitted(model, front_end.encode(pixels), labels, "sparse_categorical_crossentropy")
    converted = convert_keras(model, data, name)
    assert converted.description["front_end"] == front_end.to_json()
    assert converted.description["accuracy"]["int8_val"] > 0.9
    assert converted.description["input_shape"] == [SIDE, SIDE, 1]


def test_what_does_not_fit_the_data_set_is_refused() -> None:
    three, other = stripes(3, each=10), stripes(3, each=10, size=12)
    levels = GradientQuantizer((4700,), name="levels")
    cases = {
        r"the model takes 16x16 pixels, the data set has 12x12": (
            network([levels], 3, None),
            other,
            None,
        ),
        r"the model's outputs: 4, the data set's classes: 3 \(flat, upright, slanted\): end with Dense": (
            network([levels], 4, None),
            three,
            None,
        ),
        r"the model's outputs: 1, the data set's classes: 3": (network([levels], 1, None), three, None),
        r"no layer of levels in front: name what it takes with --input=jpeg8,": (
            network([], 3, None),
            three,
            None,
        ),
        r"--input=raw16: layer 'levels' makes its": (
            network([levels], 3, None),
            three,
            "raw16",
        ),
    }
    for reason, (model, data, name) in cases.items():
        with pytest.raises(LogGradError, match=reason):
            convert_keras(model, data, name)


@pytest.mark.seconds
def test_quantised_training_that_ends_worse_is_not_kept(
    two: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, labels = two.subset("train")
    model = network([GradientQuantizer((4700,))], 1, None)
    by_logits = keras.losses.BinaryCrossentropy(from_logits=True)
    fitted(model, pixels[..., None], labels, by_logits)
    plain = convert_keras(model, two)

    def worse(start: qat.Quantized, *_: object) -> qat.Quantized:
        weights = {name: -kernel for name, kernel in start.weights.kernels.items()}
        return dataclasses.replace(start, weights=dataclasses.replace(start.weights, kernels=weights))

    for train, kept in ((worse, False), (lambda start, *_: start, True)):
        monkeypatch.setattr(conversion.qat, "train", train)
        found = convert_keras(model, two, settings=Settings(epochs=3))
        tuned = found.description["quantised_training"]
        assert tuned["epochs"] == 3 and tuned["kept"] is kept
        assert (tuned["val_after"] < tuned["val_before"]) is not kept
        assert found.flatbuffer == plain.flatbuffer
        assert found.description["accuracy"]["int8_val"] == tuned["val_before"]
    write(tmp_path, found)
    assert json.loads((tmp_path / "model.json").read_text()) == found.description


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "give --run, the directory of a search run, or --keras"),
        (["--run=a", "--keras=b.keras"], "--run and --keras: give one of them"),
        (["--keras=b.keras"], "--data is missing: name the data set that the model was trained on"),
        (["--keras=b.keras", "--data=synthetic"], "b.keras: no such file"),
        (["--keras=", "--data=synthetic"], ".: no such file"),
        (["--keras=b.keras", "--data=synthetic", "--input=png"], "--input: unknown input format 'png'"),
        (["--run=a", "--data=synthetic"], "--data: a run knows its data set and its input; leave it out"),
        (["--run=gone"], "--run=gone: not a directory"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], reason: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-X", "importtime", "-m", "export.convert", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert len(errors) == 1 and reason in errors[0]
    assert "tensorflow" not in done.stderr


@pytest.mark.parametrize("earlier", [False, True])
def test_half_a_conversion_is_no_model(
    earlier: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process that ends between its two files leaves becomes no project, of another input or any."""
    end = fixed("loggrad_1p5", SENSOR)
    if earlier:
        write_model(tmp_path, small(end, 11), end)
    kept = os.replace
    named: list[Path] = []

    def once(source: Path, target: Path) -> None:
        if named:
            raise KeyboardInterrupt
        named.append(target)
        kept(source, target)

    monkeypatch.setattr(os, "replace", once)
    flatbuffer = small(end)
    sha256 = hashlib.sha256(flatbuffer).hexdigest()
    told = {"model_sha256": sha256, "front_end": end.to_json(), "class_names": []}
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, conversion.Converted(flatbuffer, told))
    with pytest.raises(LogGradError, match="describes another model" if earlier else "no such file"):
        firmware.make(tmp_path / "model.tflite", "host", Options(1))
