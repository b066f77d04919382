"""Small networks on which code sizes and costs are measured.

Only the code matters: weights are small random numbers, scales arbitrary.
"""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.plan import nodes
from export.plan.input import Input, describe
from export.plan.kernels import FAST_LIMIT
from export.plan.plan import Plan
from export.tflite.quant_graph import Op, Operand, QuantGraph, Scale, State, Tensor
from firmware import project
from loggrad_tf.transform.binning import FACTORS
from loggrad_tf.transform.frontend import LEVELS, FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor

Shape = tuple[int, int, int]
Side = int | tuple[int, int]  # of a square, or rows and columns
Probe = tuple[QuantGraph, Input]
# Kinds of nodes whose code is measured one by one.
KINDS = tuple(kind for kind in nodes.KINDS if kind not in nodes.CODED)
MORE = 6
GROWING = ("pad", "concat")
# Those that have a kernel of their own in networks quantised to uint8.
WIDE = ("conv", "depthwise", "dense", "avg_pool")
_SCALE = Scale(1 << 30, -6)
_SIDE: Shape = (8, 8, 4)
# Behind a front end of levels: side, filters, kernel, stride, pool.
LEVELED = (
    (16, 8, 5, 1, 2),
    (24, 8, 3, 2, 1),
    (16, 6, 7, 1, 1),
    (24, 4, 3, 1, 1),
    (24, 12, 5, 4, 1),
    (20, 16, 3, 1, 2),
)
_SENSOR = Sensor(bits=8, black=0, white=255)


def base() -> Probe:
    """The smallest network: one table of 256 values."""
    return repeated("lookup", 0)


def repeated(kind: str, count: int, multiplier: int = 1, wide: bool = False) -> Probe:
    """A lookup, then ``count`` nodes of a kind, each on the map before; those that grow, on the lookup's.

    Args:
      wide: as in networks quantised to uint8.
    """
    shape = _SIDE
    ops: list[tuple[Op, tuple[int, ...]]] = [(_op("lookup", table=np.zeros(256, np.int8)), shape)]
    for _ in range(count):
        op, out = _single(kind, shape, multiplier)
        ops.append((_widened(op) if wide else op, out))
        if kind not in GROWING:
            shape = (1, 1, out[0]) if len(out) == 1 else (out[0], out[1], out[2])
    return _tensor(_graph(_SIDE, *ops, chained=kind not in GROWING), _SIDE)


def _single(kind: str, shape: Shape, multiplier: int) -> tuple[Op, tuple[int, ...]]:
    if kind in nodes.POOLS:
        return _op(kind, kernel=(3, 3), stride=(1, 1), before=(1, 1, 0)), shape
    if kind == "conv":
        graph = conv(shape, 4, 3, 1, 1)
    elif kind == "depthwise":
        graph = depthwise(shape, 3, 1, multiplier)
    elif kind == "dense":
        graph = dense(shape, 4)
    else:
        graph = simple("reshape" if kind == "reflow" else kind, shape)
    return graph.ops[-1], graph.tensors[graph.output].shape


def widened(graph: QuantGraph) -> QuantGraph:
    """As of a network that is quantised to uint8."""
    return dataclasses.replace(graph, ops=tuple(map(_widened, graph.ops)))


def _widened(op: Op) -> Op:
    weights = None if op.weights is None else op.weights.astype(np.int16)
    return dataclasses.replace(op, weights=weights, rounds_up=op.kind == "avg_pool")


def portable(graph: QuantGraph) -> QuantGraph:
    """With sums, or weights, that are not for the kernels of extensions: the portable ones are taken."""
    return dataclasses.replace(graph, ops=tuple(_portable(op) for op in graph.ops))


def _portable(op: Op) -> Op:
    if op.kind == "dense" and op.weights is not None:
        least = op.weights.copy()
        least.flat[0] = -128
        return dataclasses.replace(op, weights=least)
    return dataclasses.replace(op, reach=(FAST_LIMIT,) * len(op.reach)) if op.kind == "conv" else op


def fronts() -> Iterator[Probe]:
    """A lookup behind every front end."""
    for end in _front_ends():
        yield _lookup_behind(end, (8, 8, 1))


def coded() -> Probe:
    """A convolution of levels, which goes by tables."""
    end = fixed("loggrad_1p5", _SENSOR)
    graph = conv((8, 8, 1), 4, 3, 1, 1)
    graph.tensors[0] = Tensor(0, "input", (8, 8, 1), 1.0, 0)
    return graph, describe(end, (8, 8, 1), 1.0, 0)


