"""Ageing evolution as a state machine without a clock, a pool or a file.

Candidate k is a pure function of (settings, seed, k, outcomes of candidates 0 .. k - workers):
random while k < population, else a morph of the winner of a tournament among the newest
``population`` of those outcomes (Real et al. 2019, as muNAS uses it). It may not look at
later ones, even if they are there already; so the history does not depend on which worker
finishes first, and a search that was interrupted goes on as if it had not been.

The caller asks :meth:`Evolution.ready` which candidates can be evaluated now and hands in
outcomes in any order; :meth:`Evolution.commit` gives them back in order of index, as records
for the journal.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.sensor import from_fields
from models.graph import Graph
from search.assembly import assemble
from search.mutation import mutate
from search.objectives import Bounds, Point, draw_lambdas, fitness, overrun
from search.resources import Resources, resources
from search.space import Genotype, narrowed, random_genotype

MAX_REDRAWS = 2_000
# Widths at which a random network is tried until it fits, from its own down.
NARROWINGS = tuple(2 ** (-step / 2) for step in range(15))
RANDOM = "random"
_PROPOSAL, _TRAINING = 0, 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a search's history depends on, besides its data and training.

    Attributes:
      rounds: candidates in all.
      population: candidates drawn at random, and the size of the ageing population.
      sample: tournament size, drawn with replacement.
      workers: how far candidate k must stay behind: it sees candidates up to k - workers.
      seed: of everything.
      bounds: see :mod:`search.objectives`.
      max_overrun: random networks with a resource above this many times its bound are narrowed
        until they fit; those that cannot, and morphs that do not fit, are redrawn. None trains
        whatever is drawn.
      input_shape: (H, W, C) of the network's input.
      classes: of the data set.
    """

    rounds: int = 2000
    population: int = 100
    sample: int = 25
    workers: int = 1
    seed: int = 0
    bounds: Bounds = dataclasses.field(default_factory=Bounds)
    max_overrun: float | None = None
    input_shape: tuple[int, int, int] = (96, 96, 1)
    classes: int = 3


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network to be trained, and where it comes from.

    Attributes:
      index: its place in the history.
      genotype: the network.
      parent: index of the candidate it was morphed from, None if drawn at random.
      morph: name of the morph, or ``random``.
      redrawn: how many draws before it were dropped as too large.
      resources: its costs.
    """

    index: int
    genotype: Genotype
    parent: int | None
    morph: str
    redrawn: int
    resources: Resources


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a candidate: an error rate, or the reason why there is none.

    Attributes:
      val_error: on the validation split, 0..1; None if the candidate failed.
      train_error: on the training split, 0..1; None if the candidate failed.
      failure: one line; None if it did not fail.
    """

    val_error: float | None
    train_error: float | None
    failure: str | None = None

    def __post_init__(self) -> None:
        if (self.val_error is None) == (self.failure is None):
            raise LogGradError(f"an outcome is an error rate or a failure, got {self}")


@dataclasses.dataclass(frozen=True)
class Record:
    """A finished candidate, as the journal keeps it."""

    candidate: Candidate
    outcome: Outcome

    @property
    def point(self) -> Point | None:
        """Its place in objective space; None if it failed."""
        if self.outcome.val_error is None:
            return None
        return Point(self.outcome.val_error, self.candidate.resources)

    def to_json(self) -> dict[str, Any]:
        candidate = {f.name: getattr(self.candidate, f.name) for f in dataclasses.fields(Candidate)}
        return {
            **candidate,
            **dataclasses.asdict(self.outcome),
            "genotype": self.candidate.genotype.to_json(),
            "resources": self.candidate.resources.to_json(),
            "event": "candidate",
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Record":
        data = dict(data)
        if data.pop("event", None) != "candidate":
            raise LogGradError("not a candidate's record")
        outcome = {f.name: data.pop(f.name) for f in dataclasses.fields(Outcome) if f.name in data}
        if "genotype" in data and "resources" in data:
            data["genotype"] = Genotype.from_json(data["genotype"])
            data["resources"] = Resources.from_json(data["resources"])
        return cls(from_fields(Candidate, data), from_fields(Outcome, outcome))


def _rng(seed: int, index: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, index, purpose))))


