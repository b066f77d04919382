"""The C kernels against TFLite's reference kernels, bit for bit, on random single-operator models."""

import functools
import math

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests import firmware_cases as fc
from tests import tflite_ops as ops
from tests.firmware_cases import BOARDS, Case, Program, case
from tests.tflite_ops import NONE, RELU, RELU6, SAME, VALID, Tensor

Rng = np.random.Generator


def int8(rng: Rng, *shape: int, low: int = -128) -> np.ndarray:
    """Uniform int8 or, now and then, only the extremes."""
    if rng.random() < 0.2:
        return rng.choice(np.array([low, 127], np.int8), shape)
    return rng.integers(low, 128, shape).astype(np.int8)


def zero_point(rng: Rng) -> int:
    return int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))]))


def scale(rng: Rng, low: float = -12, high: float = 2) -> float:
    """A float32 scale: any, or a power of two, which makes ties in the rounding likely."""
    exponent = rng.uniform(low, high)
    return float(np.float32(2 ** (round(exponent) if rng.random() < 0.4 else exponent)))


def activation(rng: Rng) -> int:
    return int(rng.choice([NONE, NONE, RELU, RELU6]))


def extent(size: int, kernel: int, stride: int, dilation: int, padding: int) -> tuple[int, int]:
    """Output size and padding before, for one axis."""
    reach = (kernel - 1) * dilation + 1
    if padding == VALID:
        return (size - reach) // stride + 1, 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + reach - size, 0) // 2


def sensible_output_scale(rng: Rng, sums: np.ndarray, unit: np.ndarray) -> float:
    """Mostly a scale that spreads the outputs over int8, at times a far too small or large one."""
    spread = float(np.std(sums * unit)) + 1e-9
    chosen = spread / rng.uniform(20, 80) if rng.random() < 0.8 else scale(rng)
    if rng.random() < 0.3:
        chosen = 2.0 ** round(math.log2(chosen))
    return float(np.float32(chosen))


def channel_scales(rng: Rng, channels: int) -> np.ndarray:
    return np.array([scale(rng, -12, -4) for _ in range(channels)], np.float32)


def multipliers(scales: list[float]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [ops.fixed_point(s) for s in scales]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.int8)


