"""How much of the input one output of a network depends on: its receptive field."""

from models.graph import Graph


def receptive_field(graph: Graph) -> tuple[int, int]:
    """Rows and columns of the input that a cell in the middle of a detector's grid sees, pixels.

    Of a classifier that of one value of its last map: what is averaged or flattened after it sees everything.
    Beyond the input's borders there is padding, so it may be larger than the input.
    """
    # Of each op: its field, and how many pixels lie between two neighbours, down and across.
    fields: list[tuple[int, int]] = []
    steps: list[tuple[int, int]] = []
    last = 0
    for position, op in enumerate(graph.ops):
        if len(op.shape) != 3:
            break
        field = tuple(max((fields[i][axis] for i in op.inputs), default=1) for axis in (0, 1))
        step = steps[op.inputs[0]] if op.inputs else (1, 1)
        fields.append((field[0] + (op.kernel[0] - 1) * step[0], field[1] + (op.kernel[1] - 1) * step[1]))
        steps.append((step[0] * op.stride[0], step[1] * op.stride[1]))
        last = position
    return fields[last]
