"""Thresholds of the quantised log gradient: fixed, quantiles, the best of a grid, trained with the network.

The paper's were empirical, "the threshold values are not critically sensitive, but can potentially be tuned
during training" (section 3; section 5 leaves it to future work). Small_bn learns behind every choice.
A choice that looks at the validation split is compared on test alone; thresholds trained on the
training split, like all others, may use both. Then the device: networks that were trained at t see images
whose levels were taken at a multiple of t, as from comparators that are off. By folds there are fixed
thresholds and the quantile alone, since a choice by validation would need a test split, and thresholds are
trained by TensorFlow only.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from experiments import plots
from experiments.jobs import AGAIN, Job, open_data, save_network
from experiments.recipes import long, short
from experiments.ruler import Ruler, ruler, told
from experiments.study import Claim, Result, Study, network
from loggrad_tf import json_base
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform import reference
from loggrad_tf.transform.frontend import FIXED_THRESHOLDS, LEVELS, QUANTILES, FrontEnd
from models.graph import Graph
from models.recipe import LONGEST, TrainConfig
from models.zoo import small_bn

INPUTS = ("loggrad_1p5", "loggrad_2p25")
# t_1; 0.3 is the threshold without data. Five levels keep that one's t_2 = 3 t_1.
GRID = (0.05, 0.1, 0.17, 0.3, 0.6, 1.2)
OTHER_QUANTILES = {1: ((0.4,), (0.8,)), 2: ((0.4, 0.7), (0.75, 0.9))}
DEVICES = (1.0, 0.85, 1.15, 2.0)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile.

    Attributes:
      grid: fixed first thresholds.
      folds: 1 for the set's own splits.
      recipe: for images of a size, without the epochs.
    """

    size: int
    epochs: int
    seeds: int
    grid: tuple[float, ...] = GRID
    folds: int = 1
    recipe: Callable[[int], dict[str, Any]] = short


SCALES = {
    "quick": Scale(size=48, epochs=6, seeds=1, grid=(0.05, 0.3, 1.2)),
    "long": Scale(size=96, epochs=20, seeds=3),
    "folds": Scale(48, LONGEST, 2, grid=(0.1, 0.3, 1.2), folds=5, recipe=long),
    "paper": Scale(size=224, epochs=40, seeds=3),
}


@dataclasses.dataclass(frozen=True)
class ThresholdTraining:
    """Train a network and the thresholds before it; its result is a saved network and their course.

    Attributes: as of :class:`experiments.jobs.Training`; ``start`` holds the thresholds of the start,
    ``thresholds`` the JSON form of :class:`models.training.thresholds.ThresholdConfig`.
    """

    name: str
    graph: Graph
    start: FrontEnd
    data: Path
    manifest_sha256: str
    train: dict[str, Any]
    thresholds: dict[str, Any]
    seed: int

    @property
    def title(self) -> str:
        return f"{self.name}, seed {self.seed}"

    def to_json(self) -> dict[str, Any]:
        return {
            "graph": self.graph.to_json(),
            "start": self.start.to_json(),
            "manifest_sha256": self.manifest_sha256,
            "train": self.train,
            "thresholds": self.thresholds,
            "seed": self.seed,
        }

    def run(self, directory: Path) -> str:
        from models.training import thresholds as threshold_training

        data = open_data(self.data)
        config = TrainConfig.from_json(self.train)
        how = threshold_training.ThresholdConfig.from_json(self.thresholds)
        found = threshold_training.train(self.graph, data, self.start, config, how, self.seed)
        accuracies = save_network(directory, data, found.front_end, found.trained, config, self.seed)
        (directory / "course.json").write_text(json.dumps(found.course))
        values = ", ".join(f"{t:.2f}" for t in found.front_end.thresholds)
        return f"thresholds {values}; {accuracies}"


