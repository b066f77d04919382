"""Where every activation lies in RAM: one arena, offsets fixed before the first line of C.

A value lives from the step that writes it to the last step that reads it; two values may share
bytes if they never live at the same time. The arena's size is

    max over values of (offset + size),

at least the largest sum of sizes alive during one step. Several greedy orders and a short
search look for that bound. Reshapes cost nothing; additions and requantisations write over an
input that nobody needs any more. The order of the operators is the caller's
(see :mod:`export.schedule`).

:func:`place` knows nothing of networks, so that resource counts elsewhere can use it too.
"""

import dataclasses
import math
import random
from collections.abc import Sequence

import numpy as np

from export.quant_graph import Op, QuantGraph
from loggrad_tf.errors import LogGradError

ALIGNMENT = 4
SEARCH_ROUNDS = 400
# Kernels that may write over an input (lg_nn.h).
IN_PLACE = ("add", "requantize")


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Bytes needed during the steps first..last, both included."""

    size: int
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class Layer:
    """One line of the printed plan."""

    name: str
    kind: str
    shape: tuple[int, ...]
    macs: int
    weight_bytes: int
    live_bytes: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where things are. Offsets are bytes from the start of the arena, multiples of 4.

    Attributes:
      arena_bytes: size of the arena, a multiple of 4.
      offsets: tensor index -> offset; tensors that share a buffer share an offset.
      scratch: operator index -> offset of its int32 working memory (mean).
      bound: the largest number of bytes alive at one time; no placement can do better.
      layers: one per operator, in order.
    """

    arena_bytes: int
    offsets: dict[int, int]
    scratch: dict[int, int]
    bound: int
    layers: tuple[Layer, ...]

    def table(self) -> str:
        """The plan as text: a line per layer, then the totals."""
        lines = [f"{'layer':18s} {'output':>14s} {'MACs':>11s} {'weights B':>10s} {'live B':>8s}"]
        for layer in self.layers:
            shape = "x".join(str(n) for n in layer.shape)
            numbers = f"{layer.macs:>11,} {layer.weight_bytes:>10,} {layer.live_bytes:>8,}"
            lines.append(f"{layer.name:18s} {shape:>14s} {numbers}")
        macs = sum(layer.macs for layer in self.layers)
        weights = sum(layer.weight_bytes for layer in self.layers)
        lines.append(f"{'total':18s} {'':14s} {macs:>11,} {weights:>10,} {self.arena_bytes:>8,}")
        return "\n".join(lines)


def plan(graph: QuantGraph) -> Plan:
    """Place every activation of ``graph``, its input included, and the scratch of its operators."""
    last_use = _last_uses(graph)
    owner = {graph.input: graph.input}
    for step, op in enumerate(graph.ops):
        owner[op.output] = _share(graph, op, step, owner, last_use)
    spans: dict[int, tuple[int, int]] = {}
    written = {graph.input: -1} | {op.output: step for step, op in enumerate(graph.ops)}
    for tensor, root in owner.items():
        first, last = spans.get(root, (written[tensor], -1))
        spans[root] = (min(first, written[tensor]), max(last, last_use[tensor]))
    keys: list[tuple[str, int]] = [("tensor", root) for root in spans]
    buffers = [Buffer(_aligned(graph.tensors[root].size), *span) for root, span in spans.items()]
    for step, op in enumerate(graph.ops):
        if op.kind == "mean":
            keys.append(("scratch", op.index))
            buffers.append(Buffer(4 * graph.tensors[op.inputs[0]].shape[-1], step, step))
    offsets = dict(zip(keys, place(buffers), strict=True))
    return Plan(
        arena_bytes=max(offsets[k] + b.size for k, b in zip(keys, buffers, strict=True)),
        offsets={tensor: offsets["tensor", root] for tensor, root in owner.items()},
        scratch={index: offset for (kind, index), offset in offsets.items() if kind == "scratch"},
        bound=live_bound(buffers),
        layers=tuple(
            Layer(
                name=op.name,
                kind=op.kind,
                shape=graph.tensors[op.output].shape,
                macs=graph.macs(op),
                weight_bytes=constant_bytes(op),
                live_bytes=sum(b.size for b in buffers if b.first <= step <= b.last),
            )
            for step, op in enumerate(graph.ops)
        ),
    )


