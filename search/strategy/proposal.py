"""What to train next: a pure function of the settings, the index and the candidates before it.

A candidate is drawn at random at first, later a morph of the winner of a tournament among the
newest ``population`` outcomes (Real et al. 2019, as muNAS uses it). What plain muNAS would train
anyway can be dropped before it costs anything, each by a setting of its own:

* ``max_overrun``: a random network over its bounds is repaired (narrowed, or sampled down early),
  a morph over them redrawn, so that no time goes into networks that cannot be used;
* ``unique``: a network that was trained already is redrawn;
* ``children``: several are drawn and the one is trained that lies where the front of costs is
  sparsest (after LEMONADE, Elsken et al. 2019): costs are free, errors are not;
* ``elitist``: members of the front that are within the bounds remain parents however old they are.
  In muNAS all die of age, which sheds those that were lucky once, and loses the best with them when
  most morphs do harm;
* ``rank_by`` loss: parents are judged by their validation loss in place of their error. On a few
  hundred images two networks may differ by a point of error and be the same; their losses tell
  them apart;
* ``rungs``: epochs at which a training is stopped if networks that cost no more have learned
  faster (asynchronous successive halving, Li et al. 2020, with the sum of training losses as
  its measure and the front in place of a ranking), or if nothing was learned yet.
"""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from loggrad_tf.errors import LogGradError
from models.graph import Graph
from models.pruning.channels import uniformly
from models.recipe import Pruning
from search.cost.costs import EXACT, RESOURCES, Costs, Target, costs, count
from search.cost.objectives import ERROR, Bounds, Point, draw_lambdas, fitness, overrun, pareto_front
from search.cost.quantities import FLAG_OF, against
from search.record.history import Candidate, Record
from search.space.draws import random_sparsity
from search.space.spaces import AnyGenotype, CellsSpace, Space
from search.strategy.method import Method

