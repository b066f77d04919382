"""Training learns, repeats itself from its seed, and augments the RAW, not the levels."""

import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor
from models import batch_norm, bundle, keras_net
from models.graph import Graph, GraphBuilder
from models.pruning.channels import Pruning, prunable
from models.recipe import TrainConfig
from models.training import fit as training


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
        pixels, labels, split, names, Sensor(12, 0, 4095), "gray", "synthetic", "0" * 64, Path("unused")
    )


def tiny(units: int = 3, size: int = 16) -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input(size, size, 1), 8, 3, bn=True, relu=True)
    x = b.conv(x, 8, 3, bn=True, relu=True)
    return b.build(b.dense(b.global_avg(x), units))


CONFIG = TrainConfig(epochs=8, batch_size=16, schedule="cosine", shift=1)


@pytest.mark.parametrize(("classes", "units"), [(3, 3), (2, 1)])
@pytest.mark.parametrize("name", ["loggrad_1p5", "raw16"])
def test_learns_stripes(classes: int, units: int, name: str) -> None:
    data = stripes(classes)
    front_end = frontend.fit(name, data.sensor, data.subset("train")[0])
    seen: list[int] = []
    result = training.train(tiny(units), data, front_end, CONFIG, 0, lambda epoch, values: seen.append(epoch))
    assert result.val_error < 0.1
    assert seen == list(range(8)) and len(result.history) == 8
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.parametrize(("classes", "units"), [(3, 3), (2, 1)])
def test_error_and_loss_are_those_of_keras(classes: int, units: int) -> None:
    data = stripes(classes, each=20)
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    keras.utils.set_random_seed(0)
    model = keras_net.build(tiny(units))
    error, loss = training.measure(model, data, front_end, "val")
    pixels, labels = data.subset("val")
    scores = model(front_end.encode(pixels))
    if units == 1:
        expected = keras.losses.BinaryCrossentropy(from_logits=True)(labels[:, None], scores)
        answers = (scores[:, 0] > 0).numpy()
    else:
        expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, scores)
        answers = np.argmax(scores, axis=1)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert error == np.mean(answers != labels) == training.evaluate(model, data, front_end, "val")
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    assert training.measure(model, data, front_end, "val") == (1.0, math.inf)


def test_same_seed_same_weights() -> None:
    data = stripes()
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    runs = [training.train(tiny(), data, front_end, CONFIG, seed) for seed in (1, 1, 2)]
    for a, b in zip(runs[0].weights, runs[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert runs[0].history == runs[1].history
    assert any((a != b).any() for a, b in zip(runs[0].weights, runs[2].weights, strict=True))


def test_a_convolution_plus_a_padded_map_trains() -> None:
    """TensorFlow's own fusion of these two ends the process."""
    data = stripes()
    b = GraphBuilder()
    x = b.input(16, 16, 1)
    padded, whole = b.conv(x, 4, 10, relu=True), b.conv(x, 4, 9)
    graph = b.build(b.dense(b.flatten(b.add([padded, whole])), 3))
    front_end = frontend.fixed("loggrad_1p5", data.sensor)
    config = TrainConfig(epochs=1, batch_size=64)
    assert 0 <= training.train(graph, data, front_end, config, 0).val_error <= 1


def test_wrong_number_of_outputs_is_refused() -> None:
    data = stripes()
    with pytest.raises(LogGradError, match="has 2 outputs, 3 classes need 3"):
        training.train(tiny(2), data, frontend.fixed("loggrad_1p5", data.sensor), CONFIG, 0)


def test_augmentation_moves_and_mirrors_pixels() -> None:
    pixels = tf.constant(np.arange(2 * 9 * 9).reshape(2, 9, 9).astype(np.uint16))
    seen = set()
    for k in range(60):
        randomness = tf.constant([k, 7], tf.int64)
        moved = training.augment(pixels, randomness, flip=True, shift=2).numpy()
        for image, original in zip(moved, pixels.numpy(), strict=True):
            found = [
                (mirrored, dy, dx)
                for mirrored in (False, True)
                for dy in range(5)
                for dx in range(5)
                if np.array_equal(
                    np.pad(original[:, ::-1] if mirrored else original, 2, mode="reflect")[
                        dy : dy + 9, dx : dx + 9
                    ],
                    image,
                )
            ]
            assert len(found) == 1
            seen.add(found[0])
    assert {s[0] for s in seen} == {False, True}
    assert {s[1] for s in seen} == {s[2] for s in seen} == set(range(5))
    untouched = training.augment(pixels, tf.constant([0, 0], tf.int64), flip=False, shift=0)
    np.testing.assert_array_equal(untouched, pixels)


def test_augmentation_keeps_the_colours_of_a_mosaic_in_their_places() -> None:
    flat = np.tile(np.array([[900, 500], [500, 300]], np.uint16), (4, 4))
    scene = np.arange(64).reshape(8, 8)
    color = np.tile(np.array([[0, 1], [2, 3]]), (4, 4)) * 100
    batch = np.stack([flat, (scene + color * 10).astype(np.uint16)] * 200)
    randomness = tf.constant([1, 3], tf.int64)
    moved = training.augment(tf.constant(batch), randomness, flip=True, shift=3, mosaic=True).numpy()
    np.testing.assert_array_equal(moved[::2], batch[::2])
    np.testing.assert_array_equal(moved[1::2] // 1000, np.broadcast_to(color // 100, (200, 8, 8)))
    seen = {image.tobytes() for image in moved[1::2]}
    # Mirrored or not, and three even places (-2, 0, 2) on each axis.
    assert len(seen) == 2 * 3 * 3


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"momentum": -1.0}, {"weight_decay": 2.0}, {"label_smoothing": 7.0}, {"shift": -4},
     {"schedule": "linear"}],
)  # fmt: skip
def test_bad_training_settings_are_refused(change: dict) -> None:
    with pytest.raises(LogGradError):
        TrainConfig(**change)


