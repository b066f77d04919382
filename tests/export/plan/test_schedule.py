"""Orders of rows, replayed byte by byte: whoever reads a row finds that row, whole, where it was written."""

import random
import sys
import time

import pytest

from export.plan import plan as planning
from export.plan import schedule
from export.plan.nodes import SUMS, Network, build
from export.plan.plan import Plan, plan, row_bytes, sum_bytes
from export.plan.schedule import NEXT_ROW
from export.tflite import graph as tflite_graph
from loggrad_tf.errors import LogGradError
from tests.support import quantized
from tests.support.operator_nets import OPERATOR_NETS
from tests.support.public_nets import PUBLIC_NETS
from tests.support.random_nets import random_net

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

    for key in network.remembered:
        for _ in range(network.maps[key].height):
            write(key)

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
        if node.kind in SUMS:
            sums = range(made.sums[call], made.sums[call] + sum_bytes(network, node))
            if step > 0:
                assert all(arena[byte] == ("sums", call) for byte in sums)
            for byte in sums:
                arena[byte] = "sums", call
        while written[node.output] < network.rows_made(node, step):
            write(node.output)
        done[call] += 1
    for key in (*network.ends, *network.remembered):
        for row in range(network.maps[key].height):
            check(key, row)
    assert order.calls.count(NEXT_ROW) == network.maps[network.input].height


@pytest.mark.parametrize("name", NETS)
def test_rows_are_where_they_are_read(name: str) -> None:
    replay(plan(tflite_graph.parse(NETS[name]())))


@pytest.mark.seconds
@pytest.mark.parametrize("name", OPERATOR_NETS)
def test_rows_of_several_outputs_and_states_too(name: str) -> None:
    for seed in range(3):
        replay(plan(tflite_graph.parse(OPERATOR_NETS[name](seed))))


@pytest.mark.seconds
@pytest.mark.parametrize("name", NETS)
def test_any_cuts_give_a_valid_order(name: str) -> None:
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
    return planning.live_bound(list(planning._buffers(network, schedule.make(network, cuts)).values()))


@pytest.mark.parametrize("name", ["serial", "separable", "branched"])
def test_the_cuts_are_the_best_of_all(name: str) -> None:
    network = build(tflite_graph.parse(NETS[name]()))
    places = schedule.cut_places(network)
    every = (frozenset(p for i, p in enumerate(places) if bits >> i & 1) for bits in range(2 ** len(places)))
    best = min(largest(network, cuts) for cuts in every)
    assert plan(network.graph).bound == best


def chain(count: int, height: int) -> Network:
    """So many RELUs one after the other, on two columns."""
    net = quantized.Net(3)
    x = net.input((height, 2, 1))
    for _ in range(count):
        x = net.relu(x)
    return build(tflite_graph.parse(net.flatbuffer(x)))


def check_counts(network: Network) -> None:
    """What is counted ahead is what the simulation finds, call by call."""
    frame = schedule.Simulation(network)
    assert frame.calls == len(frame.schedule(frozenset()).calls)
    for node in network.nodes:
        for steps in range(network.steps(node) + 1):
            reads = [read for step in range(steps) for read in network.reads(node, step)]
            expected = {key: max((r[2] + 1 for r in reads if r[0] == key), default=0) for key in node.inputs}
            assert network.rows_read(node, steps) == expected, node.title


@pytest.mark.parametrize("name", NETS)
def test_calls_are_counted_without_simulating(name: str) -> None:
    check_counts(build(tflite_graph.parse(NETS[name]())))


@pytest.mark.seconds
def test_calls_of_random_networks_are_counted() -> None:
    for seed in range(40):
        check_counts(build(tflite_graph.parse(random_net(seed))))


@pytest.mark.seconds
def test_networks_deeper_than_python_calls() -> None:
    count = sys.getrecursionlimit() + 50
    network = chain(count, 3)
    made = schedule.make(network)
    assert made.calls == (NEXT_ROW, *range(count)) * 3
    assert {rows for key, rows in made.rows.items() if key != network.output} == {1}


def test_more_calls_than_the_c_counts_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of few kilobytes may ask for millions of calls: not one of them is looked up."""
    network = chain(60, 60000)
    monkeypatch.setattr(Network, "reads", lambda *_: pytest.fail("simulated"))
    reason = "60000 input rows and 60 nodes take 3660000 calls a frame, more than 65535: make the input lower"
    with pytest.raises(LogGradError, match=reason):
        plan(network.graph)


def test_more_than_can_be_followed_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = chain(600, 60)
    monkeypatch.setattr(Network, "reads", lambda *_: pytest.fail("simulated"))
    monkeypatch.setattr(schedule, "MAX_MOMENTS", 600 * 601 * 60 - 1)
    with pytest.raises(LogGradError, match="600 nodes in 36060 calls a frame are more than can be planned"):
        plan(network.graph)


@pytest.mark.parametrize("name", NETS)
def test_no_plan_needs_less_than_one_row_and_what_it_is_made_of(name: str) -> None:
    made = plan(tflite_graph.parse(NETS[name]()))
    assert 0 < planning.least_bytes(made.network) <= made.bound


@pytest.mark.seconds
def test_a_thousand_nodes_are_planned_in_seconds() -> None:
    network = chain(1000, 8)
    started = time.process_time()
    replay(plan(network.graph))
    assert time.process_time() - started < 20


def test_as_many_calls_as_the_c_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = chain(4, 5)
    monkeypatch.setattr(schedule, "MAX_CALLS", 25)
    assert len(schedule.make(network).calls) == 25
    monkeypatch.setattr(schedule, "MAX_CALLS", 24)
    with pytest.raises(LogGradError, match="25 calls"):
        schedule.make(network)


def test_long_networks_are_cut_at_some_places_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[frozenset[int]] = []
    exact = planning._Bounds.exact

    def counted(bounds: planning._Bounds, cuts: frozenset[int]) -> int:
        asked.append(cuts)
        return exact(bounds, cuts)

    monkeypatch.setattr(planning._Bounds, "exact", counted)
    network = chain(60, 3)
    plan(network.graph)
    assert frozenset().union(*asked) == set(schedule.cut_places(network)) == set(range(59))
    asked.clear()
    monkeypatch.setattr(planning, "SEARCH_STEPS", 10 * (61 * 3 + 16 * 60))
    replay(plan(network.graph))
    assert frozenset().union(*asked) == set(range(0, 59, 6))
