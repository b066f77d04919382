"""Figure 10: accuracy for brightness 2^-6 to 2^8 of the test images, by input.

The claim: log gradients lose almost nothing where JPEG loses 11 points (2^-6) and 4 points (2^3). The paper
multiplies the RAW (``digital``): noise is scaled with the signal. Here the scene is also made darker or
brighter and read anew (``physical``), so shot and read noise are what a sensor would add; both are relative
to brightness 1 of the same kind. Networks: the largest of figure 9, and ``small_bn``, which is better. By
folds it is small_bn alone, trained out, and losses are compared crop by crop.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import conditions, plots
from experiments.figures import fig09_filters
from experiments.jobs import AGAIN, NETWORK, Training, open_data
from experiments.recipes import long, short
from experiments.ruler import Ruler, ruler, told
from experiments.study import Claim, Result, Study, held_out, training
from loggrad_tf import arrays
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform.frontend import FrontEnd
from models.recipe import LONGEST
from models.zoo import small_bn, two_conv_one_fc

INPUTS = fig09_filters.INPUTS
EXPONENTS = tuple(range(-6, 9))
KINDS = ("digital", "physical")
NETWORKS = ("2conv1fc", "small_bn")
RIGHT = "right.npy"
# Brightness at which losses are compared.
ENDS = (-6, 3)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile; ``epochs`` are those of small_bn, 2conv1fc is trained as in figure 9.

    Attributes:
      folds: 1 for the set's own splits.
      recipe: of small_bn for images of a size, without the epochs.
    """

    size: int
    epochs: int
    seeds: int
    inputs: tuple[str, ...] = INPUTS
    networks: tuple[str, ...] = NETWORKS
    folds: int = 1
    recipe: Callable[[int], dict[str, Any]] = short


SCALES = {
    "quick": Scale(size=48, epochs=12, seeds=1),
    "long": Scale(size=96, epochs=40, seeds=3),
    "folds": Scale(48, LONGEST, 2, INPUTS[:2] + INPUTS[3:4], NETWORKS[1:], folds=5, recipe=long),
    "paper": Scale(size=224, epochs=40, seeds=3),
}


def small(
    data: DataSet,
    front: FrontEnd,
    epochs: int,
    seed: int,
    recipe: Callable[[int], dict[str, Any]] = short,
) -> Training:
    """The training of small_bn that several experiments share."""
    size = data.pixels.shape[1]
    graph = small_bn(size, len(data.class_names))
    return training(f"small_bn, {front.format}", graph, data, front, recipe(size) | {"epochs": epochs}, seed)


def largest(data: DataSet, front: FrontEnd, scale: fig09_filters.Scale, seed: int) -> Training:
    """The training of figure 9's largest 2conv1fc."""
    c1 = scale.filters[-1]
    graph = two_conv_one_fc(scale.size, len(data.class_names), c1, fig09_filters.SECOND_LAYER)
    recipe = scale.recipe | {"epochs": scale.epochs}
    return training(f"{front.format}, {c1} filters", graph, data, front, recipe, seed)


@dataclasses.dataclass(frozen=True)
class Brightness:
    """Accuracy of several networks of one input and size at every brightness.

    Attributes:
      trainings: of the networks.
      folders: their results.
      kind: of :data:`KINDS`.
      exponents: brightness is 2^exponent.
    """

    trainings: tuple[Training, ...]
    folders: tuple[Path, ...]
    kind: str
    exponents: tuple[int, ...]

    @property
    def title(self) -> str:
        return f"brightness of {self.trainings[0].front_end.format}, {self.kind}"

    def to_json(self) -> dict[str, Any]:
        trainings = [job.to_json() for job in self.trainings]
        return {"trainings": trainings, "kind": self.kind, "exponents": self.exponents}

    def run(self, directory: Path) -> str:
        """Writes ``right.npy``: whether each is right, bool (exponents, networks, held-out images)."""
        from models import bundle

        data, front = open_data(self.trainings[0].data), self.trainings[0].front_end
        pixels, labels = held_out(data)
        networks = [conditions.forward(bundle.load(path / NETWORK).model()) for path in self.folders]
        table = []
        for exponent in self.exponents:
            seen = relit(pixels, exponent, self.kind, data)
            found = conditions.answers(networks, front, seen)
            table.append([answer == labels for answer in found])
        arrays.save(directory / RIGHT, np.array(table))
        means = np.mean(table, axis=(1, 2))
        return f"{means.min():.1%} to {means.max():.1%} right"


