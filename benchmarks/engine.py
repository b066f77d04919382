"""``python -m benchmarks.engine``: instructions, cycles, RAM and flash of networks in QEMU, each verified.

Generates, builds and verifies a firmware project for each network and board. Beside it stands what
TFLite-Micro with CMSIS-NN takes for the same work: with ``--tflm=CHECKOUT``, of the same network on that
checkout's library (``export.firmware --runtime=tflm``), verified in the same run, its arena as small as
it starts in; without, figures that were measured once, on the same emulator (``BASELINE``).
Instructions include the quantiser where RAW lines are the input. QEMU has no pipeline: cycles are an
estimate by the manual (:mod:`firmware.cycles`), of the cores that it is published for.
"""

import dataclasses
import os
import tempfile
from pathlib import Path

from absl import flags

from export import boards, firmware
from firmware import build, channel, project, timings, verify
from firmware.project import FirmwareError
from loggrad_tf import cli, quiet
from loggrad_tf.errors import LogGradError

FLAGS = flags.FLAGS
flags.DEFINE_list(
    "nets", ["2conv1fc", "dsmall", "resnet", "vww_96"], "Networks to measure: names, or .tflite files."
)
flags.DEFINE_list("targets", ["mps2-an386", "mps3-an547"], "Boards of firmware/boards.")
flags.DEFINE_integer("frames", 16, "Frames per network and board.", lower_bound=1)
flags.DEFINE_boolean("layers", True, "Compare every layer, not only the scores.")
flags.DEFINE_string("tflm", None, "A checkout of tflite-micro with its library built, to measure beside.")

ARENA_UNIT = 64
VWW = Path(__file__).resolve().parent.parent.parent / "shared" / "models" / "vww_96_int8.tflite"


@dataclasses.dataclass(frozen=True)
class Peer:
    """TFLite-Micro with CMSIS-NN, -O2: instructions, bytes of RAM, bytes of code without the model."""

    instructions: float
    ram: int
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
class Cost:
    """Of a frame, and of the image.

    Attributes:
      cycles: estimated; None of a core without published timings.
      ram: bytes that the network keeps, without the stack.
      flash: bytes of the whole image.
    """

    instructions: int | None
    cycles: int | None
    ram: int | None
    flash: int | None


NOTHING = Cost(None, None, None, None)


@dataclasses.dataclass(frozen=True)
class Row:
    """One network on one board. Mismatches are of vectors, the peer's None where it is not measured."""

    net: str
    core: str
    ours: Cost
    peer: Cost
    mismatches: int
    peer_mismatches: int | None
    vectors: int


def find(net: str, work: Path) -> Path:
    """The flatbuffer of an entry of --nets."""
    path = VWW if net == "vww_96" else Path(net)
    if path.suffix == ".tflite":
        if not path.is_file():
            raise LogGradError(f"--nets={net}: {path} is not there: give the file of the network")
        return path
    quiet.import_tensorflow()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    from benchmarks import engine_nets

    if net not in engine_nets.NETWORKS:
        raise LogGradError(
            f"--nets={net}: choose of {', '.join(engine_nets.NETWORKS)}, vww_96, or give a .tflite file"
        )
    return engine_nets.write(net, work / net)


def verified(model: Path, board: str, options: firmware.Options, work: Path) -> tuple[Cost, int, int]:
    """Generate, build, verify: the cost, mismatches and vectors."""
    made = firmware.make(model, board, options)
    firmware.write(made, work, replace=True)
    timed = made.board["core"] in timings.CORES
    verdict = verify.verify(project.load(work), layers=FLAGS.layers, cycles=timed)
    cycles = verdict.cycles.total.cycles if verdict.cycles else None
    cost = Cost(verdict.executed, cycles, made.engine.footprint.state, verdict.flash)
    return cost, verdict.mismatches, verdict.vectors


