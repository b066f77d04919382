"""Figure 2: energy of the stages from photosite to class, for an ASIC and for microcontrollers.

No training: the energy of a network is that of its shape. Four targets: an ASIC that spends what the paper
says on a pixel, whatever the network; a 45 nm accelerator that spends on every multiply-accumulate; a
Cortex-M4 and a Cortex-M33 that run the generated C. The conventional pipeline is an 8-bit camera and AlexNet,
on the microcontrollers MLPerf Tiny's visual wake words. Constants, sources and bands:
:mod:`export.predict.pipeline`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from experiments import plots
from experiments.study import Claim, Result, Study
from export.predict import pipeline, power
from export.predict.pipeline import STAGES, Pipeline, Stage, factor
from export.predict.power import Constant
from export.quantization.nominal import nominal
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor
from models.graph import Graph
from models.zoo import small_bn, two_conv_one_fc

NETWORKS: dict[str, Callable[[int, int], Graph]] = {
    "small_bn": small_bn,
    "two_conv_one_fc": two_conv_one_fc,
}
CLASSES = 3
ASIC, ACCELERATOR = "asic", "accelerator"
# Board of firmware/boards -> the part whose published entry is its conventional pipeline.
BOARDS = {"mps2-an386": "STM32L4R5", "mps2-an505": "STM32U575"}
TITLES = {
    ASIC: "ASIC, 3 to 6 nJ a pixel",
    ACCELERATOR: "45 nm accelerator",
    "mps2-an386": "Cortex-M4, as STM32L4R5",
    "mps2-an505": "Cortex-M33, as STM32U575",
}
# Kinds of pipelines: name -> label of its bar. Emulated: the board makes the levels from RAW.
CONVENTIONAL, EMULATED = "conventional", "loggrad_1p5_emulated"
KINDS = {
    CONVENTIONAL: "conventional\nCNN, JPEG",
    "jpeg8": "small CNN,\nJPEG",
    "raw16": "small CNN,\nRAW",
    "loggrad_1p5": "log gradient\nsensor",
    EMULATED: "log gradient\nby the board",
}
CODED = ("loggrad_2p25", "loggrad_2p75")
COLOURS = {
    "sensor": "#0072B2", "ADC": "#56B4E9", "link": "#F0E442", "ISP": "#D55E00", "front end": "#CC79A7",
    "CNN": "#009E73",
}  # fmt: skip
HATCHES = {"ADC": "....", "ISP": "///", "front end": "xxx"}
Table = dict[tuple[str, str, str], Pipeline]


@dataclasses.dataclass(frozen=True)
class Scale:
    """Side of the image of a profile."""

    size: int


SCALES = {"quick": Scale(96), "long": Scale(96), "paper": Scale(224)}


def run(study: Study) -> Result:
    size = study.scale(SCALES).size
    table = pipelines(size)
    rows = [row for key, found in table.items() for row in _rows(key, found)] + _published()
    shown: Table = {key: found for key, found in table.items() if key[0] == "small_bn"}
    figures = {
        "energy": _figure(shown, size, shares=False),
        "shares": _figure(shown, size, shares=True),
    }
    return Result(rows, figures, [_stages(table), _saving(table), _microcontrollers(table), _depth()])


def pipelines(size: int) -> Table:
    """(network, target, kind) -> what its frame of ``size`` x ``size`` takes."""
    found: Table = {}
    for network, make in NETWORKS.items():
        graph = make(size, CLASSES)
        for target in (ASIC, ACCELERATOR, *BOARDS):
            board = target if target in BOARDS else None
            found[network, target, CONVENTIONAL] = _conventional(size * size, board)
            for name in ("jpeg8", "raw16", "loggrad_1p5", *CODED):
                front_end = fixed(name, Sensor())
                made = pipeline.pipeline(nominal(graph, front_end), front_end, board)
                found[network, target, name] = _by_pixel(made) if target == ASIC else made
            if board:
                front_end = fixed("loggrad_1p5", Sensor())
                int8 = nominal(graph, front_end)
                found[network, target, EMULATED] = pipeline.pipeline(int8, front_end, board, emulated=True)
    return found


def _by_pixel(found: Pipeline) -> Pipeline:
    """The same pipeline with a CNN of the paper's energy a pixel in place of its own."""
    cnn = Stage("CNN", pipeline.CNN_PIXEL.times(1e-9 * found.pixels, "J"))
    return dataclasses.replace(found, stages=(*found.stages[:-1], cnn))


def _conventional(pixels: int, board: str | None) -> Pipeline:
    if board is None:
        cnn = pipeline.CONVENTIONAL.times(1e-9 * pixels, "J")
    else:
        # Of 96 x 96 pixels; other sizes in proportion.
        cnn = power.published(power.WAKE_WORDS_MACS, BOARDS[board]).times(pixels / 96**2, "J")
    return Pipeline(CONVENTIONAL, pixels, (*pipeline.camera("jpeg8", pixels), Stage("CNN", cnn)))


