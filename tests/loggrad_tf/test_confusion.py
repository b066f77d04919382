import math

import numpy as np
import pytest

from loggrad_tf.confusion import Confusion
from loggrad_tf.errors import LogGradError

NAMES = ("bicycle", "car", "person")


def test_counts_shares_and_table() -> None:
    found = Confusion.of(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2]), NAMES)
    assert found.counts == ((2, 1, 0), (0, 1, 1), (0, 0, 0))
    assert found.accuracy == 3 / 5 and found.largest == ("bicycle", 3 / 5)
    assert found.recalls[:2] == (2 / 3, 1 / 2) and math.isnan(found.recalls[2])
    lines = found.text().splitlines()
    assert [line.split()[-1] for line in lines] == ["right", "66.7%", "50.0%", "-"]
    assert len({len(line) for line in lines}) == 1
    assert Confusion.from_json(found.to_json()) == found


def test_a_table_of_another_shape_is_refused() -> None:
    for counts in ([[1, 0]], [[1, 0], [0, -1]], [[1, 0], [0]]):
        with pytest.raises(LogGradError, match="not 2 rows of 2 numbers"):
            Confusion.from_json({"class_names": ["a", "b"], "counts": counts})


def test_no_answers_have_no_accuracy() -> None:
    nothing = Confusion.of(np.zeros(0, int), np.zeros(0, int), NAMES)
    assert math.isnan(nothing.accuracy) and math.isnan(nothing.largest[1])
