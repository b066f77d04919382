"""Detectors are trained: where a drawn square lies, in TensorFlow and natively, and what is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from loggrad_tf.data.boxes import BOX
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.detect import scores
from loggrad_tf.detect.grid import Grid
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor
from models import keras_net
from models.graph import SAME, Graph, GraphBuilder
from models.recipe import NATIVE, TENSORFLOW, TrainConfig
from models.training import detection, fit, measure, native_fit
from tests.models.training.test_fit import stripes, tiny
from tests.support.native_cases import needs_compiler

HEIGHT, WIDTH = 24, 40
TRAINERS = [pytest.param(NATIVE, marks=needs_compiler), TENSORFLOW]
CONFIG = TrainConfig(epochs=20, batch_size=16, schedule="cosine", flip=True, shift=2, zoom=0.2)


def squares(frames: int = 250) -> DataSet:
    """Bright squares and bars on noise, at most one of each in a frame, at random brightness."""
    rng = np.random.default_rng(0)
    light = rng.uniform(200, 600, (frames, 1, 1))
    pictures, boxes = np.ones((frames, HEIGHT, WIDTH)), []
    for frame in range(frames):
        for label, (high, wide) in enumerate([(6, 6), (3, 14)]):
            if rng.random() < 0.7:
                top, left = rng.integers(HEIGHT - high + 1), rng.integers(WIDTH - wide + 1)
                pictures[frame, top : top + high, left : left + wide] = 3
                boxes.append((frame, label, left, top, left + wide, top + high, False))
    return DataSet(
        pixels=rng.poisson(light * pictures).astype(np.uint16),
        labels=np.zeros(frames, np.int32),
        split=np.tile(np.array([0, 0, 0, 1, 2], np.uint8), frames // 5),
        class_names=("square", "bar"),
        sensor=Sensor(12, 0, 4095),
        mode="gray",
        fit="crop",
        task="detect",
        spec="synthetic",
        manifest_sha256="0" * 64,
        path=Path("unused"),
        boxes=np.array(boxes, BOX),
    )


def detector(units: int = 3) -> Graph:
    """Of stride 4, with a view of 29 pixels."""
    b = GraphBuilder()
    x = b.conv(b.input(HEIGHT, WIDTH, 1), 8, 5, stride=2, padding=SAME, bn=True, relu=True)
    x = b.max_pool(b.conv(x, 12, 3, padding=SAME, bn=True, relu=True), 2, padding=SAME)
    x = b.conv(x, 12, 5, padding=SAME, bn=True, relu=True)
    return b.build(b.conv(x, units, 1, padding=SAME))


def front(data: DataSet) -> FrontEnd:
    return frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])


@pytest.mark.seconds
@pytest.mark.parametrize("trainer", TRAINERS)
def test_learns_where_squares_are(trainer: str) -> None:
    data = squares()
    config = dataclasses.replace(CONFIG, trainer=trainer)
    result = fit.train(detector(), data, front(data), config, 0)
    assert result.val_error < 0.25 and result.threshold is not None
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    model = keras_net.build(result.graph)
    model.set_weights(list(result.weights))
    answers = measure.logits(model, data, front(data), "val")
    assert answers.shape == (50, 6, 10, 3)
    # The threshold is a margin, so scores that are not the same to the last bit give others nearby.
    again = scores.score(answers, data.boxes_of("val"), Grid(6, 10, 4), result.threshold - 1e-4, (1.0, 1.0))
    assert 1 - again.f1 == pytest.approx(result.val_error, abs=1e-9)
    if trainer == NATIVE:
        ours = native_fit.logits(result.graph, result.weights, data, front(data), "val")
        np.testing.assert_allclose(ours, answers, rtol=1e-3, atol=1e-3)
        assert 1 - detection.scored(ours, data, "val", result.threshold).f1 == result.val_error
    error, loss, _ = detection.judged(answers, data, "val")
    assert error == pytest.approx(result.val_error) and loss == pytest.approx(result.val_loss, rel=1e-3)


@pytest.mark.seconds
@pytest.mark.parametrize("trainer", TRAINERS)
def test_same_seed_same_weights(trainer: str) -> None:
    data = squares(60)
    config = dataclasses.replace(CONFIG, epochs=2, trainer=trainer)
    runs = [fit.train(detector(), data, front(data), config, seed) for seed in (1, 1, 2)]
    for a, b in zip(runs[0].weights, runs[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert runs[0].history == runs[1].history != runs[2].history


def test_a_training_that_diverged_finds_nothing() -> None:
    data = squares(20)
    answers = np.full((4, 6, 10, 3), np.nan, np.float32)
    assert detection.judged(answers, data, "val") == (1.0, float("inf"), None)


def test_objects_are_told_by_their_side() -> None:
    data = squares(20)
    boxes = data.boxes_of("test")
    answers = np.zeros((4, 6, 10, 3))
    answers[..., 0] = 5
    found = detection.by_side(answers, data, "test", 0.0)
    assert found == [(0, len(boxes)), (0, 0), (0, 0)]
    first = boxes[0]
    x, y = (first["left"] + first["right"]) / 2, (first["top"] + first["bottom"]) / 2
    answers[first["frame"], int(y // 4), int(x // 4), 1 + first["label"]] = 9
    assert detection.by_side(answers, data, "test", 0.0)[0] == (1, len(boxes))
    assert detection.recalls([(1, 2), (0, 3), (4, 4)]).endswith(
        "under 20 pixels 1 of 2, 20 to 64 0 of 3, from 64 on 4 of 4"
    )


def test_networks_of_another_task_are_refused() -> None:
    data, config = squares(20), dataclasses.replace(CONFIG, epochs=1)
    with pytest.raises(LogGradError, match="answers once a picture cannot learn that"):
        fit.train(tiny(), data, front(data), config, 0)
    with pytest.raises(LogGradError, match="answers once a cell cannot learn that"):
        fit.train(detector(), stripes(), front(stripes()), config, 0)
    far = dataclasses.replace(config, shift=12, zoom=1.0)
    with pytest.raises(LogGradError, match="reach beyond the mirror image of 24 pixels"):
        fit.train(detector(), data, front(data), far, 0)
    with pytest.raises(LogGradError, match="2 classes need 3"):
        fit.train(detector(5), data, front(data), config, 0)
