"""A network of the Bayer mosaic goes to the board like any other."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.jobs import NETWORK, Training
from export import firmware
from export.firmware import Options
from firmware import project, verify
from loggrad_tf.data import dataset
from loggrad_tf.transform import frontend
from models.recipe import TrainConfig
from models.zoo import small_bn
from tests.support.experiment_cases import SIZE, write_pictures


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("board", ["mps2-an386", "stm32vldiscovery"])
def test_a_trained_mosaic_network_is_verified(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    data = dataset.load(f"folder:{write_pictures(tmp_path / 'pictures')}", size=SIZE, mode="mosaic")
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    config = TrainConfig(epochs=3, batch_size=8, flip=True, shift=4)
    job = Training(
        "mosaic", small_bn(SIZE, 3), front_end, data.path, data.manifest_sha256, config.to_json(), 0
    )
    job.run(tmp_path)
    command = [
        sys.executable,
        "-m",
        "export.convert",
        f"--run={tmp_path / NETWORK}",
        f"--out={tmp_path / 'export'}",
    ]
    subprocess.run(command, check=True, capture_output=True)
    made = firmware.make(tmp_path / "export" / "model.tflite", board, Options(6))
    firmware.write(made, tmp_path / "p")
    built = project.load(tmp_path / "p")
    # The board is sent the photosites of the test split.
    frames = np.load(built.path / "vectors.npz")["frames"]
    assert np.array_equal(front_end.sensor.linearize(frames), data.subset("test")[0])
    verdict = verify.verify(built)
    assert verdict.passed, verdict.complaints
    assert verdict.vectors == 6 and verdict.ram == verdict.ram_predicted
