"""The network without weights is planned like the one that is trained and converted."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from export import boards
from export.plan import memory
from export.plan.input import describe
from export.plan.plan import Plan
from export.predict import costs, footprint
from export.quantization import quantize
from export.quantization.nominal import nominal
from export.quantization.pairwise import pairwise
from export.tflite import graph as tflite_graph
from export.tflite.quant_graph import QuantGraph
from loggrad_tf.transform.frontend import FORMATS
from models import keras_net
from models.from_keras.network import read
from models.graph import Graph, GraphBuilder
from tests.models.test_graph import GRAPHS
from tests.support import converted
from tests.support.keras_models import MODELS, randomised

BOARDS = ("mps2-an386", "stm32vldiscovery", "microbit", "mps3-an547")


def operators(graph: QuantGraph) -> list[tuple[Any, ...]]:
    """What plans depend on, operator by operator; inputs by the position that makes them."""
    place = {op.output: at for at, op in enumerate(graph.ops)}
    return [
        (op.name, [place.get(key, -1) for key in op.inputs], graph.tensors[op.output].shape, op.kernel)
        + (op.stride, op.dilation, op.before, len(op.scales), len(op.reach))
        for op in graph.ops
    ]


def planned(made: Plan) -> dict[str, Any]:
    """Everything of a plan that does not depend on weights; maps in order, not by their keys."""
    return {
        "arena": (made.arena_bytes, made.bound),
        "choice": made.choice,
        "cuts": made.cuts,
        "calls": made.schedule.calls,
        "rows": list(made.schedule.rows.values()),
        "offsets": list(made.offsets.values()),
        "sums": made.sums,
        "kernels": [kernel.function for kernel in made.kernels],
        "constants": [{n: (c.shape, c.dtype) for n, c in k.constants.items()} for k in made.kernels],
    }


def padding(made: Plan) -> int:
    return sum(memory.padding(made).values())


def rounding(made: Plan) -> list[bool]:
    """Of each node, whether it is seen how halves below the zero point are rounded.

    Outputs of a layer without ReLU may all be above 0 by chance: then it is not.
    """
    network = made.network
    return [node.low < network.maps[node.output].pad for node in network.nodes]


def compare(graph: Graph, name: str, seed: int = 0) -> None:
    end = converted.front_end(name)
    found, real = nominal(graph, end), tflite_graph.parse(converted.flatbuffer(graph, end, seed))
    assert operators(found) == operators(real)
    tensor = real.tensors[real.input]
    source = describe(end, tensor.shape, tensor.scale, tensor.zero_point)
    for board in map(boards.read, BOARDS):
        one, other = (footprint.plan(network, source, board) for network in (found, real))
        assert planned(one) == planned(other), board["name"]
        expected, actual = (footprint.predict(made, source, board) for made in (one, other))
        # Maps that share a zero point share a row of padding; weights may bring that about by chance.
        shared = padding(one) - padding(other)
        if actual.flash is not None:
            actual = dataclasses.replace(actual, flash=actual.flash + shared)
        assert shared >= 0 and expected == actual
        asked, got = (costs.predict(made, source, board["core"]) for made in (one, other))
        assert len(asked) == len(got)
        for place, (seen, really) in enumerate(zip(rounding(one), rounding(other), strict=True)):
            if seen and not really and board["name"] == "mps3-an547":
                assert got[place] <= asked[place]
                asked[place] = got[place]
        assert asked == got, board["name"]


@pytest.mark.seconds
@pytest.mark.parametrize("name", MODELS)
def test_networks_that_were_keras_models(name: str) -> None:
    compare(read(randomised(MODELS[name]())).graph, "loggrad_1p5")


@pytest.mark.seconds
@pytest.mark.parametrize("seed", range(12))
def test_random_candidates(seed: int) -> None:
    compare(converted.candidate(seed), FORMATS[seed % len(FORMATS)], seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 200, 10))
def test_many_random_candidates(first: int) -> None:
    for seed in range(first, first + 10):
        compare(converted.candidate(seed), FORMATS[seed % len(FORMATS)], seed)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_other_graphs(graph: Graph) -> None:
    """With padding, means and batch norms."""
    compare(graph, "loggrad_1p5")


def branches(count: int) -> Graph:
    """So many branches of equal pools, of which the later ones are larger, joined by one addition."""
    b = GraphBuilder()
    x = b.conv(b.input(20, 20, 1), 4, 3, relu=True)
    ends = [b.conv(b.max_pool(x, 2), 5, max(5 - i, 1), relu=i % 2 == 0) for i in range(count)]
    return b.build(b.dense(b.flatten(b.add(ends, relu=True)), 3))


@pytest.mark.parametrize("count", [2, 3, 5, 11])
def test_branches_of_equal_pools(count: int) -> None:
    compare(branches(count), "loggrad_2p25")


def test_branches_come_in_the_order_of_their_names() -> None:
    b = GraphBuilder()
    x = b.input(8, 8, 1)
    for _ in range(7):
        x = b.conv(x, 2, 1, relu=True)
    x = b.add([b.conv(b.conv(x, 2, 1, relu=True), 2, 1, relu=True), b.conv(x, 2, 1, relu=True)])
    graph = b.build(b.dense(b.flatten(x), 3))
    assert [op.name for op in graph.ops[8:11]] == ["conv_8", "conv_9", "conv_10"]
    found = nominal(graph, converted.front_end("loggrad_1p5"))
    made = [found.tensors[op.output].name.split("/")[0] for op in found.ops]
    assert made[7:11] == ["conv_10", "conv_8", "conv_9", "add_11"]
    compare(graph, "loggrad_1p5")


def test_additions_of_two_compute_the_addition_of_many() -> None:
    graph = branches(5)
    pairs = pairwise(graph)
    assert all(len(op.inputs) <= 2 for op in pairs.ops) and pairwise(pairs) is pairs
    assert sum(op.relu for op in pairs.ops) == sum(op.relu for op in graph.ops)
    weights = keras_net.fold(graph, keras_net.build(graph))
    end = converted.front_end("loggrad_1p5")
    pixels = np.random.default_rng(1).integers(0, 900, (4, 20, 20)).astype(np.uint16)
    one, other = (quantize.forward(g, weights, end.encode(pixels)) for g in (graph, pairs))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
