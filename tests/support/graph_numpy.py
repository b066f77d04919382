"""A network of int8 operators evaluated in NumPy: short, obvious, slow, and exact in integers.

The oracle between the flatbuffer's reader and the C: it knows only :class:`QuantGraph`.
"""

import math
from fractions import Fraction

import numpy as np

from export.tflite.quant_graph import Op, QuantGraph, Scale


def run(graph: QuantGraph, image: np.ndarray) -> dict[int, np.ndarray]:
    """int8 image of the input's shape -> every tensor by its index."""
    values = {graph.input: np.asarray(image, np.int8).reshape(graph.tensors[graph.input].shape)}
    for op in graph.ops:
        out = _OPS[op.kind](graph, op, [values[i] for i in op.inputs])
        values[op.output] = out.astype(np.int8).reshape(graph.tensors[op.output].shape)
    return values


def doubly_rounded(x: np.ndarray, scale: Scale) -> np.ndarray:
    """x * scale as a 32-bit high multiply, then a shift, each rounded half away from zero."""
    x = np.asarray(x, np.int64) << max(scale.shift, 0)
    assert np.all(np.abs(x) < 2**31)
    product = x * scale.multiplier
    high = np.where(product >= 0, (product + 2**30) >> 31, -((2**30 - 1 - product) >> 31))
    right = max(-scale.shift, 0)
    magnitude = (np.abs(high) + ((1 << right) >> 1)) >> right
    return np.where(high < 0, -magnitude, magnitude)


def singly_rounded(x: int, scale: Scale) -> int:
    """x * scale with every bit, rounded once, half away from zero."""
    real = abs(x) * (scale.multiplier + Fraction(scale.fraction, 2**22)) * Fraction(2) ** (scale.shift - 31)
    return int(math.copysign(math.floor(real + Fraction(1, 2)), x))


def _finish(op: Op, x: np.ndarray, zero_point: int) -> np.ndarray:
    return np.clip(x + zero_point, op.low, op.high)


def _padded(x: np.ndarray, op: Op, sides: tuple[int, ...], fill: int) -> np.ndarray:
    """The map with ``op.before`` ahead, and behind as much as the last windows reach."""
    grown = np.full(
        [
            max((n - 1) * s + (k - 1) * d + 1, b + size)
            for n, s, k, d, b, size in zip(
                sides, op.stride, op.kernel, op.dilation, op.before[:2], x.shape[:2], strict=True
            )
        ]
        + [x.shape[2]],
        fill,
        np.int64,
    )
    top, left, _ = op.before
    grown[top : top + x.shape[0], left : left + x.shape[1]] = x
    return grown


def _taps(x: np.ndarray, op: Op, sides: tuple[int, ...]) -> list[tuple[int, int, np.ndarray]]:
    """(ky, kx, the pixels below that tap, one per output pixel)."""
    rows, columns = sides
    return [
        (
            ky,
            kx,
            x[ky * op.dilation[0] :: op.stride[0], kx * op.dilation[1] :: op.stride[1]][:rows, :columns],
        )
        for ky in range(op.kernel[0])
        for kx in range(op.kernel[1])
    ]


