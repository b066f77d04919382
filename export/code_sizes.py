"""``python -m export.code_sizes``: measure the code that :mod:`export.footprint` predicts.

Builds networks of one and of seven layers of each kind for one board of each core and writes the
differences to ``code_sizes.json``: bytes of each kernel (``conv``, ...), of each further layer of a kind
(``conv_layer``, its description included), of each front end, and of the rest (``program``). Needs the
ARM compiler. Run it after a change to the library, to ``main.c`` or to the text that ``emit`` writes.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from export import emit, firmware, footprint, front
from export.plan import plan
from export.quant_graph import Op, QuantGraph, Scale, Tensor
from firmware import build, project
from loggrad_tf import cli
from loggrad_tf.files import write_whole
from loggrad_tf.frontend import fixed
from loggrad_tf.sensor import Sensor

BOARDS = ("microbit", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
KINDS = ("depthwise", "dense", "add", "pad", "max_pool", "avg_pool", "mean", "requantize", "softmax")
SIDE, CHANNELS = 8, 4
MORE = 6
_UNIT = Scale(1 << 30, 1)


def layered(*kinds: str) -> QuantGraph:
    """A network whose layers all read the input; only its code matters."""
    shape = (SIDE, SIDE, 1)
    tensors = {0: Tensor(0, "input", shape, 1.0, 0)}
    ops = []
    for index, kind in enumerate(kinds):
        vector = kind in ("dense", "mean", "softmax")
        tensors[index + 1] = Tensor(index + 1, kind, (CHANNELS,) if vector else shape, 1.0, 0)
        constants = {
            "conv": np.zeros((1, 1, 1, 1), np.int8),
            "depthwise": np.zeros((1, 1, 1), np.int8),
            "dense": np.zeros((CHANNELS, SIDE * SIDE), np.int8),
        }
        ops.append(
            Op(
                index=index,
                kind=kind,
                inputs=(0, 0) if kind == "add" else (0,),
                output=index + 1,
                weights=constants.get(kind),
                bias=np.zeros(1, np.int32) if kind in constants else None,
                scales=(_UNIT,) * (3 if kind == "add" else 1),
                table=np.ones(256, np.float32) if kind == "softmax" else None,
            )
        )
    # The output is the input, so that every layer's result may lie anywhere.
    return QuantGraph(tensors, tuple(ops), 0, 0, hashlib.sha256(b"").hexdigest())


def measure(board: str, work: Path) -> dict[str, int]:
    """Code sizes of one core, by building some twenty images."""
    made = project.Project(
        work, firmware.read_board(board), "", 0, 0, 1, (), 1, (), 0, {"ram": None, "flash": None}
    )
    firmware.write_folders(board, work)
    sensor = Sensor(bits=10, black=0, white=1023)
    tensor = front.Input("tensor", SIDE, SIDE, 1)

    def code(kinds: tuple[str, ...], source: front.Input = tensor) -> int:
        graph = layered(*kinds)
        for name, text in emit.emit(graph, plan(graph), source, (), "").items():
            (work / "src" / name).write_text(text)
        build.build(made)
        flash = build.sizes(made).flash
        assert flash is not None
        return flash - footprint.data_bytes(graph, source)

    base = code(("conv",))
    layer = (code(("conv",) * (1 + MORE)) - base) // MORE
    sizes = {"program": base - layer, "conv": 0, "conv_layer": layer, "tensor": 0}
    for kind in KINDS:
        one = code(("conv", kind))
        layer = (code(("conv",) + (kind,) * (1 + MORE)) - one) // MORE
        sizes |= {f"{kind}_layer": layer, kind: one - base - layer}
    for name in ("loggrad_2p75", "loggrad_fp", "raw16"):
        source = front.describe(fixed(name, sensor), (SIDE, SIDE, 1), *_quantization(name))
        sizes[source.kind] = code(("conv",), source) - base
    return sizes


def _quantization(name: str) -> tuple[float, int]:
    front_end = fixed(name, Sensor())
    return front_end.input_scale, front_end.input_zero_point


def main(argv: list[str]) -> None:
    del argv
    sizes = {}
    for board in BOARDS:
        with tempfile.TemporaryDirectory() as work:
            core = firmware.read_board(board)["core"]
            sizes[core] = measure(board, Path(work))
            print(f"{core}: program {sizes[core]['program']} B", flush=True)
    write_whole(footprint.CODE_SIZES, (json.dumps(sizes, indent=1) + "\n").encode())


if __name__ == "__main__":
    cli.run(main)
