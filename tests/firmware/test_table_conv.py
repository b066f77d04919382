"""The convolution by tables against TFLite's reference kernel, bit for bit, and the codes it reads."""

import functools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.plan import layouts
from tests.support import firmware_cases as fc
from tests.support import tflite_ops as ops
from tests.support.firmware_cases import BOARDS, Case, Program, case
from tests.support.tflite_ops import NONE, RELU, RELU6, SAME, VALID, Tensor

RUNNER = "lg_table_conv_cases"
PORTABLE, DSP, MVE = range(3)
FAST = [
    *((name, DSP) for name in ("mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")),
    ("mps3-an547", MVE),
]
Rng = np.random.Generator


def extent(size: int, kernel: int, stride: int, dilation: int, padding: int) -> tuple[int, int]:
    """Output size and padding before, for one axis."""
    reach = (kernel - 1) * dilation + 1
    if padding == VALID:
        return (size - reach) // stride + 1, 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + reach - size, 0) // 2


def pooled(outputs: np.ndarray, pool: tuple[int, int]) -> np.ndarray:
    """Max pool of size and stride `pool`, without padding."""
    height, width = outputs.shape[1] // pool[0], outputs.shape[2] // pool[1]
    cut = outputs[0, : height * pool[0], : width * pool[1]]
    return cut.reshape(height, pool[0], width, pool[1], -1).max(axis=(1, 3))


def channel_words(bias: np.ndarray, scales: list[float]) -> np.ndarray:
    points = [ops.fixed_point(s) for s in scales]
    return np.array([(int(b), m, s) for b, (m, s) in zip(bias, points, strict=True)], np.int32)


def conv_case(
    rng: Rng,
    levels: int,
    pixels: int,
    kernel: tuple[int, int],
    size: tuple[int, int],
    out_c: int,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: int = 1,
    padding: int = SAME,
    pool: tuple[int, int] = (1, 1),
    variant: int = PORTABLE,
) -> Case:
    reach = ((kernel[0] - 1) * dilation + 1, kernel[1])
    (out_h, top), (out_w, left) = (
        extent(n, k, s, d, padding) for n, k, s, d in zip(size, kernel, stride, (dilation, 1), strict=True)
    )
    weights = rng.integers(-127, 128, (out_c, *kernel, 1)).astype(np.int8)
    if rng.random() < 0.2:
        weights = rng.choice(np.array([-127, 127], np.int8), weights.shape)
    image = rng.integers(-levels, levels + 1, (1, *size, 1)).astype(np.int8)
    bias = rng.integers(-3000, 3000, out_c).astype(np.int32)
    s_in = 1.0 if rng.random() < 0.7 else 2.0 ** rng.uniform(-6, 0)
    exponents = rng.uniform(-9, -5, out_c)
    s_w = (2.0 ** (np.round(exponents) if rng.random() < 0.4 else exponents)).astype(np.float32)
    spread = s_in * float(np.median(s_w)) * 74 * levels * (kernel[0] * kernel[1]) ** 0.5
    s_out = spread / rng.uniform(10, 90) if rng.random() < 0.9 else float(2.0 ** rng.uniform(-12, 4))
    if rng.random() < 0.4:
        s_out = 2.0 ** np.round(np.log2(s_out))
    zero = int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))]))
    act = int(rng.choice([NONE, NONE, RELU, RELU6]))
    options = schema.Conv2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, act
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation, 1
    tensors = [
        Tensor((1, *size, 1), s_in, 0),
        Tensor(weights.shape, s_w, 0, data=weights),
        Tensor((out_c,), np.float32(s_in) * s_w, 0, "int32", bias),
    ]
    output = Tensor((1, out_h, out_w, out_c), s_out, zero)
    expected = pooled(ops.reference(ops.model("CONV_2D", options, tensors, output), [image]), pool)
    table = layouts.table_conv(weights, levels, pixels)
    scales = [float(np.float32(s_in)) * float(w) / float(np.float32(s_out)) for w in s_w]
    channels = channel_words(bias - layouts.table_conv_lift(weights, levels), scales)
    largest = levels * np.abs(weights.astype(np.int64)).sum(axis=(1, 2, 3)) + np.abs(bias)
    if (largest * 2.0 ** np.maximum(channels[:, 2], 0) >= 2**30).any():
        variant = PORTABLE
    height, width = expected.shape[:2]
    codes = (width * pool[1] - 1) * stride[1] + (table.shape[1] - 1) * pixels + 1
    rows = (pool[0] - 1) * stride[0] + reach[0]
    words = [
        variant,
        *size,
        height,
        top,
        left,
        2 * levels + 1,
        codes,
        width,
        out_c,
        table.shape[3],
        kernel[0],
    ]
    words += [dilation, table.shape[1], pixels, table.shape[2], stride[1], stride[0], *pool, zero]
    words += [*ops.activation_range(act, s_out, zero), pool[0] * stride[0], rows]
    memory = size[0] * codes + 2 * codes + width * out_c + size[1] + 256
    name = (
        f"table_conv {levels=} {pixels=} {kernel=} {size=} {out_c=} {stride=} {dilation=} {pool=} {variant=}"
    )
    arrays = [image, table, channels]
    return case("table_conv", words, arrays, expected.tobytes(), name=name, memory=memory, ticks=True)


