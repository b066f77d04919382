"""Chains of layers in which every loop of every kernel turns, for :mod:`export.calibrate`.

An image holds many chains one behind the other, and what it measures is each of its nodes: building and
running an image takes longer than another layer in it. Between two chains a mean, a dense layer and padding
make the map that the next one begins with.
"""

import functools
from collections.abc import Callable, Iterator

from export.plan import nodes
from export.predict import probes
from export.predict.probes import Probe, Shape, Side
from export.tflite.quant_graph import QuantGraph

Layer = Callable[[Shape], QuantGraph]
_CLAMPED = {"low": -100, "high": 100}
_RECTIFIED = {"low": 0}  # not below the zero point of a probe's maps
# Filters, kernel, stride, pool of convolutions one behind the other, by the map they begin with.
_CONVS: tuple[tuple[Shape, tuple[tuple[int, Side, Side, Side], ...]], ...] = (
    ((20, 20, 3), ((8, 3, 2, 1), (16, 1, 1, 1), (24, 3, 1, 1), (10, 1, 1, 1), (6, 3, 1, 1), (12, 5, 1, 1))),
    ((9, 11, 12), ((32, 1, 1, 1), (20, 3, 2, 1), (64, 1, 1, 1), (40, 1, 1, 1), (16, 1, 1, 1), (4, 1, 1, 1))),
    ((21, 19, 1), ((8, 5, 1, 2), (12, 3, 1, 2), (9, 3, 1, 1), (5, 1, 1, 1), (7, (4, 2), 1, 1), (3, 1, 1, 1))),
    ((12, 12, 32), ((16, 3, 1, 2), (40, 3, 1, 1), (8, 3, 1, 2), (20, 5, 1, 1))),
    ((56, 52, 4), ((8, 5, 1, 2), (12, 3, 1, 2))),
    ((30, 32, 8), ((16, 5, 1, 2), (6, 3, 1, 2))),
    ((28, 31, 16), ((24, 3, 1, 2), (10, 1, 1, 1), (8, 3, 1, 2))),
    ((27, 34, 12), ((9, 3, 1, 2),)),
    ((30, 26, 6), ((5, 5, 1, 2),)),
    ((24, 22, 3), ((12, 3, 1, 2), (4, 1, 1, 1), (8, 3, 1, 2))),
    ((8, 9, 64), ((16, 3, 1, 1), (64, 1, 1, 1), (32, 3, 2, 1), (128, 1, 1, 1), (16, 1, 1, 1))),
    ((5, 4, 128), ((24, 1, 1, 1), (128, 1, 1, 1), (18, 3, 1, 1), (72, 3, 1, 1))),
    ((3, 3, 96), ((96, 1, 1, 1), (192, 1, 1, 1), (16, 1, 1, 1), (48, 3, 1, 1), (48, 1, 2, 1))),
    ((30, 1, 16), ((16, (5, 1), 1, 1), (32, 1, 1, 1), (24, (9, 1), 1, 1), (40, 1, 1, 1))),
    ((40, 1, 32), ((128, (3, 1), 1, (2, 1)), (24, (3, 1), 1, (2, 1)), (10, (5, 1), 1, (3, 1)))),
    ((12, 10, 4), ((8, (1, 5), 1, 1), (8, (3, 1), 1, 1), (16, 1, 2, 1), (7, 3, 1, 3), (8, 3, 1, 1))),
    ((24, 7, 2), ((13, 3, 1, 1), (16, 1, 1, 1), (33, 1, 1, 1), (34, 3, 1, 1), (16, 2, 2, 1), (11, 2, 1, 2))),
    ((26, 25, 1), ((9, 3, 1, 2), (1, 3, 1, 1), (10, 3, 1, 4), (1, 1, 1, 1))),
    ((33, 20, 1), ((1, 3, 1, 2), (10, 3, 1, 3), (6, 1, 1, 1), (5, 3, 1, 2))),
    ((20, 20, 2), ((11, 5, 1, 5), (3, 3, 1, 1), (7, 3, 1, 2))),
    ((32, 31, 1), ((10, 3, 1, 6), (20, 3, 1, 5))),
    ((16, 16, 8), ((8, 3, 2, 1), (8, 3, 1, 1), (16, 3, 1, 2), (16, 3, 1, 1), (32, 3, 2, 1))),
)
# Kernel, stride, multiple of depthwise ones.
_DEPTHWISE: tuple[tuple[Shape, tuple[tuple[Side, Side, int], ...]], ...] = (
    ((24, 24, 8), ((3, 1, 1), (3, 2, 1), (3, 1, 1), (5, 1, 1), (3, 2, 1), (3, 1, 1), (3, 2, 1))),
    ((10, 6, 64), ((3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 1, 1))),
    ((6, 6, 128), ((3, 1, 1), (3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1))),
    ((30, 1, 16), (((9, 1), 1, 1), ((5, 1), 1, 1), ((4, 1), 2, 1), ((13, 1), 1, 1))),
    ((9, 17, 12), (((1, 5), 1, 1), ((2, 2), 1, 1), (7, 1, 1), ((4, 3), 1, 1), ((3, 4), 2, 1), (1, 1, 1))),
    ((8, 2, 24), (((7, 1), 1, 1), (3, 1, 1), (5, 1, 1), ((1, 1), 2, 1))),
    ((16, 20, 3), ((3, 1, 2), ((10, 4), 2, 4), (3, 1, 3), (5, 2, 1))),
    ((12, 12, 4), ((3, 1, 2), (3, 2, 4), (1, 1, 2), ((9, 1), 1, 2))),
    ((7, 1, 8), ((3, 1, 1), ((6, 1), 1, 2), ((3, 1), 1, 2))),
)
_DENSE: tuple[tuple[Shape, tuple[int, ...]], ...] = (
    ((1, 1, 64), (128, 8, 3, 10, 2)),
    ((1, 1, 200), (64, 16, 5, 7, 33, 1)),
    ((6, 5, 8), (21, 6, 4)),
    ((3, 4, 7), (14, 9)),
    ((1, 1, 320), (96, 96, 12)),
    ((32, 1, 16), (5, 12)),
    ((21, 1, 64), (6, 3)),
    ((40, 1, 8), (24,)),
)
_POOLS: tuple[Shape, ...] = ((24, 16, 8), (19, 13, 3), (12, 12, 40), (9, 8, 6), (8, 9, 33))
_SAME: tuple[Side, ...] = (3, (1, 3), (3, 1))
_MAPS: tuple[Shape, ...] = ((12, 12, 8), (3, 30, 7), (20, 1, 24), (4, 4, 64))
_JOINED: tuple[Shape, ...] = ((12, 12, 4), (20, 7, 3), (8, 24, 8))
_VALUES = ("add", "mul", "lookup", "pad", "add_constant", "reshape")
_WIDE: tuple[Shape, ...] = ((2, 300, 4), (30, 1, 5), (3, 3, 256), (8, 8, 10))


