"""What an int8 network answers on a data set, by TFLite's reference kernels."""

import numpy as np

from export.tflite.interpreter import ReferenceInterpreter
from loggrad_tf.confusion import Confusion
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import requantize
from models.training.measure import classify

# What was chosen by validation is reported on test.
SPLITS = ("val", "test")
_IMAGES_AT_A_TIME = 64


def of_int8(flatbuffer: bytes, data: DataSet, front_end: FrontEnd, split: str) -> Confusion:
    """What the int8 network takes one split for.

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
    pixels, labels = data.subset(split)
    chunks = (pixels[i : i + _IMAGES_AT_A_TIME] for i in range(0, len(pixels), _IMAGES_AT_A_TIME))
    codes = (front_end.encode_int8(requantize(c, data.sensor, front_end.sensor)) for c in chunks)
    scale, zero_point = interpreter.output_quantization
    outputs = np.concatenate([interpreter.run(c) for c in codes])
    scores = scale * (outputs.astype(np.float64) - zero_point)
    return Confusion.of(labels, classify(scores), data.class_names)
