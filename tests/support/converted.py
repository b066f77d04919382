"""Random candidates of the search with random weights, converted like trained ones."""

import dataclasses

import numpy as np

from export.quantization import quantize
from export.quantization.pairwise import pairwise
from loggrad_tf.transform import frontend
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor
from models.graph import SAME, VALID, WEIGHTED, Graph, macs, weight_shapes
from models.keras_net import FoldedWeights
from search.space.assembly import assemble
from search.space.genotype import MIN_UNITS, Block, Layer, random_genotype

SENSOR = Sensor(bits=10, black=64, white=1000)


def candidate(seed: int, most_macs: int = 4_000_000) -> Graph:
    """A random network of the search space, narrowed to fewer MACs than ``most_macs``. A seed gives one."""
    draw = np.random.default_rng(seed)
    side, classes = int(draw.choice([32, 48, 64])), 2 + seed % 2
    padding = (VALID, SAME)[seed // 2 % 2]
    while True:
        genotype, factor = random_genotype(draw), float(draw.choice([0.05, 0.1, 0.3]))

        def layer(old: Layer, factor: float = factor) -> Layer:
            return dataclasses.replace(old, filters=max(1, round(factor * old.filters)))

        blocks = tuple(Block(block.branch, tuple(map(layer, block.layers))) for block in genotype.blocks)
        dense = tuple(max(MIN_UNITS, round(factor * units)) for units in genotype.dense)
        small = dataclasses.replace(genotype, blocks=blocks, dense=dense)
        graph = assemble(small, (side, side + seed % 3, 1), classes, padding)
        if sum(macs(graph, op) for op in graph.ops) < most_macs:
            return graph


def front_end(name: str) -> FrontEnd:
    return frontend.fixed(name, SENSOR)


def flatbuffer(graph: Graph, front_end: FrontEnd, seed: int = 0) -> bytes:
    """``graph`` with random weights, calibrated on random pixels and converted."""
    graph, draw = pairwise(graph), np.random.default_rng(seed)
    kernels, biases = {}, {}
    for op in graph.ops:
        if op.kind in WEIGHTED:
            kernel, bias = weight_shapes(graph, op)
            taps = np.prod(kernel) / kernel[2 if op.kind == "depthwise" else -1]
            kernels[op.name] = draw.normal(0, np.sqrt(2 / taps), kernel).astype(np.float32)
            biases[op.name] = draw.normal(0, 0.1, bias).astype(np.float32)
    weights = FoldedWeights(kernels, biases)
    pixels = draw.integers(0, SENSOR.span + 1, (16, *graph.input_shape[:2])).astype(np.uint16)
    ranges = quantize.calibrate(graph, weights, front_end.encode(pixels))
    return quantize.convert(graph, weights, front_end, ranges)
