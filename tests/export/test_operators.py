"""Operators that few networks have, in random networks: built under sanitizers, every layer compared."""

from pathlib import Path

import pytest

from export import firmware
from firmware import project, verify
from firmware.project import Project
from tests.support.operator_nets import OPERATOR_NETS

SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"


def generate(out: Path, content: bytes, board: str = "host", count: int = 3) -> Project:
    model = out.with_suffix(".tflite")
    model.write_bytes(content)
    firmware.write(firmware.make(model, board, firmware.Options(count)), out)
    return project.load(out)


@pytest.mark.seconds
@pytest.mark.parametrize("name", OPERATOR_NETS)
def test_every_layer_equals_the_reference(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", SANITIZE)
    for seed in range(2):
        verdict = verify.verify(generate(tmp_path / str(seed), OPERATOR_NETS[name](seed)))
        assert verdict.mismatches == 0, f"seed {seed}: {verdict.first_mismatch}"
