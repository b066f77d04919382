"""models.variables: the order of a network's weights is Keras'."""

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from models import keras_net, zoo
from models.graph import Graph, GraphBuilder
from models.variables import by_layer, in_order, shapes
from search.space import assembly, genotype, staged
from tests.models.pruning.test_shrink import random_network


def networks(seed: int) -> list[Graph]:
    """Of either space, and one of any form."""
    rng = np.random.default_rng(seed)
    layered = assembly.assemble(genotype.scaled(genotype.random_genotype(rng), 0.1), (64, 64, 1), 3)
    return [
        staged.assemble(staged.scaled(staged.random_staged(rng), 0.2), (48, 48, 1), 3),
        layered,
        random_network(seed),
    ]


@pytest.mark.seconds
@pytest.mark.parametrize("seed", range(12))
def test_layers_and_arrays_are_in_keras_order(seed: int) -> None:
    for graph in networks(seed):
        model = keras_net.build(graph)
        theirs = [(layer.name, [w.shape for w in layer.weights]) for layer in model.layers if layer.weights]
        assert [(name, list(of_layer)) for name, of_layer in shapes(graph).items()] == theirs
        weights = model.get_weights()
        layers = by_layer(graph, weights)
        for name, arrays in layers.items():
            for ours, theirs_ in zip(arrays, model.get_layer(name).get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs_)
        back = in_order(graph, layers)
        assert len(back) == len(weights) and all(a is b for a, b in zip(back, weights, strict=True))


def test_a_short_branch_stands_behind_a_long_one() -> None:
    """Keras goes by the distance from the output, padding included, not by the order of the ops."""
    b = GraphBuilder()
    x = b.input(9, 9, 1)
    short = b.conv(x, 2, 1)
    long = b.conv(b.conv(x, 3, 3, bn=True), 2, 1, relu=True)
    graph = b.build(b.dense(b.global_avg(b.add([short, long])), 3))
    assert list(shapes(graph)) == ["conv_2", "conv_2_bn", "conv_3", "conv_1", "dense_6"]


def test_weights_of_another_network_are_refused() -> None:
    graph = zoo.small_bn(16, 3)
    weights = [np.zeros(shape) for of_layer in shapes(graph).values() for shape in of_layer]
    with pytest.raises(LogGradError, match="25 arrays are not the weights of a network that has 26"):
        by_layer(graph, weights[:-1])
    with pytest.raises(LogGradError, match="26 arrays are not the weights"):
        by_layer(graph, [*weights[:-1], np.zeros(4)])
