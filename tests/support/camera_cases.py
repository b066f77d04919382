"""A project with a network, behind a simulated camera that sees a ramp of light."""

import hashlib
import json
from pathlib import Path

import numpy as np

from export import firmware as export
from firmware import build, project, simulated
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from tests.support import quantized

SIDE = 48
CLASSES = ("bicycle", "car", "person")


def ramp() -> np.ndarray:
    """Photo-electrons, float (SIDE, SIDE)."""
    return np.linspace(0, 80, SIDE * SIDE).reshape(SIDE, SIDE)


def network(folder: Path, board: str = "host-camera") -> project.Project:
    """Built in ``folder``; its frames are binned by 2."""
    front_end = fixed("loggrad_1p5", Sensor(10, 64, 1023))
    net = quantized.Net(5)
    x = net.conv(net.input((24, 24, 1), front_end.input_scale, front_end.input_zero_point), 4, 3, 2)
    model = net.flatbuffer(net.dense(net.mean(x), 3))
    (folder / "model.tflite").write_bytes(model)
    meaning = {"front_end": front_end.to_json(), "class_names": CLASSES}
    meaning["model_sha256"] = hashlib.sha256(model).hexdigest()
    (folder / "model.json").write_text(json.dumps(meaning))
    options = export.Options(1, binning=2)
    export.write(export.make(folder / "model.tflite", board, options), folder / "p")
    found = project.load(folder / "p")
    build.build(found)
    simulated.lay(found, [ramp()])
    return found
