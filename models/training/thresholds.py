"""Training a graph together with its thresholds: deterministic from its seed.

For the first part of the epochs the network stands behind
:class:`loggrad_tf.transform.trainable.TrainableQuantizer` and both learn. Then the thresholds are frozen as
integer ratios, and the network trains on to the end behind the front end that it will be saved with; the
learning rate runs through both parts as one schedule.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.frontend import LEVELS, FrontEnd
from loggrad_tf.transform.sensor import requantize
from loggrad_tf.transform.trainable import BEND, FLOOR, GAIN, WIDTH, TrainableQuantizer
from models import keras_net
from models.graph import Graph
from models.recipe import TrainConfig, steps_per_epoch
from models.training.batches import training_batches
from models.training.descent import Descent
from models.training.fit import TrainResult
from models.training.keras_fit import begin
from models.training.loop import Progress, diverged
from models.training.measure import measure


@dataclasses.dataclass(frozen=True)
class ThresholdConfig(JsonBase):
    """How to train thresholds.

    Attributes:
      gain: their learning rate over the network's.
      width: half-width of the step's surrogate, natural log.
      floor: below which none may go, natural log; see :func:`loggrad_tf.transform.noise.gradient_noise`.
      share: of the epochs in which they move, 0 to 1, both excluded; they always move in the first.
    """

    gain: float = GAIN
    width: float = WIDTH
    floor: float = FLOOR
    share: float = 2 / 3

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise LogGradError(f"share {self.share} of the epochs: give a number between 0 and 1")


@dataclasses.dataclass(frozen=True)
class ThresholdResult:
    """Attributes:
    trained: the network, as :func:`models.training.fit.train` returns it.
    front_end: with the ratios that were found.
    course: thresholds before the first epoch and after each one in which they moved, natural log.
    """

    trained: TrainResult
    front_end: FrontEnd
    course: tuple[tuple[float, ...], ...]


def train(
    graph: Graph,
    data: DataSet,
    start: FrontEnd,
    config: TrainConfig,
    thresholds: ThresholdConfig,
    seed: int,
    on_epoch: Progress | None = None,
) -> ThresholdResult:
    """Train ``graph`` and thresholds from scratch on the training split.

    A training that diverges when the thresholds are frozen ends there, as :func:`models.training.fit.train`
    has it.

    Args:
      start: a quantised format; its thresholds are those of the start, lifted above the floor if need be.
      on_epoch: called after each epoch with its number, from 0, and its history entry.

    Raises:
      LogGradError: a format without levels, or a training that diverged while the thresholds moved.
    """
    if not start.levels:
        raise LogGradError(f"{start.format} has no thresholds to train: choose {', '.join(LEVELS)}")
    begin(graph, data, config, seed)
    network = keras_net.build(graph, config.fused_bn)
    quantizer = TrainableQuantizer(
        _above(thresholds.floor, start.thresholds),
        thresholds.floor,
        thresholds.width,
        thresholds.gain,
        start.shift,
        offset=start.offset,
        border=start.border,
        name="levels",
    )
    # Whole numbers up to 65535 are exact in float32, the type of a batch.
    raw = keras.Input(_raw_shape(graph, start), name="raw")
    pixels, labels = data.subset("train")
    pixels = requantize(pixels, data.sensor, start.sensor)
    moving = max(1, round(config.epochs * thresholds.share))
    history: list[dict[str, float]] = []

    def epochs(
        model: keras.Model,
        front_end: FrontEnd,
        numbers: range,
        transform: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> Iterator[dict[str, float]]:
        each = steps_per_epoch(len(pixels), config)
        rate = functools.partial(_rate, config, numbers.start * each, config.epochs * each)
        descent = Descent(
            model,
            rate,
            config.momentum if config.optimizer == "sgd" else None,
            config.weight_decay * rate(0) / config.rate(0, config.epochs * each),
            config.label_smoothing,
        )
        order = seed if not numbers.start else 2**31 - 1 - seed
        units = graph.output_units
        batches = training_batches(pixels, labels, units, front_end, config, order, transform)
        return descent.epochs(batches, numbers, on_epoch=on_epoch)

    whole = keras.Model(raw, network(quantizer(raw)))
    course = [_values(quantizer)]
    for entry in epochs(whole, start, range(moving), _as_input):
        if diverged(entry):
            raise LogGradError("training diverged while the thresholds moved: lower the learning rate")
        history.append(entry)
        course.append(_values(quantizer))
    front_end = quantizer.front_end(start.sensor)
    history.extend(epochs(network, front_end, range(moving, config.epochs)))
    val_error, val_loss = measure(network, data, front_end, "val")
    trained = TrainResult(
        val_error=val_error,
        val_loss=val_loss,
        train_error=history[-1]["error"],
        history=tuple(history),
        graph=graph,
        weights=tuple(np.asarray(w) for w in network.get_weights()),
        stopped=False,
    )
    return ThresholdResult(trained, front_end, tuple(course))


def _above(floor: float, thresholds: tuple[float, ...]) -> tuple[float, ...]:
    """Thresholds of the start, each at least BEND above what is below it, where it can move."""
    lifted: list[float] = []
    for threshold in thresholds:
        below = lifted[-1] if lifted else floor
        lifted.append(max(threshold, below + BEND))
    return tuple(lifted)


def _raw_shape(graph: Graph, front_end: FrontEnd) -> tuple[int, int, int]:
    """Of P: two rows and columns more than the network's input where the border is ``valid``."""
    more = 2 if front_end.border == "valid" else 0
    height, width, channels = graph.input_shape
    return height + more, width + more, channels


def _rate(config: TrainConfig, done: int, steps: int, step: int) -> float:
    return config.rate(done + step, steps)


def _as_input(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(pixels, tf.float32)[..., tf.newaxis]


def _values(quantizer: TrainableQuantizer) -> tuple[float, ...]:
    return tuple(float(t) for t in np.asarray(quantizer.thresholds()))
