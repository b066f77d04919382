"""``python -m search.evolve --input loggrad_1p5``: search networks for one input format.

Ageing evolution over the muNAS space under soft bounds on error, memory, size and MACs.
Writes a run directory (search/rundir.py), prints the front and saves the best network in
DIR/best. Selection looks at the validation split only; the test split is read once, for the
chosen network. A run that was stopped, by Ctrl-C or kill -9, goes on with --resume and has
the history it would have had.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from absl import flags

from loggrad_tf import cli, dataset
from loggrad_tf.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.frontend import FORMATS, check_format
from loggrad_tf.parallel import processors
from search import final, plots, rundir
from search.config import PROFILES, Config, absolute_data, differences, fit_front_end, versions
from search.evaluator import Task, open_evaluator
from search.evolution import Candidate, Evolution, Record, build, propose, training_seed
from search.objectives import Bounds, Point, best, overrun
from search.workers import ONEDNN, THREADS, Pool

FLAGS = flags.FLAGS

flags.DEFINE_string("data", "synthetic", "Data set: synthetic, pascalraw:DIR or folder:DIR.")
flags.DEFINE_string("input", "loggrad_1p5", f"Input format: {', '.join(FORMATS)}.")
flags.DEFINE_enum("mode", "gray", ["gray", "mosaic"], "Binned gray, or the Bayer mosaic itself.")
flags.DEFINE_integer("bits", 0, "Sensor depth to train for, 8 to 16; 0: the data set's own.")
flags.DEFINE_integer("size", 96, "Side of the square input in pixels.", lower_bound=8)
flags.DEFINE_string("out", None, "Run directory [runs/INPUT_MODE_sizeSIZE_seedSEED].")
flags.DEFINE_enum(
    "profile",
    "quick",
    list(PROFILES),
    "Defaults of the flags marked *. quick: minutes, only networks within their bounds are trained;"
    " paper: appendix C.1 on 2000 candidates, days.",
)
flags.DEFINE_integer("rounds", None, "* Candidates in all [quick 48, paper 2000].", lower_bound=1)
flags.DEFINE_integer("population", None, "* Ageing population, drawn at random [16, 100].", lower_bound=1)
flags.DEFINE_integer("sample", None, "* Tournament size, with replacement [6, 25].", lower_bound=1)
flags.DEFINE_integer("epochs", None, "* Training epochs per candidate [8, 80].", lower_bound=1)
flags.DEFINE_integer(
    "final_epochs",
    None,
    "* Epochs to train the best network from scratch at the end, if more than the search's; its old weights"
    " are kept if they err less [40, 0].",
    lower_bound=0,
)
flags.DEFINE_string(
    "max_overrun",
    None,
    "* Narrow or redraw, before training, networks with memory, size or MACs above this many times its"
    " bound; none trains them all [1, none].",
)
flags.DEFINE_string("error_bound", "0.05", "Soft bound on the validation error, 0 to 1; none drops it.")
flags.DEFINE_string("memory_bound", "10000", "Soft bound on peak memory in bytes; none drops it.")
flags.DEFINE_string("size_bound", "20000", "Soft bound on model size in bytes; none drops it.")
flags.DEFINE_string("macs_bound", "1000000", "Soft bound on multiply-accumulates; none drops it.")
flags.DEFINE_integer("seed", 0, "Decides everything.", lower_bound=0)
flags.DEFINE_integer("workers", None, "Processes, one thread each [number of cores].", lower_bound=1)
flags.DEFINE_flag(
    flags.Flag(
        flags.ArgumentParser(),
        flags.ArgumentSerializer(),
        "resume",
        None,
        "Go on with the run in DIR: --resume=DIR, or --resume --out=DIR, which begins it if there is none."
        " Its flags are kept; one that is given again must agree.",
        boolean=True,
    )
)
# Flags that config.json holds under their own name and as they are given.
_OWN_FLAGS = (
    "profile", "data", "input", "mode", "bits", "size", "rounds", "population", "sample", "seed", "workers",
    "final_epochs",
)  # fmt: skip


def _number(name: str) -> float | None:
    """The value of a flag that is a positive number or ``none``."""
    text = FLAGS[name].value
    if text.lower() == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise LogGradError(f"--{name}={text}: give a positive number, or none to drop it")
    return value


def _bounds() -> Bounds:
    return Bounds(
        _number("error_bound"), _number("memory_bound"), _number("size_bound"), _number("macs_bound")
    )


def _check_flags() -> None:
    """Find wrong values in a moment, before anything is written."""
    check_format(FLAGS.input)
    if FLAGS.bits and not 8 <= FLAGS.bits <= 16:
        raise LogGradError(f"--bits={FLAGS.bits}: choose 8 to 16, or 0 for the data set's own depth")
    _bounds()
    if FLAGS.max_overrun is not None:
        _number("max_overrun")


def _new_config() -> tuple[Config, DataSet]:
    """The search that the flags ask for, and its data set, which is prepared on first use."""
    profile = PROFILES[FLAGS.profile]
    max_overrun = profile.max_overrun if FLAGS.max_overrun is None else _number("max_overrun")
    train = dict(profile.train)
    if FLAGS.epochs is not None:
        train["epochs"] = FLAGS.epochs
    spec = absolute_data(FLAGS.data)
    data = dataset.load(spec, size=FLAGS.size, mode=FLAGS.mode)
    config = Config(
        profile=FLAGS.profile,
        data=spec,
        input=FLAGS.input,
        mode=FLAGS.mode,
        bits=FLAGS.bits,
        size=FLAGS.size,
        rounds=FLAGS.rounds or profile.rounds,
        population=FLAGS.population or profile.population,
        sample=FLAGS.sample or profile.sample,
        seed=FLAGS.seed,
        workers=FLAGS.workers or processors(),
        max_overrun=max_overrun,
        bounds=_bounds(),
        train=train,
        final_epochs=profile.final_epochs if FLAGS.final_epochs is None else FLAGS.final_epochs,
        front_end=fit_front_end(data, FLAGS.input, FLAGS.bits).to_json(),
        class_names=data.class_names,
        manifest_sha256=data.manifest_sha256,
        onednn=os.environ.get(ONEDNN, "1"),
        threads=THREADS,
        versions=versions(),
    )
    return config, data


def _given_again(stored: Config) -> dict[str, Any]:
    """``stored`` in JSON form, with what the command line says in place of what it holds."""
    given = stored.to_json()
    for name in _OWN_FLAGS:
        if FLAGS[name].present:
            given[name] = FLAGS[name].value
    if absolute_data(given["data"]) == absolute_data(stored.data):
        given["data"] = stored.data
    if FLAGS["max_overrun"].present:
        given["max_overrun"] = _number("max_overrun")
    for name, bound in _bounds().to_json().items():
        if FLAGS[{"peak_memory": "memory"}.get(name, name) + "_bound"].present:
            given["bounds"] = {**given["bounds"], name: bound}
    if FLAGS["epochs"].present:
        given["train"] = {**given["train"], "epochs": FLAGS.epochs}
    return given


def _check_resumed(directory: Path, stored: Config) -> DataSet:
    """The data set of the search that goes on.

    Raises:
      LogGradError: a flag, the data set or the machine would change its history.
    """
    changed = differences(stored.to_json(), _given_again(stored))
    if changed:
        raise LogGradError(
            f"{directory}: {changed[0]}; leave the flag out to go on, or start anew with another --out"
        )
    data = dataset.load(stored.data, size=stored.size, mode=stored.mode)
    if data.manifest_sha256 != stored.manifest_sha256:
        raise LogGradError(
            f"data set {stored.data} has changed since the search began"
            f" (manifest {data.manifest_sha256[:12]}, was {stored.manifest_sha256[:12]}):"
            " restore it, or start a new search"
        )
    now = {"onednn": os.environ.get(ONEDNN, "1"), "threads": THREADS}
    for change in differences({key: stored.to_json()[key] for key in now}, now):
        raise LogGradError(
            f"{directory}: {change}; the history would not go on as it began:"
            " restore it, or start anew with another --out"
        )
    for change in differences(stored.versions, versions()):
        print(f"warning: {change}; results may differ in the last digits from here on", file=sys.stderr)
    return data


def _directory() -> tuple[Path, bool]:
    """The run directory, and whether an existing run goes on there."""
    resume = FLAGS.resume
    if resume in (None, "false"):
        name = f"{FLAGS.input}_{FLAGS.mode}_size{FLAGS.size}_seed{FLAGS.seed}"
        return Path(FLAGS.out or Path("runs") / name), False
    if resume in (True, "true"):
        if FLAGS.out is None:
            raise LogGradError("--resume: say which run, --resume=DIR or --resume --out=DIR")
        directory = Path(FLAGS.out)
        return directory, rundir.exists(directory)
    if FLAGS.out is not None and Path(FLAGS.out) != Path(resume):
        raise LogGradError(f"--resume={resume} and --out={FLAGS.out} name two directories: give one")
    return Path(resume), True


def _costs(point: Point) -> str:
    r = point.resources
    return (
        f"error {point.error:6.2%}  memory {r.peak_memory / 1e3:6.2f} KB  size {r.size / 1e3:6.2f} KB "
        f" MACs {r.macs / 1e6:6.3f} M"
    )


def _left(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 120:
        return f"{minutes // 60} h {minutes % 60} min left"
    return f"{minutes} min left" if seconds >= 90 else f"{seconds:.0f} s left"


class _Progress:
    """One line a candidate: what it reached, the best so far, pace and time left."""

    def __init__(self, config: Config, front: rundir.Front, done: int) -> None:
        self._config, self._front = config, front
        self._begin, self._before = time.monotonic(), done

    def show(self, record: Record, seconds: float) -> None:
        self._front.add(record)
        done, rounds = record.candidate.index + 1, self._config.rounds
        result = _costs(record.point) if record.point else f"failed: {record.outcome.failure}"
        chosen = best(self._front.members, self._config.bounds)
        leader = f"best {self._front.points[chosen].error:.2%} (#{chosen})" if chosen is not None else ""
        pace = (time.monotonic() - self._begin) / (done - self._before)
        print(
            f"[{done:{len(str(rounds))}}/{rounds}] {result}  {seconds:5.1f} s | {leader}"
            f" | {3600 / pace:.0f}/h, {_left(pace * (rounds - done))}",
            flush=True,
        )


def _print_front(front: rundir.Front, config: Config, chosen: int) -> None:
    print(f"\nFront of {len(front.points)} trained candidates (* best, ! over a bound):")
    print("  candidate  val error   memory B     size B       MACs")
    for index in plots.by_error(front.members):
        point = front.members[index]
        r = point.resources
        mark = "*" if index == chosen else "!" if overrun(r, config.bounds) > 1 else " "
        print(f"{mark} {index:9d}  {point.error:9.2%}  {r.peak_memory:9d}  {r.size:9d}  {r.macs:9d}")


def _finish(
    directory: Path, config: Config, data: DataSet, evolution: Evolution, front: rundir.Front
) -> None:
    chosen = best(front.members, config.bounds)
    if chosen is None:
        reason = evolution.records[0].outcome.failure
        raise LogGradError(f"all {config.rounds} candidates failed; the first one: {reason}")
    plots.write_csv(directory / "front.csv", front.members)
    title = f"{config.input}, {config.data}, {len(front.points)} candidates, seed {config.seed}"
    plots.write_png(directory / "front.png", front.points, front.members, config.bounds, chosen, title)
    _print_front(front, config, chosen)
    failed = len(evolution.records) - len(front.points)
    if failed:
        print(f"{failed} candidates failed; reasons are in {directory / 'journal.jsonl'}")
    record = evolution.records[chosen]
    if overrun(record.candidate.resources, config.bounds) > 1:
        print("no candidate is within all bounds; the best one exceeds them least")
    print(final.finish_best(directory, config, record, data))


def _search(directory: Path, config: Config, data: DataSet) -> None:
    journal, records = rundir.open_journal(directory)
    if journal.warning:
        print(f"warning: {journal.warning}", file=sys.stderr)
    settings = config.settings()
    evolution = Evolution(settings, records)
    rundir.check_history(evolution, journal.path)
    rundir.remove_leftovers(directory)
    front = rundir.Front(directory, records)
    progress = _Progress(config, front, len(records))

    def task_of(candidate: Candidate) -> Task:
        seed = training_seed(config.seed, candidate.index)
        return Task(candidate.index, build(candidate.genotype, settings), seed)

    if not evolution.finished:
        epochs = config.train["epochs"]
        print(
            f"{config.rounds - len(records)} candidates to go, {epochs} epochs each,"
            f" {config.workers} workers, in {directory}",
            flush=True,
        )
        spec = config.training(data.path, directory / rundir.WEIGHTS)
        with Pool(config.workers, open_evaluator, spec) as pool:
            rundir.drive(evolution, journal, pool, task_of, progress.show)
    journal.close()
    _finish(directory, config, data, evolution, front)


def main(argv: list[str]) -> None:
    del argv
    directory, resume = _directory()
    if resume:
        config = rundir.load_config(directory)
    else:
        rundir.refuse_existing(directory)
        _check_flags()
    with rundir.lock(directory):  # before minutes of preparing data
        if resume:
            data = _check_resumed(directory, config)
        else:
            config, data = _new_config()
            propose(config.settings(), 0, [])  # impossible bounds leave no run behind
            rundir.create(directory, config)
        try:
            _search(directory, config, data)
        except KeyboardInterrupt:
            print(
                f"\ninterrupted; what is finished is kept. Go on with:"
                f" python -m search.evolve --resume={directory}",
                file=sys.stderr,
            )
            sys.exit(130)


if __name__ == "__main__":
    cli.run(main)
