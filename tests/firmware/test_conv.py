"""The row kernels of lg_conv.h against TFLite's reference kernels, bit for bit, on random layers."""

import dataclasses
import functools
import math

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.plan import kernels, layouts
from export.tflite.quant_graph import Scale
from tests.support import firmware_cases as fc
from tests.support import tflite_ops as ops
from tests.support.firmware_cases import BOARDS, Case, Program
from tests.support.tflite_ops import NONE, RELU, RELU6, SAME, VALID, Tensor

Rng = np.random.Generator
Size = tuple[int, int, int]
SLACK = 3  # LG_ROW_SLACK
VARIANTS = (*layouts.VARIANTS, "winograd")
DSP_BOARDS = ("mps2-an386", "mps2-an500", "mps2-an505")
BOARD_VARIANTS = [(board, "portable") for board in BOARDS] + [
    *((board, "dsp") for board in DSP_BOARDS),
    ("mps3-an547", "mve"),
]
BUDGET_BOARDS = {"dsp": "mps2-an386", "mve": "mps3-an547", "portable": "mps2-an385"}
# name: input, output channels, kernel, stride, pool; instructions a multiply-add: dsp on M4, mve on M55,
# portable on M3. Those of dsp are many and short: cycles are what they save (benchmarks.kernels).
BUDGETS: dict[str, tuple[Size, int, int, int, int, tuple[float, float, float]]] = {
    "5x5x8-8 pool 2": ((48, 48, 8), 8, 5, 1, 2, (1.18, 0.21, 2.25)),
    "3x3x8-8": ((24, 24, 8), 8, 3, 1, 1, (1.39, 0.31, 2.90)),
    "1x1x8-16": ((24, 24, 8), 16, 1, 1, 1, (2.55, 0.97, 9.1)),
    "1x1x16-16": ((24, 24, 16), 16, 1, 1, 1, (1.78, 0.41, 5.6)),
    "1x1x64-64": ((12, 12, 64), 64, 1, 1, 1, (1.09, 0.19, 2.85)),
    "3x3x1-8 s2": ((96, 96, 1), 8, 3, 2, 1, (3.39, 1.40, 9.6)),
    "3x3x3-8 s2": ((96, 96, 3), 8, 3, 2, 1, (2.04, 0.55, 4.5)),
}
# The same of the portable kernel on M0, which has 16 KB of RAM.
NARROW_BUDGETS: dict[str, tuple[Size, int, int, int, int, float]] = {
    "3x3x8-8": ((8, 8, 8), 8, 3, 1, 1, 5.4),
    "3x3x8-8 pool 2": ((8, 8, 8), 8, 3, 1, 2, 5.2),
    "1x1x16-16": ((8, 8, 16), 16, 1, 1, 1, 7.6),
    "1x1x32-32": ((6, 6, 32), 32, 1, 1, 1, 5.3),
    "3x3x3-8 s2": ((16, 16, 3), 8, 3, 2, 1, 7.1),
}