def _convolution(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    source, out = graph.tensors[op.inputs[0]], graph.tensors[op.output]
    assert op.weights is not None
    x = _padded(inputs[0], op, out.shape[:2], source.zero_point) - source.zero_point
    total = np.zeros(out.shape, np.int64)
    weights = op.weights.astype(np.int64)
    for ky, kx, pixels in _taps(x, op, out.shape[:2]):
        if op.kind == "conv":
            total += pixels @ weights[:, ky, kx, :].T
        else:
            total += np.repeat(pixels, out.shape[2] // source.shape[2], axis=2) * weights[ky, kx]
    if op.bias is not None:
        total += op.bias
    scaled = np.stack([doubly_rounded(total[..., c], s) for c, s in enumerate(op.scales)], axis=-1)
    return _finish(op, scaled, out.zero_point)


def _dense(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    assert op.weights is not None
    total = op.weights.astype(np.int64) @ (
        inputs[0].reshape(-1).astype(np.int64) - graph.tensors[op.inputs[0]].zero_point
    )
    if op.bias is not None:
        total = total + op.bias
    scales = op.scales * (len(total) // len(op.scales))
    scaled = np.array([singly_rounded(int(x), s) for x, s in zip(total, scales, strict=True)])
    return _finish(op, scaled, graph.tensors[op.output].zero_point)


def _pool(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    sides = graph.tensors[op.output].shape[:2]
    x = inputs[0].astype(np.int64)
    inside = np.stack([p for _, _, p in _taps(_padded(np.ones_like(x), op, sides, 0), op, sides)])
    taps = np.stack([p for _, _, p in _taps(_padded(x, op, sides, 0), op, sides)])
    if op.kind == "max_pool":
        return np.clip(np.where(inside == 1, taps, -128).max(axis=0), op.low, op.high)
    total, count = (taps * inside).sum(axis=0), inside.sum(axis=0)
    mean = (2 * np.abs(total) + count) // (2 * count)
    return np.clip(np.where(total < 0, -mean, mean), op.low, op.high)


def _mean(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    x = inputs[0].astype(np.int64) - graph.tensors[op.inputs[0]].zero_point
    return _finish(op, doubly_rounded(x.sum(axis=(0, 1)), op.scales[0]), graph.tensors[op.output].zero_point)


def _add(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    points = [graph.tensors[i].zero_point for i in op.inputs]
    if op.kind == "add_constant":
        assert op.constant is not None
        inputs, points = [inputs[0], _repeated(op.constant, inputs[0])], [points[0], op.value]
    a, b = (
        doubly_rounded((x.astype(np.int64) - p) << 20, s)
        for x, p, s in zip(inputs, points, op.scales, strict=False)
    )
    return _finish(op, doubly_rounded(a + b, op.scales[2]), graph.tensors[op.output].zero_point)


def _mul(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    assert op.constant is not None
    x = inputs[0].astype(np.int64) - graph.tensors[op.inputs[0]].zero_point
    product = x * _repeated(op.constant, inputs[0])
    return _finish(op, doubly_rounded(product, op.scales[0]), graph.tensors[op.output].zero_point)


def _repeated(constant: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A constant of one value per channel or per element, in the shape of ``like``."""
    shape = like.shape if constant.size == like.size else like.shape[-1:]
    return np.broadcast_to(constant.reshape(shape), like.shape).astype(np.int64)


def _concat(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(inputs, axis=op.axis)


def _pad(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    out = np.full(graph.tensors[op.output].shape, op.value, np.int64)
    top, left, first = op.before
    h, w, c = inputs[0].shape
    out[top : top + h, left : left + w, first : first + c] = inputs[0]
    return out


def _reshape(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    return inputs[0]


def _lookup(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    assert op.table is not None
    return op.table[inputs[0].astype(np.int64) + 128]


def _softmax(graph: QuantGraph, op: Op, inputs: list[np.ndarray]) -> np.ndarray:
    """In exact fractions of the table's terms; the reference's reciprocal is off by a few units of 2^-31."""
    assert op.table is not None
    x = inputs[0].reshape(-1).astype(np.int64)
    terms = op.table[x.max() - x].astype(np.int64)
    total = int(((terms + 2048) >> 12).sum()) << 12
    return np.array([min((256 * int(term) + total // 2) // total, 255) - 128 for term in terms])


_OPS = {
    "conv": _convolution,
    "depthwise": _convolution,
    "dense": _dense,
    "max_pool": _pool,
    "avg_pool": _pool,
    "mean": _mean,
    "add": _add,
    "add_constant": _add,
    "mul": _mul,
    "concat": _concat,
    "pad": _pad,
    "reshape": _reshape,
    "lookup": _lookup,
    "softmax": _softmax,
}
