"""Pools, mean, dense and elementwise kernels against TFLite's reference kernels, bit for bit."""

import functools
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.plan import layouts
from tests.support import firmware_cases as fc
from tests.support import tflite_ops as ops
from tests.support.firmware_cases import BOARDS, Case, Program, case
from tests.support.random_ops import (
    Rng,
    activation,
    channel_scales,
    extent,
    inside,
    int8,
    output_scale,
    scale,
    zero_point,
)
from tests.support.tflite_ops import SAME, VALID, Tensor

RUNNER = "lg_layer_cases"
PORTABLE, DSP, MVE = range(3)
BOARD_VARIANTS = {
    "mps2-an386": (PORTABLE, DSP),
    "mps2-an500": (PORTABLE, DSP),
    "mps2-an505": (PORTABLE, DSP),
    "mps3-an547": (PORTABLE, DSP, MVE),
    "netduinoplus2": (PORTABLE, DSP),
}
WITH_VARIANTS = ("row_dense", "row_add")


def f32(value: float) -> float:
    return float(np.float32(value))


def pool_case(rng: Rng, maximum: bool) -> Case:
    kernel = [int(k) for k in rng.integers(1, 6, 2)]
    stride = [int(s) for s in (rng.integers(1, 5, 2) if rng.random() < 0.5 else kernel)]
    padding = int(rng.choice([SAME, VALID]))
    size = [int(rng.integers(k if padding == VALID else 1, k + 12)) for k in kernel]
    channels = int(rng.integers(1, 20))
    (out_h, top), (out_w, left) = (
        extent(n, k, s, 1, padding) for n, k, s in zip(size, kernel, stride, strict=True)
    )
    image = int8(rng, 1, *size, channels)
    s, z, act = scale(rng, -8, 0), zero_point(rng), activation(rng)
    options = schema.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, act
    options.filterHeight, options.filterWidth = kernel
    options.strideH, options.strideW = stride
    operator = "MAX_POOL_2D" if maximum else "AVERAGE_POOL_2D"
    tensors = [Tensor((1, *size, channels), s, z)]
    content = ops.model(operator, options, tensors, Tensor((1, out_h, out_w, channels), s, z))
    expected = ops.reference(content, [image])
    assert expected.shape == (1, out_h, out_w, channels)
    words = [size[0], out_h, kernel[0], stride[0], top, size[1], channels, out_w, kernel[1], stride[1], left]
    words += ops.activation_range(act, s, z)
    operation = "row_max_pool" if maximum else "row_average_pool"
    name = f"{operator} {words}"
    return case(operation, words, [image], expected.tobytes(), name=name, ticks=True, memory=64)


def mean_scale(s_in: float, s_out: float, pixels: int) -> tuple[int, int]:
    """Multiplier and shift of MEAN with 1 / pixels folded in, by the rule in lg_mean.h."""
    multiplier, shift = ops.fixed_point(f32(s_in) / f32(s_out))
    k = min(pixels.bit_length() - 1, 32, 31 + shift)
    return (multiplier << k) // pixels, shift - k


def mean_case(rng: Rng) -> Case:
    height, width, channels = int(rng.integers(1, 15)), int(rng.integers(1, 15)), int(rng.integers(1, 24))
    image = int8(rng, 1, height, width, channels)
    s_in = scale(rng, -8, 0)
    s_out = s_in if rng.random() < 0.4 else f32(s_in * 2 ** rng.uniform(-5, 2))
    z_in, z_out = zero_point(rng), zero_point(rng)
    options = schema.ReducerOptionsT()
    options.keepDims = bool(rng.integers(2))
    axes = Tensor((2,), dtype="int32", data=np.array([1, 2], np.int32))
    shape = (1, 1, 1, channels) if options.keepDims else (1, channels)
    tensors = [Tensor((1, height, width, channels), s_in, z_in), axes]
    expected = ops.reference(ops.model("MEAN", options, tensors, Tensor(shape, s_out, z_out)), [image])
    words = [height, width, channels, z_in, z_out, *mean_scale(s_in, s_out, height * width)]
    name = f"MEAN {words}"
    memory = 5 * channels + 64
    return case("row_mean", words, [image], expected.tobytes(), name=name, ticks=True, memory=memory)


