"""Thresholds of the quantised log gradient: fixed, quantiles, the best of a grid, trained with the network.

The paper's were empirical, "the threshold values are not critically sensitive, but can potentially be tuned
during training" (section 3; section 5 leaves it to future work). Small_bn learns behind every choice.
A choice that looks at the validation split is compared on test alone; thresholds trained on the
training split, like all others, may use both. Then the device: networks that were trained at t see images
whose levels were taken at a multiple of t, as from comparators that are off.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from experiments import plots
from experiments.jobs import AGAIN, Job, open_data, save_network
from experiments.recipes import SMALL_BN
from experiments.study import Claim, Result, Study, network, right, training
from loggrad_tf import json_base
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform import reference
from loggrad_tf.transform.frontend import FIXED_THRESHOLDS, LEVELS, QUANTILES, FrontEnd, fit
from models.graph import Graph
from models.recipe import TrainConfig
from models.zoo import small_bn

INPUTS = ("loggrad_1p5", "loggrad_2p25")
# t_1; 0.3 is the threshold without data. Five levels keep that one's t_2 = 3 t_1.
GRID = (0.05, 0.1, 0.17, 0.3, 0.6, 1.2)
OTHER_QUANTILES = {1: ((0.4,), (0.8,)), 2: ((0.4, 0.7), (0.75, 0.9))}
DEVICES = (1.0, 0.85, 1.15, 2.0)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile."""

    size: int
    epochs: int
    seeds: int
    grid: tuple[float, ...] = GRID


SCALES = {
    "quick": Scale(size=48, epochs=6, seeds=1, grid=(0.05, 0.3, 1.2)),
    "long": Scale(size=96, epochs=20, seeds=3),
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
class Case:
    """One training: its input, how the thresholds were chosen (``rule``), and its seed."""

    input: str
    rule: str
    seed: int
    job: Job


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    cases = [case for name in INPUTS for case in _cases(name, data, scale)]
    folders = study.run([case.job for case in cases])
    rows = [row for case, folder in zip(cases, folders, strict=True) for row in _rows(case, folder, data)]
    courses = {
        (case.input, case.seed): json_base.read_value(
            tuple[tuple[float, ...], ...], folder / "course.json", AGAIN
        )
        for case, folder in zip(cases, folders, strict=True)
        if case.rule == "trained"
    }
    title = f"small_bn, {scale.size}x{scale.size}, {scale.epochs} epochs, {plots.source(study.spec)}"
    figures = {
        "accuracy": _accuracy_figure(rows, title),
        "course": _course_figure(courses, title),
        "device": _device_figure(rows, title),
    }
    return Result(rows, figures, [_sensitivity(rows), _device_claim(rows), _tuning(rows)])


def _cases(name: str, data: DataSet, scale: Scale) -> list[Case]:
    graph = small_bn(scale.size, len(data.class_names))
    recipe = SMALL_BN | {"epochs": scale.epochs}
    levels = LEVELS[name]
    ratio = [t / FIXED_THRESHOLDS[levels][0] for t in FIXED_THRESHOLDS[levels]]
    quantile = fit(name, data.sensor, data.subset("train")[0])
    shares = OTHER_QUANTILES[levels]
    fronts = {f"grid {t:g}": _front(name, data, [t * r for r in ratio]) for t in scale.grid} | {
        "quantile": quantile,
        **{f"quantile {_percents(share)}": _front(name, data, _quantiles(data, share)) for share in shares},
    }
    fronts["fixed"] = _front(name, data, FIXED_THRESHOLDS[levels])
    cases = []
    for seed in range(scale.seeds):
        for rule, front in fronts.items():
            job: Job = training(f"{plots.NAMES[name]}, {rule}", graph, data, front, recipe, seed)
            cases.append(Case(name, rule, seed, job))
        moving = ThresholdTraining(
            f"{plots.NAMES[name]}, trained",
            graph,
            quantile,
            data.path,
            data.manifest_sha256,
            recipe,
            {},
            seed,
        )
        cases.append(Case(name, "trained", seed, moving))
    return cases


def _front(name: str, data: DataSet, thresholds: Any) -> FrontEnd:
    return FrontEnd(name, data.sensor, tuple(reference.ratio_of(float(t)) for t in thresholds))


def _quantiles(data: DataSet, shares: tuple[float, ...]) -> list[float]:
    """Quantiles of |g| on at most 512 training images."""
    pixels = data.subset("train")[0]
    g = np.abs(reference.log_gradient(np.asarray(pixels[:: -(-len(pixels) // 512)])))
    return [float(q) for q in np.quantile(g, shares)]


def _percents(shares: tuple[float, ...]) -> str:
    return "/".join(f"{100 * share:.0f}" for share in shares)


def _rows(case: Case, folder: Path, data: DataSet) -> list[dict[str, Any]]:
    saved = network(folder)
    model = saved.model()
    measured = DEVICES if case.rule in ("fixed", "quantile", "trained") else DEVICES[:1]
    rows = []
    for device in measured:
        front = saved.front_end if device == 1 else off(saved.front_end, device)
        found = [right(model, front, *data.subset(split)) for split in ("val", "test")]
        thresholds = [round(t, 5) for t in saved.front_end.thresholds]
        rows.append(
            {
                "input": case.input,
                "rule": case.rule,
                "t1": thresholds[0],
                "t2": thresholds[1] if len(thresholds) > 1 else "",
                "seed": case.seed,
                "device": device,
                "val": round(float(found[0].mean()), 5),
                "test": round(float(found[1].mean()), 5),
                "held_out": round(float(np.concatenate(found).mean()), 5),
            }
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
        for text, chosen, look, size in marks:
            points = [[_values(rows, name, rule, c) for c in ("t1", "held_out")] for rule in chosen]
            style = {"ls": "", "marker": plots.SHAPES[look], "color": plots.CYCLE[look], "alpha": 0.8}
            x, y = np.concatenate(points, axis=1)
            panel.plot(x, y, ms=size, markeredgecolor="white", label=text, **style)
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticks(first, [f"{t:.2g}" for t in first])
        panel.set_xlabel("first threshold $t_1$, natural log", fontsize=12)
        plots.percent(panel, "accuracy, validation and test")
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
        for look, rule in enumerate(("fixed", "quantile", "trained")):
            values = np.array([_values(rows, name, rule, "held_out", device) for device in order]).T
            style = {"color": plots.CYCLE[look], "marker": plots.SHAPES[look]}
            plots.series(panel, order, values, _title(rows, name, rule), **style)
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticks(order, [f"{device:g}" for device in order])
        panel.set_xlabel("thresholds of the device over those of the training", fontsize=12)
        plots.percent(panel, "accuracy, validation and test")
        panel.legend(fontsize=10)
    return figure


def _sensitivity(rows: list[dict[str, Any]]) -> Claim:
    found = []
    for name in INPUTS:
        grid = [rule for rule in _rules(rows, name) if rule.startswith("grid")]
        means = {rule.split(" ")[1]: _values(rows, name, rule, "held_out").mean() for rule in grid}
        best = max(means.values())
        flat = [t for t, mean in means.items() if mean >= best - 0.02]
        text = ", ".join(f"{t}: {100 * mean:.1f} %" for t, mean in means.items())
        near = f"within 2 points of the best: {', '.join(flat)}"
        found.append(f"{plots.NAMES[name]}, accuracy by first threshold {text}; {near}")
    return Claim("Section 3: the threshold values are not critically sensitive", ". ".join(found))


def _device_claim(rows: list[dict[str, Any]]) -> Claim:
    found = []
    for name in INPUTS:
        for rule in ("quantile", "trained"):
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
