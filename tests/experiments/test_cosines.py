"""experiments.cosines: similarities, groups and merged filters by hand."""

import numpy as np
import pytest

from experiments import cosines
from experiments.cosines import Pair


def _kernel(*filters: list[float]) -> np.ndarray:
    """1 x 2 filters of one channel."""
    return np.array(filters, np.float32).T.reshape(1, 2, 1, len(filters))


HAND = _kernel([3, 0], [0.5, 0], [0, 2], [-1, 0], [1, 1], [0, 0])


def test_similarities_by_hand() -> None:
    half = np.sqrt(0.5)
    expected = [1, 0, -1, half, 0, 0, -1, half, 0, 0, half, 0, -half, 0, 0]
    np.testing.assert_allclose(cosines.similarities(HAND), expected, atol=1e-12)
    assert cosines.similarities(HAND[..., :1]).size == 0


def test_filters_that_have_one_like_them() -> None:
    assert cosines.alike(HAND, 0.98) == 2  # 0 and 1
    assert cosines.alike(HAND, 0.7) == 4  # and 4, which is half way between 0 and 2
    assert cosines.alike(HAND[..., :1], 0.0) == 0


def test_all_input_channels_make_one_vector() -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 5, 3, 4)).astype(np.float32)
    first, second = kernel[..., 0].ravel().astype(float), kernel[..., 1].ravel().astype(float)
    wanted = first @ second / np.sqrt((first @ first) * (second @ second))
    assert cosines.similarities(kernel)[0] == pytest.approx(wanted)


def test_the_most_similar_pairs_share_no_filter() -> None:
    pairs = cosines.most_similar(HAND, 3)
    assert pairs[0] == Pair(1.0, 0, 1)
    assert (pairs[1].first, pairs[1].second) == (2, 4)  # 0 and 4, 1 and 4 are as similar, but 0, 1 are taken
    assert pairs[2] == Pair(0.0, 3, 5)
    assert len(cosines.most_similar(HAND, 9)) == 3


def test_groups_are_led_by_their_longest_filter() -> None:
    assert cosines.groups(HAND, 0.98) == [[0, 1], [2], [4], [3], [5]]
    assert cosines.groups(HAND, 0.7) == [[0, 4, 1], [2], [3], [5]]
    assert sorted(sum(cosines.groups(HAND, -1.0), [])) == list(range(6))


def test_merging_multiples_changes_nothing() -> None:
    """Filter 1 is a sixth of filter 0: behind a ReLU so are their maps."""
    rng = np.random.default_rng(1)
    following = rng.normal(size=(1, 1, 6, 2)).astype(np.float32)
    kernel, changed = cosines.merged(HAND, following, cosines.groups(HAND, 0.98))
    pixels = rng.normal(size=(50, 2))

    def output(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.maximum(pixels @ first.reshape(2, 6), 0) @ second.reshape(6, 2)

    np.testing.assert_allclose(output(kernel, changed), output(HAND, following), atol=1e-5)
    assert not kernel[..., 1].any() and not changed[:, :, 1].any()
    np.testing.assert_array_equal(kernel[..., [0, 2, 3, 4]], HAND[..., [0, 2, 3, 4]])
    coarse, far = cosines.merged(HAND, following, cosines.groups(HAND, 0.7))
    assert not np.allclose(output(coarse, far), output(HAND, following), atol=1e-2)