def double_scales(parts: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(parts, np.int64).astype(np.uint32)


def dense_case(rng: Rng, variant: int = PORTABLE) -> Case:
    """Half of the cases have s_in s_w / s_out = 2^-1 .. 2^-9, where one rounding and two often differ."""
    in_n, out_n = int(rng.integers(1, 200)), int(rng.integers(1, 40))
    per_channel, ties = bool(rng.integers(2)), bool(rng.integers(2))
    in_n = int(rng.integers(200, 900)) if rng.random() < 0.1 else in_n
    weights, values = int8(rng, out_n, in_n, low=-127 if variant == DSP else -128), int8(rng, 1, in_n)
    bias = rng.integers(-20000, 20000, out_n).astype(np.int32)
    s_in, s_w = scale(rng, -8, 0), channel_scales(rng, out_n if per_channel else 1)
    z_in, z_out, act = zero_point(rng), zero_point(rng), activation(rng)
    s_out = output_scale(rng, rng.normal(0, 74 * 80 * in_n**0.5, 50), s_in * float(np.median(s_w)))
    if ties:
        weights //= 32
        bias = rng.integers(-300, 300, out_n).astype(np.int32)
        s_in, s_out = 1.0, float(2 ** rng.integers(1, 6))
        s_w = (2.0 ** rng.integers(-4, 1, s_w.size)).astype(np.float32)
    tensors = [
        Tensor((1, in_n), s_in, z_in),
        Tensor((out_n, in_n), s_w, 0, data=weights),
        Tensor((out_n,), np.float32(s_in) * s_w, 0, "int32", bias),
    ]
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = act
    content = ops.model("FULLY_CONNECTED", options, tensors, Tensor((1, out_n), s_out, z_out))
    expected = ops.reference(content, [values])
    parts = [ops.double_point(f32(s_in) * float(w) / f32(s_out)) for w in s_w]
    piece = int(rng.integers(1, in_n + 1)) if rng.random() < 0.5 else in_n
    if variant == DSP:
        piece = int(rng.choice([n for n in range(1, in_n + 1) if in_n % n == 0]))
    bounds = ops.activation_range(act, s_out, z_out)
    words = [variant, in_n, out_n, z_out, *bounds, int(per_channel), piece, int(rng.integers(4))]
    folded = (bias - z_in * weights.astype(np.int32).sum(axis=1)).astype(np.int32)
    packed = weights
    if variant == DSP:
        packed = layouts.dense_weights(weights, piece, "dsp")
        folded += layouts.dense_lift(weights, piece)
    words.append(packed.nbytes)
    arrays = [packed, folded, double_scales(parts), values]
    name = f"FULLY_CONNECTED {words}"
    return case("row_dense", words, arrays, expected.tobytes(), name=name, ticks=True, memory=4 * out_n + 64)


def near_threshold_case(rng: Rng, scale_size: float) -> Case:
    """FULLY_CONNECTED whose biases are the accumulators on both sides of every output threshold."""
    s_in, s_w = np.float32(rng.uniform(0.01, 0.1)), np.float32(rng.uniform(0.001, 0.02))
    s_out = np.float32(float(s_in) * float(s_w) / (scale_size * rng.uniform(0.5, 1)))
    real = float(s_in) * float(s_w) / float(s_out)
    edges = [int((k + 0.5) / real) + d for k in range(-127, 127) for d in (-1, 0, 1)]
    bias = np.array([a for a in edges if abs(a) < 2**31], np.int32)
    n, per_channel = len(bias), bool(rng.integers(2))
    s_weights = np.full(n, s_w) if per_channel else s_w
    weights, values = np.ones((n, 1), np.int8), np.zeros((1, 1), np.int8)
    tensors = [
        Tensor((1, 1), s_in, 0),
        Tensor((n, 1), s_weights, 0, data=weights),
        Tensor((n,), s_in * s_weights, 0, "int32", bias),
    ]
    content = ops.model("FULLY_CONNECTED", schema.FullyConnectedOptionsT(), tensors, Tensor((1, n), s_out, 0))
    expected = ops.reference(content, [values])
    scales = double_scales([ops.double_point(real)] * (n if per_channel else 1))
    words = [PORTABLE, 1, n, 0, -128, 127, int(per_channel), 1, 0, n]
    name = f"FULLY_CONNECTED {s_in!r} * {s_w!r} / {s_out!r}"
    arrays = [weights, bias, scales, values]
    return case("row_dense", words, arrays, expected.tobytes(), name=name, ticks=True, memory=4 * n + 64)


def add_case(rng: Rng, variant: int = PORTABLE) -> Case:
    """Output scales from where the sum of both inputs just fits (out_shift = -19) to far too large ones."""
    shape = (1, int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 20)))
    a, b = int8(rng, *shape), int8(rng, *shape)
    s_a, s_b = scale(rng, -8, 0), scale(rng, -8, 0)
    if rng.random() < 0.1:
        s_b = f32(s_a * 2.0 ** -rng.integers(20, 40))
    s_out = f32(max(s_a, s_b) * rng.uniform(0.5, 3))
    if rng.random() < 0.2:
        s_out = f32(max(s_a, s_b) * 2.0 ** rng.uniform(-18, 14))
    z_a, z_b, z_out = zero_point(rng), zero_point(rng), zero_point(rng)
    act = activation(rng)
    options = schema.AddOptionsT()
    options.fusedActivationFunction = act
    tensors = [Tensor(shape, s_a, z_a), Tensor(shape, s_b, z_b)]
    expected = ops.reference(ops.model("ADD", options, tensors, Tensor(shape, s_out, z_out)), [a, b])
    twice = 2 * max(f32(s_a), f32(s_b))
    ratios = [f32(s_a) / twice, f32(s_b) / twice, twice / (2**20 * f32(s_out))]
    assert ratios[2] < 1
    pairs = [ops.fixed_point(r) for r in ratios]
    words = [variant, a.size, z_a, z_b, z_out, *ops.activation_range(act, s_out, z_out)]
    words += [m for m, _ in pairs] + [s for _, s in pairs] + [int(rng.integers(3))]
    return case("row_add", words, [a, b], expected.tobytes(), name=f"ADD {words}", ticks=True)


