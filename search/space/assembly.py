"""Genotype -> op graph: the one place where a candidate gets its shapes.

A serial block first joins what is pending, remembers the joined map, and leaves its output
pending. A branch block starts from the remembered map, ends with the channel count of the
pending maps and is added to them: its last layer takes that many filters, or, if depthwise,
is followed by a linear 1x1 convolution with that many. After the last block: join, final
pooling, flatten, hidden dense layers with ReLU, logits (one for two classes).

Join: every pending map is max-pooled by round(H / H_min) x round(W / W_min), halves to even,
then all are added, zero-padded at the bottom and right. All sizes round down, but for
convolutions padded with zeros (``same``), which muNAS has not. Kernels, padded or not, steps and pools
are clipped to the map they meet, so every genotype has a network.
"""

from models.graph import VALID, Graph, GraphBuilder, output_units
from search.space.genotype import CONV, DEPTHWISE, POINTWISE, Genotype, Layer, Pooling

PREPOOL = 2


def assemble(
    genotype: Genotype, input_shape: tuple[int, int, int], classes: int, padding: str = VALID
) -> Graph:
    """The network of ``genotype`` for maps of ``input_shape`` (H, W, C) and ``classes`` >= 2.

    Args:
      padding: ``valid`` or ``same``, of all its convolutions.
    """
    b = GraphBuilder()
    pending = [b.input(*input_shape)]
    fork = pending[0]
    for block in genotype.blocks:
        if block.branch:
            pending.append(_branch(b, fork, block.layers, padding, channels=b.shape(pending[0])[2]))
        else:
            fork = _join(b, pending)
            pending = [_series(b, fork, block.layers, padding)]
    x = _final_pooling(b, _join(b, pending), genotype.pooling)
    x = b.flatten(x)
    for units in genotype.dense:
        x = b.dense(x, units, relu=True)
    return b.build(b.dense(x, output_units(classes)))


def _series(b: GraphBuilder, x: int, layers: tuple[Layer, ...], padding: str) -> int:
    for layer in layers:
        x = _layer(b, x, layer, layer.filters, padding)
    return x


def _branch(b: GraphBuilder, x: int, layers: tuple[Layer, ...], padding: str, channels: int) -> int:
    x = _layer(b, _series(b, x, layers[:-1], padding), layers[-1], channels, padding)
    return b.conv(x, channels, 1) if layers[-1].kind == DEPTHWISE else x


def _layer(b: GraphBuilder, x: int, layer: Layer, filters: int, padding: str) -> int:
    if layer.prepool:
        x = _pool(b, x, "max", PREPOOL)
    if layer.kind == POINTWISE:
        return b.conv(x, filters, 1, bn=layer.bn, relu=layer.relu)
    h, w, _ = b.shape(x)
    kernel = min(layer.kernel, h, w)
    single = h == w == (kernel if padding == VALID else 1)  # one output: a step would change nothing
    stride = 2 if layer.strided and not single else 1
    if kernel == 1:
        padding = VALID
    if layer.kind == CONV:
        return b.conv(x, filters, kernel, stride=stride, padding=padding, bn=layer.bn, relu=layer.relu)
    return b.depthwise(x, kernel, stride=stride, padding=padding, bn=layer.bn, relu=layer.relu)


def _pool(b: GraphBuilder, x: int, kind: str, size: int) -> int:
    h, w, _ = b.shape(x)
    rows, columns = min(size, h), min(size, w)
    if rows == columns == 1:
        return x
    return b.max_pool(x, rows, columns) if kind == "max" else b.avg_pool(x, rows, columns)


def _final_pooling(b: GraphBuilder, x: int, pooling: Pooling | None) -> int:
    return _pool(b, x, pooling.kind, pooling.size) if pooling else x


def _join(b: GraphBuilder, pending: list[int]) -> int:
    if len(pending) == 1:
        return pending[0]
    smallest_h = min(b.shape(x)[0] for x in pending)
    smallest_w = min(b.shape(x)[1] for x in pending)
    pooled = []
    for x in pending:
        h, w, _ = b.shape(x)
        rows, columns = round(h / smallest_h), round(w / smallest_w)
        pooled.append(x if rows == columns == 1 else b.max_pool(x, rows, columns))
    return b.add(pooled)
