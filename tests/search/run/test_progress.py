"""search.run.progress: long drawings are spoken of, and what is wrong if nothing was trained."""

import dataclasses
from pathlib import Path

import pytest

from search.record.history import Candidate, Outcome, Record, failed
from search.run import progress
from search.run.profiles import PROFILES
from search.run.progress import Drawing, foresight, nothing_trained
from tests.support.report_cases import CONFIG, invented

RUNGS = dataclasses.replace(CONFIG, method=PROFILES["quick"])


def test_a_long_drawing_is_spoken_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    told = Drawing(8)

    def at(seconds: float, index: int, drawn: int, usable: int) -> str:
        clock[0] = seconds
        told(index, drawn, usable)
        captured = capsys.readouterr()
        assert not captured.out
        return captured.err

    assert not at(0, 3, 0, 0) and not at(4, 3, 90, 0)
    assert at(10, 3, 100, 0) == (
        "candidate 3: 100 networks drawn, of at most 2,000; 0 of 8 that are wanted can be used;"
        " at most 3 min left\n"
    )
    assert not at(19, 3, 190, 0), "the next line comes as long after"
    assert "2 of 8 that are wanted can be used; about 60 s left" in at(20, 3, 200, 2)
    assert not at(21, 4, 0, 0) and not at(25, 4, 50, 0), "another candidate begins anew"


def _records(*outcomes: tuple[Outcome, float | None]) -> list[Record]:
    return [
        dataclasses.replace(
            r, candidate=Candidate(k, r.candidate.genotype, None, "random", (), (limit, None))
        )
        for k, (r, (outcome, limit)) in enumerate(zip(invented(len(outcomes)), outcomes, strict=True))
        for r in [dataclasses.replace(r, outcome=outcome)]
    ]


IDLE = Outcome(0.5, 0.5, stopped=True, curve=((0.69, 0.5), (0.69, 0.5)))
DEAD = failed("worker was killed by SIGKILL")


def test_how_well_the_rungs_foresee_the_end() -> None:
    """By hand: areas after two epochs rank eight candidates as their losses do, after one the other way."""
    records = []
    for k, record in enumerate(invented(10)):
        curve = ((0.9 - 0.01 * k, 0.5), (0.5 + 0.05 * k, 0.5), (0.5, 0.5))
        outcome = Outcome(0.3, 0.3, val_loss=0.4 + 0.02 * k, curve=curve)
        if k >= 8:
            outcome = Outcome(0.3, 0.3, val_loss=0.1, curve=curve[:2], stopped=True)
        records.append(dataclasses.replace(record, outcome=outcome))
    said = foresight(records, (1, 2))
    assert said.endswith("with the validation loss: -1.00 after 1 epochs, 1.00 after 2 epochs")
    assert foresight(records[3:], (1, 2)) == "" and foresight(records, ()) == ""


def test_what_to_change_when_nothing_was_trained_to_its_end() -> None:
    run = Path("runs/x")
    said = nothing_trained(run, RUNGS, _records((IDLE, None), (IDLE, 1.0), (DEAD, None)))
    assert said.startswith("no candidate of 3 was trained to its end: 1 failed, 1 had learned nothing at a")
    assert "1 learned slower than cheaper ones" in said
    assert "--epochs=16" in said and "--rungs=none" in said and "--resume=runs/x --rounds=128" in said
    said = nothing_trained(run, RUNGS, _records((DEAD, None), (DEAD, None), (IDLE, None)))
    assert (
        "2 failed" in said
        and "the first: worker was killed by SIGKILL: mend that, or fewer --workers" in said
    )
    late = failed("timed out after 9 s")
    assert "give a higher --timeout" in nothing_trained(run, RUNGS, _records((late, None)))