@dataclasses.dataclass(frozen=True)
class Layer:
    """A CONV_2D, and the max pool after it. Pairs are (rows, columns)."""

    size: tuple[int, int]
    weights: np.ndarray  # int8 [O][kh][kw][I]
    bias: np.ndarray
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: int
    pool: tuple[int, int]
    activation: int
    in_scale: float
    weight_scales: np.ndarray
    out_scale: float
    zero_points: tuple[int, int]
    image: np.ndarray

    @property
    def scales(self) -> list[float]:
        s_in, s_out = float(np.float32(self.in_scale)), float(np.float32(self.out_scale))
        return [s_in * float(w) / s_out for w in self.weight_scales]

    def axis(self, i: int) -> tuple[int, int]:
        """Windows along an axis and the padding before the first."""
        reach = (self.weights.shape[1 + i] - 1) * self.dilation[i] + 1
        if self.padding == VALID:
            return (self.size[i] - reach) // self.stride[i] + 1, 0
        windows = -(-self.size[i] // self.stride[i])
        return windows, max((windows - 1) * self.stride[i] + reach - self.size[i], 0) // 2

    def expected(self) -> np.ndarray:
        """Rows of the pooled output."""
        out_c, _, _, in_c = self.weights.shape
        tensors = [
            Tensor((1, *self.size, in_c), self.in_scale, self.zero_points[0]),
            Tensor(self.weights.shape, self.weight_scales, data=self.weights),
            Tensor((out_c,), np.float32(self.in_scale) * self.weight_scales, 0, "int32", self.bias),
        ]
        options = schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = self.padding, self.activation
        options.strideH, options.strideW = self.stride
        options.dilationHFactor, options.dilationWFactor = self.dilation
        windows = (self.axis(0)[0], self.axis(1)[0])
        output = Tensor((1, *windows, out_c), self.out_scale, self.zero_points[1])
        content = ops.model("CONV_2D", options, tensors, output)
        found = ops.reference(content, [self.image[None]])[0]
        high, wide = (n // p for n, p in zip(windows, self.pool, strict=True))
        cut = found[: high * self.pool[0], : wide * self.pool[1]]
        return cut.reshape(high, self.pool[0], wide, self.pool[1], out_c).max((1, 3))

    def fits_fast_kernels(self) -> bool:
        """|acc| * 2^max(shift, 0) < 2^30 for every input."""
        w = self.weights.reshape(len(self.weights), -1).astype(np.int64)
        bias = self.bias - self.zero_points[0] * w.sum(1)
        extremes = [bias + np.where(w * sign > 0, w * 127, w * -128).sum(1) for sign in (1, -1)]
        left = np.array([max(ops.fixed_point(s)[1], 0) for s in self.scales])
        return bool((np.abs(extremes).max(0) * 2.0**left < 2**30).all())


def case_of(layer: Layer, variant: str, name: str = "", lead: int = 0, ticks: bool = False) -> Case:
    out_c, kernel_h, kernel_w, in_c = layer.weights.shape
    expected = layer.expected()
    (_, top), (_, left) = layer.axis(0), layer.axis(1)
    high, wide = (n * p for n, p in zip(expected.shape[:2], layer.pool, strict=True))
    covered_h = (high - 1) * layer.stride[0] + (kernel_h - 1) * layer.dilation[0] + 1
    covered_w = (wide - 1) * layer.stride[1] + (kernel_w - 1) * layer.dilation[1] + 1
    padded = np.full((covered_h, covered_w, in_c), layer.zero_points[0], np.int8)
    part = layer.image[: covered_h - top, : covered_w - left]
    padded[top : top + part.shape[0], left : left + part.shape[1]] = part
    rng = np.random.default_rng(len(name))
    slack = rng.integers(-128, 128, (covered_h, SLACK)).astype(np.int8)
    rows = np.concatenate([padded.reshape(covered_h, -1), slack], 1)
    winograd = variant == "winograd"
    weights = (
        layouts.winograd_weights(layer.weights)
        if winograd
        else layouts.conv_weights(layer.weights, layer.dilation[1], variant)
    )
    sums = layer.weights.reshape(out_c, -1).sum(1, dtype=np.int32)
    points = [ops.fixed_point(s) for s in layer.scales]
    bias = layer.bias - layer.zero_points[0] * sums
    channels = np.column_stack([bias, points]).astype(np.int32)
    if variant == "dsp":
        lifted = bias + layouts.dsp_lift(layer.weights, layer.dilation[1])
        channels = kernels.dsp_channels(lifted, [Scale(*point) for point in points], layer.zero_points[1])
    if variant == "mve":
        channels = kernels.mve_channels(bias, [Scale(*point) for point in points], "conv")
    if winograd:
        channels = kernels.dsp_channels(bias, [Scale(*point) for point in points], layer.zero_points[1])
    runs, run_step = 1 if layer.dilation[1] == 1 else kernel_w, layer.dilation[1] * in_c
    words = [VARIANTS.index(variant), expected.shape[1], out_c, kernel_h, layer.dilation[0]]
    words += [runs, kernel_w * in_c // runs, run_step, layer.stride[1] * in_c, layer.stride[0], *layer.pool]
    words += [layer.zero_points[1]]
    words += ops.activation_range(layer.activation, layer.out_scale, layer.zero_points[1])
    words += [covered_h, rows.shape[1], lead, weights.nbytes, expected.shape[0]]
    words.append(int(any(shift not in kernels.USUAL_SHIFTS for _, shift in points)))
    lead_bytes = np.zeros(lead, np.int8)
    arrays = [weights, channels, np.concatenate([lead_bytes, rows.ravel()])]
    name = name or f"{variant} {layer.weights.shape} {words}"
    return fc.case("conv_row", words, arrays, expected.tobytes(), name=name, ticks=True, memory=512)


def int8(rng: Rng, *shape: int, low: int = -128) -> np.ndarray:
    """Uniform int8 or, now and then, only the extremes."""
    if rng.random() < 0.15:
        return rng.choice(np.array([low, 127], np.int8), shape)
    return rng.integers(low, 128, shape).astype(np.int8)


def zero_point(rng: Rng) -> int:
    return int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))]))


