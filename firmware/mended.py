"""A flatbuffer that TFLite refuses for what says nothing, made one that it loads.

TensorFlow Lite Micro and older converters leave a ``quantized_dimension`` in vectors, such as biases, and in
tensors of one scale, where it has no meaning; TFLite's interpreter refuses one that is no side of the tensor.
Here it becomes 0. Nothing that is computed changes.
"""

import struct
from typing import Any

# Of QuantizationParameters in the flatbuffer.
_QUANTIZED_DIMENSION = 16


def mended(model: bytes, schema: Any) -> bytes:
    """The same network; the same bytes where there is nothing to mend.

    Args:
      schema: the module of generated classes of the flatbuffer.
    """
    content = bytearray(model)
    root = schema.Model.GetRootAs(content, 0)
    for graph in (root.Subgraphs(i) for i in range(root.SubgraphsLength())):
        for tensor in (graph.Tensors(i) for i in range(graph.TensorsLength())):
            found = tensor.Quantization()
            if found is None or found.QuantizedDimension() == 0:
                continue
            if tensor.ShapeLength() == 1 or found.ScaleLength() == 1:
                at = found._tab.Pos + found._tab.Offset(_QUANTIZED_DIMENSION)
                struct.pack_into("<i", content, at, 0)
    return bytes(content)
