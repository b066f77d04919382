"""search.record.versions: what computes here."""

import pytest

from loggrad_tf import gpus
from loggrad_tf.gpus import Gpus
from search.record.versions import versions
from search.run.config import differences


def test_a_gpu_is_named_and_none_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "found", Gpus)
    plain = versions()
    assert set(plain) == {"python", "machine", "numpy", "tensorflow", "keras", "program"}
    text = "A Card (driver 550.54, CUDA 12.5.1)"
    monkeypatch.setattr(gpus, "found", lambda: Gpus(("0",), text))
    assert versions() == {**plain, "gpu": text}
    assert differences(versions(), plain) == [f"gpu was {text}, now None"]


def test_a_gpu_that_cannot_be_used_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "found", lambda: Gpus(unusable=("A Card",)))
    assert "gpu" not in versions()
