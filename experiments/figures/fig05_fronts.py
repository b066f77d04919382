"""Figures 5 and 6: fronts of searches, resources against error, one search for each input.

The claim: at equal error the networks behind float log gradients are smaller than those behind JPEG (at
2 % error about 5, 5 and 1.1 times in model size, MACs and peak memory), those behind RAW larger, and
quantised log gradients are in line with JPEG. All inputs are searched with the same seeds, bounds and number
of candidates; costs are muNAS' counts, without the input. Candidates are chosen by validation error: those on
the stairs of a search, pruned ones as they were left, are trained from scratch with one recipe and scored on
the test split. Stairs are drawn through the searches of all seeds together; those through test errors take
the best of these, so they are a little too good, of every input alike.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from experiments import plots
from experiments.searches import Search, run_all
from experiments.study import Claim, Result, Study, network, training
from search.cost.objectives import Point
from search.reporting.front import lower_envelope
from search.reporting.reading import Run
from search.run import entrants

COSTS = {"size": "model size (bytes)", "macs": "multiply-accumulates", "peak_memory": "peak memory (bytes)"}
FIGURES = {
    "figure5": ("jpeg8", "raw16", "loggrad_fp"),
    "figure6": ("jpeg8", "loggrad_1p5", "loggrad_2p25", "loggrad_2p75"),
}
INPUTS = ("jpeg8", "raw16", "loggrad_fp", "loggrad_1p5", "loggrad_2p25", "loggrad_2p75")
AGAINST = ("jpeg8", "raw16")
LEVELS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
SEARCHED, RETRAINED = "validation, search", "test, retrained"
# input -> networks of each seed.
Fronts = dict[str, list[list[Point]]]


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile.

    Attributes:
      size: side of the images.
      epochs: of a candidate.
      rounds, population, sample: of a search.
      final_epochs: of the networks that are trained again.
      base: flag of :mod:`search.evolve` that the rest comes from.
      seeds: searches of each input.
      inputs: formats.
      more: flags of :mod:`search.evolve` that differ from ``base``.
    """

    size: int
    epochs: int
    rounds: int
    population: int
    sample: int
    final_epochs: int
    base: str
    seeds: int
    inputs: tuple[str, ...]
    more: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        return (
            self.base, f"--size={self.size}", f"--epochs={self.epochs}",
            f"--rounds={self.rounds}", f"--population={self.population}", f"--sample={self.sample}",
            "--space=munas", "--resources=munas", "--padding=valid", "--final_epochs=0", *self.more,
        )  # fmt: skip


SCALES = {
    # After so few steps no rung can tell what learns.
    "quick": Scale(32, 6, 8, 4, 3, 8, "--profile=quick", 1, INPUTS[:4], ("--rungs=none",)),
    "long": Scale(48, 8, 48, 16, 6, 24, "--profile=quick", 1, INPUTS),
    # Plain muNAS, as the paper had it: nothing is repaired, stopped or normalised.
    "paper": Scale(96, 80, 2000, 100, 25, 80, "--faithful", 3, INPUTS),
}


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    cases = [(name, seed) for seed in range(scale.seeds) for name in scale.inputs]
    searches = [
        Search(study.spec, data.manifest_sha256, study.profile, name, seed, scale.flags)
        for name, seed in cases
    ]
    runs = run_all(searches, study.out / "searches", study.workers)
    chosen = [_on_stairs(found) for found in runs]
    jobs = []
    for found, members in zip(runs, chosen, strict=True):
        config = found.config
        recipe = config.method.to_json()["train"] | {"epochs": scale.final_epochs}
        front = config.front_end
        jobs += [
            training(
                f"{config.input}, candidate {index}",
                entrants.network(found.records[index], config),
                data,
                front,
                recipe,
                config.seed,
            )
            for index in members
        ]
    folders = iter(study.run(jobs))
    searched: Fronts = {name: [] for name in scale.inputs}
    retrained: Fronts = {name: [] for name in scale.inputs}
    rows: list[dict[str, Any]] = []
    for found, members in zip(runs, chosen, strict=True):
        name, seed = found.config.input, found.config.seed
        errors = {index: network(next(folders)).metrics["test_error"] for index in members}
        scored = {index: dataclasses.replace(found.points[index], error=e) for index, e in errors.items()}
        searched[name].append(list(found.points.values()))
        retrained[name].append(list(scored.values()))
        for split, points in ((SEARCHED, found.points), (RETRAINED, scored)):
            rows += [
                _row("network", split, name, seed, index, "", p.error, _costs(p))
                for index, p in points.items()
            ]
    for split, fronts in ((SEARCHED, searched), (RETRAINED, retrained)):
        rows += _factor_rows(split, fronts, scale.seeds)
    images = {SEARCHED: len(data.labels_of("val")), RETRAINED: len(data.labels_of("test"))}
    about = _about(scale, study.spec)
    figures = {
        name: _figure([i for i in inputs if i in scale.inputs], searched, retrained, about)
        for name, inputs in FIGURES.items()
    }
    return Result(rows, figures, _claims(rows, scale, retrained, about, images))


