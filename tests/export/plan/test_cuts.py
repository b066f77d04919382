"""Segments between cuts: simulated alone they need what they need in the whole frame."""

import random

import pytest

from export.plan import plan as planning
from export.plan import schedule
from export.plan.nodes import Network, build
from export.plan.plan import _Bounds
from export.tflite import graph as tflite_graph
from tests.support import quantized
from tests.support.public_nets import PUBLIC_NETS
from tests.support.random_nets import random_net

NETS = quantized.NETS | PUBLIC_NETS


def simulated(network: Network, cuts: frozenset[int]) -> int:
    """Bytes at the worst moment of the whole frame."""
    made = schedule.make(network, cuts)
    return planning.live_bound(list(planning._buffers(network, made).values()))


def some_cuts(network: Network, generator: random.Random) -> frozenset[int]:
    return frozenset(p for p in schedule.cut_places(network) if generator.random() < 0.5)


def check(network: Network, seed: str) -> None:
    generator, bounds = random.Random(seed), _Bounds(network)
    several = {some_cuts(network, generator) for _ in range(12)}
    ranked = [((len(cuts), *sorted(cuts)), cuts) for cuts in several]
    expected = sorted((simulated(network, cuts), rank) for rank, cuts in ranked)
    for cuts in several:
        assert bounds.least(cuts) <= simulated(network, cuts)
    assert [tuple(sorted(cuts)) for cuts in bounds.ascending(ranked)] == [rank[1:] for _, rank in expected]
    for cuts in several:
        assert bounds.least(cuts) <= bounds.exact(cuts) == simulated(network, cuts)
    limit = expected[len(expected) // 2][0]
    below = [rank[1:] for bound, rank in expected if bound < limit]
    assert [tuple(sorted(cuts)) for cuts in bounds.ascending(ranked, limit)] == below


@pytest.mark.parametrize("name", NETS)
def test_networks(name: str) -> None:
    check(build(tflite_graph.parse(NETS[name]())), name)


@pytest.mark.seconds
@pytest.mark.parametrize("first", [0, 50, 100, 150])
def test_random_networks(first: int) -> None:
    for seed in range(first, first + 50):
        check(build(tflite_graph.parse(random_net(seed))), str(seed))


def test_rows_that_nobody_reads_come_last() -> None:
    """Then the rows held of the input lie beside the whole output, which here is more than ever before."""
    net = quantized.Net(3)
    x = net.pool(net.input((21, 40, 1)), "max", 5, 5)
    x = net.pool(net.conv(x, 1, 1), "max", 4, 4)
    network = build(tflite_graph.parse(net.flatbuffer(net.pad(x, 4, 4, 90, 90))))
    assert network.maps[network.input].height > schedule.Simulation(network).needed[network.input] > 0
    everywhere = frozenset(schedule.cut_places(network))
    assert _Bounds(network).exact(everywhere) == simulated(network, everywhere) == 5 * 40 + 9 * 182 + 2
    check(network, "late rows")


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m3"])
def test_plans_of_several_layouts_are_those_of_each(core: str) -> None:
    graph = tflite_graph.parse(random_net(41, levels=True))
    options = planning.kernels.choices(build(graph), 1)
    assert len({choice.code_pixels for choice in options}) > 1
    for choice, made in zip(options, planning.plans(graph, core, 1, options), strict=True):
        alone = planning.plan(graph, core, 1, choice)
        assert (made.choice, made.cuts, made.offsets, made.schedule) == (
            choice,
            alone.cuts,
            alone.offsets,
            alone.schedule,
        )
        assert [k.function for k in made.kernels] == [k.function for k in alone.kernels]
        assert made.constant_bytes == alone.constant_bytes


def test_segments_are_shared_by_networks_of_other_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    def bounds(channels: int, height: int) -> _Bounds:
        net = quantized.Net(3)
        x = net.conv(net.input((height, 20, 1)), channels, 3)
        x = net.add(net.conv(x, channels, 1), x)
        return _Bounds(build(tflite_graph.parse(net.flatbuffer(net.dense(x, 3)))))

    simulated_segments: list[tuple[int | None, int | None]] = []
    segment = schedule.Simulation.segment

    def counted(frame: schedule.Simulation, start: int | None, end: int | None) -> schedule.Trace:
        simulated_segments.append((start, end))
        return segment(frame, start, end)

    monkeypatch.setattr(schedule.Simulation, "segment", counted)
    monkeypatch.setattr(schedule, "_moments", {})
    narrow, wide, lower = bounds(4, 16), bounds(12, 16), bounds(4, 14)
    for frame, fresh in ((narrow, True), (wide, False), (lower, True)):
        simulated_segments.clear()
        for cuts in (frozenset[int](), frozenset(schedule.cut_places(frame.network))):
            assert frame.exact(cuts) == simulated(frame.network, cuts)
        assert bool(simulated_segments) == fresh
