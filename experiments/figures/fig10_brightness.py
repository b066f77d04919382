"""Figure 10: accuracy for brightness 2^-6 to 2^8 of the test images, by input.

The claim: log gradients lose almost nothing where JPEG loses 11 points (2^-6) and 4 points (2^3). The paper
multiplies the RAW (``digital``): noise is scaled with the signal. Here the scene is also made darker or
brighter and read anew (``physical``), so shot and read noise are what a sensor would add; both are relative
to brightness 1 of the same kind. Networks: the largest of figure 9, and ``small_bn``, which is better.
"""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments import conditions, plots
from experiments.figures import fig09_filters
from experiments.jobs import AGAIN, NETWORK, Training, open_data
from experiments.recipes import SMALL_BN
from experiments.study import Claim, Result, Study, front_end, held_out, training
from loggrad_tf import json_base
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform.frontend import FrontEnd
from models.zoo import small_bn, two_conv_one_fc

INPUTS = fig09_filters.INPUTS
EXPONENTS = tuple(range(-6, 9))
KINDS = ("digital", "physical")
NETWORKS = ("2conv1fc", "small_bn")
ANSWERS = "answers.json"


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile; ``epochs`` are those of small_bn, 2conv1fc is trained as in figure 9."""

    size: int
    epochs: int
    seeds: int


SCALES = {
    "quick": Scale(size=48, epochs=12, seeds=1),
    "long": Scale(size=96, epochs=40, seeds=3),
    "paper": Scale(size=224, epochs=40, seeds=3),
}


def small(data: DataSet, front: FrontEnd, epochs: int, seed: int) -> Training:
    """The training of small_bn that several experiments share."""
    graph = small_bn(data.pixels.shape[1], len(data.class_names))
    return training(f"small_bn, {front.format}", graph, data, front, SMALL_BN | {"epochs": epochs}, seed)


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
        """Writes ``answers.json``: accuracy [exponent][network] on validation and test."""
        from models import bundle

        data, front = open_data(self.trainings[0].data), self.trainings[0].front_end
        pixels, labels = held_out(data)
        networks = [conditions.forward(bundle.load(path / NETWORK).model()) for path in self.folders]
        table = []
        for exponent in self.exponents:
            seen = relit(pixels, exponent, self.kind, data)
            found = conditions.answers(networks, front, seen)
            table.append([float(np.mean(answer == labels)) for answer in found])
        (directory / ANSWERS).write_text(json.dumps(table) + "\n")
        means = np.mean(table, axis=1)
        return f"{means.min():.1%} to {means.max():.1%} right"


def relit(pixels: np.ndarray, exponent: int, kind: str, data: DataSet) -> np.ndarray:
    """P at brightness 2^exponent, uint16; the noise is the same for every network."""
    if kind == "digital":
        return conditions.digital(pixels, 2.0**exponent, data.sensor)
    rng = np.random.default_rng([10, exponent - EXPONENTS[0]])
    return conditions.physical(pixels, 2.0**exponent, data.sensor, rng)


def run(study: Study) -> Result:
    scale, first = study.scale(SCALES), study.scale(fig09_filters.SCALES)
    wide, data = study.data(first.size), study.data(scale.size)
    trainings = [
        (network, name, seed, job)
        for name in INPUTS
        for seed in range(scale.seeds)
        for network, job in (
            ("2conv1fc", largest(wide, front_end(wide, name), first, seed)),
            ("small_bn", small(data, front_end(data, name), scale.epochs, seed)),
        )
    ]
    folders = study.run([job for *_, job in trainings])
    made = list(zip(trainings, folders, strict=True))
    measurements = []
    for wanted in itertools.product(NETWORKS, INPUTS):
        mine = [(job, folder) for (network, name, _, job), folder in made if (network, name) == wanted]
        jobs, places = zip(*mine, strict=True)
        measurements += [Brightness(jobs, places, kind, EXPONENTS) for kind in KINDS]
    rows = []
    for measurement, folder in zip(measurements, study.run(measurements), strict=True):
        table = json_base.read_value(tuple[tuple[float, ...], ...], folder / ANSWERS, AGAIN)
        for exponent, accuracies in zip(EXPONENTS, table, strict=True):
            for job, accuracy in zip(measurement.trainings, accuracies, strict=True):
                network = next(network for network, *_, other in trainings if other is job)
                rows.append(
                    {
                        "network": network,
                        "input": job.front_end.format,
                        "scaling": measurement.kind,
                        "exponent": exponent,
                        "seed": job.seed,
                        "accuracy": round(accuracy, 5),
                    }
                )
    values = {
        (network, kind, name): _values(rows, network, kind, name)
        for network in NETWORKS
        for kind in KINDS
        for name in INPUTS
    }
    sizes = f"2conv1fc {first.size}x{first.size}, small_bn {scale.size}x{scale.size}"
    return Result(rows, {"brightness": _figure(values, sizes, study.spec)}, _claims(values))


def _values(rows: list[dict[str, Any]], network: str, kind: str, name: str) -> np.ndarray:
    """(seeds, exponents)."""
    mine = [r for r in rows if (r["network"], r["scaling"], r["input"]) == (network, kind, name)]
    seeds = sorted({r["seed"] for r in mine})
    return np.array([[r["accuracy"] for r in mine if r["seed"] == seed] for seed in seeds])


def _figure(values: dict[tuple[str, str, str], np.ndarray], sizes: str, spec: str) -> Any:
    figure, axes = plots.figure(2, 2, width=5.6, height=3.9, sharex=True, sharey=True)
    titles = {"digital": "RAW codes multiplied", "physical": "scene relit, fresh noise"}
    for row, kind in enumerate(KINDS):
        for column, network in enumerate(NETWORKS):
            panel = axes[row, column]
            for name in INPUTS:
                plots.series(panel, EXPONENTS, values[network, kind, name], name)
            panel.axvline(0, color="#000000", lw=0.8, ls=":")
            panel.set_xticks(EXPONENTS[::2], [f"$2^{{{exponent}}}$" for exponent in EXPONENTS[::2]])
            panel.set_title(f"{network}: {titles[kind]}", fontsize=12)
            plots.percent(panel, "accuracy, validation and test" if column == 0 else "")
            if row:
                panel.set_xlabel("brightness, relative to the recording", fontsize=12)
    axes[0, 0].legend(fontsize=10)
    figure.suptitle(f"{sizes}, {plots.source(spec)}", fontsize=12)
    return figure


def drops(values: np.ndarray, exponents: tuple[int, ...]) -> np.ndarray:
    """Points lost against brightness 1, mean over seeds: (len(exponents),)."""
    means = values.mean(axis=0)
    return 100 * (means[EXPONENTS.index(0)] - means[[EXPONENTS.index(e) for e in exponents]])


def _claims(values: dict[tuple[str, str, str], np.ndarray]) -> list[Claim]:
    ends, widest = [], []
    for kind in KINDS:
        for network in NETWORKS:
            each = {name: values[network, kind, name] for name in INPUTS}
            losses = {name: drops(value, (-6, 3)) for name, value in each.items()}
            found = ", ".join(f"{name} {low:.1f} and {high:.1f}" for name, (low, high) in losses.items())
            ends.append(f"{kind}, {network}: {found}")
            most = {name: drops(value, tuple(range(-5, 4))).max() for name, value in each.items()}
            found = ", ".join(f"{name} {loss:.1f}" for name, loss in most.items())
            widest.append(f"{kind}, {network}: {found}")
    return [
        Claim(
            "Fig. 10: at 2^-6 and 2^3 of the brightness JPEG loses 10.9 and 4.3 points, log gradients 0.1 and"
            " 1.7 (RAW multiplied)",
            f"points lost at 2^-6 and 2^3: {'; '.join(ends)}",
        ),
        Claim(
            "Abstract: over 2^-5 to 2^3 log gradients lose 1.7 %, JPEG up to 10 %",
            f"largest loss over 2^-5 to 2^3, points: {'; '.join(widest)}",
        ),
    ]
