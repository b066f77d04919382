"""Fixed networks, as graphs: the paper's toy CNN and hand-made baselines, a detector among them.

Each function returns a :class:`models.graph.Graph` for single-channel inputs of a size.
"""

from collections.abc import Callable

from loggrad_tf.data.sides import Size, sides
from models.graph import SAME, Graph, GraphBuilder, output_units


def two_conv_one_fc(size: Size, classes: int, c1: int = 8, c2: int = 8, padding: str = SAME) -> Graph:
    """2conv1fc, paper figure 7: two 5x5 convolutions with ReLU and 2x2 max pooling, one dense layer."""
    b = GraphBuilder()
    x = b.input(*sides(size), 1)
    for filters in (c1, c2):
        x = b.max_pool(b.conv(x, filters, 5, padding=padding, relu=True), 2)
    return b.build(b.dense(b.flatten(x), output_units(classes)))


def small_bn(size: Size, classes: int) -> Graph:
    """A hand-made baseline of 0.98 MMAC and 7.0 k weights at 96 x 96 and three classes.

    Four 3x3 convolutions (8, stride 2; 10; 16; 32) with batch norm, 2x2 max pooling between
    them, global average, dense.
    """
    b = GraphBuilder()
    x = b.conv(b.input(*sides(size), 1), 8, 3, stride=2, padding=SAME, bn=True, relu=True)
    for filters in (10, 16, 32):
        x = b.conv(b.max_pool(x, 2), filters, 3, padding=SAME, bn=True, relu=True)
    return b.build(b.dense(b.global_avg(x), output_units(classes)))


def cells(size: Size, classes: int) -> Graph:
    """A hand-made detector of stride 16, 2.8 MMAC and 13.0 k weights at 240x160 and two classes.

    A 5x5 convolution of stride 4, a pool, and a separable 3x3 convolution with a pool; at 16 pixels a
    cell three separable 5x5 ones, through which a cell sees 225x225 pixels. Pools are padded, so frames need
    not be multiples of 16.
    """
    b = GraphBuilder()

    def pooled(x: int) -> int:
        return b.max_pool(x, 2, padding=SAME)

    def separable(x: int, filters: int, kernel: int) -> int:
        x = b.depthwise(x, kernel, padding=SAME, bn=True, relu=True)
        return b.conv(x, filters, 1, padding=SAME, bn=True, relu=True)

    x = pooled(b.conv(b.input(*sides(size), 1), 12, 5, stride=4, padding=SAME, bn=True, relu=True))
    x = pooled(separable(x, 32, 3))
    for _ in range(3):
        x = separable(x, 56, 5)
    return b.build(b.conv(x, output_units(classes, detects=True), 1, padding=SAME))


NETWORKS: dict[str, Callable[[Size, int], Graph]] = {
    "two_conv_one_fc": two_conv_one_fc,
    "small_bn": small_bn,
}
DETECTORS: dict[str, Callable[[Size, int], Graph]] = {"cells": cells}
