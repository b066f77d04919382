"""Flatbuffers read, checked and refused."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.tflite import graph as tflite_graph
from export.tflite.graph import parse
from export.tflite.quant_graph import Scale, double_scale, quantize_scale, rounded_apart
from loggrad_tf.errors import LogGradError
from tests.support import graph_numpy, graph_reference, quantized, tflite_ops
from tests.support.public_nets import PUBLIC_NETS
from tests.support.tflite_ops import SAME, Tensor

BUILTIN, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
NETS = quantized.NETS | PUBLIC_NETS


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


@pytest.mark.parametrize("name", NETS)
def test_every_layer_equals_the_reference(name: str) -> None:
    """The graph evaluated in integers against BUILTIN_REF, every tensor, and constants' ranges."""
    content = NETS[name]()
    graph = parse(content)
    reference = graph_reference.interpreter(content)
    random = np.random.default_rng(0)
    for _ in range(3):
        graph_reference.invoke(reference, random)
        found = graph_numpy.run(graph, reference.get_tensor(graph.input))
        for op in graph.ops:
            expected = reference.get_tensor(op.output).reshape(found[op.output].shape)
            assert np.array_equal(found[op.output], expected), op.name
    for op in graph.ops:
        if op.kind in ("conv", "depthwise", "dense"):
            assert len(op.reach) == graph.tensors[op.output].shape[-1] and max(op.reach) < 2**31


@pytest.mark.parametrize("shape", [(6,), (1, 6), (1, 1, 6)])
def test_vectors_may_have_sides_of_one(shape: tuple[int, ...], tmp_path: Path) -> None:
    """SOFTMAX, FULLY_CONNECTED that flattens and that keeps its rank, EXPAND_DIMS, SQUEEZE."""
    files = []
    for seed in range(5):
        net = quantized.Net(seed, calibrated=True)
        x = net.softmax(net.dense(net.input(shape), 5, keep=True))
        x = net.expand_dims(x, int(net.random.integers(1, len(shape) + 1))) if len(shape) < 3 else x
        if len(shape) > 1:
            x = net.squeeze(x, (1,))
        files.append(net.flatbuffer(net.dense(x, 3)))
    assert graph_reference.compare(files, tmp_path) == ["equal"] * len(files)


def test_macs_of_elementwise_operators() -> None:
    for name in ("scaled", "fire"):
        graph = parse(PUBLIC_NETS[name]())
        for op in graph.ops:
            out = graph.tensors[op.output].size
            if op.kind in ("mul", "add_constant", "concat", "lookup"):
                assert graph.macs(op) == (out if op.kind in ("mul", "add_constant") else 0)


@pytest.mark.parametrize("name", PUBLIC_NETS)
def test_public_nets_fill_int8(name: str) -> None:
    """On random images no map is nearly constant and none sticks to an end; ReLU's zero is no end."""
    graph = parse(PUBLIC_NETS[name]())
    random = np.random.default_rng(1)
    shape = graph.tensors[graph.input].shape
    runs = [graph_numpy.run(graph, random.integers(-128, 128, shape)) for _ in range(2)]
    for op in graph.ops:
        if op.kind not in ("softmax", "lookup") and graph.tensors[op.output].size > 200:
            seen = np.stack([run[op.output] for run in runs])
            assert seen.std() > 14, op.name
            assert np.mean(seen == 127) < 0.2 and np.mean(seen == seen.min()) < 0.8, op.name


def test_edges_of_other_types_are_left_out() -> None:
    for build in (PUBLIC_NETS["float_edges"], PUBLIC_NETS["byte_edges"]):
        graph = parse(build())
        assert graph.input == graph.ops[0].inputs[0] and graph.output == graph.ops[-1].output
        assert graph.ops[0].index == 1


def test_edges_have_one_reader() -> None:
    net = quantized.Net(0)
    x = net.edge_input((4, 4, 1))
    other = net.like(x, net.shape(x))
    kind, options = OPTIONS.QuantizeOptions, schema.QuantizeOptionsT()
    net.operator(BUILTIN.QUANTIZE, kind, options, [net.source], other)
    out = net.add(net.conv(x, 1), other)
    with pytest.raises(LogGradError, match=r"operator 0 \(QUANTIZE\): .* as its only reader"):
        parse(net.flatbuffer(out))


