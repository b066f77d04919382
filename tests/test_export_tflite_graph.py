"""Flatbuffers read, checked and refused."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export import tflite_graph
from export.quant_graph import Scale, double_scale, quantize_scale, rounded_apart
from export.tflite_graph import parse
from loggrad_tf.errors import LogGradError
from tests import quantized, tflite_ops
from tests.tflite_ops import SAME, Tensor


def test_real_network(shared: Path) -> None:
    graph = tflite_graph.load(shared / "models" / "vww_96_int8.tflite")
    assert len(graph.ops) == 31
    assert sum(graph.macs(op) for op in graph.ops if op.weights is not None) == 7_489_664
    assert graph.tensors[graph.input].shape == (96, 96, 3)
    assert graph.ops[-1].kind == "softmax"


@pytest.mark.parametrize("real", [1e-12, 0.0003, 0.25, 0.5, 0.999999999999, 1.0, 1.7, 3e5])
def test_scale_is_within_half_a_step(real: float) -> None:
    scale = quantize_scale(real)
    value = scale.multiplier * 2.0 ** (scale.shift - 31)
    assert abs(value - real) <= max(real * 2.0**-31, 2.0**-33)
    assert scale.multiplier == 0 or 2**30 <= scale.multiplier < 2**31


def test_scale_limits() -> None:
    assert quantize_scale(0.0) == Scale(0, 0)
    assert quantize_scale(math.ldexp(1, -40)) == Scale(0, 0)
    assert quantize_scale(math.ldexp(1, 40)) == Scale(2**31 - 1, 30)
    with pytest.raises(LogGradError):
        quantize_scale(math.nan)


@pytest.mark.parametrize("real", [1e-9, 0.0003, 1 / 6, 0.5, math.nextafter(1, 0), 1.7, 3e5])
def test_dense_scale_is_exact(real: float) -> None:
    scale = double_scale(real)
    assert (
        math.ldexp(scale.multiplier, scale.shift - 31) + math.ldexp(scale.fraction, scale.shift - 53) == real
    )
    assert 2**30 <= scale.multiplier < 2**31 and 0 <= scale.fraction < 2**22


def test_dense_scale_limits() -> None:
    assert double_scale(0.0) == double_scale(math.nextafter(2**-32, 0)) == Scale(0, 0)
    assert double_scale(2**-32) == Scale(2**30, -31)
    for real in (2.0**30, math.nan, -1.0):
        with pytest.raises(LogGradError):
            double_scale(real)


def test_scales_whose_double_products_become_ties_are_found() -> None:
    """3 * (1/6 rounded down to a double) is below 1/2, in double it is 1/2: TFLite says 1, integers 0."""
    assert Fraction(1 / 6) * 3 < Fraction(1, 2) and 3 * (1 / 6) == 0.5
    assert rounded_apart(1 / 6, 3) == 3
    assert rounded_apart(1 / 6, 2) is None
    assert rounded_apart(0.25, 2**31 - 1) is None
    random = np.random.default_rng(0)
    reals = np.exp(random.uniform(-14, 0, 300))
    assert [rounded_apart(float(real), 2**31 - 1) for real in reals] == [None] * 300


def test_dense_with_such_a_scale_is_refused() -> None:
    def dense(weight: int, s_out: float) -> bytes:
        weights = Tensor((1, 1), 1.0, data=np.full((1, 1), weight, np.int8))
        options = schema.FullyConnectedOptionsT()
        return tflite_ops.model(
            "FULLY_CONNECTED", options, [Tensor((1, 1), 1.0), weights], Tensor((1, 1), s_out)
        )

    assert parse(dense(1, 8.0)).ops[0].scales == (Scale(2**30, -2),)
    with pytest.raises(LogGradError, match="3 .* is a tie in double"):
        parse(dense(1, 6.0))
    with pytest.raises(LogGradError, match="output scale is too small"):
        parse(dense(127, 2.0**-17))


def test_same_padding_puts_the_odd_pixel_last() -> None:
    net = quantized.Net(0)
    graph = parse(net.flatbuffer(net.conv(net.input((6, 7, 1)), 2, 3, 2)))
    assert graph.ops[0].before == (0, 1, 0)


def test_shape_arithmetic_ahead_of_a_reshape_is_left_out() -> None:
    net = quantized.Net(0)
    x = net.input((2, 3, 1))
    sizes = net._tensor((4,), schema.TensorType.INT32, 0, [], [])
    net.operator(
        schema.BuiltinOperator.SHAPE, schema.BuiltinOptions.ShapeOptions, schema.ShapeOptionsT(), [x], sizes
    )
    out = net.like(x, (6,))
    net.operator(
        schema.BuiltinOperator.RESHAPE,
        schema.BuiltinOptions.ReshapeOptions,
        schema.ReshapeOptionsT(),
        [x, sizes],
        out,
    )
    assert [op.kind for op in parse(net.flatbuffer(out)).ops] == ["reshape"]


def test_unsupported_operator_is_named_with_its_index() -> None:
    net = quantized.Net(0)
    x = net.conv(net.input((4, 4, 1)), 2)
    out = net.like(x, net.shape(x))
    net.operator(schema.BuiltinOperator.HARD_SWISH, schema.BuiltinOptions.HardSwishOptions, None, [x], out)
    with pytest.raises(LogGradError, match=r"operator 1 \(HARD_SWISH\): not supported"):
        parse(net.flatbuffer(out))


@pytest.mark.parametrize("code", ["RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE"])
def test_requantisation_at_scales_where_float32_and_double_division_differ(code: str) -> None:
    """Every int8 input, by the arithmetic of lg_requant_double, against the reference."""
    random = np.random.default_rng(3)
    values = np.arange(-128, 128)
    pairs = [(np.float32(0.041213247925), np.float32(0.042969878763))]
    while len(pairs) < 12:
        s_in = np.float32(np.exp(random.uniform(-6, 0)))
        s_out = np.float32(s_in * np.float32(random.uniform(0.3, 1.5)))
        exact, single = (quantize_scale(float(ratio)) for ratio in (float(s_in) / float(s_out), s_in / s_out))
        if exact.shift == single.shift and np.any(
            _doubly_rounded(values + 128, exact) != _doubly_rounded(values + 128, single)
        ):
            pairs.append((s_in, s_out))
    for s_in, s_out in pairs:
        shape = (1, len(values))
        options = schema.QuantizeOptionsT() if code == "QUANTIZE" else None
        content = tflite_ops.model(code, options, [Tensor(shape, s_in, -128)], Tensor(shape, s_out, -128))
        op = parse(content).ops[0]
        found = np.clip(_doubly_rounded(values + 128, op.scales[0]) - 128, op.low, op.high)
        expected = tflite_ops.reference(content, [values.astype(np.int8)[None]])[0]
        assert np.array_equal(found, expected), (s_in, s_out)


def _doubly_rounded(x: np.ndarray, scale: Scale) -> np.ndarray:
    """lg_requant_double for x >= 0."""
    high = ((x.astype(np.int64) << max(scale.shift, 0)) * scale.multiplier + 2**30) >> 31
    right = max(-scale.shift, 0)
    return (high + ((1 << right) >> 1)) >> right


def test_accumulators_without_a_bias_are_bounded_too() -> None:
    """255 * 127 * 66,312 is just past 2^31."""

    def dense(inputs: int) -> bytes:
        weights = Tensor((1, inputs), 0.01, data=np.full((1, inputs), 127, np.int8))
        source, options = Tensor((1, 2, inputs // 2), 0.01), schema.FullyConnectedOptionsT()
        return tflite_ops.model("FULLY_CONNECTED", options, [source, weights], Tensor((1, 1), 0.1))

    assert parse(dense(66_310)).ops[0].bias is None
    with pytest.raises(LogGradError, match="overflow the 32-bit accumulator"):
        parse(dense(66_312))


def test_average_pools_are_bounded() -> None:
    def pool(code: str, side: int) -> bytes:
        options = schema.Pool2DOptionsT()
        options.padding, options.strideH, options.strideW = SAME, 1, 1
        options.filterHeight = options.filterWidth = side
        one = Tensor((1, 1, 1, 1), 0.1)
        return tflite_ops.model(code, options, [one], one)

    assert parse(pool("AVERAGE_POOL_2D", 2896)).ops[0].kernel == (2896, 2896)
    assert parse(pool("MAX_POOL_2D", 4097)).ops[0].kernel == (4097, 4097)
    with pytest.raises(LogGradError, match="mean over 8392609 pixels"):
        parse(pool("AVERAGE_POOL_2D", 2897))


def _broken(change: str) -> bytes:
    net = quantized.Net(0)
    x = net.input((6, 6, 2))
    y = net.conv(x, 3)
    out = net.pool(y, "max")
    weights, bias = (int(t) for t in net.operators[0].inputs[1:])
    if change == "weights short":
        net.buffers[net.tensors[weights].buffer].data = np.zeros(7, np.uint8)
    elif change == "bias shape":
        net.tensors[bias].shape = np.array([1, 3], np.int32)
    elif change == "weight zero point":
        net.tensors[weights].quantization.zeroPoint = np.array([0, 1, 0], np.int64)
    elif change == "scale nan":
        net.tensors[y].quantization.scale = np.array([math.nan], np.float32)
    elif change == "scale negative":
        net.tensors[weights].quantization.scale = np.array([0.1, -0.1, 0.1], np.float32)
    elif change == "no scale":
        net.tensors[y].quantization = None
    elif change == "float tensor":
        net.tensors[y].type = schema.TensorType.FLOAT32
    elif change == "batch":
        net.tensors[x].shape = np.array([2, 6, 6, 2], np.int32)
    elif change == "output shape":
        net.tensors[y].shape = np.array([1, 5, 6, 3], np.int32)
    elif change == "tensor index":
        net.operators[0].inputs = np.array([x, 99, bias], np.int32)
    elif change == "cycle":
        net.operators[0].inputs = np.array([out, weights, bias], np.int32)
    elif change == "stride 0":
        net.operators[0].builtinOptions.strideH = 0
    elif change == "pool scale":
        net.tensors[out].quantization.scale = np.array([0.7], np.float32)
    elif change == "activation":
        net.operators[0].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH
    elif change == "overflow":
        net.buffers[net.tensors[bias].buffer].data = np.frombuffer(np.full(3, 2**31 - 1, np.int32), np.uint8)
    elif change == "options":
        net.operators[0].builtinOptions = None
        net.operators[0].builtinOptionsType = 0
    return net.flatbuffer(out)


@pytest.mark.parametrize(
    "change",
    [
        "weights short",
        "bias shape",
        "weight zero point",
        "scale nan",
        "scale negative",
        "no scale",
        "float tensor",
        "batch",
        "output shape",
        "tensor index",
        "cycle",
        "stride 0",
        "pool scale",
        "activation",
        "overflow",
        "options",
    ],
)
def test_wrong_files_are_refused(change: str) -> None:
    assert len(parse(_broken("none")).ops) == 2
    with pytest.raises(LogGradError) as caught:
        parse(_broken(change))
    assert "\n" not in str(caught.value)


def test_damaged_bytes_never_crash_or_hang() -> None:
    """Cut anywhere, or any byte changed: a graph of the same interface, or one LogGradError."""
    data = quantized.branched()
    refused = 0
    for cut in range(0, len(data), 211):
        with pytest.raises(LogGradError):
            parse(data[:cut])
    random = np.random.default_rng(0)
    for place in random.integers(0, len(data), 400):
        changed = bytearray(data)
        changed[place] ^= int(random.integers(1, 256))
        try:
            parse(bytes(changed))
        except LogGradError:
            refused += 1
    assert refused > 20
