"""Thresholds and network learn together, repeat themselves, and reach the flatbuffer as integers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend, reference
from loggrad_tf.transform.frontend import FrontEnd
from models import bundle, keras_net
from models.recipe import TrainConfig
from models.training import thresholds as threshold_training
from models.training.measure import evaluate
from models.training.thresholds import ThresholdConfig
from tests.models.training.test_fit import CONFIG, stripes, tiny


def start(data: DataSet, *thresholds: float) -> FrontEnd:
    name = {1: "loggrad_1p5", 2: "loggrad_2p25"}[len(thresholds)]
    return FrontEnd(name, data.sensor, tuple(reference.ratio_of(t) for t in thresholds))


@pytest.mark.seconds
def test_learns_and_is_scored_behind_the_frozen_ratios() -> None:
    data, seen = stripes(), []
    begin = start(data, 0.2, 0.5)
    found = threshold_training.train(
        tiny(), data, begin, CONFIG, ThresholdConfig(), 0, lambda epoch, values: seen.append(epoch)
    )
    assert found.trained.val_error < 0.1
    assert seen == list(range(8)) and len(found.trained.history) == 8
    # Of eight epochs the thresholds move in five; the first entry is the start.
    assert len(found.course) == 6
    np.testing.assert_allclose(found.course[0], begin.thresholds, atol=1e-6)
    assert found.front_end.ratios != begin.ratios
    assert found.front_end.ratios == tuple(reference.ratio_of(t) for t in found.course[-1])
    model = keras_net.build(tiny())
    model.set_weights(list(found.trained.weights))
    assert evaluate(model, data, found.front_end, "val") == found.trained.val_error


@pytest.mark.seconds
def test_same_seed_same_thresholds_and_weights() -> None:
    data = stripes(each=50)
    config = TrainConfig(epochs=3, batch_size=16, schedule="cosine", shift=1)
    runs = [
        threshold_training.train(tiny(), data, start(data, 0.3), config, ThresholdConfig(), seed)
        for seed in (1, 1, 2)
    ]
    assert runs[0].course == runs[1].course != runs[2].course
    for a, b in zip(runs[0].trained.weights, runs[1].trained.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.seconds
def test_a_start_below_the_floor_is_lifted() -> None:
    data = stripes(each=20)
    config = TrainConfig(epochs=1, batch_size=16)
    how = ThresholdConfig(floor=0.3)
    found = threshold_training.train(tiny(), data, start(data, 0.1, 0.2), config, how, 0)
    np.testing.assert_allclose(found.course[0], (0.35, 0.4), atol=1e-6)
    assert found.front_end.thresholds[0] >= 0.3


def test_inputs_without_levels_and_shares_out_of_range_are_refused() -> None:
    data = stripes(each=20)
    with pytest.raises(LogGradError, match="raw16 has no thresholds to train"):
        raw = frontend.fixed("raw16", data.sensor)
        threshold_training.train(tiny(), data, raw, CONFIG, ThresholdConfig(), 0)
    for share in (0.0, 1.0):
        with pytest.raises(LogGradError, match="share"):
            ThresholdConfig(share=share)


@pytest.mark.seconds
def test_a_training_that_diverges_says_so() -> None:
    data = stripes(each=20)
    config = TrainConfig(epochs=4, batch_size=16, learning_rate=1e20)
    with pytest.raises(LogGradError, match="diverged while the thresholds moved"):
        threshold_training.train(tiny(), data, start(data, 0.3), config, ThresholdConfig(), 0)


@pytest.mark.seconds
def test_the_doors_carry_trained_ratios_into_the_flatbuffers_description(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("flat", "steep", "upright"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(12):
            pixels = rng.integers(0, 256, (16, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{k}.png")
    environment = {**os.environ, "LOGGRAD_CACHE": str(tmp_path / "cache")}
    net, command = tmp_path / "net", [sys.executable, "-m", "models.train"]
    common = [
        f"--data=folder:{tmp_path / 'photos'}", "--size=16", "--input=loggrad_2p25", "--epochs=3",
        "--batch=4", "--shift=0",
    ]  # fmt: skip
    ratios = {}
    for rule in ("quantile", "trained"):
        flags = [f"--thresholds={rule}", f"--out={net / rule}"]
        done = subprocess.run([*command, *common, *flags], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        ratios[rule] = bundle.load(net / rule).front_end.ratios
    assert "t1 = " in done.stdout
    assert ratios["trained"] != ratios["quantile"]
    convert = [
        sys.executable,
        "-m",
        "export.convert",
        f"--run={net / 'trained'}",
        f"--out={tmp_path / 'out'}",
    ]
    done = subprocess.run(convert, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    description = json.loads((tmp_path / "out" / "model.json").read_text())
    assert tuple(description["front_end"]["ratios"]) == ratios["trained"]
    assert description["front_end"]["format"] == "loggrad_2p25"

    refused = [*command, *common, "--thresholds=trained", "--sparsity=0.5", f"--out={net / 'other'}"]
    done = subprocess.run(refused, env=environment, capture_output=True, text=True)
    assert done.returncode != 0 and "not with --sparsity" in done.stderr