def test_float_operators_are_named() -> None:
    net = quantized.Net(0)
    x = net.conv(net.input((4, 4, 1)), 2)
    y = net.edge_output(x)
    out = net._tensor((1, 4, 4, 2), schema.TensorType.FLOAT32, 0, [], [])
    net.operator(BUILTIN.LOGISTIC, OPTIONS.NONE, None, [y], out)
    with pytest.raises(LogGradError, match=r"operator 1 \(DEQUANTIZE\): only supported at the end"):
        parse(net.flatbuffer(out))
    net = quantized.Net(0)
    net.edge_input((4, 4, 1))
    net.operators.clear()
    out = net.like(0, (4, 4, 1))
    net.operator(BUILTIN.LOGISTIC, OPTIONS.NONE, None, [net.source], out)
    with pytest.raises(LogGradError, match=r"operator 0 \(LOGISTIC\): input tensor 1 is float32"):
        parse(net.flatbuffer(out))


def _shape_arithmetic(side: int) -> bytes:
    """SHAPE, STRIDED_SLICE, PACK, RESHAPE, as converters write Flatten: [batch, side]."""
    net = quantized.Net(0)
    x = net.input((2, 3, 1))
    sizes = net._tensor((4,), schema.TensorType.INT32, 0, [], [])
    batch = net._tensor((), schema.TensorType.INT32, 0, [], [])
    shape = net._tensor((2,), schema.TensorType.INT32, 0, [], [])
    net.operator(BUILTIN.SHAPE, OPTIONS.ShapeOptions, schema.ShapeOptionsT(), [x], sizes)
    numbers = [net.constant(np.array([n], np.int32)) for n in (0, 1, 1)]
    options = schema.StridedSliceOptionsT()
    options.shrinkAxisMask = 1
    net.operator(BUILTIN.STRIDED_SLICE, OPTIONS.StridedSliceOptions, options, [sizes, *numbers], batch)
    pack = schema.PackOptionsT()
    pack.valuesCount = 2
    inputs = [batch, net.constant(np.array(side, np.int32))]
    net.operator(BUILTIN.PACK, OPTIONS.PackOptions, pack, inputs, shape)
    out = net.like(x, (6,))
    net.operator(BUILTIN.RESHAPE, OPTIONS.ReshapeOptions, schema.ReshapeOptionsT(), [x, shape], out)
    return net.flatbuffer(out)


def test_shape_arithmetic_ahead_of_a_reshape_is_left_out() -> None:
    for side in (6, -1):
        assert [op.kind for op in parse(_shape_arithmetic(side)).ops] == ["reshape"]
    with pytest.raises(LogGradError, match=r"operator 3 \(RESHAPE\): 6 elements cannot become \[1, 7\]"):
        parse(_shape_arithmetic(7))


def test_unsupported_operator_is_named_with_its_index() -> None:
    for code in ("LOG", "ELU", "FLOOR", "CUSTOM"):
        net = quantized.Net(0)
        x = net.conv(net.input((4, 4, 1)), 2)
        out = net.like(x, net.shape(x))
        net.operator(getattr(BUILTIN, code), OPTIONS.NONE, None, [x], out)
        with pytest.raises(LogGradError, match=rf"operator 1 \({code}\): not supported"):
            parse(net.flatbuffer(out))


def test_operands_that_do_not_broadcast_are_refused() -> None:
    for shape in ((1, 1, 1, 1, 6), (6, 4, 6), (5,), (2, 4, 6, 6)):
        net = quantized.Net(0)
        x = net.conv(net.input((4, 6, 1)), 6)
        with pytest.raises(LogGradError, match=r"operator 1 \(MUL\): shapes .* do not broadcast to"):
            parse(net.flatbuffer(net.with_constant(x, shape)))


