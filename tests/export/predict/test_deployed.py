"""What is counted before training is what the linked image of the converted network takes."""

import dataclasses
from pathlib import Path

import pytest

from export import boards, firmware
from export.firmware import Options
from export.predict import costs, power
from export.predict.deployed import Deployed, deployed, planned
from firmware import project, verify
from loggrad_tf.errors import LogGradError
from models import zoo
from models.graph import GraphBuilder
from tests.export.test_firmware import write_model
from tests.support import converted

FRONT_END = converted.front_end("loggrad_1p5")


@pytest.mark.seconds
@pytest.mark.parametrize("board", ["netduinoplus2", "mps2-an385", "mps2-an500", "mps2-an505"])
def test_equals_the_prediction_for_the_converted_network(board: str, tmp_path: Path) -> None:
    graph = converted.candidate(21)
    model = write_model(
        tmp_path, converted.flatbuffer(graph, FRONT_END), FRONT_END, max(graph.output_units, 2)
    )
    made = firmware.make(model, board, Options(1)).engine
    found = deployed(graph, FRONT_END, board)
    assert (found.ram, found.flash) == (made.footprint.ram, made.footprint.flash)
    assert f"{found.instructions:,}" == made.text.split()[-2]
    cycles = int(made.text.split()[-1].replace(",", ""))
    assert found.latency == pytest.approx(cycles / boards.read(board)["clock_hz"], rel=1e-6)


@pytest.mark.qemu
@pytest.mark.parametrize("seed", [3, 8])
@pytest.mark.parametrize("board", ["mps2-an386", "stm32vldiscovery", "microbit", "mps3-an547"])
def test_equals_the_linked_image(board: str, seed: int, tmp_path: Path) -> None:
    graph = converted.candidate(seed, 1_000_000)
    found = deployed(graph, FRONT_END, board)
    model = write_model(
        tmp_path, converted.flatbuffer(graph, FRONT_END), FRONT_END, max(graph.output_units, 2)
    )
    firmware.write(firmware.make(model, board, Options(2)), tmp_path / "p")
    verdict = verify.verify(project.load(tmp_path / "p"))
    assert verdict.passed, verdict.complaints
    assert verdict.ram == found.ram
    assert verdict.flash is not None and abs(found.flash / verdict.flash - 1) < 0.02
    if board == "mps2-an386":
        assert verdict.executed is not None and abs(found.instructions / verdict.executed - 1) < 0.1


def test_a_network_too_large_for_the_board_is_counted() -> None:
    b = GraphBuilder()
    x = b.conv(b.input(96, 96, 1), 128, 7, relu=True)
    graph = b.build(b.dense(b.flatten(b.conv(x, 128, 7, relu=True)), 3))
    found, facts = deployed(graph, FRONT_END, "stm32vldiscovery"), boards.read("stm32vldiscovery")
    assert found.ram > facts["ram"]["length"] and found.flash > facts["flash"]["length"]


def test_boards_that_cannot_be_counted_are_named() -> None:
    with pytest.raises(LogGradError, match="board 'host' has no memory to count"):
        deployed(zoo.small_bn(32, 3), FRONT_END, "host")
    with pytest.raises(LogGradError, match="'abacus': no such board; choose one of arduino-nano-33-ble"):
        deployed(zoo.small_bn(32, 3), FRONT_END, "abacus")


def test_input_that_the_front_end_does_not_fill() -> None:
    b = GraphBuilder()
    graph = b.build(b.dense(b.flatten(b.input(8, 8, 3)), 3))
    with pytest.raises(LogGradError, match="fills one channel"):
        deployed(graph, FRONT_END, "microbit")


def test_json_round_trip() -> None:
    found = deployed(zoo.small_bn(32, 3), FRONT_END, "microbit")
    assert Deployed.from_json(found.to_json()) == found
    with pytest.raises(LogGradError, match="unknown key 'watts'"):
        Deployed.from_json(found.to_json() | {"watts": 1})


@pytest.mark.parametrize("board", [name for name in boards.names() if boards.read(name)["core"] != "host"])
def test_time_and_energy_of_every_board(board: str) -> None:
    facts = boards.read(board)
    graph = zoo.small_bn(32, 3)
    found = deployed(graph, FRONT_END, board)
    _, source, made, _ = planned(graph, FRONT_END, board)
    cycles = sum(costs.cycles(made, source, facts["core"]))
    assert cycles != found.instructions or facts["core"] == "cortex-m33"
    for count, band in (
        (found.latency, power.latency(cycles, facts)),
        (found.energy, power.energy(cycles, facts)),
    ):
        assert 0 < band.low < count == band.nominal < band.high < 20 * band.low
    # No board draws less than 1 mW or more than 1 W while it computes.
    assert 1e-3 < found.energy / found.latency < 1


def test_wake_words_take_what_was_published_for_that_board() -> None:
    """7.49 MMAC in 3.9 mJ within a tenth: MLPerf Tiny, STM32L4R5. X-CUBE-AI 10.2 takes 10.73 M cycles."""
    facts = dataclasses.asdict(power.energy(10.73e6, boards.read("mps2-an386")))
    assert facts["nominal"] == pytest.approx(3.9e-3, rel=0.1)


def test_wait_states_are_in_the_band_and_not_in_the_nominal_time() -> None:
    """An STM32F4 at 168 MHz waits five cycles for a line of flash, an emulated FPGA none."""
    fast, none = (power.latency(1e6, boards.read(name)) for name in ("nucleo-f446re", "mps2-an386"))
    assert boards.read("nucleo-f446re")["flash"]["wait_states"] == 5
    assert (fast.high / fast.nominal, none.high / none.nominal) == pytest.approx((1.575, 1.1))
    assert fast.nominal == pytest.approx(1e6 / 168e6)
