"""Adversarial light: what small changes of the light do to small_bn, by input format.

The paper leaves the response to adversarial inputs to future work (section 5). The attacker controls the
light that falls on each photosite: ``|P' - P| <= eps P + f`` in whole RAW codes, with f the read noise of one
reading (4.5 of 9000 electrons, 2 codes of 12 bits), below which no sensor can tell two pictures apart. He
knows the network: FGSM and PGD through the soft front end of :mod:`loggrad_tf.transform.soft`. Two attacks
that need no gradient of the network check that these are not merely led astray by steps without slope: a
random search by scores, and transfer, PGD against a network of the attacker's own behind the unquantised
log gradient. Noise in the same bounds is the control.

A picture that fools a network at one eps is allowed at every larger one, so it goes on counting.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plots
from experiments.jobs import AGAIN, Training, open_data
from experiments.recipes import SMALL_BN
from experiments.study import Claim, Result, Study, front_end, held_out, network, training
from loggrad_tf import arrays
from loggrad_tf.data.imitation import FULL_WELL, READ_NOISE
from models.zoo import small_bn

INPUTS = ("jpeg8", "raw16", "loggrad_fp", "loggrad_1p5", "loggrad_2p25")
SUBSTITUTE = "loggrad_fp"
# The recipe of models.train.
ATTACKS = ("fgsm", "pgd", "transfer", "search")
LABELS = {
    "noise": "noise",
    "fgsm": "FGSM",
    "pgd": "PGD",
    "transfer": "transfer",
    "search": "random search",
    "worst": "worst of all",
}
# Of the soft steps: PGD is equally strong from 0.01 to 0.05, and weaker at 0.003 and from 0.1 on.
WIDTH = 0.03


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile.

    Attributes:
      shares: eps, ascending, behind the 0 of clean pictures.
      images: held-out pictures to attack, evenly spread.
      steps: of PGD.
      queries: of the random search, for each picture and eps.
    """

    size: int
    epochs: int
    seeds: int
    shares: tuple[float, ...]
    images: int
    steps: int
    queries: int


SCALES = {
    "quick": Scale(size=48, epochs=8, seeds=1, shares=(0.01, 0.04), images=60, steps=8, queries=30),
    "long": Scale(96, 40, seeds=3, shares=(0.005, 0.01, 0.02, 0.04, 0.08), images=200, steps=10, queries=100),
    "paper": Scale(224, 80, 3, shares=(0.005, 0.01, 0.02, 0.04, 0.08), images=1000, steps=40, queries=1000),
}


@dataclasses.dataclass(frozen=True)
class Attacked:
    """The job of attacking one trained network with everything; its result is ``right.npz``.

    That holds for noise and each attack whether the network is right, bool (1 + shares, images), the clean
    pictures in row 0.

    Attributes:
      training, substitute: what is attacked, and the attacker's own network.
      network_folder, substitute_folder: their results; not part of what the job is.
    """

    training: Training
    substitute: Training
    network_folder: Path
    substitute_folder: Path
    shares: tuple[float, ...]
    images: int
    steps: int
    queries: int

    @property
    def title(self) -> str:
        return f"attacks on {self.training.title}"

    def to_json(self) -> dict[str, Any]:
        return {
            "training": self.training.to_json(),
            "substitute": self.substitute.to_json(),
            "shares": list(self.shares),
            "images": self.images,
            "steps": self.steps,
            "queries": self.queries,
            "width": WIDTH,
        }

    def run(self, directory: Path) -> str:
        from experiments import attacks

        data = open_data(self.training.data)
        pixels, labels = held_out(data)
        chosen = np.linspace(0, len(pixels) - 1, min(self.images, len(pixels))).round().astype(int)
        victim, own = (
            attacks.victim(network(folder).model(), job.front_end)
            for folder, job in (
                (self.network_folder, self.training),
                (self.substitute_folder, self.substitute),
            )
        )
        found = assail(victim, own, pixels[chosen], labels[chosen], data.sensor.span, self)
        arrays: dict[str, Any] = dict(found)
        np.savez(directory / "right.npz", **arrays)
        return f"{found['pgd'][-1].mean():.1%} right of {found['pgd'][0].mean():.1%} under PGD"


