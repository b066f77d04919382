"""The flags of :mod:`search.evolve`, and the search that they ask for."""

import dataclasses
import os
import sys
from typing import Any

from absl import flags

from export import boards
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.parallel import processors
from loggrad_tf.transform.frontend import FORMATS, check_format
from search.cost.objectives import ERROR, LOSS, Bounds
from search.run.config import BOARD, MODELS, PROFILES, Config, Method, absolute_data, fit_front_end, versions
from search.space.assembly import SAME, VALID
from search.space.starts import STARTS
from search.workers.evaluator import EPOCH_LIMIT, TrainingSpec, open_evaluator
from search.workers.pool import ONEDNN, THREADS, Pool
from search.workers.ray_pool import RayPool

FLAGS = flags.FLAGS

flags.DEFINE_string("data", "synthetic", "Data set: synthetic, pascalraw:DIR, folder:DIR or prepared:DIR.")
flags.DEFINE_string("input", "loggrad_1p5", f"Input format: {', '.join(FORMATS)}.")
flags.DEFINE_enum("mode", "gray", ["gray", "mosaic"], "Binned gray, or the Bayer mosaic itself.")
flags.DEFINE_integer("bits", 0, "Sensor depth to train for, 8 to 16; 0: the data set's own.")
flags.DEFINE_integer("size", 96, "Side of the square input in pixels.", lower_bound=8)
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
flags.DEFINE_integer("rounds", None, "* Candidates in all [quick 64, paper 2000].", lower_bound=1)
flags.DEFINE_integer("population", None, "* Ageing population, drawn at random [16, 100].", lower_bound=1)
flags.DEFINE_integer("sample", None, "* Tournament size, with replacement [6, 25].", lower_bound=1)
flags.DEFINE_integer("epochs", None, "* Training epochs per candidate [8, 80].", lower_bound=1)
flags.DEFINE_integer(
    "final_epochs",
    None,
    "* Epochs to train the best networks from scratch at the end, if more than the search's [40, 0].",
    lower_bound=0,
)
flags.DEFINE_integer(
    "finalists",
    None,
    "* So many are trained for --final_epochs; the best by --rank_by on validation is saved [3, 1].",
    lower_bound=1,
)
flags.DEFINE_integer(
    "final_seeds",
    None,
    "* Seeds that each of them is trained with; their mean chooses the network [1, 1].",
    lower_bound=1,
)
flags.DEFINE_boolean(
    "fused_bn",
    None,
    "* Batch norm by fewer, longer operations than Keras' own [true, true; faithful false].",
)
flags.DEFINE_boolean(
    "pruning", None, "* A candidate has a sparsity too: channels are pruned in training [false, true]."
)
flags.DEFINE_string(
    "max_overrun",
    None,
    "* Repair or redraw, before training, networks with a cost above this many times its bound; none trains"
    " them all [1, 1; faithful none].",
)
flags.DEFINE_boolean("unique", None, "* Never train a network twice [true, true; faithful false].")
flags.DEFINE_integer(
    "children",
    None,
    "* Draw so many and train the one where the front of costs is sparsest [8, 8; faithful 1].",
    lower_bound=1,
)
flags.DEFINE_boolean(
    "elitist", None, "* Members of the front stay parents, whatever their age [false, false; faithful false]."
)
flags.DEFINE_string(
    "rungs",
    None,
    "* Epochs, separated by commas, at which trainings that learn slower than those of cheaper networks end;"
    " none [2,4; 8,20,40; faithful none].",
)
flags.DEFINE_enum(
    "rank_by",
    None,
    [ERROR, LOSS],
    "* Parents and finalists are those of least validation error, or loss [error, error; faithful error].",
)
flags.DEFINE_boolean("varied", None, "* Larger and more varied steps [true, true; faithful false].")
flags.DEFINE_boolean(
    "always_bn",
    None,
    "* Batch norm behind every layer, which costs the board nothing [false, true; faithful false].",
)
flags.DEFINE_enum(
    "padding",
    None,
    [VALID, SAME],
    "* Convolutions without zero padding, or with what keeps a map's size [same, valid; faithful valid].",
)
flags.DEFINE_enum(
    "start", None, ["", *STARTS], "Begin with this network and its morphs in place of random networks [none]."
)
flags.DEFINE_enum(
    "resources",
    None,
    list(MODELS),
    "* Whose counts the default bounds are on: deployed (RAM of the generated C's image) or munas (1 byte an"
    " element, input not counted) [deployed; faithful munas]. Both are reported.",
)
flags.DEFINE_string(
    "board", None, f"Count for this board of firmware/boards; its RAM and flash become bounds [{BOARD}]."
)
flags.DEFINE_string("error_bound", "0.05", "Soft bound on the validation error, 0 to 1; none drops it.")
_BOUNDS = {
    "memory": ("peak_memory", "peak memory as muNAS counts it, bytes [munas: 10000]"),
    "size": ("size", "weights, bytes [20000; with --board none]"),
    "macs": ("macs", "multiply-accumulates a frame [1000000]"),
    "ram": ("ram", "RAM of the image, bytes [deployed: 10000; with --board its RAM]"),
    "flash": ("flash", "flash of the image, bytes [with --board its flash]"),
    "latency": ("latency", "estimated latency, seconds a frame [none]"),
    "energy": ("energy", "estimated energy, joules a frame [none; with --energy 0.0005]"),
}
# A million multiply-accumulates, the default bound on those, at the 0.52 nJ of a Cortex-M4.
_ENERGY = 5e-4
for _name, (_, _text) in _BOUNDS.items():
    flags.DEFINE_string(f"{_name}_bound", None, f"Soft bound on {_text}; none drops it.")
