"""Operator orders: never worse, the best of all where all can be tried, and still the same network."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

from export import firmware, plan, schedule, tflite_graph
from export.quant_graph import Op, QuantGraph
from firmware import project, verify
from tests import quantized


def wasteful() -> bytes:
    """Two wide branches, both opened before either is closed."""
    net = quantized.Net(4)
    x = net.conv(net.input((6, 6, 1), 1.0, 0), 2)
    wide = [net.conv(x, 12), net.conv(x, 10), net.conv(x, 9)]
    narrow = [net.conv(w, 2, act="none") for w in wide]
    return net.flatbuffer(net.mean(net.add(net.add(narrow[0], narrow[1]), narrow[2])))


def orders(graph: QuantGraph, limit: int) -> list[QuantGraph]:
    """The first ``limit`` orders in which inputs come before outputs."""

    def extend(done: tuple[Op, ...], written: frozenset[int]) -> Iterator[tuple[Op, ...]]:
        if len(done) == len(graph.ops):
            yield done
        for op in graph.ops:
            if op.output not in written and set(op.inputs) <= written:
                yield from extend((*done, op), written | {op.output})

    found = itertools.islice(extend((), frozenset([graph.input])), limit)
    return [dataclasses.replace(graph, ops=ops) for ops in found]


def test_the_best_of_all_orders() -> None:
    graph = tflite_graph.parse(wasteful())
    better = schedule.reorder(graph)
    peaks = [schedule.peak(candidate) for candidate in orders(graph, 10_000)]
    assert schedule.peak(better) == min(peaks) < schedule.peak(graph)
    assert plan.plan(better).arena_bytes < plan.plan(graph).arena_bytes


def test_peak_is_the_bound_of_the_plan() -> None:
    for net in (wasteful, *quantized.NETS.values()):
        for graph in orders(tflite_graph.parse(net()), 40):
            # The plan rounds every buffer up to four bytes.
            assert 0 <= plan.plan(graph).bound - schedule.peak(graph) <= 12


def test_good_orders_stay() -> None:
    for net in quantized.NETS.values():
        graph = tflite_graph.parse(net())
        better = schedule.reorder(graph)
        assert better is graph or schedule.peak(better) < schedule.peak(graph)


def test_reordered_network_still_equals_the_reference(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(wasteful())
    firmware.write(firmware.make(tmp_path / "model.tflite", "host", 3), tmp_path / "p")
    made = project.load(tmp_path / "p")
    assert [layer.name for layer in made.layers] != sorted(layer.name for layer in made.layers)
    assert verify.verify(made).mismatches == 0
