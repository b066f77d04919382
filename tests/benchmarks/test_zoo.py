"""benchmarks.zoo: a line for every network, those that are refused among them."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import zoo
from firmware.certificate import Verdict
from firmware.project import FirmwareError
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


def test_what_does_not_fit_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the next network is built; whatever else is wrong ends the table."""
    for name in "ab":
        (tmp_path / f"{name}.tflite").touch()
    said = ["ld: region `FLASH' overflowed by 41712 bytes (all of it: ...)", "no cmake"]

    def measure(*_: object) -> Verdict:
        raise FirmwareError(f"build failed: {said[0]}")

    monkeypatch.setattr(zoo, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["zoo", str(tmp_path)])
    assert zoo.main() == 0
    _, _, first, second, total = capsys.readouterr().out.splitlines()
    assert first == "| a | mps2-an386 | does not fit: FLASH, 41,712 bytes over |" + " |" * 6
    assert second.startswith("| b |") and total == "2 projects, 0 refused, 2 too large, 0 not exact"
    said.pop(0)
    with pytest.raises(FirmwareError, match="no cmake"):
        zoo.main()


def test_an_empty_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.zoo", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1 and "holds no .tflite" in done.stderr and done.stderr.count("\n") == 1
