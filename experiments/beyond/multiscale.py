"""Multi-scale read-out: one frame as 1 x 1, 2 x 2 and 4 x 4 binned pixels, what it costs and what it saves.

The log-gradient sensor of the paper's reference [26] reads the same field of view at several scales. Here
P is binned (:func:`loggrad_tf.transform.binning.binned`) and the gradient taken of the larger pixels, with
thresholds from their own training split. Two networks take each scale: ``small_bn`` as it is, whose maps
shrink with the picture, and ``same maps``, small_bn without the steps of two that the binning has made
already. The cost is counted for a Cortex-M4 twice: with a sensor that bins, as [26]'s does, and with a
board that averages the codes of a full frame (``export.firmware --binning``).

The logits of the three scales' small_bn added up say whether the scales know different things; the control
is as many networks of the finest scale, of other seeds.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from experiments import plots, views
from experiments.recipes import long_of_field, short
from experiments.ruler import Ruler, rulers, told
from experiments.study import Claim, Result, Study
from export.predict.deployed import deployed
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import Graph, GraphBuilder, macs, output_units
from models.recipe import LONGEST
from models.zoo import small_bn

INPUTS = ("loggrad_1p5", "loggrad_2p75")
FACTORS = (1, 2, 4)
NETWORKS = ("small_bn", "same maps")
# Logits of small_bn added: of all scales, and as many of the finest.
ADDED, CONTROL = "1 + 2 + 4", "1 + 1 + 1"
BOARD = "netduinoplus2"
# Columns of results.csv; the last two for a board that bins.
COSTS = ("macs", "input_bytes", "ram", "instructions", "ram_binning", "instructions_binning")


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile.

    Attributes:
      size: side of the finest scale.
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
    "quick": Scale(size=64, epochs=8, seeds=1, inputs=INPUTS[:1]),
    "long": Scale(size=96, epochs=40, seeds=3, inputs=INPUTS),
    "folds": Scale(64, LONGEST, 2, INPUTS[:1], folds=5, recipe=long_of_field),
    "paper": Scale(size=224, epochs=80, seeds=3, inputs=INPUTS),
}


def same_maps(size: int, classes: int, factor: int) -> Graph:
    """small_bn for pixels binned by ``factor`` of 1, 2, 4: behind its first layer the maps are small_bn's.

    The first convolution takes one step where small_bn takes two, and for 4 the first pooling is left out.

    Args:
      size: side of the binned picture.
    """
    b = GraphBuilder()
    x = b.input(size, size, 1)
    x = b.conv(x, 8, 3, stride=2 if factor == 1 else 1, padding="same", bn=True, relu=True)
    for filters in (10, 16, 32):
        x = x if factor == 4 and filters == 10 else b.max_pool(x, 2)
        x = b.conv(x, filters, 3, padding="same", bn=True, relu=True)
    return b.build(b.dense(b.global_avg(x), output_units(classes)))


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    if scale.size < 64 or scale.size % 4:
        raise LogGradError(
            f"--size={scale.size}: the coarsest scale is a fourth: give a multiple of 4 from 64"
        )
    fine = study.data(scale.size)
    data = {k: fine if k == 1 else views.see(study, fine, f"binned_{k}") for k in FACTORS}
    rules = rulers(study, data, scale.folds)
    fronts = {(name, k): rules[k].fronts(name) for name in scale.inputs for k in FACTORS}
    classes = len(fine.class_names)
    graphs = {
        (net, k): small_bn(scale.size // k, classes)
        if net == "small_bn"
        else same_maps(scale.size // k, classes, k)
        for net in NETWORKS
        for k in FACTORS
    }
    jobs = {
        (name, net, k): rules[k].trainings(
            f"{net}, {k} x {k}, {name}",
            graph,
            fronts[name, k],
            scale.recipe(scale.size // k) | {"epochs": scale.epochs},
            scale.seeds,
        )
        for name in scale.inputs
        for (net, k), graph in graphs.items()
        if net == "small_bn" or k > 1  # at the finest scale both are one network
    }
    folders = iter(study.run([job for arm in jobs.values() for job in arm]))
    scores = {case: rules[case[2]].logits([next(folders) for _ in arm]) for case, arm in jobs.items()}
    rule, rows, pairs = rules[1], list[dict[str, Any]](), list[dict[str, Any]]()
    for name in scale.inputs:
        answers: dict[tuple[str, int | str], np.ndarray] = {
            (net, k): rule.right(logits) for (of, net, k), logits in scores.items() if of == name
        }
        answers |= _together(rule, {k: scores[name, "small_bn", k] for k in FACTORS})
        for (net, k), seeds in answers.items():
            costs: dict[str, Any] = dict.fromkeys(COSTS, "")  # added logits have no board
            if isinstance(k, int):
                costs = _costs(graphs[net, k], fronts[name, k][0], k)
            row = {"input": name, "network": net, "binning": k}
            rows += [
                row
                | {"seed": "all" if k == CONTROL else seed, "accuracy": round(float(right.mean()), 5)}
                | costs
                for seed, right in enumerate(seeds)
            ]
        compared = {_arm(net, k): right for (net, k), right in answers.items() if k != CONTROL}
        pairs += rule.pairs(name, compared)
    claims = [_claim(rows, name, scale, pairs) for name in scale.inputs]
    return Result(rows, {"accuracy": _figure(rows, scale, study.spec)}, claims, pairs)


def _arm(net: str, factor: int | str) -> str:
    return f"{factor} x {factor}, {net}" if isinstance(factor, int) else f"{factor} added"


def _together(rule: Ruler, logits: dict[int, np.ndarray]) -> dict[tuple[str, int | str], np.ndarray]:
    """Whether the added logits of small_bn at all scales are right, and those of as many finest ones."""
    answers: dict[tuple[str, int | str], np.ndarray] = {
        ("small_bn", ADDED): rule.right(np.sum([logits[k] for k in FACTORS], axis=0))
    }
    if len(logits[1]) == len(FACTORS):  # a control of fewer or more networks would be unfair
        answers["small_bn", CONTROL] = rule.right(logits[1].sum(axis=0, keepdims=True))
    return answers


def _costs(graph: Graph, front: FrontEnd, factor: int) -> dict[str, Any]:
    side = graph.input_shape[0]
    sensor_bins, board_bins = deployed(graph, front, BOARD), deployed(graph, front, BOARD, factor)
    values = (
        sum(macs(graph, op) for op in graph.ops),
        math.ceil(side * side * front.bits_per_pixel / 8),
        sensor_bins.ram,
        sensor_bins.instructions,
        board_bins.ram,
        board_bins.instructions,
    )
    return dict(zip(COSTS, values, strict=True))


def _of(rows: list[dict[str, Any]], name: str, net: str, factor: int | str) -> list[dict[str, Any]]:
    """Rows of all seeds; at the finest scale the two networks are one."""
    net = "small_bn" if factor == 1 else net
    return [r for r in rows if (r["input"], r["network"], r["binning"]) == (name, net, factor)]


def _values(rows: list[dict[str, Any]], name: str, net: str, factor: int | str) -> np.ndarray:
    return np.array([r["accuracy"] for r in _of(rows, name, net, factor)])


def _figure(rows: list[dict[str, Any]], scale: Scale, spec: str) -> Any:
    figure, axes = plots.figure(columns=2, width=6.0, height=4.4, sharey=True)
    by_scale, by_cost = axes[0]
    for name in scale.inputs:
        for net, style in zip(NETWORKS, ("-", "--"), strict=True):
            table = np.stack([_values(rows, name, net, k) for k in FACTORS], axis=1)
            look = {"color": plots.COLOURS[name], "marker": plots.MARKERS[name], "ls": style}
            label = f"{plots.NAMES[name]}, {net}"
            plots.series(by_scale, range(len(FACTORS)), table, label, **look)
            for binning, mark in (("", "none"), ("_binning", "full")):
                counts = [_of(rows, name, net, k)[0][f"instructions{binning}"] / 1e6 for k in FACTORS]
                filled = {"fillstyle": mark, "lw": 0 if binning else 1.4, "ms": 7}
                by_cost.plot(counts, table.mean(axis=0), **(look | filled))
    by_scale.set_xticks(
        range(len(FACTORS)), [f"{k} x {k}\n{scale.size // k} x {scale.size // k}" for k in FACTORS]
    )
    by_scale.set_xlabel("codes binned to a pixel, and the pixels of the input", fontsize=12)
    plots.percent(by_scale, "accuracy, held-out photographs")
    by_scale.legend(fontsize=10)
    about = f"{scale.epochs} epochs{plots.by_folds(scale.folds)}, {plots.source(spec)}"
    by_scale.set_title(f"one frame at three scales, {about}", fontsize=12)
    by_cost.plot([], [], "ks", fillstyle="none", label="the sensor bins")
    by_cost.plot([], [], "ks", label="the board bins")
    by_cost.legend(fontsize=10)
    by_cost.set_xscale("log")
    by_cost.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    by_cost.xaxis.set_major_formatter("{x:g}")
    by_cost.xaxis.set_minor_locator(NullLocator())
    by_cost.set_xlabel("million instructions a frame, Cortex-M4, predicted", fontsize=12)
    by_cost.set_title("what a coarser read-out saves")
    return figure


def _claim(rows: list[dict[str, Any]], name: str, scale: Scale, pairs: list[dict[str, Any]]) -> Claim:
    found = []
    for net, k in [("small_bn", 1), *((net, k) for net in NETWORKS for k in FACTORS[1:])]:
        cost, values = _of(rows, name, net, k)[0], _values(rows, name, net, k)
        found.append(
            f"{net} of {scale.size // k}x{scale.size // k} pixels {plots.spread(values)},"
            f" {cost['macs'] / 1e6:.2f} MMAC, {cost['input_bytes']:,} B of input, {cost['ram']:,} B of RAM,"
            f" {cost['instructions'] / 1e6:.2f} M instructions"
            + (f" ({cost['instructions_binning'] / 1e6:.2f} M if the board bins)" if k > 1 else "")
        )
    found.append(f"all three scales added {plots.spread(_values(rows, name, 'small_bn', ADDED))}")
    control = _values(rows, name, "small_bn", CONTROL)
    if len(control):
        found.append(f"three networks of the finest added {plots.spread(control)}")
    # What binning costs and adding wins, and what maps as large win back.
    finest = _arm("small_bn", 1)
    shown = [
        pair
        for pair in pairs
        if pair["measure"] == name
        and (pair["one"] == finest or pair["one"].partition(",")[0] == pair["other"].partition(",")[0])
    ]
    found += [told([pair], {}) for pair in shown]
    return Claim(
        "Reference [26]: a sensor with multi-scale read-out; the paper uses one scale",
        f"{plots.NAMES[name]}: " + "; ".join(found),
    )
