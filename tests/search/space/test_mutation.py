"""search.space.mutation: every step of the list, and never a step that changes nothing."""

import collections
import dataclasses
import re

import numpy as np
import pytest

from models.graph import Graph
from search.space.assembly import assemble
from search.space.genotype import Block, Genotype, Layer, Pooling, random_genotype
from search.space.mutation import MOST_STEPS, morphs, mutate, scalings


def _assembled(genotype: Genotype, side: int = 24) -> Graph:
    return assemble(genotype, (side, side, 1), 3)


def _kinds(genotype: Genotype) -> set[str]:
    return {re.sub(r"^(block \d+: )?(layer \d+: )?", "", m.name) for m in morphs(genotype)}


LAYER = Layer("conv", 5, 64, strided=False, prepool=False, bn=False, relu=True)
MIDDLE = Genotype((Block(False, (LAYER, LAYER)), Block(True, (LAYER,))), Pooling("avg", 4), (100, 100))


def test_every_step_applies_in_the_middle_of_the_space() -> None:
    names = " | ".join(_kinds(MIDDLE))
    for step in (
        "add block 0", "add block 2", "remove block 1", "flip branch", "add layer 0", "remove layer 1",
        "kind pointwise", "kind depthwise", "filters -5", "filters +1", "filters +3", "kernel -2",
        "kernel +2", "flip stride", "flip bn", "flip relu", "flip prepool", "pooling off", "pooling max",
        "pooling 2", "pooling 6", "add dense 2", "remove dense 0", "dense 1: units -3", "dense 0: units +5",
    ):  # fmt: skip
        assert step in names, step
    assert "pooling on" in _kinds(Genotype(MIDDLE.blocks, None, (10,)))


def test_limits() -> None:
    full = Genotype((Block(False, (LAYER,) * 3),) * 10, None, (256, 10, 256))
    names = _kinds(full)
    assert not any(n.startswith(("add block", "add layer", "add dense")) for n in names)
    assert "dense 0: units +1" not in names and "dense 1: units -1" not in names
    single = Genotype((Block(False, (LAYER,)),), None, (10,))
    assert not any(n.startswith("remove") for n in _kinds(single))
    assert "flip branch" not in _kinds(single)


def test_no_step_for_fields_that_a_kind_does_not_use() -> None:
    pointwise = Layer("pointwise", 5, 64, strided=False, prepool=False, bn=False, relu=True)
    depthwise = Layer("depthwise", 5, 64, strided=False, prepool=False, bn=False, relu=True)
    names = _kinds(Genotype((Block(False, (pointwise,)),), None, (10,)))
    assert not {"kernel +2", "kernel -2", "flip stride"} & names
    names = _kinds(Genotype((Block(False, (depthwise,)),), None, (10,)))
    assert not any(n.startswith("filters") for n in names)


def test_removing_block_0_makes_the_next_one_serial() -> None:
    removed = next(m for m in morphs(MIDDLE) if m.name == "remove block 0")
    assert removed.apply(np.random.default_rng(0)).blocks == (Block(False, (LAYER,)),)


@pytest.mark.seconds
def test_a_child_is_always_another_network() -> None:
    for seed in range(300):
        rng = np.random.default_rng(seed)
        parent = random_genotype(rng)
        side = int(rng.integers(2, 30))
        child, name = mutate(parent, rng, lambda g, side=side: _assembled(g, side))  # type: ignore[misc]
        assert _assembled(child, side) != _assembled(parent, side), name


@pytest.mark.seconds
def test_all_steps_are_equally_likely() -> None:
    """Chi-square over the morphs of one genotype, all of which change its network."""
    single = Genotype((Block(False, (LAYER,)),), Pooling("avg", 4), (100,))
    names = [m.name for m in morphs(single)]
    rng = np.random.default_rng(5)
    counts = dict.fromkeys(names, 0)
    draws = 100 * len(names)
    for _ in range(draws):
        counts[mutate(single, rng, _assembled)[1]] += 1
    expected = draws / len(names)
    statistic = sum((c - expected) ** 2 / expected for c in counts.values())
    assert statistic < 2 * len(names)  # mean n - 1, deviation sqrt(2 n): far out in the tail


@pytest.mark.seconds
def test_varied_steps_are_drawn_by_sort() -> None:
    """A filter more or less is one sort among all, however many places it has."""
    rng = np.random.default_rng(6)
    sorts = {m.sort for m in [*morphs(MIDDLE), *scalings(MIDDLE)]}
    assert {"add block", "flip bn", "filters", "scale filters", "scale all", "pooling"} <= sorts
    sort_of = {m.name: m.sort for m in [*morphs(MIDDLE), *scalings(MIDDLE)]}
    first, lengths = collections.Counter[str](), collections.Counter[int]()
    for _ in range(4000):
        names = mutate(MIDDLE, rng, _assembled, varied=True)[1].split("; ")
        lengths[len(names)] += 1
        first[sort_of[names[0]]] += 1
    assert set(first) == sorts
    expected = 4000 / len(sorts)
    assert all(0.6 * expected < n < 1.5 * expected for n in first.values()), first
    assert lengths[1] == pytest.approx(2000, rel=0.1) and lengths[2] == pytest.approx(1000, rel=0.15)
    assert lengths[MOST_STEPS] > lengths[MOST_STEPS + 1]


@pytest.mark.seconds
def test_varied_children_are_other_networks_too() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        parent = random_genotype(rng)
        child, name = mutate(parent, rng, _assembled, varied=True)
        assert _assembled(child) != _assembled(parent), name


@pytest.mark.seconds
def test_sparsity_wanders_within_its_limits() -> None:
    rng = np.random.default_rng(9)
    start = dataclasses.replace(MIDDLE, sparsity=0.5)
    drawn = np.array([mutate(start, rng, _assembled)[0].sparsity for _ in range(800)], float)
    assert drawn.std() == pytest.approx(0.05, rel=0.1) and drawn.mean() == pytest.approx(0.5, abs=0.01)
    edge = dataclasses.replace(MIDDLE, sparsity=0.85)
    assert max(mutate(edge, rng, _assembled)[0].sparsity or 0 for _ in range(50)) == 0.85
    assert mutate(MIDDLE, rng, _assembled)[0].sparsity is None


def test_mutation_is_decided_by_its_generator() -> None:
    parent = random_genotype(np.random.default_rng(3))
    twice = [mutate(parent, np.random.default_rng(8), _assembled) for _ in range(2)]
    assert twice[0] == twice[1]
