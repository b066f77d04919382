"""Cycles of a frame in QEMU, layer by layer."""

import json
from pathlib import Path

import numpy as np
import pytest

from export import firmware
from firmware import build, channel, frame_cycles, project, run, verify
from firmware.project import FirmwareError
from tests.support import quantized

pytestmark = [pytest.mark.qemu, pytest.mark.seconds]


def made(folder: Path, board: str) -> project.Project:
    (folder / "model.tflite").write_bytes(quantized.serial())
    firmware.write(firmware.make(folder / "model.tflite", board, firmware.Options(2)), folder / board)
    found = project.load(folder / board)
    build.build(found)
    return found


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385", "microbit"])
def test_layers_add_up_to_what_the_board_executes(tmp_path: Path, board: str) -> None:
    of = made(tmp_path, board)
    frames = run.load_vectors(of).frames
    found = frame_cycles.estimate(of, frames[:1])
    with channel.Channel(of) as running:
        spent = channel.executed(running, running.classify(frames[0]).ticks)
    assert spent is not None and spent[1] == "instructions"
    # The clock is read outside the function, and its ticks are some 26 instructions.
    assert abs(found.total.instructions - spent[0]) < 30 * len(frames[0]) + 0.001 * spent[0]
    assert len(found.nodes) == len(found.counts) > 3
    for node, count in zip(found.nodes, found.counts, strict=True):
        assert count.instructions > node.macs / 8, node.name
        assert 1.0 < count.cycles / count.instructions < 3.0, node.name
    by_work = max(zip(found.nodes, found.counts, strict=True), key=lambda pair: pair[0].macs)
    assert by_work[1].cycles == max(count.cycles for count in found.counts)


def test_the_certificate_holds_the_layers(tmp_path: Path) -> None:
    of = made(tmp_path, "mps2-an386")
    verdict = verify.verify(of, cycles=True)
    verify.write_certificate(of, verdict)
    assert verdict.cycles and verdict.cycles.frames == 2 and verdict.passed
    record = json.loads((of.path / "certificate.json").read_text())["cycles"]
    assert record["total"] == sum(layer["cycles"] for layer in record["layers"])
    assert [layer["name"] for layer in record["layers"]] == [node.name for node in of.nodes]
    lines = verdict.cycles.text().splitlines()
    assert lines[1].split()[0] == "input" and lines[-2].split()[0] == "total"
    assert 10 < record["flash_lines"] == verdict.cycles.lines
    again = frame_cycles.estimate(of, [frame for frame, _ in verify.frames(of, run.load_vectors(of), 2)])
    assert again == verdict.cycles, "the same image and frames, the same cycles"


def test_a_core_without_published_timings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(quantized.serial())
    firmware.write(
        firmware.make(tmp_path / "model.tflite", "mps2-an500", firmware.Options(1)), tmp_path / "p"
    )
    of = project.load(tmp_path / "p")
    with pytest.raises(FirmwareError, match="cortex-m7: Arm publishes no cycles"):
        frame_cycles.estimate(of, [np.zeros((1, 1), np.int8)])
