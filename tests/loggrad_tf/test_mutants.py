"""Files damaged in hundreds of ways are read or refused in one line; thousands: tests/support/mutants.py."""

import dataclasses
from pathlib import Path

import pytest

from loggrad_tf.errors import LogGradError
from tests.support import mutants


@pytest.mark.seconds
def test_every_mutant_is_read_or_refused(tmp_path: Path) -> None:
    verdicts = list(mutants.run(330, seed=0, work=tmp_path))
    assert not mutants.defects(verdicts), mutants.table(verdicts)
    for subject in mutants.SUBJECTS:
        outcomes = {v.outcome for v in verdicts if v.subject == subject.name}
        assert outcomes == {"ok", "refused"}, subject.name


def test_a_mutant_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir(), (tmp_path / "one").mkdir()
    name = mutants.SUBJECTS[5].name
    *_, last = mutants.run(21, seed=3, work=tmp_path / "all")
    (again,) = mutants.run(21, seed=3, work=tmp_path / "one", only=20)
    assert (again.subject, again.outcome) == (last.subject, last.outcome) and last.subject == name
    assert (tmp_path / "one" / name / last.file).read_bytes() == (
        tmp_path / "all" / name / last.file
    ).read_bytes()


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("x"), "ValueError: x (test_mutants.py:"),
        (MemoryError(), "MemoryError: "),
        (RecursionError("deep"), "RecursionError: deep"),
        (LogGradError("it is damaged"), "names no file: it is damaged"),
        (LogGradError("/a/a.xml: damaged"), "refused"),
        (mutants.TooSlow(), "longer than 20 s"),
    ],
)
def test_anything_else_is_a_defect(tmp_path: Path, error: BaseException, outcome: str) -> None:
    def read(place: Path) -> object:
        raise error

    subject = dataclasses.replace(mutants.SUBJECTS[5], read=read)
    found = mutants.outcome_of(subject, tmp_path)
    assert found.startswith(outcome)
    verdict = mutants.Verdict(0, subject.name, "a.xml", found, 0.1)
    assert mutants.defects([verdict]) == ([] if outcome == "refused" else [verdict])