def assail(
    victim: Any, own: Any, pixels: np.ndarray, labels: np.ndarray, span: int, settings: Attacked
) -> dict[str, np.ndarray]:
    """Which pictures each attack leaves right: name -> bool (1 + shares, N), ``noise`` among the names.

    Args:
      victim, own: of :class:`experiments.attacks.Victim`: what is attacked, and the substitute.
    """
    from experiments import attacks

    floor = READ_NOISE / FULL_WELL * span
    clean = victim.margins(pixels, labels) > 0
    right = {name: [clean] for name in ("noise", *ATTACKS)}
    for share in settings.shares:
        rng = np.random.default_rng([settings.training.seed, round(1e6 * share)])
        limits = attacks.box(pixels, share, floor, span)
        right["noise"].append(victim.margins(attacks.noise(limits, rng), labels) > 0)
        for name in ATTACKS:
            left = np.flatnonzero(right[name][-1])
            if not len(left):
                right[name].append(right[name][-1])
                continue
            shown, truth, within = pixels[left], labels[left], limits[left]
            if name == "fgsm":
                made = attacks.fgsm(victim, shown, truth, within, WIDTH)
            elif name == "search":
                made = attacks.search(victim, shown, truth, within, settings.queries, rng)
            else:
                source = victim if name == "pgd" else own
                made = attacks.pgd(source, shown, truth, within, settings.steps, (WIDTH,))
            still = np.zeros(len(pixels), bool)
            still[left] = victim.margins(made, truth) > 0
            right[name].append(still)
    return {name: np.stack(rows) for name, rows in right.items()}


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    fronts = {name: front_end(data, name) for name in INPUTS}
    graph, recipe = small_bn(scale.size, len(data.class_names)), SMALL_BN | {"epochs": scale.epochs}
    cases = [(name, seed) for name in INPUTS for seed in range(scale.seeds)]
    # The attacker's own network has a seed that no victim has.
    wanted = [*cases, (SUBSTITUTE, scale.seeds)]
    trainings = [training(name, graph, data, fronts[name], recipe, seed) for name, seed in wanted]
    folders = study.run(trainings)
    settings = (scale.shares, scale.images, scale.steps, scale.queries)
    jobs = [
        Attacked(job, trainings[-1], folder, folders[-1], *settings)
        for job, folder in zip(trainings[:-1], folders[:-1], strict=True)
    ]
    rows, shares = [], (0.0, *scale.shares)
    for (name, seed), folder in zip(cases, study.run(jobs), strict=True):
        archive = arrays.load_archive(folder / "right.npz", AGAIN)
        right = {attack: archive[attack] for attack in ("noise", *ATTACKS)}
        right["worst"] = np.logical_and.reduce([right[attack] for attack in ATTACKS])
        for attack, table in right.items():
            for share, values in zip(shares, table, strict=True):
                accuracy = round(float(values.mean()), 5)
                rows.append(
                    {"input": name, "seed": seed, "attack": attack, "eps": share, "images": len(values),
                     "accuracy": accuracy}
                )  # fmt: skip
    tables = {name: _table(rows, name, shares, scale.seeds) for name in INPUTS}
    return Result(rows, {"accuracy": _figure(tables, shares, study.spec)}, [_claim(tables, shares)])


def _table(rows: list[dict[str, Any]], name: str, shares: Any, seeds: int) -> dict[str, np.ndarray]:
    """attack -> accuracy (seeds, shares)."""
    found = {(r["attack"], r["seed"], r["eps"]): r["accuracy"] for r in rows if r["input"] == name}
    return {
        attack: np.array([[found[attack, seed, share] for share in shares] for seed in range(seeds)])
        for attack in LABELS
    }


def _middle(shares: tuple[float, ...]) -> int:
    return len(shares) // 2


def _figure(tables: dict[str, dict[str, np.ndarray]], shares: tuple[float, ...], spec: str) -> Any:
    figure, axes = plots.figure(columns=2, width=6.0, height=4.4)
    curves, dots = axes[0]
    places = range(len(shares))
    for name, table in tables.items():
        plots.series(curves, places, table["worst"], name)
    curves.set_xticks(places, [f"{100 * share:g} %" for share in shares])
    curves.set_xlabel("change of the light of each pixel, eps, beside the read noise", fontsize=12)
    curves.set_title(f"small_bn, worst of {len(ATTACKS)} attacks, {plots.source(spec)}")
    middle = _middle(shares)
    ticks = np.arange(len(LABELS) + 1)
    for place, (name, table) in enumerate(tables.items()):
        means = [table["noise"][:, 0].mean(), *(table[attack][:, middle].mean() for attack in LABELS)]
        look = {"color": plots.COLOURS[name], "marker": plots.MARKERS[name], "label": plots.NAMES[name]}
        dots.plot(ticks + 0.12 * (place - 2), means, ls="", ms=7, **look)
    dots.set_xticks(ticks, ["clean", *LABELS.values()], rotation=25)
    dots.set_title(f"by attack, eps = {100 * shares[middle]:g} %")
    for panel in axes[0]:
        plots.percent(panel, "accuracy, validation and test")
        panel.set_ylim(-0.03, 1.0)
    # The dots leave no corner free, and both panels share their marks.
    figure.legend(*dots.get_legend_handles_labels(), fontsize=10, loc="outside lower center", ncols=5)
    return figure


def _claim(tables: dict[str, dict[str, np.ndarray]], shares: tuple[float, ...]) -> Claim:
    middle = _middle(shares)
    found = [
        f"{plots.NAMES[name]}: {plots.spread(table['worst'][:, 0])} clean,"
        f" {plots.spread(table['worst'][:, middle])} under the worst attack"
        f" (PGD {plots.spread(table['pgd'][:, middle])}, random search"
        f" {plots.spread(table['search'][:, middle])}, noise {plots.spread(table['noise'][:, middle])})"
        for name, table in tables.items()
    ]
    return Claim(
        "Section 5, left to future work: the response to adversarial inputs",
        f"every pixel changed by up to {100 * shares[middle]:g} % of its light and the read noise: "
        + "; ".join(found),
    )