def relit(pixels: np.ndarray, exponent: int, kind: str, data: DataSet) -> np.ndarray:
    """P at brightness 2^exponent, uint16; the noise is the same for every network."""
    if kind == "digital":
        return conditions.digital(pixels, 2.0**exponent, data.sensor)
    rng = np.random.default_rng([10, exponent - EXPONENTS[0]])
    return conditions.physical(pixels, 2.0**exponent, data.sensor, rng)


@dataclasses.dataclass(frozen=True)
class Arm:
    """One network behind one input; trainings and their folders seed by seed, part by part."""

    network: str
    input: str
    trainings: tuple[Training, ...]

    def brightness(self, folders: Sequence[Path], kind: str, parts: int) -> list[Brightness]:
        """Measurements, one a part; ``folders`` are those of the trainings."""
        return [
            Brightness(self.trainings[part::parts], tuple(folders[part::parts]), kind, EXPONENTS)
            for part in range(parts)
        ]


def run(study: Study) -> Result:
    scale, arms = study.scale(SCALES), list[Arm]()
    sizes, rules = dict[str, int](), dict[str, Ruler]()
    for network in scale.networks:
        first = study.scale(fig09_filters.SCALES) if network == NETWORKS[0] else None
        sizes[network] = first.size if first else scale.size
        rules[network] = rule = ruler(study, study.data(sizes[network]), scale.folds)
        for name in scale.inputs:
            fronts = list(enumerate(rule.fronts(name)))
            jobs = tuple(
                largest(rule.parts[part], front, first, seed)
                if first
                else small(rule.parts[part], front, scale.epochs, seed, scale.recipe)
                for seed in range(scale.seeds)
                for part, front in fronts
            )
            arms.append(Arm(network, name, jobs))
    folders = iter(study.run([job for arm in arms for job in arm.trainings]))
    trained = {(arm.network, arm.input): [next(folders) for _ in arm.trainings] for arm in arms}
    measurements = [
        (arm, kind, one)
        for arm in arms
        for kind in KINDS
        for one in arm.brightness(trained[arm.network, arm.input], kind, scale.folds)
    ]
    made = study.run([one for *_, one in measurements])
    tables = dict[tuple[str, str, str], list[np.ndarray]]()
    for (arm, kind, _), folder in zip(measurements, made, strict=True):
        table = arrays.load(folder / RIGHT, AGAIN)
        tables.setdefault((arm.network, kind, arm.input), []).append(table)
    # (exponents, seeds, crops of all parts)
    answers = {key: np.concatenate(parts, axis=2) for key, parts in tables.items()}
    rows = [
        {
            "network": network,
            "input": name,
            "scaling": kind,
            "exponent": exponent,
            "seed": seed,
            "accuracy": round(float(found.mean()), 5),
        }
        for (network, kind, name), of in answers.items()
        for exponent, seeds in zip(EXPONENTS, of, strict=True)
        for seed, found in enumerate(seeds)
    ]
    values = {key: _values(rows, *key) for key in answers}
    pairs = [
        row
        for network, rule in rules.items()
        for kind in KINDS
        for row in _pairs(rule, network, kind, answers)
    ]
    about = ", ".join(f"{network} {size}x{size}" for network, size in sizes.items())
    figure = _figure(values, f"{about}{plots.by_folds(scale.folds)}, {plots.source(study.spec)}")
    return Result(rows, {"brightness": figure}, _claims(values, pairs), pairs)


