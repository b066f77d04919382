"""Choice of kernels: exact rescaling, constant channels, budgets of flash, costs that come near."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from export import firmware
from export.plan import kernels, layouts, nodes, plan
from export.predict import costs, power, probes
from export.tflite import graph as tflite_graph
from export.tflite.quant_graph import Scale
from tests.support import quantized
from tests.support.random_nets import random_net

SCALES = st.builds(Scale, st.one_of(st.just(0), st.integers(2**30, 2**31 - 1)), st.integers(-31, 0))


@settings(max_examples=300)
@given(st.integers(-(2**31), 2**31 - 1), SCALES)
def test_rescaling_rounds_as_defined(x: int, scale: Scale) -> None:
    """Halves upward in the doubling product, away from zero in the shift."""
    high = (x * scale.multiplier * 2 + 2**31) // 2**32
    magnitude = (2 * abs(high) + 2**-scale.shift) // (2 * 2**-scale.shift)
    assert kernels.requantize(x, scale) == (magnitude if high >= 0 else -magnitude)


def constant_channel() -> bytes:
    """A convolution with a channel of no weights and an enormous bias, as converters write dead ones."""
    net = quantized.Net(3)
    x = net.conv(net.input((6, 6, 2)), 5, 3)
    weights, bias = (net.operators[0].inputs[place] for place in (1, 2))
    values = np.frombuffer(bytes(net.buffers[net.tensors[weights].buffer].data), np.int8).copy()
    values.reshape(5, -1)[2] = 0
    net.buffers[net.tensors[weights].buffer].data = values.view(np.uint8)
    biases = np.frombuffer(bytes(net.buffers[net.tensors[bias].buffer].data), np.int32).copy()
    biases[2] = 2**30
    net.buffers[net.tensors[bias].buffer].data = biases.view(np.uint8)
    assert net.operators[0].builtinOptionsType == schema.BuiltinOptions.Conv2DOptions
    return net.flatbuffer(net.mean(x))


def test_a_constant_channel_does_not_slow_its_layer() -> None:
    graph = tflite_graph.parse(constant_channel())
    assert max(graph.ops[0].reach) >= kernels.FAST_LIMIT
    chosen = plan.plan(graph, "cortex-m4").kernels[0]
    assert chosen.function == "lg_conv_row_dsp"
    channel = chosen.constants["channels"][2]
    assert abs(int(channel["bias"])) <= 2 * 1020 and channel["right"] == 1


def test_a_large_accumulator_takes_the_portable_kernel() -> None:
    """Its weights alone reach 2^30."""
    net = quantized.Net(3)
    x = net.conv(net.input((3, 3, 5000)), 1, 3, same=False)
    values = np.full(45000, 127, np.int8)
    weights = net.tensors[net.operators[0].inputs[1]].buffer
    net.buffers[weights].data = values.view(np.uint8)
    net.tensors[x].quantization.scale = np.array([net.scale(x) * 1000], np.float32)
    graph = tflite_graph.parse(net.flatbuffer(net.mean(x)))
    assert max(graph.ops[0].reach) >= kernels.FAST_LIMIT
    assert plan.plan(graph, "cortex-m4").kernels[0].function == "lg_conv_row"


def test_layouts_go_from_fast_to_small() -> None:
    graph = tflite_graph.parse(random_net(41, levels=True))
    found = kernels.choices(nodes.build(graph), 1)
    sizes = [plan.plan(graph, "cortex-m4", 1, choice).constant_bytes for choice in found]
    assert found[0].code_pixels > 0 and not found[-1].code_pixels
    tables = [size for size, choice in zip(sizes, found, strict=True) if choice.code_pixels]
    assert tables == sorted(tables, reverse=True)
    assert sizes[-1] < sizes[0]


@pytest.mark.parametrize(
    "core", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"]
)
def test_every_kernel_has_its_cost(core: str) -> None:
    known = costs._load()["instructions"][costs.COUNTED_ON.get(core, core)]
    assert core in power.PER_INSTRUCTION or costs._load()["cycles"][core].keys() == known.keys()
    for name, weights in known.items():
        assert weights and all(weight >= 0 for weight in weights.values()), name
    for variant in {"portable", kernels.VARIANTS.get(core, "portable")}:
        suffix = "" if variant == "portable" else f"_{variant}"
        assert f"conv:lg_conv_row{suffix}" in known and f"depthwise:lg_depthwise_row{suffix}" in known


def test_a_weight_of_minus_128_takes_the_portable_kernel() -> None:
    graph = tflite_graph.parse(quantized.serial())
    assert plan.plan(graph, "cortex-m4").kernels[0].function == "lg_conv_row_dsp"
    weights = graph.ops[0].weights
    assert weights is not None
    least = weights.copy()
    least.flat[0] = -128
    ops = (dataclasses.replace(graph.ops[0], weights=least), *graph.ops[1:])
    chosen = plan.plan(dataclasses.replace(graph, ops=ops), "cortex-m4").kernels
    assert chosen[0].function == "lg_conv_row"


def test_convolutions_under_a_pool_go_by_winograd_where_it_gains() -> None:
    graph, _ = probes.winograd()
    functions = {
        core: [one.function for one in plan.plan(graph, core).kernels[1:]]
        for core in ("cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
    }
    assert functions.pop("cortex-m3") == ["lg_conv_row"] * 2
    assert functions.pop("cortex-m55") == ["lg_conv_row_mve"] * 2
    assert all(found == [kernels.WINOGRAD] * 2 for found in functions.values())
    fast, small = kernels.choices(nodes.build(graph), 0, "cortex-m4")
    assert fast.winograd and not small.winograd
    sizes = [plan.plan(graph, "cortex-m4", choice=choice).constant_bytes for choice in (fast, small)]
    assert sizes[1] < sizes[0] < 4.5 * sizes[1]


@pytest.mark.parametrize(
    ("channels", "filters", "kernel", "stride", "pool"),
    [
        (12, 8, 3, 1, 1),
        (12, 8, 3, 2, 2),
        (12, 8, 3, 1, 3),
        (7, 8, 3, 1, 2),
        (24, 8, 3, 1, 2),
        (20, 32, 3, 1, 2),
    ],
)
def test_what_winograd_does_not_serve(
    channels: int, filters: int, kernel: int, stride: int, pool: int
) -> None:
    """No pool, strides, other pools; channels that gain little or have no room; weights of many bytes."""
    graph = probes.conv((32, 32, channels), filters, kernel, stride, pool)
    assert plan.plan(graph, "cortex-m4").kernels[0].function == "lg_conv_row_dsp"


def test_few_pixels_do_not_pay_for_the_weights_of_winograd() -> None:
    found = [
        plan.plan(probes.conv((side, side, 12), 8, 3, 1, 2), "cortex-m4").kernels[0].function
        for side in (26, 24)
    ]
    assert found == [kernels.WINOGRAD, "lg_conv_row_dsp"]


def test_shifts_that_are_not_usual_do_not_go_by_winograd() -> None:
    graph = probes.conv((32, 32, 8), 8, 5, 1, 2)
    assert plan.plan(graph, "cortex-m4").kernels[0].function == kernels.WINOGRAD
    odd = dataclasses.replace(graph.ops[0], scales=(Scale(1 << 30, 0), *graph.ops[0].scales[1:]))
    changed = dataclasses.replace(graph, ops=(odd, *graph.ops[1:]))
    assert plan.plan(changed, "cortex-m4").kernels[0].function == "lg_conv_row_dsp"


@pytest.mark.parametrize("taps", [3, 5])
def test_products_of_winograd_make_the_sums(taps: int) -> None:
    """Four outputs of a tile from the products, by the definition in lg_winograd_row_dsp.c, times 4."""
    rng = np.random.default_rng(taps)
    weights = rng.integers(-127, 128, (1, taps, taps, 1)).astype(np.int8)
    tile = rng.integers(-128, 128, (taps + 1, taps + 1)).astype(np.int64)
    # By kind: m0 of the three taps, then of the two, and so on.
    of_three = [{0: 1, 2: -1}, {1: 1, 2: 1}, {2: 1, 1: -1}, {3: 1, 1: -1}]
    of_two = [{3: 1, 4: -1}, {4: 1}, None, {5: 1, 4: -1}]
    lines, kinds = [], []
    for kind in range(4):
        for sums in (of_three[kind], of_two[kind] if taps == 5 else None):
            if sums is not None:
                lines.append([sums.get(at, 0) for at in range(taps + 1)])
                kinds.append(kind)
    matrix = np.array(lines)
    inputs = matrix @ tile @ matrix.T
    outputs = np.array([[1, 1, 1, 0], [0, 1, -1, 1]])[:, kinds]
    first = layouts.winograd_weights(weights).view("<i2").reshape(-1, 4, 2)[:, 0, 0].astype(np.int64)
    # Steps: kinds across, products down, two words, of which one is of the channel, products of the kind.
    ordered, at = np.zeros((len(lines), len(lines)), np.int64), 0
    for kind in range(4):
        across = [place for place, of in enumerate(kinds) if of == kind]
        for down in range(len(lines)):
            ordered[down, across] = first[at : at + len(across)]
            at += 2 * len(across)
    assert at == len(first)
    found = outputs @ (inputs * ordered) @ outputs.T
    kernel = weights[0, :, :, 0].astype(np.int64)
    wanted = [[(tile[y : y + taps, x : x + taps] * kernel).sum() for x in range(2)] for y in range(2)]
    assert (found == 4 * np.array(wanted)).all()


def test_words_of_weights_hold_each_weight_twice() -> None:
    """Halves 256 w1 + w0: the half itself for an odd tap, its low byte for the even one."""
    weights = np.random.default_rng(0).integers(-127, 128, (3, 8)).astype(np.int8)
    halves = layouts.dsp_words(weights).view("<i2").astype(int)
    even, odd = weights[:, ::2].astype(int), weights[:, 1::2].astype(int)
    assert ((halves & 0xFF) == even % 256).all() and (halves - even == 256 * odd).all()


@pytest.mark.qemu
def test_channels_of_mve_are_in_the_order_of_its_sums() -> None:
    """Of six channels by fours two are left; of eight, sixteens are twice the same."""
    scales = [Scale(2**30 + c, -1 - c) for c in range(8)]
    fours = kernels.mve_channels(np.arange(6), scales[:6], "conv").reshape(2, 3, 4)
    assert fours[0, 0].tolist() == [0, 1, 2, 3] and fours[1, 0].tolist() == [4, 5, 0, 0]
    assert fours[1, 2].tolist() == [-5, -6, 0, 0]
    (sixteen,) = kernels.mve_channels(np.arange(8), scales, "depthwise").reshape(1, 3, 16)
    assert sixteen[0].tolist() == [0, 4, 0, 4, 1, 5, 1, 5, 2, 6, 2, 6, 3, 7, 3, 7]
    assert sixteen[2].tolist() == [-1 - c for c in sixteen[0].tolist()]


def test_predicted_instructions_come_near(tmp_path: Path) -> None:
    from firmware import project, verify

    for name in ("serial", "separable"):
        (tmp_path / name).mkdir()
        model = tmp_path / name / "model.tflite"
        model.write_bytes(quantized.NETS[name]())
        made = firmware.make(model, "mps2-an386", firmware.Options(1))
        firmware.write(made, tmp_path / name / "p")
        executed = verify.verify(project.load(tmp_path / name / "p")).executed
        assert made.engine.plan is not None and executed is not None
        predicted = sum(costs.predict(made.engine.plan, made.source, "cortex-m4"))
        assert 0.7 < predicted / executed < 1.3
