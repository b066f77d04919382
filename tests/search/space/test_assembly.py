"""search.space.assembly: shapes by hand, tiny maps, and Keras as the judge."""

import numpy as np
import pytest

from models.graph import SAME, VALID, Graph
from search.cost.munas import size
from search.space.assembly import assemble
from search.space.genotype import Block, Genotype, Layer, Pooling, random_genotype


def _layer(kind: str = "conv", filters: int = 4, **changes: bool | int) -> Layer:
    fields = {"kernel": 3, "strided": False, "prepool": False, "bn": False, "relu": True, **changes}
    return Layer(kind=kind, filters=filters, **fields)  # type: ignore[arg-type]


def _ops(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    return [(op.kind, op.shape) for op in graph.ops]


def test_branch_runs_beside_the_last_serial_block() -> None:
    genotype = Genotype(
        (
            Block(False, (_layer(filters=2),)),
            Block(False, (_layer(filters=5),)),
            Block(True, (_layer(filters=9, strided=True),)),  # takes the 5 channels of its neighbour
            Block(True, (_layer("depthwise", bn=True),)),  # 2 channels, then 1x1 to 5
            Block(False, (_layer("pointwise", filters=3, strided=True),)),
        ),
        Pooling("avg", 4),
        (10,),
    )
    graph = assemble(genotype, (16, 16, 1), 4)
    assert _ops(graph) == [
        ("input", (16, 16, 1)),
        ("conv", (14, 14, 2)),
        ("conv", (12, 12, 5)),
        ("conv", (6, 6, 5)),
        ("depthwise", (12, 12, 2)),
        ("conv", (12, 12, 5)),
        ("max_pool", (6, 6, 5)),
        ("max_pool", (6, 6, 5)),
        ("add", (6, 6, 5)),
        ("conv", (6, 6, 3)),
        ("avg_pool", (1, 1, 3)),
        ("flatten", (3,)),
        ("dense", (10,)),
        ("dense", (4,)),
    ]
    assert graph.ops[3].inputs == graph.ops[4].inputs == (1,)
    assert graph.ops[8].inputs == (6, 3, 7)
    assert graph.ops[4].bn and not graph.ops[5].bn and not graph.ops[5].relu
    assert graph.ops[9].stride == (1, 1)
    assert graph.ops[12].relu and not graph.ops[13].relu


def test_pooled_sizes_round_down() -> None:
    genotype = Genotype((Block(False, (_layer(prepool=True),)),), Pooling("max", 4), (10,))
    shapes = [op.shape for op in assemble(genotype, (27, 27, 1), 3).ops]
    assert shapes[1:4] == [(13, 13, 1), (11, 11, 4), (2, 2, 4)]


def test_padded_convolutions_keep_the_size_of_a_map() -> None:
    genotype = Genotype(
        (
            Block(False, (_layer(filters=2, strided=True),)),
            Block(False, (_layer("depthwise", kernel=5, prepool=True),)),
            Block(True, (_layer(filters=7, strided=True),)),
            Block(False, (_layer("pointwise"),)),
        ),
        Pooling("avg", 6),
        (10,),
    )
    graph = assemble(genotype, (27, 27, 1), 3, SAME)
    assert _ops(graph)[1:8] == [
        ("conv", (14, 14, 2)),
        ("max_pool", (7, 7, 2)),
        ("depthwise", (7, 7, 2)),
        ("conv", (7, 7, 2)),
        ("add", (7, 7, 2)),
        ("conv", (7, 7, 4)),
        ("avg_pool", (1, 1, 4)),
    ]
    assert [op.padding for op in graph.ops if op.kind in ("conv", "depthwise")] == [SAME, SAME, SAME, VALID]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_output_units(classes: int) -> None:
    graph = assemble(random_genotype(np.random.default_rng(0)), (32, 32, 1), classes)
    assert graph.output_units == (1 if classes == 2 else classes)


@pytest.mark.parametrize("padding", [VALID, SAME])
@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
def test_tiny_maps_never_fail(side: int, padding: str) -> None:
    for seed in range(200):
        graph = assemble(random_genotype(np.random.default_rng(seed)), (side, side, 1), 3, padding)
        assert all(min(op.shape) >= 1 for op in graph.ops)


def test_flat_maps_never_fail() -> None:
    for seed in range(100):
        assemble(random_genotype(np.random.default_rng(seed)), (1, 9, 1), 3)


def test_steps_without_effect_do_not_reach_the_graph() -> None:
    plain, strided = (
        assemble(Genotype((Block(False, (_layer(strided=s),)),), None, (10,)), (3, 3, 1), 3)
        for s in (False, True)
    )
    assert plain == strided


@pytest.mark.seconds
def test_shapes_and_weights_equal_keras() -> None:
    """Every op's output shape, and the count of kernels and biases, on random genotypes."""
    import keras

    from models import keras_net

    for seed in range(14):
        rng = np.random.default_rng(seed)
        side = int(rng.integers(6, 40))
        classes, padding = int(rng.integers(2, 5)), (VALID, SAME)[seed % 2]
        graph = assemble(random_genotype(rng), (side, side, 1), classes, padding)
        keras.backend.clear_session()
        model = keras_net.build(graph)
        for op in graph.ops[1:]:
            assert model.get_layer(op.name).output.shape[1:] == op.shape, (seed, op)
        weighted = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
        counted = sum(layer.count_params() for layer in model.layers if isinstance(layer, weighted))
        assert size(graph) == counted, seed
        assert model(np.zeros((1, side, side, 1), np.float32)).shape[1:] == graph.ops[-1].shape