def output_scale(rng: Rng, weights: np.ndarray, units: np.ndarray) -> float:
    """Mostly a scale that spreads the outputs over int8; at times a far other one, or a power of two."""
    spread = 74 * 80 * math.sqrt(weights[0].size) * float(np.median(units))
    chosen = spread / rng.uniform(20, 80)
    if rng.random() < 0.2:
        chosen *= 2 ** rng.uniform(-20, 8)
    return float(np.float32(2 ** round(math.log2(chosen)) if rng.random() < 0.3 else chosen))


def layer_of(
    rng: Rng,
    size: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: int,
    pool: tuple[int, int],
) -> Layer:
    weights = int8(rng, out_c, *kernel, size[2], low=-127)
    in_scale = float(np.float32(2 ** rng.uniform(-8, 0)))
    exponents = rng.uniform(-10, -5) + rng.uniform(-1, 1, out_c)
    ties = rng.random() < 0.3
    weight_scales = (2 ** (np.round(exponents) if ties else exponents)).astype(np.float32)
    return Layer(
        size=size[:2],
        weights=weights,
        bias=rng.integers(-20000, 20000, out_c).astype(np.int32),
        stride=stride,
        dilation=dilation,
        padding=padding,
        pool=pool,
        activation=int(rng.choice([NONE, NONE, RELU, RELU6])),
        in_scale=2.0 ** round(math.log2(in_scale)) if ties else in_scale,
        weight_scales=weight_scales,
        out_scale=output_scale(rng, weights, in_scale * weight_scales),
        zero_points=(zero_point(rng), zero_point(rng)),
        image=int8(rng, *size),
    )


def random_layer(rng: Rng) -> Layer:
    def pair(low: int, high: int) -> tuple[int, int]:
        return int(rng.integers(low, high)), int(rng.integers(low, high))

    kernel = pair(1, 8) if rng.random() < 0.7 else (1, 1)
    stride = pair(1, 4)
    dilation = pair(1, 4) if rng.random() < 0.3 else (1, 1)
    padding = int(rng.choice([SAME, VALID]))
    pool = [(1, 1), (1, 1), (2, 2), (3, 3), pair(1, 4)][int(rng.integers(5))]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = []
    for i in range(2):
        need = pool[i] * stride[i] + (reach[i] - 1 if padding == VALID else 0)
        size.append(int(rng.integers(need, need + 9)))
    in_c = int(rng.choice([1, 2, 3, 4, 5, 8, 13, 16] if kernel != (1, 1) else [1, 4, 16, 32, 300, 600]))
    out_c = int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 16, 19]))
    return layer_of(rng, (size[0], size[1], in_c), out_c, kernel, stride, dilation, padding, pool)


