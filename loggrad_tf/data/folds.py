"""Folds of photographs, and how sure a mean of scores on held-out folds is.

**Folds.** A group (a photograph and its near duplicates) is in one fold with all its crops. Classes are dealt
from the rarest to the commonest, each to the fold that has the fewest crops of it; a class' largest groups
first, equally large ones in the order of the SHA-256 of their names. So folds depend on the crops' names,
groups and classes alone, not on their order, and are the same for everybody who has the set.

**Scores.** Each network is trained with the same seeds on all folds but one and scored on every crop of that
one: 1 or 0 for right or wrong, or a loss. Two things make the mean uncertain, and both are counted:

- *Other photographs.* Crops of a group are right or wrong together, so the variance is that of sums over
  groups about their fold's mean, scores of a crop averaged over the seeds.
- *Another training.* A lucky one is better on its whole fold, which no variation among photographs shows.
  The seeds show it: the variance of a fold's mean over them, less the part of it that the variance of the
  photographs has already (chance that differs from group to group), never below zero.

A difference of two networks is estimated in the same way, from the crops' differences of trainings that
share fold and seed: what both find hard falls out. The interval is Student's, with the degrees of freedom of
Welch and Satterthwaite for the sum of the two variances, as few seeds tell little about trainings. A
bootstrap of groups would give the first part alone, at a thousand times the arithmetic.

The interval is for the mean of networks trained on these photographs, four fifths of them with five folds.
Trainings share photographs, so one collection cannot say how another one to train on would change the mean.
"""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from scipy import stats

from loggrad_tf.errors import LogGradError

LEVEL = 0.95


def _order(name: str) -> bytes:
    return hashlib.sha256(f"loggrad fold 1 {name}".encode()).digest()


def deal(groups: Sequence[str], labels: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """The fold of each crop.

    Args:
      groups: the name of each crop's group, N of them.
      labels: the class of each crop, integers (N,).
      count: folds, at least 2.

    Returns:
      int64 (N,), values 0..count - 1. No group is in two folds. If each group has crops of one class only,
      the crops of a class in two folds differ by no more than its largest group.

    Raises:
      LogGradError: a class in fewer groups than folds, so that some fold would lack it.
    """
    if count < 2:
        raise LogGradError(f"{count} folds: at least 2 are needed, one to train on and one to test on")
    classes = [int(label) for label in labels]
    inside: dict[str, Counter[int]] = defaultdict(Counter)
    for name, label in zip(groups, classes, strict=True):
        inside[name][label] += 1
    total, spread = Counter(classes), Counter(label for one in inside.values() for label in one)
    for label, there in sorted(spread.items()):
        if there < count:
            raise LogGradError(
                f"class {label} is in {there} photographs, too few for {count} folds: give more photographs"
                " or fewer folds"
            )
    led: dict[int, list[str]] = defaultdict(list)
    for name, labels_of in inside.items():
        led[min(labels_of, key=lambda label: (total[label], label))].append(name)
    loads = [Counter[int]() for _ in range(count)]
    fold: dict[str, int] = {}
    for label in sorted(led, key=lambda label: (total[label], label)):
        for name in sorted(led[label], key=lambda name: (-inside[name][label], _order(name))):
            chosen = min(range(count), key=lambda k: (loads[k][label], loads[k].total(), k))
            fold[name] = chosen
            loads[chosen].update(inside[name])
    return np.array([fold[name] for name in groups], np.int64)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over all crops, and how sure it is.

    Attributes:
      mean: of the scores.
      standard_error: of the mean.
      freedom: degrees of freedom of the standard error.
    """

    mean: float
    standard_error: float
    freedom: float

    @property
    def interval(self) -> tuple[float, float]:
        """The mean lies in it with 95 % confidence."""
        if not self.standard_error:
            return self.mean, self.mean
        half = float(stats.t.ppf((1 + LEVEL) / 2, self.freedom)) * self.standard_error
        return self.mean - half, self.mean + half


def estimate(scores: np.ndarray, groups: Sequence[str], folds: np.ndarray) -> Estimate:
    """Mean and standard error of scores on held-out folds, or of differences of two networks' scores.

    Args:
      scores: of each crop by each training that did not see it, one row a seed, (S, N), S of at least 2.
      groups: the name of each crop's group, N of them.
      folds: of each crop, integers (N,), as :func:`deal` gives them; all alike for a single split.

    Raises:
      LogGradError: one seed only, or a fold of one group.
    """
    seeds, crops = scores.shape
    if seeds < 2:
        raise LogGradError("one training of each fold does not show how much trainings differ: give 2 seeds")
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    scores = scores.astype(np.float64)
    mean = float(scores.mean())
    photographs = lucks = chances = 0.0
    freedom_photographs = freedom_trainings = 0
    for fold in np.unique(folds):
        inside = folds == fold
        values = scores[:, inside]
        _, member = np.unique(index[inside], return_inverse=True)
        count = int(member.max()) + 1
        if count < 2:
            raise LogGradError(f"fold {fold} has crops of one photograph only: give more photographs")
        residuals = values - values.mean()
        sums = np.stack([np.bincount(member, row, count) for row in residuals])
        luck = sums.sum(axis=1)
        # What is left of a group's sum without its own mean and without its training's: chance of both.
        size = np.bincount(member, minlength=count) / values.shape[1]
        chance = sums - sums.mean(axis=0) - np.outer(luck - luck.mean(), size)
        small = count / (count - 1)
        photographs += small * float((sums.mean(axis=0) ** 2).sum())
        lucks += float((luck**2).sum()) / (seeds * (seeds - 1))
        chances += small * float((chance**2).sum()) / (seeds * (seeds - 1))
        freedom_photographs += count - 1
        freedom_trainings += seeds - 1
    variance = photographs + max(lucks - chances, 0.0)
    if not variance:
        return Estimate(mean, 0.0, float(freedom_photographs))
    # As uncertain as the variance of the trainings is before anything is taken off it.
    freedom = variance**2 / (photographs**2 / freedom_photographs + lucks**2 / freedom_trainings)
    return Estimate(mean, float(np.sqrt(variance)) / crops, freedom)
