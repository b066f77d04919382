"""Which classes are taken for which: counts, the accuracy of each class, and both as a table."""

import dataclasses
from typing import Self

import numpy as np

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

_WIDEST = 12
_CORNER = "true, answer:"


@dataclasses.dataclass(frozen=True)
class Confusion(JsonBase):
    """Answers by true class.

    Attributes:
      class_names: in label order.
      counts: ``counts[i][j]`` images of class i were taken for class j.
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        classes = len(self.class_names)
        if len(self.counts) != classes or any(len(row) != classes or min(row) < 0 for row in self.counts):
            raise LogGradError(f"confusion: counts are not {classes} rows of {classes} numbers from 0 on")

    @classmethod
    def of(cls, labels: np.ndarray, answers: np.ndarray, class_names: tuple[str, ...]) -> Self:
        """Count pairs of label and answer.

        Args:
          labels: integers (N,), 0..classes - 1.
          answers: integers (N,), likewise.
        """
        table = np.zeros((len(class_names), len(class_names)), np.int64)
        np.add.at(table, (labels, answers), 1)
        return cls(class_names, tuple(tuple(row) for row in table.tolist()))

    @property
    def accuracy(self) -> float:
        """Share of all images that were answered rightly, 0..1; not a number without images."""
        table = np.array(self.counts)
        return float(np.trace(table) / table.sum()) if table.any() else float("nan")

    @property
    def largest(self) -> tuple[str, float]:
        """The class with the most images, and its share of all, which always answering it would reach."""
        sizes = np.array(self.counts).sum(axis=1)
        most = int(sizes.argmax())
        return self.class_names[most], float(sizes[most] / sizes.sum()) if sizes.any() else float("nan")

    @property
    def recalls(self) -> tuple[float, ...]:
        """Share of each class that was answered rightly; not a number for a class without images."""
        return tuple(
            row[place] / sum(row) if any(row) else float("nan") for place, row in enumerate(self.counts)
        )

    def text(self) -> str:
        """A table: a row for each true class, a column for each answer, and the share that is right."""
        names = [name if len(name) <= _WIDEST else name[: _WIDEST - 1] + "…" for name in self.class_names]
        head = max(len(name) for name in (*names, _CORNER))
        width = max(len(str(text)) for text in (*names, *(n for row in self.counts for n in row))) + 2
        lines = [f"{_CORNER:{head}s}" + "".join(f"{name:>{width}s}" for name in names) + f"{'right':>10s}"]
        for name, row, recall in zip(names, self.counts, self.recalls, strict=True):
            share = f"{recall:10.1%}" if any(row) else f"{'-':>10s}"
            lines.append(f"{name:{head}s}" + "".join(f"{count:{width}d}" for count in row) + share)
        return "\n".join(lines)