def conv_case(rng: Rng, depthwise: bool) -> Case:
    kernel = [int(k) for k in rng.integers(1, 6, 2)]
    stride = [int(s) for s in rng.integers(1, 4, 2)]
    dilation = [int(d) for d in (rng.integers(1, 4, 2) if rng.random() < 0.3 else (1, 1))]
    padding = int(rng.choice([SAME, VALID]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [int(rng.integers(r if padding == VALID else 1, r + 9)) for r in reach]
    in_c = int(rng.integers(1, 9))
    out_c = in_c * int(rng.integers(1, 4)) if depthwise else int(rng.integers(1, 10))
    (out_h, top), (out_w, left) = (
        extent(n, k, s, d, padding) for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    )
    shape = (1, *kernel, out_c) if depthwise else (out_c, *kernel, in_c)
    weights, image = int8(rng, *shape, low=-127), int8(rng, 1, *size, in_c)
    bias = rng.integers(-20000, 20000, out_c).astype(np.int32)
    s_in, s_w = scale(rng, -8, 0), channel_scales(rng, out_c)
    z_in, z_out, act = zero_point(rng), zero_point(rng), activation(rng)
    taps = kernel[0] * kernel[1] * (1 if depthwise else in_c)
    s_out = sensible_output_scale(rng, rng.normal(0, 74 * 80 * taps**0.5, 50), s_in * np.median(s_w))
    tensors = [
        Tensor((1, *size, in_c), s_in, z_in),
        Tensor(shape, s_w, 0, data=weights, axis=3 if depthwise else 0),
        Tensor((out_c,), np.float32(s_in) * s_w, 0, "int32", bias),
    ]
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, act
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    if depthwise:
        options.depthMultiplier = out_c // in_c
    operator = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    output = Tensor((1, out_h, out_w, out_c), s_out, z_out)
    expected = ops.reference(ops.model(operator, options, tensors, output), [image])
    assert expected.shape == (1, out_h, out_w, out_c)
    scales, shifts = multipliers([float(np.float32(s_in)) * float(w) / float(np.float32(s_out)) for w in s_w])
    ring = int(rng.integers(reach[0], max(size[0], reach[0]) + 1)) if rng.random() < 0.5 else 0
    words = [*size, in_c, out_h, out_w, out_c, *kernel, *stride, *dilation, top, left, z_in, z_out]
    words += [*ops.activation_range(act, s_out, z_out), 1, ring]
    name = f"{operator} {words}"
    arrays = [weights, bias, scales, shifts, image]
    return case(
        "depthwise" if depthwise else "conv", words, arrays, expected.tobytes(), name=name, memory=256
    )


def dense_scales(parts: list[tuple[int, int, int]]) -> list[np.ndarray]:
    columns = zip(zip(*parts, strict=True), (np.int32, np.uint32, np.int8), strict=True)
    return [np.array(column, dtype) for column, dtype in columns]


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
    arrays = [weights, bias, *dense_scales([ops.double_point(real)] * (n if per_channel else 1)), values]
    words = [1, n, 0, 0, -128, 127, int(per_channel), 1, 0]
    name = f"FULLY_CONNECTED {s_in!r} * {s_w!r} / {s_out!r}"
    return case("fully_connected", words, arrays, expected.tobytes(), name=name, memory=256)


def fully_connected_case(rng: Rng) -> Case:
    """Half of the cases have s_in s_w / s_out = 2^-1 .. 2^-9, where one rounding and two often differ."""
    in_n, out_n = int(rng.integers(1, 200)), int(rng.integers(1, 60))
    per_channel, ties = bool(rng.integers(2)), bool(rng.integers(2))
    weights, values = int8(rng, out_n, in_n, low=-127), int8(rng, 1, in_n)
    bias = rng.integers(-20000, 20000, out_n).astype(np.int32)
    s_in, s_w = scale(rng, -8, 0), channel_scales(rng, out_n if per_channel else 1)
    z_in, z_out, act = zero_point(rng), zero_point(rng), activation(rng)
    s_out = sensible_output_scale(rng, rng.normal(0, 74 * 80 * in_n**0.5, 50), s_in * np.median(s_w))
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
    parts = [ops.double_point(float(np.float32(s_in)) * float(w) / float(np.float32(s_out))) for w in s_w]
    piece = int(rng.integers(1, in_n + 1)) if rng.random() < 0.5 else 0
    bounds = ops.activation_range(act, s_out, z_out)
    words = [in_n, out_n, z_in, z_out, *bounds, int(per_channel), 1, piece]
    arrays = [weights, bias, *dense_scales(parts), values]
    return case(
        "fully_connected", words, arrays, expected.tobytes(), name=f"FULLY_CONNECTED {words}", memory=256
    )


def add_case(rng: Rng) -> Case:
    shape = (1, int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 20)))
    a, b = int8(rng, *shape), int8(rng, *shape)
    s_a, s_b = scale(rng, -8, 0), scale(rng, -8, 0)
    s_out = (
        scale(rng, -8, 1) if rng.random() < 0.2 else float(np.float32(max(s_a, s_b) * rng.uniform(0.5, 3)))
    )
    z_a, z_b, z_out = zero_point(rng), zero_point(rng), zero_point(rng)
    act = activation(rng)
    options = schema.AddOptionsT()
    options.fusedActivationFunction = act
    content = ops.model(
        "ADD", options, [Tensor(shape, s_a, z_a), Tensor(shape, s_b, z_b)], Tensor(shape, s_out, z_out)
    )
    expected = ops.reference(content, [a, b])
    twice = 2 * max(float(np.float32(s_a)), float(np.float32(s_b)))
    ratios = [
        float(np.float32(s_a)) / twice,
        float(np.float32(s_b)) / twice,
        twice / (2**20 * float(np.float32(s_out))),
    ]
    pairs = [ops.fixed_point(r) for r in ratios]
    words = [a.size, z_a, z_b, z_out, *ops.activation_range(act, s_out, z_out)]
    words += [m for m, _ in pairs] + [s for _, s in pairs]
    return case("add", words, [a, b], expected.tobytes(), name=f"ADD {words}")


def pool_case(rng: Rng, maximum: bool) -> Case:
    kernel = [int(k) for k in rng.integers(1, 6, 2)]
    stride = [int(s) for s in (rng.integers(1, 5, 2) if rng.random() < 0.5 else kernel)]
    padding = int(rng.choice([SAME, VALID]))
    size = [int(rng.integers(k if padding == VALID else 1, k + 12)) for k in kernel]
    channels = int(rng.integers(1, 9))
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
    content = ops.model(
        operator, options, [Tensor((1, *size, channels), s, z)], Tensor((1, out_h, out_w, channels), s, z)
    )
    expected = ops.reference(content, [image])
    assert expected.shape == (1, out_h, out_w, channels)
    ring = int(rng.integers(kernel[0], max(size[0], kernel[0]) + 1)) if rng.random() < 0.5 else 0
    words = [
        *size,
        channels,
        out_h,
        out_w,
        *kernel,
        *stride,
        top,
        left,
        *ops.activation_range(act, s, z),
        ring,
    ]
    name = f"{operator} {words}"
    return case(
        "max_pool" if maximum else "average_pool", words, [image], expected.tobytes(), name=name, memory=256
    )


def mean_scale(s_in: float, s_out: float, pixels: int) -> tuple[int, int]:
    """Multiplier and shift of MEAN with 1 / pixels folded in, by the rule in lg_nn.h."""
    multiplier, shift = ops.fixed_point(float(np.float32(s_in)) / float(np.float32(s_out)))
    k = min(pixels.bit_length() - 1, 32, 31 + shift)
    return (multiplier << k) // pixels, shift - k


