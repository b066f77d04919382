"""Small networks of one operator each, on which code sizes and instruction costs are measured.

Only the code matters: weights are small random numbers, scales arbitrary.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.plan import nodes
from export.plan.input import Input, describe
from export.plan.kernels import Choice
from export.plan.plan import Plan
from export.tflite.quant_graph import Op, QuantGraph, Scale, Tensor
from firmware import project
from loggrad_tf.transform.binning import FACTORS
from loggrad_tf.transform.frontend import LEVELS, FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor

Shape = tuple[int, int, int]
Probe = tuple[QuantGraph, Input]
# Kinds of nodes whose code is measured one by one.
KINDS = tuple(kind for kind in nodes.KINDS if kind not in nodes.CODED)
MORE = 6
GROWING = ("pad", "concat")
_SCALE = Scale(1 << 30, -6)
_SIDE: Shape = (8, 8, 4)
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
# Behind a front end: side, filters, kernel, stride, pool; without filters the front end stands alone.
LEVELED = (
    (24, 0, 0, 1, 1),
    (12, 0, 0, 1, 1),
    (16, 8, 5, 1, 2),
    (24, 8, 3, 2, 1),
    (16, 6, 7, 1, 1),
    (24, 4, 3, 1, 1),
    (24, 12, 5, 4, 1),
    (20, 16, 3, 1, 2),
)
MAPS: tuple[Shape, ...] = ((16, 16, 8), (24, 24, 3), (8, 8, 32), (5, 7, 11))
VECTORS = ((64, 8), (200, 16), (33, 5))


def base() -> Probe:
    """The smallest network: one table of 256 values."""
    return repeated("lookup", 0)


def repeated(kind: str, count: int, multiplier: int = 1) -> Probe:
    """A lookup, then ``count`` nodes of a kind, each on the map before; those that grow, on the lookup's."""
    shape = _SIDE
    ops: list[tuple[Op, tuple[int, ...]]] = [(_op("lookup", table=np.zeros(256, np.int8)), shape)]
    for _ in range(count):
        op, out = _single(kind, shape, multiplier)
        ops.append((op, out))
        if kind not in GROWING:
            shape = (1, 1, out[0]) if len(out) == 1 else (out[0], out[1], out[2])
    return _tensor(_graph(_SIDE, *ops, chained=kind not in GROWING), _SIDE)


def _single(kind: str, shape: Shape, multiplier: int) -> tuple[Op, tuple[int, ...]]:
    if kind in nodes.POOLS:
        return _op(kind, kernel=(3, 3), stride=(1, 1), before=(1, 1, 0)), shape
    if kind == "conv":
        graph = _conv(shape, 4, 3, 1, 1)
    elif kind == "depthwise":
        graph = _depthwise(shape, 3, 1, multiplier)
    elif kind == "dense":
        graph = _dense(shape, 4)
    else:
        graph = _simple("reshape" if kind == "reflow" else kind, shape)
    return graph.ops[-1], graph.tensors[graph.output].shape


def compact(graph: QuantGraph) -> Choice:
    """The layout in which every convolution takes the portable kernel."""
    return Choice(0, frozenset(op.name for op in graph.ops))


def fronts() -> Iterator[Probe]:
    """A lookup behind every front end."""
    for end in _front_ends():
        yield _lookup_behind(end, (8, 8, 1))


def coded() -> Probe:
    """A convolution of levels, which goes by tables."""
    end = fixed("loggrad_1p5", Sensor(bits=8, black=0, white=255))
    graph = _conv((8, 8, 1), 4, 3, 1, 1)
    graph.tensors[0] = Tensor(0, "input", (8, 8, 1), 1.0, 0)
    return graph, describe(end, (8, 8, 1), 1.0, 0)


def binnings() -> Iterator[tuple[Probe, Probe]]:
    """A lookup behind every loop of binning, and behind the same front end without it."""
    for end, factor in _binnings():
        plain, binned = (_lookup_behind(end, (8, 8, 1), k) for k in (1, factor))
        yield plain, binned


def _binnings() -> Iterator[tuple[FrontEnd, int]]:
    for bits, black, white in ((8, 16, 250), (12, 64, 4000), (16, 0, 65535)):
        for factor in FACTORS[1:]:
            yield fixed("loggrad_1p5", Sensor(bits, black, white)), factor


