"""The networks of the engine's benchmark: random weights, 96x96x1, `same` padding.

    2conv1fc   conv 5x5-8, pool 2, conv 5x5-8, pool 2, dense 3               5.54 MMAC
    dsmall     conv 3x3 s2-8, dw 3x3, 1x1-16, dw 3x3 s2, 1x1-24, mean, dense 3   0.93 MMAC
    resnet     conv 3x3 s2-8, block 8, pool 2, block s2-16, mean, dense 3    3.48 MMAC
               block = {3x3, 3x3 | 1x1} added

2conv1fc reads the levels of loggrad_1p5 from 8-bit RAW lines, the others any int8 image.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.quantization import quantize
from loggrad_tf.transform.frontend import FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor
from models import keras_net
from models.graph import Graph, GraphBuilder
from models.zoo import two_conv_one_fc

SIDE, CLASSES = 96, 3
SENSOR = Sensor(bits=8, black=0, white=255)


@dataclasses.dataclass(frozen=True)
class Network:
    """What a benchmark needs of one network: how it is built, and what feeds it."""

    graph: Callable[[], Graph]
    format: str
    raw: bool


def dsmall() -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input(SIDE, SIDE, 1), 8, 3, stride=2, padding="same", relu=True)
    x = b.conv(b.depthwise(x, 3, padding="same", relu=True), 16, 1, relu=True)
    x = b.conv(b.depthwise(x, 3, stride=2, padding="same", relu=True), 24, 1, relu=True)
    return b.build(b.dense(b.global_avg(x), CLASSES))


def resnet() -> Graph:
    b = GraphBuilder()

    def block(x: int, filters: int, stride: int) -> int:
        y = b.conv(x, filters, 3, stride=stride, padding="same", relu=True)
        y = b.conv(y, filters, 3, padding="same")
        return b.add([y, b.conv(x, filters, 1, stride=stride)], relu=True)

    x = b.conv(b.input(SIDE, SIDE, 1), 8, 3, stride=2, padding="same", relu=True)
    x = block(b.max_pool(block(x, 8, 1), 2), 16, 2)
    return b.build(b.dense(b.global_avg(x), CLASSES))


NETWORKS = {
    "2conv1fc": Network(lambda: two_conv_one_fc(SIDE, CLASSES), "loggrad_1p5", True),
    "dsmall": Network(dsmall, "jpeg8", False),
    "resnet": Network(resnet, "jpeg8", False),
}


def front_end(network: Network) -> FrontEnd:
    return fixed(network.format, SENSOR)


def write(name: str, folder: Path) -> Path:
    """model.tflite, and model.json where the network is fed by RAW lines; returns the model."""
    network = NETWORKS[name]
    graph, end = network.graph(), front_end(network)
    import keras

    keras.utils.set_random_seed(0)
    weights = keras_net.fold(graph, keras_net.build(graph))
    raw = np.random.default_rng(0).integers(0, SENSOR.span + 1, (64, SIDE, SIDE)).astype(np.uint16)
    flatbuffer = quantize.convert(graph, weights, end, quantize.calibrate(graph, weights, end.encode(raw)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(flatbuffer)
    if network.raw:
        description = {
            "model_sha256": hashlib.sha256(flatbuffer).hexdigest(),
            "front_end": end.to_json(),
            "class_names": [f"class {i}" for i in range(CLASSES)],
        }
        (folder / "model.json").write_text(json.dumps(description))
    return folder / "model.tflite"
