"""``python -m benchmarks.beside --run=DIR --run=DIR ...``: what searches kept, beside the hand-made network.

Searches of one data set with different seeds, each of which trained the hand-made network alike beside what
it found (:mod:`search.run.rival`). Nothing is trained here: the saved networks answer the test photographs
again, a line for each search, then the mean difference with its 95 % interval, paired over photographs and
searches (:mod:`loggrad_tf.data.folds`). A search that kept the hand-made network counts with the best that it
found.

The test split of a few hundred photographs does not tell networks apart that differ by a point. Where more
can be had, ``--tested_on=SET`` tests on all photographs of another set: for the built-in data on drawn ones
that no search has seen, ``--tested_on=synthetic:3000@2``.
"""

from pathlib import Path

import numpy as np
from absl import flags

from benchmarks.other_set import all_of
from benchmarks.trained_out import trained
from loggrad_tf import cli
from loggrad_tf.data import dataset, folds
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.prepared import SPLITS
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError
from models import bundle
from models.bundle import Bundle
from search.run import finalists, rival, rundir
from search.run.choice import mean
from search.workers.evaluator import start_tensorflow

FLAGS = flags.FLAGS
flags.DEFINE_string("tested_on", None, "Data set, all of which tests [the test split of the searches' own].")
flags.DEFINE_multi_string("run", None, "Directory of a search that has ended.", required=True)


def main(argv: list[str]) -> None:
    del argv
    start_tensorflow()
    runs = [Path(run) for run in FLAGS.run]
    config = rundir.load_config(runs[0])
    data = _tests(config.request)
    rows = []
    for run in runs:
        found, made = trained(run)
        if found[0].data != bundle.load(run / finalists.BEST).data or found[0].data.spec != config.data:
            raise LogGradError(f"{run}: it searched other data than {runs[0]}: compare searches of one set")
        ours, others = right(found, data), right(made, data)
        rows.append(ours - others)
        print(
            f"{run}: test error {1 - ours.mean():.2%}, {rival.NAME} {1 - others.mean():.2%};"
            f" validation {mean(found):.2%}, {mean(made):.2%}; {found[0].train.epochs} epochs,"
            f" {len(found)} and {len(made)} seeds",
            flush=True,
        )
    photographs = data.groups()
    groups = [photographs[place] for place in np.flatnonzero(data.split == SPLITS.index("test"))]
    if len(rows) < 2:
        return
    more = folds.estimate(np.stack(rows), groups, np.zeros(len(groups), np.int64))
    low, high = more.interval
    print(
        f"{len(runs)} searches, {len(groups)} test photographs: {100 * more.mean:+.2f} points of accuracy,"
        f" 95 % interval {100 * low:+.2f} to {100 * high:+.2f}"
    )


def _tests(searched: Request) -> DataSet:
    """What tests: the set of the searches, or another one, all of whose splits are the test split."""
    data = dataset.opened(searched)
    if FLAGS.tested_on is None:
        return data
    return all_of(FLAGS.tested_on, data, searched)


def right(networks: list[Bundle], data: DataSet) -> np.ndarray:
    """Share of the networks that classify each test photograph rightly, float64 (N,)."""
    from models.training import measure

    labels = data.labels_of("test")
    answers = [measure.classify(measure.logits(one.model(), data, one.front_end, "test")) for one in networks]
    return np.mean([answer == labels for answer in answers], axis=0)


if __name__ == "__main__":
    cli.run(main)
