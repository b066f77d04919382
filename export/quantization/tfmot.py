"""Quantised training by tensorflow-model-optimization (tfmot), in place of :mod:`export.quantization.qat`.

What is trained is the same network, rounded in the same places to the same bits from the same start, on the
same batches by the same steps of Adam; and what comes out is converted the same way. What differs is how
ranges follow the weights and activations: a scale of weights is that of the largest one of the moment, where
ours is trained, and the range of an activation is a moving average of its smallest and largest value over the
batches (0.999 of it each time), where ours is trained too.

tfmot knows Keras 2 only, so it works in a process of its own (:mod:`loggrad_tf.own_process`) on a twin of the
network (:mod:`export.quantization.tfmot_twin`); arrays go in and come out.
"""

import numpy as np
import tensorflow as tf

from export.quantization.qat import Quantized
from loggrad_tf import own_process, quiet
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models import progress
from models.recipe import TrainConfig

PACKAGES = ("tensorflow-model-optimization", "tf_keras")


def train(
    start: Quantized, data: DataSet, front_end: FrontEnd, config: TrainConfig, seed: int, label: str = ""
) -> Quantized:
    """Fine-tune weights and ranges of ``start`` on the training split.

    Same arguments and thread count give the same network, bit for bit.

    Args:
      config: see :func:`export.quantization.qat.tuned`; its optimizer is Adam without weight decay.
      label: what a line of progress calls the training; empty shows none.
    Raises:
      LogGradError: the training diverged; a network or a recipe that the twin cannot have; tfmot is not
        installed.
    """
    if start.ranges is None:
        raise LogGradError("tfmot trains what is rounded: give bits, or train in float by models.training")
    if config.optimizer != "adam" or config.weight_decay:
        raise LogGradError(
            f"tfmot trains by adam without weight decay, not by {config.optimizer} with {config.weight_decay}"
        )
    pixels, labels = data.subset("train")
    pixels = requantize(np.asarray(pixels), data.sensor, front_end.sensor)
    threads = (
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )
    return own_process.call(
        _trained, start, pixels, np.asarray(labels), front_end, config, seed, label, threads
    )


def _trained(
    start: Quantized,
    pixels: np.ndarray,
    labels: np.ndarray,
    front_end: FrontEnd,
    config: TrainConfig,
    seed: int,
    label: str,
    threads: tuple[int, int],
) -> Quantized:
    """:func:`train`, in the process of its own."""
    quiet.import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads[0])
    tf.config.threading.set_inter_op_parallelism_threads(threads[1])
    from export.quantization import tfmot_twin

    show = progress.of_epochs(label, config.epochs) if label else None
    return tfmot_twin.train(start, pixels, labels, front_end, config, seed, show)
