"""search.space.staged_morphs: every step, inside the space, and never one that changes nothing."""

import collections

import numpy as np
import pytest

from models.graph import Graph
from search.space.staged import STARTS, Block, Stage, Staged, Stem, assemble, random_staged, scaled
from search.space.staged_morphs import morphs, mutate

SORTS = {
    "scale all", "width", "kernel", "flip stride", "add stage", "remove stage", "flip pool", "add block",
    "remove block", "kind", "expansion", "flip residual", "head", "flip flat", "hidden", "remove top",
}  # fmt: skip
INVERTED = Block("inverted", 3, 3, True)
MIDDLE = Staged(
    Stem(5, 2, 8),
    (Stage(True, 10, (INVERTED, INVERTED)), Stage(False, 16, (INVERTED,)), Stage(True, 24, (INVERTED,))),
    20,
    True,
    top=32,
)


def _assembled(genotype: Staged) -> Graph:
    return assemble(genotype, (48, 48, 1), 3)


def _same(genotype: Staged) -> Staged:
    return genotype


def test_every_sort_of_step_applies_in_the_middle_of_the_space() -> None:
    found = morphs(MIDDLE)
    assert {m.sort for m in found} == SORTS
    names = {m.name for m in found}
    assert len(names) == len(found)
    assert {"stem: kernel 3", "stem: kernel 7", "stem: width x0.71", "stage 2: width x1.41"} <= names
    assert {"stage 0: block 1: kind conv", "stage 0: remove block 0", "add stage 3", "head average"} <= names
    without = {m.name for m in morphs(STARTS["small_bn"])}
    assert {"head hidden of the average", "head hidden of the flat", "add top"} <= without
    assert {"remove top", "top: width x0.71", "top: width x1.41"} <= names


def test_limits() -> None:
    full = Staged(Stem(7, 1, 128), (Stage(True, 128, (INVERTED,) * 3),) * 4, 128, True, top=128)
    names = [m.name for m in morphs(full)]
    assert not any("add" in name or name == "stem: kernel 9" for name in names)
    assert not {"hidden x1.41", "top: width x1.41"} & set(names) and "stage 3: width x1.41" not in names
    least = Staged(Stem(3, 1, 1), (Stage(True, 1, (INVERTED,)),) * 2, 10, True)
    names = [m.name for m in morphs(least)]
    assert not any("remove" in name for name in names)
    assert "stem: width x0.71" not in names and "hidden x0.71" not in names


def test_every_step_stays_in_the_space_and_changes_the_genotype() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        parent = scaled(random_staged(rng), float(rng.uniform(0.1, 1)))
        for morph in morphs(parent):
            child = morph.apply(rng)
            assert Staged.from_json(child.to_json()) == child
            assert child != parent or morph.sort == "scale all", morph.name


@pytest.mark.seconds
def test_a_child_is_always_another_network_and_every_sort_is_reached() -> None:
    lengths, sorts = collections.Counter[int](), collections.Counter[str]()
    sort_of = {}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        parent = MIDDLE if seed % 2 else scaled(random_staged(rng), 0.3)
        child, name = mutate(parent, rng, _assembled, _same)
        assert _assembled(child) != _assembled(parent), name
        sort_of |= {m.name: m.sort for m in morphs(parent)}
        steps = name.split("; ")
        lengths[len(steps)] += 1
        sorts[sort_of[steps[0]]] += 1
    assert set(lengths) == {1, 2} and lengths[1] == pytest.approx(200, rel=0.25)
    assert set(sorts) == SORTS | {"add top"}


def test_a_child_that_does_not_fit_is_made_to_and_differs_still() -> None:
    most = sum(MIDDLE.widths)

    def fitted(genotype: Staged) -> Staged:
        return scaled(genotype, min(most / sum(genotype.widths), 1.0))

    for seed in range(100):
        child, name = mutate(MIDDLE, np.random.default_rng(seed), _assembled, fitted)
        assert sum(child.widths) <= most + 3, name
        assert _assembled(child) != _assembled(MIDDLE)


def test_a_child_is_decided_by_its_generator() -> None:
    twice = [mutate(MIDDLE, np.random.default_rng(8), _assembled, _same) for _ in range(2)]
    assert twice[0] == twice[1]


def test_sparsity_wanders_within_its_limits() -> None:
    start = Staged(MIDDLE.stem, MIDDLE.stages, None, False, 0.84)
    rng = np.random.default_rng(9)
    found = [mutate(start, rng, _assembled, _same)[0].sparsity or 0 for _ in range(60)]
    assert max(found) == 0.85 and 0.6 < min(found) < 0.84
    assert mutate(MIDDLE, rng, _assembled, _same)[0].sparsity is None