@dataclasses.dataclass(frozen=True)
class Arm:
    """Trainings of one input and one choice of the thresholds (``rule``), seed by seed, part by part."""

    input: str
    rule: str
    jobs: tuple[Job, ...]


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    rule = ruler(study, study.data(scale.size), scale.folds)
    arms = [arm for name in INPUTS for arm in _arms(name, rule, scale)]
    folders = iter(study.run([job for arm in arms for job in arm.jobs]))
    rows, pairs, courses = list[dict[str, Any]](), list[dict[str, Any]](), dict[tuple[str, int], Any]()
    for name in INPUTS:
        at_home = dict[str, np.ndarray]()
        for arm in (arm for arm in arms if arm.input == name):
            mine = [next(folders) for _ in arm.jobs]
            answers = _answers(arm.rule, mine, rule)
            rows += _rows(arm, mine, answers, rule)
            at_home[arm.rule] = home = answers.pop(1.0)
            for device, right in answers.items():
                pairs += rule.pairs(f"{name}, device", {arm.rule: home, f"at {device:g} t": right})
            if arm.rule == "trained":
                of_seeds = zip(range(scale.seeds), mine, strict=True)
                courses |= {(name, seed): _course(folder) for seed, folder in of_seeds}
        for how in (how for how in at_home if how != "quantile"):
            pairs += rule.pairs(f"{name}, thresholds", {how: at_home[how], "quantile": at_home["quantile"]})
    about = f"{scale.epochs} epochs{plots.by_folds(scale.folds)}, {plots.source(study.spec)}"
    title = f"small_bn, {scale.size}x{scale.size}, {about}"
    figures = {"accuracy": _accuracy_figure(rows, title), "device": _device_figure(rows, title)}
    claims = [_sensitivity(rows, pairs), _device_claim(rows)]
    if courses:
        figures["course"] = _course_figure(courses, title)
        claims.append(_tuning(rows))
    return Result(rows, figures, claims, pairs)


def _course(folder: Path) -> tuple[tuple[float, ...], ...]:
    return json_base.read_value(tuple[tuple[float, ...], ...], folder / "course.json", AGAIN)


def _arms(name: str, rule: Ruler, scale: Scale) -> list[Arm]:
    graph = small_bn(scale.size, len(rule.parts[0].class_names))
    recipe = scale.recipe(scale.size) | {"epochs": scale.epochs}
    levels = LEVELS[name]
    ratio = [t / FIXED_THRESHOLDS[levels][0] for t in FIXED_THRESHOLDS[levels]]

    def fixed(thresholds: Sequence[float]) -> list[FrontEnd]:
        return [_front(name, part, thresholds) for part in rule.parts]

    fronts = {f"grid {t:g}": fixed([t * r for r in ratio]) for t in scale.grid}
    fronts["quantile"] = quantile = rule.fronts(name)
    if scale.folds == 1:
        for share in OTHER_QUANTILES[levels]:
            fronts[f"quantile {_percents(share)}"] = [
                _front(name, part, _quantiles(part, share)) for part in rule.parts
            ]
    fronts["fixed"] = fixed(FIXED_THRESHOLDS[levels])
    arms = [
        Arm(name, how, tuple(rule.trainings(f"{plots.NAMES[name]}, {how}", graph, of, recipe, scale.seeds)))
        for how, of in fronts.items()
    ]
    if scale.folds == 1:
        [data], [start] = rule.parts, quantile
        said = f"{plots.NAMES[name]}, trained"
        moving = [
            ThresholdTraining(said, graph, start, data.path, data.manifest_sha256, recipe, {}, seed)
            for seed in range(scale.seeds)
        ]
        arms.append(Arm(name, "trained", tuple(moving)))
    return arms


def _front(name: str, data: DataSet, thresholds: Sequence[float]) -> FrontEnd:
    return FrontEnd(name, data.sensor, tuple(reference.ratio_of(float(t)) for t in thresholds))


