"""The int8 network that the converter will make of a graph, before anything is trained.

:func:`nominal` gives the operators of :func:`export.quantization.quantize.convert`'s flatbuffer as
:func:`export.tflite.graph.load` would read them: kinds, order, shapes, padding, types of constants.
Everything that the memory plan, the choice of kernels, the size of an image and its instructions depend
on is the same; weights, scales and zero points are stand-ins, and such a network is never to be run.

What decides more than shapes, and what is assumed of trained weights: no accumulator comes near the
kernels' limit of 2^30, no weight is -128, and no two tensors share a zero point unless they must (maps
behind a ReLU have -128).

The order. TensorFlow hands the converter a graph in reverse post-order of a depth-first walk from the input,
successors by name; so branches come in the order of the names of their first operations, as strings
(``conv_13`` before ``conv_9``), not in the order of the graph. Of equal pools of one map it keeps the first.
"""

import dataclasses
from typing import Any

import numpy as np

from export.quantization.pairwise import pairwise
from export.tflite.quant_graph import INT8_MIN, Op, QuantGraph, Scale, Tensor
from loggrad_tf.transform.frontend import FrontEnd
from models import graph as networks
from models.graph import Graph

# Of weights: a third of the range, as the mean magnitude of a trained channel is.
WEIGHT = 42
SCALE = Scale(2**30, -8)
# Of equal ones the converter makes one.
_MERGED = ("max_pool", "avg_pool", "pad", "reshape", "mean")
_KINDS = {"global_avg": "mean", "flatten": "reshape"}


@dataclasses.dataclass(frozen=True)
class _Step:
    """An operation for the converter: an op of the graph, or the padding of one operand of an addition.

    ``name`` decides the order, ``inputs`` are positions of steps.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    op: networks.Op


def nominal(graph: Graph, front_end: FrontEnd) -> QuantGraph:
    """The int8 network of ``graph`` behind ``front_end``, with stand-ins for weights and scales."""
    steps = _converted_order(_steps(pairwise(graph)))
    tensors: dict[int, Tensor] = {}
    ops: list[Op] = []
    alias: dict[int, int] = {}
    made: dict[Any, int] = {}
    for index, step in enumerate(steps):
        inputs = tuple(alias.get(i, i) for i in step.inputs)
        if not inputs:
            scale, zero_point = front_end.input_scale, front_end.input_zero_point
            tensors[index] = Tensor(index, step.name, step.shape, scale, zero_point)
            continue
        source = tensors[inputs[0]]
        twin = (step.kind, inputs, step.shape, step.op.kernel)
        if step.kind in _MERGED and twin in made:
            alias[index] = made[twin]
            continue
        made[twin] = index
        if step.kind == "reshape" and source.size == source.shape[-1]:
            # A dense layer reads a map of one pixel as it is.
            alias[index] = inputs[0]
            continue
        zero_point = _zero_point(step, source, len(ops))
        tensors[index] = Tensor(index, step.name, step.shape, 1 / 16, zero_point)
        ops.append(_operator(len(ops), index, step, inputs, tensors))
    last = len(steps) - 1
    return QuantGraph(tensors, tuple(ops), 0, alias.get(last, last), "")


def _steps(graph: Graph) -> list[_Step]:
    steps: list[_Step] = []
    place: list[int] = []
    for op in graph.ops:
        inputs = []
        for i in op.inputs:
            inputs.append(place[i])
            if op.kind == "add" and graph.ops[i].shape != op.shape:
                steps.append(_Step(f"{op.name}/Pad", "pad", op.shape, (place[i],), op))
                inputs[-1] = len(steps) - 1
        steps.append(_Step(f"{op.name}/op", _KINDS.get(op.kind, op.kind), op.shape, tuple(inputs), op))
        place.append(len(steps) - 1)
    return steps


def _converted_order(steps: list[_Step]) -> list[_Step]:
    """Reverse post-order from the input; of several successors the walk takes the greatest name first."""
    readers: list[list[int]] = [[] for _ in steps]
    for position, step in enumerate(steps):
        for i in step.inputs:
            readers[i].append(position)
    for found in readers:
        found.sort(key=lambda position: steps[position].name)
    finished: list[int] = []
    seen = [False] * len(steps)
    # Of a step that comes a second time all successors are finished.
    stack = [(0, False)]
    while stack:
        position, done = stack.pop()
        if done:
            finished.append(position)
        elif not seen[position]:
            seen[position] = True
            stack.append((position, True))
            stack += [(reader, False) for reader in readers[position]]
    order = finished[::-1]
    place = {old: new for new, old in enumerate(order)}
    return [
        dataclasses.replace(steps[old], inputs=tuple(place[i] for i in steps[old].inputs)) for old in order
    ]


def _zero_point(step: _Step, source: Tensor, position: int) -> int:
    """Pools, padding and reshapes keep their input's; a ReLU leaves nothing below zero."""
    if step.kind in ("max_pool", "avg_pool", "pad", "reshape"):
        return source.zero_point
    return INT8_MIN if step.op.relu else position % 255 - 127


def _operator(
    position: int, index: int, step: _Step, inputs: tuple[int, ...], tensors: dict[int, Tensor]
) -> Op:
    source, out, op = tensors[inputs[0]], tensors[index], step.op
    kind, channels = step.kind, step.shape[-1]
    made = Op(position, kind, inputs, index)
    if kind == "pad":
        return dataclasses.replace(made, value=source.zero_point)
    if op.relu:
        made = dataclasses.replace(made, low=out.zero_point)
    if kind in networks.WINDOWED:
        before = (_before(op, source.shape, out.shape, 0), _before(op, source.shape, out.shape, 1), 0)
        made = dataclasses.replace(made, kernel=op.kernel, stride=op.stride, before=before)
    if kind == "add":
        return dataclasses.replace(made, scales=(SCALE, SCALE, SCALE))
    if kind == "mean":
        return dataclasses.replace(made, scales=(SCALE,))
    if kind not in networks.WEIGHTED:
        return made
    if kind == "depthwise" and source.shape[-1] == 1:
        made = dataclasses.replace(made, kind="conv")
    if kind == "dense":
        shape: tuple[int, ...] = (channels, source.size)
    elif made.kind == "conv":
        shape = (channels, *op.kernel, source.shape[-1])
    else:
        shape = (*op.kernel, channels)
    taps = int(np.prod(shape)) // channels
    return dataclasses.replace(
        made,
        weights=np.full(shape, WEIGHT, np.int8),
        bias=np.zeros(channels, np.int32),
        scales=(SCALE,) * (1 if kind == "dense" else channels),
        reach=(256 * WEIGHT * taps,) * channels,
    )


def _before(op: networks.Op, source: tuple[int, ...], out: tuple[int, ...], axis: int) -> int:
    """Rows or columns of padding ahead of a map."""
    if op.padding == networks.VALID:
        return 0
    return max((out[axis] - 1) * op.stride[axis] + op.kernel[axis] - source[axis], 0) // 2
