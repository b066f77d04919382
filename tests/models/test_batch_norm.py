"""models.batch_norm: outputs, gradients and averages of Keras' own layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import batch_norm


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


def test_sizes_that_are_not_known_when_it_is_traced() -> None:
    x = tf.constant(np.random.default_rng(1).normal(3, 2, (6, 5, 4, 7)), tf.float32)
    layer = batch_norm.FusedBatchNorm()
    layer.build(x.shape)
    found = []
    for batch in (None, 6):

        def step(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(values)
                loss = tf.reduce_sum(tf.square(layer(values, training=True) + 1))
            return loss, tape.gradient(loss, values)

        signature = [tf.TensorSpec([batch, 5, 4, 7])]
        found.append(tf.function(step, input_signature=signature, autograph=False)(x))
    for open_, fixed in zip(*found, strict=True):
        np.testing.assert_allclose(open_, fixed, rtol=1e-5, atol=1e-5)