# Constants of an image, bytes; the smallest flash has 256 KB.
_MOST_CONSTANTS = 120_000


def networks() -> Iterator[Probe]:
    """Every chain; some convolutions also with a ReLU, some with outputs clamped in a pass of their own."""
    # Inputs of rows that begin at any byte.
    for side, channels in ((13, 1), (24, 1), (11, 3)):
        yield probes.chain((side, side, channels), lambda shape: probes.conv(shape, 4, 3, 1))
    start: Shape = (20, 20, 3)
    layers: list[Layer] = []
    for shape, chain in _chains():
        begin: Layer = functools.partial(_begin, begin=shape)
        longer = [*layers, begin, *chain]
        if layers and _constants(probes.chain(start, *longer)) <= _MOST_CONSTANTS:
            layers = longer
            continue
        if layers:
            yield probes.chain(start, *layers)
        start, layers = shape, chain
    yield probes.chain(start, *layers)
    # Codes of levels whose outputs are clamped.
    for filters, kernel, stride, pooled in ((8, 3, 1, 1), (12, 5, 1, 2)):
        yield probes.leveled(probes.conv((20, 20, 1), filters, kernel, stride, pooled, **_CLAMPED))


def _constants(probe: Probe) -> int:
    """Of weights, two bytes each."""
    return sum(2 * op.weights.size for op in probe[0].ops if op.weights is not None)


def _begin(shape: Shape, begin: Shape) -> QuantGraph:
    """Any map from any other."""
    return probes.chain(
        shape,
        lambda at: probes.conv(at, 4, 1, 1),
        lambda at: probes.simple("mean", at),
        lambda at: probes.dense(at, begin[2]),
        lambda at: probes.padded(at, begin),
    )[0]


