"""search.strategy.proposal: what is left out before it costs anything, and that nothing else is."""

import collections
import dataclasses
import json
import re
from collections.abc import Iterator

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from models.graph import Graph
from models.recipe import Pruning, TrainConfig
from models.zoo import small_bn
from search.cost.costs import RESOURCES, Target, costs, count
from search.cost.objectives import Bounds, overrun, pareto_front
from search.record.history import Candidate, Outcome, Record
from search.space import genotype as space
from search.space.genotype import random_genotype
from search.space.limits import MAX_SPARSITY, MIN_SPARSITY
from search.space.mutation import mutate
from search.space.staged import DRAWN_STEM, Staged
from search.space.starts import STARTS
from search.strategy import proposal
from search.strategy.proposal import Settings, build, expected, over_bound, propose, pruning_of
from tests.support import search_cases
from tests.support.search_cases import TARGET, changed

PLAIN = changed(search_cases.settings(side=32, seed=3), population=10, sample=4)
DEPLOYED = Bounds(peak_memory=None, ram=6_500)


def record(settings: Settings, index: int, error: float, curve: tuple[float, ...] = ()) -> Record:
    genotype = propose(settings, index, [], []).genotype
    outcome = Outcome(error, error, curve=tuple((loss, error) for loss in curve))
    return Record(
        Candidate(index, genotype, None, "random"), outcome, costs(build(genotype, settings), TARGET)
    )


def test_plain_takes_whatever_is_drawn() -> None:
    drawn = [propose(PLAIN, k, [], []) for k in range(10)]
    assert not any(c.rejected or c.limits for c in drawn)
    for k, candidate in enumerate(drawn):
        assert candidate.genotype == random_genotype(proposal.rng_of(3, k))
    assert sum(overrun(costs(build(c.genotype, PLAIN), TARGET), PLAIN.bounds) > 1 for c in drawn) > 5


@pytest.mark.seconds
@pytest.mark.parametrize("bounds", [Bounds(), DEPLOYED, Bounds(0.05, None, None, None, latency=0.02)])
@pytest.mark.parametrize("pruning", [False, True])
def test_nothing_over_its_bounds_is_trained(bounds: Bounds, pruning: bool) -> None:
    settings = changed(PLAIN, bounds=bounds, max_overrun=1.0, pruning=pruning)
    records: list[Record] = []
    for k in range(24):
        candidate = propose(settings, k, records, [r.candidate for r in records])
        found = costs(expected(candidate.genotype, settings), TARGET)
        assert overrun(found, bounds) <= 1, (k, found)
        records.append(Record(candidate, Outcome(0.5, 0.5), found))
    reasons = {name for r in records for name, _ in r.candidate.rejected}
    assert reasons <= set(bounds.resources)


def test_a_bound_that_is_over_is_named_the_cheapest_first() -> None:
    settings = changed(PLAIN, max_overrun=1.0, bounds=Bounds(macs=1, size=1, ram=1))
    graph = build(propose(PLAIN, 0, [], []).genotype, PLAIN)
    assert over_bound(graph, settings) == "macs"
    assert over_bound(graph, changed(settings, bounds=Bounds(macs=None, size=1))) == "size"
    assert over_bound(graph, changed(settings, max_overrun=None)) is None
    assert [name for name, _ in count(graph, TARGET, ("ram", "macs"))] == ["macs", "ram"]
    assert set(RESOURCES) == set(Bounds().to_json()) - {"error"}


@pytest.mark.seconds
def test_impossible_bounds_end_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal, "MAX_REDRAWS", 50)
    settings = changed(PLAIN, max_overrun=1.0, bounds=Bounds(size=5))
    with pytest.raises(LogGradError, match=r"can be used \(.*size: 50.*raise --max_overrun or the bounds"):
        propose(settings, 0, [], [])
    settings = changed(settings, bounds=Bounds(peak_memory=None, size=5_000, ram=3_000))
    with pytest.raises(LogGradError, match="can be used") as caught:
        propose(settings, 0, [], [])
    told = re.search(
        r"the nearest has multiply-accumulates ([\d,]+) of 1,000,000, weights ([\d,]+) of 5,000 B, RAM on the"
        r" board ([\d,]+) of 3,000 B, over --ram_bound; raise",
        str(caught.value),
    )
    assert told is not None
    macs, size, ram = (int(text.replace(",", "")) for text in told.groups())
    assert macs <= 1_000_000 and size <= 5_000 and 3_000 < ram < 6_000


