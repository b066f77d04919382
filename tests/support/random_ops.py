"""What random single-operator models are made of: values, scales, zero points, often extreme or tied."""

import math

import numpy as np

from tests.support import tflite_ops as ops
from tests.support.tflite_ops import NONE, RELU, RELU6, VALID

Rng = np.random.Generator


def int8(rng: Rng, *shape: int, low: int = -128) -> np.ndarray:
    """Uniform int8 or, now and then, only the extremes."""
    if rng.random() < 0.2:
        return rng.choice(np.array([low, 127], np.int8), shape)
    return rng.integers(low, 128, shape).astype(np.int8)


def zero_point(rng: Rng) -> int:
    return int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))]))


def scale(rng: Rng, low: float = -12, high: float = 2) -> float:
    """A float32 scale: any, or a power of two, which makes ties in the rounding likely."""
    exponent = rng.uniform(low, high)
    return float(np.float32(2 ** (round(exponent) if rng.random() < 0.4 else exponent)))


def activation(rng: Rng) -> int:
    return int(rng.choice([NONE, NONE, RELU, RELU6]))


def extent(size: int, kernel: int, stride: int, dilation: int, padding: int) -> tuple[int, int]:
    """Output size and padding before, for one axis."""
    reach = (kernel - 1) * dilation + 1
    if padding == VALID:
        return (size - reach) // stride + 1, 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + reach - size, 0) // 2


def output_scale(rng: Rng, sums: np.ndarray, unit: float) -> float:
    """Mostly a scale that spreads the outputs over int8, at times a far too small or large one."""
    spread = float(np.std(sums * unit)) + 1e-9
    chosen = spread / rng.uniform(20, 80) if rng.random() < 0.8 else scale(rng)
    if rng.random() < 0.3:
        chosen = 2.0 ** round(math.log2(chosen))
    return float(np.float32(chosen))


def channel_scales(rng: Rng, channels: int) -> np.ndarray:
    return np.array([scale(rng, -12, -4) for _ in range(channels)], np.float32)


def channel_words(bias: np.ndarray, scales: list[float]) -> np.ndarray:
    """lg_channel[] of biases and real scales."""
    points = [ops.fixed_point(s) for s in scales]
    return np.array([(int(b), m, s) for b, (m, s) in zip(bias, points, strict=True)], np.int32)


def inside(cases_expected: list[bytes]) -> float:
    """The share of outputs that are not at a bound of int8: near 0 a comparison says little."""
    values = np.concatenate([np.frombuffer(e, np.int8) for e in cases_expected]).astype(int)
    return float(np.mean((values > -128) & (values < 127)))
