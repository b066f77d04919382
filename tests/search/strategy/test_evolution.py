"""search.strategy.evolution: a history that neither clock nor finishing order can change."""

import itertools

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from search.cost.munas import resources
from search.cost.objectives import Bounds, pareto_front
from search.record.history import Candidate, Outcome, Record, failed
from search.strategy.evolution import Evolution, seen_by
from search.strategy.proposal import Settings, build, propose, standings, training_seed
from tests.support import search_cases
from tests.support.search_cases import changed, trained

SETTINGS = changed(search_cases.settings(side=24, workers=2, seed=5), rounds=40, population=8, sample=4)
CHEAPER = changed(
    SETTINGS,
    max_overrun=1.0,
    unique=True,
    children=3,
    elitist=True,
    rank_by="loss",
    padding="same",
    rungs=(2, 4, 6),
    varied=True,
    pruning=True,
)

STAGED = changed(CHEAPER, space="staged")


def evaluate(candidate: Candidate, settings: Settings = SETTINGS) -> Outcome:
    return trained(candidate, resources(build(candidate.genotype, settings)).size)


def run(settings: Settings, *, order: int, records: tuple[Record, ...] = ()) -> list[Record]:
    """A whole search; ``order`` seeds which of the running candidates finishes next."""
    rng = np.random.default_rng(order)
    evolution = Evolution(settings, list(records))
    running: list[Candidate] = []
    while not evolution.finished:
        while len(running) < settings.workers and (candidate := evolution.ready()) is not None:
            running.append(candidate)
        done = running.pop(int(rng.integers(len(running))))
        list(evolution.commit(done.index, evaluate(done, settings)))
    return evolution.records


@pytest.fixture(scope="module", params=["muNAS", "cheaper", "staged"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return {"muNAS": SETTINGS, "cheaper": CHEAPER, "staged": STAGED}[request.param]


@pytest.fixture(scope="module")
def history(settings: Settings) -> list[Record]:
    return run(settings, order=0)


@pytest.mark.seconds
def test_finishing_order_does_not_matter(settings: Settings, history: list[Record]) -> None:
    assert [r.candidate.index for r in history] == list(range(40))
    for order in range(1, 6):
        assert run(settings, order=order) == history


@pytest.mark.seconds
def test_resuming_anywhere_gives_the_same_history(settings: Settings, history: list[Record]) -> None:
    for kept in range(0, 41, 6):
        assert run(settings, order=kept, records=tuple(history[:kept])) == history


@pytest.mark.seconds
def test_seed_and_workers_matter(settings: Settings, history: list[Record]) -> None:
    assert run(changed(settings, seed=6), order=0) != history
    assert run(changed(settings, workers=1), order=0) != history


@pytest.mark.seconds
def test_a_candidate_sees_only_what_it_may(settings: Settings, history: list[Record]) -> None:
    """Candidate k's parent is at most k - 3 with two workers, newest or of the front, and did not fail."""
    assert [seen_by(k, SETTINGS) for k in (0, 2, 3, 10)] == [0, 0, 1, 8]
    assert seen_by(10, changed(SETTINGS, workers=1)) == 10
    for record in history[8:]:
        index, parent = record.candidate.index, record.candidate.parent
        visible = history[: index - 2]
        assert parent is not None
        front = pareto_front(standings(visible, settings), settings.bounds) if settings.method.elitist else {}
        assert parent in front or parent in [r.candidate.index for r in visible if r.point is not None][-8:]
        earlier = [r.candidate for r in history[:index]]
        assert record.candidate == propose(settings, index, visible, earlier)


def test_first_candidates_are_random_children_are_morphs(settings: Settings, history: list[Record]) -> None:
    for record in history:
        candidate = record.candidate
        if candidate.index == 0 and (first := settings.method.drawn_from.first):
            assert candidate.morph in ("start", "start, narrowed") and candidate.parent is None and first
            continue
        assert (candidate.morph == "random") == (candidate.index < 8) == (candidate.parent is None)
        if candidate.parent is not None:
            parent = history[candidate.parent].candidate.genotype
            assert build(candidate.genotype, settings) != build(parent, settings)


def test_a_failure_is_no_parent_and_has_no_point() -> None:
    settings = changed(SETTINGS, rounds=12)
    evolution = Evolution(settings, [])
    while (candidate := evolution.ready()) is not None:
        list(evolution.commit(candidate.index, failed("no memory")))
    assert evolution.finished
    assert {r.candidate.morph for r in evolution.records} == {"random"}
    assert all(r.point is None and not r.ranked for r in evolution.records)


def test_costs_are_those_of_the_pruned_network() -> None:
    settings = changed(SETTINGS, pruning=True, bounds=Bounds(size=None))
    evolution = Evolution(settings, [])
    candidate = evolution.ready()
    assert candidate is not None
    graph = build(candidate.genotype, settings)
    name = next(op.name for op in graph.ops if op.kind == "dense")
    whole = _committed(settings, Outcome(0.5, 0.5))
    narrow = _committed(settings, Outcome(0.5, 0.5, widths=((name, 1),)))
    assert narrow.costs.size < whole.costs.size and narrow.costs.macs < whole.costs.macs
    assert narrow.costs.flash < whole.costs.flash


def _committed(settings: Settings, outcome: Outcome) -> Record:
    evolution = Evolution(settings, [])
    evolution.ready()
    return next(evolution.commit(0, outcome))


def test_nothing_is_handed_in_twice() -> None:
    evolution = Evolution(SETTINGS, [])
    for _ in range(2):
        evolution.ready()
    list(evolution.commit(1, failed("x")))
    for index in (1, 2, -1):
        with pytest.raises(ValueError, match="is not being evaluated"):
            list(evolution.commit(index, failed("x")))


def test_training_seeds_differ() -> None:
    seeds = {training_seed(s, i) for s, i in itertools.product(range(20), range(50))}
    assert len(seeds) == 1000


def test_record_round_trip(history: list[Record]) -> None:
    for record in history:
        assert Record.from_json(record.to_json()) == record
    with pytest.raises(LogGradError, match="unknown key 'speed'"):
        Record.from_json(history[0].to_json() | {"speed": 1})
    with pytest.raises(LogGradError):
        Outcome(0.1, 0.1, "both")
