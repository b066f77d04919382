"""Operators fused into nodes: what one call of a row kernel computes, and which rows it needs.

A map is an activation seen as rows of pixels; a vector is one row of one pixel. A node makes its output
map one row at a time, from a few rows of its input maps, in `steps`. Some kinds gather instead: mean,
average, dense and reflow take one input row a step and have their output only after the last.

Fusion, all exact:

    pad -> conv           padding is bytes of the zero point, whoever writes them
    conv -> max_pool      the maximum is taken before rescaling, which never decreases
    avg_pool              over the whole map: sums that grow row by row
    reshape               the same bytes, wherever rows stay rows
    levels -> conv        codes of several levels, which index tables of partial sums
"""

import dataclasses
import functools

from export.tflite.quant_graph import Op, QuantGraph, Tensor
from loggrad_tf.errors import LogGradError

# The map of codes between a front end of levels and its convolution by tables; tensors are 0 and up.
CODES = -1
# Less a tensor's index: the key of a copy of it.
_COPY = -2
# Kinds of nodes. Convolutions read windows of rows with their padding, pools without it.
CONVOLUTIONS = ("conv", "table_conv", "depthwise")
POOLS = ("max_pool", "avg_pool")
WINDOWS = (*CONVOLUTIONS, *POOLS)
# Only behind a front end of levels, made of a convolution.
CODED = ("codes", "table_conv")
# One input row a step, the output after the last: of sums, or of the same bytes in other rows.
SUMS = ("mean", "average", "dense", "reduce")
GATHERS = (*SUMS, "reflow", "transpose")
# A row of the output from one row of each input, or of one of them.
ROWWISE = ("add", "add_constant", "mul", "lookup", "softmax", "log_softmax", "pad", "concat", "codes")
# A row of the output from rows of the input that a list names, none before those of the row ahead.
CHOSEN = ("select", "bilinear")
# Of two operands that broadcast: one that has a single row is read again for every row.
PAIRS = ("sum", "difference", "product", "maximum", "minimum", "prelu")
KINDS = (*CONVOLUTIONS, *POOLS, *GATHERS, *ROWWISE, *CHOSEN, *PAIRS)
MAX_POOL = 8


