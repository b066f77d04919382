"""Objects found in whole frames, by input: F1 and counts, at every brightness, and on the mosaic.

The paper classifies crops. Here the hand-made detector of :mod:`models.zoo` sees frames of 160x120 or of
another size; thresholds on its answers are chosen on validation frames, and test frames are read once. Beside
it MobileNetV2 (Sandler et al. 2018) of width 0.35, cut where its stride is 16 and ended as FOMO ends
(Edge Impulse 2022): a pointwise convolution of 32 and one to the classes; ReLU in place of ReLU6. It sees
photographs alone.

For ``synthetic:street`` each network is measured on days of the cameras it knows and on cameras that it never
saw.
"""

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plots
from experiments.figures.fig10_brightness import ENDS, EXPONENTS, KINDS, relit
from experiments.jobs import AGAIN, NETWORK, Training, open_data
from experiments.study import Claim, Result, Study, front_end, training
from loggrad_tf import arrays, json_base
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.request import DETECT_DATA
from loggrad_tf.data.sides import Size, dimensions, sides
from loggrad_tf.data.sources import SPLITS
from loggrad_tf.detect.decode import objects
from loggrad_tf.detect.grid import Grid
from loggrad_tf.detect.scores import HIT, INVENTED, Scores, best_threshold, matched, mean_counts, score
from models.graph import SAME, Graph, GraphBuilder, macs, weight_count
from models.recipe import DETECTOR_RECIPES, NATIVE
from models.zoo import DETECTORS

