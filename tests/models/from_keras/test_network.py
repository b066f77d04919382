"""The graph and weights that are read compute what the Keras model computes."""

import keras
import numpy as np
import pytest

from export.quantization import quantize
from loggrad_tf import GradientQuantizer, LogGradError
from loggrad_tf.transform.sensor import Sensor
from models import keras_net
from models.from_keras.network import read
from tests.models.test_graph import GRAPHS
from tests.support import converted
from tests.support.keras_models import FRONTS, MODELS, SIDE, behind, randomised

SENSOR = Sensor(12, 0, 4095)


def without_decision(model: keras.Model) -> keras.Model:
    """The model up to its logits."""
    last = model.layers[-1]
    if getattr(last, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid):
        last.activation = keras.activations.linear
    elif isinstance(last, keras.layers.Softmax):
        return keras.Model(model.inputs, last.input)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_reads_what_the_model_computes(name: str) -> None:
    model = randomised(MODELS[name]())
    found = read(model)
    inputs = np.random.default_rng(1).normal(0, 1, (5, SIDE, SIDE, 1)).astype(np.float32)
    wanted = np.asarray(without_decision(model)(inputs, training=False))
    assert np.ptp(wanted) > 0.01
    np.testing.assert_allclose(quantize.forward(found.graph, found.weights, inputs), wanted, atol=2e-5)
    assert found.front_end(SENSOR) is None and found.size == SIDE


@pytest.mark.parametrize("name", FRONTS)
def test_a_layer_in_front_is_the_front_end(name: str) -> None:
    rows, columns = sides = SIDE, SIDE + 6
    model = randomised(behind(FRONTS[name](), sides))
    found = read(model)
    assert found.size == sides
    front_end = found.front_end(SENSOR)
    assert front_end is not None and front_end.format == name
    pixels = np.random.default_rng(2).integers(0, 4096, (5, rows, columns)).astype(np.uint16)
    wanted = np.asarray(without_decision(model)(pixels[..., None], training=False))
    outputs = quantize.forward(found.graph, found.weights, front_end.encode(pixels))
    np.testing.assert_allclose(outputs, wanted, atol=2e-5)


OWN = {name: graph for name, graph in GRAPHS.items() if graph.cells is None} | {
    f"candidate {seed}": converted.candidate(seed, 300_000) for seed in range(0, 18, 4)
}


@pytest.mark.parametrize("name", OWN)
def test_networks_of_this_project_are_read_back(name: str) -> None:
    graph = OWN[name]
    model = randomised(keras_net.build(graph))
    found = read(model)
    inputs = np.random.default_rng(3).normal(0, 1, (2, *graph.input_shape)).astype(np.float32)
    outputs = quantize.forward(found.graph, found.weights, inputs)
    wanted = np.asarray(model(inputs, training=False))
    np.testing.assert_allclose(outputs, wanted, rtol=1e-3, atol=1e-4)
    assert sorted(op.kind for op in found.graph.ops) == sorted(op.kind for op in graph.ops)


def test_a_layer_in_front_may_begin_a_model_in_the_model() -> None:
    levels = GradientQuantizer((5500,))
    inner = keras.Sequential([keras.Input((SIDE, SIDE, 1)), levels, keras.layers.Conv2D(2, 3)])
    pixels = keras.Input((SIDE, SIDE, 1))
    found = read(keras.Model(pixels, keras.layers.Dense(3)(keras.layers.Flatten()(inner(pixels)))))
    assert found.front is levels


def test_weights_that_float32_cannot_hold_are_refused() -> None:
    norm = keras.layers.BatchNormalization(epsilon=0.0)
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False), norm]
    )
    norm.moving_variance.assign([1e-38, 1])
    model.layers[1].kernel.assign(np.full((16, 2), 1e30))
    with pytest.raises(LogGradError, match="op 'dense_2' has weights that are not finite"):
        read(model)