def multiply_case(rng: Rng, a: np.ndarray, b: np.ndarray, scales: list[float], zeros: list[int]) -> Case:
    """MUL of a map and a constant of its channels; TFLite multiplies and divides the scales in float32."""
    s_a, s_b, s_out = (np.float32(s) for s in scales)
    act = activation(rng)
    options = schema.MulOptionsT()
    options.fusedActivationFunction = act
    tensors = [Tensor(a.shape, scales[0], zeros[0]), Tensor(b.shape, scales[1], zeros[1], data=b)]
    content = ops.model("MUL", options, tensors, Tensor(a.shape, scales[2], zeros[2]))
    expected = ops.reference(content, [a])
    multiplier, shift = ops.fixed_point(float(s_a * s_b / s_out))
    words = [a.size, b.size, zeros[0], zeros[2], *ops.activation_range(act, scales[2], zeros[2])]
    words += [multiplier, shift]
    constant = b.astype(np.int16) - np.int16(zeros[1])
    return case("row_mul", words, [constant, a], expected.tobytes(), name=f"MUL {words}", ticks=True)


def mul_case(rng: Rng) -> Case:
    shape = (1, int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 20)))
    a, b = int8(rng, *shape), int8(rng, shape[-1] if rng.random() < 0.8 else 1)
    s_a, s_b = scale(rng, -8, 2), scale(rng, -10, 2)
    s_out = f32(s_a * s_b * 2.0 ** rng.uniform(4, 8)) if rng.random() < 0.7 else scale(rng, -10, 3)
    return multiply_case(rng, a, b, [s_a, s_b, s_out], [zero_point(rng) for _ in range(3)])


