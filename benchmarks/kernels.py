"""``python -m benchmarks.kernels``: cycles a multiply-accumulate of the kernels, over channels and sizes.

Builds images whose layers are those of ``ROWS``, runs a frame of each in QEMU and prices what is executed
(:mod:`firmware.cycles`; no wait states). Beside it stands what its loads and multiplications alone would take
on Cortex-M4: a cycle for an SMLAD, for every word that is loaded, widened or put in order, and ``OUTPUT`` for
an output that is rescaled and stored. What is above the bound is loops, calls and loads that stand alone.
Then the same of the log-gradient quantiser, cycles a pixel. ``--plot=FILE.png`` draws kernels over channels.
"""

import dataclasses
import io
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from export import boards, firmware
from export.c import emit
from export.plan.input import Input
from export.plan.nodes import macs
from export.plan.plan import Plan, plan
from export.predict import probes
from export.predict.probes import Probe, Shape, Side
from export.tflite.quant_graph import QuantGraph
from firmware import build, cycles, frame_cycles
from firmware.cycles import Count
from loggrad_tf import cli
from loggrad_tf.errors import LogGradError
from loggrad_tf.files import check_place, write_whole
from loggrad_tf.transform.frontend import fixed
from loggrad_tf.transform.sensor import Sensor

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "target", "mps2-an386", "A board of firmware/boards: QEMU's, of a core with known timings."
)
flags.DEFINE_string(
    "plot", None, "A .png file: cycles a multiply-accumulate over channels, kernel by kernel."
)

# SMMLAR, two additions, a shift, SSAT and a store.
OUTPUT = 6
# Of a quad of taps of two channels in four, three, two windows, of four channels in one; and its products.
_QUAD = {4: (28, 32), 3: (22, 24), 2: (16, 16), 1: (18, 16)}
# Of two columns of four channels: loads, packs and stores.
_COLUMNS = 18 / 8
# Of a pixel of the quantiser: three codes loaded, one stored, two products and a threshold times each.
_PIXEL = 8
# Levels a byte, of the packings of lg_pack.h that three levels have a loop for.
PACKINGS = {"S8": 1, "2BIT": 4, "BASE3": 5}


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer.

    Attributes:
      shape: rows, columns, channels of its input.
      layer: the layer on a map of that shape.
      bound: cycles of an output by loads and multiplications alone, of the input's channels.
    """

    name: str
    shape: Shape
    layer: Callable[[Shape], QuantGraph]
    bound: Callable[[Shape], float]


def pointwise(shape: Shape, filters: int) -> Row:
    return convolution(shape, filters, 1, 1)


def convolution(shape: Shape, filters: int, kernel: Side, stride: int) -> Row:
    kh, kw = probes.pair(kernel)
    width = -(-shape[1] // stride)
    together = min(width, 4)

    def bound(of: Shape) -> float:
        taken, products = _QUAD[together]
        return kh * -(-kw * of[2] // 4) * 4 * taken / products + OUTPUT

    name = f"conv {kh}x{kw}" + (f" stride {stride}" if stride > 1 else "") + f" to {filters}"
    return Row(name, shape, lambda at: probes.conv(at, filters, kernel, stride), bound)


def depthwise(shape: Shape, kernel: Side, stride: int = 1) -> Row:
    kh, kw = probes.pair(kernel)
    sliding = (kh, kw) == (3, 3) and -(-shape[1] // stride) >= 4
    pairs = kh // 2 * kw + kh % 2 * -(-kw // 2)

    def bound(of: Shape) -> float:
        if sliding:
            # Five multiplications; of an entry, which is two columns, three loads and three SXTB16.
            return 5 + 6 * stride / 2 + stride * _COLUMNS + OUTPUT
        # Of four channels: eight loads, six packs and four multiplications a pair.
        return 18 / 4 * pairs + OUTPUT

    name = f"depthwise {kh}x{kw}" + (f" stride {stride}" if stride > 1 else "")
    return Row(name, shape, lambda at: probes.depthwise(at, kernel, stride), bound)


def dense(inputs: int, outputs: int) -> Row:
    taken, products = _QUAD[1]
    return Row(
        f"dense to {outputs}",
        (1, 1, inputs),
        lambda at: probes.dense(at, outputs),
        lambda of: -(-of[2] // 4) * 4 * taken / products + OUTPUT,
    )


# Kernels whose channels grow, which are drawn.
SERIES: dict[str, tuple[Row, ...]] = {
    "1x1": (
        *(pointwise((24, 24, channels), 2 * channels) for channels in (4, 8, 16, 32)),
        *(pointwise((6, 6, channels), channels) for channels in (64, 128, 256)),
    ),
    "3x3": tuple(convolution((16, 16, channels), channels, 3, 1) for channels in (8, 16, 32, 64)),
    "5x5": tuple(convolution((16, 16, channels), channels, 5, 1) for channels in (4, 8, 16, 32)),
    "depthwise 3x3": tuple(depthwise((12, 12, channels), 3) for channels in (8, 16, 32, 64, 128)),
    "dense": tuple(dense(inputs, 64) for inputs in (8, 32, 64, 256, 640)),
}
ROWS: tuple[Row, ...] = (
    *itertools.chain.from_iterable(SERIES.values()),
    *(pointwise((8, width, 64), 64) for width in (1, 2, 3, 5, 8)),
    convolution((48, 48, 1), 8, 3, 2),
    convolution((48, 48, 3), 8, 3, 2),
    *(depthwise((width, width, 32), 3) for width in (3, 4, 6, 24, 48)),
    *(depthwise((width, width, 32), 3, 2) for width in (6, 12, 48)),
    *(depthwise((12, 12, 32), kernel) for kernel in (5, 7)),
    depthwise((30, 1, 64), (9, 1)),
)


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """RAW lines to three levels, ``loggrad_1p5``.

    Attributes:
      shape: lines, pixels, 1.
      packing: of the level lines, one of :data:`PACKINGS`. Projects have S8; the others are the library's.
    """

    sensor: Sensor
    packing: str
    shape: Shape = (96, 96, 1)

    @property
    def name(self) -> str:
        return f"{self.sensor.bits} bits to {self.packing}"

    @property
    def bound(self) -> float:
        """Cycles of a pixel by loads, stores and multiplications alone."""
        return _PIXEL + 1 / PACKINGS[self.packing]


QUANTIZERS: tuple[Quantizer, ...] = tuple(
    Quantizer(sensor, packing)
    for sensor in (Sensor(8, 0, 255), Sensor(10, 64, 1023), Sensor(12, 256, 4095))
    for packing in PACKINGS
)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a frame of a row took.

    Attributes:
      items: multiply-accumulates, or pixels.
      bound: cycles of an item by loads and multiplications alone.
    """

    name: str
    shape: Shape
    items: int
    cycles: int
    bound: float

    @property
    def each(self) -> float:
        """Cycles of an item."""
        return self.cycles / self.items


