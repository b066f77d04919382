"""What an int8 network answers on a data set, by TFLite's reference kernels."""

import numpy as np

from export.tflite.interpreter import ReferenceInterpreter
from loggrad_tf.confusion import Confusion
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models.training import detection
from models.training.measure import classify

# What was chosen by validation is reported on test.
SPLITS = ("val", "test")
_IMAGES_AT_A_TIME = 64


def of_int8(flatbuffer: bytes, data: DataSet, front_end: FrontEnd, split: str) -> Confusion:
    """What the int8 network takes one split for."""
    scale, zero_point = ReferenceInterpreter(flatbuffer).output_quantization
    scores = scale * (outputs(flatbuffer, data, front_end, split).astype(np.float64) - zero_point)
    return Confusion.of(data.labels_of(split), classify(scores), data.class_names)


def quality(flatbuffer: bytes, data: DataSet, front_end: FrontEnd) -> float:
    """Accuracy on validation; of a detector F1 at the best threshold there."""
    if not data.detects:
        return of_int8(flatbuffer, data, front_end, "val").accuracy
    return 1 - detection.judged(outputs(flatbuffer, data, front_end, "val"), data, "val")[0]


def outputs(flatbuffer: bytes, data: DataSet, front_end: FrontEnd, split: str) -> np.ndarray:
    """What the int8 network answers on one split, int8 (N, units); of a detector (N, rows, columns, units).

    Raises:
      LogGradError: a flatbuffer whose input is not what the front end gives.
    """
    interpreter = ReferenceInterpreter(flatbuffer)
    expected = (front_end.input_scale, front_end.input_zero_point)
    if not np.allclose(interpreter.input_quantization, expected, rtol=1e-6):
        raise LogGradError(
            f"the converter gave the input scale and zero point {interpreter.input_quantization},"
            f" {front_end.format} needs {expected}"
        )
    pixels, _ = data.subset(split)
    chunks = (pixels[i : i + _IMAGES_AT_A_TIME] for i in range(0, len(pixels), _IMAGES_AT_A_TIME))
    codes = (front_end.encode_int8(requantize(c, data.sensor, front_end.sensor)) for c in chunks)
    return np.concatenate([interpreter.run(c) for c in codes])