def test_whoever_watches_decides_nothing() -> None:
    settings = changed(PLAIN, max_overrun=1.0, children=3)
    seen: list[tuple[int, int, int]] = []
    watched = propose(settings, 4, [], [], lambda *told: seen.append(told))
    assert watched == propose(settings, 4, [], [])
    rejected = sum(n for name, n in watched.rejected if name != proposal.CROWDED)
    assert [drawn for _, drawn, _ in seen] == list(range(3 + rejected))
    assert {index for index, _, _ in seen} == {4} and seen[0][2] == 0 and seen[-1][2] == 2


def test_no_network_is_trained_twice() -> None:
    """All neighbours of a small network but a few have been tried: only those come out."""
    settings = changed(PLAIN, population=1, unique=True)
    parent = record(PLAIN, 0, 0.3)
    tried = [parent.candidate]
    for k in range(1, 40):
        candidate = propose(settings, k, [parent], tried)
        assert build(candidate.genotype, settings) not in {build(c.genotype, settings) for c in tried}
        tried.append(candidate)
    plain = changed(settings, unique=False)
    again = propose(plain, 1, [parent], tried)
    assert again == propose(plain, 1, [parent], []) and again.genotype == tried[1].genotype
    assert dict(propose(settings, 1, [parent], tried).rejected)["duplicate"] >= 1


def test_networks_that_only_prune_otherwise_are_two() -> None:
    settings = changed(PLAIN, unique=True, pruning=True)
    first = propose(settings, 0, [], [])
    other = Candidate(0, dataclasses.replace(first.genotype, sparsity=0.3), None, "random")
    assert propose(settings, 0, [], [other]).genotype == first.genotype
    assert propose(settings, 0, [], [first]).genotype != first.genotype


@pytest.mark.seconds
def test_the_child_in_the_sparsest_part_is_trained() -> None:
    settings = changed(PLAIN, children=12, max_overrun=1.0)
    one = changed(settings, children=1)
    front = [record(one, k, 0.3) for k in range(4)]

    def distance(candidate: Candidate) -> float:
        own, bounds = costs(build(candidate.genotype, settings), TARGET), settings.bounds.resources
        at = np.array([np.log2(max(getattr(own, n) / b, 1 / 8)) for n, b in bounds.items()])
        taken = [[np.log2(max(getattr(r.costs, n) / b, 1 / 8)) for n, b in bounds.items()] for r in front]
        return float(np.linalg.norm(np.array(taken) - at, axis=1).min())

    chosen = np.mean([distance(propose(settings, k, front, [])) for k in range(10, 40)])
    plain = np.mean([distance(propose(one, k, front, [])) for k in range(10, 40)])
    assert chosen > 1.3 * plain
    assert dict(propose(settings, 20, front, []).rejected)["crowded"] == 11


def test_limits_come_from_networks_that_cost_no_more() -> None:
    settings = changed(PLAIN, rungs=(1, 3), max_overrun=1.0)
    own = propose(settings, 5, [], [])
    cost = costs(build(own.genotype, settings), TARGET)

    def rival(index: int, share: float, *curve: float) -> Record:
        scaled = {n: int(getattr(cost, n) * share) for n in ("peak_memory", "size", "macs")}
        outcome = Outcome(0.4, 0.4, curve=tuple((loss, 0.4) for loss in curve))
        return Record(
            Candidate(index, own.genotype, None, "random"), outcome, dataclasses.replace(cost, **scaled)
        )

    smaller = [rival(0, 0.5, 1.0, 0.9, 0.8), rival(1, 0.9, 1.2, 1.0, 0.9), rival(2, 1.0, 0.7)]
    larger = [rival(3, 1.5, 0.1, 0.1, 0.1), rival(4, 2.0, 0.1, 0.1, 0.1)]
    assert propose(settings, 5, smaller[:2] + larger, []).limits == (None, None)
    assert propose(settings, 5, smaller + larger, []).limits == (1.2, None)
    assert propose(settings, 5, [*smaller, rival(6, 1.0, 2.0, 2.0, 2.0)], []).limits[1] == pytest.approx(6.0)
    assert propose(changed(settings, rungs=()), 5, smaller, []).limits == ()


