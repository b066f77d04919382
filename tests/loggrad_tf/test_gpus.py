"""loggrad_tf.gpus: which GPUs there are, on machines that have none, and whose each is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loggrad_tf import gpus
from loggrad_tf.gpus import Gpus
from tests.support import cards


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    gpus.found.cache_clear()
    yield
    gpus.found.cache_clear()


def test_without_a_driver_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpus, "_DEVICE_FILES", tmp_path)
    monkeypatch.delenv(gpus.VARIABLE, raising=False)
    monkeypatch.setattr(gpus, "_ask_tensorflow", lambda: pytest.fail("TensorFlow was asked"))
    assert gpus.found() == Gpus() and gpus.found().doubts() == ()


def test_gpus_are_found_and_named_in_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards.plug_in(tmp_path / "cards", monkeypatch)
    assert gpus.found() == Gpus(("0", "1"), cards.TEXT)
    (sentence,) = gpus.found().doubts()
    assert sentence.startswith(f"trained on {cards.TEXT}: ") and "last digits" in sentence


@pytest.mark.parametrize(
    ("setting", "devices"),
    [("1", ("1",)), (" 1, 0", ("1", "0")), ("GPU-2", ("GPU-2",)), ("MIG-a,GPU-1", ("MIG-a", "GPU-1"))],
)
def test_the_users_choice_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, devices: tuple[str, ...]
) -> None:
    cards.plug_in(tmp_path / "cards", monkeypatch)
    monkeypatch.setenv(gpus.VARIABLE, setting)
    assert gpus.found().devices == devices


@pytest.mark.parametrize("setting", ["", "-1", "NoDevFiles", "-1,0"])
def test_hidden_gpus_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    cards.plug_in(tmp_path / "cards", monkeypatch)
    monkeypatch.setenv(gpus.VARIABLE, setting)
    assert gpus.found() == Gpus()


def test_names_behind_one_that_cuda_does_not_know_are_not_used() -> None:
    assert gpus._devices("1,99,0", 1) == ("1",)
    assert gpus._devices(None, 2) == ("0", "1")


def test_a_failing_driver_shows_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards.plug_in(tmp_path / "cards", monkeypatch)
    (tmp_path / "cards/nvidia-smi").write_text("#!/bin/sh\necho No devices were found\nexit 6\n")
    assert gpus.listed() == [] and gpus.found() == Gpus()
    (tmp_path / "cards/nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(gpus, "_DRIVER_LIMIT", 0.2)
    assert gpus.listed() == []


def test_without_nvidia_smi_device_files_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpus, "_DEVICE_FILES", tmp_path)
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpus.listed() == [str(tmp_path / "nvidia0"), str(tmp_path / "nvidia1")]


@pytest.mark.seconds
@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="there is a GPU")
def test_a_gpu_that_tensorflow_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real TensorFlow is asked."""
    cards.plug_in(tmp_path / "cards", monkeypatch, usable=False)
    assert gpus.found() == Gpus(unusable=("GPU 0: A Card", "GPU 1: A Card"))
    (warning,) = gpus.found().doubts()
    assert warning.startswith("GPU 0: A Card, GPU 1: A Card: TensorFlow cannot use")
    assert "pip install 'tensorflow[and-cuda]'" in warning
    assert gpus.VARIABLE not in os.environ
    assert gpus.found().environment(0) == {gpus.VARIABLE: "-1"}


def test_a_tensorflow_that_does_not_start_uses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards.plug_in(tmp_path / "cards", monkeypatch)
    (tmp_path / "cards/tensorflow.py").write_text("raise ImportError('libcudart')")
    assert gpus.found().devices == () and gpus.found().unusable


def test_workers_take_gpus_in_turn() -> None:
    two = Gpus(("GPU-1", "GPU-2"), "a card")
    assert [two.environment(worker)[gpus.VARIABLE] for worker in range(5)] == [
        "GPU-1", "GPU-2", "GPU-1", "GPU-2", "GPU-1",
    ]  # fmt: skip
    assert Gpus().environment(3) == {gpus.VARIABLE: "-1"}