def _on_stairs(run: Run) -> list[int]:
    """Candidates of least validation error at their size, MACs or memory, in order of index."""
    wanted = [point for cost in COSTS for point in lower_envelope(run.points, cost)]
    return [index for index, point in run.points.items() if point in wanted]


def _costs(point: Point) -> dict[str, float]:
    return {cost: getattr(point.costs, cost) for cost in COSTS}


def _row(
    what: str,
    split: str,
    name: str,
    seed: int,
    candidate: int | str,
    against: str,
    error: float,
    costs: dict[str, Any],
) -> dict[str, Any]:
    """Of a network: its error and costs. Of a factor: the error level, and the ratios of the costs."""
    return {
        "what": what,
        "split": split,
        "input": name,
        "seed": seed,
        "candidate": candidate,
        "against": against,
        "error": round(error, 5),
        **costs,
    }


def least_cost(points: Sequence[Point], cost: str, error: float) -> float | None:
    """Of the networks of at most this error the least cost; None if there is none."""
    return min((float(getattr(p.costs, cost)) for p in points if p.error <= error), default=None)


def factor(points: Sequence[Point], reference: Sequence[Point], cost: str, error: float) -> float | None:
    """How many times smaller ``points`` are than ``reference`` at an error; None if one does not reach it.

    Where even the cheapest of ``points`` has less error than that, it is a lower bound: what is cheaper and
    worse was not found.
    """
    ours, theirs = least_cost(points, cost, error), least_cost(reference, cost, error)
    return None if ours is None or theirs is None else theirs / ours


def _factor_rows(split: str, fronts: Fronts, seeds: int) -> list[dict[str, Any]]:
    """Searches of one seed are compared; "" where one of the two does not reach the error."""
    found = []
    for against in AGAINST:
        for name in fronts:
            if name == against or against not in fronts:
                continue
            for seed in range(seeds):
                for level in LEVELS:
                    pair = fronts[name][seed], fronts[against][seed]
                    ratios = {cost: factor(*pair, cost, level) for cost in COSTS}
                    costs = {c: "" if ratio is None else round(ratio, 3) for c, ratio in ratios.items()}
                    found.append(_row("factor", split, name, seed, "", against, level, costs))
    return found


def _about(scale: Scale, spec: str) -> str:
    seeds = "one seed, so one draw" if scale.seeds == 1 else f"{scale.seeds} seeds"
    return (
        f"{plots.source(spec)}, {scale.size}x{scale.size}, {scale.rounds} candidates of {scale.epochs}"
        f" epochs, {seeds}"
    )


def _figure(inputs: Sequence[str], searched: Fronts, retrained: Fronts, about: str) -> Any:
    figure, axes = plots.figure(columns=len(COSTS), rows=2, width=4.3, height=3.5, sharex="col", sharey="row")
    titles = ("validation error, search", "test error, retrained")
    for panels, fronts, title in zip(axes, (searched, retrained), titles, strict=True):
        for panel, (cost, label) in zip(panels, COSTS.items(), strict=True):
            for name in inputs:
                _stairs(panel, [point for of_seed in fronts[name] for point in of_seed], cost, name)
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.set_xlabel(label, fontsize=12)
            panel.tick_params(labelbottom=True)
        plots.percent(panels[0], title)
    axes[0, -1].legend(fontsize=10)
    figure.suptitle(f"Fronts of the searches: {about}", fontsize=12)
    return figure


