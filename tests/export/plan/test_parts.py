"""Bands made part by part, and maps over maps: less RAM, every layer as the reference has it."""

import json
from pathlib import Path

import numpy as np
import pytest

from export import firmware
from export.plan import parts, schedule
from export.plan.kernels import Choice
from export.plan.parts import AGAIN, IN_TURN
from export.plan.plan import Plan, plan, row_bytes
from export.plan.schedule import NEXT_ROW
from export.predict.footprint import FLASH, RAM
from export.tflite import graph as tflite_graph
from firmware import project, verify
from firmware.project import FirmwareError
from tests.export.plan.test_schedule import replay
from tests.support import quantized
from tests.support.random_nets import random_net

OVER = Choice(overlaps=True)


def bands(explicit: bool = False) -> bytes:
    """Inverted bottlenecks: a wide band of stride 2, one of 5x5 with a sum round it, one of 7x7."""
    net = quantized.Net(7)

    def block(x: int, wide: int, narrow: int, kernel: int, stride: int) -> int:
        y = net.conv(x, wide, 1)
        if explicit:
            before = (kernel - 1) // 2
            y = net.pad(y, before, before, before, before)
        return net.conv(net.depthwise(y, kernel, stride, same=not explicit), narrow, 1, act="none")

    x = net.conv(net.input((24, 20, 3)), 8, 3)
    x = block(x, 80, 8, 3, 2)
    x = net.add(x, block(x, 50, 8, 5, 1))
    x = block(x, 64, 8, 7, 2)
    return net.flatbuffer(net.dense(net.mean(net.conv(net.conv(x, 128), 128)), 3))


def apart(made: Plan) -> None:
    """No call writes where it reads."""
    network, done, written = made.network, [0] * len(made.network.nodes), dict.fromkeys(made.network.maps, 0)

    def place(key: int, row: int) -> range:
        size = row_bytes(network.maps[key])
        start = made.offsets[key] + row % made.schedule.rows[key] * size
        return range(start, start + size)

    for call in made.schedule.calls:
        if call == NEXT_ROW:
            continue
        node = network.nodes[call]
        rows = [
            place(key, row)
            for key, first, last in network.reads(node, done[call])
            for row in range(first, last + 1)
        ]
        while written[node.output] < network.rows_made(node, done[call]):
            into = place(node.output, written[node.output])
            assert all(into.start >= row.stop or row.start >= into.stop for row in rows)
            written[node.output] += 1
        done[call] += 1


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("way", [IN_TURN, AGAIN])
def test_every_division_is_a_plan_that_holds(way: str, explicit: bool) -> None:
    graph = tflite_graph.parse(bands(explicit))
    chains = parts.chains(graph)
    assert len(chains) == 3
    usual = plan(graph).macs
    for chain in chains:
        if way == AGAIN and not parts._windows(graph, chain):
            continue
        for count in (2, 3, 5):
            made = plan(parts.divide(graph, chain, way, count), choice=OVER)
            replay(made)
            apart(made)
            assert made.macs == usual if way == IN_TURN else made.macs > usual
            assert len([node for node in made.network.nodes if node.kind == "depthwise"]) == 2 + count


def test_rows_of_large_windows_are_not_made_again() -> None:
    """More than the first and the last of them reach beyond the map."""
    graph = tflite_graph.parse(bands())
    assert [bool(parts._windows(graph, chain)) for chain in parts.chains(graph)] == [True, False, False]
    assert parts._windows(graph, parts.chains(graph)[0])[:2] == [range(0, 3), range(2, 5)]
    graph = tflite_graph.parse(bands(explicit=True))
    windows = parts._windows(graph, parts.chains(graph)[0])
    assert (windows[:2], windows[-1]) == ([range(0, 2), range(1, 4)], range(21, 24))


def test_less_ram_within_the_bound_of_macs() -> None:
    graph = tflite_graph.parse(bands())
    usual, least = plan(graph), plan(parts.divided(graph, choice=OVER), choice=OVER)
    assert least.arena_bytes < 0.8 * usual.arena_bytes
    assert usual.macs < least.macs <= parts.LIMIT * usual.macs
    replay(least)
    apart(least)


