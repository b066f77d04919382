"""A network of int8 operators, ready to be planned and emitted.

Scales are fixed point, as the C kernels take them:

    scale = (multiplier + fraction 2^-22) 2^(shift - 31),   2^30 <= multiplier < 2^31

The fraction is 0 but in dense layers, whose scale is a whole double.

Nothing here checks a file: :mod:`export.tflite.graph` does, and makes these.
"""

import dataclasses
import math

import numpy as np

from loggrad_tf.errors import LogGradError

INT8_MIN, INT8_MAX = -128, 127
FRACTION_BITS = 22


@dataclasses.dataclass(frozen=True)
class Scale:
    """A positive real factor as the kernels take it: ``(multiplier + fraction 2^-22) 2^(shift - 31)``."""

    multiplier: int
    shift: int
    fraction: int = 0


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An int8 activation. ``shape`` leaves out the batch: (H, W, C) or (N,).

    Attributes:
      whole: the tensor of the file of which this one is a part; None: it is of the file.
      first: of a part, the first of its channels.
      rows: of a part, its rows in their order; empty: all.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    whole: int | None = None
    first: int = 0
    rows: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Elements, which are bytes."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class Operand:
    """One of two operands that broadcast: a side of 1 is repeated along the output's.

    Attributes:
      shape: rows, columns, channels.
      zero_point: of its values.
      constant: int8 of that shape; None for an activation.
    """

    shape: tuple[int, int, int]
    zero_point: int
    constant: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Op:
    """One operator, ready to be emitted.

    Attributes:
      index: position in the file, the number error messages and layer names carry.
      kind: conv depthwise dense add add_constant mul concat pad max_pool avg_pool mean reshape
        lookup softmax log_softmax; of two operands: sum difference product maximum minimum prelu;
        select bilinear transpose reduce.
      inputs: tensor indices of the activations (two for ``add``, any number for ``concat``, those of
        ``operands`` that are none of constants).
      output: tensor index.
      low, high: clamp of the output (fused activation), in output units.
      kernel, stride, dilation: rows, columns.
      before: padding or pad amounts ahead of the map: rows, columns, channels.
      weights: int8, or int16 from -255 to 255 (of a uint8 network); conv [O][kh][kw][I],
        depthwise [kh][kw][O], dense [O][I].
      bias: int32 [O] or None.
      scales: per channel (conv, depthwise, dense), or one (dense, mean, mul), or
        there and back (log_softmax: a difference of inputs in 2^-26), or
        activation a, b, out (add, add_constant: b is the constant; sum, difference), or below zero the
        second of two (prelu).
      reach: conv, depthwise, dense: per output channel 256 sum |w| + |bias|, below 2^31: no sum of
        raw int8 inputs and a bias with the input's zero point folded in is larger.
      table: softmax: exp(-scale beta i) in 2^-31, int32 [256]; log_softmax: exp(-scale i) in 2^-19, int32;
        lookup: output of the input value i - 128, int8 [256].
      constant: mul: values minus their zero point, int16; add_constant: raw values, int8. One per
        channel, or one per element of the map.
      value: pad value; zero point of the constant (add_constant); the least difference that counts
        (log_softmax).
      axis: concat: the side of ``Tensor.shape`` along which the inputs follow each other.
      operands: both, of an operator that broadcasts.
      picks: select: of the input's rows, columns and channels those that the output has, in its order.
      between: bilinear: of each row, and of each column, of the output the input's before and behind it,
        and 2^10 times how far it is from the first.
      steps: transpose, reduce: how far apart neighbours of the input's rows, columns and channels lie
        in the output; 0: they are summed.
      part: which output of the operator it makes, or which channels of it.
      in_turn: concat: each input is made whole before the next is begun, and all before the first row.
      rounds_up: avg_pool: halves go up, not away from zero (of a uint8 network).
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    output: int
    low: int = INT8_MIN
    high: int = INT8_MAX
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    before: tuple[int, int, int] = (0, 0, 0)
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    scales: tuple[Scale, ...] = ()
    reach: tuple[int, ...] = ()
    table: np.ndarray | None = None
    constant: np.ndarray | None = None
    value: int = 0
    axis: int = 0
    operands: tuple[Operand, ...] = ()
    picks: tuple[range | tuple[int, ...], ...] = ()
    between: tuple[tuple[tuple[int, int, int], ...], ...] = ()
    steps: tuple[int, ...] = ()
    part: int = 0
    in_turn: bool = False
    rounds_up: bool = False

    @property
    def is_wide(self) -> bool:
        """Have its weights nine bits?"""
        return self.weights is not None and self.weights.dtype == np.int16

    @property
    def name(self) -> str:
        return f"l{self.index:02d}_{self.kind}" + (f"_{self.part}" if self.part else "")


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """What is remembered from frame to frame.

    Attributes:
      read: the tensor that it is during a frame.
      written: the tensor that it becomes behind the frame.
      begin: what it is in the first frame, int8, flat.
    """

    read: int
    written: int
    begin: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class QuantGraph:
    """A network of int8 operators in execution order.

    Attributes:
      output: the first, of which the class is told.
      others: further outputs.
      unsigned: the file is quantised to uint8: its values less 128 are those of this graph.
      joined: the file's inputs, if there are several; ``input`` is then a tensor of all of them, one behind
        the other, and the tensors behind it are its pieces.
    """

    tensors: dict[int, Tensor]
    ops: tuple[Op, ...]
    input: int
    output: int
    sha256: str
    others: tuple[int, ...] = ()
    unsigned: bool = False
    states: tuple[State, ...] = ()
    joined: tuple[int, ...] = ()

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.output, *self.others

    def macs(self, op: Op) -> int:
        """Multiply-accumulates of conv, depthwise and dense; sums, products or window reads of the others."""
        out = self.tensors[op.output]
        window = op.kernel[0] * op.kernel[1]
        if op.kind == "conv":
            return out.size * window * self.tensors[op.inputs[0]].shape[-1]
        if op.kind in ("depthwise", "max_pool", "avg_pool"):
            return out.size * window
        if op.kind == "dense":
            return out.size * self.tensors[op.inputs[0]].size
        if op.kind in ("mean", "reduce"):
            return self.tensors[op.inputs[0]].size
        return out.size if op.operands or op.kind in ("add", "add_constant", "mul") else 0


def quantize_scale(real: float) -> Scale:
    """A real factor >= 0 as TFLite's QuantizeMultiplier gives it: mantissa rounded half away."""
    if not math.isfinite(real) or real < 0:
        raise LogGradError(f"scale ratio {real}: must be finite and not negative")
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return Scale(0, 0)
    if shift > 30:
        return Scale(2**31 - 1, 30)
    return Scale(multiplier, shift)


def double_scale(real: float) -> Scale:
    """A real factor >= 0 with every bit of its double, as lg_requant_single takes it."""
    if not 0 <= real < 2**30:
        raise LogGradError(f"scale ratio {real}: must be from 0 to below 2^30")
    mantissa, shift = math.frexp(real)
    if shift < -31:  # no 32-bit integer reaches 1/2
        return Scale(0, 0)
    multiplier, fraction = divmod(int(mantissa * 2**53), 2**FRACTION_BITS)
    return Scale(multiplier, shift, fraction)


def rounded_apart(real: float, reach: int) -> int | None:
    """The least accumulator up to ``reach`` where the C and TFLite's ``round(x * real)`` give different int8.

    The C is exact. The double product may be rounded up to k - 1/2, and so to k, only at the last
    accumulator below; magnitudes from 256 on are clamped by both. Signs are symmetric.
    """
    scale = double_scale(real)
    mantissa = (scale.multiplier << FRACTION_BITS) + scale.fraction
    if mantissa == 0:
        return None
    for k in range(1, 257):
        half = (2 * k - 1) << (52 - scale.shift)
        below = (half - 1) // mantissa
        if below > reach:
            break
        if below * real >= k - 0.5:
            return below
    return None
