"""Orders of rows, replayed byte by byte: whoever reads a row finds that row, whole, where it was written."""

import random

import pytest

from export.plan import schedule
from export.plan.nodes import GATHERS, Network, build
from export.plan.plan import Plan, plan, row_bytes, sum_bytes
from export.plan.schedule import NEXT_ROW
from export.tflite import graph as tflite_graph
from tests.support import quantized
from tests.support.public_nets import PUBLIC_NETS

NETS = quantized.NETS | PUBLIC_NETS


def replay(made: Plan) -> None:
    """Write every row into an arena of owners and check every read."""
    network, order = made.network, made.schedule
    arena: list[object] = [None] * made.arena_bytes
    done = [0] * len(network.nodes)
    written = dict.fromkeys(network.maps, 0)

    def place(key: int, row: int) -> range:
        size = row_bytes(network.maps[key])
        start = made.offsets[key] + row % order.rows[key] * size
        return range(start, start + size)

    def write(key: int) -> None:
        for byte in place(key, written[key]):
            arena[byte] = key, written[key]
        written[key] += 1

    def check(key: int, row: int) -> None:
        assert all(arena[byte] == (key, row) for byte in place(key, row)), (
            f"{network.maps[key].name}, row {row}"
        )

    for call in order.calls:
        if call == NEXT_ROW:
            write(network.input)
            continue
        node, step = network.nodes[call], done[call]
        for key, first, last in network.reads(node, step):
            for row in range(first, last + 1):
                check(key, row)
        if node.kind in GATHERS and node.kind != "reflow":
            sums = range(made.sums[call], made.sums[call] + sum_bytes(network, node))
            if step > 0:
                assert all(arena[byte] == ("sums", call) for byte in sums)
            for byte in sums:
                arena[byte] = "sums", call
        while written[node.output] < network.rows_made(node, step):
            write(node.output)
        done[call] += 1
    for row in range(network.maps[network.output].height):
        check(network.output, row)
    assert order.calls.count(NEXT_ROW) == network.maps[network.input].height


@pytest.mark.parametrize("name", NETS)
def test_rows_are_where_they_are_read(name: str) -> None:
    replay(plan(tflite_graph.parse(NETS[name]())))


@pytest.mark.parametrize("name", NETS)
def test_any_cuts_give_a_valid_order(name: str) -> None:
    from export.plan import plan as planning

    network = build(tflite_graph.parse(NETS[name]()))
    generator = random.Random(name)
    chosen = plan(network.graph).kernels
    for _ in range(5):
        cuts = frozenset(p for p in schedule.cut_places(network) if generator.random() < 0.5)
        made = schedule.make(network, cuts)
        replay(planning._placed(network, chosen, planning.Choice(), cuts, made))


def test_streaming_holds_a_window_and_no_more() -> None:
    network = build(tflite_graph.parse(quantized.serial()))
    made = schedule.make(network)
    for node in network.nodes:
        if node.kind in ("conv", "avg_pool"):
            assert made.rows[node.inputs[0]] == min(node.window_rows, network.maps[node.inputs[0]].height)
    assert made.rows[network.output] == 1


def test_whole_maps_behind_a_cut() -> None:
    network = build(tflite_graph.parse(quantized.separable()))
    for place in schedule.cut_places(network):
        made = schedule.make(network, frozenset([place]))
        key = network.nodes[place].output
        assert made.rows[key] == made.made[key]


def test_rows_nobody_reads_are_not_made() -> None:
    net = quantized.Net(3)
    x = net.conv(net.input((12, 9, 1), 1.0, 0), 2)
    network = build(tflite_graph.parse(net.flatbuffer(net.pool(x, "avg", 5, 5))))
    made = schedule.make(network)
    assert made.made[x] == 10
    assert made.calls.count(NEXT_ROW) == 12


def largest(network: Network, cuts: frozenset[int]) -> int:
    from export.plan import plan as planning

    return planning.live_bound(list(planning._buffers(network, schedule.make(network, cuts)).values()))


@pytest.mark.parametrize("name", ["serial", "separable", "branched"])
def test_the_cuts_are_the_best_of_all(name: str) -> None:
    network = build(tflite_graph.parse(NETS[name]()))
    places = schedule.cut_places(network)
    every = (frozenset(p for i, p in enumerate(places) if bits >> i & 1) for bits in range(2 ** len(places)))
    best = min(largest(network, cuts) for cuts in every)
    assert plan(network.graph).bound == best
