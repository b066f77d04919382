"""The specification against scipy's convolution and exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.signal import convolve2d

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import reference

KERNEL = np.array([[0, -1, 0], [-1, 0, 1], [0, 1, 0]])
RATIOS = {1: (5529,), 2: (5529, 10074), 3: (5529, 10074, 18357)}


def frames(bits: int) -> dict[str, np.ndarray]:
    top = 2**bits - 1
    rng = np.random.default_rng(bits)
    board = (np.indices((9, 12)).sum(axis=0) % 2).astype(np.int64)
    dark = rng.integers(0, 4, (11, 13))
    return {
        "black": np.zeros((7, 8), int),
        "white": np.full((7, 8), top),
        "checkerboard": board * top,
        "near black": dark,
        "near white": top - dark,
        "random": rng.integers(0, top + 1, (17, 23)),
        "1x1": np.array([[top]]),
        "row": rng.integers(0, top + 1, (1, 19)),
        "column": rng.integers(0, top + 1, (19, 1)),
        "2x2": np.array([[0, top], [top, 0]]),
    }


def exact_levels(pixels: np.ndarray, ratios: tuple[int, ...], shift: int, offset: int) -> np.ndarray:
    """Levels by Python's unbounded integers and fractions, with the border rule written out."""
    height, width = pixels.shape
    q = np.zeros(pixels.shape, int)

    def at(y: int, x: int) -> int:
        return int(pixels[y, x]) + offset

    for y in range(height):
        for x in range(width):
            up = at(y - 1, x) if y > 0 else at(min(y + 1, height - 1), x)
            down = at(y + 1, x) if y < height - 1 else at(max(y - 1, 0), x)
            left = at(y, x - 1) if x > 0 else at(y, min(x + 1, width - 1))
            right = at(y, x + 1) if x < width - 1 else at(y, max(x - 1, 0))
            ratio = Fraction(up * left, down * right)
            for k in ratios:
                q[y, x] += (ratio > Fraction(k, 2**shift)) - (1 / ratio > Fraction(k, 2**shift))
    return q


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_levels_equal_exact_rational_comparison(bits: int, count: int) -> None:
    for name, frame in frames(bits).items():
        got = reference.levels(frame.astype(np.uint16), RATIOS[count])
        np.testing.assert_array_equal(got, exact_levels(frame, RATIOS[count], 12, 1), err_msg=name)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_gradient_is_scipys_convolution_with_the_papers_filter(bits: int) -> None:
    for name, frame in frames(bits).items():
        expected = convolve2d(np.log(frame + 1.0), KERNEL, mode="valid") if min(frame.shape) > 2 else None
        if expected is not None:
            got = reference.log_gradient(frame, border="valid")
            np.testing.assert_allclose(got, expected, atol=1e-12, err_msg=name)
            inner = reference.log_gradient(frame)[1:-1, 1:-1]
            np.testing.assert_allclose(inner, expected, atol=1e-12, err_msg=name)


def test_levels_are_the_quantised_gradient() -> None:
    frame = np.random.default_rng(0).integers(0, 4096, (64, 64))
    g = reference.log_gradient(frame)
    for ratios in RATIOS.values():
        t = [reference.threshold_of(k) for k in ratios]
        expected = sum((g > x).astype(int) - (g < -x).astype(int) for x in t)
        np.testing.assert_array_equal(reference.levels(frame, ratios), expected)


def test_a_ratio_exactly_at_the_threshold_is_not_above_it() -> None:
    # (U+1)(L+1) = 2 (D+1)(R+1) with K/2^S = 2.
    frame = np.array([[0, 3, 0], [3, 0, 1], [0, 3, 0]])
    assert reference.log_gradient(frame)[1, 1] == pytest.approx(np.log(2))
    assert reference.levels(frame, (2**13,))[1, 1] == 0
    assert reference.levels(frame, (2**13 - 1,))[1, 1] == 1


pixel_maps = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


@settings(max_examples=60, deadline=None)
@given(pixel_maps)
def test_laws(frame: np.ndarray) -> None:
    q = reference.levels(frame, RATIOS[2])
    # Half a turn changes the sign.
    np.testing.assert_array_equal(reference.levels(frame[::-1, ::-1], RATIOS[2])[::-1, ::-1], -q)
    # Transposition changes nothing.
    np.testing.assert_array_equal(reference.levels(frame.T, RATIOS[2]).T, q)
    # Higher thresholds never raise a magnitude.
    higher = reference.levels(frame, tuple(k + 700 for k in RATIOS[2]))
    assert np.all(np.abs(higher) <= np.abs(q))
    assert np.all(higher * q >= 0)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint16, (6, 7), elements=st.integers(0, 4095)), st.integers(1, 4))
def test_brighter_light_leaves_the_levels_alone_up_to_the_offset(frame: np.ndarray, stops: int) -> None:
    # (2^k (P+1)) - 1 scales every P + c by 2^k, so every product ratio stays.
    brighter = ((frame.astype(np.uint32) + 1) << stops) - 1
    np.testing.assert_array_equal(
        reference.levels(brighter.astype(np.uint32), RATIOS[3]), reference.levels(frame, RATIOS[3])
    )


def test_batches_and_valid_border() -> None:
    batch = np.random.default_rng(1).integers(0, 256, (3, 5, 9, 8))
    q = reference.levels(batch, RATIOS[1])
    assert q.shape == batch.shape
    np.testing.assert_array_equal(q[1, 2], reference.levels(batch[1, 2], RATIOS[1]))
    np.testing.assert_array_equal(reference.levels(batch, RATIOS[1], border="valid"), q[..., 1:-1, 1:-1])


def test_fixed_point_logarithm_is_within_its_bound() -> None:
    frame = np.random.default_rng(2).integers(0, 2**16, (200, 200))
    table = reference.log_table(2**16 - 1)
    up, down, left, right = (table[n].astype(int) for n in reference.neighbours(frame))
    g = reference.log_gradient(frame)
    assert np.abs((up + left - down - right) / 2**11 - g).max() <= 2**-10
    fixed = reference.fixed_log_gradient(frame, table)
    inside = np.abs(g) < 3.9
    assert np.abs(fixed / 32 - g)[inside].max() <= 1 / 64 + 2**-10


@pytest.mark.parametrize("ratios", [(), (4000,), (4096,), (6000, 5000), (6000, 6000), (2**21,)])
def test_bad_ratios_are_refused(ratios: tuple[int, ...]) -> None:
    with pytest.raises(LogGradError, match="threshold ratios"):
        reference.check_ratios(ratios, 12)
