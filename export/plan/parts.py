"""Wide bands of channels made part by part, so that fewer bytes of them lie in RAM at one time.

A channel of a depthwise convolution is computed from that channel alone. Where a convolution widens a map and
a depthwise convolution reads the result, as in inverted bottlenecks, the two can do some channels first and
then the others; what they make is joined row by row:

    conv to C -> depthwise     turns into     conv to C/2 -> depthwise -> )
                                              conv to C/2 -> depthwise -> ) joined

    IN_TURN   the whole map of one part, then that of the next. No product is computed twice, but what the
              convolution reads, and what the parts make, are held whole.
    AGAIN     a row of one part, then that of the next. Rows stream, but those of the convolution that two
              windows share are computed again: by a list of rows, of which every window has its own.

What is computed is the same, byte for byte.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from export.plan import plan as planning
from export.plan.kernels import Choice
from export.plan.plan import Plan
from export.tflite.quant_graph import Op, QuantGraph, Tensor
from loggrad_tf.errors import LogGradError

IN_TURN, AGAIN = "in turn", "again"
# Channels that kernels take at once.
UNIT = 4
# A part has at least so many: kernels take their time for each row, however few channels it has.
LEAST = 8
# Into how many parts channels are divided.
COUNTS = (2, 3, 4, 6, 8)
# Multiply-accumulates that the whole may take, to those of the network.
LIMIT = 1.05

Chain = tuple[int, ...]
Division = tuple[str, int]


def divided(graph: QuantGraph, core: str = "", levels: int = 0, choice: Choice | None = None) -> QuantGraph:
    """The graph with channels made in parts wherever that lets its plan need less RAM; itself if nowhere.

    Args:
      core, levels, choice: as of :func:`export.plan.plan.plan`.
    """
    *_, least = descent(graph, core, levels, choice)
    return least.network.graph


def descent(
    graph: QuantGraph, core: str = "", levels: int = 0, choice: Choice | None = None
) -> Iterator[Plan]:
    """The undivided plan, then plans of less and less RAM: each divides one chain more, or into more parts.

    The last one has as few parts as its RAM allows. Of equal RAM the plan of fewer products is taken.
    """
    chosen: dict[Chain, Division] = {}

    def planned(divisions: Mapping[Chain, Division]) -> Plan:
        return planning.plan(_with(graph, divisions), core, levels, choice)

    best = planned(chosen)
    limit = LIMIT * best.macs
    while True:
        yield best
        crowd = {_of_file(best.network.graph, key) for key in planning.crowd(best)}
        allowed = []
        for chain in chains(graph):
            if crowd.isdisjoint(graph.ops[at].output for at in chain):
                continue
            for division in _divisions(graph, chain):
                try:
                    made = planned(chosen | {chain: division})
                except LogGradError:  # more calls a frame than can be planned
                    continue
                if made.macs <= limit and made.arena_bytes < best.arena_bytes:
                    allowed.append((made, chain, division))
        if not allowed:
            break
        best, chain, division = min(allowed, key=lambda one: (one[0].arena_bytes, one[0].macs))
        chosen[chain] = division
    # What was divided early may have been divided further than the rest lets it count.
    for chain in sorted(chosen):
        rest = {other: division for other, division in chosen.items() if other != chain}
        fewer = [one for one in _divisions(graph, chain) if one[1] < chosen[chain][1]]
        for known in [rest, *(rest | {chain: one} for one in sorted(fewer, key=lambda one: one[1]))]:
            made = planned(known)
            if made.arena_bytes <= best.arena_bytes and made.macs <= best.macs:
                best, chosen = made, known
                break
    yield best


def _of_file(graph: QuantGraph, key: int) -> int:
    """A map, or the tensor of the file of which it is a part."""
    whole = graph.tensors[key].whole if key in graph.tensors else None
    return key if whole is None else whole


def chains(graph: QuantGraph) -> list[Chain]:
    """Positions of the operators from a convolution to a depthwise one that alone reads it."""
    producer = {op.output: position for position, op in enumerate(graph.ops)}
    readers = [key for op in graph.ops for key in op.inputs]
    ends = {*graph.outputs, *(state.written for state in graph.states)}
    found = []
    for position, op in enumerate(graph.ops):
        chain: Chain = (position,)
        kind = op.kind
        if kind != "depthwise":
            continue
        while kind in ("depthwise", "pad"):
            (key,) = graph.ops[chain[0]].inputs
            if key not in producer or readers.count(key) > 1 or key in ends:
                break
            chain = (producer[key], *chain)
            kind = graph.ops[chain[0]].kind
        channels = {graph.tensors[graph.ops[at].output].shape[-1] for at in chain}
        if kind == "conv" and len(channels) == 1:
            found.append(chain)
    return found


def _divisions(graph: QuantGraph, chain: Chain) -> list[Division]:
    channels = graph.tensors[graph.ops[chain[-1]].output].shape[-1]
    ways = (IN_TURN, AGAIN) if _windows(graph, chain) else (IN_TURN,)
    return [(way, count) for way in ways for count in COUNTS if channels >= LEAST * count]


def _windows(graph: QuantGraph, chain: Chain) -> list[range]:
    """Of every row that a chain makes, the rows that its convolution makes for it; empty where those of each
    window cannot be made by themselves."""
    conv, *pads, last = (graph.ops[at] for at in chain)
    (height, _, _), (rows, _, _) = graph.tensors[conv.output].shape, graph.tensors[last.output].shape
    before = sum(op.before[0] for op in (*pads, last))
    size, stride = last.kernel[0], last.stride[0]
    plain = conv.kernel[0] == conv.stride[0] == 1 and conv.before[0] == 0 and last.dilation[0] == 1
    # Only the first window begins above the map, and only the last one ends below.
    inside = stride >= before and (rows - 2) * stride - before + size <= height
    if not plain or not inside or before >= size or rows < 2:
        return []
    starts = [row * stride - before for row in range(rows)]
    return [range(max(start, 0), min(start + size, height)) for start in starts]


def _with(graph: QuantGraph, divisions: Mapping[Chain, Division]) -> QuantGraph:
    """The last chain first: positions ahead of it stay."""
    for chain in sorted(divisions, reverse=True):
        graph = divide(graph, chain, *divisions[chain])
    return graph


def divide(graph: QuantGraph, chain: Chain, way: str, count: int) -> QuantGraph:
    """The operators of a chain once for each of ``count`` parts of the channels."""
    first, *_, last = (graph.ops[at] for at in chain)
    channels = graph.tensors[last.output].shape[-1]
    bounds = [min(-(-channels * part // (count * UNIT)) * UNIT, channels) for part in range(count + 1)]
    rows = [row for window in _windows(graph, chain) for row in window] if way == AGAIN else []
    tensors, made, ends = dict(graph.tensors), [], []

    def part_of(whole: Tensor, shape: Sequence[int], begin: int, picked: Sequence[int]) -> int:
        index = max(tensors) + 1
        origin = whole.index if whole.whole is None else whole.whole
        tensors[index] = dataclasses.replace(
            whole, index=index, shape=tuple(shape), whole=origin, first=begin, rows=tuple(picked)
        )
        return index

    for part, (begin, end) in enumerate(zip(bounds, bounds[1:], strict=False), 1):
        key = first.inputs[0]
        if rows:
            source = tensors[key]
            height, *rest = len(rows), *source.shape[1:]
            picked = part_of(source, (height, *rest), 0, rows)
            picks: tuple[range | tuple[int, ...], ...] = (tuple(rows), *(range(side) for side in rest))
            made.append(Op(first.index, "select", (key,), picked, picks=picks, part=part))
            key = picked
        for at in chain:
            op, whole = graph.ops[at], tensors[graph.ops[at].output]
            height = whole.shape[0]
            if rows and op is not last:
                height = len(rows) if op is first else last.kernel[0] * tensors[last.output].shape[0]
            index = part_of(
                whole, (height, *whole.shape[1:-1], end - begin), begin, rows if op is first else ()
            )
            stride = (last.kernel[0], last.stride[1]) if rows and op is last else op.stride
            some = dataclasses.replace(_some(op, begin, end), stride=stride, part=part)
            made.append(dataclasses.replace(some, inputs=(key,), output=index))
            key = index
        ends.append(key)
    joined = Op(last.index, "concat", tuple(ends), last.output, axis=2, in_turn=way == IN_TURN)
    ops = [op for at, op in enumerate(graph.ops) if at not in chain[:-1]]
    place = ops.index(last)
    return dataclasses.replace(graph, tensors=tensors, ops=(*ops[:place], *made, joined, *ops[place + 1 :]))


def _some(op: Op, begin: int, end: int) -> Op:
    """An operator of the channels from ``begin`` to before ``end`` of its output."""
    if op.kind == "pad":
        return op
    assert op.weights is not None
    weights = op.weights[begin:end] if op.kind == "conv" else op.weights[..., begin:end]
    return dataclasses.replace(
        op,
        weights=np.ascontiguousarray(weights),
        bias=None if op.bias is None else op.bias[begin:end],
        scales=op.scales[begin:end],
        reach=op.reach[begin:end],
    )