def measure(row: Row, record: dict[str, Any], work: Path) -> Found:
    """Build a project in ``work``, which holds the board's folders, and run a frame through the layer."""
    graph, source = probes.chain(row.shape, row.layer)
    frame = np.random.default_rng(0).integers(-128, 128, (source.rows, source.row_codes)).astype(np.int8)
    made = plan(graph, record["core"])
    spent = _spent(made, source, frame, emit.emit(made, source, (), "", "probe"), record, work)
    products = macs(made.network, made.network.nodes[0])
    bound = row.bound(row.shape) * graph.tensors[graph.output].size / products
    return Found(row.name, row.shape, products, spent[1].cycles, bound)


def measure_quantizer(row: Quantizer, record: dict[str, Any], work: Path) -> Found:
    """As :func:`measure`, of the rows of codes behind which a network of one table stands."""
    graph, source = behind(row)
    codes = np.random.default_rng(0).integers(0, row.sensor.white + 1, row.shape[:2])
    frame = codes.astype(np.uint8 if source.code_bytes == 1 else np.uint16)
    made = plan(graph, record["core"], source.levels)
    files = emit.emit(made, source, (), "", "probe")
    files["net.c"] = packed(files["net.c"], source.level_loop, row.packing)
    spent = _spent(made, source, frame, files, record, work)
    return Found(row.name, row.shape, frame.size, spent[0].cycles, row.bound)


def behind(row: Quantizer) -> Probe:
    return probes.leveled(probes.simple("lookup", row.shape), fixed("loggrad_1p5", row.sensor))


