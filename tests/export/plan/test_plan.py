"""Placement of buffers: never overlapping, never below the bound, at the bound where it can be."""

import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from export.plan import plan
from export.plan.plan import Buffer, live_bound, place
from export.tflite import graph as tflite_graph
from tests.support import quantized

BUFFERS = st.lists(
    st.builds(lambda size, live: Buffer(4 * size, live), st.integers(1, 40), st.integers(1, 2**12 - 1)),
    min_size=1,
    max_size=9,
)


@settings(deadline=None, max_examples=80)
@given(BUFFERS)
def test_buffers_alive_together_are_apart(buffers: list[Buffer]) -> None:
    offsets = place(buffers)
    for (a, x), (b, y) in itertools.combinations(zip(buffers, offsets, strict=True), 2):
        assert not a.live & b.live or x + a.size <= y or y + b.size <= x
    total = max(x + b.size for b, x in zip(buffers, offsets, strict=True))
    assert live_bound(buffers) <= total <= sum(b.size for b in buffers)


@settings(deadline=None, max_examples=80)
@given(BUFFERS)
def test_the_bound_is_the_fullest_step(buffers: list[Buffer]) -> None:
    steps = (sum(b.size for b in buffers if b.live >> step & 1) for step in range(12))
    assert live_bound(buffers) == max(steps)


@settings(deadline=None, max_examples=25)
@given(BUFFERS.filter(lambda buffers: len(buffers) <= 6))
def test_as_good_as_every_order_of_first_fit(buffers: list[Buffer]) -> None:
    total = max(x + b.size for b, x in zip(buffers, place(buffers), strict=True))
    best = min(plan._first_fit(buffers, order)[1] for order in itertools.permutations(range(len(buffers))))
    assert total == best


def test_real_network_streams_in_a_third_of_its_maps(shared: Path) -> None:
    made = plan.plan(tflite_graph.load(shared / "models" / "vww_96_int8.tflite"))
    assert made.arena_bytes <= made.bound + plan.SLACK == 14704
    # Layer by layer two whole maps lie side by side at the widest place.
    assert 3 * made.arena_bytes < 48 * 48 * (8 + 16)


def test_table_prints_every_layer() -> None:
    made = plan.plan(tflite_graph.parse(quantized.serial()))
    text = made.table()
    assert len(text.split("\n")) == len(made.network.nodes) + 3
    # 16 x 16 x 6 x 25 of the convolution, 8 x 8 x 6 x 4 of the pool.
    assert "l00_conv + l01_max_pool" in text and "39,936" in text