def every_product_case(rng: Rng, z_a: int, z_b: int) -> Case:
    """MUL of all int8 by all int8."""
    values = np.arange(-128, 128).astype(np.int8)
    a = np.ascontiguousarray(np.repeat(values, 256).reshape(1, 1, 256, 256))
    s_a, s_b = scale(rng, -8, 1), scale(rng, -8, 1)
    s_out = f32(s_a * s_b * 2.0 ** rng.uniform(-1, 9))
    return multiply_case(rng, a, values, [s_a, s_b, s_out], [z_a, z_b, zero_point(rng)])


def lookup_case(rng: Rng) -> Case:
    table, values = rng.integers(-128, 128, 256).astype(np.int8), int8(rng, int(rng.integers(0, 300)))
    expected = table[values.astype(int) + 128]
    return case("row_lookup", [values.size], [table, values], expected.tobytes(), ticks=True)


def copy_case(rng: Rng) -> Case:
    """Pixels into the middle of another map."""
    pixels, channels = int(rng.integers(1, 20)), int(rng.integers(1, 20))
    steps = [channels + int(rng.integers(0, 9)) for _ in range(2)]
    starts = [int(rng.integers(0, 5)) for _ in range(2)]
    source = int8(rng, starts[0] + (pixels - 1) * steps[0] + channels)
    out = int8(rng, starts[1] + (pixels - 1) * steps[1] + channels + 3)
    expected = out.copy()
    for i in range(pixels):
        at, to = starts[0] + i * steps[0], starts[1] + i * steps[1]
        expected[to : to + channels] = source[at : at + channels]
    words = [pixels, channels, *steps, out.size, *starts]
    name = f"copy {words}"
    return case("row_copy_pixels", words, [source, out], expected.tobytes(), name=name, ticks=True)


MAKERS: dict[str, Any] = {
    "row_max_pool": lambda rng: pool_case(rng, maximum=True),
    "row_average_pool": lambda rng: pool_case(rng, maximum=False),
    "row_mean": mean_case,
    "row_dense": dense_case,
    "row_add": add_case,
    "row_mul": mul_case,
    "row_lookup": lookup_case,
    "row_copy_pixels": copy_case,
}


@functools.cache
def cases_of(kind: str, count: int, variant: int = PORTABLE) -> tuple[Case, ...]:
    rng = np.random.default_rng(list(kind.encode()))
    variants = (variant,) if kind in WITH_VARIANTS else ()
    return tuple(MAKERS[kind](rng, *variants) for _ in range(count))


def requant_case(rng: Rng, single: bool, count: int) -> Case:
    """Rescaling of random and extreme accumulators; the expected values are exact Python integers."""
    shifts = rng.integers(-31, 31, count)
    multipliers = np.where(
        rng.random(count) < 0.2,
        rng.choice([0, 1, 2**30, 2**31 - 1], count),
        rng.integers(2**30, 2**31, count),
    )
    fractions = np.where(
        rng.random(count) < 0.2, rng.choice([0, 2**22 - 1], count), rng.integers(0, 2**22, count)
    )
    values = rng.integers(-(2**31), 2**31, count) >> rng.integers(0, 32, count)
    ends = rng.choice([-(2**31), 2**31 - 1, -(2**30), 2**30, -1, 0, 1, -65536, 65535, 65536], count)
    values = np.where(rng.random(count) < 0.2, ends, values)
    ties = rng.random(count) < 0.3  # powers of two, where halves are exact
    multipliers = np.where(ties, 2**30, multipliers)
    fractions = np.where(ties, 0, fractions)
    exact = single_exact if single else double_exact
    rows = zip(values.tolist(), multipliers.tolist(), fractions.tolist(), shifts.tolist(), strict=True)
    expected = np.array([exact(*row) for row in rows], np.int32)
    table = np.stack([values, multipliers, fractions, shifts], axis=1).astype(np.int32)
    operation = "requant_single" if single else "requant_double"
    return case(operation, [count], [table], expected.tobytes(), ticks=True)


