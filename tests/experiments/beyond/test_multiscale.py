"""Scales of one frame: networks of equal maps, and costs that are those of the project that bins."""

from pathlib import Path

import pytest

from experiments.beyond import multiscale
from export import firmware
from export.firmware import Options
from export.predict.deployed import deployed
from models.graph import macs
from models.zoo import small_bn
from tests.export.test_firmware import write_model
from tests.support import converted

FRONT_END = converted.front_end("loggrad_2p75")


@pytest.mark.parametrize("size", [64, 96, 224])
def test_same_maps_are_those_of_small_bn(size: int) -> None:
    fine = small_bn(size, 3)
    assert multiscale.same_maps(size, 3, 1).sha256() == fine.sha256()
    shapes = [op.shape for op in fine.ops if op.kind == "conv"]
    weights = [(op.kernel, op.shape[-1]) for op in fine.ops if op.kind in ("conv", "dense")]
    for factor in (2, 4):
        graph = multiscale.same_maps(size // factor, 3, factor)
        found = [op.shape for op in graph.ops if op.kind == "conv"]
        assert found[1:] == shapes[1:]
        assert found[0][0] == size // factor
        assert [(o.kernel, o.shape[-1]) for o in graph.ops if o.kind in ("conv", "dense")] == weights
        assert sum(macs(graph, op) for op in graph.ops) <= sum(macs(fine, op) for op in fine.ops)


@pytest.mark.seconds
def test_costs_are_those_of_the_project(tmp_path: Path) -> None:
    graph = converted.candidate(21)
    whole = deployed(graph, FRONT_END, multiscale.BOARD)
    model = write_model(
        tmp_path, converted.flatbuffer(graph, FRONT_END), FRONT_END, max(graph.output_units, 2)
    )
    for factor in (2, 4):
        engine = firmware.make(model, multiscale.BOARD, Options(1, binning=factor)).engine
        found = deployed(graph, FRONT_END, multiscale.BOARD, factor)
        assert found.ram == engine.footprint.ram and f"{found.instructions:,}" == engine.text.split()[-2]
        assert found.ram > whole.ram and found.instructions > whole.instructions