def sliding_layer(rng: Rng) -> Layer:
    """Windows three pixels wide and one apart, which share pixels of whole words; some do not fit at once."""
    width = int(rng.integers(4, 10))
    in_c, out_c = int(rng.choice([4, 8, 32, 64])), int(rng.choice([2, 5, 8, 66]))
    kernel, stride = (int(rng.integers(1, 5)), 3), (int(rng.integers(1, 3)), 1)
    return layer_of(rng, (5, width, in_c), out_c, kernel, stride, (1, 1), SAME, (1, 1))


def lowest_layer(rng: Rng, kernel: int) -> Layer:
    """Inputs and weights of -128 or 127: two products are up to 2^15, which no converter's weights reach."""
    layer = layer_of(rng, (4, 5, 6), 6, (kernel, kernel), (1, 1), (1, 1), SAME, (1, 1))
    weights, image = (
        rng.choice(np.array([-128, 127], np.int8), a.shape) for a in (layer.weights, layer.image)
    )
    weights[0] = image[..., :3] = -128
    return dataclasses.replace(layer, weights=weights, image=image)


def winograd_layer(rng: Rng) -> Layer:
    """What lg_winograd_row_dsp takes, but for shifts."""
    taps = int(rng.choice([3, 5]))
    most = kernels.WINOGRAD_CHANNELS[taps, taps][1]
    in_c = most if rng.random() < 0.3 else int(rng.integers(1, most + 1))
    padding = int(rng.choice([SAME, VALID]))
    least = 2 if padding == SAME else taps + 1
    size = (least + int(rng.integers(0, 4)), least + int(rng.integers(0, 12)), in_c)
    return layer_of(rng, size, int(rng.integers(1, 14)), (taps, taps), (1, 1), (1, 1), padding, (2, 2))


def is_usual(layer: Layer) -> bool:
    return all(ops.fixed_point(scale)[1] in kernels.USUAL_SHIFTS for scale in layer.scales)


@functools.cache
def winograd_cases(count: int) -> tuple[Case, ...]:
    rng = np.random.default_rng(11)
    layers = [winograd_layer(rng) for _ in range(count)]
    usable = [one for one in layers if one.fits_fast_kernels() and is_usual(one)]
    assert len(usable) > 0.6 * count
    return tuple(case_of(one, "winograd", lead=int(rng.integers(4))) for one in usable)


def test_winograd_equals_the_tflite_reference(host: Program) -> None:
    fc.assert_equal(host, list(winograd_cases(250)))


@pytest.mark.slow
def test_winograd_equals_the_tflite_reference_many(host: Program) -> None:
    fc.assert_equal(host, list(winograd_cases(3000)))


@pytest.mark.qemu
@pytest.mark.parametrize("board", DSP_BOARDS)
def test_winograd_on_boards(board: str) -> None:
    fc.assert_equal(fc.build_board(board, "lg_conv_cases"), list(winograd_cases(120)))


SLIDING = 12


@functools.cache
def cases_of(variant: str, count: int) -> tuple[Case, ...]:
    rng = np.random.default_rng(7)
    layers = [sliding_layer(rng) for _ in range(SLIDING)]
    # Runs of two bytes, which are not a whole quad.
    layers.append(layer_of(rng, (6, 9, 2), 4, (3, 1), (1, 1), (1, 1), SAME, (1, 1)))
    layers += [random_layer(rng) for _ in range(count)]
    if variant == "portable":
        layers[:0] = [lowest_layer(np.random.default_rng(kernel), kernel) for kernel in (1, 2, 3)]
    usable = [one for one in layers if variant == "portable" or one.fits_fast_kernels()]
    assert len(usable) > 0.8 * count
    return tuple(case_of(one, variant, lead=int(rng.integers(4))) for one in usable)


@pytest.fixture(scope="module")
def host() -> Program:
    return fc.build_host("lg_conv_cases")