def _lookup_behind(end: FrontEnd, shape: Shape, factor: int = 1) -> Probe:
    graph = _simple("lookup", shape)
    graph.tensors[0] = Tensor(0, "input", shape, end.input_scale, end.input_zero_point)
    return graph, describe(end, shape, end.input_scale, end.input_zero_point, factor)


def _front_ends() -> Iterator[FrontEnd]:
    for bits, black, white in ((8, 0, 255), (8, 16, 250), (12, 64, 4000), (16, 0, 65535)):
        sensor = Sensor(bits=bits, black=black, white=white)
        for name in ("loggrad_1p5", "loggrad_2p25", "loggrad_2p75", "loggrad_fp", "raw16"):
            if bits < 16 or name in LEVELS:  # other tables of 16 bits are larger than the smallest board
                yield fixed(name, sensor)


def networks() -> Iterator[Probe]:
    """Networks of one operator in several shapes, and of every front end."""
    for shape, filters, kernel, stride, pool in CONVS:
        yield _tensor(_conv(shape, filters, kernel, stride, pool), shape)
    for shape, kernel, stride, multiple in DEPTHWISE:
        yield _tensor(_depthwise(shape, kernel, stride, multiple), shape)
    for shape in MAPS:
        for kind in ("add", "add_constant", "mul", "lookup", "pad", "concat", "reshape", "mean", "average"):
            yield _tensor(_simple(kind, shape), shape)
        for kind in nodes.POOLS:
            for size in (2, 3):
                yield _tensor(_pool(kind, shape, size), shape)
    for inputs, outputs in VECTORS:
        yield _tensor(_dense((1, 1, inputs), outputs), (1, 1, inputs))
        yield _tensor(_simple("softmax", (1, 1, inputs)), (1, 1, inputs))
    yield _tensor(_dense((6, 6, 8), 4), (6, 6, 8))
    for end in _front_ends():
        for side, filters, kernel, stride, pool in LEVELED:
            shape = (side, side, 1)
            graph = _conv(shape, filters, kernel, stride, pool) if filters else _simple("lookup", shape)
            graph.tensors[0] = Tensor(0, "input", shape, end.input_scale, end.input_zero_point)
            yield graph, describe(end, shape, end.input_scale, end.input_zero_point)
    for end, factor in _binnings():
        for side in (12, 24):
            yield _lookup_behind(end, (side, side, 1), factor)


def project_of(work: Path, board: dict[str, Any], planned: Plan, source: Input) -> project.Project:
    """The project that holds the network's C, for the runners."""
    graph = planned.network.graph
    return project.Project(
        path=work,
        board=board,
        model_sha256=graph.sha256,
        rows=source.rows,
        row_codes=source.row_codes,
        binning=source.binning,
        code_bytes=source.code_bytes,
        layers=(),
        outputs=graph.tensors[graph.output].size,
        class_names=(),
        state_bytes=0,
        predicted={"ram": None, "flash": None},
    )


def _tensor(graph: QuantGraph, shape: Shape) -> Probe:
    return graph, Input("tensor", *shape)


def _graph(shape: Shape, *ops: tuple[Op, tuple[int, ...]], chained: bool = True) -> QuantGraph:
    """Operators one after the other, or all behind the first."""
    tensors = {0: Tensor(0, "input", shape, 1.0, -3)}
    for index, (_, out) in enumerate(ops):
        tensors[index + 1] = Tensor(index + 1, f"t{index}", out, 1.0, -3)
    made = tuple(
        dataclasses.replace(
            op, index=i, inputs=tuple(i if chained else min(i, 1) for _ in op.inputs), output=i + 1
        )
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
        return _graph(
            shape,
            (ahead, shape),
            (op, (height * width, 1, channels) if height == 1 else (1, height * width, channels)),
        )
    if kind == "mean":
        fields, out = {"scales": (_SCALE,)}, (channels,)
    if kind == "average":
        op = _op("avg_pool", kernel=(height, width), stride=(1, 1))
        out = (1, 1, channels)
    return _graph(shape, (dataclasses.replace(op, **fields), out))  # type: ignore[arg-type]
