"""How a network is trained, as a value: nothing here needs Keras, so a search can hold it without.

The paper's schedule (appendix C.1) is :class:`TrainConfig`'s default: SGDW, learning rate 0.03, momentum 0.9,
weight decay 1e-4, batches of 128, 80 epochs.
"""

import dataclasses
import math

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

SCHEDULES = ("constant", "cosine", "exponential")
OPTIMIZERS = ("sgd", "adam")
# Of the exponential schedule, an epoch (paper, appendix C.2).
DECAY = 0.95
# How weights begin. ``glorot``: Keras' defaults, biases 0. ``fan_in``: weights and biases uniform in
# +-1 / sqrt(inputs of a weight's sum), as PyTorch has it.
GLOROT, FAN_IN = "glorot", "fan_in"
INITIALIZERS = (GLOROT, FAN_IN)


@dataclasses.dataclass(frozen=True)
class TrainConfig(JsonBase):
    """How to train.

    Attributes:
      epochs: passes over the training split.
      batch_size: images per step.
      learning_rate: at the start.
      momentum: of SGD.
      optimizer: ``sgd`` (with momentum) or ``adam``.
      weight_decay: share of each weight taken off per step at the starting rate (SGDW;
        decoupled from the gradient, and scaled down with the learning rate by a schedule).
      schedule: ``constant``, ``cosine`` (to zero), or ``exponential`` (0.95 of it after each epoch).
      label_smoothing: 0 to 1.
      flip: mirror half of the RAW images left to right.
      shift: move the RAW image by up to this many pixels, mirrored at the border. On a mosaic
        both keep the colours' places: see :func:`models.training.batches.augment`.
      fused_bn: batch normalisation by :class:`models.batch_norm.FusedBatchNorm`, else by Keras' own
        layer, which does the same more slowly.
      initializer: ``glorot`` or ``fan_in``, see :data:`INITIALIZERS`.
    """

    epochs: int = 80
    batch_size: int = 128
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "constant"
    label_smoothing: float = 0.0
    flip: bool = False
    shift: int = 0
    fused_bn: bool = True
    optimizer: str = "sgd"
    initializer: str = GLOROT

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not self.learning_rate > 0:
            raise LogGradError(
                f"training needs epochs and batch size of at least 1 and a positive learning rate, got"
                f" {self.epochs}, {self.batch_size}, {self.learning_rate}"
            )
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < 1 and 0 <= self.label_smoothing < 1):
            raise LogGradError(
                f"momentum {self.momentum}, weight decay {self.weight_decay} and label smoothing"
                f" {self.label_smoothing} must lie in 0..1, 1 excluded"
            )
        if self.shift < 0:
            raise LogGradError(f"shift {self.shift}: give a number of pixels, 0 for none")
        if self.schedule not in SCHEDULES:
            raise LogGradError(f"schedule '{self.schedule}': choose one of {', '.join(SCHEDULES)}")
        if self.optimizer not in OPTIMIZERS:
            raise LogGradError(f"optimizer '{self.optimizer}': choose one of {', '.join(OPTIMIZERS)}")
        if self.initializer not in INITIALIZERS:
            known = ", ".join(INITIALIZERS)
            raise LogGradError(f"initializer '{self.initializer}': choose one of {known}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step 0 .. ``steps`` - 1 of the whole training."""
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))
        if self.schedule == "exponential":
            return self.learning_rate * DECAY ** (step * self.epochs // steps)
        return self.learning_rate
