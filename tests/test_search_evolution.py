"""search.evolution: a history that neither clock nor finishing order can change."""

import dataclasses
import itertools

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from search.evolution import (
    Candidate,
    Evolution,
    Outcome,
    Record,
    build,
    propose,
    training_seed,
)
from search.evolution import Settings as SearchSettings
from search.objectives import Bounds, overrun
from search.resources import resources

SETTINGS = SearchSettings(
    rounds=40, population=8, sample=4, workers=3, seed=5, input_shape=(24, 24, 1), max_overrun=None
)


def evaluate(candidate: Candidate) -> Outcome:
    """A stand-in for training: an error decided by the network; every ninth one fails."""
    if candidate.index % 9 == 4:
        return Outcome(None, None, "worker was killed")
    size = candidate.resources.size
    return Outcome(1 / (1 + size / 20_000), 0.5)


def run(settings: SearchSettings, *, order: int, records: tuple[Record, ...] = ()) -> list[Record]:
    """A whole search; ``order`` seeds which of the running candidates finishes next."""
    rng = np.random.default_rng(order)
    evolution = Evolution(settings, list(records))
    running: list[Candidate] = []
    while not evolution.finished:
        while len(running) < settings.workers and (candidate := evolution.ready()) is not None:
            running.append(candidate)
        done = running.pop(int(rng.integers(len(running))))
        list(evolution.commit(done.index, evaluate(done)))
    return evolution.records


@pytest.fixture(scope="module")
def history() -> list[Record]:
    return run(SETTINGS, order=0)


def test_finishing_order_does_not_matter(history: list[Record]) -> None:
    assert [r.candidate.index for r in history] == list(range(40))
    for order in range(1, 12):
        assert run(SETTINGS, order=order) == history


def test_resuming_anywhere_gives_the_same_history(history: list[Record]) -> None:
    for kept in range(0, 41, 3):
        assert run(SETTINGS, order=kept, records=tuple(history[:kept])) == history


def test_seed_and_workers_matter(history: list[Record]) -> None:
    assert run(dataclasses.replace(SETTINGS, seed=6), order=0) != history
    assert run(dataclasses.replace(SETTINGS, workers=1), order=0) != history


def test_a_candidate_sees_only_what_it_may(history: list[Record]) -> None:
    """Candidate k's parent is at most k - workers, in the newest population, and did not fail."""
    for record in history[8:]:
        index, parent = record.candidate.index, record.candidate.parent
        assert parent is not None
        seen = [r.candidate.index for r in history[: index - 2] if r.outcome.failure is None]
        assert parent in seen[-8:]
        assert record.candidate == propose(SETTINGS, index, history[: index - 2])


def test_first_candidates_are_random_children_are_morphs(history: list[Record]) -> None:
    for record in history:
        candidate = record.candidate
        assert (candidate.morph == "random") == (candidate.index < 8) == (candidate.parent is None)
        assert candidate.resources == resources(build(candidate.genotype, SETTINGS))
        if candidate.parent is not None:
            parent = history[candidate.parent].candidate.genotype
            assert build(candidate.genotype, SETTINGS) != build(parent, SETTINGS)


def test_selection_prefers_the_fit(history: list[Record]) -> None:
    """With one objective, a tournament over the whole population picks its best member."""
    settings = dataclasses.replace(SETTINGS, sample=400, bounds=Bounds(0.05, None, None, None))
    trained = [r for r in history[:8] if r.outcome.val_error is not None]
    errors = {r.candidate.index: min(r.outcome.val_error or 0, 0.5) for r in trained}  # clipped at 10 bounds
    winner = propose(settings, 10, history[:8]).parent
    assert winner is not None and errors[winner] == min(errors.values())


def test_all_failed_starts_again_at_random() -> None:
    settings = dataclasses.replace(SETTINGS, rounds=12)
    evolution = Evolution(settings, [])
    while (candidate := evolution.ready()) is not None:
        list(evolution.commit(candidate.index, Outcome(None, None, "no memory")))
    assert evolution.finished
    assert {r.candidate.morph for r in evolution.records} == {"random"}


def test_too_large_candidates_are_redrawn() -> None:
    settings = dataclasses.replace(SETTINGS, max_overrun=1.0, rounds=30)
    records = run(settings, order=0)
    assert all(overrun(r.candidate.resources, settings.bounds) <= 1 for r in records)
    assert sum(r.candidate.redrawn for r in records) > 0
    plain = run(dataclasses.replace(SETTINGS, rounds=30), order=0)
    assert any(overrun(r.candidate.resources, settings.bounds) > 1 for r in plain)
    assert not any(r.candidate.redrawn for r in plain)


def test_impossible_bounds_end_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.evolution.MAX_REDRAWS", 50)
    settings = dataclasses.replace(SETTINGS, max_overrun=1.0, bounds=Bounds(size=5))
    with pytest.raises(LogGradError, match="raise --max_overrun or the bounds"):
        Evolution(settings, []).ready()


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
