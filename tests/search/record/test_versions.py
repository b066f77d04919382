"""search.record.versions: what is noted of what computes."""

import pytest

from loggrad_tf import gpus
from loggrad_tf.gpus import Gpus
from models.recipe import NATIVE
from models.training.native import build
from search.record.versions import versions
from search.run.config import differences
from tests.support.native_cases import needs_compiler


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


@needs_compiler
def test_a_native_search_notes_compiler_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, native = versions(), versions(NATIVE)
    assert native == {**usual, "compiler": build.compiler(), "processor": build.processor()}
    assert build.compiler().startswith("g++")
    monkeypatch.setattr(build, "processor", lambda: "another one")
    assert differences(native, versions(NATIVE)) == [f"processor was {native['processor']}, now another one"]
    assert versions() == usual
