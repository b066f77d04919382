"""``python -m benchmarks.search_cost``: what a front costs, in CPU-seconds, for each way to search.

Every arm searches the same space on the same split inside the same bounds, with muNAS' counts, and
differs in flags of :mod:`search.evolve` alone:

    faithful      plain muNAS: whatever is drawn is trained
    feasible      faithful, but nothing that cannot fit is trained
    random        feasible networks at random, no evolution
    full          with everything that makes profile quick cheaper, and --elitist
    full-X        full without one of its parts
    full+bn       full with batch norm behind every layer
    full+loss     full with parents ranked by their validation loss

Arms of ``--scale=spaces`` have the counts and bounds of the quick profile:

    munas         muNAS' space, padded, as the quick profile draws from it
    staged        the staged space: random networks, then evolution
    drawn         the staged space, random networks alone

Cost is the CPU time of all processes of a search, imports and proposals included. Faithful gets
``--budget`` CPU-seconds a seed, the others ``--share`` of it. Selection sees the validation split
alone. Then the front of each search, and that of ``full`` after a tenth of faithful's cost, is
trained from scratch with one recipe and scored on the test split, once (of the spaces the two best by
validation); of the networks within the bounds
the one of least validation error in the search is named.

Quality is the hypervolume of (error, peak memory, size, MACs) as a share of a box: errors below that of
always answering the largest class, and logarithms of costs below ten times the bounds, where muNAS'
objective stops counting (:mod:`benchmarks.fronts`). Runs are kept in ``--out`` and are not repeated; the
search of an interrupted benchmark goes on.
"""

import csv
import dataclasses
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks.budget import spend, spent_by
from benchmarks.fronts import hypervolume, inside, retrain
from loggrad_tf import cli
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import write_whole
from models.recipe import LONGEST, TRAINERS
from search.cost.objectives import Point, best, overrun, pareto_front
from search.record.history import Record
from search.run import rundir
from search.run.config import Config

FLAGS = flags.FLAGS
flags.DEFINE_enum(
    "scale",
    "quick",
    ["quick", "full", "spaces"],
    "quick: minutes, for a look; full: hours; spaces: the two spaces, and evolution beside random networks.",
)
flags.DEFINE_string("data", None, "Data set [../shared/data/crops if it is there, else synthetic].")
flags.DEFINE_string("out", "runs/search_cost", "Where runs and results go.")
flags.DEFINE_list("arms", None, "Arms to run, see --help of the module [those of the scale].")
flags.DEFINE_integer("seeds", None, "Seeds [quick 1, full and spaces 3].", lower_bound=1)
flags.DEFINE_float(
    "budget",
    None,
    "CPU-seconds of faithful and of the spaces [quick 200, full 900, spaces 300].",
    lower_bound=1,
)
flags.DEFINE_float(
    "share", 0.25, "Share of faithful's budget for all other arms.", lower_bound=0.01, upper_bound=1
)
flags.DEFINE_enum("trainer", "tensorflow", list(TRAINERS), "What trains, see search.evolve.")
flags.DEFINE_boolean("retrain", True, "Train the fronts from scratch and score them on the test split.")

MUNAS_COUNTS = ("--resources=munas", "--space=munas", "--padding=valid")
CROPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "crops"
_PLAIN = (
    *MUNAS_COUNTS,
    "--nopruning",
    "--max_overrun=none",
    "--nounique",
    "--children=1",
    "--noelitist",
    "--rungs=none",
    "--novaried",
    "--noalways_bn",
)
_FULL = (
    *MUNAS_COUNTS,
    "--nopruning",
    "--max_overrun=1",
    "--unique",
    "--children=4",
    "--elitist",
    "--rungs=3",
    "--varied",
    "--noalways_bn",
)
ARMS = {
    "faithful": _PLAIN,
    "feasible": (*_PLAIN, "--max_overrun=1"),
    "random": (*_PLAIN, "--max_overrun=1", "--population=100000"),
    "full": _FULL,
    "full-feasible": (*_FULL, "--max_overrun=none"),
    "full-unique": (*_FULL, "--nounique"),
    "full-children": (*_FULL, "--children=1"),
    "full-elitist": (*_FULL, "--noelitist"),
    "full-rungs": (*_FULL, "--rungs=none"),
    "full-varied": (*_FULL, "--novaried"),
    "full-fused_bn": (*_FULL, "--nofused_bn"),
    "full+bn": (*_FULL, "--always_bn"),
    "full+loss": (*_FULL, "--rank_by=loss"),
    "munas": ("--space=munas",),
    "staged": (),
    "drawn": ("--population=100000",),
}


