"""A .keras file gives the model that was saved, or one line soon, whatever is in it."""

import copy
import io
import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from loggrad_tf import TrainableQuantizer
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.sensor import Sensor
from models.from_keras import archive
from models.from_keras.network import read
from tests.support.keras_models import FRONTS, MODELS, behind, randomised

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MADE = {**MODELS, **{name: lambda make=make: behind(make()) for name, make in FRONTS.items()}}  # type: ignore[misc]


@pytest.mark.parametrize("name", MADE)
def test_a_file_gives_the_model_that_was_saved(name: str, tmp_path: Path) -> None:
    model = randomised(MADE[name]())
    for layer in model.layers:
        if isinstance(layer, TrainableQuantizer):
            layer.moved.assign([0.2, 0.4])
    model.compile(optimizer="adam", loss="mse")
    model.save(tmp_path / "net.keras")
    found, wanted = read(archive.load(tmp_path / "net.keras")), read(model)
    assert found.graph == wanted.graph
    assert found.front_end(Sensor()) == wanted.front_end(Sensor())
    for op, kernel in wanted.weights.kernels.items():
        np.testing.assert_array_equal(found.weights.kernels[op], kernel)
        np.testing.assert_array_equal(found.weights.biases[op], wanted.weights.biases[op])


def saved(folder: Path) -> dict[str, bytes]:
    """The parts of a small good file."""
    pixels = keras.Input((12, 12, 1), name="pixels")
    block = keras.Sequential([layers.Conv2D(2, 3, padding="same"), layers.ReLU()], name="block")
    x = layers.Flatten()(layers.MaxPooling2D(2, name="pool")(block(pixels)))
    keras.Model(pixels, layers.Dense(3, name="last")(x)).save(folder / "good.keras")
    with zipfile.ZipFile(folder / "good.keras") as good:
        return {name: good.read(name) for name in good.namelist()}


def write(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def refused(path: Path, reason: str) -> None:
    begin = time.process_time()
    with pytest.raises(LogGradError, match=reason) as caught:
        read(archive.load(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert time.process_time() - begin < 10


def layer(config: Any, name: str) -> Any:
    """The entry of a layer, to be changed in place."""
    for child in config["config"]["layers"]:
        if child["config"]["name"] == name:
            return child
        if "layers" in child["config"]:
            for inner in child["config"]["layers"]:
                if inner["config"]["name"] == name:
                    return inner
    raise KeyError(name)


def _code(config: Any) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None, "closure": None}}
    layer(config, "pool").update(class_name="Lambda", config={"name": "pool", "function": code})


def _doubling(config: Any) -> None:
    """Each model calls the one inside it twice: 2^25 calls of the innermost."""
    inner = layer(config, "block")
    calls = copy.deepcopy(inner["inbound_nodes"])
    for depth in range(12):
        name = f"m{depth}"
        inputs = layers_input(f"i{depth}")
        inner["inbound_nodes"] = [node(f"i{depth}"), node(inner["config"]["name"])]
        inner = {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "registered_name": "Functional",
            "name": name,
            "config": {
                "name": name,
                "layers": [inputs, inner],
                "input_layers": [[f"i{depth}", 0, 0]],
                "output_layers": [[inner["config"]["name"], 1, 0]],
            },
        }
    inner["inbound_nodes"] = calls
    inner["name"] = inner["config"]["name"] = "block"
    config["config"]["layers"] = [
        inner if one["config"]["name"] == "block" else one for one in config["config"]["layers"]
    ]


def layers_input(name: str) -> dict[str, Any]:
    config = {"batch_shape": [None, 12, 12, 1], "dtype": "float32", "name": name}
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "registered_name": None,
        "name": name,
        "config": config,
        "inbound_nodes": [],
    }


def node(name: str) -> dict[str, Any]:
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 12, 12, 1], "dtype": "float32", "keras_history": [name, 0, 0]},
    }
    return {"args": [tensor], "kwargs": {}}


def _circle(config: Any) -> None:
    layer(config, "pool")["inbound_nodes"] = [node("pool")]


def _dense(name: str, units: int, reads: str) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": None,
        "name": name,
        "config": {"name": name, "units": units},
        "inbound_nodes": [node(reads)],
    }


def _beside(config: Any) -> None:
    config["config"]["layers"].append(_dense("aside", 2**31, "pixels"))


