"""The harnesses find what is planted, their seeds are read, and a bounded run of each finds nothing."""

import subprocess
from pathlib import Path

import pytest

from loggrad_tf.errors import LogGradError
from tests.fuzz import __main__ as fuzz
from tests.fuzz import formats, programs
from tests.support import mutants

# Of a harness in `make test-all`; `make fuzz` has minutes.
SECONDS = 10.0


def _needs(name: str) -> None:
    if reason := fuzz.lacking(name):
        pytest.skip(reason)


@pytest.mark.seconds
@pytest.mark.parametrize("name", formats.NAMES)
def test_seeds_are_read(name: str, tmp_path: Path) -> None:
    form = formats.prepare(name, tmp_path)
    for seed in form.seeds[:3]:
        form.read(seed)
    form.read(form.seeds[0][: len(form.seeds[0]) // 2])


def test_what_is_neither_read_nor_refused_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = formats.prepare("model.json:model.json", tmp_path)
    form.read(b"{")

    def read(where: Path, sha256: str) -> None:
        raise LogGradError("two\nlines") if where.exists() else KeyError("front_end")

    monkeypatch.setattr(mutants.description, "read", read)
    with pytest.raises(formats.Fault, match=r"KeyError: 'front_end' \(test_fuzz.py"):
        form.read(b"{}")


def test_a_flatbuffer_that_ends_in_a_traceback_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = formats.prepare(formats.FLATBUFFER, tmp_path)
    form.read(b"no flatbuffer")

    def make(*given: object) -> None:
        raise IndexError("7")

    monkeypatch.setattr(formats.firmware, "make", make)
    with pytest.raises(IndexError):
        form.read(form.seeds[0])


LOG = """INFO: Seed: 5
#2\tINITED cov: 5 ft: 6 corp: 1/1b
#1024\tpulse  cov: 5
"""


@pytest.mark.parametrize(
    ("log", "tried", "fault"),
    [
        (LOG + "Done 1300 runs in 2 second(s)\n", 1300, "Done 1300 runs in 2 second(s)"),
        (LOG + " === Uncaught Python exception: ===\nFault: KeyError: 3\n", 1024, "Fault: KeyError: 3"),
        (
            LOG + "does not hold: a == b\n==1== ERROR: libFuzzer: deadly signal\n",
            1024,
            "does not hold: a == b",
        ),
        ("", 0, "no output"),
    ],
)
def test_what_libfuzzer_says_is_understood(log: str, tried: int, fault: str) -> None:
    assert (fuzz.tried(log), fuzz.fault(log)) == (tried, fault)


@pytest.mark.slow
@pytest.mark.parametrize("name", programs.OF_NETWORKS)
def test_wrong_scores_do_not_pass(name: str, tmp_path: Path) -> None:
    """A harness whose expectations are those of other frames ends at its first seeds."""
    _needs(name)
    program = programs.build(name, 1, tmp_path / "network")
    seeds = sorted((program.parent / "seeds").iterdir())
    run = [str(program), *map(str, seeds)]
    right = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
    assert right.returncode == 0, right.stderr[-2000:]
    expected = program.parent / "expected.h"
    text = expected.read_text()
    place = text.index("expected[FRAMES]")
    expected.write_text(text[:place] + text[place:].replace("{{", "{{1 + ", 1).replace(", {", ", {1 + "))
    programs.compile_harness(name, program.parent)
    wrong = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
    assert wrong.returncode != 0 and "does not hold: " in wrong.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", fuzz.HARNESSES)
def test_a_bounded_run_finds_nothing(name: str, tmp_path: Path) -> None:
    _needs(name)
    found = fuzz.run(name, SECONDS, tmp_path)
    assert found.inputs > 0 and not found.fault, found
