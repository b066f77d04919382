"""Which kernel computes a node, and the constants it reads.

A core's extension decides the variant (portable C, DSP, MVE), the flash decides how large tables may
be. Kernels of the extensions demand that no accumulator leaves

    |acc| 2^max(shift, 0) < 2^30;

a layer that cannot promise it takes the portable kernel, which has no such bound. Channels that come out
the same whatever the input is (converters give dead ones enormous biases or vanishing scales) become small
constants first.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from export.plan import layouts
from export.plan.nodes import CONVOLUTIONS, PAIRS, Map, Network, Node, coded_conv
from export.tflite.quant_graph import Scale

VARIANTS = {
    "cortex-m4": "dsp",
    "cortex-m7": "dsp",
    "cortex-m33": "dsp",
    "cortex-m55": "mve",
}
FAST_LIMIT = 2**30
# Shifts for which kernels have their shortest path.
USUAL_SHIFTS = range(-22, 0)
# Pixels of a row, at least, along which lg_depthwise_row_dsp slides.
LEAST_SLIDE = 4
# LG_DEPTHWISE_PAIRS of lg_depthwise.h.
DEPTHWISE_PAIRS = 48
WINOGRAD = "lg_winograd_row_dsp"
# Kernel -> channels of the input: below the first it gains little, the last is LG_WINOGRAD_MOST of lg_conv.h.
WINOGRAD_CHANNELS = {(3, 3): (8, 20), (5, 5): (4, 8)}
# Weights of a layer, at most: they become four times as many bytes; pixels of its output that pay for them.
WINOGRAD_WEIGHTS, WINOGRAD_PIXELS = 4096, 160
CHANNEL = np.dtype([("bias", "<i4"), ("multiplier", "<i4"), ("shift", "<i4")])
DSP_CHANNEL = np.dtype([("bias", "<i4"), ("multiplier", "<i4"), ("offset", "<i4"), ("right", "<i4")])
DOUBLE_SCALE = np.dtype([("multiplier", "<i4"), ("fraction", "<u4"), ("shift", "<i4")])
BETWEEN = np.dtype([("first", "<u2"), ("last", "<u2"), ("fraction", "<i2")])
_FUNCTIONS = {
    "conv": "lg_conv_row",
    "table_conv": "lg_table_conv_row",
    "depthwise": "lg_depthwise_row",
    "dense": "lg_dense_accumulate",
    "add": "lg_add_row",
    "add_constant": "lg_add_row",
    "codes": "lg_level_codes",
    "max_pool": "lg_max_pool_row",
    "avg_pool": "lg_average_pool_row",
    "mean": "lg_mean_accumulate",
    "average": "lg_mean_accumulate",
    "mul": "lg_mul_row",
    "lookup": "lg_lookup_row",
    "pad": "lg_copy_pixels",
    "concat": "lg_copy_pixels",
    "reflow": "lg_map_append",
    "softmax": "lg_softmax_row",
    "log_softmax": "lg_log_softmax_row",
    "select": "lg_select_row",
    "bilinear": "lg_bilinear_row",
    "transpose": "lg_transpose_row",
    "reduce": "lg_reduce_accumulate",
    "sum": "lg_sum_pairs",
    "difference": "lg_difference_pairs",
    "product": "lg_product_pairs",
    "maximum": "lg_maximum_pairs",
    "minimum": "lg_minimum_pairs",
    "prelu": "lg_prelu_pairs",
}
# Of uint8 networks.
_WIDE = {
    "conv": "lg_wide_conv_row",
    "depthwise": "lg_wide_depthwise_row",
    "dense": "lg_wide_dense_accumulate",
    "avg_pool": "lg_average_up_pool_row",
}
_VARIED = (*CONVOLUTIONS, "dense", "add", "add_constant")


def measured_core(core: str) -> str:
    """The core on which sizes and costs were measured: the M0+ runs the code of the M0."""
    return {"cortex-m0plus": "cortex-m0"}.get(core, core)


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """A function of the library with the constants of one node.

    Attributes:
      function: its name.
      variant: portable, dsp or mve.
      constants: name of a constant -> array; structured arrays are arrays of C structs.
    """

    function: str
    variant: str
    constants: dict[str, np.ndarray]

    @property
    def tabulates(self) -> bool:
        """Does it read tables of partial sums?"""
        return self.function.startswith("lg_table_conv_row")

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self.constants.values())


@dataclasses.dataclass(frozen=True)
class Choice:
    """How the constants of a network are laid out.

    Attributes:
      code_pixels: levels a code of the first convolution, 0: no tables.
      ram_tables: tables of partial sums lie in RAM, for flash that is slow to read.
      overlaps: whole maps lie over rows of whole maps that have been read.
      winograd: convolutions that can go by fewer products do, whose weights take more bytes.
    """

    code_pixels: int = 0
    ram_tables: bool = False
    overlaps: bool = False
    winograd: bool = False


def choose(node: Node, maps: dict[int, Map], core: str, levels: int, winograd: bool = False) -> Kernel:
    """The kernel of one node on a core.

    Args:
      levels: n of an input of levels -n..n (tables only).
      winograd: whether it may go by fewer products (:attr:`Choice.winograd`).
    """
    node = _settled(node, maps)
    variant = VARIANTS.get(core, "portable")
    if node.kind not in _VARIED or not _is_fast(node, maps) or node.op.is_wide or not _takes(variant, node):
        variant = "portable"
    op = node.op
    constants: dict[str, np.ndarray] = {}
    if winograd and _goes_by_winograd(node, maps, core):
        assert op.weights is not None
        constants["weights"] = layouts.winograd_weights(op.weights)
        constants["channels"] = dsp_channels(_bias(node, maps), op.scales, maps[node.output].pad)
        return Kernel(WINOGRAD, "dsp", constants)
    if node.kind in CONVOLUTIONS:
        assert op.weights is not None
        if op.is_wide:
            constants["weights"] = op.weights
        elif node.kind == "conv":
            constants["weights"] = layouts.conv_weights(op.weights, op.dilation[1], variant)
        elif node.kind == "depthwise":
            constants["weights"] = layouts.depthwise_weights(op.weights, variant, slides(node, maps))
        else:
            constants["table"] = layouts.table_conv(op.weights, levels, node.code_pixels)
        constants["channels"] = _channels(node, maps, levels, variant)
    elif node.kind == "dense":
        assert op.weights is not None
        piece = maps[node.inputs[0]].pixels
        constants["weights"] = layouts.dense_weights(op.weights, piece, variant)
        lift = layouts.dense_lift(op.weights, piece) if variant == "dsp" else 0
        constants["bias"] = _bias(node, maps) + lift
        scales = [(s.multiplier, s.fraction, s.shift) for s in op.scales]
        constants["scales"] = np.array(scales, DOUBLE_SCALE)
    elif node.kind in ("mul", "add_constant"):
        assert op.constant is not None
        constants["b"] = op.constant
    elif node.kind == "select":
        rows, columns = (np.array(picked, np.uint16) for picked in op.picks[:2])
        constants["columns"] = columns
        if not isinstance(op.picks[0], range):
            constants["rows"] = rows
    elif node.kind == "bilinear":
        above, beside = op.between
        constants |= {"rows": np.array([*above], BETWEEN), "columns": np.array([*beside], BETWEEN)}
    elif node.kind in PAIRS:
        fixed = next((one.constant for one in op.operands if one.constant is not None), None)
        if fixed is not None:
            constants["b"] = fixed
    elif node.kind in ("softmax", "log_softmax"):
        assert op.table is not None
        constants["exponentials"] = op.table
    elif node.kind == "lookup":
        assert op.table is not None
        constants["table"] = op.table
    functions = _WIDE if op.is_wide or op.rounds_up else _FUNCTIONS
    function = functions.get(node.kind, _FUNCTIONS[node.kind])
    function += "" if variant == "portable" else f"_{variant}"
    return Kernel(function, variant, constants)


def choices(network: Network, levels: int, core: str = "") -> list[Choice]:
    """Layouts from the fastest to the smallest."""
    found = [Choice()]
    conv = coded_conv(network) if levels else None
    if conv is not None:
        assert conv.op.weights is not None
        width, radix = conv.op.kernel[1], 2 * levels + 1
        if layouts.table_conv_fits(conv.op.weights, levels):
            groups: set[int] = set()
            coded = []
            for pixels in range(1, width + 1):
                # Of the codes that give one number of groups the shortest has the smallest tables.
                if radix**pixels <= 256 and -(-width // pixels) not in groups:
                    groups.add(-(-width // pixels))
                    coded.append(Choice(pixels))
            found = [*reversed(coded), *found]
    if any(_goes_by_winograd(_settled(node, network.maps), network.maps, core) for node in network.nodes):
        found = [*(dataclasses.replace(choice, winograd=True) for choice in found), found[-1]]
    return found


def _goes_by_winograd(node: Node, maps: dict[int, Map], core: str) -> bool:
    """Whether lg_winograd_row_dsp takes a settled node, saves cycles by it, and few bytes are its price."""
    op = node.op
    if VARIANTS.get(core) != "dsp" or node.kind != "conv" or op.is_wide or op.kernel not in WINOGRAD_CHANNELS:
        return False
    assert op.weights is not None
    if (op.stride, op.dilation, node.pool) != ((1, 1), (1, 1), (2, 2)) or not _is_fast(node, maps):
        return False
    (least, most), out = WINOGRAD_CHANNELS[op.kernel], maps[node.output]
    fits = least <= op.weights.shape[3] <= most and op.weights.size <= WINOGRAD_WEIGHTS
    return fits and out.height * out.width >= WINOGRAD_PIXELS and usual(node, maps)


def _takes(variant: str, node: Node) -> bool:
    """Whether a variant's own bounds on weights and scales are kept."""
    least = 0 if node.op.weights is None else int(node.op.weights.min())
    if variant == "mve":
        # The kernel adds two products in 16 bits.
        return node.kind != "depthwise" or least >= -127
    if variant == "dsp" and node.kind == "depthwise":
        (rows, columns), odd = node.op.kernel, node.op.kernel[0] % 2
        return rows // 2 * columns + odd * -(-columns // 2) <= DEPTHWISE_PAIRS
    return variant != "dsp" or node.kind not in ("conv", "dense") or least >= -127