def _nanojoules(found: Pipeline, joules: Constant) -> Constant:
    return joules.times(1e9 / found.pixels, "nJ per pixel")


def _part(found: Pipeline, *names: str) -> float:
    """Share of the stages of these names in the nominal total."""
    return sum(found.share(stage) for stage in found.stages if stage.name in names)


def _each(found: Pipeline, *names: str) -> float:
    """Nominal nJ a pixel of the stages of these names."""
    return _part(found, *names) * _nanojoules(found, found.total).nominal


def _row(place: tuple[str, str, str], stage: str, value: Constant, unit: str, share: float) -> dict[str, Any]:
    network, target, kind = place
    name = {CONVENTIONAL: "jpeg8", EMULATED: "loggrad_1p5"}.get(kind, kind)
    return {
        "network": network, "target": target, "pipeline": kind, "format": name, "stage": stage, "unit": unit,
        "low": float(f"{value.low:.5g}"), "nominal": float(f"{value.nominal:.5g}"),
        "high": float(f"{value.high:.5g}"), "share": round(share, 5), "source": value.source,
    }  # fmt: skip


def _rows(key: tuple[str, str, str], found: Pipeline) -> list[dict[str, Any]]:
    parts = [(stage.name, stage.joules, found.share(stage)) for stage in found.stages]
    parts.append(("total", found.total, 1.0))
    return [_row(key, name, _nanojoules(found, value), "nJ per pixel", part) for name, value, part in parts]


def _published() -> list[dict[str, Any]]:
    """Points that the constants must give back: MLPerf Tiny's entries, a log-gradient sensor, an ISP."""
    rows = [
        _row(("visual wake words", part, "published"), "CNN", joules.times(1e3, "mJ"), "mJ per frame", 1.0)
        for part in power.ENTRIES
        for joules in [power.published(power.WAKE_WORDS_MACS, part)]
    ]
    for stage, value in (("sensor", pipeline.LOGGRAD_SENSOR), ("ISP", pipeline.ISP)):
        rows.append(_row(("", "chip", "published"), stage, value, "nJ per pixel", 1.0))
    return rows


def _figure(table: Table, size: int, shares: bool) -> Any:
    figure, axes = plots.figure(2, 2, width=6.0, height=4.1)
    for panel, target in zip(axes.flat, TITLES, strict=True):
        bars = {kind: found for (_, place, kind), found in table.items() if place == target and kind in KINDS}
        panel.grid(visible=False, axis="x")
        panel.set_axisbelow(True)
        _bars(panel, list(bars.values()), shares)
        panel.set_xticks(range(len(bars)), [KINDS[kind] for kind in bars], fontsize=10)
        panel.set_title(TITLES[target])
        if shares:
            plots.percent(panel, "share of the energy")
        else:
            panel.set_ylabel("energy, nJ per pixel", fontsize=12)
            _limit(panel, bars)
    names = {stage.name for found in table.values() for stage in found.stages}
    handles, labels = axes[1, 0].get_legend_handles_labels()
    order = [labels.index(name) for name in STAGES if name in names]
    what = "shares of the nominal energy" if shares else "bars nominal, lines the bands"
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order], ncols=len(order), fontsize=12,
        loc="outside upper center", title=f"small_bn behind {size}x{size} pixels; {what}", title_fontsize=12,
    )  # fmt: skip
    return figure


def _bars(panel: Any, bars: list[Pipeline], shares: bool) -> None:
    seen = set()
    for x, found in enumerate(bars):
        bottom, total = 0.0, _nanojoules(found, found.total)
        for stage in found.stages:
            tall = found.share(stage) * (1.0 if shares else total.nominal)
            panel.bar(
                x, tall, 0.62, bottom, color=COLOURS[stage.name], hatch=HATCHES.get(stage.name),
                edgecolor="white", lw=0.5, label=None if stage.name in seen else stage.name,
            )  # fmt: skip
            if shares and tall > 0.06:
                panel.text(x, bottom + tall / 2, f"{tall:.0%}", ha="center", va="center", fontsize=10,
                           bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1})  # fmt: skip
            bottom += tall
            seen.add(stage.name)
        if not shares:
            ends = [[total.nominal - total.low], [total.high - total.nominal]]
            panel.errorbar(x, total.nominal, ends, color="black", capsize=4, lw=1.2)