def any_conv_case(rng: Rng, variant: int) -> Case:
    levels, kernel = int(rng.integers(1, 4)), (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    most = layouts.table_pixels(8, levels)
    pixels = int(rng.integers(1, most + 1))
    padding, dilation = int(rng.choice([SAME, VALID])), int(rng.integers(1, 4)) if rng.random() < 0.3 else 1
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    pool = (1, 1) if rng.random() < 0.5 else [(2, 2), (2, 2), (3, 2), (1, 3)][int(rng.integers(4))]
    least = [
        (p - 1) * s + (k - 1) * d + 1 for p, s, k, d in zip(pool, stride, kernel, (dilation, 1), strict=True)
    ]
    size = (least[0] + int(rng.integers(0, 9)), least[1] + int(rng.integers(0, 12)))
    out_c = int(rng.integers(1, 14))
    return conv_case(
        rng,
        levels,
        pixels,
        kernel,
        size,
        out_c,
        stride=stride,
        dilation=dilation,
        padding=padding,
        pool=pool,
        variant=variant,
    )


@functools.cache
def conv_cases(variant: int, count: int) -> list[Case]:
    rng = np.random.default_rng(20 + variant)
    return [any_conv_case(rng, variant) for _ in range(count)]


def codes_case(rng: Rng, radix: int, pixels: int, width: int, left: int, count: int) -> Case:
    n = radix // 2
    levels = rng.integers(-n, n + 1, width).astype(np.int8)
    padded = np.zeros(left + max(width, count + pixels), np.int64)
    padded[left : left + width] = levels
    expected = np.zeros(count, np.int64)
    for j in range(pixels):
        expected += (padded[j : j + count] + n) * radix**j
    words = [width, left, radix, pixels, count]
    return case(
        "level_codes", words, [levels], expected.astype(np.uint8).tobytes(), name=f"codes {words}", ticks=True
    )


def codes_cases() -> list[Case]:
    rng = np.random.default_rng(7)
    shapes = [(r, p) for r in (3, 5, 7) for p in range(1, 6) if r**p <= 256]
    cases = []
    for radix, pixels in [*shapes, (15, 2), (255, 1)]:
        for width in (0, 1, 2, 3, 5, 8, 13, 97):
            left = int(rng.integers(0, 7))
            for count in {1, width + left + 4, max(1, width - 2), max(1, width + left - pixels + 1)}:
                cases.append(codes_case(rng, radix, pixels, width, left, count))
    return cases


@pytest.fixture(scope="module")
def host() -> Program:
    return fc.build_host(RUNNER)


@pytest.fixture(scope="module")
def board(request: pytest.FixtureRequest) -> Program:
    return fc.build_board(request.param, RUNNER)


def test_tables_hold_the_partial_sums() -> None:
    weights = np.arange(-6, 6).reshape(2, 2, 3, 1).astype(np.int8)
    table = layouts.table_conv(weights, 1, 2)
    assert table.shape == (2, 2, 9, 4) and table.dtype == np.uint16
    lift = abs(-6) + abs(-5)
    assert (
        table[0, 0, 0, 0] == 6 + 5 + lift and table[0, 0, 2, 0] == -6 + 5 + lift and table[0, 0, 4, 0] == lift
    )
    assert (table[0, 1, [0, 1, 2], 0] == [4 + 4, 4, 0]).all() and (table[..., 2:] == 0).all()
    assert list(layouts.table_conv_lift(weights, 1)) == [21, 15]


def test_sums_beyond_16_bits_are_told() -> None:
    weights = np.full((2, 7, 12, 1), 127, np.int8)
    assert layouts.table_conv_fits(weights, 3)
    wide = np.full((2, 7, 13, 1), 127, np.int8)
    assert not layouts.table_conv_fits(wide, 3) and layouts.table_conv_fits(wide, 2)


@pytest.mark.seconds
def test_codes_on_the_host(host: Program) -> None:
    fc.assert_equal(host, codes_cases())


def test_portable_kernel_on_the_host(host: Program) -> None:
    fc.assert_equal(host, conv_cases(PORTABLE, 250))


def test_dsp_kernel_emulated_on_the_host(host: Program) -> None:
    fc.assert_equal(host, conv_cases(DSP, 250))


def test_kernels_of_more_codes_than_the_fast_ones_list(host: Program) -> None:
    rng = np.random.default_rng(9)
    shapes = (((7, 7), (2, 2)), ((9, 3), (3, 3)))
    cases = [conv_case(rng, 1, 1, kernel, (24, 24), 9, pool=pool, variant=DSP) for kernel, pool in shapes]
    fc.assert_equal(host, cases)


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS, indirect=True)
def test_codes_and_portable_kernel_on_boards(board: Program) -> None:
    fc.assert_equal(board, codes_cases() + conv_cases(PORTABLE, 60))


