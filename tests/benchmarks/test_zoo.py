"""benchmarks.zoo: a line for every network, those that are refused among them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY, quantized

BUILTIN, OPTIONS = quantized.BUILTIN, quantized.OPTIONS


@pytest.mark.seconds
def test_a_folder_of_networks(tmp_path: Path) -> None:
    net = quantized.Net(0)
    x = net.conv(net.input((4, 4, 1)), 2)
    (tmp_path / "b.tflite").write_bytes(
        net.flatbuffer(net.operator(BUILTIN.ELU, OPTIONS.NONE, None, [x], net.like(x, (4, 4, 2))))
    )
    (tmp_path / "a.tflite").write_bytes(quantized.serial())
    command = [sys.executable, "-m", "benchmarks.zoo", str(tmp_path), "--boards=host", "--frames=2"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    head, _, first, second, total = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert first == "| a | host | 0 of 2 | - | - | - | - | - | - |"
    assert second.startswith("| b | host | refused: operator 1 (ELU): not supported")
    assert head.count("|") == first.count("|") == second.count("|")
    assert total == "2 projects, 1 refused, 0 not exact"


def test_an_empty_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.zoo", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1 and "holds no .tflite" in done.stderr and done.stderr.count("\n") == 1
