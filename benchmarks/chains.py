"""Networks written as chains of layers: ``8s2,p,10,p,16,p,32``.

Convolutions of so many filters with batch norm and ReLU, their kernel (``k5``; else 3) and their step
(``s2``; else 1), ``r`` before those that are added to their input, ``p`` for a 2x2 max-pool. A global
average, or with ``f`` at the end all of the map, and the logits follow.
"""

import re

from loggrad_tf.data.sides import Size, sides
from loggrad_tf.errors import LogGradError
from models.graph import SAME, VALID, Graph, GraphBuilder, output_units

_LAYER = re.compile(r"(r?)(\d+)(?:k(\d))?(?:s(\d))?")


def chain(shape: str, size: Size, classes: int) -> Graph:
    """The network of a shape.

    Raises:
      LogGradError: a layer that is none.
    """
    b = GraphBuilder()
    x, layers = b.input(*sides(size), 1), shape.split(",")
    flat = layers[-1] == "f"
    for layer in layers[: len(layers) - flat]:
        if layer == "p":
            x = b.max_pool(x, 2)
            continue
        if (match := _LAYER.fullmatch(layer)) is None:
            raise LogGradError(f"--shape: '{layer}' in '{shape}' is no layer: write 8, 8k5, 8s2, r8, p or f")
        added, filters, kernel, step = bool(match[1]), int(match[2]), int(match[3] or 3), int(match[4] or 1)
        padding = SAME if kernel > 1 else VALID
        y = b.conv(x, filters, kernel, stride=step, padding=padding, bn=True, relu=not added)
        x = b.add([x, y], relu=True) if added else y
    return b.build(b.dense(b.flatten(x) if flat else b.global_avg(x), output_units(classes)))
