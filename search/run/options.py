"""The flags of :mod:`search.evolve`, and the search that they ask for."""

import dataclasses
import os
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from absl import flags

from export import boards
from export.predict import footprint
from loggrad_tf.data import dataset
from loggrad_tf.data import options as data_options
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.knob import Flag, text
from loggrad_tf.parallel import processors
from loggrad_tf.transform.frontend import FORMATS, check_format
from models.recipe import CUBIC
from search.cost.objectives import BOUND_FLAGS, Bounds
from search.record.versions import versions
from search.run.config import BOARD, Config, absolute_data, fit_front_end
from search.run.profiles import (
    ALL_PROFILES,
    DETECT,
    DETECT_BUDGET,
    ENERGY,
    PLAIN,
    default_bounds,
    for_images,
    in_short,
    trained_out,
)
from search.run.schedule import DECIDES, OPEN, opened, seconds_of
from search.space.spaces import MUNAS
from search.strategy.method import METHOD_FLAGS, OF_MUNAS, Method
from search.workers.evaluator import EPOCH_LIMIT, TrainingSpec, cell_entropy
from search.workers.pool import ONEDNN, THREADS, Pool
from search.workers.ray_pool import RayPool
from search.workers.trainers import ray_trainers, trainers

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(data_options)
Owner = TypeVar("Owner", Method, Bounds)

flags.DEFINE_string("input", "loggrad_1p5", f"Input format: {', '.join(FORMATS)}.")
flags.DEFINE_integer("bits", 0, "Sensor depth to train for, 8 to 16; 0: the data set's own.")
flags.DEFINE_string(
    "budget",
    None,
    "Time for everything, as 10m, 2h or 8h: divides itself between candidates and trainings in full, in place"
    " of --rounds, --finalists, --final_epochs and --final_seeds; with --task=detect"
    f" {DETECT_BUDGET / 60:.0f}m if none of these is given.",
)
flags.DEFINE_string("out", None, "Run directory [runs/INPUT_MODE_sizeSIZE_seedSEED].")
flags.DEFINE_enum(
    "profile",
    "quick",
    ["quick", "paper"],
    "Defaults of the flags marked *. quick: minutes; paper: appendix C.1 on 2000 candidates, days.",
)
flags.DEFINE_boolean(
    "faithful",
    False,
    "Plain muNAS in place of a profile: the paper's schedule and bounds, muNAS' resource counts, and none"
    " of what makes a search cheaper.",
)
for _flag in (*METHOD_FLAGS, *BOUND_FLAGS):
    _text = f"* {_flag.knob.help.removesuffix('.')} [{in_short(_flag)}]."
    if _flag.knob.choices:
        flags.DEFINE_enum(_flag.name, None, list(_flag.knob.choices), _text)
    elif _flag.kind is bool:
        flags.DEFINE_boolean(_flag.name, None, _text)
    elif _flag.kind is int:
        flags.DEFINE_integer(_flag.name, None, _text, lower_bound=_flag.knob.lower)
    else:
        flags.DEFINE_string(_flag.name, None, _text)
flags.DEFINE_string(
    "board", None, f"Count for this board of firmware/boards; its RAM and flash become bounds [{BOARD}]."
)
boards.define_flag()
flags.DEFINE_boolean(
    "energy",
    False,
    f"Estimated energy on the board is an objective, bounded by --energy_bound [{ENERGY:g}].",
)
flags.DEFINE_integer("seed", 0, "Decides everything.", lower_bound=0)
flags.DEFINE_integer("workers", None, "Processes, one thread each [number of cores].", lower_bound=1)
flags.DEFINE_enum(
    "executor", "process", ["process", "ray"], "Where candidates are trained: this machine, or a Ray cluster."
)
flags.DEFINE_string(
    "ray_address", None, "Of --executor=ray: auto, or the head's ip:port [Ray on this machine alone]."
)
flags.DEFINE_float(
    "timeout",
    None,
    f"Seconds after which a candidate has failed [{EPOCH_LIMIT:g} for each of its epochs]; training in full"
    " has longer, by its epochs.",
    lower_bound=1,
)
flags.DEFINE_flag(
    flags.Flag(
        flags.ArgumentParser(),
        flags.ArgumentSerializer(),
        "resume",
        None,
        "Go on with the run in DIR: --resume=DIR, or --resume --out=DIR, which begins it if there is none."
        " Its flags are kept, but for --executor, --ray_address and --timeout; one that is given again must"
        " agree, but --budget, --rounds, --finalists, --final_epochs and --final_seeds may change.",
        boolean=True,
    )
)
# Flags that --help shows of a search; --helpfull shows all of them.
SHOWN = (
    *("data", "size", "mode", "fit"),
    *(flag.name for flag in (*METHOD_FLAGS, *BOUND_FLAGS) if not flag.knob.rare),
    *("budget", "input", "bits", "out", "resume", "profile", "faithful", "board", "boards", "energy", "seed"),
    *("workers", "executor", "ray_address", "timeout"),
)
# Flags that config.json holds under their own name and as they are given.
_OWN = ("data", "input", "mode", "bits", "size", "fit", "seed", "workers")


