"""The command ``loggrad``: its verbs, their help, and what it says to a verb that is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import loggrad
from tests.support import REPOSITORY

VERBS = (
    "search convert firmware build run verify flash collect watch report prepare preview train experiments"
    " energy doctor"
)


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loggrad", *words], cwd=REPOSITORY, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_list_has_a_line_for_each_verb(words: tuple[str, ...]) -> None:
    done = command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[2:])
    assert set(lines) == set(loggrad.DOORS) == set(VERBS.split())
    for line in lines.values():
        assert 10 < len(line) <= 100 and line[0].isupper() and "``" not in line and "python" not in line


@pytest.mark.parametrize(
    ("docstring", "line"),
    [
        ("``python -m a.b --run DIR``: the best one.\n\nMore.", "The best one"),
        ("Says what it does.\n\n    python -m a.b\n", "Says what it does"),
    ],
)
def test_summaries(docstring: str, line: str) -> None:
    assert loggrad.summary(docstring) == line


@pytest.mark.seconds
@pytest.mark.parametrize("verb", VERBS.split())
def test_help_of_a_verb(verb: str, tmp_path: Path) -> None:
    # Whoever imports TensorFlow or Keras gets these.
    for name in ("tensorflow", "keras"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    done = command(verb, "--help", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"loggrad {verb}" in done.stdout and "python -m" not in done.stdout
    door = loggrad.DOORS[verb].removesuffix(".__main__")
    direct = subprocess.run(
        [sys.executable, "-m", door, "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    flags = {word for word in direct.stdout.split() if word.startswith("--")}
    assert flags and flags <= set(done.stdout.split())


def test_a_verb_that_is_none() -> None:
    near, far = command("serch", "--out=x"), command("zzz")
    assert (near.returncode, near.stderr) == (2, "error: no verb 'serch': did you mean 'search'?\n")
    assert (far.returncode, far.stderr) == (2, "error: no verb 'zzz': see loggrad --help\n")


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("train",), 1, "error: --out is missing"),
        (("train", "--epochz=1"), 2, "error: Unknown command line flag 'epochz'"),
        (("build", "--project=/nowhere"), 1, "error: /nowhere: not a firmware project"),
        (("build",), 2, "error: the following arguments are required: --project"),
        (("experiments", "--figure=nope"), 1, "error: "),
    ],
)
def test_exit_codes_are_the_doors(words: tuple[str, ...], code: int, reason: str) -> None:
    done = command(*words)
    assert done.returncode == code and done.stderr.startswith(reason) and done.stderr.count("\n") == 1