def mean_case(rng: Rng) -> Case:
    height, width, channels = int(rng.integers(1, 15)), int(rng.integers(1, 15)), int(rng.integers(1, 12))
    image = int8(rng, 1, height, width, channels)
    s_in = scale(rng, -8, 0)
    s_out = s_in if rng.random() < 0.4 else float(np.float32(s_in * 2 ** rng.uniform(-5, 2)))
    z_in, z_out = zero_point(rng), zero_point(rng)
    options = schema.ReducerOptionsT()
    options.keepDims = bool(rng.integers(2))
    axes = Tensor((2,), dtype="int32", data=np.array([1, 2], np.int32))
    shape = (1, 1, 1, channels) if options.keepDims else (1, channels)
    tensors = [Tensor((1, height, width, channels), s_in, z_in), axes]
    expected = ops.reference(ops.model("MEAN", options, tensors, Tensor(shape, s_out, z_out)), [image])
    words = [height * width, channels, z_in, z_out, *mean_scale(s_in, s_out, height * width)]
    name = f"MEAN keep={options.keepDims} {words}"
    return case("mean", words, [image], expected.tobytes(), name=name, memory=4 * channels + 24)


def pad_case(rng: Rng) -> Case:
    size = [int(n) for n in rng.integers(1, 7, 3)]
    pads = rng.integers(0, 4, (3, 2)).astype(np.int32)
    out = [n + int(before) + int(after) for n, (before, after) in zip(size, pads, strict=True)]
    image, s, z = int8(rng, 1, *size), scale(rng, -8, 0), zero_point(rng)
    table = Tensor((4, 2), dtype="int32", data=np.concatenate([np.zeros((1, 2), np.int32), pads]))
    content = ops.model(
        "PAD", schema.PadOptionsT(), [Tensor((1, *size), s, z), table], Tensor((1, *out), s, z)
    )
    words = [*size, *out, *(int(before) for before, _ in pads), z]
    return case("pad", words, [image], ops.reference(content, [image]).tobytes(), name=f"PAD {words}")


def requantize_case(rng: Rng) -> Case:
    shape = (1, int(rng.integers(1, 200)))
    values, s_in, z_in, z_out = int8(rng, *shape), scale(rng, -8, 0), zero_point(rng), zero_point(rng)
    s_out = float(np.float32(s_in * 2 ** rng.uniform(-6, 6))) if rng.random() < 0.7 else s_in
    operator = str(rng.choice(["QUANTIZE", "RELU", "RELU6"]))
    options = schema.QuantizeOptionsT() if operator == "QUANTIZE" else None
    content = ops.model(operator, options, [Tensor(shape, s_in, z_in)], Tensor(shape, s_out, z_out))
    act = {"QUANTIZE": NONE, "RELU": RELU, "RELU6": RELU6}[operator]
    ratio = float(np.float32(s_in)) / float(np.float32(s_out))
    if operator != "QUANTIZE":
        ratio = float(np.float32(s_in) / np.float32(s_out))
    multiplier, shift = ops.fixed_point(ratio)
    words = [values.size, z_in, z_out, *ops.activation_range(act, s_out, z_out), multiplier, shift]
    return case(
        "requantize", words, [values], ops.reference(content, [values]).tobytes(), name=f"{operator} {words}"
    )


MAKERS = {
    "conv": lambda rng: conv_case(rng, depthwise=False),
    "depthwise": lambda rng: conv_case(rng, depthwise=True),
    "fully_connected": fully_connected_case,
    "add": add_case,
    "max_pool": lambda rng: pool_case(rng, maximum=True),
    "average_pool": lambda rng: pool_case(rng, maximum=False),
    "mean": mean_case,
    "pad": pad_case,
    "requantize": requantize_case,
}


@functools.cache
def cases_of(kind: str, count: int) -> tuple[Case, ...]:
    rng = np.random.default_rng(list(kind.encode()))
    return tuple(MAKERS[kind](rng) for _ in range(count))


@pytest.fixture(scope="module")
def host() -> Program:
    return fc.build_host("lg_kernel_cases")


@pytest.mark.parametrize("kind", MAKERS)
def test_kernel_equals_the_tflite_reference(host: Program, kind: str) -> None:
    cases = list(cases_of(kind, 150))
    fc.assert_equal(host, cases)
    inner = sum(
        int(np.count_nonzero(np.abs(np.frombuffer(c.expected, np.int8).astype(int)) < 127)) for c in cases
    )
    total = sum(len(c.expected) for c in cases)
    assert inner > total / 4, (
        f"only {inner} of {total} outputs are inside the range: the comparison says little"
    )


def test_fully_connected_next_to_every_threshold(host: Program) -> None:
    """Where a multiplier of 31 bits is one off now and then."""
    rng = np.random.default_rng(1)
    sizes = [size for size in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6) for _ in range(20)]
    fc.assert_equal(host, [near_threshold_case(rng, size) for size in sizes])


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_kernel_equals_the_tflite_reference_many(host: Program, kind: str) -> None:
    fc.assert_equal(host, list(cases_of(kind, 3000)))


@pytest.mark.qemu
@pytest.mark.parametrize("name", BOARDS)
def test_kernels_on_boards(name: str) -> None:
    program = fc.build_board(name, "lg_kernel_cases")
    fc.assert_equal(program, [one for kind in MAKERS for one in cases_of(kind, 150)[:40]])