def _limit(panel: Any, bars: dict[str, Pipeline]) -> None:
    """The axis shows the small networks whole; a higher bar is cut, and all are labelled."""
    totals = {kind: _nanojoules(found, found.total) for kind, found in bars.items()}
    top = 1.15 * max(total.high for kind, total in totals.items() if kind != CONVENTIONAL)
    panel.set_ylim(0, top)
    for x, total in enumerate(totals.values()):
        cut = total.high > top
        text = f"{total.nominal:.3g}" + (f"\n({total.low:.3g}-{total.high:.3g})" if cut else "")
        panel.annotate(
            f"↑ {text}" if cut else text, (x, 0.985 * top if cut else total.high), ha="center",
            va="top" if cut else "bottom", fontsize=10, xytext=(0, 0 if cut else 2),
            textcoords="offset points", bbox={"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 1},
        )  # fmt: skip


def _band(value: Constant, unit: str = "") -> str:
    return f"{value.nominal:.3g}{unit} ({value.low:.3g} to {value.high:.3g})"


def _stages(table: Table) -> Claim:
    found = []
    for kind, target, words in (
        (CONVENTIONAL, ASIC, "conventional CNN"),
        ("jpeg8", ASIC, "CNN of 3 to 6 nJ a pixel"),
        ("jpeg8", ACCELERATOR, "small_bn on 45 nm"),
    ):
        one = table["small_bn", target, kind]
        total = _nanojoules(one, one.total)
        found.append(
            f"{words}: {_band(total, ' nJ a pixel')}, of it CNN {_part(one, 'CNN'):.0%},"
            f" ISP {_part(one, 'ISP'):.0%}, sensor with ADC {_part(one, 'sensor', 'ADC'):.0%}"
        )
    return Claim(
        "Fig. 2 and introduction: compression has saved most of the CNN's energy; beside 3-6 nJ a pixel of"
        " small CNNs, 0.2-2 of the sensor and 1-2 of the ISP can no longer be ignored",
        f"JPEG pipelines, estimated, nominal and band: {'; '.join(found)}",
    )


def _saving(table: Table) -> Claim:
    found = []
    for target in (ASIC, ACCELERATOR):
        jpeg, raw, gradient = (table["small_bn", target, k] for k in ("jpeg8", "raw16", "loggrad_1p5"))
        found.append(
            f"{TITLES[target]}: JPEG takes {_band(factor(jpeg, gradient))} times as much,"
            f" RAW {_band(factor(raw, gradient))} times"
        )
    cameras = (Pipeline("", 1, pipeline.camera(name, 1)) for name in ("jpeg8", "loggrad_1p5"))
    return Claim(
        "Log gradients leave the ISP out, and their sensor takes 0.13 nJ a pixel",
        f"Against small_bn behind a 1.5-bit sensor, {'; '.join(found)}; of the cameras alone JPEG's takes"
        f" {_band(factor(*cameras))} times as much",
    )


def _microcontrollers(table: Table) -> Claim:
    return Claim(
        "Fig. 2 is about dedicated hardware and has no microcontroller",
        "; ".join(_microcontroller(table, board, network) for board in BOARDS for network in NETWORKS),
    )


def _microcontroller(table: Table, board: str, network: str) -> str:
    jpeg, gradient, emulated = (table[network, board, kind] for kind in ("jpeg8", "loggrad_1p5", EMULATED))
    camera = ("sensor", "ADC", "link", "ISP")
    whole, saved = _each(jpeg, *STAGES), _each(jpeg, *camera) - _each(gradient, *camera)
    network_saved, made = _each(jpeg, "CNN") - _each(gradient, "CNN"), _each(emulated, "front end")
    verdict = (
        "the CNN decides and the sensor's saving disappears"
        if _part(jpeg, "CNN") > 0.8 and saved < 0.1 * whole
        else "the camera counts"
    )
    return (
        f"{TITLES[board]}, {network}: the CNN takes {_part(jpeg, 'CNN'):.0%} of the JPEG path's {whole:.3g}"
        f" nJ a pixel and the log-gradient camera saves {saved:.2g} ({saved / whole:.1%}): {verdict}."
        f" The network takes {network_saved:.3g} less behind three levels, which its first layer looks up in"
        f" tables; levels made by the board cost {made:.3g}, {made / saved:.1f} times what the camera saves"
    )


def _depth() -> Claim:
    jpeg = _camera_total("jpeg8")
    raw = {bits: _camera_total("raw16", bits) for bits in (8, 10, 12, 14, 16)}
    dearer = [bits for bits, value in raw.items() if value > jpeg]
    text = ", ".join(f"{value:.3g} with {bits} bits" for bits, value in raw.items())
    return Claim(
        "Introduction: skipping stages of the ISP can reduce its energy significantly; RAW has 16 bits",
        f"Cameras alone, nominal nJ a pixel: JPEG {jpeg:.3g}, RAW {text}: "
        + (f"from {dearer[0]} bits on the ADC takes more than the ISP" if dearer else "RAW is always below"),
    )


def _camera_total(name: str, bits: int = 12) -> float:
    return Pipeline("", 1, pipeline.camera(name, 1, bits)).total.nominal * 1e9