def _stairs(panel: Any, points: list[Point], cost: str, name: str) -> None:
    """All networks, and stairs through the least error to be had at each cost."""
    colour, marker = plots.COLOURS[name], plots.MARKERS[name]
    every = np.array([(getattr(p.costs, cost), p.error) for p in points]).reshape(-1, 2)
    panel.scatter(every[:, 0], every[:, 1], s=10, color=colour, marker=marker, alpha=0.25, lw=0)
    lowest = lower_envelope(dict(enumerate(points)), cost)
    steps = np.array([(getattr(p.costs, cost), p.error) for p in lowest]).reshape(-1, 2)
    panel.step(steps[:, 0], steps[:, 1], where="post", color=colour, lw=1.5)
    panel.plot(
        steps[:, 0], steps[:, 1], marker, color=colour, ms=6, mec="white", mew=0.5, label=plots.NAMES[name]
    )


def _factors(rows: list[dict[str, Any]], name: str, against: str, level: float) -> str:
    """``2, 1.4 and 0.9``, each with its range over the seeds; or who does not reach the error."""
    wanted = ("factor", RETRAINED, name, against, level)
    keys = ("what", "split", "input", "against", "error")
    found = [r for r in rows if tuple(r[key] for key in keys) == wanted and r["size"] != ""]
    if not found:
        return "not reached by both"
    texts = []
    for cost in COSTS:
        ratios = np.array([r[cost] for r in found])
        middle = float(np.exp(np.log(ratios).mean()))
        between = f" ({ratios.min():.2g}-{ratios.max():.2g})" if len(ratios) > 1 else ""
        texts.append(f"{middle:.2g}{between}")
    return f"{texts[0]}, {texts[1]} and {texts[2]}"


def _reached(fronts: Fronts, names: Sequence[str]) -> list[float]:
    """The levels of error that all searches of these inputs reach, the least first."""
    worst = max(min((p.error for p in points), default=1.0) for name in names for points in fronts[name])
    return [level for level in LEVELS if level >= worst]


def _claim(
    paper: str, rows: list[dict[str, Any]], fronts: Fronts, names: Sequence[str], against: str, about: str
) -> Claim:
    """The paper's 2 %, the least level that both reach and the one after the next."""
    found = []
    for name in names:
        reached = _reached(fronts, (name, against))
        levels = sorted({LEVELS[0], *reached[:3:2]})
        texts = [f"at {level:.0%} error {_factors(rows, name, against, level)}" for level in levels]
        found.append(f"{plots.NAMES[name]}: {', '.join(texts)}")
    return Claim(
        paper,
        f"times smaller than {plots.NAMES[against]} in model size, MACs and peak memory, test error after"
        f" retraining (a bound where the cheapest network of one has less error than the level):"
        f" {'; '.join(found)} ({about})",
    )


def _claims(
    rows: list[dict[str, Any]], scale: Scale, fronts: Fronts, about: str, images: dict[str, int]
) -> list[Claim]:
    present = [name for name in scale.inputs if name in FIGURES["figure5"] and name != "jpeg8"]
    quantised = [name for name in scale.inputs if name in FIGURES["figure6"] and name != "jpeg8"]
    log_gradients = [name for name in scale.inputs if name.startswith("loggrad")]
    paper5 = (
        "Fig. 5: at 2 % error the networks of float log gradients are about 5, 5 and 1.1 times smaller than"
        " JPEG's in model size, MACs and peak memory; RAW's are larger than JPEG's"
    )
    paper6 = "Fig. 6: with 1.5 and 2.25 bits the networks are in line with JPEG's or slightly smaller"
    ours = [
        _claim(paper5, rows, fronts, present, "jpeg8", about),
        _claim(paper6, rows, fronts, quantised, "jpeg8", about),
    ]
    if "raw16" in scale.inputs:
        paper_raw = "Fig. 5: log gradients recover what RAW loses"
        ours.append(_claim(paper_raw, rows, fronts, log_gradients, "raw16", about))
    least = [
        f"{plots.NAMES[name]} {plots.spread(np.array([min(p.error for p in points) for points in of]))}"
        for name, of in fronts.items()
    ]
    ours.append(
        Claim(
            "Section 3.1: fronts are compared at an error of 2 %",
            f"least test error of the retrained networks, of {images[RETRAINED]} images: {'; '.join(least)}",
        )
    )
    return ours
