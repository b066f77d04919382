"""Thresholds that are trained with the network behind them: a Keras 3 layer, paper section 5.

The levels are always those of integer ratios, the ones that the board will compare with, so what is trained
is what is deployed; only the gradient is of another function. A step has the derivative 0 almost
everywhere. In its place, as in all straight-through estimators (Bengio et al. 2013), stands that of a ramp
with parabolic ends: ``s(x) = max(0, 1 - |x| / w) / w``, a triangle of area 1 and half-width w in
natural-log units, so that ``dq / dt_i = s(-g - t_i) - s(g - t_i)``. In words: the pixels within w of a
threshold say what moving it would do to the loss, the nearest ones loudest.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import ops
from loggrad_tf.transform.frontend import LEVELS, FrontEnd
from loggrad_tf.transform.layers import LogGradient
from loggrad_tf.transform.noise import gradient_noise
from loggrad_tf.transform.reference import DEFAULT_SHIFT, check_ratios, ratio_of
from loggrad_tf.transform.sensor import Sensor

MOST_RATIO = 2**20
WIDTH, GAIN = 0.2, 0.5
# b, natural log: increments below it move more slowly than the weights.
BEND = 0.05


FLOOR = gradient_noise()


@keras.saving.register_keras_serializable(package="loggrad")
class TrainableQuantizer(LogGradient):
    """P (batch, H, W, 1) -> levels -n..n of the log gradient, float32, with trainable thresholds.

    ``t_i = floor + sum_{j <= i} b softplus((a_j + w_j) / b)``, b = 0.05: strictly increasing and above the
    floor whatever the weights w are, and moving as much as they do where the increments are well above b.
    a is set so that w = 0 gives the thresholds of the start; decay of the weights therefore pulls to
    those. No gradient reaches the pixels. Width and gain do not matter in inference.

    Args:
      thresholds: of the start, natural log, strictly increasing, above the floor; one, two or three.
      floor: below which none may go, natural log; see :mod:`loggrad_tf.transform.noise`.
      width: w, the half-width of the gradient's triangle, natural log.
      gain: factor on the gradient of the weights: with SGD, the thresholds' learning rate over the network's.
      shift: S of the integer ratios.
      offset: c, 1 in the paper.
      border: ``mirror`` keeps H x W; ``valid`` gives H-2 x W-2.
    """

    def __init__(
        self,
        thresholds: tuple[float, ...],
        floor: float = FLOOR,
        width: float = WIDTH,
        gain: float = GAIN,
        shift: int = DEFAULT_SHIFT,
        offset: int = 1,
        border: str = "mirror",
        **kwargs: Any,
    ) -> None:
        super().__init__(offset, border, **kwargs)
        self.start = tuple(float(t) for t in thresholds)
        self.floor, self.width, self.gain, self.shift = float(floor), float(width), float(gain), int(shift)
        if not (self.floor >= 0 and self.width > 0 and self.gain > 0):
            raise LogGradError(
                f"floor {floor}, width {width}, gain {gain}: give a floor of at least 0, the others positive"
            )
        increments = np.diff((self.floor, *self.start))
        if len(self.start) not in LEVELS.values() or not (increments > 0).all():
            raise LogGradError(
                f"thresholds {self.start}: give one to three, strictly increasing, above the floor of"
                f" {self.floor:.3f}"
            )
        check_ratios(tuple(ratio_of(t, self.shift) for t in self.start), self.shift)
        self._origin = (BEND * np.log(np.expm1(increments / BEND))).astype(np.float32)
        self._least = math.ceil(2**self.shift * math.exp(self.floor))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.moved = self.add_weight(shape=(len(self.start),), initializer="zeros", name="moved")

    def thresholds(self) -> tf.Tensor:
        """t_1 < ... < t_n as they are now, natural log, float32 (n,)."""
        moved = _scaled(tf.convert_to_tensor(self.moved), self.gain)
        return self.floor + tf.cumsum(BEND * tf.math.softplus((self._origin + moved) / BEND))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        thresholds = self.thresholds()

        @tf.custom_gradient
        def levels(t: tf.Tensor) -> Any:
            def backward(upstream: tf.Tensor) -> tf.Tensor:
                g = super(TrainableQuantizer, self).call(inputs)
                slopes = [self._slope(-g - t[i]) - self._slope(g - t[i]) for i in range(len(self.start))]
                return tf.stack([tf.reduce_sum(upstream * slope) for slope in slopes])

            q = ops.levels(inputs[..., 0], self._ratios(t), self.shift, self.offset, self.border)
            return tf.cast(q, tf.float32)[..., tf.newaxis], backward

        return levels(thresholds)

    def _slope(self, distance: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(1 - tf.abs(distance) / self.width) / self.width

    def _ratios(self, thresholds: tf.Tensor) -> tf.Tensor:
        """K_i, float64 (n,): rounded, strictly increasing, within what the board can hold."""
        ratios: list[tf.Tensor] = []
        rounded = tf.round(2.0**self.shift * tf.exp(tf.cast(thresholds, tf.float64)))
        for i in range(len(self.start)):
            least = ratios[-1] + 1 if ratios else tf.constant(max(self._least, 2**self.shift + 1), tf.float64)
            most = MOST_RATIO - (len(self.start) - 1 - i)
            ratios.append(tf.clip_by_value(rounded[i], least, most))
        return tf.stack(ratios)

    def snapped(self) -> tuple[int, ...]:
        """The integer ratios K_1 < ... < K_n that the levels are computed with."""
        return tuple(int(k) for k in self._ratios(self.thresholds()))

    def front_end(self, sensor: Sensor) -> FrontEnd:
        """The front end of these ratios, as a saved network and the firmware take it."""
        name = next(name for name, levels in LEVELS.items() if levels == len(self.start))
        return FrontEnd(name, sensor, self.snapped(), self.shift, self.offset, self.border)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "thresholds": list(self.start),
            "floor": self.floor,
            "width": self.width,
            "gain": self.gain,
            "shift": self.shift,
        }


@tf.custom_gradient
def _scaled(x: tf.Tensor, gain: float) -> Any:
    return tf.identity(x), lambda upstream: (upstream * gain, None)
