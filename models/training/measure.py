"""The float network on one split of a data set: its logits, classes, error, loss and confusions."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from loggrad_tf.confusion import Confusion
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models.training import detection
from models.training.kept import last_of

if TYPE_CHECKING:
    import keras

# Images of one step of predict, and their pixels: of 224x224 pixels 47 images.
_BATCH_IMAGES, _BATCH_PIXELS = 256, 256 * 96 * 96
# A split of no more pixels is encoded once and stays in memory: of 96x96 pixels 3640 images, 128 MiB.
_KEPT_PIXELS = 2**25


def logits(model: "keras.Model", data: DataSet, front_end: FrontEnd, split: str) -> np.ndarray:
    """The float network's outputs on one split, (N, units) or (N, rows, columns, units)."""
    if data.labels_of(split).size * data.pixels[0].size > _KEPT_PIXELS:
        pixels, _ = data.subset(split)
        return predict(model, front_end, requantize(pixels, data.sensor, front_end.sensor))
    inputs = _encoded(data, front_end, split)
    size = _batch(data.pixels[0].size)
    return np.concatenate([_outputs(model, inputs[i : i + size]) for i in range(0, len(inputs), size)])


def predict(model: "keras.Model", front_end: FrontEnd, pixels: np.ndarray) -> np.ndarray:
    """The float network's outputs, as :func:`logits` has them, in batches that shrink as the images grow.

    Args:
      pixels: P of ``front_end.sensor``, uint16 (N, H, W).
    """
    size = _batch(pixels[0].size)
    return np.concatenate(
        [_outputs(model, front_end.encode(pixels[i : i + size])) for i in range(0, len(pixels), size)]
    )


def _batch(pixels: int) -> int:
    """Images of so many pixels in one step."""
    return max(1, min(_BATCH_IMAGES, _BATCH_PIXELS // pixels))


def _outputs(model: "keras.Model", inputs: np.ndarray) -> np.ndarray:
    return np.asarray(model(inputs, training=False))


@last_of
def _encoded(data: DataSet, front_end: FrontEnd, split: str) -> np.ndarray:
    pixels, _ = data.subset(split)
    pixels = requantize(pixels, data.sensor, front_end.sensor)
    size = _batch(pixels[0].size)
    return np.concatenate([front_end.encode(pixels[i : i + size]) for i in range(0, len(pixels), size)])


def classify(scores: np.ndarray) -> np.ndarray:
    """Class index per row: the largest logit, or the sign of the only one."""
    return (scores[:, 0] > 0).astype(np.int64) if scores.shape[1] == 1 else scores.argmax(axis=1)


def evaluate(model: "keras.Model", data: DataSet, front_end: FrontEnd, split: str) -> float:
    """Error rate 0..1 on one split; a network that diverged counts as always wrong."""
    return measure(model, data, front_end, split)[0]


def measure(model: "keras.Model", data: DataSet, front_end: FrontEnd, split: str) -> tuple[float, float]:
    """Error rate 0..1 and mean cross-entropy in nats on one split; (1, infinity) if it diverged."""
    return judged(logits(model, data, front_end, split), data.labels_of(split))


def judged(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Error rate 0..1 and mean cross-entropy in nats of logits (N, units); (1, infinity) if not finite."""
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        return 1.0, math.inf
    return float(np.mean(classify(scores) != labels)), float(cross_entropies(scores, labels).mean())


def validated(scores: np.ndarray, data: DataSet) -> tuple[float, float, float | None]:
    """Error, loss and, of a detector, threshold by the logits of the validation split.

    See :func:`judged` and :func:`models.training.detection.judged`.
    """
    if data.detects:
        return detection.judged(scores, data, "val")
    return *judged(scores, data.labels_of("val")), None


def cross_entropies(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each image in nats, float64 (N,).

    Args:
      scores: finite logits, float64 (N, units).
      labels: integers (N,).
    """
    classes = scores if scores.shape[1] > 1 else np.concatenate([np.zeros_like(scores), scores], axis=1)
    # Cross-entropy = log sum exp - the right class' logit.
    right: np.ndarray = classes[np.arange(len(labels)), labels]
    return np.logaddexp.reduce(classes, axis=1) - right


def confusions(model: "keras.Model", data: DataSet, front_end: FrontEnd) -> dict[str, Confusion]:
    """Which classes the float network takes for which on ``val`` and ``test``; one that diverged answers
    nothing of use."""
    return tabled(lambda split: logits(model, data, front_end, split), data)


def tabled(scores: Callable[[str], np.ndarray], data: DataSet) -> dict[str, Confusion]:
    """Confusions on ``val`` and ``test`` of the logits, (N, units), that ``scores`` gives of a split."""
    return {
        split: Confusion.of(data.labels_of(split), classify(scores(split)), data.class_names)
        for split in ("val", "test")
    }


def majority_error(data: DataSet, split: str) -> float:
    """The error of always answering the most frequent training class."""
    return float(np.mean(data.labels_of(split) != _largest(data)))


def guesses(error: float, data: DataSet, split: str) -> str | None:
    """What to warn of if a network of that error, 0..1, has learned nothing; None if it has.

    It has, if its error is below that of always answering the most frequent training class.
    """
    least = majority_error(data, split)
    if error < least:
        return None
    return (
        f"{split} error {error:.2%}: no better than always answering {data.class_names[_largest(data)]}"
        f" ({least:.2%}): train it longer, on more photographs, or take a larger network"
    )


def _largest(data: DataSet) -> int:
    """The most frequent training class."""
    return int(np.bincount(data.labels_of("train"), minlength=len(data.class_names)).argmax())
