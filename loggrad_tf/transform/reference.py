"""The transform in NumPy: short, obvious, slow. It is the specification.

Paper section 2.1, equations (1) and (2), with P the linear RAW code (integer, black level
subtracted), c an offset (1 in the paper) and U, D, L, R a pixel's four neighbours::

    g = log(U+c) + log(L+c) - log(D+c) - log(R+c)

which is the true 2-D convolution of log(P+c) with [[0,-1,0],[-1,0,1],[0,1,0]]. A threshold
is an integer ratio, t_i = ln(K_i / 2^S), so that a level needs neither logarithm nor
division nor float, and is the same in NumPy, TensorFlow and C::

    q = sum_i [(U+c)(L+c) 2^S > K_i (D+c)(R+c)] - sum_i [(D+c)(R+c) 2^S > K_i (U+c)(L+c)]

On a Bayer mosaic U and D share a colour, and L and R share one, so the same formula works
there without demosaicing. Everything else that computes levels is tested against this module.
"""

import math

import numpy as np

from loggrad_tf.errors import LogGradError

BORDERS = ("mirror", "valid")
DEFAULT_SHIFT = 12


def neighbours(pixels: np.ndarray, border: str = "mirror") -> tuple[np.ndarray, ...]:
    """The four neighbours (U, D, L, R) of every pixel.

    Args:
      pixels: any dtype, shape (..., H, W).
      border: ``mirror``: a missing neighbour takes the value of the opposite one, so an edge
        makes no gradient (a side one pixel long has none at all); ``valid``: only pixels
        that have all four.
    Returns:
      four arrays of shape (..., H, W), or (..., H-2, W-2) for ``valid``.
    """
    if border == "valid":
        return (
            pixels[..., :-2, 1:-1],
            pixels[..., 2:, 1:-1],
            pixels[..., 1:-1, :-2],
            pixels[..., 1:-1, 2:],
        )
    height, width = pixels.shape[-2:]
    pad = [(0, 0)] * (pixels.ndim - 2)
    rows = np.pad(pixels, [*pad, (1, 1), (0, 0)], mode="reflect" if height > 1 else "edge")
    columns = np.pad(pixels, [*pad, (0, 0), (1, 1)], mode="reflect" if width > 1 else "edge")
    return rows[..., :-2, :], rows[..., 2:, :], columns[..., :-2], columns[..., 2:]


def log_gradient(pixels: np.ndarray, offset: int = 1, border: str = "mirror") -> np.ndarray:
    """Equation (2): g, float64, natural logarithm.

    Args:
      pixels: P, integers >= 0, shape (..., H, W).
      offset: c, >= 1.
    """
    up, down, left, right = (np.log(n.astype(np.float64) + offset) for n in neighbours(pixels, border))
    return up + left - down - right


def levels(
    pixels: np.ndarray,
    ratios: tuple[int, ...],
    shift: int = DEFAULT_SHIFT,
    offset: int = 1,
    border: str = "mirror",
) -> np.ndarray:
    """Quantised log gradient q in -n..n, int8, exact for P up to 2^16 - 1.

    Args:
      pixels: P, integers 0..65535, shape (..., H, W).
      ratios: K_1 < ... < K_n, integers > 2^shift.
      shift: S; thresholds are ln(K_i / 2^S).
    """
    check_ratios(ratios, shift)
    up, down, left, right = (n.astype(np.uint64) + np.uint64(offset) for n in neighbours(pixels, border))
    lighter, darker = up * left, down * right
    q = np.zeros(lighter.shape, np.int8)
    for ratio in ratios:
        q += (lighter << np.uint64(shift)) > np.uint64(ratio) * darker
        q -= (darker << np.uint64(shift)) > np.uint64(ratio) * lighter
    return q


def check_ratios(ratios: tuple[int, ...], shift: int) -> None:
    """Raises unless 2^S < K_1 < ... < K_n and K_n (2^16)^2 stays exact in float64 and int64."""
    if not 0 < shift <= 20:
        raise LogGradError(f"threshold shift {shift}: choose 1 to 20")
    if not ratios or list(ratios) != sorted(set(ratios)):
        raise LogGradError(f"threshold ratios {ratios}: give one or more, strictly increasing")
    if ratios[0] <= 2**shift or ratios[-1] > 2**20:
        raise LogGradError(
            f"threshold ratios {ratios}: must lie above 2^{shift}, up to 2^20 (thresholds ln(K / 2^S) > 0)"
        )


def ratio_of(threshold: float, shift: int = DEFAULT_SHIFT) -> int:
    """K = round(2^S exp(t)): the integer ratio that stands for threshold t (natural log)."""
    return round(2**shift * math.exp(threshold))


def threshold_of(ratio: int, shift: int = DEFAULT_SHIFT) -> float:
    """t = ln(K / 2^S), the inverse of :func:`ratio_of` up to its rounding."""
    return math.log(ratio / 2**shift)


def log_table(span: int, offset: int = 1) -> np.ndarray:
    """Fixed-point logarithms T[P] = round(2^11 ln(P + c)), int16, shape (span + 1,).

    Sums of four entries are within 2^-10 of g (four roundings of 2^-12); ln(65536 + c) 2^11 < 2^15.
    """
    return np.rint(2**11 * np.log(np.arange(span + 1) + offset)).astype(np.int16)


def fixed_log_gradient(pixels: np.ndarray, table: np.ndarray, border: str = "mirror") -> np.ndarray:
    """int8 log gradient, 1/32 per unit: clamp((T[U]+T[L]-T[D]-T[R] + 32) >> 6, -128, 127)."""
    up, down, left, right = (table[n].astype(np.int32) for n in neighbours(pixels, border))
    return np.clip((up + left - down - right + 32) >> 6, -128, 127).astype(np.int8)