flags.DEFINE_boolean(
    "energy", False, "Estimated energy on the board is an objective, bounded by --energy_bound."
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
    "Seconds after which a candidate has failed [600 for each of its epochs]; training in full has longer, by"
    " its epochs.",
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
        " agree, but --rounds, --finalists, --final_epochs and --final_seeds may change.",
        boolean=True,
    )
)
# Flags that config.json holds under their own name and as they are given.
_OWN = ("data", "input", "mode", "bits", "size", "seed", "workers")
_METHOD = (
    "rounds", "population", "sample", "finalists", "final_seeds", "pruning", "unique", "children", "elitist",
    "rank_by", "varied", "always_bn", "padding", "start",
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


def _rungs() -> tuple[int, ...]:
    text = FLAGS.rungs
    if text.lower() in ("none", ""):
        return ()
    try:
        rungs = tuple(int(word) for word in text.split(","))
    except ValueError:
        rungs = (0,)
    if min(rungs) < 1 or list(rungs) != sorted(set(rungs)):
        raise LogGradError(f"--rungs={text}: give rising numbers of epochs, as in 2,4, or none")
    return rungs


def _given(method: Method) -> Method:
    """``method`` with what the command line says in place of what it holds."""
    changes: dict[str, Any] = {n: FLAGS[n].value for n in _METHOD if FLAGS[n].value is not None}
    if FLAGS.max_overrun is not None:
        changes["max_overrun"] = _number("max_overrun")
    if FLAGS.rungs is not None:
        changes["rungs"] = _rungs()
    if FLAGS.resources is not None:
        changes["model"] = FLAGS.resources
    train = {n: FLAGS[n].value for n in ("epochs", "fused_bn") if FLAGS[n].value is not None}
    changes["train"] = method.train | train
    if FLAGS.final_epochs is not None:
        changes["final"] = method.final | {"epochs": FLAGS.final_epochs}
    return dataclasses.replace(method, **changes)


def pool(count: int, spec: TrainingSpec, config: Config) -> Pool | RayPool:
    """The workers asked for. They decide nothing, so a search may go on with others.

    A training in full has longer than a candidate of ``config``, by the epochs.
    """
    limit = FLAGS.timeout / config.method.train["epochs"] if FLAGS.timeout else EPOCH_LIMIT
    timeout = limit * spec.train["epochs"]
    if FLAGS.executor == "process":
        return Pool(count, open_evaluator, spec, timeout)
    made = RayPool(count, open_evaluator, spec, FLAGS.ray_address, timeout)
    if made.warning:
        print(f"warning: {made.warning}", file=sys.stderr)
    return made


def executor() -> str:
    """The flags that say where candidates are trained, as they were given; a run does not keep them."""
    given = [name for name in ("executor", "ray_address", "timeout") if FLAGS[name].present]
    return "".join(f" --{name}={FLAGS[name].value}" for name in given)


def method() -> Method:
    """The method asked for: a profile, with the flags that were given.

    Raises:
      LogGradError: a wrong value, or two that contradict each other.
    """
    if FLAGS.ray_address is not None and FLAGS.executor != "ray":
        raise LogGradError(f"--ray_address={FLAGS.ray_address}: give --executor=ray too")
    if FLAGS.faithful and FLAGS["profile"].present:
        raise LogGradError("--faithful and --profile name two sets of defaults: give one")
    made = _given(PROFILES["faithful" if FLAGS.faithful else FLAGS.profile])
    if FLAGS.rungs is not None and made.rungs and made.rungs[-1] >= made.train["epochs"]:
        raise LogGradError(
            f"--rungs={FLAGS.rungs}: the last one must lie below the {made.train['epochs']} epochs"
        )
    rungs = tuple(rung for rung in made.rungs if rung < made.train["epochs"])
    return dataclasses.replace(made, rungs=rungs)


def bounds() -> Bounds:
    """The bounds asked for: those given, and the defaults of the resource model or board.

    Raises:
      LogGradError: a wrong value, an unknown board, or one without bounds.
    """
    found: dict[str, float | None] = {"error": _number("error_bound"), "size": 20_000, "macs": 1_000_000}
    found |= {"peak_memory": None}
    if FLAGS.board is not None:
        if FLAGS.board not in boards.names():
            raise LogGradError(
                f"--board={FLAGS.board}: no such board; choose one of {', '.join(boards.names())}"
            )
        board = boards.read(FLAGS.board)
        if board["ram"] is None:
            raise LogGradError(f"--board={FLAGS.board}: it bounds nothing; choose a Cortex-M board")
        found |= {"ram": board["ram"]["length"], "flash": board["flash"]["length"], "size": None}
    elif method().model == "munas":
        found |= {"peak_memory": 10_000}
    else:
        found |= {"ram": 10_000}
    if FLAGS.energy:
        found["energy"] = _ENERGY
    for flag, (name, _) in _BOUNDS.items():
        if FLAGS[f"{flag}_bound"].value is not None:
            found[name] = _number(f"{flag}_bound")
    return Bounds(**found)


def check() -> None:
    """Find wrong values in a moment, before anything is written."""
    check_format(FLAGS.input)
    if FLAGS.bits and not 8 <= FLAGS.bits <= 16:
        raise LogGradError(f"--bits={FLAGS.bits}: choose 8 to 16, or 0 for the data set's own depth")
    method()
    bounds()


def config() -> tuple[Config, DataSet]:
    """The search asked for, and its data set, which is prepared on first use."""
    made, limits = method(), bounds()
    spec = absolute_data(FLAGS.data)
    data = dataset.load(spec, size=FLAGS.size, mode=FLAGS.mode)
    return Config(
        profile="faithful" if FLAGS.faithful else FLAGS.profile,
        data=spec,
        input=FLAGS.input,
        mode=FLAGS.mode,
        bits=FLAGS.bits,
        size=FLAGS.size,
        seed=FLAGS.seed,
        workers=FLAGS.workers or processors(),
        bounds=limits,
        board=FLAGS.board or BOARD,
        method=made,
        front_end=fit_front_end(data, FLAGS.input, FLAGS.bits).to_json(),
        class_names=data.class_names,
        manifest_sha256=data.manifest_sha256,
        onednn=os.environ.get(ONEDNN, "1"),
        threads=THREADS,
        versions=versions(),
    ), data


def again(stored: Config) -> Config:
    """``stored``, with what the command line says in place of what it holds."""
    changes: dict[str, Any] = {name: FLAGS[name].value for name in _OWN if FLAGS[name].present}
    if absolute_data(changes.get("data", stored.data)) == absolute_data(stored.data):
        changes["data"] = stored.data
    if FLAGS["profile"].present or FLAGS["faithful"].present:
        changes["profile"] = "faithful" if FLAGS.faithful else FLAGS.profile
    if FLAGS["board"].present:
        changes["board"] = FLAGS.board
    limits = {"error": _number("error_bound")} if FLAGS["error_bound"].present else {}
    if FLAGS["energy"].present:
        limits["energy"] = (stored.bounds.energy or _ENERGY) if FLAGS.energy else None
    for flag, (name, _) in _BOUNDS.items():
        if FLAGS[f"{flag}_bound"].present:
            limits[name] = _number(f"{flag}_bound")
    changes["bounds"] = dataclasses.replace(stored.bounds, **limits)
    changes["method"] = _given(stored.method)
    return dataclasses.replace(stored, **changes)
