"""export.operator_table: the documentation's table of operators is what the program has."""

from export import operator_table
from export.tflite.operators import KNOWN


def test_the_page_is_what_the_program_has() -> None:
    assert operator_table.FILE.read_text() == operator_table.markdown(), "run python -m export.operator_table"


def test_every_operator_has_its_row() -> None:
    for code in KNOWN:
        assert operator_table.markdown().count(f"| {code} |") == 1
