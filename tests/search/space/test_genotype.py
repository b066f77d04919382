"""search.space.genotype: JSON, limits and the sampler's reach."""

import json

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from search.space.genotype import Block, Genotype, Layer, Pooling, random_genotype, scaled


@pytest.fixture(scope="module")
def drawn() -> list[Genotype]:
    rng = np.random.default_rng(1)
    return [random_genotype(rng) for _ in range(3000)]


@pytest.mark.seconds
def test_json_round_trip(drawn: list[Genotype]) -> None:
    for genotype in drawn[:100]:
        assert Genotype.from_json(json.loads(json.dumps(genotype.to_json()))) == genotype


def test_unknown_and_missing_keys_are_named(drawn: list[Genotype]) -> None:
    data = drawn[0].to_json()
    with pytest.raises(LogGradError, match="unknown key 'depth'"):
        Genotype.from_json(data | {"depth": 3})
    data["blocks"][0]["layers"][0].pop("kernel")
    with pytest.raises(LogGradError, match="key 'kernel' is missing"):
        Genotype.from_json(data)


def test_every_limit_is_drawn(drawn: list[Genotype]) -> None:
    layers = [layer for g in drawn for b in g.blocks for layer in b.layers]
    assert {len(g.blocks) for g in drawn} == set(range(1, 11))
    assert {len(b.layers) for g in drawn for b in g.blocks} == {1, 2, 3}
    assert {layer.filters for layer in layers} == set(range(1, 129))
    assert {layer.kernel for layer in layers} == {3, 5, 7}
    assert {layer.kind for layer in layers} == {"conv", "pointwise", "depthwise"}
    assert {len(g.dense) for g in drawn} == {1, 2, 3}
    assert {u for g in drawn for u in g.dense} == set(range(10, 257))
    pools = {(p.kind, p.size) for g in drawn if (p := g.pooling)}
    assert pools == {(k, s) for k in ("avg", "max") for s in (2, 4, 6)}


def test_probabilities(drawn: list[Genotype]) -> None:
    layers = [layer for g in drawn for b in g.blocks for layer in b.layers]
    assert np.mean([layer.prepool for layer in layers]) == pytest.approx(0.25, abs=0.02)
    assert np.mean([layer.bn for layer in layers]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([layer.relu for layer in layers]) == pytest.approx(0.9, abs=0.02)
    assert np.mean([g.pooling is not None for g in drawn]) == pytest.approx(0.9, abs=0.02)
    assert not any(g.blocks[0].branch for g in drawn)
    assert np.mean([b.branch for g in drawn for b in g.blocks[1:]]) == pytest.approx(0.5, abs=0.03)


def test_limits_are_enforced() -> None:
    layer = Layer("conv", 3, 8, strided=False, prepool=False, bn=False, relu=True)
    block = Block(False, (layer,))
    for make in (
        lambda: Layer("conv", 4, 8, strided=False, prepool=False, bn=False, relu=True),
        lambda: Layer("conv", 3, 129, strided=False, prepool=False, bn=False, relu=True),
        lambda: Layer("dense", 3, 8, strided=False, prepool=False, bn=False, relu=True),
        lambda: Block(False, ()),
        lambda: Block(False, (layer,) * 4),
        lambda: Pooling("avg", 3),
        lambda: Genotype((Block(True, (layer,)),), None, (10,)),
        lambda: Genotype((block,) * 11, None, (10,)),
        lambda: Genotype((block,), None, ()),
        lambda: Genotype((block,), None, (9,)),
        lambda: Genotype((block,), None, (10,), sparsity=0.9),
    ):
        with pytest.raises(LogGradError, match="outside the search space"):
            make()


def test_scaling_stays_in_the_space(drawn: list[Genotype]) -> None:
    for genotype in drawn[:200]:
        assert scaled(genotype, 1.0) == genotype
        half = scaled(genotype, 0.5)
        for old, new in zip(genotype.blocks, half.blocks, strict=True):
            for wide, narrow in zip(old.layers, new.layers, strict=True):
                assert narrow.filters == max(1, round(wide.filters / 2))
        assert half.dense == tuple(max(10, round(n / 2)) for n in genotype.dense)
        widest = scaled(genotype, 1e3)
        assert {n for n in widest.dense} == {256}
        assert {layer.filters for block in widest.blocks for layer in block.layers} == {128}


def test_sparsity_is_drawn_when_asked() -> None:
    rng = np.random.default_rng(2)
    drawn = [random_genotype(rng, pruned=True).sparsity for _ in range(500)]
    assert all(s is not None and 0.1 <= s <= 0.85 for s in drawn)
    assert np.mean([s for s in drawn if s is not None]) == pytest.approx(0.475, abs=0.03)
    assert random_genotype(rng).sparsity is None
