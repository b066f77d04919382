"""The operators that are read, each with what checks it and what it may be: one table.

``docs/operators.md`` is made from it (``export.operator_table``), and so is what a refusal says is
supported.
"""

import dataclasses
from collections.abc import Callable

from export.tflite import elementwise, lookup, moves, ops, pairs, softmax
from export.tflite.file import MAX_SIDE, Operator
from export.tflite.ops import MAX_MEAN_PIXELS, MAX_STRIDE, Fields, Reader
from export.tflite.quant_graph import Tensor
from export.tflite.softmax import MAX_TERMS

Build = Callable[[Reader, Operator, Tensor], Fields]


@dataclasses.dataclass(frozen=True)
class Known:
    """An operator of a graph.

    Attributes:
      kind: of :class:`export.tflite.quant_graph.Op`, where ``build`` gives no other.
      build: checks an operator of the file; None: a change of shape, which the reader of graphs does.
      limits: what it may be, for the documentation.
      joins: all its inputs are activations, or may be.
      parts: it may have several outputs.
    """

    kind: str
    build: Build | None
    limits: str
    joins: bool = False
    parts: bool = False


_SAME = "input and output of one scale and zero point"
_BROADCAST = "two activations, or one and a constant; sides of 1 are repeated"
_UNARY = "a table of 256 values, any scales"
KNOWN: dict[str, Known] = {
    "CONV_2D": Known(
        "conv",
        ops.convolution,
        f"any kernel, stride (up to {MAX_STRIDE}), dilation; weights constant; no groups",
    ),
    "DEPTHWISE_CONV_2D": Known("depthwise", ops.convolution, "as CONV_2D, any multiplier"),
    "FULLY_CONNECTED": Known("dense", ops.dense, "over the whole activation; weights constant"),
    "MAX_POOL_2D": Known("max_pool", ops.pool, f"any window and stride; {_SAME}"),
    "AVERAGE_POOL_2D": Known("avg_pool", ops.pool, f"windows of up to {MAX_MEAN_PIXELS} pixels; {_SAME}"),
    "MEAN": Known("mean", ops.mean, f"over any sides but the batch, up to {MAX_MEAN_PIXELS} values"),
    "ADD": Known("add", elementwise.add, _BROADCAST, joins=True),
    "MUL": Known("mul", elementwise.mul, _BROADCAST, joins=True),
    "SUB": Known("difference", pairs.added, _BROADCAST, joins=True),
    "MAXIMUM": Known("maximum", pairs.extreme, f"{_BROADCAST}; all of one scale and zero point", joins=True),
    "MINIMUM": Known("minimum", pairs.extreme, f"{_BROADCAST}; all of one scale and zero point", joins=True),
    "PRELU": Known("prelu", pairs.prelu, "alpha may be anything that broadcasts", joins=True),
    "CONCATENATION": Known(
        "concat", elementwise.concat, f"along any side but the batch; {_SAME}", joins=True
    ),
    "PACK": Known("concat", moves.pack, f"along the first side behind the batch; {_SAME}", joins=True),
    "PAD": Known("pad", elementwise.pad, f"amounts constant, of up to {MAX_SIDE}; {_SAME}"),
    "PADV2": Known("pad", elementwise.pad, "as PAD, and a constant value"),
    "SOFTMAX": Known("softmax", softmax.softmax, f"over the last side, of up to {MAX_TERMS}"),
    "LOG_SOFTMAX": Known(
        "log_softmax", softmax.log_softmax, f"over the last side, of up to {MAX_TERMS}; not of uint8"
    ),
    "RELU": Known("lookup", lookup.unary, _UNARY),
    "RELU6": Known("lookup", lookup.unary, _UNARY),
    "RELU_N1_TO_1": Known("lookup", lookup.unary, _UNARY),
    "LEAKY_RELU": Known("lookup", lookup.unary, _UNARY),
    "HARD_SWISH": Known("lookup", lookup.unary, _UNARY),
    "LOGISTIC": Known("lookup", lookup.unary, _UNARY),
    "TANH": Known("lookup", lookup.unary, _UNARY),
    "QUANTIZE": Known("lookup", lookup.unary, f"{_UNARY}; at the edges from or to float32 or uint8"),
    "RESIZE_NEAREST_NEIGHBOR": Known("select", moves.resize_nearest, f"to any size; {_SAME}"),
    "RESIZE_BILINEAR": Known("bilinear", moves.resize_bilinear, f"to any size; {_SAME}; not of uint8"),
    "STRIDED_SLICE": Known(
        "select", moves.strided_slice, "constant; the batch whole, rows in ascending order; no ellipsis"
    ),
    "SPLIT": Known("select", moves.split, "along any side but the batch", parts=True),
    "SPLIT_V": Known("select", moves.split, "along any side but the batch", parts=True),
    "UNPACK": Known("select", moves.unpack, "along the first side behind the batch", parts=True),
    "TRANSPOSE": Known("transpose", moves.transpose, "any order, the batch first"),
    "RESHAPE": Known("reshape", None, "a constant shape, or one that is computed from shapes"),
    "EXPAND_DIMS": Known("reshape", None, "a constant axis"),
    "SQUEEZE": Known("reshape", None, "sides of 1"),
}
# Of networks that remember, see export.tflite.state; and what is cut off the ends of a model.
STATEFUL = {
    "VAR_HANDLE": "a variable, int8",
    "READ_VARIABLE": "once, ahead of what is assigned",
    "ASSIGN_VARIABLE": "once; what it becomes behind the frame",
    "CALL_ONCE": "a subgraph that assigns constants",
}
EDGES = {
    "DEQUANTIZE": "as the last operator of an output, which is then the int8 tensor",
    "ARG_MAX": "over the channels of one vector, as the last operator: `net_class` gives it, the output is"
    " its input",
}


def supported() -> str:
    """All of them, for an error."""
    return ", ".join([*KNOWN, *STATEFUL, *EDGES])
