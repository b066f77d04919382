"""Placement of buffers: never overlapping, never below the bound, at the bound where it can be."""

import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from export import plan, tflite_graph
from export.plan import Buffer, live_bound, place
from tests import quantized

BUFFERS = st.lists(
    st.builds(
        lambda size, first, length: Buffer(4 * size, first, first + length),
        st.integers(1, 40),
        st.integers(0, 9),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=9,
)


def together(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


@settings(deadline=None, max_examples=80)
@given(BUFFERS)
def test_buffers_alive_together_are_apart(buffers: list[Buffer]) -> None:
    offsets = place(buffers)
    for (a, x), (b, y) in itertools.combinations(zip(buffers, offsets, strict=True), 2):
        assert not together(a, b) or x + a.size <= y or y + b.size <= x
    total = max(x + b.size for b, x in zip(buffers, offsets, strict=True))
    assert live_bound(buffers) <= total <= sum(b.size for b in buffers)


@settings(deadline=None, max_examples=25)
@given(BUFFERS.filter(lambda buffers: len(buffers) <= 6))
def test_as_good_as_every_order_of_first_fit(buffers: list[Buffer]) -> None:
    total = max(x + b.size for b, x in zip(buffers, place(buffers), strict=True))
    best = min(plan._first_fit(buffers, order)[1] for order in itertools.permutations(range(len(buffers))))
    assert total == best


def test_real_network_reaches_its_bound(shared: Path) -> None:
    planned = plan.plan(tflite_graph.load(shared / "models" / "vww_96_int8.tflite"))
    assert planned.arena_bytes == planned.bound == 48 * 48 * 8 + 48 * 48 * 16


def test_reshape_and_in_place_share_bytes() -> None:
    graph = tflite_graph.parse(quantized.branched())
    planned = plan.plan(graph)
    for op in graph.ops:
        if op.kind == "reshape":
            assert planned.offsets[op.output] == planned.offsets[op.inputs[0]]
        if op.kind == "requantize":
            assert planned.offsets[op.output] == planned.offsets[op.inputs[0]]
    # The first addition reads a tensor that nothing else needs: it writes there.
    first = next(op for op in graph.ops if op.kind == "add")
    assert planned.offsets[first.output] in [planned.offsets[t] for t in first.inputs]


def test_an_input_that_is_needed_again_is_not_written_over() -> None:
    net = quantized.Net(0)
    x = net.input((4, 4, 2))
    y = net.relu(x)
    graph = tflite_graph.parse(net.flatbuffer(net.add(x, y)))
    planned = plan.plan(graph)
    assert planned.offsets[y] != planned.offsets[x]
    assert planned.arena_bytes == 64


def test_table_prints_every_layer() -> None:
    graph = tflite_graph.parse(quantized.serial())
    text = plan.plan(graph).table()
    assert len(text.split("\n")) == len(graph.ops) + 2
    assert "l00_conv" in text and "38,400" in text  # 16 x 16 x 6 x 25 multiply-accumulates
