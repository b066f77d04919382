"""Small detectors that are no product of a training, as the converter would write them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from loggrad_tf.transform.frontend import FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from tests.support import quantized

FRONT_END = fixed("loggrad_1p5", Sensor(bits=10, black=64, white=1000))
CLASSES = ("person", "car")
STRIDE, HEIGHT, WIDTH = 4, 24, 37


def flatbuffer(height: int, width: int, seed: int = 5, end: FrontEnd = FRONT_END) -> bytes:
    """Two convolutions of stride 2 and a head: cells of four pixels, three scores each."""
    net = quantized.Net(seed, calibrated=True)
    x = net.input((height, width, 1), end.input_scale, end.input_zero_point)
    net.values[x] = net.random.integers(-end.levels, end.levels + 1, net.values[x].shape).astype(np.int8)
    x = net.conv(net.conv(x, 6, 5, 2), 8, 3, 2)
    return net.flatbuffer(net.conv(x, 1 + len(CLASSES), 1, act="none"))


def write(folder: Path, wrong: Mapping[str, int] | None = None) -> Path:
    """model.tflite and model.json in a folder; the former's path.

    Args:
      wrong: fields of model.json's ``cells`` that are other ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = flatbuffer(HEIGHT, WIDTH)
    cells = {"rows": -(-HEIGHT // STRIDE), "columns": -(-WIDTH // STRIDE), "stride": STRIDE, "threshold": 20}
    description = {
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "front_end": FRONT_END.to_json(),
        "class_names": CLASSES,
        "cells": cells | dict(wrong or {}),
    }
    (folder / "model.tflite").write_bytes(content)
    (folder / "model.json").write_text(json.dumps(description))
    return folder / "model.tflite"