def least_arena(model: Path, board: str, work: Path) -> int:
    """The least arena that TFLite-Micro starts in, to :data:`ARENA_UNIT` bytes: what it uses, or more."""
    used = _arena_used(model, board, work, None)
    assert used is not None
    fails, starts = used - ARENA_UNIT, used
    while _arena_used(model, board, work, starts) is None:
        fails, starts = starts, starts + 2 * (starts - fails)
    while starts - fails > ARENA_UNIT:
        middle = fails + (starts - fails) // (2 * ARENA_UNIT) * ARENA_UNIT
        fits = _arena_used(model, board, work, middle) is not None
        fails, starts = (fails, middle) if fits else (middle, starts)
    return starts


def _arena_used(model: Path, board: str, work: Path, arena: int | None) -> int | None:
    """What an image with such an arena says that it uses; None if it does not start."""
    options = firmware.Options(vectors=1, runtime="tflm", arena_bytes=arena)
    firmware.write(firmware.make(model, board, options), work)
    loaded = project.load(work)
    build.build(loaded)
    try:
        with channel.Channel(loaded) as running:
            return running.arena_used()
    except FirmwareError:
        return None


def measure(net: str, board: str, model: Path, work: Path) -> Row:
    """One network on one board, TFLite-Micro beside it."""
    name, core = Path(net).stem, boards.read(board)["core"]
    ours, mismatches, vectors = verified(model, board, firmware.Options(vectors=FLAGS.frames), work / "ours")
    if not FLAGS.tflm:
        known = BASELINE.get((core, name))
        peer = _baseline(known, model) if known else NOTHING
        return Row(name, core, ours, peer, mismatches, None, vectors)
    arena = least_arena(model, board, work / "arena")
    options = firmware.Options(vectors=FLAGS.frames, runtime="tflm", arena_bytes=arena)
    peer, wrong, _ = verified(model, board, options, work / "tflm")
    return Row(name, core, ours, peer, mismatches, wrong, vectors)


def _baseline(peer: Peer, model: Path) -> Cost:
    flash = None if peer.code is None else peer.code + model.stat().st_size
    return Cost(int(peer.instructions), None, peer.ram, flash)


def table(rows: list[Row], note: str) -> str:
    """What was measured, TFLite-Micro's beside it."""
    head = f"{'network':24s} {'core':11s}"
    for name in ("instructions", "cycles", "RAM B", "flash B"):
        head += f" {name:>12s} {'TFLM':>12s}"
    lines = [f"{head} {'mismatches':>11s} {'TFLM':>6s}"]
    for row in rows:
        text = f"{row.net[:24]:24s} {row.core:11s}"
        for pair in zip(dataclasses.astuple(row.ours), dataclasses.astuple(row.peer), strict=True):
            text += "".join(f" {'-' if value is None else f'{value:,}':>12s}" for value in pair)
        wrong = "-" if row.peer_mismatches is None else str(row.peer_mismatches)
        lines.append(f"{text} {f'{row.mismatches} of {row.vectors}':>11s} {wrong:>6s}")
    return "\n".join([*lines, note])


def main(argv: list[str]) -> None:
    del argv
    note = "TFLM: TFLite-Micro with CMSIS-NN, as measured once"
    if FLAGS.tflm:
        place = Path(FLAGS.tflm).absolute()
        if not (place / "tensorflow/lite/micro").is_dir():
            raise LogGradError(
                f"--tflm={FLAGS.tflm}: no checkout of tflite-micro: no tensorflow/lite/micro there"
            )
        os.environ["TFLM_DIR"] = str(place)
        note = "TFLM: TFLite-Micro, measured in this run"
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for net in FLAGS.nets:
            model = find(net, Path(work))
            for board in FLAGS.targets:
                row = measure(net, board, model, Path(work) / f"{Path(net).stem}-{board}")
                rows.append(row)
                print(table([row], ""), flush=True)
    print(table(rows, f"{note}; cycles are estimates"))
    if any(row.mismatches for row in rows):
        raise LogGradError("the board does not compute what TFLite computes")


if __name__ == "__main__":
    cli.run(main)
