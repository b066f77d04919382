"""``python -m benchmarks.engine``: instructions, RAM and code of four networks in QEMU, verified bit for bit.

Generates, builds and verifies a firmware project for each network and board, and prints what TFLite-Micro
with CMSIS-NN takes for the same work beside it. Those figures were measured once, on the same emulator
(``BASELINE``); what stands beside them is measured now. Instructions include the quantiser where RAW lines
are the input. They are instructions, not cycles: QEMU has no pipeline.
"""

import dataclasses
import os
import tempfile
from pathlib import Path

from absl import flags

from export import boards, firmware
from export.plan import memory
from firmware import project, verify
from loggrad_tf import cli, quiet
from loggrad_tf.errors import LogGradError

FLAGS = flags.FLAGS
flags.DEFINE_list("nets", ["2conv1fc", "dsmall", "resnet", "vww_96"], "Networks to measure.")
flags.DEFINE_list("targets", ["mps2-an386", "mps3-an547"], "Boards of firmware/boards.")
flags.DEFINE_integer("frames", 16, "Frames per network and board.", lower_bound=1)
flags.DEFINE_boolean("layers", True, "Compare every layer, not only the scores.")
flags.DEFINE_string("vww", None, "The vww_96_int8.tflite of MLPerf Tiny; else ../shared/models is looked at.")

VWW = Path(__file__).resolve().parent.parent.parent / "shared" / "models" / "vww_96_int8.tflite"


@dataclasses.dataclass(frozen=True)
class Peer:
    """TFLite-Micro with CMSIS-NN, -O2: instructions, bytes of RAM, bytes of code without the model."""

    instructions: float
    ram: int | None = None
    code: int | None = None


# By core and network; measured with GCC 12.2 in QEMU 7.2.
BASELINE = {
    ("cortex-m3", "2conv1fc"): Peer(35.1e6, 93_428),
    ("cortex-m3", "dsmall"): Peer(9.9e6, 57_252),
    ("cortex-m3", "resnet"): Peer(19.8e6, 76_436),
    ("cortex-m4", "2conv1fc"): Peer(29.15e6, 93_428, 61_970),
    ("cortex-m4", "dsmall"): Peer(9.24e6, 57_252, 77_724),
    ("cortex-m4", "resnet"): Peer(16.18e6, 76_436, 76_060),
    ("cortex-m4", "vww_96"): Peer(24.10e6, 100_708, 54_700),
    ("cortex-m7", "2conv1fc"): Peer(29.9e6, 93_428),
    ("cortex-m7", "dsmall"): Peer(9.2e6, 57_252),
    ("cortex-m7", "resnet"): Peer(16.5e6, 76_436),
    ("cortex-m7", "vww_96"): Peer(24.0e6, 100_708),
    ("cortex-m33", "2conv1fc"): Peer(29.0e6, 93_428),
    ("cortex-m33", "dsmall"): Peer(9.2e6, 57_252),
    ("cortex-m33", "resnet"): Peer(16.2e6, 76_436),
    ("cortex-m55", "2conv1fc"): Peer(10.2e6, 93_428),
    ("cortex-m55", "dsmall"): Peer(4.9e6, 57_252),
    ("cortex-m55", "resnet"): Peer(4.7e6, 76_436),
    ("cortex-m55", "vww_96"): Peer(6.56e6, 100_708),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One network on one board."""

    net: str
    core: str
    instructions: int | None
    ram: int
    code: int | None
    mismatches: int
    vectors: int


def find_vww() -> Path:
    path = Path(FLAGS.vww) if FLAGS.vww else VWW
    if not path.is_file():
        raise LogGradError(f"{path}: not there; give the MLPerf Tiny network with --vww")
    return path


def measure(net: str, board: str, model: Path, work: Path) -> Row:
    """Generate, build, verify."""
    made = firmware.make(model, board, firmware.Options(vectors=FLAGS.frames))
    firmware.write(made, work)
    verdict = verify.verify(project.load(work), layers=FLAGS.layers)
    assert made.engine.plan is not None
    constants = memory.data_bytes(made.engine.plan, made.source)
    code = None if verdict.flash is None else verdict.flash - constants
    core = boards.read(board)["core"]
    state = made.engine.footprint.state
    return Row(net, core, verdict.executed, state, code, verdict.mismatches, verdict.vectors)


def table(rows: list[Row]) -> str:
    """What was measured, with the ratio to the peer where there is one."""
    head = f"{'network':10s} {'core':11s} {'instructions':>13s} {'peer':>8s}"
    head += f" {'RAM B':>8s} {'peer':>8s} {'code B':>8s} {'peer':>8s}"
    lines = [f"{head} {'mismatches':>14s}"]
    for row in rows:
        peer = BASELINE.get((row.core, row.net), Peer(0))
        text = f"{row.net:10s} {row.core:11s} {_count(row.instructions):>13s} "
        text += f"{_ratio(peer.instructions, row.instructions):>8s} "
        text += f"{row.ram:>8,} {_ratio(peer.ram, row.ram):>8s} "
        text += f"{_count(row.code):>8s} {_ratio(peer.code, row.code):>8s} "
        lines.append(f"{text}{f'{row.mismatches} of {row.vectors}':>14s}")
    return "\n".join([*lines, "peer: how many times as much TFLite-Micro with CMSIS-NN takes"])


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(peer: float | None, ours: int | None) -> str:
    return f"{peer / ours:.1f} x" if peer and ours else "-"


def main(argv: list[str]) -> None:
    del argv
    quiet.import_tensorflow()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    from benchmarks import engine_nets

    rows = []
    with tempfile.TemporaryDirectory() as work:
        for net in FLAGS.nets:
            if net == "vww_96":
                model = find_vww()
            elif net in engine_nets.NETWORKS:
                model = engine_nets.write(net, Path(work) / net)
            else:
                raise LogGradError(f"--nets={net}: choose of {', '.join(engine_nets.NETWORKS)}, vww_96")
            for board in FLAGS.targets:
                row = measure(net, board, model, Path(work) / f"{net}-{board}")
                rows.append(row)
                print(
                    f"{net} on {board}: {_count(row.instructions)} instructions, RAM {row.ram:,} B",
                    flush=True,
                )
    print(table(rows))
    if any(row.mismatches for row in rows):
        raise LogGradError("the board does not compute what TFLite computes")


if __name__ == "__main__":
    cli.run(main)
