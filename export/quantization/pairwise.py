"""Additions of many maps as a chain of additions of two, which is what int8 operators add.

    a + b + c  =  (a + b) + c

Each partial sum is rounded to int8 and so needs a range of its own; a converter that is handed the whole
sum at once leaves the partial sums in float. The first operands are joined first, and a partial sum is
only as large as what it has joined, so that padding comes as late as it can.
"""

import dataclasses

from models.graph import Graph, Op


def pairwise(graph: Graph) -> Graph:
    """The same network with additions of two operands only; other ops keep their names.

    The partial sums of ``add_9`` are ``add_9_1``, ``add_9_2`` and so on; the last sum is ``add_9``, with its
    batch norm and ReLU.
    """
    if all(len(op.inputs) <= 2 for op in graph.ops):
        return graph
    ops: list[Op] = []
    place: list[int] = []
    for op in graph.ops:
        inputs = [place[i] for i in op.inputs]
        for count, operand in enumerate(inputs[1:-1], 1):
            a, b = ops[inputs[0]].shape, ops[operand].shape
            shape = (max(a[0], b[0]), max(a[1], b[1]), a[2])
            ops.append(Op("add", (inputs[0], operand), shape, name=f"{op.name}_{count}"))
            inputs[0] = len(ops) - 1
        if len(inputs) > 2:
            inputs = [inputs[0], inputs[-1]]
        ops.append(dataclasses.replace(op, inputs=tuple(inputs)))
        place.append(len(ops) - 1)
    return Graph(tuple(ops))
