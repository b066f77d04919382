"""Which sensor suffices: accuracy against noise and against depth, by input.

The paper leaves noise aside and reads 16-bit RAW. Here the recorded pixels are taken for the light and read
once more by a sensor of a given signal-to-noise ratio at 18 % of full scale (:func:`conditions.full_well`),
so the recording's own noise comes on top; or they are brought to another depth without a pedestal, where the
offset inside the logarithm weighs differently. Beyond the data's own depth no finer codes are to be had. Two
cases each: networks trained on the recording and tested elsewhere with the thresholds they have, and networks
trained for that noise or depth, thresholds included.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

from experiments import conditions, plots, sets
from experiments.figures import fig10_brightness
from experiments.jobs import Training, open_data
from experiments.study import Claim, Result, Study, front_end, held_out, network
from loggrad_tf.data.dataset import DataSet, open_prepared
from loggrad_tf.transform.frontend import FrontEnd, fit
from loggrad_tf.transform.sensor import requantize

INPUTS = fig10_brightness.INPUTS
SNRS = (5, 10, 20, 40, 80)
BITS = (8, 9, 10, 11, 12, 14, 16)
# Points of accuracy that a sensor may cost and still suffice.
ALLOWED = 1.0
CASES = ("as recorded", "trained for it")


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of a profile.

    Attributes:
      size, epochs, seeds: as of figure 10, whose networks are used.
      retrained: inputs that are also trained for another noise and depth.
      retrained_snrs, retrained_bits: which ones.
    """

    size: int
    epochs: int
    seeds: int
    retrained: tuple[str, ...]
    retrained_snrs: tuple[int, ...]
    retrained_bits: tuple[int, ...]


SCALES = {
    "quick": Scale(48, 12, 1, ("jpeg8", "loggrad_1p5"), (5,), (8,)),
    "long": Scale(96, 40, 3, ("jpeg8", "loggrad_1p5"), (5, 10), (8, 10)),
    "paper": Scale(224, 40, 3, INPUTS, (5, 10, 20), (8, 10, 14, 16)),
}


@dataclasses.dataclass(frozen=True)
class Reread:
    """The data set read once more by a sensor of SNR ``snr``, as a prepared set."""

    data: Path
    manifest_sha256: str
    snr: int

    @property
    def title(self) -> str:
        return f"data set read at SNR {self.snr}"

    def to_json(self) -> dict[str, Any]:
        return {"manifest_sha256": self.manifest_sha256, "snr": self.snr}

    def run(self, directory: Path) -> str:
        data = open_data(self.data)
        pixels = reread(data.pixels, self.snr, data)
        sets.write(directory / sets.SET, data, np.arange(len(pixels)), data.split, pixels)
        return f"{len(pixels)} crops"


def reread(pixels: np.ndarray, snr: int, data: DataSet) -> np.ndarray:
    """P with the fresh noise of a sensor of SNR ``snr`` at 18 % of full scale, uint16."""
    rng = np.random.default_rng([11, snr])
    return conditions.physical(pixels, 1.0, data.sensor, rng, conditions.full_well(snr))


def at_depth(front: FrontEnd, bits: int) -> FrontEnd:
    """The same thresholds at a sensor of another depth."""
    return dataclasses.replace(front, sensor=conditions.sensor_of(bits, front.sensor))


def run(study: Study) -> Result:
    scale = study.scale(SCALES)
    data = study.data(scale.size)
    fronts = {name: front_end(data, name) for name in INPUTS}
    rows = _as_recorded(study, scale, data, fronts) + _trained_for_it(study, scale, data)
    return Result(rows, {"sensor": _figure(rows, scale, data, study.spec)}, [_claim(rows, data)])