def constant_bytes(op: Op) -> int:
    """Bytes of flash that the operator's numbers take: weights, bias, scales, table."""
    size = sum(int(a.nbytes) for a in (op.weights, op.bias, op.table) if isinstance(a, np.ndarray))
    scale = 9 if op.kind == "dense" else 5
    return size + (scale * len(op.scales) if op.weights is not None else 0)


def place(buffers: Sequence[Buffer]) -> list[int]:
    """An offset for each buffer such that no two alive at the same time overlap.

    First fit in an order reaches the optimum for at least one order; sizes, lifetimes and
    their products are tried, then random exchanges from the best, always the same ones.
    """
    if any(b.size < 1 or b.first > b.last for b in buffers):
        raise LogGradError("a buffer needs at least one byte and one step")
    count, bound = len(buffers), live_bound(buffers)
    keys = (
        lambda i: (-buffers[i].size, buffers[i].first),
        lambda i: (buffers[i].first, -buffers[i].size),
        lambda i: (buffers[i].first - buffers[i].last, -buffers[i].size),
        lambda i: (-buffers[i].size * (buffers[i].last - buffers[i].first + 1), i),
        lambda i: (-_pressure(buffers, i), -buffers[i].size),
    )
    best_order = list(range(count))
    best, best_total = _first_fit(buffers, best_order)
    for key in keys:
        order = sorted(range(count), key=key)
        offsets, total = _first_fit(buffers, order)
        if total < best_total:
            best, best_total, best_order = offsets, total, order
    generator = random.Random(0)
    for _ in range(SEARCH_ROUNDS if count > 2 else 0):
        if best_total == bound:
            break
        order = list(best_order)
        i, j = generator.sample(range(count), 2)
        order.insert(j, order.pop(i))
        offsets, total = _first_fit(buffers, order)
        if total <= best_total:
            best, best_total, best_order = offsets, total, order
    return best


def live_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of sizes alive at one step."""
    steps = {b.first for b in buffers}
    return max((sum(b.size for b in buffers if b.first <= s <= b.last) for s in steps), default=0)


def _pressure(buffers: Sequence[Buffer], index: int) -> int:
    """The largest live sum during the life of one buffer."""
    mine = buffers[index]
    overlapping = [b for b in buffers if b.first <= mine.last and mine.first <= b.last]
    return live_bound([Buffer(b.size, max(b.first, mine.first), min(b.last, mine.last)) for b in overlapping])


def _first_fit(buffers: Sequence[Buffer], order: Sequence[int]) -> tuple[list[int], int]:
    offsets = [0] * len(buffers)
    placed: list[int] = []
    total = 0
    for index in order:
        mine = buffers[index]
        taken = sorted(
            (offsets[i], offsets[i] + buffers[i].size)
            for i in placed
            if buffers[i].first <= mine.last and mine.first <= buffers[i].last
        )
        offset = 0
        for start, end in taken:
            if offset + mine.size <= start:
                break
            offset = max(offset, end)
        offsets[index] = offset
        placed.append(index)
        total = max(total, offset + mine.size)
    return offsets, total


def _last_uses(graph: QuantGraph) -> dict[int, int]:
    """Tensor -> the last step that reads it; the output is read after the last step."""
    last = {graph.input: -1} | {op.output: step for step, op in enumerate(graph.ops)}
    for step, op in enumerate(graph.ops):
        for tensor in op.inputs:
            last[tensor] = max(last[tensor], step)
    last[graph.output] = len(graph.ops)
    return last


def _share(graph: QuantGraph, op: Op, step: int, owner: dict[int, int], last_use: dict[int, int]) -> int:
    """The buffer the operator writes: an input's where that is exact, else its own."""
    if op.kind == "reshape":
        return owner[op.inputs[0]]
    if op.kind in IN_PLACE:
        for tensor in op.inputs:
            group = [t for t in owner if owner[t] == owner[tensor]]
            if max(last_use[t] for t in group) <= step and graph.tensors[tensor].size == math.prod(
                graph.tensors[op.output].shape
            ):
                return owner[tensor]
    return op.output


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