# Those that are set beside faithful, with a part of its cost.
ARMS_WITH_A_SHARE = tuple(arm for arm in ARMS if arm not in ("faithful", "munas", "staged", "drawn"))


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of the protocol. The bounds are the paper's.

    Attributes:
      arms: that run if none are named.
      size: side of the images, pixels.
      epochs: of a candidate.
      population, sample: of the evolution.
      final_epochs: of the networks that are scored; from :data:`models.recipe.OVERFITTING` on by the long
        recipe.
      seeds, budget: defaults of the flags.
      retrained: so many members of each front are trained and scored, those of least validation error; None:
        all. A few tell the error of the best, and no hypervolume on the test split.
    """

    arms: tuple[str, ...]
    size: int
    epochs: int
    population: int
    sample: int
    final_epochs: int
    seeds: int
    budget: float
    retrained: int | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        return (
            f"--size={self.size}", f"--epochs={self.epochs}", f"--population={self.population}",
            f"--sample={self.sample}", "--final_epochs=0", "--rounds=100000", "--workers=1",
            f"--trainer={FLAGS.trainer}",
        )  # fmt: skip


_USUAL, _SPACES = ("faithful", "feasible", "random", "full"), ("munas", "staged", "drawn")
SCALES = {
    "quick": Scale(_USUAL, size=32, epochs=6, population=8, sample=3, final_epochs=10, seeds=1, budget=200),
    "full": Scale(_USUAL, size=32, epochs=6, population=12, sample=4, final_epochs=20, seeds=3, budget=900),
    "spaces": Scale(
        _SPACES,
        size=48,
        epochs=8,
        population=16,
        sample=6,
        final_epochs=LONGEST,
        seeds=3,
        budget=300,
        retrained=2,
    ),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A search that has spent its budget: its records, and the CPU-seconds spent when each was there."""

    arm: str
    seed: int
    config: Config
    records: tuple[Record, ...]
    spent: tuple[float, ...]

    def front(self, cost: float = float("inf")) -> dict[int, Point]:
        """The front of what was trained within ``cost`` CPU-seconds, by validation error."""
        points = {
            r.candidate.index: r.point
            for r, at in zip(self.records, self.spent, strict=True)
            if at <= cost and r.ranked and r.point is not None
        }
        return pareto_front(points, self.config.bounds)


def search(arm: str, seed: int, scale: Scale, data: str, budget: float, out: Path) -> Run:
    """Run one search until it has spent ``budget`` CPU-seconds, or read one that has."""
    directory = out / f"{arm}_seed{seed}"
    total = directory / "cpu_total.txt"
    before = float(total.read_text()) if total.exists() else 0.0
    flags_ = (f"--data={data}", f"--seed={seed}", *scale.flags, *ARMS[arm])
    text, asked = "\n".join(flags_), directory / "flags.txt"
    if directory.exists() and not (asked.exists() and asked.read_text() == text):
        raise LogGradError(f"{directory}: a search of other flags: choose another --out, or delete it")
    if before < budget:
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(asked, text.encode())
        command = [sys.executable, "-m", "search.evolve", "--resume", f"--out={directory}", *flags_]
        now = spend(command, directory, budget, before)
        write_whole(total, f"{now:.2f}\n".encode())
    journal, records = rundir.open_journal(directory)
    journal.close()
    spent = spent_by(directory)[: len(records)]
    return Run(arm, seed, rundir.load_config(directory), tuple(records[: len(spent)]), tuple(spent))


def curve(run: Run, worst_error: float) -> list[tuple[float, float]]:
    """(CPU-seconds, hypervolume by validation error) whenever it grows."""
    bounds = run.config.bounds
    points: dict[int, Point] = {}
    found = [(0.0, 0.0)]
    for record, at in zip(run.records, run.spent, strict=True):
        if record.ranked and record.point is not None:
            points[record.candidate.index] = record.point
            volume = hypervolume(list(points.values()), bounds, worst_error)
            if volume > found[-1][1]:
                found.append((at, volume))
    return found


def _row(run: Run, cost: float, scale: Scale, data: DataSet, worst_error: float) -> dict[str, Any]:
    """One search up to ``cost`` CPU-seconds: its front retrained and scored on test."""
    bounds = run.config.bounds
    front = inside(run.front(cost), bounds)
    wanted = dict(sorted(front.items(), key=lambda item: item[1].error)[: scale.retrained])
    scored = retrain(run.config, run.records, wanted, data, scale.final_epochs) if FLAGS.retrain else {}
    spent = [at for at in run.spent if at <= cost]
    chosen = best({i: p for i, p in front.items() if overrun(p.costs, bounds) <= 1}, bounds)
    return {
        "arm": run.arm,
        "seed": run.seed,
        "cpu_seconds": round(min(cost, spent[-1] if spent else 0.0)),
        "candidates": len(spent),
        "front": len(front),
        "validation_hypervolume": hypervolume(list(front.values()), bounds, worst_error),
        "test_hypervolume": (
            hypervolume([*scored.values()], bounds, worst_error) if scored.keys() == front.keys() else None
        ),
        "test_error_of_the_best_by_validation": scored[chosen].error if chosen in scored else None,
    }


def main(argv: list[str]) -> None:
    del argv
    scale = SCALES[FLAGS.scale]
    arms = FLAGS.arms or scale.arms
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown:
        raise LogGradError(f"--arms={unknown[0]}: no such arm; choose from {', '.join(ARMS)}")
    spec = FLAGS.data or (f"folder:{CROPS}" if CROPS.is_dir() else "synthetic")
    seeds, budget = FLAGS.seeds or scale.seeds, FLAGS.budget or scale.budget
    out = Path(FLAGS.out)
    data = dataset.load(spec, size=scale.size)
    runs = []
    for seed in range(seeds):
        for arm in arms:
            cost = FLAGS.share * budget if arm in ARMS_WITH_A_SHARE else budget
            print(f"{arm}, seed {seed}: {cost:.0f} CPU-seconds", flush=True)
            runs.append(search(arm, seed, scale, spec, cost, out))
    counts = np.bincount(data.labels_of("train"), minlength=len(data.class_names))
    worst_error = float(np.mean(data.labels_of("val") != counts.argmax()))
    rows = [_row(run, float("inf"), scale, data, worst_error) for run in runs]
    rows += [
        _row(run, budget / 10, scale, data, worst_error) | {"arm": f"{run.arm}, 1/10"}
        for run in runs
        if run.arm == "full"
    ]
    curves = {(run.arm, run.seed): curve(run, worst_error) for run in runs}
    from benchmarks import search_cost_report

    text = search_cost_report.text(rows, curves, spec, budget)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out / "results.csv", table.getvalue().encode())
    write_whole(out / "results.md", text.encode())
    search_cost_report.plot(out / "results.png", curves, spec)
    print(text)


if __name__ == "__main__":
    cli.run(main)
