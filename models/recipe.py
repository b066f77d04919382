"""How a network is trained and pruned, as values: nothing here needs Keras, so a search can hold it without.

The paper's schedule (appendix C.1) is :class:`TrainConfig`'s default: SGDW, learning rate 0.03, momentum 0.9,
weight decay 1e-4, batches of 128, 80 epochs. Recipes for other ends have names, :data:`RECIPES`.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Self

from loggrad_tf.data.sides import Size, sides
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

SCHEDULES = ("constant", "cosine", "exponential")
OPTIMIZERS = ("sgd", "adam")
# What makes the steps: the reference, or compiled code of our own that is faster (models.training.native).
TENSORFLOW, NATIVE = "tensorflow", "native"
TRAINERS = (TENSORFLOW, NATIVE)
# Of the exponential schedule, an epoch (paper, appendix C.2).
DECAY = 0.95
# How weights begin. ``glorot``: Keras' defaults, biases 0. ``fan_in``: weights and biases uniform in
# +-1 / sqrt(inputs of a weight's sum), as PyTorch has it.
GLOROT, FAN_IN = "glorot", "fan_in"
INITIALIZERS = (GLOROT, FAN_IN)
# Who says how many channels are masked when: the formula of :class:`Pruning`, or PolynomialDecay of
# tensorflow-model-optimization (:mod:`models.pruning.polynomial`).
CUBIC, TFMOT = "cubic", "tfmot"
PRUNING_SCHEDULES = (CUBIC, TFMOT)


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
      cutout: side in pixels of a square of zeros in half of the encoded images, 0 for none: see
        :func:`models.training.batches.cut_out`.
      trainer: ``tensorflow``, or ``native``: the same steps in compiled code, which takes less time and needs
        no TensorFlow; its random numbers are others, so its weights are too.
      zoom: scale the RAW image about its middle, by 1 / (1 + zoom) to 1 + zoom; a mosaic is never scaled.
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
    cutout: int = 0
    trainer: str = TENSORFLOW
    zoom: float = 0.0

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
        if not 0 <= self.zoom <= 1:
            raise LogGradError(f"zoom {self.zoom}: give what the largest scale exceeds 1 by, 0 to 1")
        if self.cutout < 0:
            raise LogGradError(f"cutout {self.cutout}: give the side of a square in pixels, 0 for none")
        if self.schedule not in SCHEDULES:
            raise LogGradError(f"schedule '{self.schedule}': choose one of {', '.join(SCHEDULES)}")
        if self.optimizer not in OPTIMIZERS:
            raise LogGradError(f"optimizer '{self.optimizer}': choose one of {', '.join(OPTIMIZERS)}")
        if self.initializer not in INITIALIZERS:
            known = ", ".join(INITIALIZERS)
            raise LogGradError(f"initializer '{self.initializer}': choose one of {known}")
        if self.trainer not in TRAINERS:
            raise LogGradError(f"trainer '{self.trainer}': choose one of {', '.join(TRAINERS)}")

    def to_json(self) -> dict[str, Any]:
        """Fields by name; the zoom only where there is one, as there was none once."""
        found = super().to_json()
        if not self.zoom:
            del found["zoom"]
        return found

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step 0 .. ``steps`` - 1 of the whole training."""
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))
        if self.schedule == "exponential":
            return self.learning_rate * DECAY ** (step * self.epochs // steps)
        return self.learning_rate


def steps_per_epoch(images: int, config: TrainConfig) -> int:
    """Full batches in the training split; a split smaller than one batch is one step."""
    return max(1, images // config.batch_size)


# What the fixed networks are trained with, and the hand-made baseline was measured with.
BASELINE = TrainConfig(epochs=40, batch_size=64, schedule="cosine", flip=True, shift=4)


# What a cell with an object counts beside one without, in the loss of a detector. One in forty has one; of 1,
# 3 and 8 this found most on real photographs, and the best threshold lies near 0 then.
OBJECT_WEIGHT = 8.0
# Epochs after which a small network has learned what it can from a few thousand images.
LONGEST = 300


def _quick(size: Size) -> TrainConfig:
    return BASELINE


def _long(size: Size) -> TrainConfig:
    shift = min(8, min(sides(size)) - 1)
    return dataclasses.replace(
        BASELINE, epochs=LONGEST, label_smoothing=0.1, shift=shift, cutout=cutout_of(size)
    )


# By name: size of the images in pixels -> how to train. ``long`` trains a small network out.
RECIPES: dict[str, Callable[[Size], TrainConfig]] = {"quick": _quick, "long": _long}
# The same for detectors, on frames of any size. On real photographs Adam finds more than SGD does in as many
# epochs, and what is scaled teaches more; nothing is cut out of frames, whose objects it would hide.
DETECTION = dataclasses.replace(
    BASELINE, batch_size=32, shift=8, zoom=0.25, optimizer="adam", learning_rate=0.003
)
DETECTOR_RECIPES: dict[str, TrainConfig] = {
    "quick": DETECTION,
    "long": dataclasses.replace(DETECTION, epochs=150),
}


def recipe(name: str, size: Size, detects: bool = False) -> TrainConfig:
    """How to train by that name, a detector or any other network, on images of a size."""
    return DETECTOR_RECIPES[name] if detects else RECIPES[name](size)


# Epochs from which a small network learns its training images by heart, unless squares are cut out of them.
# Shorter trainings gain nothing by that.
OVERFITTING = 200


def cutout_of(size: Size) -> int:
    """The side of the square to cut out of images of that size: a quarter of the shorter side."""
    return min(sides(size)) // 4


@dataclasses.dataclass(frozen=True)
class Pruning(JsonBase):
    """How much to prune, and when: the cubic schedule of Zhu & Gupta (2017).

    ``s_t = s (1 - (1 - (t - t0) / (tn - t0))^3)`` of the prunable channels are masked at batch t.

    Attributes:
      sparsity: share of the prunable channels that are gone at the end, 0 to 1, both excluded.
        One channel of every group stays, whatever the share.
      begin: share of the training at which pruning begins (muNAS: epoch 40 of 80).
      end: share of the training at which ``sparsity`` is reached (epoch 75 of 80); the masks
        stay as they are from there on, and the rest of the training recovers.
      every: batches between two rankings.
      exempt_first: layers fed by the input keep all their channels.
      schedule: one of :data:`PRUNING_SCHEDULES`.
    """

    sparsity: float
    begin: float = 0.5
    end: float = 0.9375
    every: int = 16
    exempt_first: bool = True
    schedule: str = CUBIC

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise LogGradError(f"sparsity {self.sparsity}: give a share between 0 and 1, both excluded")
        if not 0 <= self.begin < self.end <= 1:
            raise LogGradError(
                f"pruning from {self.begin} to {self.end} of the training: 0 <= begin < end <= 1 is needed"
            )
        if self.every < 1:
            raise LogGradError(f"{self.every} batches between two rankings: at least 1 is needed")
        if self.schedule not in PRUNING_SCHEDULES:
            known = ", ".join(PRUNING_SCHEDULES)
            raise LogGradError(f"pruning schedule '{self.schedule}': choose one of {known}")

    @classmethod
    def early(cls, sparsity: float, schedule: str = CUBIC) -> Self:
        """For a learning rate that falls to zero: muNAS' times would leave none of it to recover with."""
        return cls(sparsity, begin=0.05, end=0.4, schedule=schedule)

    def to_json(self) -> dict[str, Any]:
        """Fields by name; the schedule only where it is not the one that there always was."""
        found = super().to_json()
        if self.schedule == CUBIC:
            del found["schedule"]
        return found

    def span(self, total: int) -> tuple[int, int]:
        """The batches, of ``total``, after which pruning begins and ends."""
        begin = min(math.floor(self.begin * total), total - 1)
        return begin, max(math.floor(self.end * total), begin + 1)

    def sparsity_after(self, batches: int, total: int) -> float | None:
        """The share to mask after ``batches`` of ``total``, or None if no ranking is due then."""
        begin, end = self.span(total)
        if batches == end:
            return self.sparsity
        if not begin < batches < end or (batches - begin) % self.every:
            return None
        return self.sparsity * (1 - (1 - (batches - begin) / (end - begin)) ** 3)
