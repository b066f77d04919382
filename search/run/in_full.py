"""Training in full: each finalist from scratch, with several seeds, in the pool of the search's kind.

Each trained network is a saved one in DIR/finalists, CANDIDATE_REPEAT or NAME_REPEAT, so an interrupted
ending goes on.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from models import bundle
from models.bundle import Bundle
from models.recipe import TrainConfig
from search.cost.quantities import reached
from search.record.history import Outcome
from search.run import rundir
from search.run.choice import goes_by_loss, judged
from search.run.config import Config
from search.run.entrants import Entrant, Weights, saved_as
from search.run.profiles import PLAIN
from search.run.schedule import entrants_of
from search.strategy.proposal import training_seed
from search.workers.evaluator import Task, TrainingSpec, load_weights, weights_path
from search.workers.trainers import trainers

FINALISTS = "finalists"
# So many workers for trainings of that kind.
OpenPool = Callable[[int, TrainingSpec], AbstractContextManager[rundir.Evaluators]]


def train_finalists(
    directory: Path,
    config: Config,
    entrants: list[Entrant],
    data: DataSet,
    open_pool: OpenPool,
) -> dict[Entrant, list[Bundle]]:
    """Those that could be trained in full with every seed; what is on the disk is kept."""
    full = config.method.final.of(config.method.train)
    found: dict[Entrant, list[Bundle]] = {}
    for repeat in range(config.method.final_seeds if entrants else 0):
        if repeat and config.profile not in PLAIN:
            entrants = _still_in(found, config.method.finalists, repeat, goes_by_loss(config))
        for entrant, trained in _trained(directory, config, entrants, data, full, repeat, open_pool):
            found.setdefault(entrant, []).append(trained)
    return {one: trained for one, trained in found.items() if len(trained) == config.method.final_seeds}


def _still_in(
    found: dict[Entrant, list[Bundle]], finalists: int, repeat: int, by_loss: bool
) -> list[Entrant]:
    """Who is trained once more: the better ones so far, and the hand-made network, which they must beat."""
    whole = [one for one, trained in found.items() if len(trained) == repeat]
    best = sorted(
        (one for one in whole if one.candidate is not None), key=lambda one: judged(found[one], by_loss)
    )
    return best[: entrants_of(finalists, repeat)] + [one for one in whole if one.candidate is None]


def _trained(
    directory: Path,
    config: Config,
    entrants: list[Entrant],
    data: DataSet,
    full: TrainConfig,
    repeat: int,
    open_pool: OpenPool,
) -> Iterator[tuple[Entrant, Bundle]]:
    """One training in full of each entrant."""
    tasks: list[Task] = []
    by_index = {one.index: one for one in entrants}
    place = {one.index: directory / FINALISTS / f"{one.folder}_{repeat}" for one in entrants}
    for one in entrants:
        seed = training_seed(config.seed, one.index, repeat)
        task = Task(one.index, one.graph, seed, name="" if one.candidate is not None else one.name)
        saved = read(place[one.index])
        if saved is not None and (saved.graph, saved.seed, saved.train) == (task.graph, task.seed, full):
            yield one, saved
        else:
            tasks.append(task)
    if not tasks:
        return
    again = f", {repeat + 1} of {config.method.final_seeds}" if config.method.final_seeds > 1 else ""
    made = " and ".join(one.name for one in entrants if one.candidate is None)
    best = sum(by_index[task.index].candidate is not None for task in tasks)
    found = f"{best} of the best candidates" if best else ""
    beside = made if best < len(tasks) else ""
    print(
        f"training {' and '.join(part for part in (found, beside) if part)} for {full.epochs} epochs{again}",
        flush=True,
    )
    spec = dataclasses.replace(config.training(data.path, Path()), train=full, rungs=())
    for index, outcome, weights in train_in_full(spec, tasks, config.workers, open_pool):
        entrant = by_index[index]
        if outcome.val_error is None or weights is None:
            print(f"warning: {entrant.name} in full: {outcome.failure}", file=sys.stderr)
            continue
        print(
            f"{entrant.name} after {full.epochs} epochs: validation"
            f" {reached(outcome.val_error, config.detects)}"
            f"{outcome.loss_text()}",
            flush=True,
        )
        trained = saved_as(config, entrant, weights, full, outcome, repeat)
        bundle.save(place[index], trained)
        yield entrant, trained


def train_in_full(
    spec: TrainingSpec, tasks: list[Task], workers: int, open_pool: OpenPool = trainers
) -> Iterator[tuple[int, Outcome, Weights | None]]:
    """Train in a pool of at most so many workers; each network is handed on as it is done.

    A crash is an outcome like any other, without weights. Where ``spec`` puts weights is not used.

    Raises:
      LogGradError: no worker can be started, or the disk is full.
    """
    waiting, running = list(tasks), 0
    with tempfile.TemporaryDirectory() as folder:
        spec = dataclasses.replace(spec, weights=Path(folder), label="candidate")
        with open_pool(min(workers, len(tasks)), spec) as pool:
            while waiting or running:
                while waiting and pool.idle:
                    task = waiting.pop(0)
                    pool.submit(task.index, task)
                    running += 1
                for done in pool.wait():
                    running -= 1
                    path = weights_path(Path(folder), done.index)
                    trained = done.outcome.val_error is not None
                    yield done.index, done.outcome, load_weights(path) if trained else None


def read(place: Path) -> Bundle | None:
    try:
        return bundle.load(place)
    except LogGradError:
        return None
