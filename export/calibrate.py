"""``python -m export.calibrate``: fit the instruction costs that :mod:`export.costs` predicts with.

Builds small networks of one operator for one board of each core, runs a frame of each in QEMU and solves
for non-negative costs that fit all of them, errors weighed relative to the whole:

    min over c >= 0 of  sum ((features . c) / measured - 1)^2

Run it after a change to the library or to the text that ``emit`` writes.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from scipy.optimize import nnls

from export import costs, emit, firmware, front
from export.code_sizes import BOARDS
from export.kernels import VARIANTS
from export.plan import Plan, plan
from export.quant_graph import Op, QuantGraph, Scale, Tensor
from firmware import build, channel, project
from loggrad_tf import cli
from loggrad_tf.files import write_whole
from loggrad_tf.frontend import fixed
from loggrad_tf.sensor import Sensor

FLAGS = flags.FLAGS
flags.DEFINE_list("boards", list(BOARDS), "One board of each core.")

Shape = tuple[int, int, int]
_SCALE = Scale(1 << 30, -6)
# Height, width, channels; filters, kernel, stride, pool.
CONVS = (
    ((24, 24, 1), 8, 3, 2, 1),
    ((24, 24, 1), 8, 5, 1, 2),
    ((24, 24, 3), 8, 3, 2, 1),
    ((16, 16, 8), 8, 3, 1, 1),
    ((16, 16, 8), 8, 5, 1, 2),
    ((16, 16, 8), 16, 1, 1, 1),
    ((12, 12, 16), 16, 1, 1, 1),
    ((12, 12, 32), 10, 1, 1, 1),
    ((6, 6, 64), 64, 1, 1, 1),
    ((12, 10, 6), 5, 3, 2, 1),
    ((10, 10, 5), 7, 4, 1, 2),
)
DEPTHWISE = (
    ((24, 24, 8), 3, 1, 1),
    ((24, 24, 8), 3, 2, 1),
    ((8, 8, 64), 3, 1, 1),
    ((16, 16, 5), 3, 1, 1),
    ((16, 16, 8), 5, 1, 1),
    ((12, 12, 4), 3, 1, 2),
)
MAPS: tuple[Shape, ...] = ((16, 16, 8), (24, 24, 3), (8, 8, 32), (5, 7, 11))
VECTORS = ((64, 8), (200, 16), (33, 5))


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """One network and its input."""

    graph: QuantGraph
    source: front.Input


def probes() -> Iterator[Probe]:
    """Networks of one operator, and of every front end."""
    for shape, filters, kernel, stride, pool in CONVS:
        yield _tensor(_conv(shape, filters, kernel, stride, pool), shape)
    for shape, kernel, stride, multiple in DEPTHWISE:
        yield _tensor(_depthwise(shape, kernel, stride, multiple), shape)
    for shape in MAPS:
        for kind in ("add", "add_constant", "mul", "lookup", "pad", "concat", "reshape", "mean", "average"):
            yield _tensor(_simple(kind, shape), shape)
        for kind in ("max_pool", "avg_pool"):
            for size in (2, 3):
                yield _tensor(_pool(kind, shape, size), shape)
    for inputs, outputs in VECTORS:
        yield _tensor(_dense((1, 1, inputs), outputs), (1, 1, inputs))
        yield _tensor(_simple("softmax", (1, 1, inputs)), (1, 1, inputs))
    yield _tensor(_dense((6, 6, 8), 4), (6, 6, 8))
    for bits in (8, 12, 16):
        sensor = Sensor(bits=bits, black=0, white=2**bits - 1)
        for name in ("loggrad_1p5", "loggrad_2p75", "loggrad_fp", "raw16"):
            if bits == 16 and name == "loggrad_fp":
                continue  # its table is larger than the smallest board
            for side, kernel, stride, pool in ((16, 5, 1, 2), (24, 3, 2, 1), (16, 7, 1, 1)):
                shape, end = (side, side, 1), fixed(name, sensor)
                graph = _conv(shape, 8 if kernel < 7 else 6, kernel, stride, pool)
                graph.tensors[0] = Tensor(0, "input", shape, end.input_scale, end.input_zero_point)
                yield Probe(graph, front.describe(end, shape, end.input_scale, end.input_zero_point))


def measure(board: str, work: Path) -> dict[str, list[float]]:
    """Costs on one core: kind:function -> coefficients, front end -> coefficients."""
    record = firmware.read_board(board)
    core = record["core"]
    firmware.write_folders(board, work)
    rows: list[dict[tuple[str, int], float]] = []
    counts: list[int] = []
    for probe in probes():
        planned = plan(probe.graph, core, probe.source.levels)
        if emit.program_bytes(planned, probe.source) + record["stack"] + 256 > record["ram"]["length"]:
            continue
        counts.append(_run(planned, probe.source, record, work))
        rows.append(_row(planned, probe.source))
        for coefficient in _compact(probe, planned, core, record, work, counts):
            rows.append(coefficient)
    columns = sorted({key for row in rows for key in row})
    matrix = np.array([[row.get(key, 0.0) for key in columns] for row in rows])
    weighed = matrix / np.array(counts)[:, None]
    solution, _ = nnls(weighed, np.ones(len(counts)))
    error = np.abs(weighed @ solution - 1)
    print(f"{core}: {len(counts)} images, error median {np.median(error):.1%}, largest {error.max():.1%}", flush=True)
    fitted: dict[str, list[float]] = {}
    for (name, place), value in zip(columns, solution, strict=True):
        fitted.setdefault(name, []).append(round(float(value), 4))
        assert len(fitted[name]) == place + 1
    return fitted


def _compact(
    probe: Probe, planned: Plan, core: str, record: dict, work: Path, counts: list[int]
) -> Iterator[dict[tuple[str, int], float]]:
    """The same network by the portable kernel, where the core has a faster one."""
    from export.kernels import Choice

    if core not in VARIANTS or planned.network.nodes[0].kind != "conv":
        return
    slow = plan(probe.graph, core, 0, Choice(0, frozenset([planned.network.nodes[0].name])))
    counts.append(_run(slow, probe.source, record, work))
    yield _row(slow, probe.source)


def _run(planned: Plan, source: front.Input, record: dict, work: Path) -> int:
    for name, text in emit.emit(planned, source, (), "", "probe").items():
        (work / "src" / name).write_text(text)
    made = project.Project(
        path=work,
        board=record,
        model_sha256=planned.network.graph.sha256,
        rows=source.rows,
        row_codes=source.row_codes,
        code_bytes=source.code_bytes,
        layers=(),
        outputs=planned.network.graph.tensors[planned.network.graph.output].size,
        class_names=(),
        state_bytes=0,
        predicted={"ram": None, "flash": None},
    )
    build.build(made)
    limit = source.front_end.sensor.span + 1 if source.front_end else 128
    kind = {"int8_t": np.int8, "uint8_t": np.uint8, "uint16_t": np.uint16}[source.code_type]
    frame = np.random.default_rng(0).integers(0, limit, (source.rows, source.row_codes)).astype(kind)
    with channel.Channel(made) as board:
        spent = channel.executed(board, board.classify(frame).ticks)
    assert spent is not None
    return spent[0]


def _row(planned: Plan, source: front.Input) -> dict[tuple[str, int], float]:
    """The equation of one image: (name, feature) -> count."""
    row: dict[tuple[str, int], float] = {}
    for node, kernel in zip(planned.network.nodes, planned.kernels, strict=True):
        columns = kernel.constants["table"].shape[-1] if kernel.tabulates else 0
        counts = costs.features(planned.network, node, kernel.variant, columns)
        for place, value in enumerate(counts):
            key = (costs.cost_name(node.kind, kernel.function), place)
            row[key] = row.get(key, 0.0) + value
    for place, value in enumerate((source.rows, source.rows * source.row_codes)):
        row[source.cost_name, place] = value
    return row


def _tensor(graph: QuantGraph, shape: Shape) -> Probe:
    return Probe(graph, front.Input("tensor", *shape))


def _graph(shape: Shape, *ops: tuple[Op, tuple[int, ...]]) -> QuantGraph:
    """Operators one after the other."""
    tensors = {0: Tensor(0, "input", shape, 1.0, -3)}
    for index, (_, out) in enumerate(ops):
        tensors[index + 1] = Tensor(index + 1, f"t{index}", out, 1.0, -3)
    made = tuple(
        dataclasses.replace(op, index=i, inputs=tuple(i for _ in op.inputs), output=i + 1)
        for i, (op, _) in enumerate(ops)
    )
    return QuantGraph(tensors, made, 0, len(ops), hashlib.sha256(b"").hexdigest())


def _weights(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).integers(-30, 31, shape).astype(np.int8)


def _op(kind: str, **fields: object) -> Op:
    return Op(index=0, kind=kind, inputs=(0,), output=1, **fields)  # type: ignore[arg-type]


def _conv(shape: Shape, filters: int, kernel: int, stride: int, pool: int) -> QuantGraph:
    side = tuple(-(-n // stride) for n in shape[:2])
    conv = _op(
        "conv",
        kernel=(kernel, kernel),
        stride=(stride, stride),
        before=(kernel // 2, kernel // 2, 0),
        weights=_weights((filters, kernel, kernel, shape[2])),
        scales=(_SCALE,) * filters,
        reach=(2**20,) * filters,
    )
    ops: list[tuple[Op, tuple[int, ...]]] = [(conv, (*side, filters))]
    if pool > 1:
        pooled = tuple(n // pool for n in side)
        ops.append((_op("max_pool", kernel=(pool, pool), stride=(pool, pool)), (*pooled, filters)))
    return _graph(shape, *ops)


def _depthwise(shape: Shape, kernel: int, stride: int, multiple: int) -> QuantGraph:
    channels = shape[2] * multiple
    op = _op(
        "depthwise",
        kernel=(kernel, kernel),
        stride=(stride, stride),
        before=(kernel // 2, kernel // 2, 0),
        weights=_weights((kernel, kernel, channels)),
        scales=(_SCALE,) * channels,
        reach=(2**20,) * channels,
    )
    return _graph(shape, (op, (-(-shape[0] // stride), -(-shape[1] // stride), channels)))


def _dense(shape: Shape, outputs: int) -> QuantGraph:
    size = shape[0] * shape[1] * shape[2]
    op = _op("dense", weights=_weights((outputs, size)), scales=(_SCALE,), reach=(2**20,) * outputs)
    return _graph(shape, (op, (outputs,)))


def _pool(kind: str, shape: Shape, size: int) -> QuantGraph:
    out = (shape[0] // size, shape[1] // size, shape[2])
    return _graph(shape, (_op(kind, kernel=(size, size), stride=(size, size)), out))


def _simple(kind: str, shape: Shape) -> QuantGraph:
    height, width, channels = shape
    fields: dict[str, object] = {}
    out: tuple[int, ...] = shape
    op = _op(kind)
    if kind in ("add", "concat"):
        op = dataclasses.replace(op, inputs=(0, 0), axis=2)
        out = shape if kind == "add" else (height, width, 2 * channels)
    if kind in ("add", "add_constant"):
        fields = {"scales": (Scale(1 << 30, 0), Scale(1 << 30, 0), Scale(1 << 30, -18))}
    if kind == "add_constant":
        fields["constant"] = np.ones(channels, np.int8)
    if kind == "mul":
        fields = {"constant": np.ones(channels, np.int16), "scales": (_SCALE,)}
    if kind == "lookup":
        fields = {"table": np.zeros(256, np.int8)}
    if kind == "softmax":
        fields = {"table": np.ones(256, np.float32)}
    if kind == "pad":
        fields, out = {"before": (1, 1, 0), "value": 5}, (height + 2, width + 2, channels)
    if kind == "reshape":
        # Rows are cut elsewhere; a lookup ahead keeps it from being taken for the input's own shape.
        ahead = _op("lookup", table=np.zeros(256, np.int8))
        return _graph(shape, (ahead, shape), (op, (width, height, channels)))
    if kind == "mean":
        fields, out = {"scales": (_SCALE,)}, (channels,)
    if kind == "average":
        op = _op("avg_pool", kernel=(height, width), stride=(1, 1))
        out = (1, 1, channels)
    return _graph(shape, (dataclasses.replace(op, **fields), out))  # type: ignore[arg-type]


def main(argv: list[str]) -> None:
    del argv
    found = json.loads(costs.COSTS.read_text()) if costs.COSTS.is_file() else {}
    for board in FLAGS.boards:
        with tempfile.TemporaryDirectory() as work:
            found[firmware.read_board(board)["core"]] = measure(board, Path(work))
    write_whole(costs.COSTS, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    cli.run(main)
