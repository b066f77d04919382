"""The op graph: one description of a network, shared by every room.

A :class:`Graph` is a tuple of :class:`Op`, in execution order, each naming its inputs
by position and carrying its output shape. The Keras model, the resource counts and the
exported file are all derived from it, so they cannot disagree about a shape. It holds
no weights. Convolutions, depthwise convolutions, dense layers and additions may carry
a batch normalisation and a ReLU, applied in that order after the operation.

Shapes leave out the batch: (H, W, C) for maps, (N,) after flatten, global average or dense.
Sizes round down, as Keras' ``valid`` does: ``floor((H - k) / s) + 1``; ``same`` gives
``ceil(H / s)``.
"""

import dataclasses
import hashlib
import json
import math

from loggrad_tf.data.sides import Size, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

KINDS = (
    "input",
    "conv",
    "depthwise",
    "dense",
    "add",
    "max_pool",
    "avg_pool",
    "global_avg",
    "flatten",
)
WEIGHTED = ("conv", "depthwise", "dense")
WINDOWED = ("conv", "depthwise", "max_pool", "avg_pool")
# Paddings of a convolution: none, or zeros that keep a map's size.
VALID, SAME = "valid", "same"


@dataclasses.dataclass(frozen=True)
class Op(JsonBase):
    """One operation.

    Attributes:
      kind: one of :data:`KINDS`.
      inputs: positions of earlier ops in the graph; two or more only for ``add``.
      shape: output shape without the batch.
      kernel: window (rows, columns) of conv, depthwise and pools.
      stride: step (rows, columns) of the same.
      padding: ``valid`` or ``same``; what pools pad counts for nothing.
      bn: a batch normalisation follows.
      relu: a ReLU follows (after the batch normalisation).
      name: unique within the graph; also names the layer in Keras and in the C.
    """

    kind: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: str = VALID
    bn: bool = False
    relu: bool = False
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Graph(JsonBase):
    """A network: ``ops[0]`` is the input, the last op gives the logits: a vector, or a map of a detector.

    A detector ends in a convolution without activation: for each cell of a grid the scores of the background
    and of each class (:mod:`loggrad_tf.detect.grid`).
    """

    ops: tuple[Op, ...]

    def __post_init__(self) -> None:
        _check(self.ops)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.ops[0].shape

    @property
    def output_units(self) -> int:
        return self.ops[-1].shape[-1]

    @property
    def cells(self) -> tuple[int, int] | None:
        """Rows and columns of the grid that a detector answers on; None for a classifier."""
        shape = self.ops[-1].shape
        return (shape[0], shape[1]) if len(shape) == 3 else None

    def sha256(self) -> str:
        """Hash of the canonical JSON form: equal graphs, and only they, have equal hashes."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def output_units(classes: int, detects: bool = False) -> int:
    """Width of the last layer: one logit decides two classes, else one per class.

    Args:
      detects: the network is a detector: one score a class and one for the background.
    """
    if detects:
        return 1 + classes
    if classes < 2:
        raise LogGradError(f"{classes} class: a classifier needs at least two")
    return 1 if classes == 2 else classes


def adapted(graph: Graph, size: Size, classes: int) -> Graph:
    """The same layers for inputs of another size and another number of classes.

    Raises:
      LogGradError: a map that becomes empty, or other classes for a classifier that no dense layer ends.
    """
    units = output_units(classes, detects=graph.cells is not None)
    ops: list[Op] = []
    for position, op in enumerate(graph.ops):
        if op.kind == "input":
            shape: tuple[int, ...] | None = (*sides(size), op.shape[2])
        else:
            shape = _expected_shape(op, [ops[i].shape for i in op.inputs])
        if position == len(graph.ops) - 1 and units != graph.output_units:
            if op.kind != "dense" and graph.cells is None:
                raise LogGradError(
                    f"op '{op.name}': the last one is no dense layer, so its classes are fixed"
                )
            shape = (*(shape or op.shape)[:-1], units)
        ops.append(dataclasses.replace(op, shape=shape or op.shape))
    return Graph(tuple(ops))


def weight_shapes(graph: Graph, op: Op) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of (kernel, bias) in Keras layout: conv HWIO, depthwise HWC1, dense IO."""
    source = graph.ops[op.inputs[0]].shape
    channels = op.shape[-1]
    if op.kind == "conv":
        return (*op.kernel, source[-1], channels), (channels,)
    if op.kind == "depthwise":
        return (*op.kernel, channels, 1), (channels,)
    if op.kind == "dense":
        return (source[0], channels), (channels,)
    raise LogGradError(f"op '{op.name}' of kind {op.kind} has no weights")


