"""A network of int8 operators, ready to be planned and emitted.

Scales are fixed point, as the C kernels take them:

    scale = multiplier 2^(shift - 31),   2^30 <= multiplier < 2^31

Nothing here checks a file: :mod:`export.tflite_graph` does, and makes these.
"""

import dataclasses
import math

import numpy as np

from loggrad_tf.errors import LogGradError

INT8_MIN, INT8_MAX = -128, 127


@dataclasses.dataclass(frozen=True)
class Scale:
    """A positive real factor as the kernels take it: ``multiplier 2^(shift - 31)``."""

    multiplier: int
    shift: int


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An int8 activation. ``shape`` leaves out the batch: (H, W, C) or (N,)."""

    index: int
    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Elements, which are bytes."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class Op:
    """One operator, ready to be emitted.

    Attributes:
      index: position in the file, the number error messages and layer names carry.
      kind: conv depthwise dense add pad max_pool avg_pool mean reshape requantize softmax.
      inputs: tensor indices of the activations (two for ``add``).
      output: tensor index.
      low, high: clamp of the output (fused activation), in output units.
      kernel, stride, dilation: rows, columns.
      before: padding or pad amounts ahead of the map: rows, columns, channels.
      weights: int8; conv [O][kh][kw][I], depthwise [kh][kw][O], dense [O][I].
      bias: int32 [O] or None.
      scales: per channel (conv, depthwise, dense), or one (dense, mean, requantize), or
        a, b, out (add).
      table: softmax: exp(-scale beta (255 - i)), float32 [256].
      value: pad value.
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
    table: np.ndarray | None = None
    value: int = 0

    @property
    def name(self) -> str:
        return f"l{self.index:02d}_{self.kind}"


@dataclasses.dataclass(frozen=True, eq=False)
class QuantGraph:
    """A network of int8 operators in execution order."""

    tensors: dict[int, Tensor]
    ops: tuple[Op, ...]
    input: int
    output: int
    sha256: str

    def macs(self, op: Op) -> int:
        """Multiply-accumulates of conv, depthwise and dense; additions or window reads of the others."""
        out = self.tensors[op.output]
        window = op.kernel[0] * op.kernel[1]
        if op.kind == "conv":
            return out.size * window * self.tensors[op.inputs[0]].shape[-1]
        if op.kind in ("depthwise", "max_pool", "avg_pool"):
            return out.size * window
        if op.kind == "dense":
            return out.size * self.tensors[op.inputs[0]].size
        if op.kind == "mean":
            return self.tensors[op.inputs[0]].size
        return out.size if op.kind == "add" else 0


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