@dataclasses.dataclass(frozen=True)
class Map:
    """An activation as rows.

    Attributes:
      key: tensor index, or CODES, or that of a copy.
      height, width, channels: of the map; one byte each.
      pad: the byte that padding holds.
      left, right: columns of padding that some reader needs.
      packed: rows follow each other without a gap, as callers read an output.
    """

    key: int
    name: str
    height: int
    width: int
    channels: int
    pad: int = 0
    left: int = 0
    right: int = 0
    packed: bool = False

    @property
    def pixels(self) -> int:
        """Bytes of a row without padding."""
        return self.width * self.channels

    @property
    def padded(self) -> int:
        """Bytes of a row with padding."""
        return (self.left + self.width + self.right) * self.channels


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One row kernel with its place in the network.

    Attributes:
      kind: one of :data:`KINDS`.
      op: the operator that gives weights and scales.
      covers: indices of all operators it computes, in file order.
      inputs, output: keys of maps.
      before: rows and columns of padding ahead of the input.
      pool: rows and columns of a fused max pool.
      low, high: clamp of the output.
      axis: of the maps, along which concat joins: 0 rows, 1 columns, 2 channels.
      code_pixels, code_radix: levels a code, values of a level (codes, table_conv).
    """

    kind: str
    op: Op
    covers: tuple[Op, ...]
    inputs: tuple[int, ...]
    output: int
    before: tuple[int, int] = (0, 0)
    pool: tuple[int, int] = (1, 1)
    low: int = -128
    high: int = 127
    axis: int = 0
    code_pixels: int = 0
    code_radix: int = 0

    @property
    def name(self) -> str:
        """Unique, a C identifier."""
        return f"l{self.op.index:02d}_codes" if self.kind == "codes" else self.op.name

    @property
    def title(self) -> str:
        return " + ".join(op.name for op in self.covers) or self.name

    @property
    def window_rows(self) -> int:
        """Rows of the input that one row of the output looks at."""
        reach = (self.op.kernel[0] - 1) * self.op.dilation[0] + 1
        return (self.pool[0] - 1) * self.op.stride[0] + reach


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """Nodes in an order in which inputs come before outputs, and the maps between them.

    Attributes:
      others: further outputs.
      states: of what is remembered from frame to frame, the map that it is, whole from a frame's start, and
        the map that it becomes.
    """

    graph: QuantGraph
    nodes: tuple[Node, ...]
    maps: dict[int, Map]
    input: int
    output: int
    others: tuple[int, ...] = ()
    states: tuple[tuple[int, int], ...] = ()

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.output, *self.others

    @functools.cached_property
    def ends(self) -> tuple[int, ...]:
        """Maps that are whole at the end of a frame: the outputs, and what states become."""
        return tuple(dict.fromkeys([*self.outputs, *(written for _, written in self.states)]))

    @functools.cached_property
    def remembered(self) -> frozenset[int]:
        """Maps of states."""
        return frozenset(read for read, _ in self.states)

    def steps(self, node: Node) -> int:
        """How often the node is called for a whole frame."""
        source = self.maps[node.inputs[0]] if node.kind in GATHERS else self.maps[node.output]
        return source.height

    def reads(self, node: Node, step: int) -> list[tuple[int, int, int]]:
        """(map, first row, last row) that one call reads; rows outside a map are left out."""
        if node.kind == "concat" and node.axis == 0:
            for key in node.inputs:
                if step < self.maps[key].height:
                    return [(key, step, step)]
                step -= self.maps[key].height
        if node.kind in CHOSEN:
            return [(node.inputs[0], *chosen_rows(node, step))]
        stride, before, count = window(node)
        first = step * stride - before
        found = []
        for key in node.inputs:
            low, high = max(first, 0), min(first + count, self.maps[key].height) - 1
            if node.kind in PAIRS and self.maps[key].height == 1:
                low = high = 0
            if low <= high:
                found.append((key, low, high))
        return found

    def rows_read(self, node: Node, steps: int) -> dict[int, int]:
        """Map -> the last row, counted from 1, that one of a node's first ``steps`` calls reads; 0: none."""
        found = dict.fromkeys(node.inputs, 0)
        offset = 0
        stride, before, count = window(node)
        for key in node.inputs:
            height = self.maps[key].height
            if node.kind == "concat" and node.axis == 0:
                rows = min(max(steps - offset, 0), height)
                offset += height
            elif node.kind in CHOSEN:
                rows = chosen_rows(node, steps - 1)[1] + 1 if steps else 0
            else:
                # Of the last window that begins inside the map.
                step = min(steps, (height - 1 + before) // stride + 1) - 1
                rows = min(max(step * stride - before + count, 0), height) if step >= 0 else 0
            found[key] = max(found[key], rows)
        return found

    def rows_made(self, node: Node, step: int) -> int:
        """Rows of the output that are complete after the call."""
        if node.kind not in GATHERS:
            return step + 1
        return self.maps[node.output].height if step == self.steps(node) - 1 else 0


def build(graph: QuantGraph, levels: int = 0, code_pixels: int = 0) -> Network:
    """Fuse the operators of ``graph``.

    Args:
      levels: n of an input of levels -n..n, 0 for any other input.
      code_pixels: make a first convolution over levels read codes of that many; 0 for none.
    """
    nodes = [
        Node(
            kind=op.kind,
            op=op,
            covers=(op,),
            inputs=op.inputs,
            output=op.output,
            before=op.before[:2],
            low=op.low,
            high=op.high,
            axis=op.axis + 3 - len(graph.tensors[op.output].shape),
        )
        for op in graph.ops
    ]
    source = graph.input
    if len(nodes) > 1 and nodes[0].kind == "reshape" and _readers(nodes, source) == [nodes[0]]:
        # Rows of the reshaped input are what a host sends; the bytes are the same.
        source = nodes.pop(0).output
    given = (*graph.outputs, *(state.written for state in graph.states))
    nodes, ends = _without_reshapes(graph, nodes, given)
    nodes = _fuse_pads(graph, nodes, ends)
    nodes = [_gathered(graph, node) for node in _fuse_pools(graph, nodes, ends)]
    maps = {key: _map(graph.tensors[key]) for node in nodes for key in (*node.inputs, node.output)}
    maps |= {state.read: _map(graph.tensors[state.read]) for state in graph.states}
    maps[source] = _map(graph.tensors[source], "input")
    outputs = tuple(dict.fromkeys(ends[: len(graph.outputs)]))
    for key in outputs:
        maps[key] = dataclasses.replace(maps[key], packed=maps[key].height > 1)
    if levels and code_pixels:
        nodes = _with_codes(nodes, maps, source, levels, code_pixels)
    maps = _with_padding(nodes, maps)
    outputs = tuple(_unpadded(nodes, maps, key) for key in outputs)
    written = ends[len(graph.outputs) :]
    states = tuple((state.read, key) for state, key in zip(graph.states, written, strict=True))
    return Network(graph, tuple(nodes), maps, source, outputs[0], outputs[1:], states)


def window(node: Node) -> tuple[int, int, int]:
    """(input rows from one output row to the next, rows ahead of the first row's, rows)."""
    if node.kind in WINDOWS:
        return node.pool[0] * node.op.stride[0], node.before[0], node.window_rows
    return 1, node.op.before[0] if node.kind == "pad" else 0, 1


def chosen_rows(node: Node, step: int) -> tuple[int, int]:
    """First and last row of the input that a row of the output is made of."""
    if node.kind == "bilinear":
        return node.op.between[0][step][:2]
    row = node.op.picks[0][step]
    return row, row


def coded_conv(network: Network) -> Node | None:
    """The first convolution over the input that tables can do."""
    return next((node for node in network.nodes if _codes_fit(node, network.input)), None)


def _readers(nodes: list[Node], key: int) -> list[Node]:
    return [node for node in nodes if key in node.inputs]


def _map(tensor: Tensor, name: str = "") -> Map:
    height, width, channels = (1,) * (3 - len(tensor.shape)) + tuple(tensor.shape)
    return Map(tensor.index, name or f"t{tensor.index}", height, width, channels, tensor.zero_point)


def _without_reshapes(
    graph: QuantGraph, nodes: list[Node], ends: tuple[int, ...]
) -> tuple[list[Node], tuple[int, ...]]:
    """Leave out reshapes that keep rows rows, or that only a dense layer reads; the others become reflow."""
    alias: dict[int, int] = {}
    kept: list[Node] = []
    for node in nodes:
        node = dataclasses.replace(node, inputs=tuple(alias.get(key, key) for key in node.inputs))
        if node.kind != "reshape":
            kept.append(node)
            continue
        inside, outside = (_map(graph.tensors[key]) for key in (node.inputs[0], node.output))
        same = (inside.height, inside.width, inside.channels) == (
            outside.height,
            outside.width,
            outside.channels,
        )
        readers = [n.kind for n in nodes if node.output in n.inputs]
        if same or (readers and set(readers) <= {"dense", "reshape"} and node.output not in ends):
            alias[node.output] = node.inputs[0]
        else:
            kept.append(dataclasses.replace(node, kind="reflow"))
    return kept, tuple(alias.get(key, key) for key in ends)


def _fuse_pads(graph: QuantGraph, nodes: list[Node], outputs: tuple[int, ...]) -> list[Node]:
    for pad in [node for node in nodes if node.kind == "pad"]:
        readers = _readers(nodes, pad.output)
        before, inside, outside = pad.op.before, pad.inputs[0], graph.tensors[pad.output].shape
        fits = before[2] == 0 and graph.tensors[inside].shape[-1] == outside[-1]
        fits = fits and pad.op.value == graph.tensors[inside].zero_point
        kinds = {node.kind for node in readers}
        if not fits or not readers or not kinds <= set(CONVOLUTIONS) or pad.output in outputs:
            continue
        for node in readers:
            nodes[nodes.index(node)] = dataclasses.replace(
                node,
                inputs=(inside,),
                covers=(pad.op, *node.covers),
                before=(node.before[0] + before[0], node.before[1] + before[1]),
            )
        nodes.remove(pad)
    return nodes


def _fuse_pools(graph: QuantGraph, nodes: list[Node], outputs: tuple[int, ...]) -> list[Node]:
    for node in [node for node in nodes if node.kind == "conv" and not node.op.is_wide]:
        readers = _readers(nodes, node.output)
        if len(readers) != 1 or readers[0].kind != "max_pool" or node.output in outputs:
            continue
        pool = readers[0]
        size = pool.op.kernel
        whole = all(
            n >= k * m
            for n, k, m in zip(
                graph.tensors[node.output].shape, size, graph.tensors[pool.output].shape, strict=False
            )
        )
        if size != pool.op.stride or pool.op.before[:2] != (0, 0) or max(size) > MAX_POOL or not whole:
            continue
        nodes[nodes.index(node)] = dataclasses.replace(
            node,
            output=pool.output,
            covers=(*node.covers, pool.op),
            pool=size,
            low=min(max(node.low, pool.low), pool.high),
            high=min(max(node.high, pool.low), pool.high),
        )
        nodes.remove(pool)
    return nodes


def _gathered(graph: QuantGraph, node: Node) -> Node:
    """An average over the whole map needs sums, not the map."""
    whole = node.kind == "avg_pool" and node.op.kernel == graph.tensors[node.inputs[0]].shape[:2]
    return dataclasses.replace(node, kind="average") if whole else node


def _codes_fit(node: Node, source: int) -> bool:
    plain = node.kind == "conv" and not node.op.is_wide
    return plain and node.inputs == (source,) and node.op.dilation[1] == 1


def _with_codes(nodes: list[Node], maps: dict[int, Map], source: int, levels: int, pixels: int) -> list[Node]:
    """Put a codes node ahead of the first convolution over levels, which then reads codes."""
    place = next((i for i, node in enumerate(nodes) if _codes_fit(node, source)), None)
    if place is None:
        raise LogGradError("no convolution reads the levels")
    conv = nodes[place]
    out = maps[conv.output]
    groups = -(-conv.op.kernel[1] // pixels)
    count = (out.width * conv.pool[1] - 1) * conv.op.stride[1] + (groups - 1) * pixels + 1
    radix = 2 * levels + 1
    zero = sum(levels * radix**i for i in range(pixels))
    # The pad of a map is an int8, a code a uint8: the same byte.
    maps[CODES] = Map(CODES, "codes", maps[source].height, count, 1, (zero + 128) % 256 - 128)
    codes = Node(
        "codes",
        conv.op,
        (),
        (source,),
        CODES,
        before=(0, conv.before[1]),
        code_pixels=pixels,
        code_radix=radix,
    )
    table = dataclasses.replace(
        conv,
        kind="table_conv",
        inputs=(CODES,),
        before=(conv.before[0], 0),
        code_pixels=pixels,
        code_radix=radix,
    )
    return [*nodes[:place], codes, table, *nodes[place + 1 :]]


def _with_padding(nodes: list[Node], maps: dict[int, Map]) -> dict[int, Map]:
    """Columns of padding that the windows of convolutions reach."""
    for node in nodes:
        # Codes are padded by the node that makes them.
        if node.kind not in CONVOLUTIONS or node.kind in CODED:
            continue
        source, out = maps[node.inputs[0]], maps[node.output]
        last = (out.width * node.pool[1] - 1) * node.op.stride[1]
        last += (node.op.kernel[1] - 1) * node.op.dilation[1] - node.before[1]
        maps[source.key] = dataclasses.replace(
            source,
            left=max(source.left, node.before[1]),
            right=max(source.right, last - (source.width - 1), 0),
        )
    return maps


def _unpadded(nodes: list[Node], maps: dict[int, Map], key: int) -> int:
    """An output, or the key of its copy where rows of it have padding, which callers cannot skip."""
    of = maps[key]
    if of.height == 1 or of.padded == of.pixels:
        return key
    maps[key] = dataclasses.replace(of, packed=False)
    made = next(node.op for node in nodes if node.output == key)
    copy = Op(made.index, "copy", (key,), key, part=made.part)
    node = Node("concat", copy, (), (key,), _COPY - key, axis=2)
    maps[node.output] = dataclasses.replace(of, key=node.output, name=f"{of.name}_copy", left=0, right=0)
    nodes.append(node)
    return node.output


def macs(network: Network, node: Node) -> int:
    """Multiply-accumulates of the operators that the node covers."""
    return sum(network.graph.macs(op) for op in node.covers)


def tensor_of(key: int) -> int | None:
    """The tensor that a map holds; None: codes."""
    return None if key == CODES else key if key >= 0 else _COPY - key


def shape_of(map_: Map) -> str:
    """Rows, columns and channels, for people: brackets tell a shape from a size, whose width comes first."""
    return str([map_.height, map_.width, map_.channels])


def dims(map_: Map) -> str:
    return f"{map_.height}x{map_.width}x{map_.channels}"
