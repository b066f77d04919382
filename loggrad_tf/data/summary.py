"""What is in a data set, whether it is enough to train on, and what was left out of it, as lines of text."""

import re
from collections import Counter

import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sources import SPLITS, STAYS, Reject

_MOST_REASONS = 12
# Training crops below which networks learn little and errors on validation and test are mostly luck.
FEW = 1000


def table(data: DataSet) -> str:
    """Classes by splits, with sums; for frames their objects, and how many frames there are."""
    counts = data.counts()
    rows: list[tuple[str, ...]] = [("class", *SPLITS, "all")]
    for name, row in zip(data.class_names, counts.tolist(), strict=True):
        rows.append((name, *(str(count) for count in row), str(sum(row))))
    sums = counts.sum(axis=0).tolist()
    rows.append(("all", *(str(count) for count in sums), str(sum(sums))))
    if data.boxes is not None:
        rows += _of_frames(data, data.boxes)
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}" + "".join(f"{cell:>8}" for cell in row[1:]) for row in rows)


def _of_frames(data: DataSet, boxes: np.ndarray) -> list[tuple[str, ...]]:
    """Rows of the table: difficult objects, frames, and those without any object."""
    full = np.zeros(len(data.split), bool)
    full[boxes["frame"]] = True
    parts = {
        "difficult": data.split[boxes["frame"][boxes["difficult"]]],
        "frames": data.split,
        "empty frames": data.split[~full],
    }
    return [
        (name, *(str(count) for count in np.bincount(part, minlength=len(SPLITS))), str(len(part)))
        for name, part in parts.items()
    ]


def sizes(data: DataSet) -> list[str]:
    """How large the objects of each class are: the longer side of their boxes in the frame's pixels."""
    if data.boxes is None:
        return []
    lines: list[str] = []
    longer = np.maximum(data.boxes["right"] - data.boxes["left"], data.boxes["bottom"] - data.boxes["top"])
    for label, name in enumerate(data.class_names):
        sides = longer[(data.boxes["label"] == label) & ~data.boxes["difficult"]]
        if len(sides):
            low, middle, high = np.quantile(sides, (0.1, 0.5, 0.9))
            lines.append(f"{name}: half of them above {middle:.0f} pixels, 80 % from {low:.0f} to {high:.0f}")
    return lines


def doubts(data: DataSet) -> list[str]:
    """What to warn of: fewer than :data:`FEW` crops to train on, and classes that a split has none of.

    A set without a training split is one for tests: nothing is to be learnt from it.
    """
    found: list[str] = []
    count = int((data.split == SPLITS.index("train")).sum())
    if not count:
        return [f"{data.spec}: nothing to train on: a set for tests of networks that were trained on another"]
    what, one = ("frames", "object") if data.detects else ("crops", "crop")
    lists = "lists of their names" if data.detects else "a manifest.csv"
    if count < FEW:
        drawn = data.spec.partition(":")[0] == "synthetic"
        more = "it is for trying the way: give photographs of your own" if drawn else "add photographs"
        found.append(
            f"{data.spec}: {count} {what} to train on; below about {FEW:,} a network learns little, and its"
            f" errors are mostly luck: {more}"
        )
    for name, row in zip(data.class_names, data.counts().tolist(), strict=True):
        if missing := [split for split, there in zip(SPLITS, row, strict=True) if not there]:
            found.append(
                f"{data.spec}: no {one} of {name} in {' and '.join(missing)}: add photographs of it, or give"
                f" the splits in {lists}"
            )
    return found


def counted(rejects: tuple[Reject, ...]) -> str:
    """How many rejects there are, and, if any are, how many of frames that stay in the set."""
    stay = sum(STAYS in reject.reason for reject in rejects)
    apart = f": {len(rejects) - stay} left out, {stay} of frames that stay without something" if stay else ""
    return f"{len(rejects)}{apart}" + (" (count, first one of its kind)" if rejects else "")


def reasons(rejects: tuple[Reject, ...]) -> list[str]:
    """The rejects by kind of reason: a count, the reason of the first, its file.

    What a set goes without comes first, then what a frame goes without and stays; the most frequent first.
    """
    kinds: Counter[str] = Counter()
    first: dict[str, str] = {}
    for reject in rejects:
        said = reject.reason.rpartition(f"{reject.file}: ")[2]  # errors begin with the file's path
        kind = re.sub(r"\d+", "#", said.replace(reject.file, ""))
        kinds[kind] += 1
        first.setdefault(kind, f"{reject.file}: {said}")
    order = sorted(kinds.most_common(), key=lambda item: STAYS in item[0])
    lines = [f"{count:>6}  {first[kind]}" for kind, count in order]
    if len(lines) > _MOST_REASONS:
        more = f"        and {len(lines) - _MOST_REASONS} other reasons: rejects.csv of the set has all"
        lines = [*lines[:_MOST_REASONS], more]
    return lines
