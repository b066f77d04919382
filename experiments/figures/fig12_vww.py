"""Figure 12: is there a person? Accuracy of 2conv1fc for 2 to 32 filters in the first layer, by input.

Appendix B makes RAW from the JPEGs of Visual Wake Words with an inverse tone mapper, and crops persons by
their boxes. Here the data set is taken as it is: ``folder:DIR`` undoes the gamma of ordinary pictures and
imitates a sensor, or takes what such a mapper has made of them (:mod:`loggrad_tf.data.hdr`). JPEG is the
gamma of that RAW, its noise and exposure included, where the paper takes the photographs as they are. Of a
set of more than two classes, all but ``person`` become one. The paper's profile has the sizes of its
appendix C.2.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

from experiments import plots, sets
from experiments.figures.fig09_filters import FIRST_LAYER, Scale, answers
from experiments.jobs import open_data
from experiments.recipes import PAPER, TWO_CONV
from experiments.ruler import ruler, told
from experiments.study import Claim, Result, Study
from loggrad_tf.data.dataset import DataSet, open_prepared
from loggrad_tf.errors import LogGradError
from models.recipe import NATIVE

INPUTS = ("jpeg8", "raw16", "loggrad_fp", "loggrad_1p5")
PERSON, OTHERS = "person", "no_person"

SCALES = {
    # In fewer or smaller steps JPEG and RAW learn nothing of the drawn photographs.
    "quick": Scale(48, 20, 1, filters=(2, 8, 32), recipe=TWO_CONV | {"learning_rate": 0.003}, inputs=INPUTS),
    "long": Scale(64, 20, 3, filters=(2, 8, 32), recipe=TWO_CONV, inputs=INPUTS),
    "folds": Scale(48, 60, 2, (2, 8), TWO_CONV | {"trainer": NATIVE}, inputs=INPUTS, folds=5),
    "paper": Scale(224, 40, 3, filters=FIRST_LAYER, recipe=PAPER, inputs=INPUTS),
}


@dataclasses.dataclass(frozen=True)
class PersonOrNot:
    """The data set with every class but ``person`` merged, as a prepared set."""

    data: Path
    manifest_sha256: str

    @property
    def title(self) -> str:
        return "person or not"

    def to_json(self) -> dict[str, Any]:
        return {"manifest_sha256": self.manifest_sha256}

    def run(self, directory: Path) -> str:
        data = open_data(self.data)
        labels = data.labels == data.class_names.index(PERSON)
        every = np.arange(len(labels))
        sets.write(
            directory / sets.SET, data, every, data.split, classes=(labels.astype(int), (OTHERS, PERSON))
        )
        return f"{labels.sum()} of {len(labels)} crops are persons"


def person_or_not(study: Study, data: DataSet) -> DataSet:
    """A data set of two classes: ``data`` itself, or every class but ``person`` merged, on first use.

    Raises:
      LogGradError: more than two classes, and none called ``person``.
    """
    names = data.class_names
    if len(names) == 2:
        return data
    if PERSON not in names:
        raise LogGradError(
            f"{data.spec}: classes {', '.join(names)}: two classes are needed, or one called '{PERSON}'"
        )
    [folder] = study.run([PersonOrNot(data.path, data.manifest_sha256)])
    return open_prepared(folder / sets.SET)


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = person_or_not(study, study.data(scale.size))
    rule = ruler(study, data, scale.folds)
    found = answers(study, rule, scale)
    rows = [
        {
            "input": name,
            "c1": c1,
            "seed": seed,
            "images": len(rule.groups),
            "accuracy": round(float(right.mean()), 5),
        }
        for (name, c1), seeds in found.items()
        for seed, right in enumerate(seeds)
    ]
    table = {
        name: np.stack([found[name, c1].mean(axis=1) for c1 in scale.filters], axis=1) for name in INPUTS
    }
    pairs = [
        row
        for c1 in scale.filters
        for row in rule.pairs(f"{c1} filters", {name: found[name, c1] for name in INPUTS})
    ]
    commonest = np.bincount(data.labels_of("train")).argmax()
    guess = float(np.mean(rule.labels == commonest))
    figure = _figure(
        table,
        scale,
        guess,
        f"{' or '.join(data.class_names).replace('_', ' ')}, {plots.source(study.spec)}",
    )
    of_figure = claims(table, scale.filters, len(rule.groups), guess)
    if pairs:
        between = ". ".join(f"{pair['measure']}: {told([pair], plots.NAMES)}" for pair in pairs)
        of_figure.append(Claim("Fig. 12, the inputs compared photograph by photograph", between))
    return Result(rows, {"accuracy": figure}, of_figure, pairs)


def _figure(table: dict[str, np.ndarray], scale: Scale, guess: float, what: str) -> Any:
    figure, axes = plots.figure(width=6.4, height=4.4)
    panel = axes[0, 0]
    for name, values in table.items():
        plots.series(panel, scale.filters, values, name)
    panel.axhline(guess, color="black", ls=":", lw=1.5, label="always the larger class")
    panel.set_xscale("log", base=2)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticks(scale.filters, [str(c1) for c1 in scale.filters])
    panel.set_xlabel("filters of the first layer, $c_1$", fontsize=12)
    plots.percent(panel, "accuracy, held-out photographs")
    panel.legend(fontsize=10)
    about = f"{scale.epochs} epochs{plots.by_folds(scale.folds)}"
    panel.set_title(f"{what}\n2conv1fc, {scale.size}x{scale.size}, {about}", fontsize=11)
    return figure


def claims(table: dict[str, np.ndarray], filters: tuple[int, ...], images: int, guess: float) -> list[Claim]:
    """The paper's three sentences about figure 12 beside the numbers.

    Args:
      table: input -> accuracies (seeds, filters).
      images: that each accuracy was measured on.
      guess: accuracy of always answering the larger class.
    """
    gradients = INPUTS[2:]
    error = float(np.sqrt(np.mean([v.mean() * (1 - v.mean()) for v in table.values()]) / images))
    margin = f"one accuracy has a standard error of {100 * error:.1f}"
    larger = f"always the larger class has {100 * guess:.1f} %"
    idle = [plots.NAMES[name] for name in INPUTS if table[name].mean(axis=0).max() <= guess + 2 * error]
    learned = f"; learned nothing: {_list(idle)}" if idle else ""
    against_jpeg = [f"{plots.NAMES[name]}: {_gaps(table, name, 'jpeg8', filters)}" for name in gradients]
    against_raw = [f"{plots.NAMES[name]}: {_gaps(table, name, 'raw16', filters)}" for name in gradients]
    most = filters[-1]
    best = table["raw16"].mean(axis=0).max()
    reach = []
    for name in gradients:
        means = table[name].mean(axis=0)
        enough = [c1 for c1, mean in zip(filters, means, strict=True) if mean >= best]
        reach.append(
            f"{plots.NAMES[name]}: " + (f"from {enough[0]} on" if enough else f"not with {most} either")
        )
    levels = ", ".join(f"{plots.NAMES[name]} {plots.spread(table[name][:, -1])}" for name in INPUTS)
    return [
        Claim(
            "Fig. 12: on RAW made from JPEGs log gradients are less accurate than JPEG, and comparable for"
            " more filters",
            f"against JPEG (the gamma of that RAW) with {_list(filters)} filters:"
            f" {'; '.join(against_jpeg)} points; {margin}, {larger}{learned}",
        ),
        Claim(
            "Fig. 12: log gradients are more accurate than simulated RAW with as many filters",
            f"against RAW with {_list(filters)} filters: {'; '.join(against_raw)} points",
        ),
        Claim(
            "Fig. 12: log gradients need fewer filters than simulated RAW for the same accuracy",
            f"as good as RAW's best, {100 * best:.1f} %: {'; '.join(reach)}. With {most} filters: {levels}",
        ),
    ]


def _gaps(table: dict[str, np.ndarray], name: str, other: str, filters: tuple[int, ...]) -> str:
    gaps = 100 * (table[name].mean(axis=0) - table[other].mean(axis=0))
    return _list([f"{gap:+.1f}" for gap in gaps[: len(filters)]])


def _list(items: Any) -> str:
    return ", ".join(str(item) for item in items)