def training_seed(seed: int, index: int) -> int:
    """The seed of candidate ``index``'s weights, shuffles and augmentation, 0 .. 2^31 - 1."""
    return int(_rng(seed, index, _TRAINING).integers(2**31))


def build(genotype: Genotype, settings: Settings) -> Graph:
    """The network of ``genotype`` in this search."""
    return assemble(genotype, settings.input_shape, settings.classes)


def _fits(costs: Resources, settings: Settings) -> bool:
    return settings.max_overrun is None or overrun(costs, settings.bounds) <= settings.max_overrun


def _tournament(visible: list[Record], settings: Settings, rng: np.random.Generator) -> Record | None:
    """The fittest of ``sample`` draws with replacement; None if nothing was trained yet."""
    trained = [(r, r.point) for r in visible if r.point is not None]
    population = trained[-settings.population :]
    if not population:
        return None
    lambdas = draw_lambdas(rng)
    drawn = [population[int(i)] for i in rng.integers(len(population), size=settings.sample)]
    return max(drawn, key=lambda pair: fitness(pair[1], settings.bounds, lambdas))[0]


def _narrowed_to_fit(genotype: Genotype, settings: Settings) -> Genotype:
    """The widest narrowing of ``genotype`` that fits, or its narrowest if none does."""
    narrowest = narrowed(genotype, NARROWINGS[-1])
    if _fits(resources(build(narrowest, settings)), settings):
        for factor in NARROWINGS:
            candidate = narrowed(genotype, factor)
            if _fits(resources(build(candidate, settings)), settings):
                return candidate
    return narrowest


def propose(settings: Settings, index: int, visible: list[Record]) -> Candidate:
    """Candidate ``index``, given the records 0 .. index - workers in order.

    Raises:
      LogGradError: no network within ``max_overrun`` could be found.
    """
    rng = _rng(settings.seed, index, _PROPOSAL)
    parent = _tournament(visible, settings, rng) if index >= settings.population else None
    for redrawn in range(MAX_REDRAWS):
        if parent is None:
            genotype, morph = _narrowed_to_fit(random_genotype(rng), settings), RANDOM
        else:
            genotype, morph = mutate(parent.candidate.genotype, rng, lambda g: build(g, settings))
        costs = resources(build(genotype, settings))
        if _fits(costs, settings):
            origin = parent.candidate.index if parent else None
            return Candidate(index, genotype, origin, morph, redrawn, costs)
    raise LogGradError(
        f"none of {MAX_REDRAWS} networks drawn for candidate {index} stays within {settings.max_overrun} x"
        " the bounds on memory, size and MACs; raise --max_overrun or the bounds"
    )


class Evolution:
    """The state of one search: its records so far and the outcomes not yet in order."""

    def __init__(self, settings: Settings, records: list[Record]) -> None:
        self.settings = settings
        self.records = list(records)
        self._proposed: dict[int, Candidate] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._next = len(self.records)

    @property
    def finished(self) -> bool:
        return len(self.records) >= self.settings.rounds

    def ready(self) -> Candidate | None:
        """The next candidate to evaluate, or None until earlier ones have come back."""
        index, settings = self._next, self.settings
        seen = index - settings.workers + 1
        if index >= settings.rounds or (index >= settings.population and len(self.records) < seen):
            return None
        candidate = propose(settings, index, self.records[: max(seen, 0)])
        self._proposed[index] = candidate
        self._next += 1
        return candidate

    def commit(self, index: int, outcome: Outcome) -> Iterator[Record]:
        """Take in one outcome; yield the records that are complete now, in order of index."""
        if index not in self._proposed or index in self._outcomes:
            raise ValueError(f"candidate {index} is not being evaluated")
        self._outcomes[index] = outcome
        while (done := len(self.records)) in self._outcomes:
            record = Record(self._proposed.pop(done), self._outcomes.pop(done))
            self.records.append(record)
            yield record
