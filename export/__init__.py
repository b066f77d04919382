"""From a trained network to an int8 flatbuffer and a firmware project."""
