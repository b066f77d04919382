"""Log gradients straight on the Bayer mosaic against gray, at equal pixels and at equal photosites.

The paper demosaics all photographs to gray first. A photosite's upper and lower neighbours share a colour,
and so do its left and right ones, so the gradient needs no demosaicing. Four read-outs of one field of view
are compared, each with small_bn of its size:

    mosaic       size x size photosites as they are
    demosaiced   the same photosites, interpolated to size x size gray pixels
    quads        the same photosites, 2 x 2 binned to gray: equal photosites, a quarter of the pixels
    gray         a monochrome sensor: every one of size x size pixels sees all colours
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments import plots, views
from experiments.beyond.multiscale import BOARD
from experiments.recipes import long_of_field, short
from experiments.ruler import rulers, told
from experiments.study import Claim, Result, Study
from export.predict.deployed import deployed
from loggrad_tf.errors import LogGradError
from models.recipe import LONGEST
from models.zoo import small_bn

INPUTS = ("jpeg8", "raw16", "loggrad_1p5", "loggrad_2p25")
READOUTS = ("gray", "mosaic", "demosaiced", "quads")


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile.

    Attributes:
      folds: 1 for the set's own splits.
      recipe: for images of a size, without the epochs.
    """

    size: int
    epochs: int
    seeds: int
    inputs: tuple[str, ...]
    folds: int = 1
    recipe: Callable[[int], dict[str, Any]] = short


SCALES = {
    "quick": Scale(size=48, epochs=8, seeds=1, inputs=("jpeg8", "loggrad_1p5")),
    "long": Scale(size=96, epochs=40, seeds=3, inputs=INPUTS),
    "folds": Scale(48, LONGEST, 2, INPUTS[2:3], folds=5, recipe=long_of_field),
    "paper": Scale(size=224, epochs=80, seeds=3, inputs=INPUTS),
}


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    if scale.size < 32:
        raise LogGradError(
            f"--size={scale.size}: quads are half of it, and small_bn needs 16: give 32 or more"
        )
    mosaic = study.data(scale.size, "mosaic")
    data = {
        "gray": study.data(scale.size),
        "mosaic": mosaic,
        "demosaiced": views.see(study, mosaic, "demosaiced"),
        "quads": views.see(study, mosaic, "binned_2"),
    }
    rules = rulers(study, data, scale.folds)
    fronts = {(name, read): rules[read].fronts(name) for name in scale.inputs for read in READOUTS}
    sizes = {read: data[read].pixels.shape[1] for read in READOUTS}
    graphs = {read: small_bn(sizes[read], len(mosaic.class_names)) for read in READOUTS}
    jobs = {
        (name, read): rules[read].trainings(
            f"{name}, {read}",
            graphs[read],
            parts,
            scale.recipe(sizes[read]) | {"epochs": scale.epochs},
            scale.seeds,
        )
        for (name, read), parts in fronts.items()
    }
    folders = iter(study.run([job for arm in jobs.values() for job in arm]))
    answers = {
        (name, read): rules[read].right(rules[read].logits([next(folders) for _ in arm]))
        for (name, read), arm in jobs.items()
    }
    rows = []
    for (name, read), seeds in answers.items():
        # The board can bin codes, it cannot demosaic.
        costs = (
            None
            if read == "demosaiced"
            else deployed(graphs[read], fronts[name, read][0], BOARD, 2 if read == "quads" else 1)
        )
        rows += [
            {"input": name, "readout": read, "seed": seed, "accuracy": round(float(right.mean()), 5),
             "ram": costs.ram if costs else "", "instructions": costs.instructions if costs else ""}
            for seed, right in enumerate(seeds)
        ]  # fmt: skip
    # Of RAW files a monochrome sensor may lack crops that a mosaic has pixels enough for.
    same = [read for read in READOUTS if rules[read].groups == rules["mosaic"].groups]
    pairs = [
        pair
        for name in scale.inputs
        for pair in rules["mosaic"].pairs(name, {read: answers[name, read] for read in same})
    ]
    claims = [_claim(rows, name, scale, pairs) for name in scale.inputs]
    return Result(rows, {"accuracy": _figure(rows, scale, study.spec)}, claims, pairs)


def _values(rows: list[dict[str, Any]], name: str, read: str) -> np.ndarray:
    return np.array([r["accuracy"] for r in rows if (r["input"], r["readout"]) == (name, read)])


def _figure(rows: list[dict[str, Any]], scale: Scale, spec: str) -> Any:
    figure, axes = plots.figure(width=6.4, height=4.4)
    panel = axes[0, 0]
    places = np.arange(len(scale.inputs))
    for number, read in enumerate(READOUTS):
        values = [_values(rows, name, read) for name in scale.inputs]
        means = np.array([v.mean() for v in values])
        ends = np.array([[m - v.min(), v.max() - m] for m, v in zip(means, values, strict=True)]).T
        look = {"color": plots.CYCLE[number], "marker": plots.SHAPES[number], "label": _label(read, scale)}
        panel.errorbar(places + 0.15 * (number - 1.5), means, ends, ls="", ms=8, capsize=3, **look)
    panel.set_xticks(places, [plots.NAMES[name].replace(", ", ",\n") for name in scale.inputs])
    panel.set_xlim(-0.5, len(places) - 0.5)
    plots.percent(panel, "accuracy, held-out photographs")
    panel.set_title(f"small_bn, {scale.epochs} epochs{plots.by_folds(scale.folds)}, {plots.source(spec)}")
    figure.legend(*panel.get_legend_handles_labels(), fontsize=10, loc="outside lower center", ncols=2)
    return figure


def _label(read: str, scale: Scale) -> str:
    whole, half = f"{scale.size}x{scale.size}", f"{scale.size // 2}x{scale.size // 2}"
    return {
        "gray": f"monochrome sensor, {whole}",
        "mosaic": f"mosaic itself, {whole}",
        "demosaiced": f"mosaic, demosaiced to {whole}",
        "quads": f"mosaic, binned to {half}",
    }[read]


def _claim(rows: list[dict[str, Any]], name: str, scale: Scale, pairs: list[dict[str, Any]]) -> Claim:
    found = [f"{_label(read, scale)} {plots.spread(_values(rows, name, read))}" for read in READOUTS]
    found += [told([pair], {}) for pair in pairs if pair["measure"] == name]
    return Claim(
        "Section 2.3: all images are gray after demosaicing",
        f"{plots.NAMES[name]}: " + "; ".join(found),
    )
