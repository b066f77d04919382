"""The transform as Keras 3 layers: thin shells round :mod:`loggrad_tf.transform.ops`.

Both take linear RAW pixels P, (batch, H, W, 1), any dtype that holds them exactly. The
quantiser takes pixels too, not g: a level is a comparison of products of pixels, and the
same one that the sensor makes. Both run on Keras' TensorFlow backend.

They belong in front of a float network on the host. Inside a model that is converted to
int8 they would be computed in int8, wrongly; the exported model therefore begins behind them.
"""

from typing import Any

import keras
import tensorflow as tf

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import ops
from loggrad_tf.transform.reference import BORDERS, DEFAULT_SHIFT, check_ratios


class _RawLayer(keras.layers.Layer):
    """What both layers share: integer input without a cast, one channel, the border rule."""

    def __init__(self, offset: int = 1, border: str = "mirror", **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if border not in BORDERS:
            raise LogGradError(f"border '{border}': choose one of {', '.join(BORDERS)}")
        self.offset = int(offset)
        self.border = border

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) != 4 or input_shape[-1] != 1:
            raise LogGradError(
                f"{self.name}: input shape {input_shape}; RAW pixels (batch, H, W, 1) are needed"
            )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if self.border == "mirror":
            return input_shape
        batch, height, width, channels = input_shape
        return batch, height and height - 2, width and width - 2, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "offset": self.offset, "border": self.border}


@keras.saving.register_keras_serializable(package="loggrad")
class LogGradient(_RawLayer):
    """P -> g = log(U+c) + log(L+c) - log(D+c) - log(R+c), float32 (paper, equation (2)).

    Args:
      offset: c, 1 in the paper.
      border: ``mirror`` keeps H x W; ``valid`` gives H-2 x W-2.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return ops.log_gradient(inputs[..., 0], self.offset, self.border)[..., tf.newaxis]


@keras.saving.register_keras_serializable(package="loggrad")
class GradientQuantizer(_RawLayer):
    """P -> levels -n..n of the log gradient, float32 holding integers, exact.

    Args:
      ratios: K_1 < ... < K_n; thresholds are ln(K_i / 2^shift).
      shift: S.
      offset: c, 1 in the paper.
      border: ``mirror`` keeps H x W; ``valid`` gives H-2 x W-2.
    """

    def __init__(
        self,
        ratios: tuple[int, ...],
        shift: int = DEFAULT_SHIFT,
        offset: int = 1,
        border: str = "mirror",
        **kwargs: Any,
    ) -> None:
        super().__init__(offset, border, **kwargs)
        self.ratios = tuple(int(k) for k in ratios)
        self.shift = int(shift)
        check_ratios(self.ratios, self.shift)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        q = ops.levels(inputs[..., 0], self.ratios, self.shift, self.offset, self.border)
        return tf.cast(q, tf.float32)[..., tf.newaxis]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratios": list(self.ratios), "shift": self.shift}