def usual(node: Node, maps: dict[int, Map]) -> bool:
    """Whether all shifts are those for which kernels have their shortest path."""
    return all(scale.shift in USUAL_SHIFTS for scale in _settled(node, maps).op.scales)


def slides(node: Node, maps: dict[int, Map]) -> bool:
    """Whether lg_depthwise_row_dsp slides windows of 3x3 by one or two taps along this node's rows.

    Along short rows it gains nothing.
    """
    op = node.op
    near = op.stride[1] in (op.dilation[1], 2 * op.dilation[1])
    return op.kernel == (3, 3) and near and usual(node, maps) and maps[node.output].width >= LEAST_SLIDE


def _is_fast(node: Node, maps: dict[int, Map]) -> bool:
    if node.kind not in CONVOLUTIONS:
        return True
    op = node.op
    if node.kind == "depthwise" and maps[node.output].channels != maps[node.inputs[0]].channels:
        return False
    return all(
        reach << max(scale.shift, 0) < FAST_LIMIT for reach, scale in zip(op.reach, op.scales, strict=True)
    )


def requantize(x: int, scale: Scale) -> int:
    """lg_requant_double: rounded twice, halves away from zero the second time."""
    left, right = max(scale.shift, 0), max(-scale.shift, 0)
    shifted = ((x << left) + 2**31) % 2**32 - 2**31
    high = (shifted * scale.multiplier + 2**30) >> 31
    half = (1 << right) >> 1
    return (high + half >> right) if high >= 0 else -(-high + half >> right)


