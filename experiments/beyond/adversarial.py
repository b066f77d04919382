"""Adversarial light: what small changes of the light do to small_bn, by input format.

The paper leaves the response to adversarial inputs to future work (section 5). The attacker controls the
light that falls on each photosite: ``|P' - P| <= eps P + f`` in whole RAW codes, with f the read noise of one
reading (4.5 of 9000 electrons, 2 codes of 12 bits), below which no sensor can tell two pictures apart. He
knows the network: FGSM and PGD through the soft front end of :mod:`loggrad_tf.transform.soft`. Two attacks
that need no gradient of the network check that these are not merely led astray by steps without slope: a
random search by scores, and transfer, PGD against a network of the attacker's own behind the unquantised
log gradient. Noise in the same bounds is the control.

Beside the light the network's own input is attacked, each number of it by up to eps of the format's range
(JPEG and RAW 0..1, levels -n..n), by FGSM and PGD. No light makes such inputs: levels lie a whole step apart,
so what changes them by less than half a step is gone when it is rounded. That is how an attack on tensors
is measured where nobody thinks of the sensor, and it is why results of the two kinds disagree.

A picture that fools a network at one eps is allowed at every larger one, so it goes on counting.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments import plots
from experiments.jobs import AGAIN, Training, open_data
from experiments.recipes import long, short
from experiments.ruler import Ruler, ruler, spread, told
from experiments.study import Claim, Result, Study, held_out, network, training
from loggrad_tf import arrays
from loggrad_tf.data.imitation import FULL_WELL, READ_NOISE
from loggrad_tf.transform.frontend import FrontEnd
from models.recipe import LONGEST
from models.zoo import small_bn

INPUTS = ("jpeg8", "raw16", "loggrad_fp", "loggrad_1p5", "loggrad_2p25")
SUBSTITUTE = "loggrad_fp"
ATTACKS = ("fgsm", "pgd", "transfer", "search")
# On the network's own input, noise first.
OWN = ("input noise", "input FGSM", "input PGD")
LABELS = {
    "noise": "noise",
    "fgsm": "FGSM",
    "pgd": "PGD",
    "transfer": "transfer",
    "search": "random search",
    "worst": "worst of all",
    **{name: name for name in OWN},
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
      folds: 1 for the set's own splits.
      recipe: of small_bn for images of a size, without the epochs.
    """

    size: int
    epochs: int
    seeds: int
    shares: tuple[float, ...]
    images: int
    steps: int
    queries: int
    inputs: tuple[str, ...] = INPUTS
    folds: int = 1
    recipe: Callable[[int], dict[str, Any]] = short


SCALES = {
    "quick": Scale(size=48, epochs=8, seeds=1, shares=(0.01, 0.04), images=60, steps=8, queries=30),
    "long": Scale(96, 40, seeds=3, shares=(0.005, 0.01, 0.02, 0.04, 0.08), images=200, steps=10, queries=100),
    "folds": Scale(
        48,
        LONGEST,
        2,
        (0.01, 0.02, 0.04),
        200,
        10,
        50,
        inputs=INPUTS[:2] + INPUTS[3:4],
        folds=5,
        recipe=long,
    ),
    "paper": Scale(224, 80, 3, shares=(0.005, 0.01, 0.02, 0.04, 0.08), images=1000, steps=40, queries=1000),
}


