"""From a trained network to an int8 flatbuffer and a firmware project."""

# Of the text that export.firmware writes; images carry it.
GENERATOR = "0.2.0"
