"""Prepare a data set and say what is in it.

    python -m loggrad_tf.prepare --data pascalraw:DIR --size 96 --mode gray

Prints the crops of each class in each split, what was left out and why, and where the set is.
"""

import re
from collections import Counter

from absl import flags

from loggrad_tf import cli
from loggrad_tf.dataset import DataSet, load
from loggrad_tf.sources import SPLITS, Reject

_DATA = flags.DEFINE_string("data", None, "synthetic, pascalraw:DIR or folder:DIR", required=True)
_SIZE = flags.DEFINE_integer("size", 96, "side of a crop in pixels, even")
_MODE = flags.DEFINE_enum("mode", "gray", ["gray", "mosaic"], "one value a 2x2 square, or the Bayer mosaic")

_MOST_REASONS = 12


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


def main(argv: list[str]) -> None:
    del argv
    data = load(_DATA.value, size=_SIZE.value, mode=_MODE.value)
    sensor = data.sensor
    print(table(data))
    print(
        f"sensor  {sensor.bits} bits, black {sensor.black}, white {sensor.white}, {sensor.cfa};"
        f" crops {data.pixels.shape[1]}x{data.pixels.shape[2]}, {data.mode}"
    )
    rejects = data.rejects()
    print(f"rejects {len(rejects)}" + (" (count, first one of its kind)" if rejects else ""))
    for line in reasons(rejects):
        print(line)
    print(f"set     {data.path}")
    print(f"sha256  {data.manifest_sha256}")


if __name__ == "__main__":
    cli.run(main)