@dataclasses.dataclass(frozen=True)
class Attacked:
    """The job of attacking one trained network with everything; its result is ``right.npz``.

    That holds for noise and each attack, on the light and on the network's own input, whether the network is
    right, bool (1 + shares, images), the clean pictures in row 0.

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
        chosen = spread(len(pixels), self.images)
        model, front = network(self.network_folder).model(), self.training.front_end
        victim = attacks.victim(model, front)
        own = attacks.victim(network(self.substitute_folder).model(), self.substitute.front_end)
        found = assail(victim, own, pixels[chosen], labels[chosen], data.sensor.span, self)
        inputs = front.encode(pixels[chosen])[..., 0]
        limits = bounds(front, inputs)
        found |= assail_inputs(attacks.exposed(model), inputs, labels[chosen], limits, self)
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


def bounds(front: FrontEnd, inputs: np.ndarray) -> tuple[float, float]:
    """Least and largest number that a network may see; of real log gradients as far as ``inputs`` go."""
    if front.levels:
        return -float(front.levels), float(front.levels)
    if front.format == SUBSTITUTE:
        most = float(np.abs(inputs).max())
        return -most, most
    return 0.0, 1.0


def assail_inputs(
    victim: Any, inputs: np.ndarray, labels: np.ndarray, limits: tuple[float, float], settings: Attacked
) -> dict[str, np.ndarray]:
    """Which inputs noise, FGSM and PGD leave right: name of :data:`OWN` -> bool (1 + shares, N).

    Args:
      victim: of :func:`experiments.attacks.exposed`.
      inputs: what the network sees, float32 (N, H, W).
      limits: of :func:`bounds`.
    """
    from experiments import attacks

    right = {name: [victim.margins(inputs, labels) > 0] for name in OWN}
    for share in settings.shares:
        rng = np.random.default_rng([settings.training.seed, round(1e6 * share)])
        box = attacks.around(inputs, share, *limits)
        made = (
            attacks.noise(box, rng),
            attacks.fgsm(victim, inputs, labels, box, WIDTH),
            attacks.pgd(victim, inputs, labels, box, settings.steps, (WIDTH,)),
        )
        for name, changed in zip(OWN, made, strict=True):
            right[name].append((victim.margins(changed, labels) > 0) & right[name][-1])
    return {name: np.stack(rows) for name, rows in right.items()}


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    rule = ruler(study, data, scale.folds)
    graph = small_bn(scale.size, len(data.class_names))
    recipe = scale.recipe(scale.size) | {"epochs": scale.epochs}
    # The attacker's own network has a seed that no victim has.
    arms = {
        name: rule.trainings(name, graph, rule.fronts(name), recipe, scale.seeds) for name in scale.inputs
    }
    own = [
        training(SUBSTITUTE, graph, part, front, recipe, scale.seeds)
        for part, front in zip(rule.parts, rule.fronts(SUBSTITUTE), strict=True)
    ]
    wanted = [job for arm in arms.values() for job in arm]
    folders = study.run([*wanted, *own])
    images = scale.images // scale.folds
    settings = (scale.shares, images, scale.steps, scale.queries)
    jobs = [
        Attacked(job, own[k % scale.folds], folder, folders[len(wanted) + k % scale.folds], *settings)
        for k, (job, folder) in enumerate(zip(wanted, folders, strict=False))
    ]
    made = iter([arrays.load_archive(folder / "right.npz", AGAIN) for folder in study.run(jobs)])
    rows, shares = [], (0.0, *scale.shares)
    answers = dict[tuple[str, str], np.ndarray]()
    for name in scale.inputs:
        found = [next(made) for _ in arms[name]]
        for attack in ("noise", *ATTACKS, *OWN):  # (seeds, shares, images of all parts)
            answers[name, attack] = rule.joined([part[attack] for part in found])
        answers[name, "worst"] = np.logical_and.reduce([answers[name, attack] for attack in ATTACKS])
    for (name, attack), seeds in answers.items():
        for seed, table in enumerate(seeds):
            for share, values in zip(shares, table, strict=True):
                accuracy = round(float(values.mean()), 5)
                rows.append(
                    {"input": name, "seed": seed, "attack": attack, "eps": share, "images": len(values),
                     "accuracy": accuracy}
                )  # fmt: skip
    tables = {name: _table(rows, name, shares, scale.seeds) for name in scale.inputs}
    pairs = _pairs(rule, answers, shares, images)
    return Result(
        rows,
        {"accuracy": _figure(tables, shares, study.spec)},
        [_claim(tables, shares), _claim_inputs(tables, shares, pairs)],
        pairs,
    )


def _pairs(
    rule: Ruler, answers: dict[tuple[str, str], np.ndarray], shares: tuple[float, ...], images: int
) -> list[dict[str, Any]]:
    """Under the worst attack on the light and under PGD on the input, at the middle eps."""
    attacked, middle = rule.thinned(images), _middle(shares)
    found = []
    for attack in ("worst", OWN[-1]):
        scores = {name: table[:, middle] for (name, of), table in answers.items() if of == attack}
        found += attacked.pairs(f"{LABELS[attack]}, eps {100 * shares[middle]:g} %", scores)
    return found


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
    figure, axes = plots.figure(columns=3, width=5.4, height=4.4)
    curves, dots, own = axes[0]
    places = range(len(shares))
    for name, table in tables.items():
        plots.series(curves, places, table["worst"], name)
        plots.series(own, places, table[OWN[-1]], name)
    for panel in (curves, own):
        panel.set_xticks(places, [f"{100 * share:g} %" for share in shares])
    own.set_xlabel("change of each number, eps of the range", fontsize=12)
    own.set_title("the network's own input, PGD")
    curves.set_xlabel("change of each pixel's light, eps", fontsize=12)
    curves.set_title(f"small_bn, worst of {len(ATTACKS)} attacks, {plots.source(spec)}")
    middle = _middle(shares)
    shown = ("noise", *ATTACKS, "worst")
    ticks = np.arange(len(shown) + 1)
    for place, (name, table) in enumerate(tables.items()):
        means = [table["noise"][:, 0].mean(), *(table[attack][:, middle].mean() for attack in shown)]
        look = {"color": plots.COLOURS[name], "marker": plots.MARKERS[name], "label": plots.NAMES[name]}
        dots.plot(ticks + 0.12 * (place - 2), means, ls="", ms=7, **look)
    dots.set_xticks(ticks, ["clean", *(LABELS[attack] for attack in shown)], rotation=25)
    dots.set_title(f"by attack, eps = {100 * shares[middle]:g} %")
    for panel in axes[0]:
        plots.percent(panel, "accuracy, held-out photographs")
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


def _claim_inputs(
    tables: dict[str, dict[str, np.ndarray]], shares: tuple[float, ...], pairs: list[dict[str, Any]]
) -> Claim:
    middle = _middle(shares)
    found = [
        f"{plots.NAMES[name]}: FGSM {plots.spread(table[OWN[1]][:, middle])}, PGD"
        f" {plots.spread(table[OWN[2]][:, middle])}, noise {plots.spread(table[OWN[0]][:, middle])}"
        for name, table in tables.items()
    ]
    between = "".join(f". {pair['measure']}: {told([pair], plots.NAMES)}" for pair in pairs)
    return Claim(
        "ACM TECS 2024, abstract: under attack log gradients are more than 10 % more accurate than JPEG",
        f"the network's own input changed by up to {100 * shares[middle]:g} % of its range: "
        + "; ".join(found)
        + between,
    )