MAX_REDRAWS = 2_000
# A network to begin with is narrowed in fine steps, down to a tenth.
NARROWINGS = tuple(0.95**step for step in range(46))
RANDOM, START, NARROWED_START = "random", "start", "start, narrowed"
# Why a draw is dropped, besides the cost that is over its bound.
DUPLICATE, CROWDED = "duplicate", "crowded"
# Density of the front of costs: width of the kernel in octaves, and the smallest share of a bound
# that still counts as smaller.
KERNEL_OCTAVES, LEAST_SHARE = 0.5, 1 / 8
# A training is stopped if so many of the networks that cost no more have learned faster, and a share of them.
RIVALS = 3
_PROPOSAL, _TRAINING = 0, 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a search's history depends on, besides its data and training.

    Attributes:
      target: the front end and board that costs are counted for.
      method: how candidates are drawn.
      bounds: see :mod:`search.cost.objectives`.
      input_shape: (H, W, C) of the network's input.
      classes: of the data set.
      workers: decides how far candidate k stays behind, see :mod:`search.strategy.evolution`.
      seed: of everything.
      cell_entropy: of a search for detectors: nats, the mean loss of always answering how frequent the
        classes of cells are; None: classifiers are searched.
    """

    target: Target
    method: Method
    bounds: Bounds
    input_shape: tuple[int, int, int]
    classes: int
    workers: int
    seed: int
    cell_entropy: float | None = None

    @property
    def space(self) -> Space[Any]:
        """What candidates are drawn from."""
        return self.method.drawn_from if self.cell_entropy is None else CellsSpace()

    @property
    def guessing(self) -> tuple[float, float]:
        """Error and loss of a network that has learned nothing; a detector finds nothing then."""
        if self.cell_entropy is not None:
            return 1.0, self.cell_entropy
        return 1 - 1 / self.classes, math.log(self.classes)


def rng_of(seed: int, index: int, purpose: int = _PROPOSAL) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, index, purpose))))


def training_seed(seed: int, index: int, repeat: int = 0) -> int:
    """The seed of candidate ``index``'s weights, shuffles and augmentation, 0 .. 2^31 - 1.

    Args:
      repeat: 0 in the search, counts on where it is trained again.
    """
    return int(rng_of(seed, index, _TRAINING + repeat).integers(2**31))


@functools.lru_cache(maxsize=4096)
def build(genotype: AnyGenotype, settings: Settings) -> Graph:
    """The network of ``genotype`` in this search, before any pruning."""
    return settings.space.assemble(genotype, settings.input_shape, settings.classes)


def expected(genotype: AnyGenotype, settings: Settings) -> Graph:
    """The network that is left after pruning, if every layer lost its share."""
    graph = build(genotype, settings)
    return graph if genotype.sparsity is None else uniformly(graph, genotype.sparsity)


def pruning_of(genotype: AnyGenotype, method: Method) -> Pruning | None:
    """How its training prunes; None: not at all. A rate that falls to zero asks for an early start."""
    if genotype.sparsity is None:
        return None
    if method.train.schedule == "cosine":
        return Pruning.early(genotype.sparsity, method.pruning_schedule)
    return Pruning(genotype.sparsity, schedule=method.pruning_schedule)


def shares(graph: Graph, settings: Settings, exact: bool = False) -> Iterator[tuple[str, float]]:
    """Each bounded cost, the cheap ones first, as a share of the most that is allowed; none if all is.

    Args:
      exact: only those that are counted in no time.
    """
    if settings.method.max_overrun is None:
        return
    bounds = settings.bounds.resources
    names = tuple(name for name in bounds if name in EXACT or not exact)
    for name, value in count(graph, settings.target, names):
        yield name, value / (settings.method.max_overrun * bounds[name])


def over_bound(graph: Graph, settings: Settings) -> str | None:
    """The first cost, the cheap ones first, that is too far above its bound; None if all fit."""
    return next((name for name, share in shares(graph, settings) if share > 1), None)


_Reason = Callable[[AnyGenotype], str | None]
# Told of each network that is drawn: the candidate's index, how many were drawn for it, how many can be used.
Watch = Callable[[int, int, int], None]


def unwatched(index: int, drawn: int, usable: int) -> None:
    """Nobody looks on."""


def propose(
    settings: Settings,
    index: int,
    visible: list[Record],
    earlier: list[Candidate],
    watch: Watch = unwatched,
) -> Candidate:
    """Candidate ``index``.

    Args:
      visible: the records 0 .. index - lag in order, which is all it may learn from.
      earlier: the candidates 0 .. index - 1, finished or not; it must differ from them.
      watch: is told how far the drawing is, and decides nothing.
    Raises:
      LogGradError: no network within ``max_overrun`` could be found.
    """
    rng = rng_of(settings.seed, index)
    parents = _parents(visible, settings)
    reasons = _reasons(earlier, settings)
    wanted = 1 if index == 0 and _first(settings) else settings.method.children
    drawn: list[_Draw] = []
    rejected: collections.Counter[str] = collections.Counter()
    nearest: _Miss | None = None
    for tried in range(MAX_REDRAWS):
        watch(index, tried, len(drawn))
        draw = _draw(index, parents, earlier, settings, rng)
        found = (reason(draw.genotype) for reason in reasons)
        if (named := next((name for name in found if name is not None), None)) is not None:
            rejected[named] += 1
            nearest = _nearer(nearest, draw.genotype, named, settings)
            continue
        drawn.append(draw)
        if len(drawn) == wanted:
            break
    if not drawn:
        counts = ", ".join(f"{name}: {n}" for name, n in sorted(rejected.items()))
        raise LogGradError(
            f"none of {MAX_REDRAWS} networks drawn for candidate {index} can be used ({counts})"
            f"{_told(nearest, settings)}; raise --max_overrun or the bounds, or end a search that goes on"
            " with --rounds"
        )
    if len(drawn) > 1:
        rejected[CROWDED] = len(drawn) - 1
    best = drawn[_sparsest([draw.genotype for draw in drawn], visible, settings)]
    limits = _limits(expected(best.genotype, settings), visible, settings)
    return Candidate(index, best.genotype, best.parent, best.morph, tuple(sorted(rejected.items())), limits)


@dataclasses.dataclass(frozen=True)
class _Draw:
    """A network that may become a candidate, and where it comes from, as :class:`Candidate` has it."""

    genotype: AnyGenotype
    parent: int | None
    morph: str


@dataclasses.dataclass(frozen=True)
class _Miss:
    """A network that cannot be used, and the first cost of it that is over its bound, with its value."""

    genotype: AnyGenotype
    name: str
    value: float


def _nearer(nearest: _Miss | None, genotype: AnyGenotype, reason: str, settings: Settings) -> _Miss | None:
    """Of two networks over a bound the one that keeps more of them, or is less over the same; duplicates are
    over none."""
    if reason not in RESOURCES:
        return nearest
    [(_, value)] = count(expected(genotype, settings), settings.target, (reason,))
    if nearest is not None:
        older, newer = RESOURCES.index(nearest.name), RESOURCES.index(reason)
        if (older, -nearest.value) >= (newer, -value):
            return nearest
    return _Miss(genotype, reason, value)


def _told(nearest: _Miss | None, settings: Settings) -> str:
    """What the nearest network takes of each bound, to go on with."""
    if nearest is None:
        return ""
    bounds = settings.bounds
    found = list(count(expected(nearest.genotype, settings), settings.target, tuple(bounds.resources)))
    over = " and ".join(FLAG_OF[name] for name, value in found if value > bounds.resources[name])
    return f"; the nearest has {against(found, bounds)}, over {over}"


def _first(settings: Settings) -> str:
    """The name of the network that the search begins with: as it is told, or as its space does; or none."""
    return settings.method.start or settings.space.first


def _draw(
    index: int, parents: list[Record], earlier: list[Candidate], settings: Settings, rng: np.random.Generator
) -> _Draw:
    """One network: the one to begin with, a random one, or a morph of a parent."""
    space = settings.space

    def allowed(genotype: AnyGenotype, exact: bool = False) -> Iterator[tuple[str, float]]:
        return shares(expected(genotype, settings), settings, exact)

    if index == 0 and (name := _first(settings)):
        wanted = _start(name, settings, rng)
        genotype = _narrowed(wanted, settings)
        if settings.method.start or over_bound(expected(genotype, settings), settings) is None:
            return _Draw(genotype, None, START if genotype == wanted else NARROWED_START)
    if parents and index >= settings.method.population:
        parent = _tournament(parents, settings, rng)
    elif settings.method.start:
        parent = earlier[0]
    else:
        return _Draw(space.draw(rng, settings.method.pruning, allowed), None, RANDOM)
    genotype, morph = space.child(parent.genotype, rng, lambda g: build(g, settings), allowed)
    return _Draw(genotype, parent.index, morph)


def _reasons(earlier: list[Candidate], settings: Settings) -> list[_Reason]:
    """What may speak against training a network: each names its reason, or finds none."""
    reasons: list[_Reason] = [lambda g: over_bound(expected(g, settings), settings)]
    if settings.method.unique:
        tried = {_identity(c.genotype, settings) for c in earlier}
        reasons.append(lambda g: DUPLICATE if _identity(g, settings) in tried else None)
    return reasons


def _parents(visible: list[Record], settings: Settings) -> list[Record]:
    """Who may have children: the newest, and before them the older members of the front."""
    trained = [r for r in visible if r.point is not None]
    newest = trained[-settings.method.population :]
    if not settings.method.elitist:
        return newest
    front = _front(visible, settings)
    older = [r for r in trained[: -settings.method.population] if r.candidate.index in front]
    return [r for r in older if _is_useful(r, settings)] + newest


def _is_useful(record: Record, settings: Settings) -> bool:
    """Is it within all bounds, and better than guessing?"""
    error = record.outcome.val_error
    guessing, _ = settings.guessing
    return error is not None and error < guessing and overrun(record.costs, settings.bounds) <= 1


def _front(visible: list[Record], settings: Settings) -> dict[int, Point]:
    """The front of what was trained to its end."""
    return pareto_front(standings(visible, settings), settings.bounds)


def standings(records: list[Record], settings: Settings) -> dict[int, Point]:
    """What the candidates that were trained to their end are judged by, by index."""
    judged = {r.candidate.index: standing(r, settings) for r in records if r.ranked}
    return {index: point for index, point in judged.items() if point is not None}


def standing(record: Record, settings: Settings) -> Point | None:
    """The point that a candidate is judged by; None if it failed.

    A loss takes the error's place on the error's scale: as a share of the loss of guessing, times the error
    of guessing, 1 at most. A training that diverged has 1.
    """
    point, loss = record.point, record.outcome.val_loss
    if point is None or settings.method.rank_by == ERROR:
        return point
    worst, most = settings.guessing
    share = math.inf if loss is None else loss / most
    return Point(min(share * worst, 1.0), point.costs)


def _identity(genotype: AnyGenotype, settings: Settings) -> tuple[Graph, Graph]:
    """Sparsities that leave networks of the same widths are one."""
    return build(genotype, settings), expected(genotype, settings)


def _tournament(parents: list[Record], settings: Settings, rng: np.random.Generator) -> Candidate:
    """The fittest of ``sample`` draws with replacement."""
    lambdas = draw_lambdas(rng, settings.bounds)
    drawn = [parents[int(i)] for i in rng.integers(len(parents), size=settings.method.sample)]

    def score(record: Record) -> float:
        point = standing(record, settings)
        assert point is not None
        return fitness(point, settings.bounds, lambdas)

    return max(drawn, key=score).candidate


def _start(name: str, settings: Settings, rng: np.random.Generator) -> AnyGenotype:
    """The network to begin with; if the search prunes, with a sparsity."""
    network = settings.space.start(name)
    return dataclasses.replace(network, sparsity=random_sparsity(rng)) if settings.method.pruning else network


def _narrowed(genotype: AnyGenotype, settings: Settings) -> AnyGenotype:
    """The network with all its widths so much smaller that it fits, if it must."""
    scaled = settings.space.scaled
    tried = (scaled(genotype, factor) for factor in NARROWINGS)
    return next((g for g in tried if over_bound(expected(g, settings), settings) is None), genotype)


def _sparsest(genotypes: list[AnyGenotype], visible: list[Record], settings: Settings) -> int:
    """Which of them lies where the front has fewest members, by costs alone."""
    if len(genotypes) == 1:
        return 0
    bounds = settings.bounds.resources
    front = _front(visible, settings)
    taken = np.array([_octaves(p.costs, bounds) for p in front.values()]).reshape(-1, len(bounds))
    density = []
    for genotype in genotypes:
        own = dict(count(expected(genotype, settings), settings.target, tuple(bounds)))
        at = [_octave(own[name] / bound) for name, bound in bounds.items()]
        squares = ((taken - np.array(at)) ** 2).sum(axis=1)
        density.append(float(np.exp(-squares / (2 * KERNEL_OCTAVES**2)).sum()))
    return int(np.argmin(density))


def _octaves(found: Costs, bounds: dict[str, float]) -> list[float]:
    return [_octave(getattr(found, name) / bound) for name, bound in bounds.items()]


def _octave(share: float) -> float:
    return math.log2(max(share, LEAST_SHARE))


def _limits(graph: Graph, visible: list[Record], settings: Settings) -> tuple[float | None, ...]:
    """For each rung the area that enough networks of no higher cost have stayed below."""
    if not settings.method.rungs:
        return ()
    own = Point(0.0, costs(graph, settings.target)).objectives(settings.bounds)[1:]
    rivals = [
        r
        for r in visible
        if r.point is not None
        and all(x <= y for x, y in zip(r.point.objectives(settings.bounds)[1:], own, strict=True))
    ]
    limits: list[float | None] = []
    for rung in settings.method.rungs:
        areas = sorted(area for r in rivals if (area := r.area(rung)) is not None)
        enough = max(RIVALS, math.ceil(settings.method.rung_share * len(areas)))
        limits.append(areas[enough - 1] if len(areas) >= enough else None)
    return tuple(limits)