def _row(
    vary: str, value: int | str, case: str, name: str, seed: int, answer: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    accuracy = round(float(np.mean(answer == labels)), 5)
    return {"vary": vary, "value": value, "case": case, "input": name, "seed": seed, "accuracy": accuracy}


def _as_recorded(
    study: Study, scale: Scale, data: DataSet, fronts: dict[str, FrontEnd]
) -> list[dict[str, Any]]:
    """Networks of the recording, on the recording and on other sensors."""
    pixels, labels = held_out(data)
    seeds = range(scale.seeds)
    folders = study.run(
        [
            fig10_brightness.small(data, front, scale.epochs, seed)
            for front in fronts.values()
            for seed in seeds
        ]
    )
    readings: list[tuple[str, int | str, np.ndarray]] = [("none", "recorded", pixels)]
    readings += [("snr", snr, reread(pixels, snr, data)) for snr in SNRS]
    rows = []
    for place, (name, front) in enumerate(fronts.items()):
        mine = folders[place * scale.seeds : (place + 1) * scale.seeds]
        networks = [conditions.forward(network(folder).model()) for folder in mine]
        seen = [(vary, value, front, shown) for vary, value, shown in readings]
        for bits in BITS:
            shown = conditions.at_depth(pixels, bits, data.sensor)
            seen.append(("bits", bits, at_depth(front, bits), shown))
        for vary, value, its_front, shown in seen:
            for seed, answer in enumerate(conditions.answers(networks, its_front, shown)):
                rows.append(_row(vary, value, CASES[0], name, seed, answer, labels))
    return rows


def _trained_for_it(study: Study, scale: Scale, data: DataSet) -> list[dict[str, Any]]:
    """Networks of another noise or depth, each on its own sensor."""
    noisy = study.run([Reread(data.path, data.manifest_sha256, snr) for snr in scale.retrained_snrs])
    cases: list[tuple[str, int, DataSet, Training]] = []
    for name in scale.retrained:
        for seed in range(scale.seeds):
            for snr, folder in zip(scale.retrained_snrs, noisy, strict=True):
                its = open_prepared(folder / sets.SET)
                job = fig10_brightness.small(its, front_end(its, name), scale.epochs, seed)
                cases.append(("snr", snr, its, job))
            for bits in scale.retrained_bits:
                sensor = conditions.sensor_of(bits, data.sensor)
                front = fit(name, sensor, data.subset("train")[0], data.sensor)
                job = fig10_brightness.small(data, front, scale.epochs, seed)
                cases.append(("bits", bits, data, job))
    rows = []
    for (vary, value, its, job), folder in zip(cases, study.run([job for *_, job in cases]), strict=True):
        pixels, labels = held_out(its)
        shown = requantize(pixels, its.sensor, job.front_end.sensor)
        networks = [conditions.forward(network(folder).model())]
        [answer] = conditions.answers(networks, job.front_end, shown)
        rows.append(_row(vary, value, CASES[1], job.front_end.format, job.seed, answer, labels))
    return rows


def _points(
    rows: list[dict[str, Any]], vary: str, case: str, name: str
) -> tuple[list[Any], np.ndarray | None]:
    """Values of what varies, in order, and accuracies (seeds, values); None if there are none."""
    mine = [r for r in rows if (r["vary"], r["case"], r["input"]) == (vary, case, name)]
    if not mine:
        return [], None
    values = sorted({r["value"] for r in mine})
    seeds = sorted({r["seed"] for r in mine})
    found = {(r["seed"], r["value"]): r["accuracy"] for r in mine}
    return values, np.array([[found[seed, value] for value in values] for seed in seeds])


def _figure(rows: list[dict[str, Any]], scale: Scale, data: DataSet, spec: str) -> Any:
    figure, axes = plots.figure(2, 1, width=6.0, height=4.4, sharey=True)
    for panel, vary in zip(axes[0], ("snr", "bits"), strict=True):
        for name in INPUTS:
            x, values = _points(rows, vary, CASES[0], name)
            assert values is not None
            plots.series(panel, x, values, name)
            x, values = _points(rows, vary, CASES[1], name)
            if values is not None:
                label = f"{plots.NAMES[name]}, {CASES[1]}"
                plots.series(panel, x, values, name, label=label, ls="--", mfc="white")
    noise, depth = axes[0]
    noise.set_xscale("log")
    noise.xaxis.set_minor_locator(NullLocator())
    noise.set_xticks(SNRS, [str(snr) for snr in SNRS])
    noise.set_xlabel("SNR at 18 % of full scale of a second reading", fontsize=12)
    depth.axvline(data.sensor.bits, color="#000000", lw=0.8, ls=":")
    depth.set_xticks(BITS)
    depth.set_xlabel(f"depth, bits (recorded: {data.sensor.bits})", fontsize=12)
    plots.percent(noise, "accuracy, validation and test")
    noise.legend(fontsize=9)
    figure.suptitle(f"small_bn, {scale.size}x{scale.size}, {plots.source(spec)}", fontsize=12)
    return figure


def enough(values: list[Any], accuracies: np.ndarray, reference: float) -> Any:
    """The smallest value from which on no mean lies over :data:`ALLOWED` points below ``reference``; or None.

    Args:
      values: ascending.
      accuracies: (seeds, values).
    """
    good = accuracies.mean(axis=0) >= reference - ALLOWED / 100
    beginning = len(values) - int(np.cumprod(good[::-1]).sum())
    return values[beginning] if beginning < len(values) else None


def _claim(rows: list[dict[str, Any]], data: DataSet) -> Claim:
    texts = []
    for name in INPUTS:
        recorded = [r["accuracy"] for r in rows if r["input"] == name and r["vary"] == "none"]
        reference = float(np.mean(recorded))
        parts = [f"{plots.NAMES[name]}, {plots.spread(np.array(recorded))} as recorded"]
        for vary, unit in (("snr", "SNR {}"), ("bits", "{} bits")):
            values, accuracies = _points(rows, vary, CASES[0], name)
            assert accuracies is not None
            found = enough(values, accuracies, reference)
            least = unit.format(values[0])
            suffices = "no sensor tried" if found is None else f"from {unit.format(found)} on"
            lost = 100 * (reference - accuracies.mean(axis=0)[0])
            parts.append(
                f"{suffices} (at {least} {lost:.1f} points lost{_mended(rows, vary, name, reference)})"
            )
        texts.append(": ".join([parts[0], ", ".join(parts[1:])]))
    return Claim(
        "Not in the paper, which leaves noise aside and reads 16 bits: which sensor suffices?",
        f"at most {ALLOWED:.0f} point below the {data.sensor.bits}-bit recording: {'; '.join(texts)}",
    )


def _mended(rows: list[dict[str, Any]], vary: str, name: str, reference: float) -> str:
    """The change at the worst sensor for networks that were trained for it, if there are any."""
    values, accuracies = _points(rows, vary, CASES[1], name)
    if accuracies is None or values[0] != (SNRS if vary == "snr" else BITS)[0]:
        return ""
    return f", {100 * (accuracies.mean(axis=0)[0] - reference):+.1f} if trained for it"
