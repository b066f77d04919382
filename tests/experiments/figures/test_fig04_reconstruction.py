"""Figure 4: the measures of a reconstruction, and its training."""

from pathlib import Path

import numpy as np
import pytest

from experiments.figures import fig04_reconstruction as fig04
from experiments.study import front_end
from tests.support.experiment_cases import SIZE, small_set


def pictures(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.6, (count, SIZE, SIZE, 1)).astype(np.float32)


def test_gain_and_offset_are_forgiven_and_noise_is_not() -> None:
    wanted = pictures()
    assert fig04.fitted(2 * wanted + 3, wanted) == pytest.approx(wanted, abs=1e-5)
    noisy = wanted + np.random.default_rng(1).normal(0, 0.01, wanted.shape)
    found = fig04.measures(noisy, wanted)
    assert found["psnr"] == pytest.approx(40, abs=0.2)
    assert found["psnr_fitted"] >= found["psnr"] and 0.9 < found["ssim"] < 1
    shifted = fig04.measures(0.5 * wanted, wanted)
    assert shifted["psnr"] < 20 and shifted["psnr_fitted"] > 60 and shifted["ssim"] > 0.999


def test_a_picture_of_one_tone_is_fitted_by_the_mean() -> None:
    wanted = pictures(1)
    found = fig04.fitted(np.full_like(wanted, 0.3), wanted)
    assert found == pytest.approx(np.full_like(wanted, wanted.mean()))


@pytest.mark.seconds
def test_a_training_is_kept_and_reconstructs(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    front = front_end(data, "loggrad_fp")
    job = fig04.Reconstruction(front, data.path, data.manifest_sha256, 30, 8, 1e-3, 0)
    assert "mean squared error" in job.run(tmp_path)
    pixels = data.subset("test")[0]
    found, wanted = fig04.reconstruct(tmp_path, front, pixels), fig04.target(pixels, data)
    assert found.shape == wanted.shape
    mean = np.broadcast_to(fig04.target(data.subset("train")[0], data).mean(axis=0), wanted.shape)
    assert fig04.measures(found, wanted)["ssim"] > fig04.measures(mean, wanted)["ssim"] + 0.1


def test_two_conv_is_the_papers() -> None:
    model = fig04.two_conv(96)
    assert model.output_shape == (None, 96, 96, 1)
    assert model.count_params() == (16 * 16 * 10 + 10) + (16 * 16 * 10 + 1)