def _chains() -> Iterator[tuple[Shape, list[Layer]]]:
    """What each begins with, and its layers."""
    for more, taken in (({}, None), (_CLAMPED, 2)):
        for start, convs in _CONVS[:taken]:
            yield start, [functools.partial(_conv, args=args, more=more) for args in convs]
        for start, depthwise in _DEPTHWISE[:taken]:
            yield start, [functools.partial(_depthwise, args=args, more=more) for args in depthwise]
        for start in _MAPS[:taken]:
            yield start, [functools.partial(_value, kind=kind, more=more) for kind in _VALUES]
    for filters, kernel in ((8, 5), (12, 3)):
        yield (30, 30, 8), [functools.partial(_conv, args=(filters, kernel, 1, 2), more=_CLAMPED)]
    for start, convs in _CONVS:
        yield start, [functools.partial(_conv, args=args, more=_RECTIFIED) for args in convs if args[3] == 1]
    for start, depthwise in _DEPTHWISE[:3]:
        yield start, [functools.partial(_depthwise, args=args, more=_RECTIFIED) for args in depthwise]
    for start, sizes in _DENSE:
        yield start, [functools.partial(probes.dense, outputs=size) for size in sizes]
    for start in _POOLS:
        kinds = ("max_pool", "avg_pool")
        same = [functools.partial(_pool, kind=kind, size=size) for size in _SAME for kind in kinds]
        yield start, [*same, *[functools.partial(_pool, kind=kind, size=2, stride=None) for kind in kinds]]
        yield start, [functools.partial(_pool, kind=kind, size=(2, 1), stride=None) for kind in kinds]
        yield start, [_clamped_pool]
    for start in _WIDE:
        for kind in ("mean", "average"):
            yield start, [functools.partial(probes.simple, one) for one in ("lookup", kind)]
    for start in _JOINED:
        joined = ("lookup", "concat", "pad", "concat", "stacked")
        yield start, [functools.partial(probes.simple, kind) for kind in joined]
    for start in _MAPS:
        moved = (*nodes.PAIRS, "select", "bilinear", "transpose", "strided", "reduce")
        yield start, [functools.partial(probes.simple, kind) for kind in moved]
    for start, convs in _CONVS[:3]:
        yield start, [functools.partial(_wide_conv, args=args) for args in convs if args[3] == 1]
    for start, depthwise in _DEPTHWISE[1:4]:
        yield start, [functools.partial(_wide_depthwise, args=args) for args in depthwise]
    for start, sizes in _DENSE[:3]:
        yield start, [functools.partial(_wide_dense, outputs=size) for size in sizes]
    for start in _POOLS[:3]:
        yield start, [functools.partial(_wide_pool, size=size) for size in _SAME]
    for size in (2, 9, 64):
        yield (
            (1, 1, size),
            [functools.partial(probes.simple, kind) for kind in ("lookup", "softmax", "log_softmax")],
        )


def _conv(shape: Shape, args: tuple[int, Side, Side, Side], more: dict[str, int]) -> QuantGraph:
    return probes.conv(shape, *args, **more)


def _depthwise(shape: Shape, args: tuple[Side, Side, int], more: dict[str, int]) -> QuantGraph:
    return probes.depthwise(shape, *args, **more)


def _wide_conv(shape: Shape, args: tuple[int, Side, Side, Side]) -> QuantGraph:
    return probes.widened(probes.conv(shape, *args))


def _wide_depthwise(shape: Shape, args: tuple[Side, Side, int]) -> QuantGraph:
    return probes.widened(probes.depthwise(shape, *args))


def _wide_dense(shape: Shape, outputs: int) -> QuantGraph:
    return probes.widened(probes.dense(shape, outputs))


def _wide_pool(shape: Shape, size: Side) -> QuantGraph:
    return probes.widened(probes.pool("avg_pool", shape, size, 1))


def _value(shape: Shape, kind: str, more: dict[str, int]) -> QuantGraph:
    return probes.simple(kind, shape, **more)


def _clamped_pool(shape: Shape) -> QuantGraph:
    return probes.pool("max_pool", shape, 2, **_CLAMPED)


def _pool(shape: Shape, kind: str, size: Side, stride: int | None = 1) -> QuantGraph:
    return probes.pool(kind, shape, size, stride)
