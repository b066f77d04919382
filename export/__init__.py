"""From a trained network to an int8 flatbuffer and a firmware project."""

# Version of the text that export.firmware writes, apart from the package's; images carry it.
GENERATOR = "0.2.0"
# The newest TensorFlow that is known to have the converter to .tflite (export.quantization.converter).
WITH_CONVERTER = "2.21.0"
