"""LOG_SOFTMAX, checked and turned into the fixed point in which TFLite computes it.

    out = (x - maximum) - log(sum of exp(x - maximum)),   differences in 2^-26, exponentials in 2^-19

The exponentials of all 256 differences are a table; the logarithm is the library's (``lg_log_softmax.h``).
"""

import numpy as np

from export.tflite.file import Operator
from export.tflite.ops import Fields, Reader
from export.tflite.quant_graph import INT8_MAX, Scale, Tensor, quantize_scale

# Exponentials are at most 2^19, and their sum stays below 2^31.
MAX_TERMS = 4095
# Outside, TFLite's fixed point has no shift for the difference of two inputs.
SCALES = (2.0**-20, 16.0)
_ONE = 2**31 - 1
# exp(-1/8), and exp(-2^i) from i = -2 on, in 2^-31.
_EIGHTH = 1895147668
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def log_softmax(reader: Reader, op: Operator, out: Tensor) -> Fields:
    reader.count(op, 1)
    source = reader.read(op)
    if source.shape != out.shape:
        raise reader.fail(f"shape {list(source.shape)} becomes {list(out.shape)}")
    if (out.scale, out.zero_point) != (1 / 16, INT8_MAX):
        raise reader.fail("output must have scale 1/16 and zero point 127")
    if reader.file.unsigned:
        raise reader.fail("not of uint8: end the model with its input")
    if out.shape[-1] > MAX_TERMS:
        raise reader.fail(f"{out.shape[-1]} values: at most {MAX_TERMS}")
    if not SCALES[0] <= source.scale < SCALES[1]:
        raise reader.fail(f"input scale {source.scale:g}: must be from {SCALES[0]:g} to below {SCALES[1]:g}")
    there = quantize_scale(source.scale * 2**26)
    least = -(31 * 2**26 >> there.shift)
    back = quantize_scale((1 << (31 - there.shift)) / there.multiplier)
    values = [_exponential(_scaled(-d, there)) if -d >= least else 0 for d in range(256)]
    return {"table": np.array(values, np.int32), "scales": (there, back), "value": max(least, -256)}


def _high(a: int, b: int) -> int:
    return (a * b + 2**30) >> 31


def _lowered(x: int, n: int) -> int:
    """x / 2^n, ties away from zero."""
    half = 1 << n >> 1
    return (x + half) >> n if x >= 0 else -((half - x) >> n)


def _scaled(difference: int, scale: Scale) -> int:
    """A difference in 2^-26."""
    high = _high(difference << max(scale.shift, 0), scale.multiplier)
    return _lowered(high, max(-scale.shift, 0))


def _exponential(x: int) -> int:
    """exp(x) in 2^-19, x <= 0 in 2^-26: by a Taylor series about -1/8, times the powers of a quarter."""
    if x == 0:
        return _lowered(_ONE, 12)
    quarter = 1 << 24
    part = x % quarter - quarter
    a = (part << 5) + (1 << 28)
    a2 = _high(a, a)
    a3, a4 = _high(a2, a), _high(a2, a2)
    rest = _lowered(_high(_lowered(a4, 2) + a3, 715827883) + a2, 1)
    value = _EIGHTH + _high(_EIGHTH, a + rest)
    for bit, power in enumerate(_POWERS):
        if (part - x) >> (24 + bit) & 1:
            value = _high(value, power)
    return _lowered(value, 12)
