"""``python -m search.evolve --input loggrad_1p5``: search networks for one input format.

Random networks, then ageing evolution, under soft bounds on error, memory, size and MACs; then the best ones
trained out, beside one made by hand. ``--budget=10m`` is the time for all of it. ``--task=detect`` searches
networks that find objects in whole frames; their error is 1 - F1. Writes a run directory
(search/run/rundir.py), prints the front and saves the best network in DIR/best. Selection looks at the
validation split only; the test split is read for the network that is saved and the one that it is compared
with. A run that was stopped, by Ctrl-C or kill -9, goes on with --resume and has the history it would have
had. ``--helpfull`` shows the flags that few need, too.
"""

import contextlib
import functools
import os
import sys
from pathlib import Path

from absl import flags

from export import boards
from export.predict import footprint
from loggrad_tf import cli, gpus
from loggrad_tf.data import dataset
from loggrad_tf.data import options as data_options
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sides import short
from loggrad_tf.data.summary import doubts
from loggrad_tf.errors import LogGradError
from models.recipe import NATIVE
from search.cost.objectives import best, overrun
from search.cost.quantities import candidates, error_of
from search.record.history import Candidate, Record
from search.record.journal import writing
from search.record.versions import versions
from search.reporting import reading
from search.run import finalists, options, pilot, plots, rundir
from search.run.config import Config, differences
from search.run.profiles import longest
from search.run.progress import Drawing, Progress, foresight, left, nothing_trained, table
from search.run.schedule import OPEN, Clock, Division, Schedule, decided, now
from search.run.tensorboard import EventWriter
from search.strategy.evolution import Evolution
from search.strategy.floor import floor
from search.strategy.proposal import build, propose, pruning_of, training_seed
from search.workers.evaluator import Task
from search.workers.pool import ONEDNN, THREADS

FLAGS = flags.FLAGS
for _name in options.SHOWN:
    flags.declare_key_flag(_name)


def _resumed(directory: Path) -> tuple[Config, DataSet]:
    """The search that goes on, perhaps to another number of rounds or with other finalists, and its data set.

    Raises:
      LogGradError: a flag, the data set or the machine would change its history, or its board is gone.
    """
    stored = rundir.load_config(directory)
    config = options.again(stored)
    changed = differences(stored.history(), config.history())
    done = rundir.committed(directory)
    if config.method.rounds < done:
        changed.append(f"{done} candidates are there already, --rounds={config.method.rounds}")
    if changed:
        raise LogGradError(
            f"{directory}: {changed[0]}; leave the flag out to go on, or start anew with another --out"
        )
    footprint.measured_sizes(boards.read(stored.board))  # a board of the user's may be gone
    data = dataset.opened(stored.request)
    data.check_manifest(stored.manifest_sha256, "the search began", "restore it, or start a new search")
    now = {"onednn": os.environ.get(ONEDNN, "1"), "threads": THREADS}
    for change in differences({key: stored.to_json()[key] for key in now}, now):
        raise LogGradError(
            f"{directory}: {change}; the history would not go on as it began:"
            " restore it, or start anew with another --out"
        )
    for change in differences(stored.versions, versions(stored.method.train.trainer)):
        print(f"warning: {change}; candidates may come out differently from here on", file=sys.stderr)
    if config != stored:
        rundir.write_config(directory, config)
    return config, data


def _directory() -> tuple[Path, bool]:
    """The run directory, and whether an existing run goes on there."""
    resume = FLAGS.resume
    if resume in (None, "false"):
        name = f"{FLAGS.input}_{FLAGS.mode}_size{short(data_options.request().size)}_seed{FLAGS.seed}"
        return Path(FLAGS.out or Path("runs") / name), False
    if resume in (True, "true"):
        if FLAGS.out is None:
            raise LogGradError("--resume: say which run, --resume=DIR or --resume --out=DIR")
        directory = Path(FLAGS.out)
        return directory, rundir.exists(directory)
    if FLAGS.out is not None and Path(FLAGS.out) != Path(resume):
        raise LogGradError(f"--resume={resume} and --out={FLAGS.out} name two directories: give one")
    return Path(resume), True


def _check_bounds(config: Config) -> None:
    """Say what no network goes below, and find bounds that cannot be met, alone or together."""
    settings = config.settings()
    if settings.bounds.resources:
        least = floor(settings)
        print(f"every network takes at least: {least.text}", flush=True)
        least.check(settings)
    propose(settings, 0, [], [], Drawing(config.method.children))


