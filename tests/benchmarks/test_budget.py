"""The cost benchmark: the budget of a search, and the arithmetic of the table; no search is run."""

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import budget, search_cost_report
from loggrad_tf.errors import LogGradError

# A search in place of the real one: a candidate every so often, and CPU time all the while.
_STAND_IN = """
import sys, time
journal = open(sys.argv[1], "a")
lines, last = int(sys.argv[2]), time.process_time()
for line in range(lines):
    while time.process_time() < last + 0.3: pass
    last = time.process_time()
    print('{"event":"candidate"}', file=journal, flush=True)
"""


def _spend(folder: Path, lines: int, seconds: float, before: float = 0.0) -> float:
    command = [sys.executable, "-c", _STAND_IN, str(folder / "run/journal.jsonl"), str(lines)]
    return budget.spend(command, folder / "run", seconds, before)


@pytest.mark.seconds
def test_a_search_is_ended_when_its_budget_is_spent(tmp_path: Path) -> None:
    now = _spend(tmp_path, 1000, 1.5)
    marks = budget.spent_by(tmp_path / "run")
    assert now >= 1.5 and len(marks) > 1 and marks == sorted(marks) and marks[-1] <= now + 0.01
    more = _spend(tmp_path, 1000, now + 1, now)
    assert more >= now + 1 and budget.spent_by(tmp_path / "run")[: len(marks)] == marks


@pytest.mark.seconds
def test_a_search_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogGradError, match="ended before its budget was spent: see .*log.txt"):
        _spend(tmp_path, 2, 60)


def test_the_table_counts_searches_without_a_network() -> None:
    curves = {
        ("faithful", 0): [(0.0, 0.0), (100.0, 0.2)],
        ("full", 0): [(0.0, 0.0), (5.0, 0.1), (10.0, 0.2)],
        ("faithful", 1): [(0.0, 0.0), (90.0, 0.3)],
        ("full", 1): [(0.0, 0.0), (9.0, 0.2)],
    }
    assert search_cost_report._matched("full", curves) == "1/10, never"
    assert search_cost_report._matched("faithful", curves) == "-"
    rows: list[dict[str, Any]] = [{"error": 0.25}, {"error": None}, {"error": 0.75}]
    assert search_cost_report._spread(rows, "error") == "0.500 (0.250-0.750, 1 with none)"
    assert search_cost_report._spread(rows[1:2], "error") == "none"