def remembering(count: int) -> Probe:
    """Additions one behind the other; the first ``count`` add a state, which they become."""
    graph, source = chain(_SIDE, *[functools.partial(simple, "add") for _ in range(1 + MORE)])
    tensors, ops, states = dict(graph.tensors), list(graph.ops), []
    for place, op in enumerate(graph.ops[:count]):
        read = len(tensors)
        tensors[read] = dataclasses.replace(tensors[op.output], index=read, name=f"state{place}")
        ops[place] = dataclasses.replace(op, inputs=(op.inputs[0], read))
        states.append(State(read, op.output, np.zeros(tensors[read].size, np.int8)))
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(ops), states=tuple(states)), source


def winograd() -> Probe:
    """A lookup, then two convolutions that go by fewer products on cores with the DSP extension."""
    return chain(
        (64, 64, 8),
        functools.partial(simple, "lookup"),
        lambda at: conv(at, 12, 5, 1, 2),
        lambda at: conv(at, 8, 3, 1, 2),
    )


def leveled(graph: QuantGraph, end: FrontEnd | None = None) -> Probe:
    """A network behind a front end, of three levels if none is given."""
    end = end or fixed("loggrad_1p5", _SENSOR)
    shape = graph.tensors[0].shape
    assert len(shape) == 3
    graph.tensors[0] = Tensor(0, "input", shape, end.input_scale, end.input_zero_point)
    return graph, describe(end, shape, end.input_scale, end.input_zero_point)


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
    graph = simple("lookup", shape)
    graph.tensors[0] = Tensor(0, "input", shape, end.input_scale, end.input_zero_point)
    return graph, describe(end, shape, end.input_scale, end.input_zero_point, factor)


def _front_ends() -> Iterator[FrontEnd]:
    for bits, black, white in ((8, 0, 255), (8, 16, 250), (12, 64, 4000), (16, 0, 65535)):
        sensor = Sensor(bits=bits, black=black, white=white)
        for name in ("loggrad_1p5", "loggrad_2p25", "loggrad_2p75", "loggrad_fp", "raw16"):
            if bits < 16 or name in LEVELS:  # other tables of 16 bits are larger than the smallest board
                yield fixed(name, sensor)


def networks() -> Iterator[Probe]:
    """Every front end twice and every loop of binning twice; behind levels the convolutions by tables."""
    convs = itertools.cycle(LEVELED)
    for end in _front_ends():
        for side in (24, 12):
            if end.format in LEVELS:
                _, filters, kernel, stride, pooled = next(convs)
                yield leveled(conv((side, side, 1), filters, kernel, stride, pooled), end)
            else:
                yield leveled(simple("lookup", (side, side, 1)), end)
    for end, factor in _binnings():
        for side in (12, 24):
            yield _lookup_behind(end, (side, side, 1), factor)