def _quantiles(data: DataSet, shares: tuple[float, ...]) -> list[float]:
    """Quantiles of |g| on at most 512 training images."""
    pixels = data.subset("train")[0]
    g = np.abs(reference.log_gradient(np.asarray(pixels[:: -(-len(pixels) // 512)])))
    return [float(q) for q in np.quantile(g, shares)]


def _percents(shares: tuple[float, ...]) -> str:
    return "/".join(f"{100 * share:.0f}" for share in shares)


def _answers(how: str, folders: Sequence[Path], rule: Ruler) -> dict[float, np.ndarray]:
    """Whether networks are right, bool (seeds, N), by the device that takes the levels."""
    measured = DEVICES if how in ("fixed", "quantile", "trained") else DEVICES[:1]
    return {
        device: rule.right(rule.logits(folders, functools.partial(off, factor=device))) for device in measured
    }


def _rows(
    arm: Arm, folders: Sequence[Path], answers: dict[float, np.ndarray], rule: Ruler
) -> list[dict[str, Any]]:
    """A line a device and seed; of folds there is no test split."""
    each = len(rule.parts)
    taken = np.array([network(folder).front_end.thresholds for folder in folders])
    thresholds = taken.reshape(-1, each, taken.shape[1]).mean(axis=1).round(5).tolist()
    in_val = np.arange(len(rule.groups)) < len(rule.parts[0].labels_of("val"))
    rows = []
    for device, seeds in answers.items():
        for seed, right in enumerate(seeds):
            sides = {"val": right[in_val], "test": right[~in_val]} if each == 1 else {}
            t = thresholds[seed]
            rows.append(
                {
                    "input": arm.input,
                    "rule": arm.rule,
                    "t1": t[0],
                    "t2": t[1] if len(t) > 1 else "",
                    "seed": seed,
                    "device": device,
                    "val": "",
                    "test": "",
                }
                | {side: round(float(of.mean()), 5) for side, of in sides.items()}
                | {"held_out": round(float(right.mean()), 5)}
            )
    return rows


def off(front: FrontEnd, factor: float) -> FrontEnd:
    """``front`` on a device whose thresholds are all ``factor`` times as large, natural log."""
    ratios = [min(reference.ratio_of(t * factor, front.shift), 2**20) for t in front.thresholds]
    return dataclasses.replace(front, ratios=tuple(ratios))


def _values(rows: list[dict[str, Any]], name: str, rule: str, column: str, device: float = 1.0) -> np.ndarray:
    """One column of a rule's networks, a value a seed."""
    found = [r[column] for r in rows if (r["input"], r["rule"], r["device"]) == (name, rule, device)]
    return np.array(found)


def _rules(rows: list[dict[str, Any]], name: str) -> list[str]:
    """All rules of an input, in the order of their first threshold."""
    rules = {r["rule"] for r in rows if r["input"] == name}
    return sorted(rules, key=lambda rule: (_values(rows, name, rule, "t1").mean(), rule))


def searched(rows: list[dict[str, Any]], name: str) -> str:
    """Of all rules that are not trained, the one that is best on validation, mean over seeds."""
    rules = [rule for rule in _rules(rows, name) if rule != "trained"]
    return max(rules, key=lambda rule: _values(rows, name, rule, "val").mean())


def _moved(rows: list[dict[str, Any]], name: str) -> list[str]:
    """Rules whose networks were shown the levels of other devices."""
    rules = _rules(rows, name)
    return [rule for rule in ("fixed", "quantile", "trained") if rule in rules]


def _title(rows: list[dict[str, Any]], name: str, rule: str) -> str:
    """A rule with its thresholds, means over seeds."""
    columns = ["t1", "t2"][: LEVELS[name]]
    values = " and ".join(f"{_values(rows, name, rule, column).mean():.2f}" for column in columns)
    return f"{rule.split(' ')[0] if rule.startswith('grid') else rule}, {values}"


def _panels(title: str) -> Any:
    figure, axes = plots.figure(columns=len(INPUTS), width=5.4, height=4.2)
    for panel, name in zip(axes[0], INPUTS, strict=True):
        panel.set_title(plots.NAMES[name])
    figure.suptitle(title)
    return figure, axes[0]


def _accuracy_figure(rows: list[dict[str, Any]], title: str) -> Any:
    figure, panels = _panels(title)
    for panel, name in zip(panels, INPUTS, strict=True):
        rules = _rules(rows, name)
        grid = [rule for rule in rules if rule.startswith("grid")]
        first = [float(_values(rows, name, rule, "t1").mean()) for rule in grid]
        values = np.array([_values(rows, name, rule, "held_out") for rule in grid]).T
        label = "fixed" if LEVELS[name] == 1 else "fixed, $t_2 = 3 t_1$"
        plots.series(panel, first, values, label, color=plots.CYCLE[0], marker=plots.SHAPES[0])
        marks = (
            ("other quantiles", [rule for rule in rules if rule.startswith("quantile ")], 3, 8),
            (f"quantile {_percents(QUANTILES[: LEVELS[name]])} %", ["quantile"], 1, 10),
            ("trained from there", ["trained"], 2, 12),
        )
        for text, chosen, look, size in (mark for mark in marks if set(mark[1]) <= set(rules) and mark[1]):
            points = [[_values(rows, name, rule, c) for c in ("t1", "held_out")] for rule in chosen]
            style = {"ls": "", "marker": plots.SHAPES[look], "color": plots.CYCLE[look], "alpha": 0.8}
            x, y = np.concatenate(points, axis=1)
            panel.plot(x, y, ms=size, markeredgecolor="white", label=text, **style)
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticks(first, [f"{t:.2g}" for t in first])
        panel.set_xlabel("first threshold $t_1$, natural log", fontsize=12)
        plots.percent(panel, "accuracy, held-out photographs")
        panel.legend(fontsize=10)
    return figure


def _course_figure(courses: dict[tuple[str, int], Any], title: str) -> Any:
    from loggrad_tf.transform.trainable import FLOOR  # TensorFlow, which has been started by now

    figure, panels = _panels(title)
    for panel, name in zip(panels, INPUTS, strict=True):
        for (_, seed), course in ((key, c) for key, c in courses.items() if key[0] == name):
            for i, values in enumerate(np.array(course).T):
                look = {"color": plots.CYCLE[i], "marker": plots.SHAPES[i], "ms": 4, "lw": 1.5}
                panel.plot(values, label=f"$t_{i + 1}$" if seed == 0 else None, alpha=0.85, **look)
        panel.axhline(FLOOR, color="black", ls=":", label="noise floor, middle grey")
        panel.set_ylim(bottom=0)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("epochs with moving thresholds", fontsize=12)
        panel.set_ylabel("threshold, natural log", fontsize=12)
        panel.legend(fontsize=10)
    return figure


def _device_figure(rows: list[dict[str, Any]], title: str) -> Any:
    figure, panels = _panels(title)
    order = sorted(DEVICES)
    for panel, name in zip(panels, INPUTS, strict=True):
        for look, rule in enumerate(_moved(rows, name)):
            values = np.array([_values(rows, name, rule, "held_out", device) for device in order]).T
            style = {"color": plots.CYCLE[look], "marker": plots.SHAPES[look]}
            plots.series(panel, order, values, _title(rows, name, rule), **style)
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticks(order, [f"{device:g}" for device in order])
        panel.set_xlabel("thresholds of the device over those of the training", fontsize=12)
        plots.percent(panel, "accuracy, held-out photographs")
        panel.legend(fontsize=10)
    return figure


def _sensitivity(rows: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> Claim:
    found = []
    for name in INPUTS:
        grid = [rule for rule in _rules(rows, name) if rule.startswith("grid")]
        means = {rule.split(" ")[1]: _values(rows, name, rule, "held_out").mean() for rule in grid}
        best = max(means.values())
        flat = [t for t, mean in means.items() if mean >= best - 0.02]
        text = ", ".join(f"{t}: {100 * mean:.1f} %" for t, mean in means.items())
        near = f"within 2 points of the best: {', '.join(flat)}"
        against = [told([pair], {}) for pair in pairs if pair["measure"] == f"{name}, thresholds"]
        by_first = f"{plots.NAMES[name]}, accuracy by first threshold {text}"
        found.append("; ".join([by_first, near, *against]))
    return Claim("Section 3: the threshold values are not critically sensitive", ". ".join(found))


def _device_claim(rows: list[dict[str, Any]]) -> Claim:
    found = []
    for name in INPUTS:
        for rule in _moved(rows, name)[1:]:
            at_home = _values(rows, name, rule, "held_out")
            changes = []
            for device in sorted(set(DEVICES) - {1.0}):
                change = 100 * (_values(rows, name, rule, "held_out", device) - at_home).mean()
                changes.append(f"{change:+.1f} at {device:g} t")
            found.append(f"{plots.NAMES[name]}, {_title(rows, name, rule)}: {', '.join(changes)}")
    return Claim(
        "Not in the paper: a device whose thresholds are not those of the training",
        f"points of accuracy, {'; '.join(found)}",
    )


def _tuning(rows: list[dict[str, Any]]) -> Claim:
    found = []
    for name in INPUTS:
        rules = {"fixed": "", "quantile": "", searched(rows, name): "best on validation: ", "trained": ""}
        parts = [
            f"{text}{_title(rows, name, rule)}: {plots.spread(_values(rows, name, rule, 'test'))}"
            for rule, text in rules.items()
        ]
        trained, quantile = (_values(rows, name, rule, "held_out") for rule in ("trained", "quantile"))
        gain = 100 * (trained - quantile)
        sides = "on validation and test together, trained over quantile"
        found.append(f"{plots.NAMES[name]}, test: {'; '.join(parts)}; {sides} {gain.mean():+.1f} points")
    return Claim(
        "Sections 3 and 5: thresholds can potentially be tuned during training (future work)",
        ". ".join(found),
    )
