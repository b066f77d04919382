"""SOFTMAX and LOG_SOFTMAX, checked and turned into the fixed point in which TFLite's reference computes them.

    softmax = exp(x - maximum) / sum of exp(x - maximum)
    log_softmax = (x - maximum) - log(sum of exp(x - maximum))

Differences are in 2^-26, exponentials in 2^-31, summed in 2^-19. The exponentials of all 256 differences are
a table; reciprocal and logarithm are the library's (``lg_softmax.h``, ``lg_log_softmax.h``).
"""

import numpy as np

from export.tflite.file import Operator
from export.tflite.ops import Fields, Reader
from export.tflite.quant_graph import INT8_MAX, INT8_MIN, Scale, Tensor, quantize_scale

# Terms are at most 2^19, and their sum stays below 2^31.
MAX_TERMS = 4095
# Outside, TFLite's fixed point has no shift for the difference of two inputs.
SCALES = (2.0**-20, 16.0)
_ONE = 2**31 - 1
_DIFFERENCE = 2**26
# exp(-1/8), and exp(-2^i) from i = -2 on, in 2^-31.
_EIGHTH = 1895147668
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def softmax(reader: Reader, op: Operator, out: Tensor) -> Fields:
    source = _source(reader, op, out)
    if (out.scale, out.zero_point) != (1 / 256, INT8_MIN):
        raise reader.fail("output must have scale 1/256 and zero point -128")
    beta = float(reader.options(op).beta)
    if not np.isfinite(beta) or beta <= 0:
        raise reader.fail(f"beta {beta}: must be a positive number")
    step = beta * source.scale
    if step * _DIFFERENCE < 1:
        raise reader.fail(f"beta {beta} times scale {source.scale:g} is too small")
    there = quantize_scale(min(step * _DIFFERENCE, float(_ONE)))
    return {"table": np.array(_exponentials(there), np.int32)}


def log_softmax(reader: Reader, op: Operator, out: Tensor) -> Fields:
    source = _source(reader, op, out)
    if (out.scale, out.zero_point) != (1 / 16, INT8_MAX):
        raise reader.fail("output must have scale 1/16 and zero point 127")
    if reader.file.unsigned:
        raise reader.fail("not of uint8: end the model with its input")
    if not SCALES[0] <= source.scale < SCALES[1]:
        raise reader.fail(f"input scale {source.scale:g}: must be from {SCALES[0]:g} to below {SCALES[1]:g}")
    there = quantize_scale(source.scale * _DIFFERENCE)
    back = quantize_scale((1 << (31 - there.shift)) / there.multiplier)
    values = [_lowered(value, 12) for value in _exponentials(there)]
    return {"table": np.array(values, np.int32), "scales": (there, back), "value": max(_least(there), -256)}


def _source(reader: Reader, op: Operator, out: Tensor) -> Tensor:
    reader.count(op, 1)
    source = reader.read(op)
    if source.shape != out.shape:
        raise reader.fail(f"shape {list(source.shape)} becomes {list(out.shape)}")
    if out.shape[-1] > MAX_TERMS:
        raise reader.fail(f"{out.shape[-1]} values: at most {MAX_TERMS}")
    return source


def _least(there: Scale) -> int:
    """The difference below which an exponential counts nothing."""
    return -(31 * _DIFFERENCE >> there.shift)


def _exponentials(there: Scale) -> list[int]:
    """exp(-d) of differences d from 0 to 255 in units of the input, in 2^-31."""
    least = _least(there)
    return [_exponential(_scaled(-d, there)) if -d >= least else 0 for d in range(256)]


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
    """exp(x) in 2^-31, x <= 0 in 2^-26: by a Taylor series about -1/8, times the powers of a quarter."""
    if x == 0:
        return _ONE
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
    return value
