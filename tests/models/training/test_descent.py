"""models.training.descent: step for step what Keras does."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import keras_net
from models.graph import Graph, GraphBuilder
from models.recipe import TrainConfig
from models.training.descent import Descent

STEPS, BATCH = 12, 16


def _network(units: int, bn: bool = True) -> Graph:
    b = GraphBuilder()
    x = b.conv(b.conv(b.input(8, 8, 1), 3, 1, bn=bn), 4, 3, bn=bn, relu=True)
    x = b.depthwise(x, 3, relu=True)
    return b.build(b.dense(b.dense(b.flatten(x), 6, relu=True), units))


def _data(units: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(STEPS * BATCH, 8, 8, 1)).astype(np.float32)
    labels = (images.mean(axis=(1, 2, 3)) > 0).astype(np.int64) + (units > 1) * (images[:, 0, 0, 0] > 1)
    targets = labels[:, None] if units == 1 else np.eye(units)[labels]
    return images, targets.astype(np.float32)


@pytest.mark.seconds
@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize(
    ("train", "decay"),
    [
        (TrainConfig(schedule="constant"), 0.0),
        (TrainConfig(schedule="cosine", label_smoothing=0.1), 1e-3),
        (TrainConfig(schedule="exponential", optimizer="adam"), 0.0),
    ],
)
def test_it_is_keras(units: int, train: TrainConfig, decay: float) -> None:
    """Weights, loss and error after two passes, from the same start over the same batches."""
    # Batch norm leaves the bias before it a gradient of rounding errors, which Adam would magnify.
    graph = _network(units, bn=train.optimizer == "sgd")
    images, targets = _data(units)
    batches = tf.data.Dataset.from_tensor_slices((images, targets)).batch(BATCH)
    keras.utils.set_random_seed(1)
    ours = keras_net.build(graph)
    theirs = keras_net.build(graph)
    theirs.set_weights(ours.get_weights())
    train = dataclasses.replace(train, learning_rate=0.05 if train.optimizer == "sgd" else 0.01, epochs=2)
    rate = {
        "constant": train.learning_rate,
        "cosine": keras.optimizers.schedules.CosineDecay(train.learning_rate, 2 * STEPS),
        "exponential": keras.optimizers.schedules.ExponentialDecay(
            train.learning_rate, STEPS, 0.95, staircase=True
        ),
    }[train.schedule]
    adam = train.optimizer == "adam"
    loss = keras.losses.BinaryCrossentropy if units == 1 else keras.losses.CategoricalCrossentropy
    theirs.compile(
        optimizer=keras.optimizers.Adam(rate)
        if adam
        else keras.optimizers.SGD(rate, momentum=0.9, weight_decay=decay / train.learning_rate),
        loss=loss(from_logits=True, label_smoothing=train.label_smoothing),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0) if units == 1 else "accuracy"],
    )
    expected = theirs.fit(batches, epochs=2, shuffle=False, verbose=0).history
    descent = Descent(
        ours, lambda step: train.rate(step, 2 * STEPS), None if adam else 0.9, decay, train.label_smoothing
    )
    history = [descent.epoch(batches) for _ in range(2)]
    # Adam magnifies roundings: one image may fall on the other side.
    margin = 1.1 / (STEPS * BATCH) if adam else 1e-6
    np.testing.assert_allclose([h["loss"] for h in history], expected["loss"], rtol=1e-4)
    np.testing.assert_allclose([1 - h["error"] for h in history], expected["accuracy"], atol=margin)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)
    assert descent.done == 2 * STEPS


def test_every_step_is_announced() -> None:
    images, targets = _data(3)
    seen: list[int] = []
    train = TrainConfig(schedule="cosine", learning_rate=0.01)
    descent = Descent(keras_net.build(_network(3)), lambda step: train.rate(step, STEPS), 0.9, 0.0, 0.0)
    batches = tf.data.Dataset.from_tensor_slices((images, targets)).batch(BATCH)
    descent.epoch(batches, lambda: seen.append(descent.done))
    assert seen == list(range(1, STEPS + 1))
    assert descent.rate == pytest.approx(0)


def test_epochs_end_when_told_and_when_the_loss_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller has the entry before ``on_epoch``; ``stop`` is not asked about a loss that is no number."""
    descent = Descent(keras_net.build(_network(3)), lambda step: 0.01, 0.9, 0.0, 0.0)

    def trained(losses: list[float], last: int | None = None) -> tuple[list[float], list[object]]:
        left, calls = iter(losses), list[object]()
        monkeypatch.setattr(descent, "epoch", lambda *_: {"loss": next(left), "error": 0.5})

        def stop(number: int, area: float) -> bool:
            calls.append((number, area))
            return number == last

        yielded = []
        for entry in descent.epochs(
            [], range(2, 5), on_epoch=lambda n, e: calls.append((n, e["loss"], len(yielded))), stop=stop
        ):
            yielded.append(entry["loss"])
        return yielded, calls

    losses, calls = trained([4.0, 2.0, 1.0])
    assert losses == [4, 2, 1]
    assert calls == [(2, 4, 1), (2, 4), (3, 2, 2), (3, 6), (4, 1, 3), (4, 7)]
    losses, calls = trained([4.0, 2.0, 1.0], last=3)
    assert losses == [4, 2] and calls[-1] == (3, 6)
    for no_number in (np.nan, np.inf):
        losses, calls = trained([4.0, no_number, 1.0])
        assert losses[:1] == [4] and len(losses) == 2
        assert calls[:2] == [(2, 4, 1), (2, 4)] and len(calls) == 3