def double_exact(x: int, multiplier: int, fraction: int, shift: int) -> int:
    """floor(a multiplier 2^-31 + 1/2), then a division by 2^-shift, half away from zero."""
    a = (x << max(shift, 0)) % 2**32
    a -= 2**32 if a >= 2**31 else 0
    high, right = (a * multiplier + 2**30) >> 31, max(-shift, 0)
    size = (abs(high) + (1 << right >> 1)) >> right
    return size if high >= 0 else -size


def single_exact(x: int, multiplier: int, fraction: int, shift: int) -> int:
    """x (multiplier + fraction 2^-22) 2^(shift - 31), half away from zero, kept within int32."""
    total = 53 - shift
    size = min((abs(x) * (multiplier * 2**22 + fraction) + (1 << (total - 1))) >> total, 2**31 - 1)
    return size if x >= 0 else -size


@pytest.fixture(scope="module")
def host() -> Program:
    return fc.build_host(RUNNER)


@pytest.mark.parametrize("kind", MAKERS)
def test_kernel_equals_the_tflite_reference(host: Program, kind: str) -> None:
    cases = list(cases_of(kind, 150))
    if kind in WITH_VARIANTS:
        cases += cases_of(kind, 150, DSP)
    fc.assert_equal(host, cases)
    assert inside([c.expected for c in cases]) > 0.25


def test_dense_next_to_every_threshold(host: Program) -> None:
    """Where a multiplier of 31 bits is one off now and then."""
    rng = np.random.default_rng(1)
    sizes = [size for size in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6) for _ in range(20)]
    fc.assert_equal(host, [near_threshold_case(rng, size) for size in sizes])


def test_mul_of_every_pair_of_values(host: Program) -> None:
    rng = np.random.default_rng(2)
    zeros = [
        (0, 0),
        (-128, 127),
        (127, -128),
        (-128, -128),
        *(tuple(rng.integers(-128, 128, 2)) for _ in range(12)),
    ]
    fc.assert_equal(host, [every_product_case(rng, int(a), int(b)) for a, b in zeros])


@pytest.mark.parametrize("single", [False, True])
def test_rescaling_is_exact(host: Program, single: bool) -> None:
    rng = np.random.default_rng(3)
    fc.assert_equal(host, [requant_case(rng, single, 100_000)])


def test_products_of_halves_are_those_of_whole_words(host: Program) -> None:
    fc.assert_equal(host, [case("products", [3_000_000, 1], [], bytes(4))])


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_kernel_equals_the_tflite_reference_many(host: Program, kind: str) -> None:
    variants = (PORTABLE, DSP) if kind in WITH_VARIANTS else (PORTABLE,)
    fc.assert_equal(host, [one for variant in variants for one in cases_of(kind, 3000, variant)])


@pytest.mark.qemu
@pytest.mark.parametrize("name", BOARDS)
def test_kernels_on_boards(name: str) -> None:
    program = fc.build_board(name, RUNNER)
    cases = [one for kind in MAKERS for one in cases_of(kind, 150)[:60]]
    for variant in BOARD_VARIANTS.get(name, ())[1:]:
        cases += [one for kind in WITH_VARIANTS for one in cases_of(kind, 150, variant)]
    rng = np.random.default_rng(4)
    cases += [requant_case(rng, single, 60) for single in (False, True) for _ in range(30)]
    fc.assert_equal(program, cases)