@pytest.mark.qemu
@pytest.mark.parametrize(("board", "variant"), FAST, indirect=["board"])
def test_fast_kernels_on_boards(board: Program, variant: int) -> None:
    fc.assert_equal(board, conv_cases(variant, 150))


def first_layer(pixels: int, variant: int) -> Case:
    """5x5, 1 -> 8 channels, 96x96, 3 levels, 2x2 pool."""
    rng = np.random.default_rng(1)
    return conv_case(rng, 1, pixels, (5, 5), (96, 96), 8, pool=(2, 2), variant=variant)


# executed instructions a multiply-add of the layer, rescaling included: board, kernel, pixels a code
BUDGET = {
    ("mps2-an386", DSP, 5): 0.72,
    ("mps2-an386", DSP, 3): 0.98,
    ("mps2-an385", PORTABLE, 5): 1.6,
    ("mps3-an547", MVE, 5): 0.45,
}


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("board", "variant", "pixels", "most"), [(*key, most) for key, most in BUDGET.items()], indirect=["board"]
)
def test_instructions_per_multiply_add(board: Program, variant: int, pixels: int, most: float) -> None:
    one = first_layer(pixels, variant)
    answer = fc.run(board, [one])[0]
    assert answer[:-4] == one.expected
    ticks = int.from_bytes(answer[-4:], "little")
    count = ticks * board.instructions_per_tick / (96 * 96 * 25 * 8)
    print(f"{count:.3f} instructions a multiply-add, {pixels} pixels a code")
    assert 0.02 < count < most
