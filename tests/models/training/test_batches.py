"""models.training.batches: what is augmented is the RAW, not its levels."""

import numpy as np
import tensorflow as tf

from loggrad_tf.transform import frontend
from models.recipe import TrainConfig
from models.training.batches import augment, training_batches
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
