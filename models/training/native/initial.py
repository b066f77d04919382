"""Weights to begin with, drawn by NumPy: the distributions of Keras' initialisers, not their numbers."""

import math

import numpy as np

from models.graph import WEIGHTED, Graph, Op, weight_shapes
from models.recipe import GLOROT
from models.variables import Layers, norm_of


def initial(graph: Graph, initializer: str, generator: np.random.Generator) -> Layers:
    """Fresh weights, float32, by layer.

    Args:
      initializer: of :data:`models.recipe.INITIALIZERS`.
    """
    layers: Layers = {}
    for op in graph.ops:
        if op.kind in WEIGHTED:
            layers[op.name] = _weighted(graph, op, initializer, generator)
        if op.bn:
            ones, zeros = np.ones(op.shape[-1], np.float32), np.zeros(op.shape[-1], np.float32)
            layers[norm_of(op)] = [ones, zeros, zeros.copy(), ones.copy()]
    return layers


def _weighted(graph: Graph, op: Op, initializer: str, generator: np.random.Generator) -> list[np.ndarray]:
    kernel, bias = weight_shapes(graph, op)
    if initializer == GLOROT:
        # Keras takes the last two axes for inputs and outputs, of a depthwise kernel too.
        window, inputs, outputs = math.prod(kernel[:-2]), kernel[-2], kernel[-1]
        limit = math.sqrt(6 / (window * (inputs + outputs)))
        return [_uniform(generator, limit, kernel), np.zeros(bias, np.float32)]
    limit = math.sqrt(bias[0] / math.prod(kernel))
    return [_uniform(generator, limit, kernel), _uniform(generator, limit, bias)]


def _uniform(generator: np.random.Generator, limit: float, shape: tuple[int, ...]) -> np.ndarray:
    return generator.uniform(-limit, limit, shape).astype(np.float32)
