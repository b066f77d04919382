"""``python -m experiments --figure=fig09_filters``: the paper's figures and what it left open.

Each writes OUT/NAME: numbers, pictures, and the paper's claim beside what was found. Trainings are kept in
OUT/jobs; a command that was interrupted goes on where it was when it is given again. ``--figure=all`` makes
every figure and goes on where one cannot be made, ``--figure=list`` lists them.
"""

import importlib
import time
from pathlib import Path

from absl import flags

from experiments.catalogue import EXPERIMENTS, PROFILES, drawn, room
from loggrad_tf import cli, files
from loggrad_tf.data.request import CLASSIFY, DETECT, PRESENCE
from loggrad_tf.data.size_flag import SizeParser, SizeSerializer
from loggrad_tf.errors import LogGradError
from loggrad_tf.parallel import processors

FLAGS = flags.FLAGS
flags.DEFINE_list("figure", ["list"], "Names, separated by commas; all; or list.")
flags.DEFINE_string(
    "data",
    None,
    "Data set: synthetic (the default), synthetic:street (that of detectors), pascalraw:DIR, folder:DIR or"
    " prepared:DIR.",
)
flags.DEFINE_enum(
    "profile",
    "quick",
    PROFILES,
    "quick: minutes on two cores; long: one split, up to 40 epochs; folds: five folds, small_bn trained out,"
    " for the experiments that compare inputs; paper: the paper's sizes, epochs and batches.",
)
flags.DEFINE_integer("seeds", None, "Trainings of each kind, in place of the profile's.", lower_bound=1)
flags.DEFINE_integer("epochs", None, "Epochs of each training, in place of the profile's.", lower_bound=1)
flags.DEFINE(
    SizeParser(),
    "size",
    None,
    "Side of the images, or width and height of frames, in place of the profile's.",
    serializer=SizeSerializer(),
)
flags.DEFINE_string(
    "task",
    CLASSIFY,
    f"What the data set's classes are of: {CLASSIFY}, {PRESENCE}:person; of the experiment on detectors"
    f" {DETECT}, or {DETECT}:person,car for some classes.",
)
flags.DEFINE_string("out", "runs/experiments", "Folder of the results.")
flags.DEFINE_integer("workers", None, "Processes, one thread each [number of cores].", lower_bound=1)


def _wanted() -> list[str]:
    names = list(EXPERIMENTS) if FLAGS.figure == ["all"] else FLAGS.figure
    for name in names:
        if name not in EXPERIMENTS:
            raise LogGradError(f"--figure={name}: no such experiment; choose of {', '.join(EXPERIMENTS)}")
    return names


def main(argv: list[str]) -> None:
    del argv
    if FLAGS.figure == ["list"]:
        for name, title in EXPERIMENTS.items():
            print(f"{name:22s} {title}")
        return
    names = _wanted()
    out = Path(FLAGS.out)
    files.check_place(out / names[0], "out")
    # Beyond this line TensorFlow may be loaded: it must know first how many threads it has.
    from search.workers.evaluator import start_tensorflow

    start_tensorflow()
    from experiments.study import Study

    changes = {name: FLAGS[name].value for name in ("seeds", "epochs", "size") if FLAGS[name].value}
    failed = dict[str, LogGradError]()
    for number, name in enumerate(names, 1):
        begin = time.monotonic()
        print(f"--- {number} of {len(names)}: {EXPERIMENTS[name]}", flush=True)
        spec = FLAGS.data or drawn(name)
        study = Study(name, spec, FLAGS.profile, changes, out, FLAGS.workers or processors(), FLAGS.task)
        try:
            result = importlib.import_module(f"experiments.{room(name)}.{name}").run(study)
        except LogGradError as error:
            if len(names) == 1:
                raise
            print(f"error: {error}", flush=True)
            failed[name] = error
            continue
        folder = study.write(result)
        for claim in result.claims:
            print(f"paper: {claim.paper}\nfound: {claim.ours}")
        print(f"written to {folder} after {(time.monotonic() - begin) / 60:.1f} min", flush=True)
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise LogGradError(f"{len(failed)} of {len(names)} could not be made: {reasons}")


if __name__ == "__main__":
    cli.run(main)