def test_sampling_frequencies() -> None:
    """Kinds, kernels and switches of what is drawn, as muNAS draws them."""
    layers = [
        layer
        for seed in range(60)
        for k in range(10)
        for block in propose(changed(PLAIN, seed=seed), k, [], []).genotype.blocks
        for layer in block.layers
    ]
    kinds = collections.Counter(layer.kind for layer in layers)
    assert all(n / len(layers) == pytest.approx(1 / 3, abs=0.03) for n in kinds.values())
    assert np.mean([layer.relu for layer in layers]) == pytest.approx(0.9, abs=0.02)
    assert np.mean([layer.bn for layer in layers]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([layer.prepool for layer in layers]) == pytest.approx(0.25, abs=0.03)


def test_selection_prefers_the_fit() -> None:
    """With one objective, a tournament over the whole population picks its best member."""
    settings = changed(PLAIN, sample=400, bounds=Bounds(0.05, None, None, None))
    records = [record(PLAIN, k, error) for k, error in enumerate((0.4, 0.2, 0.1, 0.45))]
    assert {propose(settings, k, records, []).parent for k in range(10, 20)} == {2}
    aged = [*records, *(record(PLAIN, 4 + k, 0.3) for k in range(10))]
    assert propose(settings, 20, aged, []).parent != 2


@pytest.mark.seconds
def test_the_front_outlives_the_population() -> None:
    """Ten networks, the first the best by far: with two in the population it is a parent still."""
    settings = changed(PLAIN, population=2, sample=30, bounds=Bounds(0.05, 1e12, 1e12, 1e12))
    records = [record(PLAIN, k, 0.01 if k == 0 else 0.5) for k in range(10)]
    front = pareto_front({r.candidate.index: r.point for r in records if r.point}, settings.bounds)
    earlier = [r.candidate for r in records]

    def parents(elitist: bool) -> set[int | None]:
        asked = changed(settings, elitist=elitist)
        return {propose(asked, k, records, earlier).parent for k in range(10, 40)}

    assert parents(elitist=False) <= {8, 9}
    assert 0 in parents(elitist=True) and parents(elitist=True) <= {*front, 8, 9}


@pytest.mark.parametrize("flaw", ["stopped", "guesses", "over a bound"])
def test_who_dies_of_age_all_the_same(flaw: str) -> None:
    bounds = Bounds(error=0.05, peak_memory=None, size=None, macs=1e3 if flaw == "guesses" else 1e12)
    settings = changed(PLAIN, population=2, sample=30, elitist=True, bounds=bounds)
    records = [record(PLAIN, k, 0.5) for k in range(10)]
    first = records[0]
    if flaw == "stopped":
        outcome = dataclasses.replace(first.outcome, val_error=0.01, stopped=True)
        records[0] = dataclasses.replace(first, outcome=outcome)
    elif flaw == "guesses":
        outcome = dataclasses.replace(first.outcome, val_error=0.67)
        cheap = dataclasses.replace(first.costs, macs=1)
        records[0] = dataclasses.replace(first, outcome=outcome, costs=cheap)
    else:
        outcome = dataclasses.replace(first.outcome, val_error=0.01)
        dear = dataclasses.replace(first.costs, macs=10**13)
        records[0] = dataclasses.replace(first, outcome=outcome, costs=dear)
    earlier = [r.candidate for r in records]
    assert 0 not in {propose(settings, k, records, earlier).parent for k in range(10, 40)}


@pytest.mark.seconds
def test_always_bn_leaves_no_layer_without_it_and_never_morphs_it() -> None:
    settings = changed(PLAIN, always_bn=True)
    for index in range(20):
        genotype = propose(settings, index, [], []).genotype
        normalised = space.normalised(genotype)
        assert all(layer.bn for block in normalised.blocks for layer in block.layers)
        assert build(genotype, settings) == build(normalised, PLAIN)
    parent = propose(settings, 0, [], []).genotype
    rng = np.random.default_rng(0)
    names = [mutate(parent, rng, lambda g: build(g, settings))[1] for _ in range(300)]
    assert not any("flip bn" in name for name in names)
    plain = changed(settings, always_bn=False)
    names = [mutate(parent, rng, lambda g: build(g, plain))[1] for _ in range(300)]
    assert any("flip bn" in name for name in names)


def test_a_search_may_begin_with_a_network() -> None:
    settings = changed(PLAIN, start="small_bn", unique=True, input_shape=(96, 96, 1))
    first = propose(settings, 0, [], [])
    assert (first.genotype, first.parent, first.morph) == (STARTS["small_bn"], None, "start")
    widths = [
        [op.shape[-1] for op in graph.ops if op.kind == "conv"]
        for graph in (small_bn(96, 3), build(first.genotype, settings))
    ]
    assert widths[0] == widths[1] == [8, 10, 16, 32]
    second = propose(settings, 1, [], [first])
    assert second.parent == 0 and build(second.genotype, settings) != build(first.genotype, settings)
    late = propose(settings, settings.method.population, [], [first, second])
    assert late.parent == 0 and late.genotype not in (first.genotype, second.genotype)


def test_a_network_to_begin_with_is_pruned_like_any() -> None:
    settings = changed(PLAIN, start="small_bn", pruning=True, input_shape=(96, 96, 1))
    first = propose(settings, 0, [], [])
    second = propose(settings, 1, [], [first])
    found = [c.genotype.sparsity for c in (first, second)]
    assert all(s is not None and MIN_SPARSITY <= s <= MAX_SPARSITY for s in found)
    assert found[0] != found[1] and first.genotype.blocks == STARTS["small_bn"].blocks


def test_a_network_to_begin_with_is_made_to_fit() -> None:
    tight = Bounds(macs=500_000, size=5000, peak_memory=None)
    settings = changed(
        PLAIN, start="small_bn", unique=True, input_shape=(96, 96, 1), max_overrun=1.0, bounds=tight
    )
    wanted = build(STARTS["small_bn"], settings)
    assert over_bound(wanted, settings) is not None
    first = propose(settings, 0, [], [])
    assert over_bound(build(first.genotype, settings), settings) is None
    assert first.morph == "start, narrowed" and not first.rejected
    widths = [block.layers[0].filters for block in first.genotype.blocks]
    assert all(0.5 * w < narrow < w for w, narrow in zip((8, 10, 16, 32), widths, strict=True))
    second = propose(settings, 1, [], [first])
    assert second.parent == 0 and over_bound(build(second.genotype, settings), settings) is None


def test_parents_are_judged_by_their_loss_if_asked() -> None:
    """The second has the larger error and the smaller loss; a diverged one is the worst."""
    bounds = Bounds(error=0.05, peak_memory=None, size=None, macs=None)
    settings = changed(PLAIN, population=4, sample=30, bounds=bounds)
    found = [(0.10, 0.60), (0.12, 0.40), (0.11, None), (0.11, 1.5)]
    records = []
    for index, (error, loss) in enumerate(found):
        drawn = record(settings, index, error)
        records.append(dataclasses.replace(drawn, outcome=Outcome(error, error, val_loss=loss)))
    candidates = [r.candidate for r in records]
    for rank_by, best in (("error", 0), ("loss", 1)):
        asked = changed(settings, rank_by=rank_by)
        assert {propose(asked, k, records, candidates).parent for k in range(4, 20)} == {best}
    by_loss = [proposal.standing(r, changed(settings, rank_by="loss")) for r in records]
    guessing = 2 / 3
    expected_errors = [*(loss / np.log(3) * guessing for loss in (0.6, 0.4)), 1.0, 1.5 / np.log(3) * guessing]
    assert [p.error for p in by_loss if p] == pytest.approx(expected_errors)


STAGED = changed(
    PLAIN, space="staged", max_overrun=1.0, unique=True, bounds=DEPLOYED, input_shape=(48, 48, 1), sample=3
)


@pytest.mark.seconds
@pytest.mark.parametrize("pruning", [False, True])
def test_staged_networks_take_most_of_what_they_may_and_no_more(pruning: bool) -> None:
    settings = changed(STAGED, pruning=pruning)
    records: list[Record] = []
    for k in range(20):
        earlier = [r.candidate for r in records]
        candidate = propose(settings, k, records, earlier)
        assert candidate == propose(settings, k, records, earlier)
        genotype = candidate.genotype
        assert isinstance(genotype, Staged) and (genotype.sparsity is not None) == pruning
        found = costs(expected(genotype, settings), TARGET)
        share = overrun(found, DEPLOYED)
        assert share <= 1 and (share > 0.5 or candidate.parent is not None), (k, found)
        records.append(Record(candidate, Outcome(0.5 - k / 100, 0.5), found))
    assert [r.candidate.parent is None for r in records] == [k < 10 for k in range(20)]
    assert len({build(r.candidate.genotype, settings) for r in records}) == 20


@pytest.mark.seconds
def test_a_draw_counts_ram_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a hundred times as long as multiply-accumulates and weights do."""
    exact: set[tuple[str, ...]] = set()
    planned: set[Graph] = set()

    def watched(graph: Graph, target: Target, names: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        if "ram" in names:
            planned.add(graph)  # what is asked again is remembered
        else:
            exact.add(names)
        return count(graph, target, names)

    monkeypatch.setattr(proposal, "count", watched)
    settings = changed(STAGED, bounds=Bounds(peak_memory=None, ram=10_000))
    for k in range(20):
        propose(settings, k, [], [])
    assert exact == {("size", "macs")}
    assert len(planned) < 20 * 2


def test_a_staged_search_may_begin_with_a_network() -> None:
    settings = changed(STAGED, start="small_bn", input_shape=(96, 96, 1), bounds=Bounds(peak_memory=None))
    first = propose(settings, 0, [], [])
    assert first.morph == "start" and build(first.genotype, settings) == small_bn(96, 3)
    second = propose(settings, 1, [], [first])
    assert second.parent == 0 and build(second.genotype, settings) != small_bn(96, 3)
    tight = changed(settings, bounds=Bounds(peak_memory=None, macs=4e5, size=5000))
    narrowed = propose(tight, 0, [], [])
    assert narrowed.morph == "start, narrowed"
    again = changed(settings, start=json.dumps(second.genotype.to_json()))
    assert propose(again, 0, [], []).genotype == second.genotype
    with pytest.raises(LogGradError, match="--start: no network of this space"):
        propose(changed(settings, start=json.dumps(STARTS["small_bn"].to_json())), 0, [], [])
    assert over_bound(build(narrowed.genotype, tight), tight) is None


def test_without_max_overrun_staged_networks_are_as_they_are_drawn() -> None:
    candidate = propose(changed(STAGED, max_overrun=None), 1, [], [])
    assert isinstance(candidate.genotype, Staged) and candidate.genotype.stem.width == DRAWN_STEM


def test_a_rate_that_falls_to_zero_prunes_early_by_whatever_schedule() -> None:
    method = search_cases.PLAIN
    genotype = dataclasses.replace(random_genotype(np.random.default_rng(0)), sparsity=0.25)
    assert pruning_of(genotype, method) == Pruning(0.25)
    falling = dataclasses.replace(method, train=TrainConfig(schedule="cosine"), pruning_schedule="tfmot")
    assert pruning_of(genotype, falling) == Pruning(0.25, begin=0.05, end=0.4, schedule="tfmot")
    assert pruning_of(dataclasses.replace(genotype, sparsity=None), falling) is None
