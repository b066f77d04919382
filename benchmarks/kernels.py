"""``python -m benchmarks.kernels``: cycles a multiply-accumulate of the kernels, over channels and sizes.

Builds images whose layers are those of ``ROWS``, runs a frame of each in QEMU and prices what is executed
(:mod:`firmware.cycles`; no wait states). Beside it stands what its loads and multiplications alone would take
on Cortex-M4: a cycle for an SMLAD, for every word that is loaded, widened or put in order, and ``OUTPUT`` for
an output that is rescaled and stored. What is above the bound is loops, calls and loads that stand alone.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from export import boards, firmware
from export.c import emit
from export.plan.nodes import macs
from export.plan.plan import plan
from export.predict import probes
from export.predict.probes import Shape, Side
from export.tflite.quant_graph import QuantGraph
from firmware import build, cycles, frame_cycles
from loggrad_tf import cli

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "target", "mps2-an386", "A board of firmware/boards: QEMU's, of a core with known timings."
)

# SMMLAR, two additions, a shift, SSAT and a store.
OUTPUT = 6
# Of a quad of taps of two channels in four, three, two windows, of four channels in one; and its products.
_QUAD = {4: (28, 32), 3: (22, 24), 2: (16, 16), 1: (18, 16)}
# Of two columns of four channels: loads, packs and stores.
_COLUMNS = 18 / 8


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


ROWS: tuple[Row, ...] = (
    *(pointwise((24, 24, channels), 2 * channels) for channels in (4, 8, 16, 32)),
    *(pointwise((6, 6, channels), channels) for channels in (64, 128, 256)),
    *(pointwise((8, width, 64), 64) for width in (1, 2, 3, 5, 8)),
    convolution((48, 48, 1), 8, 3, 2),
    convolution((48, 48, 3), 8, 3, 2),
    *(convolution((16, 16, channels), channels, 3, 1) for channels in (8, 16, 32, 64)),
    *(depthwise((width, width, 32), 3) for width in (3, 4, 6, 12, 24, 48)),
    *(depthwise((width, width, 32), 3, 2) for width in (6, 12, 48)),
    *(depthwise((12, 12, 32), kernel) for kernel in (5, 7)),
    depthwise((30, 1, 64), (9, 1)),
    *(dense(inputs, 64) for inputs in (8, 64, 640)),
)


def measure(rows: Sequence[Row], board: str, work: Path) -> list[tuple[Row, int, int]]:
    """Of each row the multiply-accumulates and the cycles of a frame."""
    record = boards.read(board)
    core = cycles.core_of(record["core"])
    firmware.write_folders(board, work)
    found = []
    for row in rows:
        graph, source = probes.chain(row.shape, row.layer)
        made = plan(graph, record["core"])
        for name, text in emit.emit(made, source, (), "", "probe").items():
            (work / "src" / name).write_text(text)
        image = probes.project_of(work, record, made, source)
        build.build(image)
        frame = np.random.default_rng(0).integers(-128, 128, (source.rows, source.row_codes)).astype(np.int8)
        seen = frame_cycles.watch(image, [frame], len(made.network.nodes))
        priced = cycles.estimate(seen, cycles.disassemble(image.elf, core), core)
        found.append((row, macs(made.network, made.network.nodes[0]), priced[1].cycles))
    return found


def table(found: Sequence[tuple[Row, int, int]]) -> str:
    head = f"{'kernel':24s} {'input':>11s} {'MACs':>10s} {'cycles':>10s}"
    lines = [f"{head} {'a MAC':>7s} {'bound':>7s} {'ratio':>6s}"]
    for row, products, spent in found:
        node_outputs = _outputs(row)
        bound = row.bound(row.shape) * node_outputs / products
        each = spent / products
        size = "x".join(map(str, row.shape))
        lines.append(
            f"{row.name:24s} {size:>11s} {products:>10,} {spent:>10,} {each:>7.2f} {bound:>7.2f}"
            f" {each / bound:>6.2f}"
        )
    return "\n".join(lines)


def _outputs(row: Row) -> int:
    made = row.layer(row.shape)
    return made.tensors[made.output].size


def main(argv: list[str]) -> None:
    del argv
    with tempfile.TemporaryDirectory() as work:
        print(table(measure(ROWS, FLAGS.target, Path(work))))


if __name__ == "__main__":
    cli.run(main)