def test_the_largest_score_at_the_end_is_left_out() -> None:
    """ARG_MAX over a vector, which net_class gives; over a map it is refused."""
    for shape, axis, reason in (
        ((6,), -1, ""),
        ((6,), 1, ""),
        ((2, 3), 2, "only over the channels of one vector"),
    ):
        net = quantized.Net(0)
        x = net.reshape(net.dense(net.input((4, 4, 1)), 6), shape)
        out = net._tensor((1, *shape[:-1]), quantized.TYPES["int32"], 0, [], [])
        inputs = [x, net.constant(np.array(axis, np.int32))]
        net.operator(BUILTIN.ARG_MAX, OPTIONS.ArgMaxOptions, schema.ArgMaxOptionsT(), inputs, out)
        if reason:
            with pytest.raises(LogGradError, match=rf"operator 2 \(ARG_MAX\): {reason}"):
                parse(net.flatbuffer(out))
        else:
            graph = parse(net.flatbuffer(out))
            assert graph.output == x and [op.kind for op in graph.ops] == ["dense", "reshape"]


def test_one_message_lists_all_that_is_refused() -> None:
    """But for what reads something that was refused and is of no known type."""
    net = quantized.Net(0)
    x = net.conv(net.input((4, 4, 1)), 2)
    unknown = net._tensor((1, 4, 4, 2), quantized.TYPES["float32"], 0, [], [])
    net.operator(BUILTIN.ELU, OPTIONS.NONE, None, [x], y := net.like(x, (4, 4, 2)))
    net.operator(BUILTIN.LOG, OPTIONS.NONE, None, [y], unknown)
    net.operator(BUILTIN.FLOOR, OPTIONS.NONE, None, [unknown], z := net.like(x, (4, 4, 2)))
    net.operator(BUILTIN.RELU, OPTIONS.NONE, None, [z], w := net.like(x, (4, 4, 2)))
    out = net.softmax(net.operator(BUILTIN.RELU, OPTIONS.NONE, None, [y], net.like(x, (4, 3, 2))))
    with pytest.raises(LogGradError) as caught:
        parse(net.flatbuffer([w, out]))
    listed, _, supported = str(caught.value).partition("; supported are ")
    assert listed.split("; ") == [
        "model: operator 1 (ELU): not supported",
        "operator 2 (LOG): not supported",
        "operator 5 (RELU): shape [4, 4, 2] becomes [4, 3, 2]",
    ]
    assert "CONV_2D" in supported and str(caught.value).count("CONV_2D") == 2  # and DEPTHWISE_CONV_2D


@pytest.mark.parametrize(
    ("values", "weights", "reason"),
    [
        ("float32", "float32", "a float32 network: quantise it to int8"),
        ("float32", "int8", "a hybrid network, of int8 weights and float32 activations"),
        ("int16", "int8", "a network of int16 activations"),
    ],
)
def test_networks_of_another_arithmetic_are_told_what_they_are(
    values: str, weights: str, reason: str
) -> None:
    net = quantized.Net(0)
    out = net.conv(net.input((4, 4, 1)), 2)
    types = quantized.TYPES | {"int16": schema.TensorType.INT16}
    for tensor in net.tensors:
        if tensor.type == types["int8"]:
            tensor.type = types[weights if tensor.buffer else values]
    with pytest.raises(LogGradError, match=f"model: {reason}"):
        parse(net.flatbuffer(out))


def test_products_at_scales_where_float32_and_double_differ() -> None:
    """TFLite takes s_a s_b / s_out in float32; every product of two int8 at such scales."""
    random = np.random.default_rng(0)
    values, products = np.arange(-128, 128, dtype=np.int8), np.arange(-65025, 65026)
    found = 0
    while found < 8:
        s_a, s_b = np.exp(random.uniform(-6, 0, 2)).astype(np.float32)
        s_out = np.float32(s_a * s_b * random.uniform(60, 300))
        scales = [
            quantize_scale(float(s_a) * float(s_b) / float(s_out)),
            quantize_scale(float(s_a * s_b / s_out)),
        ]
        double, single = (graph_numpy.doubly_rounded(products, scale) for scale in scales)
        if np.array_equal(double, single):
            continue
        found += 1
        shape, image = (1, 1, 256, 256), np.repeat(values[:, None], 256, 1)[None, None]
        operands = [Tensor(shape, s_a, -128), Tensor((256,), s_b, -128, data=values)]
        content = tflite_ops.model("MUL", schema.MulOptionsT(), operands, Tensor(shape, s_out, -128))
        graph = parse(content)
        expected = tflite_ops.reference(content, [image])[0]
        assert np.array_equal(graph_numpy.run(graph, image)[graph.output], expected), (s_a, s_b, s_out)


