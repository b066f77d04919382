"""The ruler: folds that keep photographs whole, standard errors and intervals that hold what they promise."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from loggrad_tf.data.folds import deal, estimate
from loggrad_tf.errors import LogGradError


@st.composite
def crops(draw: st.DrawFn, mixed: bool) -> tuple[list[str], list[int], int]:
    """Groups and classes of crops and a number of folds; ``mixed``: groups of several classes too."""
    count = draw(st.integers(2, 6))
    groups: list[str] = []
    labels: list[int] = []
    for label in range(draw(st.integers(2, 4))):
        for sizes in draw(st.lists(st.integers(1, 7), min_size=count, max_size=25)):
            name = f"{label} {len(groups)}"
            members = [label] * sizes
            if mixed:
                members += draw(st.lists(st.integers(0, 1), max_size=2))
            groups += [name] * len(members)
            labels += members
    return groups, labels, count


@given(crops(mixed=True), st.randoms())
@settings(deadline=None)
def test_a_photograph_is_in_one_fold_whatever_the_order(
    case: tuple[list[str], list[int], int], shuffler: random.Random
) -> None:
    groups, labels, count = case
    folds = deal(groups, labels, count)
    assert folds.shape == (len(groups),) and set(folds) == set(range(count))
    assert len(set(zip(groups, folds, strict=True))) == len(set(groups))
    order = list(range(len(groups)))
    shuffler.shuffle(order)
    again = deal([groups[i] for i in order], [labels[i] for i in order], count)
    assert np.array_equal(again, folds[order])


@given(crops(mixed=False))
@settings(deadline=None)
def test_folds_are_stratified(case: tuple[list[str], list[int], int]) -> None:
    groups, labels, count = case
    folds, sizes = deal(groups, labels, count), Counter(groups)
    for label in set(labels):
        inside = np.array(labels) == label
        each = np.bincount(folds[inside], minlength=count)
        largest = max(sizes[name] for name, other in zip(groups, labels, strict=True) if other == label)
        assert each.max() - each.min() <= largest and each.min() > 0


def test_folds_are_the_same_for_everybody() -> None:
    groups = [f"photograph {i}" for i in range(10)]
    assert deal(groups, [0, 1] * 5, 2).tolist() == [0, 0, 1, 1, 1, 1, 0, 1, 0, 0]
    assert deal(groups, [0, 1] * 5, 5).tolist() == [2, 3, 3, 2, 1, 4, 0, 0, 4, 1]


def test_what_folds_refuse() -> None:
    with pytest.raises(LogGradError, match="class 1 is in 2 photographs, too few for 3 folds"):
        deal(["a", "b", "c", "d", "d", "e"], [0, 0, 0, 1, 1, 1], 3)
    with pytest.raises(LogGradError, match="1 folds: at least 2"):
        deal(["a", "b"], [0, 0], 1)
    with pytest.raises(LogGradError, match="give 2 seeds"):
        estimate(np.ones((1, 4)), ["a", "b", "c", "d"], np.array([0, 0, 1, 1]))
    with pytest.raises(LogGradError, match="fold 1 has crops of one photograph only"):
        estimate(np.ones((2, 4)), ["a", "b", "c", "c"], np.array([0, 0, 1, 1]))


def test_independent_crops_and_equal_trainings_have_the_textbook_error() -> None:
    scores = np.random.default_rng(0).random(400) < 0.8
    found = estimate(np.stack([scores, scores]), [str(i) for i in range(400)], np.zeros(400, int))
    assert found.mean == pytest.approx(scores.mean())
    assert found.standard_error == pytest.approx(scores.std(ddof=1) / 20)
    assert found.freedom == pytest.approx(399)
    low, high = stats.t.interval(0.95, 399, scores.mean(), scores.std(ddof=1) / 20)
    assert found.interval == pytest.approx((low, high))


def test_copies_of_crops_tell_nothing_new() -> None:
    """Ten crops of a photograph that are right or wrong together weigh as one."""
    scores = np.random.default_rng(1).random((3, 200))
    names, folds = [str(i) for i in range(200)], np.arange(200) % 4
    once = estimate(scores, names, folds)
    copied = estimate(np.repeat(scores, 10, axis=1), np.repeat(names, 10).tolist(), np.repeat(folds, 10))
    assert copied.mean == pytest.approx(once.mean)
    assert copied.standard_error == pytest.approx(once.standard_error)
    assert copied.freedom == pytest.approx(once.freedom)


def test_a_constant_difference_is_certain() -> None:
    found = estimate(np.full((2, 8), 0.25), list("abcdefgh"), np.arange(8) % 2)
    assert (found.mean, found.standard_error, found.interval) == (0.25, 0.0, (0.25, 0.25))


def test_trainings_that_differ_are_less_sure() -> None:
    """The luck of one training is shared by its whole fold: more photographs do not take it away."""
    rng = np.random.default_rng(2)
    names, folds = [str(i) for i in range(4000)], np.arange(4000) % 4
    scores = np.tile(rng.random(4000), (3, 1))
    alike = estimate(scores, names, folds)
    luck = 0.05 * rng.standard_normal((3, 4))
    differing = estimate(scores + luck[:, folds], names, folds)
    # The variance that the luck adds: of each fold's mean over three, a quarter of the crops each.
    added = luck.var(axis=0, ddof=1).sum() / 3 / 16
    expected = np.sqrt(alike.standard_error**2 + added)
    assert differing.standard_error == pytest.approx(expected, rel=0.02)
    assert differing.freedom < 20 < alike.freedom


def _simulated(
    rng: np.random.Generator, groups: int, count: int, seeds: int, luck: float
) -> tuple[list[np.ndarray], list[float], list[str], np.ndarray]:
    """Right and wrong of two networks: hard photographs, hard crops, lucky trainings and chance, all normal.

    Also returns the accuracies that they are drawn from.
    """
    sizes = rng.geometric(0.7, groups)
    member = np.repeat(np.arange(groups), sizes)
    folds = member % count
    hard = 0.8 * rng.standard_normal(groups)[member] + 0.3 * rng.standard_normal(len(member))
    found, truth = [], []
    for skill in (1.2, 1.1):
        lucky = luck * rng.standard_normal((seeds, count))[:, folds]
        chance = 0.3 * rng.standard_normal((seeds, len(member)))
        found.append((skill + hard + lucky + chance > 0).astype(float))
        truth.append(float(stats.norm.cdf(skill / np.sqrt(0.8**2 + 0.3**2 + luck**2 + 0.3**2))))
    return found, truth, [str(one) for one in member], folds


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("groups", "count", "seeds", "luck"),
    [(1000, 5, 2, 0.0), (1000, 5, 2, 0.1), (300, 5, 4, 0.1), (300, 1, 4, 0.1)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    groups: int, count: int, seeds: int, luck: float
) -> None:
    rng, repeats = np.random.default_rng(3), 400
    held, naive = np.zeros(2), 0
    for _ in range(repeats):
        (a, b), (right_a, right_b), names, folds = _simulated(rng, groups, count, seeds, luck)
        for place, (scores, truth) in enumerate([(a, right_a), (a - b, right_a - right_b)]):
            low, high = estimate(scores, names, folds).interval
            held[place] += low <= truth <= high
        mean = (a - b).mean(axis=0)
        naive += abs(mean.mean() - right_a + right_b) <= 1.96 * mean.std(ddof=1) / np.sqrt(len(mean))
    # Four standard errors of 400 repeats are 0.044; without luck the interval is wider than it need be.
    assert all(0.95 - 0.035 <= share <= (1.0 if luck == 0 else 0.95 + 0.04) for share in held / repeats)
    if luck:  # crops taken one by one and trainings taken for granted: far too sure
        assert naive / repeats < 0.87


def test_pairing_takes_out_what_both_find_hard() -> None:
    (a, b), _, names, folds = _simulated(np.random.default_rng(4), 1000, 5, 2, 0.0)
    single = [estimate(one, names, folds).standard_error for one in (a, b)]
    paired = estimate(a - b, names, folds).standard_error
    assert paired < 0.6 * np.hypot(*single)
    for one, other in itertools.permutations((a, b)):
        assert estimate(one - other, names, folds).standard_error == pytest.approx(paired)