def test_a_shift_beyond_the_image_is_refused() -> None:
    data = stripes()
    config = TrainConfig(epochs=1, shift=16)
    with pytest.raises(LogGradError, match="shift 16 is not below the image side 16"):
        training.train(tiny(), data, frontend.fixed("loggrad_1p5", data.sensor), config, 0)


def test_the_transform_follows_the_mirror() -> None:
    """Training batches hold transforms of mirrored scenes, which differ from mirrored transforms."""
    data = stripes(each=10)
    front_end = frontend.fixed("loggrad_1p5", data.sensor)
    pixels, labels = data.subset("train")
    config = TrainConfig(epochs=1, batch_size=len(pixels), flip=True)
    images, targets = next(iter(training.training_batches(pixels, labels, 3, front_end, config, 0)))
    allowed = {front_end.encode(p).tobytes() for image in pixels for p in (image, image[:, ::-1])}
    assert all(image.numpy().tobytes() in allowed for image in images)
    flipped_levels = {front_end.encode(image)[:, ::-1].tobytes() for image in pixels}
    assert flipped_levels - allowed
    np.testing.assert_array_equal(np.sum(targets, axis=1), 1)


@pytest.mark.parametrize("shape", [(8, 5, 5, 4), (16, 5, 5, 7), (3, 5, 5, 7), (1, 1, 1, 3)])
def test_batch_norm_is_keras_batch_norm(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, weight = (tf.constant(rng.normal(3, 2, shape), tf.float32) for _ in range(2))
    ours = batch_norm.FusedBatchNorm()
    theirs = keras.layers.BatchNormalization(momentum=batch_norm.BN_MOMENTUM, epsilon=batch_norm.BN_EPSILON)
    scale, shift = rng.normal(1, 0.5, (2, shape[-1]))
    found = []
    for layer in (ours, theirs):
        layer.build(shape)
        layer.gamma.assign(scale)
        layer.beta.assign(shift)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(weight * tf.square(outputs))
        variables = [layer.gamma.value, layer.beta.value]
        found.append([outputs, *tape.gradient(loss, [x, *variables])])
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, atol=1e-6)
    # Ours estimates the population's variance.
    count, kept = np.prod(shape[:-1]), batch_norm.BN_MOMENTUM
    population = (theirs.moving_variance - kept) * count / max(count - 1, 1)
    np.testing.assert_allclose(ours.moving_variance - kept, population, rtol=1e-4, atol=1e-7)
    ours.moving_variance.assign(theirs.moving_variance)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


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


def test_bundle_round_trip_and_damage(tmp_path: Path) -> None:
    data = stripes()
    front_end = frontend.fit("loggrad_2p25", data.sensor, data.subset("train")[0])
    graph = tiny()
    saved = bundle.Bundle(
        graph,
        front_end,
        data.class_names,
        bundle.DataReference("synthetic", 16, "gray", "0" * 64),
        CONFIG,
        5,
        {"val_error": 0.25},
        Pruning(0.5, begin=0.25),
        weights=tuple(np.asarray(w) for w in keras_net.build(graph).get_weights()),
    )
    where = tmp_path / "best"
    for _ in range(2):
        bundle.save(where, saved)
    loaded = bundle.load(where)
    x = front_end.encode(data.subset("val")[0])
    np.testing.assert_array_equal(loaded.model()(x), saved.model()(x))
    assert loaded.front_end == front_end and loaded.graph == graph and loaded.train == CONFIG
    assert loaded.pruning == saved.pruning
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best"]

    # A save that was killed half-way is repeated over what it left.
    (where / "network.json").unlink()
    bundle.save(where, saved)
    assert bundle.load(where).graph == graph

    (where / "weights.npz").write_bytes(b"PK" + bytes(30))
    with pytest.raises(LogGradError, match="damaged network"):
        bundle.load(where)
    with pytest.raises(LogGradError, match="no saved network"):
        bundle.load(tmp_path / "nothing")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("unsaved")
    with pytest.raises(LogGradError, match="is no saved network; choose another name"):
        bundle.save(tmp_path / "precious", saved)
