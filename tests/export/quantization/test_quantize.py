"""The converter gives the scales that calibration asked for, and int8 stays near float."""

import types

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from export import WITH_CONVERTER
from export.quantization import converter, quantize
from export.tflite import graph as tflite_graph
from export.tflite.interpreter import ReferenceInterpreter
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FORMATS
from loggrad_tf.transform.sensor import Sensor
from models import keras_net
from models.graph import Graph, GraphBuilder
from tests.models.test_graph import every_kind, global_average

SENSOR = Sensor(bits=10, black=0, white=1023)


def converted(graph: Graph, name: str) -> tuple[bytes, quantize.Ranges, np.ndarray, np.ndarray]:
    """Flatbuffer, ranges, pixels and the float network's logits."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, SENSOR.span + 1, (40, *graph.input_shape[:2])).astype(np.uint16)
    front_end = frontend.fit(name, SENSOR, pixels)
    keras_net.keras.utils.set_random_seed(3)
    weights = keras_net.fold(graph, keras_net.build(graph))
    inputs = front_end.encode(pixels)
    ranges = quantize.calibrate(graph, weights, inputs)
    flatbuffer = quantize.convert(graph, weights, front_end, ranges)
    return flatbuffer, ranges, pixels, quantize.forward(graph, weights, inputs)


@pytest.mark.seconds
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_keeps_its_input_scale_and_follows_the_float_network(name: str) -> None:
    graph = every_kind()
    flatbuffer, ranges, pixels, logits = converted(graph, name)
    front_end = frontend.fit(name, SENSOR, pixels)
    network = ReferenceInterpreter(flatbuffer)
    assert network.input_quantization == pytest.approx((front_end.input_scale, front_end.input_zero_point))
    scale, zero_point = network.output_quantization
    got = scale * (network.run(front_end.encode_int8(pixels)).astype(float) - zero_point)
    spread = logits.max() - logits.min()
    assert np.abs(got - logits).mean() < 0.05 * spread


@pytest.mark.seconds
def test_ranges_become_scales_and_names_survive() -> None:
    graph = global_average()
    flatbuffer, ranges, _, _ = converted(graph, "loggrad_1p5")
    interpreter = Interpreter(
        model_content=flatbuffer, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    tensors = interpreter.get_tensor_details()
    assert {t["dtype"] for t in tensors} <= {np.int8, np.int32}
    for name, (low, high) in ranges.outputs.items():
        scales = [
            t["quantization_parameters"]["scales"]
            for t in tensors
            if name in t["name"] and t["dtype"] is np.int8
        ]
        expected = (high - low) / 255
        assert any(len(s) == 1 and s[0] == pytest.approx(expected, rel=1e-5) for s in scales), name
        if name.startswith(("conv", "depthwise")):
            channels = next(op.shape[-1] for op in graph.ops if op.name == name)
            assert any(len(s) == channels for s in scales), f"{name}: kernel is not per channel"


@pytest.mark.seconds
def test_a_sum_of_many_maps_is_int8_throughout() -> None:
    """Four operands of three sizes; every tensor is an integer, and the planner reads the file."""
    b = GraphBuilder()
    x = b.input(16, 16, 1)
    maps = [b.conv(x, 4, k, relu=True) for k in (3, 5)] + [b.depthwise(x, 3), b.conv(x, 4, 7)]
    maps[2] = b.conv(maps[2], 4, 1)
    graph = b.build(b.dense(b.flatten(b.max_pool(b.add(maps, relu=True), 4)), 3))
    flatbuffer, _, pixels, logits = converted(graph, "loggrad_1p5")
    assert [op.kind for op in tflite_graph.parse(flatbuffer).ops].count("add") == 3
    network, front_end = ReferenceInterpreter(flatbuffer), frontend.fit("loggrad_1p5", SENSOR, pixels)
    scale, zero_point = network.output_quantization
    got = scale * (network.run(front_end.encode_int8(pixels)).astype(float) - zero_point)
    assert np.abs(got - logits).mean() < 0.05 * (logits.max() - logits.min())


def test_a_dead_network_still_converts() -> None:
    graph = global_average()
    weights = keras_net.fold(graph, keras_net.build(graph))
    zero = keras_net.FoldedWeights(
        {k: np.zeros_like(v) for k, v in weights.kernels.items()},
        {k: np.zeros_like(v) for k, v in weights.biases.items()},
    )
    front_end = frontend.fixed("loggrad_1p5", SENSOR)
    inputs = np.zeros((4, 16, 16, 1), np.float32)
    ranges = quantize.calibrate(graph, zero, inputs)
    network = ReferenceInterpreter(quantize.convert(graph, zero, front_end, ranges))
    _, zero_point = network.output_quantization
    assert (network.run(inputs.astype(np.int8)) == zero_point).all()


def test_a_damaged_flatbuffer_is_refused() -> None:
    with pytest.raises(LogGradError, match="does not load in TFLite"):
        ReferenceInterpreter(b"TFL3" + bytes(100))


def test_a_tensorflow_without_the_converter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = global_average()
    weights = keras_net.fold(graph, keras_net.build(graph))
    front_end = frontend.fixed("loggrad_1p5", SENSOR)
    ranges = quantize.calibrate(graph, weights, np.zeros((1, *graph.input_shape), np.float32))
    reason = r"TensorFlow 9\.1 has no converter to \.tflite \(tf\.lite\): install tensorflow==2\.21\.0"
    for lite in ({}, {"lite": types.SimpleNamespace()}):
        without = types.SimpleNamespace(__version__="9.1", Module=tf.Module, int8=tf.int8, **lite)
        monkeypatch.setattr(converter, "tf", without)
        with pytest.raises(LogGradError, match=reason):
            quantize.convert(graph, weights, front_end, ranges)


def test_the_tensorflow_that_is_advised_is_the_one_tested_with() -> None:
    assert tf.__version__ == WITH_CONVERTER