def _settled(node: Node, maps: dict[int, Map]) -> Node:
    """Channels whose output is the same for every input get no weights and a bias that says it plainly."""
    op = node.op
    if node.kind not in CONVOLUTIONS or op.weights is None:
        return node
    odd = [
        c
        for c, (scale, most) in enumerate(zip(op.scales, op.reach, strict=True))
        if most >= FAST_LIMIT or scale.shift not in USUAL_SHIFTS
    ]
    if not odd:
        return node
    weights, bias = op.weights.copy(), _bias(node, maps).astype(np.int64)
    scales, reach = list(op.scales), list(op.reach)
    channel = weights.ndim - 1 if node.kind == "depthwise" else 0
    flat = np.moveaxis(weights, channel, 0).reshape(weights.shape[channel], -1).astype(np.int64)
    least = bias + np.minimum(-128 * flat, 127 * flat).sum(axis=1)
    most = bias + np.maximum(-128 * flat, 127 * flat).sum(axis=1)
    zero_point = maps[node.output].pad
    for c in odd:
        ends = {
            min(max(requantize(int(acc), op.scales[c]) + zero_point, node.low), node.high)
            for acc in (least[c], most[c])
        }
        if len(ends) == 1:
            np.moveaxis(weights, channel, 0)[c] = 0
            # A quarter of it, with the shift that kernels are fastest at.
            bias[c], scales[c], reach[c] = 4 * (ends.pop() - zero_point), Scale(1 << 30, -1), 1024
    # _bias takes the input's zero point off again.
    changed = dataclasses.replace(op, weights=weights, scales=tuple(scales), reach=tuple(reach), bias=None)
    folded = _bias(dataclasses.replace(node, op=changed), maps)
    bias32 = (bias - folded).astype(np.int32)
    return dataclasses.replace(node, op=dataclasses.replace(changed, bias=bias32))


