"""Training learns, repeats itself from its seed, and says what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor
from models import bundle
from models.graph import Graph, GraphBuilder
from models.pruning.channels import prunable
from models.recipe import Pruning, TrainConfig
from models.training import fit


def stripes(classes: int = 3, each: int = 150, size: int = 16) -> DataSet:
    """Noisy stripes whose direction is the class, at random brightness."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    patterns = [y % 4 < 2, x % 4 < 2, (x + y) % 4 < 2]
    labels = np.repeat(np.arange(classes), each).astype(np.int32)
    light = rng.uniform(100, 900, (len(labels), 1, 1))
    shape = np.array([np.roll(patterns[k], rng.integers(4), axis=(0, 1)) for k in labels])
    pixels = rng.poisson(light * (1 + shape)).astype(np.uint16)
    split = np.tile(np.array([0, 0, 0, 1, 2], np.uint8), len(labels) // 5)
    names = ("flat", "upright", "slanted")[:classes]
    return DataSet(
        pixels=pixels,
        labels=labels,
        split=split,
        class_names=names,
        sensor=Sensor(12, 0, 4095),
        mode="gray",
        fit="stretch",
        spec="synthetic",
        manifest_sha256="0" * 64,
        path=Path("unused"),
    )


def tiny(units: int = 3, size: int = 16) -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input(size, size, 1), 8, 3, bn=True, relu=True)
    x = b.conv(x, 8, 3, bn=True, relu=True)
    return b.build(b.dense(b.global_avg(x), units))


CONFIG = TrainConfig(epochs=8, batch_size=16, schedule="cosine", shift=1)


@pytest.mark.seconds
@pytest.mark.parametrize(("classes", "units"), [(3, 3), (2, 1)])
@pytest.mark.parametrize("name", ["loggrad_1p5", "raw16"])
def test_learns_stripes(classes: int, units: int, name: str) -> None:
    data = stripes(classes)
    front_end = frontend.fit(name, data.sensor, data.subset("train")[0])
    seen: list[int] = []
    result = fit.train(tiny(units), data, front_end, CONFIG, 0, lambda epoch, values: seen.append(epoch))
    assert result.val_error < 0.1
    assert seen == list(range(8)) and len(result.history) == 8
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.seconds
def test_same_seed_same_weights() -> None:
    data = stripes()
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    runs = [fit.train(tiny(), data, front_end, CONFIG, seed) for seed in (1, 1, 2)]
    for a, b in zip(runs[0].weights, runs[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert runs[0].history == runs[1].history
    assert any((a != b).any() for a, b in zip(runs[0].weights, runs[2].weights, strict=True))


@pytest.mark.seconds
def test_a_convolution_plus_a_padded_map_trains() -> None:
    """TensorFlow's own fusion of these two ends the process."""
    data = stripes()
    b = GraphBuilder()
    x = b.input(16, 16, 1)
    padded, whole = b.conv(x, 4, 10, relu=True), b.conv(x, 4, 9)
    graph = b.build(b.dense(b.flatten(b.add([padded, whole])), 3))
    front_end = frontend.fixed("loggrad_1p5", data.sensor)
    config = TrainConfig(epochs=1, batch_size=64)
    assert 0 <= fit.train(graph, data, front_end, config, 0).val_error <= 1


def test_wrong_number_of_outputs_is_refused() -> None:
    data = stripes()
    with pytest.raises(LogGradError, match="has 2 outputs, 3 classes need 3"):
        fit.train(tiny(2), data, frontend.fixed("loggrad_1p5", data.sensor), CONFIG, 0)


def test_a_shift_beyond_the_image_is_refused() -> None:
    data = stripes()
    config = TrainConfig(epochs=1, shift=16)
    with pytest.raises(LogGradError, match="shift 16 is not below the image side 16"):
        fit.train(tiny(), data, frontend.fixed("loggrad_1p5", data.sensor), config, 0)


def test_a_cutout_beyond_the_image_is_refused() -> None:
    data = stripes()
    config = TrainConfig(epochs=1, cutout=17)
    with pytest.raises(LogGradError, match="cutout 17 is beyond the image side 16"):
        fit.train(tiny(), data, frontend.fixed("loggrad_1p5", data.sensor), config, 0)


@pytest.mark.seconds
def test_the_door_saves_a_pruned_network(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("flat", "steep", "upright"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(12):
            pixels = rng.integers(0, 256, (16, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{k}.png")
    command = [
        sys.executable, "-m", "models.train", f"--data=folder:{tmp_path / 'photos'}", "--size=16",
        "--epochs=2", "--batch=4", "--shift=0", "--sparsity=0.5", f"--out={tmp_path / 'net'}",
    ]  # fmt: skip
    environment = {**os.environ, "LOGGRAD_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "29 of 58 prunable channels left" in done.stdout
    saved = bundle.load(tmp_path / "net")
    assert saved.pruning == Pruning.early(0.5)
    assert sum(g.channels for g in prunable(saved.graph)) == 29
    assert saved.model().output_shape == (None, 3)