INPUTS = ("jpeg8", "raw16", "loggrad_1p5", "loggrad_2p25")
OURS, OTHER = "cells", "MobileNetV2-0.35"
GRAY, MOSAIC = "gray", "mosaic"
FOUND, COUNTS = "found.json", "counts.npy"
# Factor, channels, blocks and stride of each stage up to a stride of 16 (Sandler et al. 2018, table 2), the
# channels those of width 0.35.
_STAGES = ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1))


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile; ``epochs`` of the recipe of detectors."""

    epochs: int
    seeds: int
    size: Size = (120, 160)
    inputs: tuple[str, ...] = INPUTS
    networks: tuple[str, ...] = (OURS,)
    modes: tuple[str, ...] = (GRAY,)


SCALES = {
    "quick": Scale(epochs=10, seeds=1, inputs=("jpeg8", "loggrad_1p5")),
    "long": Scale(epochs=150, seeds=3, networks=(OURS, OTHER), modes=(GRAY, MOSAIC)),
}


def mobilenet(size: Size, classes: int) -> Graph:
    """MobileNetV2 of width 0.35 up to a stride of 16, as a detector."""
    b = GraphBuilder()
    x = b.conv(b.input(*sides(size), 1), 16, 3, stride=2, padding=SAME, bn=True, relu=True)
    for factor, channels, blocks, stride in _STAGES:
        for step in (stride, *[1] * (blocks - 1)):
            inner, before = x, b.shape(x)[-1]
            if factor > 1:
                inner = b.conv(inner, factor * before, 1, bn=True, relu=True)
            inner = b.depthwise(inner, 3, stride=step, padding=SAME, bn=True, relu=True)
            inner = b.conv(inner, channels, 1, bn=True)
            x = b.add([x, inner]) if b.shape(inner) == b.shape(x) else inner
    x = b.conv(x, 6 * channels, 1, bn=True, relu=True)
    return b.build(b.conv(b.conv(x, 32, 1, relu=True), 1 + classes, 1))


@dataclasses.dataclass(frozen=True)
class Found:
    """The job of measuring one detector on the test frames of some sets, at some brightnesses.

    Attributes:
      training: of the detector.
      folder: its result.
      sets: prepared sets by what rows call them; the detector's own comes first.
      manifests: of the sets, SHA-256.
      lights: kind and exponent of each brightness.
    """

    training: Training
    folder: Path
    sets: tuple[tuple[str, Path], ...]
    manifests: tuple[str, ...]
    lights: tuple[tuple[str, int], ...]

    @property
    def title(self) -> str:
        return f"{self.training.title}, objects"

    def to_json(self) -> dict[str, Any]:
        asked = {"sets": [name for name, _ in self.sets], "manifests": self.manifests, "lights": self.lights}
        return {"training": self.training.to_json(), **asked}

    def run(self, directory: Path) -> str:
        """Writes ``found.json``: a list of set, kind, exponent and scores."""
        own = open_data(self.training.data)
        detector = _Detector(self.folder, own)
        means = mean_counts(own.boxes_of("train"), len(own.labels_of("train")), len(own.class_names))
        lines = []
        for name, path in self.sets:
            data = open_data(path)
            pixels, boxes = data.subset("test")[0], data.boxes_of("test")
            for kind, exponent in self.lights:
                seen = pixels if (kind, exponent) == (KINDS[0], 0) else relit(pixels, exponent, kind, data)
                found = score(detector.answers(seen), boxes, detector.grid, detector.threshold, means)
                lines.append({"set": name, "kind": kind, "exponent": exponent, "scores": found.to_json()})
        (directory / FOUND).write_text(json.dumps(lines) + "\n", encoding="utf-8")
        [home, *_] = (line["scores"] for line in lines if line["exponent"] == 0)
        return f"F1 {Scores.from_json(home).f1:.3f}"


@dataclasses.dataclass(frozen=True)
class Counted:
    """The job of counting, frame by frame of its own test split, what one detector finds.

    Attributes:
      training: of the detector.
      folder: its result.
    """

    training: Training
    folder: Path

    @property
    def title(self) -> str:
        return f"{self.training.title}, frame by frame"

    def to_json(self) -> dict[str, Any]:
        return {"counted": self.training.to_json()}

    def run(self, directory: Path) -> str:
        """Writes ``counts.npy``: hits, invented objects and boxes of each frame, int64 (frames, 3)."""
        data = open_data(self.training.data)
        detector = _Detector(self.folder, data)
        pixels, boxes = data.subset("test")[0], data.boxes_of("test")
        found = objects(detector.answers(pixels), detector.threshold)
        fates, _ = matched(found, boxes, detector.grid)
        there = [found[fates == HIT], found[fates == INVENTED], boxes[~boxes["difficult"]]]
        counts = np.stack([np.bincount(some["frame"], minlength=len(pixels)) for some in there], axis=1)
        arrays.save(directory / COUNTS, counts)
        hits, invented, asked = counts.sum(axis=0)
        return f"{hits} of {asked} found, {invented} invented"


class _Detector:
    """A trained detector and its threshold, chosen on the validation frames of its set."""

    def __init__(self, folder: Path, data: DataSet) -> None:
        from models import bundle
        from models.training.measure import predict

        saved = bundle.load(folder / NETWORK)
        assert saved.graph.cells is not None
        model = saved.model()
        self.answers = lambda pixels: predict(model, saved.front_end, pixels)
        self.grid = Grid.over(data.size, *saved.graph.cells)
        held = self.answers(data.subset("val")[0])
        self.threshold = best_threshold(held, data.boxes_of("val"), self.grid)


def difference(one: np.ndarray, other: np.ndarray, groups: Sequence[str]) -> tuple[float, float, float]:
    """How much larger one F1 is than another, and its 95 % interval.

    Frames of a group (a photograph; a camera's day) and trainings are drawn anew with replacement, both
    detectors' alike, 2,000 times (Efron's percentile interval).

    Args:
      one, other: :class:`Counted` by seed, (seeds, frames, 3).
      groups: of the frames.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((2, len(one), len(names), 3))
    for arm, counts in enumerate((one, other)):
        np.add.at(sums[arm].swapaxes(0, 1), index, counts.swapaxes(0, 1))

    def gap(weights: np.ndarray, seeds: np.ndarray) -> float:
        hits, invented, there = np.moveaxis(np.einsum("g,asgk->ask", weights, sums[:, seeds]), -1, 0)
        f1 = 2 * hits / np.maximum(hits + invented + there, 1)
        return float((f1[0] - f1[1]).mean())

    rng = np.random.default_rng(0)
    shares = np.full(len(names), 1 / len(names))
    drawn = [
        gap(rng.multinomial(len(names), shares).astype(float), rng.integers(len(one), size=len(one)))
        for _ in range(2000)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return gap(np.ones(len(names)), np.arange(len(one))), float(low), float(high)


@dataclasses.dataclass(frozen=True)
class Case:
    """One detector."""

    network: str
    mode: str
    input: str
    seed: int


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = {mode: study.frames(scale.size, mode) for mode in scale.modes}
    cases = [
        Case(network, mode, name, seed)
        for network in scale.networks
        for mode in scale.modes
        for name in scale.inputs
        for seed in range(scale.seeds)
        if network == OURS or (mode, name) == (GRAY, "loggrad_1p5") and study.spec != DETECT_DATA
    ]
    jobs = [_training(case, data[case.mode], scale) for case in cases]
    folders = study.run(jobs)
    sets = {mode: _tested(study, scale.size, mode, own) for mode, own in data.items()}
    measured = study.run(
        [
            Found(
                job,
                folder,
                tuple((name, one.path) for name, one in sets[case.mode].items()),
                tuple(one.manifest_sha256 for one in sets[case.mode].values()),
                _lights(case),
            )
            for case, job, folder in zip(cases, jobs, folders, strict=True)
        ]
    )
    rows = [
        _row(case, graph, line)
        for case, job, folder in zip(cases, jobs, measured, strict=True)
        for graph in (job.graph,)
        for line in json_base.read(folder / FOUND, AGAIN)
    ]
    pairs = _pairs(study, scale, data[GRAY], cases, jobs, folders) if scale.seeds > 1 else []
    about = f"{dimensions(scale.size)}, {scale.epochs} epochs, {plots.source(study.spec)}"
    figures = {"found": _figure(rows, scale, about), "brightness": _brightness(rows, scale, about)}
    return Result(rows, figures, _claims(rows, scale, pairs), pairs)


def _training(case: Case, data: DataSet, scale: Scale) -> Training:
    make = mobilenet if case.network == OTHER else DETECTORS[OURS]
    recipe = DETECTOR_RECIPES["quick"].to_json() | {"epochs": scale.epochs, "trainer": NATIVE}
    name = f"{case.network}, {case.input}, {case.mode}"
    front = front_end(data, case.input)
    return training(name, make(data.size, len(data.class_names)), data, front, recipe, case.seed)


def _pairs(
    study: Study,
    scale: Scale,
    data: DataSet,
    cases: Sequence[Case],
    jobs: Sequence[Training],
    folders: Sequence[Path],
) -> list[dict[str, Any]]:
    """F1 of every two inputs compared, test frame by test frame of the detector's own set."""
    mine = [
        (case, Counted(job, folder))
        for case, job, folder in zip(cases, jobs, folders, strict=True)
        if (case.network, case.mode) == (OURS, GRAY)
    ]
    made = study.run([job for _, job in mine])
    counts: dict[str, list[np.ndarray]] = {name: [] for name in scale.inputs}
    for (case, _), folder in zip(mine, made, strict=True):
        counts[case.input].append(arrays.load(folder / COUNTS, AGAIN))
    groups = np.array(data.groups())[data.split == SPLITS.index("test")].tolist()
    rows = []
    for one, other in itertools.combinations(scale.inputs, 2):
        found = difference(np.stack(counts[one]), np.stack(counts[other]), groups)
        gap, low, high = (round(value, 4) for value in found)
        rows.append({"measure": "F1", "one": one, "other": other, "gap": gap, "low": low, "high": high})
    return rows


def _tested(study: Study, size: Size, mode: str, own: DataSet) -> dict[str, DataSet]:
    """The set itself, and cameras that it does not show, by name."""
    named = {"test": own}
    if study.spec == DETECT_DATA:
        unseen = dataclasses.replace(study, spec=f"{DETECT_DATA}-unseen")
        named["unseen cameras"] = unseen.frames(size, mode)
    return named


def _lights(case: Case) -> tuple[tuple[str, int], ...]:
    """Every brightness for the paper's comparison, and none for the others."""
    exponents = EXPONENTS if (case.network, case.mode) == (OURS, GRAY) else (0,)
    kinds = KINDS if len(exponents) > 1 else KINDS[:1]
    return tuple((kind, exponent) for kind in kinds for exponent in exponents if exponent <= ENDS[1])


def _row(case: Case, graph: Graph, line: dict[str, Any]) -> dict[str, Any]:
    scores = Scores.from_json(line["scores"])
    return {
        **dataclasses.asdict(case),
        "set": line["set"],
        "scaling": line["kind"],
        "exponent": line["exponent"],
        "f1": round(scores.f1, 5),
        "precision": round(scores.precision, 5),
        "recall": round(scores.recall, 5),
        "average_precision": round(float(np.mean(scores.average_precision)), 5),
        "count_error": round(scores.count_error, 5),
        "mean_count_error": round(scores.mean_count_error, 5),
        "macs": sum(macs(graph, op) for op in graph.ops),
        "weights": sum(weight_count(graph, op) for op in graph.ops),
    }


def _values(rows: list[dict[str, Any]], column: str = "f1", **fixed: Any) -> np.ndarray:
    """A column by seed, of the rows with these values; at brightness 1 unless an exponent is given."""
    wanted = {"network": OURS, "mode": GRAY, "set": "test", "scaling": KINDS[0], "exponent": 0} | fixed
    return np.array([row[column] for row in rows if all(row[k] == v for k, v in wanted.items())])


def _figure(rows: list[dict[str, Any]], scale: Scale, about: str) -> Any:
    """F1 by input: on known and on unseen cameras, on the mosaic, and the other network."""
    arms = {
        ("test", GRAY, OURS): "the same cameras or collection",
        ("unseen cameras", GRAY, OURS): "cameras never seen",
        ("test", MOSAIC, OURS): "the Bayer mosaic itself",
        ("test", GRAY, OTHER): f"{OTHER}, cut",
    }
    figure, axes = plots.figure(width=6.4, height=4.4)
    panel = axes[0, 0]
    for number, ((where, mode, network), label) in enumerate(arms.items()):
        each = [_values(rows, set=where, mode=mode, network=network, input=name) for name in scale.inputs]
        shown = [(place, values) for place, values in enumerate(each) if len(values)]
        if not shown:
            continue
        means = np.array([values.mean() for _, values in shown])
        ends = np.array([[v.mean() - v.min(), v.max() - v.mean()] for _, v in shown]).T
        places = np.array([place for place, _ in shown]) + 0.15 * (number - 1.5)
        look = {"color": plots.CYCLE[number], "marker": plots.SHAPES[number], "label": label}
        panel.errorbar(places, means, ends, ls="", ms=8, capsize=3, **look)
    panel.set_xticks(range(len(scale.inputs)), [plots.NAMES[n].replace(", ", ",\n") for n in scale.inputs])
    panel.set_xlim(-0.5, len(scale.inputs) - 0.5)
    panel.set_ylabel("F1, test frames", fontsize=12)
    panel.set_title(about, fontsize=12)
    figure.legend(*panel.get_legend_handles_labels(), fontsize=10, loc="outside lower center", ncols=2)
    return figure


def _brightness(rows: list[dict[str, Any]], scale: Scale, about: str) -> Any:
    exponents = [exponent for exponent in EXPONENTS if exponent <= ENDS[1]]
    titles = {"digital": "RAW codes multiplied", "physical": "scene relit, fresh noise"}
    figure, axes = plots.figure(len(KINDS), width=5.2, height=3.9, sharey=True)
    for panel, kind in zip(axes[0], KINDS, strict=True):
        for name in scale.inputs:
            table = [_values(rows, input=name, scaling=kind, exponent=exponent) for exponent in exponents]
            plots.series(panel, exponents, np.array(table).T, name)
        panel.set_xticks(exponents[::2], [f"$2^{{{exponent}}}$" for exponent in exponents[::2]])
        panel.set_xlabel("brightness, relative to the recording", fontsize=12)
        panel.set_title(titles[kind], fontsize=12)
    axes[0, 0].set_ylabel("F1, test frames", fontsize=12)
    axes[0, 0].legend(fontsize=10)
    figure.suptitle(about, fontsize=12)
    return figure


def _claims(rows: list[dict[str, Any]], scale: Scale, pairs: list[dict[str, Any]]) -> list[Claim]:
    by_input = []
    for name in scale.inputs:
        said = f"{plots.NAMES[name]} F1 {_three(_values(rows, input=name))}"
        if len(unseen := _values(rows, input=name, set="unseen cameras")):
            said += f", on unseen cameras {_three(unseen)}"
        if len(mosaic := _values(rows, input=name, mode=MOSAIC)):
            said += f", on the mosaic {_three(mosaic)}"
        count = _three(_values(rows, "count_error", input=name))
        mean = _values(rows, "mean_count_error", input=name).mean()
        by_input.append(f"{said}, count off by {count} (always the mean: {mean:.2f})")
    if len(other := _values(rows, network=OTHER)):
        by_input.append(f"{OTHER} on {plots.NAMES['loggrad_1p5']} {_three(other)}")
    by_input += [
        f"{plots.NAMES[pair['one']]} over {plots.NAMES[pair['other']]} {pair['gap']:+.3f}"
        f" ({pair['low']:+.3f} to {pair['high']:+.3f})"
        for pair in pairs
    ]
    lost = []
    for kind in KINDS:
        each = []
        for name in scale.inputs:
            home = _values(rows, input=name, scaling=kind).mean()
            ends = [home - _values(rows, input=name, scaling=kind, exponent=e).mean() for e in ENDS]
            each.append(f"{plots.NAMES[name]} {ends[0]:.3f} and {ends[1]:.3f}")
        lost.append(f"{kind}: {', '.join(each)}")
    return [
        Claim("Section 5: detection is future work", "; ".join(by_input)),
        Claim(
            "Fig. 10, of classification: log gradients lose least when it gets darker or brighter",
            f"F1 lost at 2^-6 and 2^3: {'; '.join(lost)}",
        ),
    ]


def _three(values: np.ndarray) -> str:
    """``0.312 (0.301-0.320)``: mean, smallest and largest."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{values.mean():.3f} ({values.min():.3f}-{values.max():.3f})"
