"""models.training.batches: what is augmented is the RAW, not its levels; what is cut out is their square."""

import dataclasses
import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from loggrad_tf.transform import frontend
from models.recipe import TrainConfig
from models.training.batches import augment, cut_out, training_batches
from tests.models.training.test_fit import stripes


def test_augmentation_moves_and_mirrors_pixels() -> None:
    pixels = tf.constant(np.arange(2 * 9 * 9).reshape(2, 9, 9).astype(np.uint16))
    seen = set()
    for k in range(60):
        randomness = tf.constant([k, 7], tf.int64)
        moved = augment(pixels, randomness, flip=True, shift=2).numpy()
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
    untouched = augment(pixels, tf.constant([0, 0], tf.int64), flip=False, shift=0)
    np.testing.assert_array_equal(untouched, pixels)


def test_augmentation_keeps_the_colours_of_a_mosaic_in_their_places() -> None:
    flat = np.tile(np.array([[900, 500], [500, 300]], np.uint16), (4, 4))
    scene = np.arange(64).reshape(8, 8)
    color = np.tile(np.array([[0, 1], [2, 3]]), (4, 4)) * 100
    batch = np.stack([flat, (scene + color * 10).astype(np.uint16)] * 200)
    randomness = tf.constant([1, 3], tf.int64)
    moved = augment(tf.constant(batch), randomness, flip=True, shift=3, mosaic=True).numpy()
    np.testing.assert_array_equal(moved[::2], batch[::2])
    np.testing.assert_array_equal(moved[1::2] // 1000, np.broadcast_to(color // 100, (200, 8, 8)))
    seen = {image.tobytes() for image in moved[1::2]}
    # Mirrored or not, and three even places (-2, 0, 2) on each axis.
    assert len(seen) == 2 * 3 * 3


def test_the_transform_follows_the_mirror() -> None:
    """Training batches hold transforms of mirrored scenes, which differ from mirrored transforms."""
    data = stripes(each=10)
    front_end = frontend.fixed("loggrad_1p5", data.sensor)
    pixels, labels = data.subset("train")
    config = TrainConfig(epochs=1, batch_size=len(pixels), flip=True)
    images, targets = next(iter(training_batches(pixels, labels, 3, front_end, config, 0)))
    allowed = {front_end.encode(p).tobytes() for image in pixels for p in (image, image[:, ::-1])}
    assert all(image.numpy().tobytes() in allowed for image in images)
    flipped_levels = {front_end.encode(image)[:, ::-1].tobytes() for image in pixels}
    assert flipped_levels - allowed
    np.testing.assert_array_equal(np.sum(targets, axis=1), 1)


@pytest.mark.parametrize(("height", "width", "side"), [(6, 6, 2), (5, 8, 3)])
def test_a_square_of_zeros_is_cut_out_of_half_of_the_images(height: int, width: int, side: int) -> None:
    ones = tf.ones([4000, height, width, 1])
    randomness = tf.constant([3, 5], tf.int64)
    images = cut_out(ones, randomness, side).numpy()
    np.testing.assert_array_equal(images, cut_out(ones, randomness, side))
    assert set(np.unique(images)) == {0.0, 1.0}
    corners = {}
    for top in range(-(side // 2), height - side // 2):
        for left in range(-(side // 2), width - side // 2):
            square = np.ones((height, width), np.float32)
            square[max(top, 0) : top + side, max(left, 0) : left + side] = 0
            corners[square.tobytes()] = 0
    assert len(corners) == height * width
    whole = 0
    for image in images:
        if image.all():
            whole += 1
        else:
            corners[image.tobytes()] += 1
    assert whole == pytest.approx(2000, abs=160)  # five standard deviations
    assert min(corners.values()) > 0 and sum(corners.values()) == 4000 - whole
    expected = (4000 - whole) / len(corners)
    assert max(abs(n - expected) for n in corners.values()) < 5.5 * expected**0.5


def _batches(config: TrainConfig, name: str = "loggrad_2p25") -> list[tuple[np.ndarray, np.ndarray]]:
    data = stripes(each=20)
    pixels, labels = data.subset("train")
    front_end = frontend.fixed(name, data.sensor)
    drawn = training_batches(pixels, labels, 3, front_end, config, 7)
    return [(x.numpy(), y.numpy()) for _ in range(2) for x, y in drawn]


def test_batches_are_those_of_before_without_cutout() -> None:
    keras.utils.set_random_seed(5)  # as a training begins, whatever ran before
    digest = hashlib.sha256()
    for images, labels in _batches(TrainConfig(batch_size=12, flip=True, shift=3)):
        digest.update(images.tobytes() + labels.tobytes())
    assert digest.hexdigest()[:16] == "32a77f84ce0a893a"


@pytest.mark.parametrize("name", ["loggrad_2p25", "jpeg8"])
def test_cutout_changes_nothing_but_the_square(name: str) -> None:
    config = TrainConfig(batch_size=12, flip=True, shift=3)
    before, after = _batches(config, name), _batches(dataclasses.replace(config, cutout=6), name)
    again = _batches(dataclasses.replace(config, cutout=6), name)
    changed = 0
    for (old, labels), (new, same), (repeated, _) in zip(before, after, again, strict=True):
        np.testing.assert_array_equal(labels, same)
        np.testing.assert_array_equal(new, repeated)
        assert ((old == new) | (new == 0)).all()
        changed += int((old != new).any(axis=(1, 2, 3)).sum())
    assert 0.25 < changed / (12 * len(before)) < 0.75
    assert len({new.tobytes() for new, _ in after}) == len(after)


def test_nothing_is_cut_out_of_another_transform() -> None:
    data = stripes(each=20)
    pixels, labels = data.subset("train")
    front_end = frontend.fixed("loggrad_1p5", data.sensor)
    config = TrainConfig(batch_size=len(pixels), cutout=8)
    raw = training_batches(pixels, labels, 3, front_end, config, 0, lambda p: tf.cast(p, tf.float32))
    images, _ = next(iter(raw))
    assert sorted(x.tobytes() for x in images.numpy()) == sorted(
        x.astype(np.float32).tobytes() for x in pixels
    )
