"""Batch normalisation that is cheap on a CPU whatever the number of channels.

TensorFlow's fused kernel is the fastest for a multiple of four channels and several times slower
for any other number, which is what morphs and pruning leave a network with: seven channels of
47x47 pixels and 64 images take it 18 ms, eight take it 4 ms. The other numbers are normalised by
element-wise operations over rows of several pixels, long enough for vector instructions: 5 ms.
"""

from typing import Any

import keras
import tensorflow as tf

from models.variables import BN_EPSILON, BN_MOMENTUM

# The fused kernel is used for multiples of this many channels; the others go by rows of at most so many
# pixels.
_FUSED_CHANNELS, _ROW_PIXELS = 4, 16


@keras.saving.register_keras_serializable(package="loggrad")
class FusedBatchNorm(keras.layers.Layer):
    """Batch normalisation over (batch, H, W), float32.

    Keras 3's own layer is composed of separate operations on single pixels
    (``python -m benchmarks.training`` compares the two). Same four variables, same result, but
    for the moving variance, which estimates the population's (N - 1 in the divisor, not N).
    The moving averages keep ``BN_MOMENTUM`` of the old value at each step: the short trainings
    of a search see too few steps for Keras' 0.99.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.moving_mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="moving_variance"
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if not training:
            mean, variance = (
                tf.convert_to_tensor(self.moving_mean),
                tf.convert_to_tensor(self.moving_variance),
            )
            return tf.compat.v1.nn.fused_batch_norm(
                inputs, gamma, beta, mean, variance, BN_EPSILON, is_training=False
            )[0]
        if inputs.shape[-1] % _FUSED_CHANNELS and not tf.config.list_physical_devices("GPU"):
            outputs, mean, variance = _by_rows(inputs, gamma, beta)
        else:
            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                inputs, gamma, beta, epsilon=BN_EPSILON, is_training=True
            )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * BN_MOMENTUM + batch * (1 - BN_MOMENTUM))
        return outputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@tf.custom_gradient
def _by_rows(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
    """The fused kernel's three results: outputs, batch mean, batch variance (N - 1 in the divisor).

    With ``c = x - mean`` and ``k = gamma / sqrt(var + eps)`` the output is ``k c + beta``, and the
    gradient by the input ``k (u - mean(u)) - c k mean(u c) / (var + eps)`` of the upstream gradient
    u (Ioffe & Szegedy 2015, section 3). Nothing is differentiated through the mean and the variance
    that are returned: they only move the averages.
    """
    channels, size = inputs.shape[-1], inputs.shape.num_elements()
    # Sizes that are known when a step is traced are no operations in it, which are what tracing costs.
    shape = inputs.shape if size else tf.shape(inputs)
    count = (size or tf.size(inputs)) // channels
    pixels = _row_pixels(count)
    number = float(count) if size else tf.cast(count, tf.float32)
    ones = tf.ones([1, count // pixels])

    def rows(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, [-1, pixels * channels])

    def along(per_channel: tf.Tensor) -> tf.Tensor:
        return tf.tile(per_channel, [pixels])

    def total(values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.reshape(tf.matmul(ones, values), [pixels, channels]), axis=0)

    x = rows(inputs)
    mean = total(x) / number
    centred = x - along(mean)
    variance = total(centred * centred) / number
    inverse = tf.math.rsqrt(variance + BN_EPSILON)
    outputs = centred * along(inverse * gamma) + along(beta)

    def gradient(upstream: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        u = rows(upstream)
        by_beta, product = total(u), total(u * centred)
        gain = inverse * gamma
        by_input = (
            u * along(gain)
            - centred * along(gain * inverse * inverse * product / number)
            - along(gain * by_beta / number)
        )
        return tf.reshape(by_input, shape), product * inverse, by_beta

    population = variance * number / tf.maximum(number - 1, 1)
    return (tf.reshape(outputs, shape), mean, population), gradient


def _row_pixels(count: Any) -> Any:
    """The largest power of two that divides the count, at most ``_ROW_PIXELS``; an int of an int."""
    if isinstance(count, int):
        return min(count & -count, _ROW_PIXELS)
    return tf.minimum(tf.bitwise.bitwise_and(count, -count), _ROW_PIXELS)