def weight_count(graph: Graph, op: Op) -> int:
    """Kernel and bias elements of one op; 0 for ops without weights.

    Batch normalisation counts nothing: it folds into kernel and bias.
    """
    if op.kind not in WEIGHTED:
        return 0
    kernel, bias = weight_shapes(graph, op)
    return math.prod(kernel) + bias[0]


def macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one op, as muNAS counts them.

    conv: outputs x kh x kw x input channels; depthwise: outputs x kh x kw; dense: in x out;
    pools: outputs x window; add: (inputs - 1) x outputs; global average: inputs.
    """
    source = graph.ops[op.inputs[0]].shape if op.inputs else ()
    window = op.kernel[0] * op.kernel[1]
    outputs = math.prod(op.shape)
    if op.kind == "conv":
        return outputs * window * source[-1]
    if op.kind in ("depthwise", "max_pool", "avg_pool"):
        return outputs * window
    if op.kind == "dense":
        return outputs * source[0]
    if op.kind == "add":
        return (len(op.inputs) - 1) * outputs
    if op.kind == "global_avg":
        return math.prod(source)
    return 0


def window_output(size: int, kernel: int, stride: int, padding: str) -> int:
    """Rows (or columns) that a window op makes of ``size`` rows; rounds down for ``valid``."""
    if padding == SAME:
        return -(-size // stride)
    return (size - kernel) // stride + 1


class GraphBuilder:
    """Builds a graph op by op; every method returns the new op's position.

    Example::

        b = GraphBuilder()
        x = b.input(96, 96, 1)
        x = b.conv(x, 8, 5, relu=True)
        x = b.max_pool(x, 2)
        graph = b.build(b.dense(b.flatten(x), 3))
    """

    def __init__(self) -> None:
        self._ops: list[Op] = []

    def shape(self, x: int) -> tuple[int, ...]:
        return self._ops[x].shape

    def input(self, height: int, width: int, channels: int) -> int:
        return self._append(Op("input", (), (height, width, channels)))

    def conv(
        self, x: int, filters: int, kernel: int, *, stride: int = 1, padding: str = VALID,
        bn: bool = False, relu: bool = False,
    ) -> int:  # fmt: skip
        h, w, _ = self._map(x)
        shape = (*self._window(h, w, kernel, stride, padding), filters)
        return self._append(Op("conv", (x,), shape, (kernel, kernel), (stride, stride), padding, bn, relu))

    def depthwise(
        self, x: int, kernel: int, *, stride: int = 1, padding: str = VALID,
        bn: bool = False, relu: bool = False,
    ) -> int:  # fmt: skip
        h, w, c = self._map(x)
        shape = (*self._window(h, w, kernel, stride, padding), c)
        return self._append(
            Op("depthwise", (x,), shape, (kernel, kernel), (stride, stride), padding, bn, relu)
        )

    def dense(self, x: int, units: int, *, relu: bool = False) -> int:
        return self._append(Op("dense", (x,), (units,), relu=relu))

    def add(self, xs: list[int], *, relu: bool = False) -> int:
        """Sum of maps of equal channels; smaller maps are zero-padded at the bottom and right."""
        maps = [self._map(x) for x in xs]
        shape = (max(m[0] for m in maps), max(m[1] for m in maps), maps[0][2])
        return self._append(Op("add", tuple(xs), shape, relu=relu))

    def max_pool(self, x: int, rows: int, columns: int | None = None, *, padding: str = VALID) -> int:
        return self._pool("max_pool", x, rows, columns, padding)

    def avg_pool(self, x: int, rows: int, columns: int | None = None) -> int:
        return self._pool("avg_pool", x, rows, columns)

    def global_avg(self, x: int) -> int:
        return self._append(Op("global_avg", (x,), (self._map(x)[2],)))

    def flatten(self, x: int) -> int:
        """(H, W, C) -> (H*W*C,), row-major, channels last."""
        return self._append(Op("flatten", (x,), (math.prod(self.shape(x)),)))

    def build(self, output: int) -> Graph:
        if output != len(self._ops) - 1:
            raise LogGradError(f"the graph's output is op {output}, but {len(self._ops) - 1} was added last")
        return Graph(tuple(self._ops))

    def _map(self, x: int) -> tuple[int, int, int]:
        shape = self.shape(x)
        if len(shape) != 3:
            raise LogGradError(f"op '{self._ops[x].name}' gives shape {shape}; a map (H, W, C) is needed")
        return shape[0], shape[1], shape[2]

    def _window(self, h: int, w: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
        return window_output(h, kernel, stride, padding), window_output(w, kernel, stride, padding)

    def _pool(self, kind: str, x: int, rows: int, columns: int | None, padding: str = VALID) -> int:
        h, w, c = self._map(x)
        columns = rows if columns is None else columns
        shape = (window_output(h, rows, rows, padding), window_output(w, columns, columns, padding), c)
        return self._append(Op(kind, (x,), shape, (rows, columns), (rows, columns), padding))

    def _append(self, op: Op) -> int:
        position = len(self._ops)
        self._ops.append(dataclasses.replace(op, name=f"{op.kind}_{position}" if position else "input"))
        return position


def _check(ops: tuple[Op, ...]) -> None:
    if len(ops) < 2 or ops[0].kind != "input" or len(ops[-1].shape) != 1 and ops[-1].kind != "conv":
        raise LogGradError(
            "a graph begins with an input op and ends with a vector of logits, or with a convolution"
        )
    if len(ops[-1].shape) == 3 and (ops[-1].bn or ops[-1].relu):
        raise LogGradError(f"op '{ops[-1].name}': the scores of a detector have no batch norm and no ReLU")
    names: set[str] = set()
    for position, op in enumerate(ops):
        where = f"op {position} ('{op.name}', {op.kind})"
        if op.kind not in KINDS:
            raise LogGradError(f"{where}: unknown kind; known are {', '.join(KINDS)}")
        if (op.kind == "input") != (position == 0) or op.name in names:
            raise LogGradError(f"{where}: a graph has one input, and every op a name of its own")
        names.add(op.name)
        if not all(0 <= i < position for i in op.inputs):
            raise LogGradError(f"{where}: inputs {op.inputs} must come before it")
        if any(size < 1 for size in op.shape):
            raise LogGradError(f"{where}: empty output {op.shape}; use a smaller kernel, stride or pool")
        expected = _expected_shape(op, [ops[i].shape for i in op.inputs])
        if expected is not None and expected != op.shape:
            raise LogGradError(f"{where}: shape {op.shape}, but its inputs give {expected}")


def _expected_shape(op: Op, sources: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The output shape where the inputs decide it (filters and units are free)."""
    if op.kind in WINDOWED:
        h, w, c = sources[0]
        rows = window_output(h, op.kernel[0], op.stride[0], op.padding)
        columns = window_output(w, op.kernel[1], op.stride[1], op.padding)
        return rows, columns, op.shape[-1] if op.kind == "conv" else c
    if op.kind == "add":
        if len(sources) < 2 or len({s[-1] for s in sources}) != 1:
            raise LogGradError(f"op '{op.name}': add needs two or more maps of equal channels, got {sources}")
        return max(s[0] for s in sources), max(s[1] for s in sources), sources[0][2]
    if op.kind == "global_avg":
        return (sources[0][-1],)
    if op.kind == "flatten":
        return (math.prod(sources[0]),)
    return None