@pytest.mark.parametrize("seed", range(6))
def test_maps_over_maps(seed: int) -> None:
    graph = tflite_graph.parse(random_net(seed))
    made = plan(graph, choice=OVER)
    replay(made)
    apart(made)
    assert made.arena_bytes <= plan(graph).arena_bytes


def test_a_map_follows_the_rows_that_are_read() -> None:
    def times(written: list[int], read: list[int]) -> schedule.Times:
        return np.array(written), np.array(read)

    # Row r is made from rows r - 1 to r + 1, in call r: row r - 2 is the newest that may be written over.
    windowed = times([-1] * 4, [1, 2, 3, 3])
    assert schedule.shift(windowed, times([0, 1, 2, 3], [9] * 4)) == 2
    # Read by the call before the one that writes.
    assert schedule.shift(times([-1] * 4, [0, 2, 4, 6]), times([1, 3, 5, 7], [9] * 4)) == 0
    # All of it is read to the end: nothing is shared.
    assert schedule.shift(times([-1] * 4, [9] * 4), times([0, 1, 2, 3], [9] * 4)) == 4
    # A row that comes late must not be written over one that is there.
    assert schedule.shift(times([0, 1, 2, 5], [0, 1, 2, 5]), times([3, 4, 6, 7], [9] * 4)) == 0
    assert schedule.shift(times([0, 1, 8, 9], [0, 1, 8, 9]), times([3, 4, 5, 6], [9] * 4)) == 2


@pytest.mark.parametrize("board", ["host", pytest.param("mps2-an386", marks=pytest.mark.qemu)])
def test_every_part_equals_the_reference(board: str, tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(bands())
    made = firmware.make(model, board, firmware.Options(4, optimise=RAM))
    assert "\noptimised for ram: state " in made.engine.text
    firmware.write(made, tmp_path / "p")
    loaded = project.load(tmp_path / "p")
    parts_of = [layer.part for layer in loaded.layers if layer.part]
    assert {part.first for part in parts_of} > {0} and any(part.rows for part in parts_of)
    verdict = verify.verify(loaded)
    assert (verdict.vectors, verdict.mismatches, verdict.first_mismatch) == (4, 0, None)
    assert verdict.ram == verdict.ram_predicted


@pytest.mark.parametrize("part", [3, {"first": 0}, {"first": 0, "channels": 8, "rows": [-1]}])
def test_a_damaged_part_is_an_error(part: object, tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(quantized.serial())
    firmware.write(firmware.make(model, "host", firmware.Options(1)), tmp_path / "p")
    record = json.loads((tmp_path / "p/project.json").read_text())
    record["layers"][1]["part"] = part
    (tmp_path / "p/project.json").write_text(json.dumps(record))
    with pytest.raises(FirmwareError, match="damaged"):
        project.load(tmp_path / "p")


def test_flash_is_the_smallest_layout(tmp_path: Path) -> None:
    """Of a network that has only one, the plan is the usual one."""
    model = tmp_path / "model.tflite"
    model.write_bytes(quantized.serial())
    made = firmware.make(model, "mps2-an386", firmware.Options(1, optimise=FLASH))
    assert "optimised for flash: state" in made.engine.text and "(+0.0%)" in made.engine.text


def test_networks_of_others_take_less(shared: Path) -> None:
    """The plan of MCUNet's smallest for wake vision, of 11.6 million products, without placing it anew."""
    path = shared / "models/zoo/wv_mcunet_5fps.tflite"
    if not path.is_file():
        pytest.skip("../shared/models is not there")
    graph = tflite_graph.load(path)
    chains = {graph.ops[chain[-1]].name: chain for chain in parts.chains(graph)}
    chosen = {
        chains["l10_depthwise"]: (AGAIN, 6),
        chains["l30_depthwise"]: (IN_TURN, 6),
        chains["l50_depthwise"]: (IN_TURN, 3),
        chains["l56_depthwise"]: (IN_TURN, 3),
    }
    made = plan(parts._with(graph, chosen), "cortex-m4", choice=OVER)
    assert (plan(graph, "cortex-m4").arena_bytes, made.arena_bytes) == (19244, 13244)
    assert made.macs <= 1.026 * plan(graph, "cortex-m4").macs