def rescale_case(n: int = 2000) -> Case:
    """The double rounding, where |x| * 2^max(shift, 0) < 2^30; half of the products are ties."""
    rng = np.random.default_rng(5)
    shifts = rng.integers(-31, 31, n)
    bound = 2**30 // 2 ** np.maximum(shifts, 0)
    values = (rng.integers(-(2**30) + 1, 2**30, n) >> rng.integers(0, 30, n)) % bound * rng.choice([-1, 1], n)
    multipliers = np.where(rng.random(n) < 0.5, 2**30, rng.integers(2**30, 2**31, n))
    expected = []
    for x, multiplier, shift in zip(values.tolist(), multipliers.tolist(), shifts.tolist(), strict=True):
        high = ((x << max(shift, 0)) * multiplier + 2**30) >> 31
        right = max(-shift, 0)
        size = (abs(high) + (1 << right >> 1)) >> right
        expected.append(size if high >= 0 else -size)
    arrays = [np.array(a, np.int32) for a in (values, multipliers, shifts)]
    return fc.case("rescale", [n], arrays, np.array(expected, np.int32).tobytes())


def test_rescaling_of_the_fast_kernels(host: Program) -> None:
    fc.assert_equal(host, [rescale_case()])


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547"])
def test_rescaling_on_boards(board: str) -> None:
    fc.assert_equal(fc.build_board(board, "lg_conv_cases"), [rescale_case()])


HOST_VARIANTS = ("portable", "dsp")


@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_kernel_equals_the_tflite_reference(host: Program, variant: str) -> None:
    cases = list(cases_of(variant, 250))
    fc.assert_equal(host, cases)
    values = np.concatenate([np.frombuffer(c.expected, np.int8) for c in cases]).astype(int)
    assert np.count_nonzero(np.abs(values) < 127) > values.size / 4, "outputs are saturated: this says little"


@pytest.mark.slow
@pytest.mark.parametrize("variant", HOST_VARIANTS)
def test_kernel_equals_the_tflite_reference_many(host: Program, variant: str) -> None:
    fc.assert_equal(host, list(cases_of(variant, 3000)))


@pytest.mark.qemu
@pytest.mark.parametrize(("board", "variant"), BOARD_VARIANTS)
def test_kernel_on_boards(board: str, variant: str) -> None:
    fc.assert_equal(fc.build_board(board, "lg_conv_cases"), list(cases_of(variant, 250))[: 80 + SLIDING])


def instructions_each(
    program: Program,
    variant: str,
    size: tuple[int, int, int],
    out_c: int,
    kernel: int,
    stride: int,
    pool: int,
) -> float:
    """Executed instructions a multiply-add, without activation, outputs spread over int8."""
    both = (kernel, kernel), (stride, stride)
    layer = layer_of(np.random.default_rng(1), size, out_c, *both, (1, 1), SAME, (pool, pool))
    spread = 74 * 80 * math.sqrt(layer.weights[0].size) * layer.in_scale * np.median(layer.weight_scales)
    layer = dataclasses.replace(
        layer, activation=NONE, zero_points=(-3, -128), out_scale=float(np.float32(spread / 40))
    )
    one = case_of(layer, variant, ticks=True)
    (answer,) = fc.run(program, [one])
    assert answer[: len(one.expected)] == one.expected
    products = layer.axis(0)[0] * layer.axis(1)[0] * layer.weights.size
    return int.from_bytes(answer[-4:], "little") * program.instructions_per_tick / products


@pytest.mark.qemu
@pytest.mark.parametrize("variant", BUDGET_BOARDS)
def test_instructions_stay_within_the_budget(variant: str) -> None:
    program = fc.build_board(BUDGET_BOARDS[variant], "lg_conv_cases")
    found = {name: instructions_each(program, variant, *row[:-1]) for name, row in BUDGETS.items()}
    budget = {name: row[-1][list(BUDGET_BOARDS).index(variant)] for name, row in BUDGETS.items()}
    assert all(found[name] <= budget[name] for name in budget), {n: round(v, 3) for n, v in found.items()}


@pytest.mark.qemu
def test_instructions_stay_within_the_budget_without_a_long_multiply() -> None:
    program = fc.build_board("microbit", "lg_conv_cases")
    found = {name: instructions_each(program, "portable", *row[:-1]) for name, row in NARROW_BUDGETS.items()}
    over = {name: round(value, 3) for name, value in found.items() if value > NARROW_BUDGETS[name][-1]}
    assert not over
