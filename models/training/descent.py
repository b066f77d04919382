"""SGD with momentum and decoupled weight decay, or Adam, for small networks.

The same arithmetic as ``keras.Model.fit`` with ``keras.optimizers.SGD`` or ``Adam``, for one loss and
one metric. Keras' loop takes two to three times as long to prepare a network, seconds where a whole
training takes not many more (``python -m benchmarks.training``): it traces the step twice, and its
optimiser is several operations a variable where TensorFlow has one. A search prepares thousands.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from models.recipe import OBJECT_WEIGHT
from models.training import loop
from models.training.loop import Progress, Stop

# Of Adam: decay of both moments, and what keeps its divisor from zero.
_BETAS, _EPSILON = (0.9, 0.999), 1e-7


class Descent:
    """The training of one model.

    Args:
      model: float32 (batch, H, W, C) -> logits (batch, units), or (batch, rows, columns, units)
        of a detector, whose loss is :func:`cell_loss`.
      rate: the learning rate of a step, counted from 0.
      momentum: of SGD; None for Adam (Kingma & Ba 2015, its usual constants).
      weight_decay: share of each weight taken off per step at the starting rate.
      label_smoothing: 0..1.
      plain: trace the step for one shape of batch and run it as it is traced. On a CPU TensorFlow's optimiser
        of graphs, and sizes that are not known, take half of the time in which a step is prepared, and make
        no step faster. Sums of three or more maps, and what is not ours, round otherwise without it.

    Attributes:
      done: steps made so far.
    """

    def __init__(
        self,
        model: keras.Model,
        rate: Callable[[int], float],
        momentum: float | None,
        weight_decay: float,
        label_smoothing: float,
        plain: bool = False,
    ) -> None:
        self._model, self._rate, self._momentum = model, rate, momentum
        self._decay, self._smoothing = weight_decay, label_smoothing
        self._variables = [variable.value for variable in model.trainable_variables]
        slots = 1 if momentum is not None else 2
        self._slots = [
            [tf.Variable(tf.zeros_like(variable)) for _ in range(slots)] for variable in self._variables
        ]
        self._powers = [tf.Variable(beta) for beta in _BETAS]
        self._sums = tf.Variable(tf.zeros(2))
        self._binary = model.output_shape[-1] == 1
        plain = plain and not tf.config.list_physical_devices("GPU")
        # TensorFlow's remapper fuses a convolution with the addition of a padded map into a oneDNN
        # kernel that crashes the process (2.21), and its fusions do not speed up training.
        tf.config.optimizer.set_experimental_options({"remapping": False, "disable_meta_optimizer": plain})
        shapes = (model.input_shape, model.output_shape, ())
        signature = None if plain else [tf.TensorSpec(shape) for shape in shapes]
        self._step = tf.function(self._update, input_signature=signature, autograph=False)
        self.done = 0

    def epochs(
        self,
        batches: Iterable[tuple[tf.Tensor, tf.Tensor]],
        numbers: range,
        after_step: Callable[[], Any] | None = None,
        on_epoch: Progress | None = None,
        stop: Stop | None = None,
    ) -> Iterator[dict[str, float]]:
        """What :func:`models.training.loop.epochs` says of epochs over ``batches``.

        Args:
          after_step: called after every batch.
        """
        return loop.epochs(lambda: self.epoch(batches, after_step), numbers, on_epoch, stop)

    def epoch(
        self, batches: Iterable[tuple[tf.Tensor, tf.Tensor]], after_step: Callable[[], Any] | None = None
    ) -> dict[str, float]:
        """One pass: the means of ``loss`` and ``error`` (0..1) over its batches, each before its step."""
        self._sums.assign(tf.zeros(2))
        count = 0
        for inputs, targets in batches:
            self._step(inputs, targets, tf.constant(self.rate, tf.float32))
            self.done += 1
            count += 1
            if after_step is not None:
                after_step()
        loss, correct = (float(x) / count for x in self._sums.numpy())
        return {"loss": loss, "error": 1 - correct}

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self._rate(self.done)

    def _update(self, inputs: tf.Tensor, targets: tf.Tensor, rate: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = self._model(inputs, training=True)
            losses = self._losses(logits, targets)
            loss = cell_loss(losses, targets) if len(targets.shape) == 4 else tf.reduce_mean(losses)
        gradients = tape.gradient(loss, self._variables)
        decay = rate * (self._decay / self._rate(0)) if self._decay else None
        momentum = None if self._momentum is None else tf.constant(self._momentum)
        for variable, slots, gradient in zip(self._variables, self._slots, gradients, strict=True):
            if decay is not None:
                variable.assign_sub(variable * decay)
            if momentum is not None:
                tf.raw_ops.ResourceApplyKerasMomentum(
                    var=variable.handle,
                    accum=slots[0].handle,
                    lr=rate,
                    grad=gradient,
                    momentum=momentum,
                )
            else:
                tf.raw_ops.ResourceApplyAdam(
                    var=variable.handle,
                    m=slots[0].handle,
                    v=slots[1].handle,
                    beta1_power=self._powers[0],
                    beta2_power=self._powers[1],
                    lr=rate,
                    beta1=_BETAS[0],
                    beta2=_BETAS[1],
                    epsilon=_EPSILON,
                    grad=gradient,
                )
        if self._momentum is None:
            for power, beta in zip(self._powers, _BETAS, strict=True):
                power.assign(power * beta)
        self._sums.assign_add(tf.stack([loss, self._accuracy(logits, targets)]))

    def _losses(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        classes = 2 if self._binary else logits.shape[-1]
        smooth = targets * (1 - self._smoothing) + self._smoothing / classes
        if self._binary:
            return tf.nn.sigmoid_cross_entropy_with_logits(smooth, logits)
        return tf.nn.softmax_cross_entropy_with_logits(smooth, logits)

    def _accuracy(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        if self._binary:
            right = tf.equal(logits > 0, targets > 0.5)
        else:
            right = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(targets, axis=-1))
        share = tf.cast(right, tf.float32)
        if len(targets.shape) != 4:
            return tf.reduce_mean(share)
        asked = tf.reduce_sum(targets, axis=-1)
        return tf.math.divide_no_nan(tf.reduce_sum(share * asked), tf.reduce_sum(asked))


def cell_loss(losses: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The mean over the cells of a batch that are asked something; those with an object count
    :data:`models.recipe.OBJECT_WEIGHT` times as much as those without.

    Args:
      losses: cross-entropies (batch, rows, columns).
      targets: one-hot (batch, rows, columns, units), the background first; all 0 where nothing is asked.
    """
    weights = targets[..., 0] + OBJECT_WEIGHT * tf.reduce_sum(targets[..., 1:], axis=-1)
    return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))
