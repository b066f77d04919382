"""search.space.staged: limits, JSON, shapes, and that hand-made networks are points of it."""

import dataclasses
import json

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from models import zoo
from models.graph import SAME
from search.space import staged
from search.space.staged import Block, Stage, Staged, Stem, assemble, random_staged, scaled

CONV = Block("conv", 3, 2, False)


@pytest.fixture(scope="module")
def drawn() -> list[Staged]:
    rng = np.random.default_rng(1)
    return [random_staged(rng, pruned=k % 2 == 0) for k in range(4000)]


def _ops(genotype: Staged, side: int = 32) -> list[tuple[str, tuple[int, ...]]]:
    return [(op.kind, op.shape) for op in assemble(genotype, (side, side, 1), 3).ops]


@pytest.mark.parametrize("side", [32, 48, 96, 128])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_small_bn_is_a_point_of_the_space(side: int, classes: int) -> None:
    found = assemble(staged.STARTS["small_bn"], (side, side, 1), classes)
    assert found == zoo.small_bn(side, classes)


def test_the_other_fixed_network_is_none_for_the_reasons_given() -> None:
    toy = zoo.two_conv_one_fc(32, 3)
    assert not any(op.bn for op in toy.ops)
    assert [op.kind for op in toy.ops[-3:]] == ["max_pool", "flatten", "dense"]
    assert set(zoo.NETWORKS) == {"small_bn", "two_conv_one_fc"}


def test_json(drawn: list[Staged]) -> None:
    for genotype in drawn[:100]:
        assert Staged.from_json(json.loads(json.dumps(genotype.to_json()))) == genotype


def test_every_limit_is_drawn(drawn: list[Staged]) -> None:
    blocks = [block for g in drawn for stage in g.stages for block in stage.blocks]
    assert {(g.stem.kernel, g.stem.stride) for g in drawn} == {(k, s) for k in (3, 5, 7) for s in (1, 2)}
    assert {len(g.stages) for g in drawn} == {2, 3, 4}
    assert {len(stage.blocks) for g in drawn for stage in g.stages} == {1, 2, 3}
    for field, values in (
        ("kind", {"conv", "separable", "inverted"}),
        ("kernel", {3, 5}),
        ("expansion", {2, 3, 4}),
        ("residual", {False, True}),
    ):
        assert {getattr(block, field) for block in blocks} == values
        if field != "kind":
            assert {getattr(block, field) for block in blocks if block.kind == "inverted"} == values
    assert {stage.pool for g in drawn for stage in g.stages} == {False, True}
    assert {(g.hidden is None, g.flat) for g in drawn} == {
        (a, b) for a in (False, True) for b in (False, True)
    }
    assert all((g.sparsity is None) == (k % 2 == 1) for k, g in enumerate(drawn))


def test_limits_are_enforced() -> None:
    stage, stem = Stage(True, 8, (CONV,)), Stem(3, 2, 8)
    for make, what in (
        (lambda: Stem(9, 2, 8), "kernel 9 of the stem"),
        (lambda: Stem(3, 3, 8), "stride 3"),
        (lambda: Stem(3, 2, 129), "129 filters"),
        (lambda: Block("pointwise", 3, 2, False), "block 'pointwise'"),
        (lambda: Block("conv", 7, 2, False), "kernel 7"),
        (lambda: Block("inverted", 3, 5, False), "expansion 5"),
        (lambda: Stage(True, 0, (CONV,)), "width 0"),
        (lambda: Stage(True, 8, (CONV,) * 4), "4 blocks"),
        (lambda: Staged(stem, (stage,), None, False), "1 stages"),
        (lambda: Staged(stem, (stage, Stage(True, 7, (CONV,))), None, False), "widths 8, 8, 7, which shrink"),
        (lambda: Staged(stem, (stage, stage), 9, False), "9 hidden units"),
        (lambda: Staged(stem, (stage, stage), None, False, 0.9), "sparsity 0.9"),
    ):
        with pytest.raises(LogGradError, match=f"outside the search space: .*{what}"):
            make()


