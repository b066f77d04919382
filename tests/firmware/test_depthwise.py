"""The depthwise convolution against TFLite's reference kernel, bit for bit, on random models."""

import functools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.plan import kernels, layouts
from export.tflite.quant_graph import Scale
from tests.support import firmware_cases as fc
from tests.support import tflite_ops as ops
from tests.support.firmware_cases import BOARDS, Case, Program, case
from tests.support.random_ops import (
    Rng,
    activation,
    channel_scales,
    channel_words,
    extent,
    inside,
    int8,
    output_scale,
    scale,
    zero_point,
)
from tests.support.tflite_ops import SAME, VALID, Tensor

RUNNER = "lg_layer_cases"
VARIANTS = ("portable", "dsp", "mve")
BOARD_VARIANTS = {
    "mps2-an386": ("portable", "dsp"),
    "mps2-an500": ("portable", "dsp"),
    "mps2-an505": ("portable", "dsp"),
    "mps3-an547": VARIANTS,
    "netduinoplus2": ("portable", "dsp"),
}


def depthwise_case(
    rng: Rng,
    variant: str,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    size: tuple[int, int],
    in_c: int,
    multiplier: int = 1,
    *,
    padding: int = SAME,
    extreme: bool = False,
) -> Case:
    """One layer; unless `extreme`, scales and zero points are what trained networks have."""
    out_c = in_c * multiplier
    (out_h, top), (out_w, left) = (
        extent(n, k, s, d, padding) for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    )
    weights, image = int8(rng, 1, *kernel, out_c, low=-127), int8(rng, 1, *size, in_c)
    bias = rng.integers(-20000, 20000, out_c).astype(np.int32)
    s_in, s_w = scale(rng, -8, 0), channel_scales(rng, out_c)
    z_in, z_out, act = zero_point(rng), zero_point(rng), activation(rng)
    unit = s_in * float(np.median(s_w))
    sums = rng.normal(0, 74 * 80 * (kernel[0] * kernel[1]) ** 0.5, 50)
    s_out = output_scale(rng, sums, unit) if extreme else float(np.float32(np.std(sums) * unit / 50))
    tensors = [
        Tensor((1, *size, in_c), s_in, z_in),
        Tensor((1, *kernel, out_c), s_w, 0, data=weights, axis=3),
        Tensor((out_c,), np.float32(s_in) * s_w, 0, "int32", bias),
    ]
    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.fusedActivationFunction, options.depthMultiplier = padding, act, multiplier
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    output = Tensor((1, out_h, out_w, out_c), s_out, z_out)
    expected = ops.reference(ops.model("DEPTHWISE_CONV_2D", options, tensors, output), [image])
    assert expected.shape == (1, out_h, out_w, out_c)
    padded = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip((out_h, out_w), stride, kernel, dilation, strict=True)
    ]
    grid = np.full((*padded, in_c), z_in, np.int8)
    seen = image[0, : padded[0] - top, : padded[1] - left]
    grid[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
    folded = bias - z_in * weights[0].astype(np.int32).sum(axis=(0, 1))
    reals = [float(np.float32(s_in)) * float(w) / float(np.float32(s_out)) for w in s_w]
    points = [Scale(*ops.fixed_point(real)) for real in reals]
    usual = all(point.shift in kernels.USUAL_SHIFTS for point in points)
    slide = (
        kernel == (3, 3) and stride[1] in (dilation[1], 2 * dilation[1]) and usual and bool(rng.integers(4))
    )
    packed = layouts.depthwise_weights(weights[0], variant, slide)
    channels = channel_words(folded, reals)
    if variant == "dsp":
        channels = kernels.dsp_channels(folded, points, z_out)
    if variant == "mve":
        channels = kernels.mve_channels(folded, points, "depthwise")
    words = [
        VARIANTS.index(variant),
        out_h,
        out_w,
        in_c,
        multiplier,
        *kernel,
        dilation[0],
        dilation[1] * in_c,
    ]
    words += [stride[1] * in_c, z_out, *ops.activation_range(act, s_out, z_out), packed.nbytes]
    words += [padded[1] * in_c, stride[0], int(rng.integers(4)), int(slide), int(not usual)]
    arrays = [packed, channels, grid]
    name = f"DEPTHWISE_CONV_2D {words}"
    return case("row_depthwise", words, arrays, expected.tobytes(), name=name, ticks=True, memory=64)


def random_case(rng: Rng, variant: str) -> Case:
    kernel = tuple(int(k) for k in rng.integers(1, 6, 2)) if rng.random() < 0.6 else (3, 3)
    stride = tuple(int(s) for s in rng.integers(1, 4, 2))
    dilation = tuple(int(d) for d in (rng.integers(1, 4, 2) if rng.random() < 0.3 else (1, 1)))
    padding = int(rng.choice([SAME, VALID]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    # Now and then longer than what slides at a time.
    more = 80 if rng.random() < 0.05 else 9
    size = tuple(
        int(rng.integers(r if padding == VALID else 1, r + n)) for r, n in zip(reach, (9, more), strict=True)
    )
    multiplier = int(rng.integers(1, 4)) if variant == "portable" else 1
    in_c = int(rng.integers(1, 7)) if rng.random() < 0.5 else int(rng.integers(7, 40))
    extreme = bool(rng.integers(2))
    return depthwise_case(
        rng, variant, kernel, stride, dilation, size, in_c, multiplier, padding=padding, extreme=extreme
    )


def grouped_cases(rng: Rng, variant: str) -> list[Case]:
    """Windows of 3x3 over channels that fill vectors of sixteen: alone, with a rest or with neighbours."""
    found = []
    for in_c in (1, 2, 4, 8, 16, 24, 32, 48):
        for stride, width in ((1, 1), (1, 5), (1, 16), (2, 7)):
            of = (3, 3), (stride, stride), (1, 1), (3, width), in_c
            found.append(depthwise_case(rng, variant, *of, extreme=width == 5))
    return found


@functools.cache
def cases_of(variant: str, count: int) -> tuple[Case, ...]:
    rng = np.random.default_rng(list(variant.encode()))
    random = [random_case(rng, variant) for _ in range(count)]
    return (*random, *grouped_cases(rng, variant))


@pytest.fixture(scope="module")
def host() -> Program:
    return fc.build_host(RUNNER)


@pytest.mark.parametrize("variant", ["portable", "dsp"])
def test_kernel_equals_the_tflite_reference(host: Program, variant: str) -> None:
    cases = list(cases_of(variant, 200))
    fc.assert_equal(host, cases)
    assert inside([c.expected for c in cases]) > 0.25


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["portable", "dsp"])
def test_kernel_equals_the_tflite_reference_many(host: Program, variant: str) -> None:
    fc.assert_equal(host, list(cases_of(variant, 3000)))


@pytest.mark.qemu
@pytest.mark.parametrize("name", BOARDS)
def test_kernels_on_boards(name: str) -> None:
    program = fc.build_board(name, RUNNER)
    for variant in BOARD_VARIANTS.get(name, ("portable",)):
        fc.assert_equal(program, list(cases_of(variant, 150)))