def test_depthwise_on_one_channel_is_a_convolution() -> None:
    net = quantized.Net(0)
    op = parse(net.flatbuffer(net.depthwise(net.input((8, 7, 1)), (3, 2), multiple=5))).ops[0]
    assert op.kind == "conv" and op.weights is not None and op.weights.shape == (5, 3, 2, 1)


def test_concatenation_demands_one_quantisation() -> None:
    net = quantized.Net(0)
    x = net.conv(net.input((4, 4, 1)), 2)
    out = net.concat([x, net.conv(x, 3)], axis=-1)
    net.tensors[x].quantization = net.tensors[net.source].quantization
    with pytest.raises(LogGradError, match=r"operator 2 \(CONCATENATION\): input scale"):
        parse(net.flatbuffer(out))


LOOKUPS = ("RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH")


@pytest.mark.parametrize("code", LOOKUPS)
def test_tables_hold_what_the_reference_computes(code: str) -> None:
    """In a map of another shape; at a scale pair where float32 and double division differ, and others."""
    random = np.random.default_rng(3)
    values = np.arange(-128, 128, dtype=np.int8).reshape(1, 4, 16, 4)
    pairs = [(np.float32(0.041213247925), np.float32(0.042969878763))]
    pairs += [(s, s * random.uniform(0.3, 1.5)) for s in np.exp(random.uniform(-6, 0, 6))]
    for s_in, s_out in pairs:
        points = [-128, -128] if code in ("QUANTIZE", "RELU6") else random.integers(-128, 128, 2)
        net = quantized.Net(0)
        out = net.lookup(net.input(values.shape[1:], s_in, points[0]), code)
        if code not in ("LOGISTIC", "TANH"):
            net.tensors[out].quantization.scale = np.array([s_out], np.float32)
            net.tensors[out].quantization.zeroPoint = np.array([points[1]], np.int64)
        content = net.flatbuffer(out)
        op = parse(content).ops[0]
        assert op.kind == "lookup" and op.table is not None and op.table.dtype == np.int8
        expected = tflite_ops.reference(content, [values])
        assert np.array_equal(op.table, expected.reshape(-1)), (s_in, s_out)


def test_accumulators_without_a_bias_are_bounded_too() -> None:
    """256 * 127 * 66,054 is just past 2^31."""

    def dense(inputs: int) -> bytes:
        weights = Tensor((1, inputs), 0.01, data=np.full((1, inputs), 127, np.int8))
        source, options = Tensor((1, 2, inputs // 2), 0.01), schema.FullyConnectedOptionsT()
        return tflite_ops.model("FULLY_CONNECTED", options, [source, weights], Tensor((1, 1), 0.1))

    assert parse(dense(66_052)).ops[0].bias is None
    with pytest.raises(LogGradError, match="overflow the 32-bit accumulator"):
        parse(dense(66_054))


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


@pytest.mark.seconds
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


def _logarithm(scale: float, channels: int, out_scale: float = 1 / 16) -> bytes:
    net = quantized.Net(0)
    x = net.input((channels,), scale)
    y = net.log_softmax(x)
    net.tensors[y].quantization.scale = np.float32([out_scale])
    return net.flatbuffer(y)


@pytest.mark.parametrize(
    ("scale", "channels", "out_scale", "reason"),
    [
        (0.1, 4096, 1 / 16, "4096 values: at most 4095"),
        (16.0, 3, 1 / 16, "input scale 16: must be from .* to below 16"),
        (1e-7, 3, 1 / 16, "input scale 1e-07: must be from"),
        (0.1, 3, 1 / 8, "output must have scale 1/16 and zero point 127"),
    ],
)
def test_log_softmax_beyond_its_fixed_point_is_refused(
    scale: float, channels: int, out_scale: float, reason: str
) -> None:
    assert [op.kind for op in parse(_logarithm(0.1, 4095)).ops] == ["log_softmax"]
    with pytest.raises(LogGradError, match=rf"operator 0 \(LOG_SOFTMAX\): {reason}"):
        parse(_logarithm(scale, channels, out_scale))
