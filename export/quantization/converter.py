"""TensorFlow's converter to .tflite: the one module that knows ``tf.lite``.

TensorFlow 2.0 to 2.21 have it; 2.21.0 is what this project is tested with. Since 2.20 the module is in
maintenance: its runtime has moved to LiteRT (:mod:`export.tflite.interpreter`), and later versions of
TensorFlow are announced to come without it. With such a one networks can be searched, trained and counted,
and no more: the conversion is refused.
"""

from typing import Any

import tensorflow as tf

from export import WITH_CONVERTER
from loggrad_tf import quiet
from loggrad_tf.errors import LogGradError


def int8_flatbuffer(network: Any) -> bytes:
    """The flatbuffer of a network with a fake-quant node wherever int8 rounds; int8 input and output.

    Args:
      network: a concrete function of one input.
    Raises:
      LogGradError: this TensorFlow has no converter.
    """
    lite = _lite()
    # The second argument keeps the function's owner alive; a function of constants needs any object.
    converter = lite.TFLiteConverter.from_concrete_functions([network], tf.Module())
    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with quiet.stderr():
        return bytes(converter.convert())


def _lite() -> Any:
    try:
        lite = tf.lite
        found = hasattr(lite, "TFLiteConverter")
    except (AttributeError, ImportError):
        found = False
    if not found:
        raise LogGradError(
            f"TensorFlow {tf.__version__} has no converter to .tflite (tf.lite):"
            f" install tensorflow=={WITH_CONVERTER}"
        )
    return lite
