"""From a trained network to an int8 flatbuffer and a firmware project."""

# The newest TensorFlow that is known to have the converter to .tflite (export.quantization.converter).
WITH_CONVERTER = "2.21.0"
