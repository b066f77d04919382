"""``python -m export.code_sizes``: measure the code that :mod:`export.footprint` predicts.

Builds networks of one and of seven nodes of each kind for one board of each core and writes the
differences to ``code_sizes.json``: bytes of each library function (``lg_conv_row``, ...), of each further
node of a kind (``conv_node``, its struct and map included), of each front end, and of the rest (``program``).
Needs the ARM compiler. Run it after a change to the library, to ``main.c`` or to the text that ``emit`` writes.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from export import emit, firmware, footprint, front
from export.kernels import VARIANTS, Choice
from export.nodes import build as build_nodes
from export.plan import plan
from export.quant_graph import Op, QuantGraph, Scale, Tensor
from firmware import build, project
from loggrad_tf import cli
from loggrad_tf.files import write_whole
from loggrad_tf.frontend import fixed
from loggrad_tf.sensor import Sensor

BOARDS = ("microbit", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
BASE = "lookup"
KINDS = ("conv", "depthwise", "dense", "add", "mul", "pad", "concat", "max_pool", "avg_pool", "mean", "softmax")
SIDE, CHANNELS = 8, 4
MORE = 6
_UNIT = Scale(1 << 30, 1)
_HALF = Scale(1 << 30, 0)


def layered(*kinds: str, multiplier: int = 1) -> QuantGraph:
    """A network whose nodes all read the input; only its code matters."""
    tensors = {0: Tensor(0, "input", (SIDE, SIDE, CHANNELS), 1.0, 0)}
    ops = []
    for index, kind in enumerate(kinds):
        op, shape = _op(index, kind, multiplier)
        tensors[index + 1] = Tensor(index + 1, kind, shape, 1.0, 0)
        ops.append(op)
    # The output is the first node's, so that every other result may lie anywhere.
    return QuantGraph(tensors, tuple(ops), 0, 1, hashlib.sha256(b"").hexdigest())


def _op(index: int, kind: str, multiplier: int) -> tuple[Op, tuple[int, ...]]:
    op = Op(index=index, kind=kind, inputs=(0,), output=index + 1)
    same, vector = (SIDE, SIDE, CHANNELS), (CHANNELS,)
    wide = (SIDE, SIDE, CHANNELS * multiplier)
    if kind == "conv":
        return _weighted(op, np.zeros((CHANNELS, 3, 3, CHANNELS), np.int8), (3, 3)), same
    if kind == "depthwise":
        return _weighted(op, np.zeros((3, 3, wide[-1]), np.int8), (3, 3)), wide
    if kind == "dense":
        return _weighted(op, np.zeros((CHANNELS, SIDE * SIDE * CHANNELS), np.int8), (1, 1)), vector
    if kind == "add":
        return dataclasses.replace(op, inputs=(0, 0), scales=(_HALF,) * 3), same
    if kind == "mul":
        return dataclasses.replace(op, constant=np.ones(CHANNELS, np.int16), scales=(_HALF,)), same
    if kind == "pad":
        return dataclasses.replace(op, before=(1, 1, 0), value=3), (SIDE + 2, SIDE + 2, CHANNELS)
    if kind == "concat":
        return dataclasses.replace(op, inputs=(0, 0), axis=2), (SIDE, SIDE, 2 * CHANNELS)
    if kind in ("max_pool", "avg_pool"):
        return dataclasses.replace(op, kernel=(3, 3), stride=(1, 1), before=(1, 1, 0)), same
    if kind == "mean":
        return dataclasses.replace(op, scales=(_UNIT,)), vector
    if kind == "softmax":
        return dataclasses.replace(op, table=np.ones(256, np.float32)), same
    return dataclasses.replace(op, table=np.zeros(256, np.int8)), same


def _weighted(op: Op, weights: np.ndarray, kernel: tuple[int, int]) -> Op:
    channels = weights.shape[-1] if op.kind == "depthwise" else len(weights)
    return dataclasses.replace(
        op,
        kernel=kernel,
        before=(kernel[0] // 2, kernel[1] // 2, 0),
        weights=weights,
        bias=np.zeros(channels, np.int32),
        scales=(_UNIT,) * channels,
        reach=(0,) * channels,
    )


def measure(board: str, work: Path) -> dict[str, int]:
    """Code sizes of one core, by building some thirty images."""
    record = firmware.read_board(board)
    core = record["core"]
    made = project.Project(
        work, record, "", 0, 0, 1, (), 1, (), 0, {"ram": None, "flash": None}
    )
    firmware.write_folders(board, work)
    tensor = front.Input("tensor", SIDE, SIDE, CHANNELS)

    def code(
        graph: QuantGraph, source: front.Input = tensor, pick: Callable[[QuantGraph], Choice] = _fastest
    ) -> int:
        planned = plan(graph, core, source.levels, pick(graph))
        for name, text in emit.emit(planned, source, (), "", "").items():
            (work / "src" / name).write_text(text)
        build.build(made)
        flash = build.sizes(made).flash
        assert flash is not None
        return flash - footprint.data_bytes(planned, source)

    def node_bytes(kind: str) -> int:
        return (code(layered(BASE, *[kind] * (1 + MORE))) - code(layered(BASE, kind))) // MORE

    base = code(layered(BASE))
    each = node_bytes(BASE)
    sizes = {"program": base - each, f"{BASE}_node": each, "lg_lookup_row": 0, "tensor": 0}
    for kind in KINDS:
        one = layered(BASE, kind)
        sizes[f"{kind}_node"] = node_bytes(kind)
        function = plan(one, core, 0, Choice()).kernels[1].function
        sizes[function] = max(sizes.get(function, 0), code(one) - base - sizes[f"{kind}_node"])
    sizes["reflow_node"], sizes["lg_map_append"] = sizes[f"{BASE}_node"], 150
    if core in VARIANTS:
        sizes["lg_conv_row"] = code(layered(BASE, "conv"), pick=_compact) - base - sizes["conv_node"]
        slow = layered(BASE, "depthwise", multiplier=2)
        sizes["lg_depthwise_row"] = code(slow) - base - sizes["depthwise_node"]
    sensor = Sensor(bits=10, black=0, white=1023)
    for name in ("loggrad_2p75", "loggrad_fp", "raw16"):
        end = fixed(name, sensor)
        graph = layered(BASE)
        graph.tensors[0] = Tensor(0, "input", (SIDE, SIDE, 1), end.input_scale, end.input_zero_point)
        graph.tensors[1] = Tensor(1, "out", (SIDE, SIDE, 1), 1.0, 0)
        source = front.describe(end, (SIDE, SIDE, 1), end.input_scale, end.input_zero_point)
        sizes[source.kind] = code(graph, source) - base
        if source.kind == "levels":
            coded = _coded(graph)
            planned = plan(coded, core, source.levels, _fastest_coded(coded, core, source.levels))
            both = code(coded, source, lambda g: _fastest_coded(g, core, 3)) - base - sizes["levels"]
            sizes |= {"table_conv_node": 0, "codes_node": 0, "lg_level_codes": 0}
            sizes[planned.kernels[2].function] = both
            sizes.setdefault("lg_table_conv_row", both)
    return sizes


def _coded(graph: QuantGraph) -> QuantGraph:
    """The network and a convolution of the levels."""
    conv = _weighted(
        Op(index=1, kind="conv", inputs=(0,), output=2), np.zeros((CHANNELS, 3, 3, 1), np.int8), (3, 3)
    )
    tensors = graph.tensors | {2: Tensor(2, "conv", (SIDE, SIDE, CHANNELS), 1.0, 0)}
    return dataclasses.replace(graph, tensors=tensors, ops=(*graph.ops, conv))


def _fastest(graph: QuantGraph) -> Choice:
    return Choice()


def _fastest_coded(graph: QuantGraph, core: str, levels: int) -> Choice:
    from export.kernels import choices

    return choices(build_nodes(graph), core, levels)[0]


def _compact(graph: QuantGraph) -> Choice:
    return Choice(0, frozenset(op.name for op in graph.ops))


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