def padded(shape: Shape, to: Shape) -> QuantGraph:
    """The same map within a larger one."""
    return _graph(shape, (_op("pad", before=(to[0] // 2, to[1] // 2, 0), value=5), to))


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


def chain(shape: Shape, *layers: Callable[[Shape], QuantGraph]) -> Probe:
    """Networks one behind the other, each of the shape that the one before it has made."""
    ops: list[tuple[Op, tuple[int, ...]]] = []
    at = shape
    for layer in layers:
        made = layer(at)
        ops += [(op, made.tensors[op.output].shape) for op in made.ops]
        *before, last = made.tensors[made.output].shape
        at = (before[0], before[1], last) if before else (1, 1, last)
    return _tensor(_graph(shape, *ops), shape)


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


def conv(shape: Shape, filters: int, kernel: Side, stride: Side, pool: Side = 1, **more: int) -> QuantGraph:
    """A convolution with zeros around its map, and a maximum of pool x pool behind it."""
    (kh, kw), (sh, sw), down = pair(kernel), pair(stride), pair(pool)
    side = -(-shape[0] // sh), -(-shape[1] // sw)
    made = _op(
        "conv",
        kernel=(kh, kw),
        stride=(sh, sw),
        before=(kh // 2, kw // 2, 0),
        weights=_weights((filters, kh, kw, shape[2])),
        scales=(_SCALE,) * filters,
        reach=(2**20,) * filters,
        **more,
    )
    ops: list[tuple[Op, tuple[int, ...]]] = [(made, (*side, filters))]
    if down != (1, 1):
        pooled = side[0] // down[0], side[1] // down[1]
        ops.append((_op("max_pool", kernel=down, stride=down), (*pooled, filters)))
    return _graph(shape, *ops)


def depthwise(shape: Shape, kernel: Side, stride: Side = 1, multiple: int = 1, **more: int) -> QuantGraph:
    """A depthwise convolution with zeros around its map."""
    (kh, kw), (sh, sw) = pair(kernel), pair(stride)
    channels = shape[2] * multiple
    op = _op(
        "depthwise",
        kernel=(kh, kw),
        stride=(sh, sw),
        before=(kh // 2, kw // 2, 0),
        weights=_weights((kh, kw, channels)),
        scales=(_SCALE,) * channels,
        reach=(2**20,) * channels,
        **more,
    )
    return _graph(shape, (op, (-(-shape[0] // sh), -(-shape[1] // sw), channels)))


def pair(side: Side) -> tuple[int, int]:
    """Rows and columns of a side, which a single number gives to both."""
    return side if isinstance(side, tuple) else (side, side)


def dense(shape: Shape, outputs: int) -> QuantGraph:
    """A dense layer of the whole map."""
    size = shape[0] * shape[1] * shape[2]
    op = _op("dense", weights=_weights((outputs, size)), scales=(_SCALE,), reach=(2**20,) * outputs)
    return _graph(shape, (op, (outputs,)))


def pool(kind: str, shape: Shape, size: Side, stride: int | None = None, **more: int) -> QuantGraph:
    """A pool: windows beside each other, or ``stride`` apart with padding around the map."""
    kh, kw = pair(size)
    if stride is None:
        out = (shape[0] // kh, shape[1] // kw, shape[2])
        return _graph(shape, (_op(kind, kernel=(kh, kw), stride=(kh, kw), **more), out))
    made = _op(kind, kernel=(kh, kw), stride=(stride, stride), before=(kh // 2, kw // 2, 0), **more)
    return _graph(shape, (made, (-(-shape[0] // stride), -(-shape[1] // stride), shape[2])))


def simple(kind: str, shape: Shape, **more: int) -> QuantGraph:
    """An operator of values, or of a whole map."""
    height, width, channels = shape
    fields: dict[str, object] = {}
    out: tuple[int, ...] = shape
    op = _op(kind, **more)
    if kind in ("add", "concat"):
        op = dataclasses.replace(op, inputs=(0, 0), axis=2)
        out = shape if kind == "add" else (height, width, 2 * channels)
    if kind == "stacked":  # a concat along rows
        op, fields = dataclasses.replace(op, inputs=(0, 0)), {"kind": "concat", "axis": 0}
        out = (2 * height, width, channels)
    if kind in ("add", "add_constant"):
        fields = {"scales": (Scale(1 << 30, 0), Scale(1 << 30, 0), Scale(1 << 30, -18))}
    if kind == "add_constant":
        fields["constant"] = np.ones(channels, np.int8)
    if kind == "mul":
        fields = {"constant": np.ones(channels, np.int16), "scales": (_SCALE,)}
    if kind == "lookup":
        fields = {"table": np.zeros(256, np.int8)}
    if kind == "softmax":
        fields = {"table": np.full(256, (1 << 31) - 1, np.int32)}
    if kind == "log_softmax":
        fields = {
            "table": np.full(256, 1 << 19, np.int32),
            "scales": (Scale(1 << 30, 0), Scale(1 << 30, -24)),
        }
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
    if kind in nodes.PAIRS:
        op = dataclasses.replace(op, inputs=(0, 0))
        zeros: dict[str, object] = {"operands": (Operand(shape, -3), Operand(shape, -3))}
        fields = zeros | {"scales": (Scale(1 << 30, 0), Scale(1 << 30, 0), Scale(1 << 30, -18))}
        if kind == "product":
            fields["scales"] = (_SCALE,)
    if kind in ("select", "strided"):
        step = 1 if kind == "select" else 2
        fields, out = {"kind": "select"}, (height, width, -(-channels // step))
        fields["picks"] = (range(height), range(width), range(0, channels, step))
    if kind == "bilinear":
        fields["between"] = tuple(tuple((i, i, 0) for i in range(n)) for n in (height, width))
    if kind == "transpose":
        fields, out = {"steps": (channels, height * channels, 1)}, (width, height, channels)
    if kind == "reduce":
        fields, out = {"scales": (_SCALE,), "steps": (width, 1, 0)}, (height, width, 1)
    if kind == "mean":
        fields, out = {"scales": (_SCALE,)}, (channels,)
    if kind == "average":
        op = _op("avg_pool", kernel=(height, width), stride=(1, 1), **more)
        out = (1, 1, channels)
    return _graph(shape, (dataclasses.replace(op, **fields), out))  # type: ignore[arg-type]