def _bias(node: Node, maps: dict[int, Map]) -> np.ndarray:
    """The bias with the input's zero point folded in."""
    op = node.op
    assert op.weights is not None
    channel = op.weights.ndim - 1 if node.kind == "depthwise" else 0
    others = tuple(axis for axis in range(op.weights.ndim) if axis != channel)
    sums = op.weights.astype(np.int64).sum(axis=others)
    # Codes stand for levels, whose zero point is 0.
    zero_point = 0 if node.kind == "table_conv" else maps[node.inputs[0]].pad
    bias = np.zeros(len(sums), np.int64) if op.bias is None else op.bias.astype(np.int64)
    return (bias - zero_point * sums).astype(np.int32)


def _channels(node: Node, maps: dict[int, Map], levels: int, variant: str) -> np.ndarray:
    bias, weights = _bias(node, maps), node.op.weights
    assert weights is not None
    if node.kind in ("conv", "depthwise") and variant == "dsp":
        if node.kind == "conv":
            bias = bias + layouts.dsp_lift(weights, node.op.dilation[1])
        return dsp_channels(bias, node.op.scales, maps[node.output].pad)
    if node.kind == "table_conv":
        bias = bias - layouts.table_conv_lift(weights, levels)
    if node.kind in ("conv", "depthwise") and variant == "mve":
        return mve_channels(bias, node.op.scales, node.kind)
    return np.array(
        [(b, s.multiplier, s.shift) for b, s in zip(bias.tolist(), node.op.scales, strict=True)], CHANNEL
    )


def mve_channels(bias: np.ndarray, scales: Sequence[Scale], kind: str) -> np.ndarray:
    """Biases, multipliers and shifts for MVE, flat int32: [groups][3][channels of a group].

    Of "conv" four channels a group, zeros beyond the last; of "depthwise" sixteen (:func:`layouts.sixteens`),
    in the order 0, 4, 8, 12, 1, 5, ... 15.
    """
    rows = np.array([bias, [s.multiplier for s in scales], [s.shift for s in scales]], np.int32)
    if kind == "conv":
        grouped = np.pad(rows, [(0, 0), (0, -len(bias) % 4)]).reshape(3, -1, 4)
    else:
        grouped = layouts.sixteens(rows).reshape(3, -1, 4, 4).swapaxes(2, 3).reshape(3, -1, 16)
    return grouped.swapaxes(0, 1).ravel()


def dsp_channels(bias: np.ndarray, scales: Sequence[Scale], zero_point: int) -> np.ndarray:
    """lg_dsp_channel of every channel; of shifts that are not usual the offset is the zero point."""
    doubled = (2 * bias.astype(np.int64)).astype(np.int32)
    rows = []
    for b, s in zip(doubled.tolist(), scales, strict=True):
        usual = s.shift in USUAL_SHIFTS
        offset = (1 + 2 * zero_point) * 2 ** (-s.shift - 1) if usual else zero_point
        rows.append((b, s.multiplier, offset, -s.shift))
    return np.array(rows, DSP_CHANNEL)