def _finish(
    directory: Path, config: Config, data: DataSet, evolution: Evolution, front: rundir.Front
) -> None:
    bounds, records = config.bounds, evolution.records
    open_pool = functools.partial(options.pool, config=config)
    chosen = best(front.members, bounds)
    if chosen is None:
        raise LogGradError(nothing_trained(directory, config, records))
    title = f"{config.input}, {config.data}, {candidates(len(records))}, seed {config.seed}"
    with writing(directory):
        plots.write_csv(directory / "front.csv", front.members)
        saved, sentence = finalists.finish_best(directory, config, front, records, data, open_pool)
        error = error_of(config.detects).label
        plots.write_png(directory / "front.png", front.points, front.members, bounds, saved, title, error)
    best_folder = directory / finalists.BEST
    shown = front.members if saved is None else front.members | {saved: front.points[saved]}
    marks = "! over a bound" if saved is None else f"* saved in {best_folder}, ! over a bound"
    print(f"\nFront of {candidates(len(front.points))} ({marks}):")
    print(table(shown, bounds, saved, config.detects))
    failed = sum(r.outcome.failure is not None for r in records)
    stopped = sum(r.outcome.stopped for r in records)
    print(f"{candidates(len(records))}: {stopped} stopped early, {failed} failed (reasons in the journal);"
          f" weights of the front take {front.weight_bytes / 1e3:.0f} KB")  # fmt: skip
    if told := foresight(records, config.method.rungs):
        print(told)
    if overrun(records[chosen if saved is None else saved].costs, bounds) > 1:
        print("no candidate keeps the bounds of all costs; the best one exceeds them least")
    print(sentence)


def _search(directory: Path, config: Config, data: DataSet, begin: float) -> None:
    """Args:
    begin: :func:`search.run.schedule.now` when the command began.
    """
    journal, records = rundir.open_journal(directory)
    if journal.warning:
        print(f"warning: {journal.warning}", file=sys.stderr)
    clock, division = Clock(directory, begin), None
    if config.budget is not None:
        if (schedule := decided(journal.records, config.budget)) is not None:
            config = _settled(directory, config, schedule)
        else:
            division = Division(
                config, clock, longest(len(data.labels_of("train")), config.profile), directory
            )
    settings, train = config.settings(), config.method.train
    evolution = Evolution(settings, records, Drawing(config.method.children))
    rundir.check_history(evolution, journal.path)
    rundir.remove_leftovers(directory)
    front = rundir.Front(directory, records, config.bounds)
    progress = Progress(config, front, len(records), clock)

    def task_of(candidate: Candidate) -> Task:
        limits = zip(settings.method.rungs, candidate.limits, strict=True)
        return Task(
            candidate.index,
            build(candidate.genotype, settings),
            training_seed(config.seed, candidate.index),
            pruning_of(candidate.genotype, config.method),
            tuple((rung, limit) for rung, limit in limits if limit is not None),
        )

    if not evolution.finished:
        to_go = f"{candidates(settings.method.rounds - len(records))} to go"
        if division is not None:
            to_go = left(division.left)
        print(
            f"{to_go}, {train.epochs} epochs a candidate, {config.workers} workers, in {directory}",
            flush=True,
        )
        spec = config.training(data.path, directory / rundir.WEIGHTS)
        events = EventWriter(directory, config, records)

        begun: float | None = clock()

        def show(record: Record, seconds: float) -> None:
            nonlocal begun
            progress.show(record, seconds)
            events.add(record, seconds, front.members)
            if division is None:
                return
            division.add(record, seconds)
            if begun is not None:
                division.started(max(clock() - begun - seconds, 0.0))
                begun = None

        def enough() -> bool:
            nonlocal config
            if division is None or config.method.rounds != OPEN:
                return False
            schedule = division.decide(evolution.records, evolution.proposed)
            if schedule is None:
                return False
            journal.append(schedule.to_json())
            config = _settled(directory, config, schedule)
            print(f"{schedule.text}; {left(division.left)}", flush=True)
            for warning in schedule.doubts(config.method.train.epochs):
                print(f"warning: {warning}", file=sys.stderr)
            return True

        with contextlib.closing(events), options.pool(config.workers, spec, config) as pool:
            rundir.drive(evolution, journal, pool, task_of, show, clock, enough)
    journal.close()
    _finish(directory, config, data, evolution, front)
    clock.note()


def _settled(directory: Path, config: Config, schedule: Schedule) -> Config:
    """The search with what was decided, in its config.json too."""
    settled = schedule.of(config)
    if settled != config:
        rundir.write_config(directory, settled)
    return settled


def main(argv: list[str]) -> None:
    del argv
    begin = now()
    directory, resume = _directory()
    if FLAGS.start is not None and Path(FLAGS.start).is_dir():
        FLAGS.start = reading.begins_with(Path(FLAGS.start))
    if resume:
        rundir.load_config(directory)  # a lock is not put where no search is
    else:
        rundir.refuse_existing(directory)
        options.check()
    with rundir.lock(directory):  # before minutes of preparing data
        if resume:
            config, data = _resumed(directory)
        else:
            config, data = options.config()
            if config.budget is not None and FLAGS.epochs is None:
                config = pilot.lengthened(config, data, now() - begin)
            _check_bounds(config)  # impossible ones leave no run behind
            rundir.create(directory, config)
        unsure = gpus.found().doubts() if config.method.train.trainer != NATIVE else ()
        for warning in (*doubts(data), *unsure):
            print(f"warning: {warning}", file=sys.stderr)
        try:
            _search(directory, config, data, begin)
        except KeyboardInterrupt:
            print(
                f"\ninterrupted; what is finished is kept. Go on with:"
                f" python -m search.evolve --resume={directory}{options.executor()}",
                file=sys.stderr,
            )
            sys.exit(130)


if __name__ == "__main__":
    cli.run(main)
