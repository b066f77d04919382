"""Shapes and counts of the op graph against Keras' own."""

import json

import keras
import numpy as np
import pytest

from export.quantization import quantize
from loggrad_tf.errors import LogGradError
from models import keras_net, zoo
from models.field import receptive_field
from models.graph import WEIGHTED, Graph, GraphBuilder, Op, adapted, macs, weight_count


def every_kind(classes: int = 3) -> Graph:
    """A network with every op kind, odd sizes, strides, both paddings and a padded addition."""
    b = GraphBuilder()
    x = b.input(33, 29, 1)
    x = b.conv(x, 6, 5, stride=2, padding="same", bn=True, relu=True)
    left = b.depthwise(b.max_pool(x, 2), 3, bn=True)
    right = b.conv(b.avg_pool(x, 2), 6, 1, relu=True)
    x = b.add([left, right], relu=True)
    x = b.conv(x, 4, 3, bn=True)
    y = b.dense(b.flatten(b.max_pool(x, 2, 1)), 7, relu=True)
    return b.build(b.dense(y, classes))


def global_average() -> Graph:
    b = GraphBuilder()
    x = b.depthwise(b.conv(b.input(16, 16, 1), 4, 3, relu=True), 3, stride=2, padding="same", relu=True)
    return b.build(b.dense(b.global_avg(x), 1))


GRAPHS = {
    "every kind": every_kind(),
    "global average": global_average(),
    "small_bn": zoo.small_bn(96, 3),
    "cells": zoo.cells((120, 160), 2),
    "2conv1fc": zoo.two_conv_one_fc(96, 3),
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_shapes_and_weight_counts_equal_keras(graph: Graph) -> None:
    model = keras_net.build(graph)
    for op in graph.ops[1:]:
        layer = model.get_layer(op.name)
        assert tuple(layer.output.shape[1:]) == op.shape, op.name
        assert weight_count(graph, op) == layer.count_params(), op.name


def test_hand_counted_macs() -> None:
    graph = zoo.small_bn(96, 3)
    convolutions = [macs(graph, op) for op in graph.ops if op.kind == "conv"]
    assert convolutions == [48 * 48 * 72, 24 * 24 * 720, 12 * 12 * 1440, 6 * 6 * 4608]
    assert macs(graph, graph.ops[-1]) == 32 * 3
    assert sum(weight_count(graph, op) for op in graph.ops) == 80 + 730 + 1456 + 4640 + 99


def test_the_detector_is_what_it_says() -> None:
    graph = zoo.cells((160, 240), 2)
    assert graph.cells == (10, 15) and graph.output_units == 3
    assert sum(macs(graph, op) for op in graph.ops) == 2_838_000
    assert sum(weight_count(graph, op) for op in graph.ops) == 12_995
    assert receptive_field(graph) == (225, 225)
    # 120 rows are no multiple of 16: the last row of cells reaches over the edge.
    assert adapted(graph, (120, 160), 3) == zoo.cells((120, 160), 3)
    assert zoo.cells((120, 160), 3).cells == (8, 10)


def test_json_round_trip_and_hash() -> None:
    graph = every_kind()
    again = Graph.from_json(json.loads(json.dumps(graph.to_json())))
    assert again == graph and again.sha256() == graph.sha256()
    assert every_kind(4).sha256() != graph.sha256()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (14, 14, 8)}, "its inputs give"),
        ({"kind": "deconv"}, "unknown kind"),
        ({"inputs": (3,)}, "must come before"),
    ],
)
def test_inconsistent_graphs_are_refused(change: dict, message: str) -> None:
    ops = every_kind().to_json()["ops"]
    ops[1] = {**ops[1], **change}
    with pytest.raises(LogGradError, match=message):
        Graph.from_json({"ops": ops})


def test_an_empty_map_names_the_op() -> None:
    b = GraphBuilder()
    x = b.conv(b.input(4, 4, 1), 2, 5)
    with pytest.raises(LogGradError, match=r"op 1 \('conv_1', conv\): empty output"):
        b.build(b.dense(b.flatten(x), 3))


def test_unknown_op_field_is_refused() -> None:
    with pytest.raises(LogGradError, match="unknown key 'dilation'"):
        Op.from_json({"kind": "input", "inputs": [], "shape": [4, 4, 1], "dilation": 2})


def test_folding_keeps_the_function() -> None:
    """The folded network, evaluated as convolution and bias only, equals the trained one."""
    graph = every_kind()
    model = keras_net.build(graph)
    rng = np.random.default_rng(0)
    # Positive numbers of all sizes: moving variances among them.
    model.set_weights([rng.lognormal(size=w.shape).astype(np.float32) * 0.3 for w in model.get_weights()])
    x = rng.integers(-1, 2, (5, 33, 29, 1)).astype(np.float32)
    folded = quantize.forward(graph, keras_net.fold(graph, model), x)
    np.testing.assert_allclose(folded, model(x), rtol=2e-4)


def test_first_weights_by_fan_in() -> None:
    graph = every_kind()
    keras.utils.set_random_seed(1)
    model, glorot = keras_net.build(graph, initializer="fan_in"), keras_net.build(graph)
    for op in graph.ops:
        if op.kind in WEIGHTED:
            kernel, bias = (np.asarray(w) for w in model.get_layer(op.name).get_weights())
            limit = 1 / np.sqrt(kernel.size / bias.size)
            assert 0.8 * limit < np.abs(kernel).max() <= limit and 0 < np.abs(bias).max() <= limit
            assert not np.any(glorot.get_layer(op.name).get_weights()[1])
    keras.utils.set_random_seed(1)
    again = keras_net.build(graph, initializer="fan_in").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(again, model.get_weights(), strict=True))


def test_a_diverged_network_is_not_folded() -> None:
    graph = global_average()
    model = keras_net.build(graph)
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(LogGradError, match="the training diverged"):
        keras_net.fold(graph, model)


def test_adapted_to_another_size_and_other_classes() -> None:
    for net in (zoo.small_bn, zoo.two_conv_one_fc):
        assert adapted(net(96, 3), 96, 3) == net(96, 3)
        assert adapted(net(96, 3), 64, 2) == net(64, 2)
        assert adapted(net(64, 2), 96, 5) == net(96, 5)
    graph = every_kind()
    assert adapted(adapted(graph, 41, 2), 33, 3).ops[-1] == graph.ops[-1]
    with pytest.raises(LogGradError, match="empty output"):
        adapted(graph, 8, 3)
    b = GraphBuilder()
    averaged = b.build(b.global_avg(b.conv(b.input(8, 8, 1), 3, 3)))
    assert adapted(averaged, 10, 3).input_shape == (10, 10, 1)
    with pytest.raises(LogGradError, match="op 'global_avg_2': the last one is no dense layer"):
        adapted(averaged, 8, 4)