def _value(flag: Flag) -> Any:
    """What the command line says.

    Raises:
      LogGradError: nothing that the knob takes.
    """
    given = FLAGS[flag.name].value
    if flag.knob.parse is None:
        return given
    try:
        return flag.knob.parse(given)
    except ValueError as error:
        raise LogGradError(f"--{flag.name}={given}: {error}") from None


def _given(owner: Owner, knobs: Iterable[Flag]) -> Owner:
    """``owner`` with what the command line says in place of what it holds.

    A bound that it holds already keeps its type, so that a default that is spelled out is the same search.
    """
    for flag in knobs:
        if FLAGS[flag.name].value is not None and (value := _value(flag)) != flag.of(owner):
            owner = flag.put(owner, value)
    return owner


def pool(count: int, spec: TrainingSpec, config: Config) -> Pool | RayPool:
    """The workers asked for. They decide nothing, so a search may go on with others.

    A training in full has longer than a candidate of ``config``, by the epochs.
    """
    limit = FLAGS.timeout / config.method.train.epochs if FLAGS.timeout else EPOCH_LIMIT
    if FLAGS.executor == "process":
        return trainers(count, spec, limit)
    made = ray_trainers(count, spec, FLAGS.ray_address, limit)
    if made.warning:
        print(f"warning: {made.warning}", file=sys.stderr)
    return made


def executor() -> str:
    """The flags that say where candidates are trained, as they were given; a run does not keep them."""
    given = [name for name in ("executor", "ray_address", "timeout") if FLAGS[name].present]
    return "".join(f" --{name}={FLAGS[name].value}" for name in given)


def budget() -> float | None:
    """Seconds for the whole search; None if it is not given.

    Raises:
      LogGradError: it is no time, or something that it decides is given too, or a profile without it.
    """
    if FLAGS.budget is None:
        detects = data_options.request().detects
        return DETECT_BUDGET if detects and not any(FLAGS[name].present for name in DECIDES) else None
    seconds = seconds_of(FLAGS.budget)
    for name in DECIDES:
        if FLAGS[name].value is not None:
            raise LogGradError(f"--budget={FLAGS.budget} decides --{name}: give one of them")
    if FLAGS.faithful or FLAGS.profile in PLAIN:
        raise LogGradError(
            f"--budget={FLAGS.budget}: a search as the paper's has the paper's rounds: leave it out, or"
            " take the quick profile"
        )
    return seconds


def _profile(detects: bool) -> str:
    """The name of the profile asked for.

    Raises:
      LogGradError: two of them, or one that is for classifiers.
    """
    if FLAGS.faithful and FLAGS["profile"].present:
        raise LogGradError("--faithful and --profile name two sets of defaults: give one")
    name = "faithful" if FLAGS.faithful else FLAGS.profile
    if not detects:
        return name
    if name in PLAIN:
        flag = "--faithful" if FLAGS.faithful else f"--profile={name}"
        raise LogGradError(f"{flag}: muNAS' space has no detectors: leave it out, or search another --task")
    return DETECT


