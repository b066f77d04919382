"""The arrays of a network: their names, shapes and order, without Keras.

A network's weights travel as a tuple of arrays, in the order of ``keras_net.build(graph).get_weights()``.
Keras orders layers by how far they are from the output, and layers that are equally far by when a walk back
from the output first meets them; layers that have no weights count too.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from loggrad_tf.errors import LogGradError
from models.graph import WEIGHTED, Graph, Op, weight_shapes

# Of every batch norm.
BN_EPSILON = 1e-3
BN_MOMENTUM = 0.9

# Arrays of each layer that has any, by the layer's name: an op's own, or ``<name>_bn`` of its batch norm.
Layers = dict[str, list[np.ndarray]]


def norm_of(op: Op) -> str:
    """The name of an op's batch norm among :data:`Layers`."""
    return f"{op.name}_bn"


def shapes(graph: Graph) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Of each layer's arrays: kernel and bias, or gamma, beta, moving mean and moving variance; layers in
    Keras' order."""
    found: dict[str, tuple[tuple[int, ...], ...]] = {}
    for op in graph.ops:
        if op.kind in WEIGHTED:
            found[op.name] = weight_shapes(graph, op)
        if op.bn:
            found[norm_of(op)] = ((op.shape[-1],),) * 4
    return {name: found[name] for name in _order(graph) if name in found}


def by_layer(graph: Graph, weights: Sequence[np.ndarray]) -> Layers:
    """A network's weights by layer.

    Raises:
      LogGradError: arrays of other shapes, or of another number, than the network has.
    """
    expected = shapes(graph)
    flat = [shape for of_layer in expected.values() for shape in of_layer]
    if [np.shape(w) for w in weights] != flat:
        raise LogGradError(f"{len(weights)} arrays are not the weights of a network that has {len(flat)}")
    rest = iter(weights)
    return {name: [next(rest) for _ in of_layer] for name, of_layer in expected.items()}


def in_order(graph: Graph, layers: Mapping[str, Sequence[np.ndarray]]) -> tuple[np.ndarray, ...]:
    """The arrays of all layers as a tuple: the inverse of :func:`by_layer`."""
    return tuple(array for name in shapes(graph) for array in layers[name])


def folded(
    op: Op, layer: Sequence[np.ndarray], norm: Sequence[np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (Keras layout) and bias of one weighted op, float64, its batch norm folded in.

    Args:
      layer: kernel and bias.
      norm: the four arrays of the op's batch norm, or None.
    """
    kernel, bias = (np.asarray(w, np.float64) for w in layer)
    if norm is None:
        return kernel, bias
    gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in norm)
    gain = gamma / np.sqrt(variance + BN_EPSILON)
    # A depthwise kernel keeps its channels on the axis before last.
    kernel = kernel * (gain[:, None] if op.kind == "depthwise" else gain)
    return kernel, (bias - mean) * gain + beta


def _order(graph: Graph) -> list[str]:
    """The names of all layers that :func:`models.keras_net.build` makes, in Keras' order."""
    sources: dict[str, list[str]] = {}
    last: list[str] = []
    for op in graph.ops:
        inputs = []
        for place, i in enumerate(op.inputs):
            inputs.append(last[i])
            if op.kind == "add" and graph.ops[i].shape != op.shape:
                padding = f"{op.name} pads {place}"
                sources[padding] = [last[i]]
                inputs[-1] = padding
        sources[op.name] = inputs
        behind = ([norm_of(op)] if op.bn else []) + ([f"{op.name} relu"] if op.relu else [])
        for before, name in zip([op.name, *behind], behind, strict=False):
            sources[name] = [before]
        last.append([op.name, *behind][-1])
    distance = {last[-1]: 0}
    for name in reversed(sources):  # every layer comes behind those that it reads
        for source in sources[name] if name in distance else ():
            distance[source] = max(distance.get(source, 0), distance[name] + 1)
    met: dict[str, int] = {}
    waiting = [last[-1]]
    while waiting:
        name = waiting.pop()
        if name not in met:
            met[name] = len(met)
            waiting += reversed(sources[name])
    return sorted(met, key=lambda name: (-distance[name], met[name]))