def packed(text: str, loop: str, packing: str) -> str:
    """A project's net.c with level lines in another packing, by its own loop; the network reads noise."""
    if packing == "S8":
        return text
    for old, new in (("LG_PACK_S8", f"LG_PACK_{packing}"), (f" {loop},", f" {loop}_{packing.lower()},")):
        assert text.count(old) == 1, f"net.c names {old} {text.count(old)} times"
        text = text.replace(old, new)
    return text


def _spent(
    made: Plan,
    source: Input,
    frame: np.ndarray,
    files: Mapping[str, str],
    record: dict[str, Any],
    work: Path,
) -> dict[int, Count]:
    """What a frame takes, by context: the input is 0, node n is n + 1."""
    core = cycles.core_of(record["core"])
    for name, text in files.items():
        (work / "src" / name).write_text(text)
    image = probes.project_of(work, record, made, source)
    build.build(image)
    seen = frame_cycles.watch(image, [frame], len(made.network.nodes))
    return cycles.estimate(seen, cycles.disassemble(image.elf, core), core)


def table(found: Sequence[Found], what: str, item: str) -> str:
    """A line for each row.

    Args:
      what: the head of the names.
      item: what is counted, in the singular.
    """
    head = f"{what:24s} {'input':>11s} {item + 's':>10s} {'cycles':>10s}"
    lines = [f"{head} {'a ' + item:>7s} {'bound':>7s} {'ratio':>6s}"]
    for one in found:
        size = "x".join(map(str, one.shape))
        line = f"{one.name:24s} {size:>11s} {one.items:>10,} {one.cycles:>10,}"
        lines.append(f"{line} {one.each:>7.2f} {one.bound:>7.2f} {one.each / one.bound:>6.2f}")
    return "\n".join(lines)


def plot(path: Path, series: Mapping[str, Sequence[Found]], where: str) -> None:
    """Cycles a multiply-accumulate over channels, a panel a kernel; what is above the bound is shaded.

    All axes are logarithms: equal distances from the bound are equal ratios.

    Args:
      where: the board or core, for the title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, -(-(len(series) + 1) // 2), sharey=True, squeeze=False).ravel()
    for panel, (name, found) in zip(panels, series.items(), strict=False):
        channels = [one.shape[2] for one in found]
        spent, bound = [one.each for one in found], [one.bound for one in found]
        panel.fill_between(channels, bound, spent, color="#0072B2", alpha=0.15, lw=0, label="slack")
        panel.plot(channels, spent, "o-", color="#0072B2", lw=2, ms=7, label="executed")
        panel.plot(channels, bound, "s--", color="#D55E00", lw=2, ms=6, label="bound")
        panel.set_title(name, fontsize=15)
        panel.set_xscale("log", base=2)
        panel.set_xticks(channels, [str(one) for one in channels])
        panel.set_yscale("log", base=2)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.tick_params(labelsize=13)
        panel.grid(alpha=0.25)
    for panel in panels[len(series) :]:
        panel.set_axis_off()
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", fontsize=14, frameon=False)
    figure.supxlabel("channels of the input", fontsize=15)
    figure.supylabel("cycles a multiply-accumulate", fontsize=15)
    figure.suptitle(where, fontsize=15)
    image = io.BytesIO()
    figure.savefig(image, dpi=120, format="png", metadata={"Software": None})
    write_whole(path, image.getvalue())


def main(argv: list[str]) -> None:
    del argv
    out = Path(FLAGS.plot) if FLAGS.plot else None
    if out:
        if out.suffix != ".png":
            raise LogGradError(f"--plot={out}: the picture is a PNG: give a name that ends in .png")
        check_place(out, "plot")
    record = boards.read(FLAGS.target)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        firmware.write_folders(FLAGS.target, work)
        found = {row: measure(row, record, work) for row in ROWS}
        print(table(list(found.values()), "kernel", "MAC"), flush=True)
        levels = [measure_quantizer(row, record, work) for row in QUANTIZERS]
    print("\n" + table(levels, "quantiser", "pixel"))
    if out:
        series = {name: [found[row] for row in rows] for name, rows in SERIES.items()}
        plot(out, series, f"{record['core']} ({FLAGS.target})")


if __name__ == "__main__":
    cli.run(main)