def test_blocks_by_hand() -> None:
    """Each kind, sampled down by pool and by step, with and without a residual."""
    inverted, separable = Block("inverted", 5, 3, True), Block("separable", 3, 2, True)
    genotype = Staged(
        Stem(7, 1, 4),
        (
            Stage(True, 4, (separable, Block("conv", 5, 2, True))),
            Stage(False, 6, (inverted, inverted)),
        ),
        12,
        True,
    )
    assert _ops(genotype, 20) == [
        ("input", (20, 20, 1)),
        ("conv", (20, 20, 4)),
        ("max_pool", (10, 10, 4)),
        ("depthwise", (10, 10, 4)),
        ("conv", (10, 10, 4)),
        ("add", (10, 10, 4)),
        ("conv", (10, 10, 4)),
        ("add", (10, 10, 4)),
        ("conv", (10, 10, 12)),
        ("depthwise", (5, 5, 12)),
        ("conv", (5, 5, 6)),
        ("conv", (5, 5, 18)),
        ("depthwise", (5, 5, 18)),
        ("conv", (5, 5, 6)),
        ("add", (5, 5, 6)),
        ("flatten", (150,)),
        ("dense", (12,)),
        ("dense", (3,)),
    ]
    ops = assemble(genotype, (20, 20, 1), 3).ops
    assert [op.relu for op in ops[1:15] if op.kind != "max_pool"] == [
        True, True, False, True, False, True, True, True, False, True, True, False, False,
    ]  # fmt: skip
    assert ops[5].inputs == (2, 4) and ops[7].inputs == (5, 6) and ops[14].inputs == (10, 13)
    assert all(op.bn for op in ops if op.kind in ("conv", "depthwise"))
    assert {op.padding for op in ops if op.kernel[0] > 1 and op.kind != "max_pool"} == {SAME}


def test_a_top_widens_what_the_head_reads() -> None:
    stages = (Stage(True, 8, (CONV,)),) * 2
    topped = Staged(Stem(3, 2, 8), stages, None, False, top=40)
    assert _ops(topped, 48)[-3:-1] == [("conv", (6, 6, 40)), ("global_avg", (40,))]
    assert scaled(topped, 0.5).top == 20 and scaled(topped, 9).top == 128
    assert Staged.from_json(topped.to_json()) == topped
    with pytest.raises(LogGradError, match="a top of width 0, not 1 to 128"):
        dataclasses.replace(topped, top=0)


def test_only_small_maps_are_flattened() -> None:
    stages = (Stage(True, 8, (CONV,)),) * 2
    flat = Staged(Stem(3, 2, 8), stages, 16, True)
    assert ("flatten", (6 * 6 * 8,)) in _ops(flat, 48)
    assert ("global_avg", (8,)) in _ops(flat, 56)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
def test_tiny_maps_never_fail(side: int, drawn: list[Staged]) -> None:
    for genotype in drawn[:150]:
        graph = assemble(scaled(genotype, 0.1), (side, side, 1), 3)
        assert all(min(op.shape) >= 1 for op in graph.ops)
    assemble(drawn[0], (1, 9, 1), 3)


def test_scaled_stays_in_the_space(drawn: list[Staged]) -> None:
    for genotype in drawn[:200]:
        assert set(scaled(genotype, 1e-3).widths) == {1} and set(scaled(genotype, 1e3).widths) == {128}
        half = scaled(genotype, 0.5)
        assert all(
            new == max(round(old / 2), 1) for new, old in zip(half.widths, genotype.widths, strict=True)
        )
        assert half.sparsity == genotype.sparsity


@pytest.mark.seconds
def test_shapes_equal_keras(drawn: list[Staged]) -> None:
    import keras

    from models import keras_net

    for genotype in drawn[:6]:
        graph = assemble(scaled(genotype, 0.2), (24, 24, 1), 3)
        assert keras_net.build(graph).output_shape == (None, 3)
        keras.backend.clear_session()
