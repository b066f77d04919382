"""What a network answers, in C: the class of a picture, or the objects in the cells of a detector."""

from collections.abc import Mapping

from export.c.text import template
from export.plan.nodes import Network
from export.tflite.quant_graph import QuantGraph
from loggrad_tf.data.cells import Cells
from loggrad_tf.errors import LogGradError

# The header of what finds objects.
HEADER = "lg_cells.h"


def check(graph: QuantGraph, cells: Cells | None, classes: tuple[str, ...]) -> None:
    """Raise LogGradError unless the output is what model.json says of classes and cells."""
    output = graph.tensors[graph.output]
    if cells is None:
        if classes and len(classes) != max(output.size, 2):
            raise LogGradError(
                f"model.json: {len(classes)} class names for {output.size} outputs: convert again"
            )
        return
    wanted = (cells.rows, cells.columns, 1 + len(classes))
    if not classes or output.shape != wanted or len(graph.outputs) > 1:
        raise LogGradError(
            f"model.json: a grid of {cells.columns}x{cells.rows} cells and {len(classes)} class names, the"
            f" flatbuffer answers {list(output.shape)}: convert again"
        )


def macros(graph: QuantGraph, cells: Cells | None) -> str:
    """In net.h: the grid of a detector."""
    if cells is None:
        return ""
    values = {
        "ROWS": cells.rows,
        "COLUMNS": cells.columns,
        "SCORES": graph.tensors[graph.output].shape[-1],
        "STRIDE": cells.stride,
        "THRESHOLD": f"({cells.threshold})",
    }
    return template("cells.h.in", values)


def declared(cells: Cells | None) -> str:
    """In net.h: the function that gives it."""
    return template("class.h" if cells is None else "objects.h")


def defined(cells: Cells | None, values: Mapping[str, object]) -> str:
    """In net.c: the same.

    Args:
      values: CLASS, the body of net_class; MAP, scores of a detector; ROWS, how many of its rows are there.
    """
    return template("class.c.in" if cells is None else "objects.c.in", values)


def complete_rows(network: Network) -> str:
    """The C expression of how many rows of the output are complete.

    Raises:
      LogGradError: they are not made one by one.
    """
    makers = [place for place, node in enumerate(network.nodes) if node.output == network.output]
    if len(makers) != 1 or network.steps(network.nodes[makers[0]]) != network.maps[network.output].height:
        raise LogGradError("the cells of a detector must be the rows of one layer: convert again")
    return f"(uint32_t)(net->made[{makers[0]}] / pieces[{makers[0]}])"