def _one_name(config: Any) -> None:
    config["config"]["layers"].insert(0, _dense("pool", 2**31, "pixels"))


def _object_in_a_call(config: Any) -> None:
    layer(config, "pool")["inbound_nodes"][0]["kwargs"] = {"training": _dense("evil", 3, "pixels")}


def _second_call(config: Any) -> None:
    layer(config, "pool")["inbound_nodes"].append(node("pixels"))


def _inner_input(config: Any) -> None:
    """Whoever builds the inner model first makes its layers for maps of this size."""
    layer(config, "block")["config"]["layers"][0]["config"]["batch_shape"] = [None, 2**15, 2**15, 1]


def _long(config: Any) -> None:
    last = layer(config, "last")
    for place in range(1100):
        name = f"relu{place}"
        one = _dense(name, 3, last["name"]) | {"class_name": "ReLU", "config": {"name": name}}
        config["config"]["layers"].append(last := one)
    config["config"]["output_layers"] = ["relu1099", 0, 0]


def _bent_initialiser(config: Any) -> None:
    layer(config, "last")["config"]["kernel_initializer"] = {
        "module": "os",
        "class_name": "system",
        "config": {},
    }


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "code": (_code, r"'pool' \(Lambda\): cannot be converted: no code is run from a file"),
    "other module": (lambda c: layer(c, "pool").update(module="os", class_name="system"), r"\(system\)"),
    "module of an operation": (
        lambda c: layer(c, "pool").update(module="keras.src.ops.numpy", class_name="Load"),
        r"\(Load\)",
    ),
    "registered": (lambda c: layer(c, "pool").update(registered_name="evil>MaxPooling2D"), "be converted"),
    "doubling": (_doubling, "is called twice: give every place"),
    "circle": (_circle, "layer 'pool' reads itself: damaged"),
    "reads nothing": (lambda c: layer(c, "pool").update(inbound_nodes=[]), "is read, but never called"),
    "reads no layer": (lambda c: layer(c, "pool").update(inbound_nodes=[node("gone")]), "'gone' is read"),
    "no layers": (lambda c: c["config"].update(layers=[]), "a model without layers"),
    "no name": (lambda c: layer(c, "pool")["config"].pop("name"), "without a name"),
    "no configuration": (lambda c: layer(c, "pool").update(config=3), "without a configuration"),
    "layers of numbers": (lambda c: c["config"].update(layers=[1, 2]), "without a configuration"),
    "no ends": (lambda c: c["config"].update(output_layers=7), "a connection without its ends"),
    "second output": (lambda c: c["config"].update(output_layers=["last", 0, 1]), "of several outputs"),
    "huge layer": (lambda c: layer(c, "last")["config"].update(units=2**40), "units is 1099511627776: give"),
    "many weights": (lambda c: layer(c, "last")["config"].update(units=2**16), "no board holds|damaged"),
    "no number": (lambda c: layer(c, "last")["config"].update(units="many"), "units is 'many': give a whole"),
    "huge pool": (lambda c: layer(c, "pool")["config"].update(pool_size=[50, 2]), "gives .*use a smaller"),
    "huge map": (
        lambda c: layer(c, "pixels")["config"].update(batch_shape=[None, 2**15, 2**15, 1]),
        "no board",
    ),
    "beside the network": (_beside, r"'aside' \(Dense\): the model's output does not come from it: leave"),
    "one name": (_one_name, "two layers of one name: damaged model"),
    "object in a call": (_object_in_a_call, r"'pool' \(MaxPooling2D\): is called with keras.layers: call it"),
    "call beside the network": (_second_call, r"'pool' .*: the model's output does not come from it"),
    "input of another class": (
        lambda c: layer(c, "pixels").update(class_name="RandomFlip"),
        r"'pixels' \(RandomFlip\): is no input: begin the model with keras.Input",
    ),
    "input that is called": (
        lambda c: layer(c, "pixels").update(inbound_nodes=[node("last")]),
        r"'pixels' \(InputLayer\): is no input",
    ),
    "input of an inner model": (
        _inner_input,
        r"takes \(32768, 32768, 1\), and is given \(12, 12, 1\): build the model anew",
    ),
    "many layers": (_long, "a model of more than 1024 steps: no board computes it"),
    "other weights": (lambda c: layer(c, "last")["config"].update(units=4), "Keras cannot build it"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_strange_configuration_is_one_line(name: str, tmp_path: Path) -> None:
    parts = saved(tmp_path)
    config = json.loads(parts[CONFIG])
    change, reason = CHANGES[name]
    change(config)
    refused(write(tmp_path / "net.keras", parts | {CONFIG: json.dumps(config).encode()}), reason)


def test_what_inference_has_no_use_for_is_not_built(tmp_path: Path) -> None:
    parts = saved(tmp_path)
    config = json.loads(parts[CONFIG])
    _bent_initialiser(config)
    config["compile_config"] = {"optimizer": {"module": "os", "class_name": "system", "config": {}}}
    layer(config, "block")["compile_config"] = config["compile_config"]
    changed = write(tmp_path / "net.keras", parts | {CONFIG: json.dumps(config).encode()})
    assert read(archive.load(changed)).graph == read(archive.load(tmp_path / "good.keras")).graph


def h5(fill: Callable[[h5py.File], Any]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        fill(made)
    return file.getvalue()


def test_strange_weights_are_one_line(tmp_path: Path) -> None:
    parts = saved(tmp_path)
    files = {
        "refers to another file": h5(lambda f: f.__setitem__("layers", h5py.ExternalLink("/etc/x.h5", "/"))),
        "refers to another": h5(
            lambda f: f.create_dataset("a", (9,), "u1", external=[("/etc/passwd", 0, 9)])
        ),
        "unpacks to 1073741824 bytes": h5(
            lambda f: f.create_dataset("a", (2**28,), "f4", compression="gzip", chunks=(2**20,))
        ),
        "has arrays of other things than numbers": h5(
            lambda f: f.create_dataset("a", (2**20,), h5py.string_dtype())
        ),
        "is damaged": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "Keras cannot build it": h5(lambda f: f.create_group("layers")),
    }
    for reason, data in files.items():
        refused(write(tmp_path / "net.keras", parts | {WEIGHTS: data}), reason)


def test_what_is_no_archive_is_one_line(tmp_path: Path) -> None:
    parts = saved(tmp_path)
    refused(tmp_path / "gone.keras", "no such file")
    (tmp_path / "net.h5").write_bytes(b"")
    refused(tmp_path / "net.h5", "not a .keras file: save the model anew")
    net = tmp_path / "net.keras"
    net.write_bytes(b"\x89HDF")
    refused(net, "damaged, or no .keras file")
    refused(write(net, {METADATA: b"{}"}), "config.json is missing in it")
    refused(write(net, parts | {CONFIG: b"{"}), "config.json: damaged: no JSON")
    refused(write(net, parts | {CONFIG: b"[" * 10**6}), "config.json: damaged: nested too deeply")
    refused(write(net, parts | {CONFIG: b"[]"}), "config.json describes no model")
    refused(write(net, parts | {CONFIG: b"{}"}), "without a configuration")
    refused(write(net, parts | {CONFIG: b" " * 5 * 2**20}), "config.json has 5242880 bytes")
    refused(write(net, parts | {METADATA: b'{"keras_version": "2.15.0"}'}), "written by Keras 2.15.0")
    refused(write(net, parts | {METADATA: b"3"}), "written by Keras None")


def test_parts_that_unpack_to_more_than_they_say_take_no_memory(tmp_path: Path) -> None:
    said, found = 60, 2**28
    path = write(tmp_path / "net.keras", saved(tmp_path) | {METADATA: bytes(found)})
    data = path.read_bytes()
    path.write_bytes(data.replace(found.to_bytes(4, "little"), said.to_bytes(4, "little")))
    tracemalloc.start()
    refused(path, "damaged")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        file.writestr(CONFIG, b"{}")
    refused(path, "config.json is packed in another way than Keras does: save the model anew")


@pytest.mark.seconds
def test_damaged_bytes_are_one_line_or_harmless(tmp_path: Path) -> None:
    saved(tmp_path)
    good, draw = (tmp_path / "good.keras").read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(good)
        for place in draw.integers(0, len(data), draw.integers(1, 4)):
            data[place] = draw.integers(256)
        cut = data[: draw.integers(len(data))] if draw.random() < 0.3 else data
        (tmp_path / "net.keras").write_bytes(bytes(cut))
        try:
            read(archive.load(tmp_path / "net.keras"))
        except LogGradError as error:
            assert "\n" not in str(error)
