"""search.run.flag_table: the documentation's table of flags is what the program has."""

import re

from search.cost.objectives import BOUND_FLAGS, Bounds
from search.run import flag_table
from search.strategy.method import METHOD_FLAGS, Method


def test_the_file_is_current() -> None:
    assert flag_table.FILE.read_text() == flag_table.markdown(), "run python -m search.run.flag_table"


def test_every_knob_has_a_line_and_a_default_of_each_profile() -> None:
    lines = dict(re.findall(r"^\| `--(?:\[no\])?(\w+)[^`]*` \| (.*) \|$", flag_table.markdown(), re.M))
    assert list(lines) == [flag.name for flag in (*METHOD_FLAGS, *BOUND_FLAGS)]
    assert [cell.strip() for cell in lines["rounds"].split("|")][1:] == ["64", "2000", "2000"]
    assert [cell.strip() for cell in lines["rungs"].split("|")][1:] == ["2,4", "8,20,40", "none"]
    assert [cell.strip() for cell in lines["memory_bound"].split("|")][1:] == ["none", "none", "10000"]


def test_every_field_of_method_and_bounds_is_a_knob() -> None:
    """But for the recipe's rest, which profiles alone decide."""
    assert {flag.path[0] for flag in METHOD_FLAGS} == set(Method.__dataclass_fields__)
    assert {flag.path[0] for flag in BOUND_FLAGS} == set(Bounds.__dataclass_fields__)