def _pairs(
    rule: Ruler, network: str, kind: str, answers: dict[tuple[str, str, str], np.ndarray]
) -> list[dict[str, Any]]:
    """Accuracies at brightness 1, and losses at both ends, of every two inputs."""
    mine = {name: of for (n, k, name), of in answers.items() if (n, k) == (network, kind)}
    home = EXPONENTS.index(0)
    found = rule.pairs(f"{network}, {kind}, accuracy at 2^0", {name: of[home] for name, of in mine.items()})
    for exponent in ENDS:
        at = EXPONENTS.index(exponent)
        losses = {name: of[home].astype(float) - of[at] for name, of in mine.items()}
        found += rule.pairs(f"{network}, {kind}, loss at 2^{exponent}", losses)
    return found


def _values(rows: list[dict[str, Any]], network: str, kind: str, name: str) -> np.ndarray:
    """(seeds, exponents)."""
    mine = [r for r in rows if (r["network"], r["scaling"], r["input"]) == (network, kind, name)]
    seeds = sorted({r["seed"] for r in mine})
    return np.array([[r["accuracy"] for r in mine if r["seed"] == seed] for seed in seeds])


def _figure(values: dict[tuple[str, str, str], np.ndarray], about: str) -> Any:
    networks = list(dict.fromkeys(network for network, *_ in values))
    figure, axes = plots.figure(len(networks), len(KINDS), width=5.6, height=3.9, sharex=True, sharey=True)
    titles = {"digital": "RAW codes multiplied", "physical": "scene relit, fresh noise"}
    for (network, kind, name), table in values.items():
        plots.series(axes[KINDS.index(kind), networks.index(network)], EXPONENTS, table, name)
    for row, kind in enumerate(KINDS):
        for column, network in enumerate(networks):
            panel = axes[row, column]
            panel.axvline(0, color="#000000", lw=0.8, ls=":")
            panel.set_xticks(EXPONENTS[::2], [f"$2^{{{exponent}}}$" for exponent in EXPONENTS[::2]])
            panel.set_title(f"{network}: {titles[kind]}", fontsize=12)
            plots.percent(panel, "accuracy, held-out photographs" if column == 0 else "")
            if row:
                panel.set_xlabel("brightness, relative to the recording", fontsize=12)
    axes[0, 0].legend(fontsize=10)
    figure.suptitle(about, fontsize=12)
    return figure


def drops(values: np.ndarray, exponents: tuple[int, ...]) -> np.ndarray:
    """Points lost against brightness 1, mean over seeds: (len(exponents),)."""
    means = values.mean(axis=0)
    return 100 * (means[EXPONENTS.index(0)] - means[[EXPONENTS.index(e) for e in exponents]])


def _claims(values: dict[tuple[str, str, str], np.ndarray], pairs: list[dict[str, Any]]) -> list[Claim]:
    ends, widest = [], []
    for kind in KINDS:
        for network in dict.fromkeys(network for network, *_ in values):
            each = {name: of for (n, k, name), of in values.items() if (n, k) == (network, kind)}
            losses = {name: drops(value, ENDS) for name, value in each.items()}
            found = ", ".join(f"{name} {low:.1f} and {high:.1f}" for name, (low, high) in losses.items())
            ends.append(f"{kind}, {network}: {found}")
            most = {name: drops(value, tuple(range(-5, 4))).max() for name, value in each.items()}
            found = ", ".join(f"{name} {loss:.1f}" for name, loss in most.items())
            widest.append(f"{kind}, {network}: {found}")
    against = [f"{pair['measure']}: {told([pair], plots.NAMES)}" for pair in pairs]
    return [
        Claim(
            "Fig. 10: at 2^-6 and 2^3 of the brightness JPEG loses 10.9 and 4.3 points, log gradients 0.1 and"
            " 1.7 (RAW multiplied)",
            ". ".join([f"points lost at 2^-6 and 2^3: {'; '.join(ends)}", *against]),
        ),
        Claim(
            "Abstract: over 2^-5 to 2^3 log gradients lose 1.7 %, JPEG up to 10 %",
            f"largest loss over 2^-5 to 2^3, points: {'; '.join(widest)}",
        ),
    ]