def method(images: int | None = None) -> Method:
    """The method asked for: a profile, with the flags that were given.

    Args:
      images: to train on, which decide how long a profile trains; None if they are not known yet. A search
        as muNAS did it trains as long as the paper whatever there is.

    Raises:
      LogGradError: a wrong value, or two that contradict each other.
    """
    if FLAGS.ray_address is not None and FLAGS.executor != "ray":
        raise LogGradError(f"--ray_address={FLAGS.ray_address}: give --executor=ray too")
    asked = data_options.request()
    name = _profile(asked.detects)
    profile = ALL_PROFILES[name]
    if images is not None and not FLAGS.faithful:
        profile = for_images(profile, images)
    made = trained_out(name, _given(profile, METHOD_FLAGS), asked.size)
    if asked.detects and made.space == MUNAS:
        raise LogGradError(f"--space={MUNAS}: it has no detectors: leave it out, or search another --task")
    if made.space != MUNAS:
        for flag in METHOD_FLAGS:
            if flag.name in OF_MUNAS and flag.of(made) != flag.of(profile):
                raise LogGradError(
                    f"--{flag.name}={text(flag.of(made))}: only muNAS' space has the choice: leave it out, or"
                    f" give --space={MUNAS}"
                )
    if made.pruning_schedule != CUBIC and not made.pruning:
        raise LogGradError(f"--pruning_schedule={made.pruning_schedule}: nothing is pruned; add --pruning")
    if FLAGS.rungs is not None and made.rungs != made.reached_rungs:
        raise LogGradError(
            f"--rungs={FLAGS.rungs}: the last one must lie below the {made.train.epochs} epochs:"
            " give smaller ones, or more --epochs"
        )
    made = dataclasses.replace(made, rungs=made.reached_rungs)
    return made if budget() is None else opened(made)


def bounds() -> Bounds:
    """The bounds asked for: those given, and the defaults of the resource model or board.

    Raises:
      LogGradError: a wrong value, an unknown board, or one without bounds or measured code sizes.
    """
    place, board = boards.place(FLAGS.board, FLAGS.boards), None
    if place is not None:
        board = boards.read(place)
        if board["ram"] is None:
            raise LogGradError(f"--board={FLAGS.board}: it bounds nothing; choose a Cortex-M board")
        footprint.measured_sizes(board)
    detects = data_options.request().detects
    return _given(default_bounds(method().model, board, FLAGS.energy, detects), BOUND_FLAGS)


def check() -> None:
    """Find wrong values in a moment, before anything is written."""
    check_format(FLAGS.input, "--input")
    if FLAGS.bits and not 8 <= FLAGS.bits <= 16:
        raise LogGradError(f"--bits={FLAGS.bits}: choose 8 to 16, or 0 for the data set's own depth")
    method()
    bounds()


def config() -> tuple[Config, DataSet]:
    """The search asked for, and its data set, which is prepared on first use."""
    limits, asked = bounds(), data_options.request()
    spec = absolute_data(asked.spec)
    data = dataset.opened(dataclasses.replace(asked, spec=spec))
    made = method(len(data.labels_of("train")))
    return Config(
        profile=_profile(asked.detects),
        data=spec,
        input=FLAGS.input,
        mode=FLAGS.mode,
        bits=FLAGS.bits,
        size=asked.size,
        seed=FLAGS.seed,
        workers=FLAGS.workers or processors(),
        bounds=limits,
        board=boards.place(FLAGS.board, FLAGS.boards) or BOARD,
        method=made,
        front_end=fit_front_end(data, FLAGS.input, FLAGS.bits),
        class_names=data.class_names,
        manifest_sha256=data.manifest_sha256,
        onednn=os.environ.get(ONEDNN, "1"),
        threads=THREADS,
        versions=versions(made.train.trainer),
        fit=data.fit,
        task=data.task,
        budget=budget(),
        cell_entropy=cell_entropy(data) if asked.detects else None,
    ), data


def again(stored: Config) -> Config:
    """``stored``, with what the command line says in place of what it holds."""
    changes: dict[str, Any] = {name: FLAGS[name].value for name in _OWN if FLAGS[name].present}
    if absolute_data(changes.get("data", stored.data)) == absolute_data(stored.data):
        changes["data"] = stored.data
    if FLAGS["profile"].present or FLAGS["faithful"].present:
        changes["profile"] = _profile(stored.request.detects)
    if FLAGS["board"].present or FLAGS["boards"].present:
        changes["board"] = boards.place(FLAGS.board, FLAGS.boards)
    limits = stored.bounds
    if FLAGS["energy"].present:
        limits = dataclasses.replace(limits, energy=(limits.energy or ENERGY) if FLAGS.energy else None)
    changes["bounds"] = _given(limits, BOUND_FLAGS)
    changes["method"] = _given(stored.method, METHOD_FLAGS)
    if FLAGS.budget is not None:
        changes["budget"] = budget()
        if changes["budget"] != stored.budget:
            changes["method"] = opened(changes["method"])
    elif any(FLAGS[name].value is not None for name in DECIDES):
        changes["budget"] = None
        if changes["method"].rounds == OPEN:
            raise LogGradError(
                "the search has no --budget any more, and nothing is decided yet: give --rounds"
            )
    if FLAGS.final_epochs is not None:
        changes["method"] = trained_out(stored.profile, changes["method"], stored.size)
    return dataclasses.replace(stored, **changes)
