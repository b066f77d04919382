"""Networks of one row, such as those of 1-D convolutions, turned so that their length runs down.

A map of one row and W columns has the bytes of a map of W rows and one column. Rows stream, columns do not:
turned, such a network holds a few places of its sequence in place of all of it, and takes them one by one.
Every operator computes the same, its windows turned with it.
"""

import dataclasses

import numpy as np

from export.tflite.ops import sides
from export.tflite.quant_graph import Op, Operand, QuantGraph, Tensor


def lengthwise(graph: QuantGraph) -> QuantGraph:
    """The graph with its maps of one row turned; itself if it has none, a map of rows and columns, or states,
    whose graph takes a few places of its sequence a frame."""
    if graph.states:
        return graph
    maps = {key: sides(graph.tensors[key]) for op in graph.ops for key in (*op.inputs, op.output)}
    lying = {key for key, (height, width, _) in maps.items() if height == 1 < width}
    if not lying or any(min(height, width) > 1 for height, width, _ in maps.values()):
        return graph
    standing = {key for key, (height, _, _) in maps.items() if height > 1}
    turned = []
    for op in graph.ops:
        ends = {*op.inputs, op.output}
        if op.kind == "reshape" or ends.isdisjoint(lying):
            turned.append(op)
        elif ends.isdisjoint(standing) and _ascending(op):
            turned.append(_turned(op, 3 - len(graph.tensors[op.output].shape)))
        else:
            return graph
    tensors = {key: _stood(tensor) if key in lying else tensor for key, tensor in graph.tensors.items()}
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(turned))


def _ascending(op: Op) -> bool:
    """Can the columns that are picked be rows?"""
    return not op.picks or list(op.picks[1]) == sorted(op.picks[1])


def _stood(tensor: Tensor) -> Tensor:
    _, width, channels = sides(tensor)
    return dataclasses.replace(tensor, shape=(width, 1, channels))


def _turned(op: Op, lacking: int) -> Op:
    """Rows and columns exchanged.

    Args:
      lacking: sides that the output's shape leaves out.
    """
    weights = op.weights
    if weights is not None and op.kind in ("conv", "depthwise"):
        weights = np.ascontiguousarray(weights.swapaxes(*((1, 2) if op.kind == "conv" else (0, 1))))
    return dataclasses.replace(
        op,
        kernel=op.kernel[::-1],
        stride=op.stride[::-1],
        dilation=op.dilation[::-1],
        before=(op.before[1], op.before[0], op.before[2]),
        weights=weights,
        axis=(1, 0, 2)[op.axis + lacking] if op.kind == "concat" else op.axis,
        operands=tuple(map(_turned_operand, op.operands)),
        picks=(op.picks[1], op.picks[0], op.picks[2]) if op.picks else (),
        between=op.between[::-1],
        steps=(op.steps[1], op.steps[0], op.steps[2]) if op.steps else (),
    )


def _turned_operand(operand: Operand) -> Operand:
    height, width, channels = operand.shape
    constant = None if operand.constant is None else operand.constant.swapaxes(0, 1)
    return dataclasses.replace(operand, shape=(width, height, channels), constant=constant)
