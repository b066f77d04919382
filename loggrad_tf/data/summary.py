"""What is in a data set, whether it is enough to train on, and what was left out of it, as lines of text."""

import re
from collections import Counter

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sources import SPLITS, Reject

_MOST_REASONS = 12
# Training crops below which networks learn little and errors on validation and test are mostly luck.
FEW = 1000


def table(data: DataSet) -> str:
    """Classes by splits, with sums."""
    counts = data.counts()
    rows: list[tuple[str, ...]] = [("class", *SPLITS, "all")]
    for name, row in zip(data.class_names, counts.tolist(), strict=True):
        rows.append((name, *(str(count) for count in row), str(sum(row))))
    sums = counts.sum(axis=0).tolist()
    rows.append(("all", *(str(count) for count in sums), str(sum(sums))))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}" + "".join(f"{cell:>8}" for cell in row[1:]) for row in rows)


def doubts(data: DataSet) -> list[str]:
    """What to warn of: fewer than :data:`FEW` crops to train on, and classes that a split has none of.

    Raises:
      LogGradError: there are none to train on.
    """
    found: list[str] = []
    count = len(data.labels_of("train"))
    if count < FEW:
        found.append(
            f"{data.spec}: {count} crops to train on; below about {FEW:,} a network learns little, and its"
            " errors are mostly luck: add photographs"
        )
    for name, row in zip(data.class_names, data.counts().tolist(), strict=True):
        if missing := [split for split, there in zip(SPLITS, row, strict=True) if not there]:
            found.append(
                f"{data.spec}: no crop of {name} in {' and '.join(missing)}: add photographs of it, or give"
                " the splits in a manifest.csv"
            )
    return found


def reasons(rejects: tuple[Reject, ...]) -> list[str]:
    """The rejects by kind of reason, most frequent first: a count, the reason of the first, its file."""
    kinds: Counter[str] = Counter()
    first: dict[str, Reject] = {}
    for reject in rejects:
        kind = re.sub(r"\d+", "#", reject.reason.replace(reject.file, ""))
        kinds[kind] += 1
        first.setdefault(kind, reject)
    lines = [f"{count:>6}  {first[kind].file}: {first[kind].reason}" for kind, count in kinds.most_common()]
    more = [f"        and {len(lines) - _MOST_REASONS} other reasons"] if len(lines) > _MOST_REASONS else []
    return lines[:_MOST_REASONS] + more
