"""The native library is compiled once for a compiler, its options and a processor, and never half written."""

import subprocess
import sys
from pathlib import Path

import pytest

from loggrad_tf.errors import LogGradError
from models.training.native import build
from tests.support import REPOSITORY
from tests.support.native_cases import needs_compiler

pytestmark = needs_compiler


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source that compiles quickly, and a cache of its own."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "one.h").write_text("#pragma once\n")
    (source / "one.cpp").write_text('#include "one.h"\nextern "C" int one() { return 1; }\n')
    monkeypatch.setattr(build, "SOURCE", source)
    monkeypatch.setenv("LOGGRAD_CACHE", str(tmp_path / "cache"))
    return source


def test_it_is_compiled_once(small: Path) -> None:
    first = build.built()
    written = first.stat().st_mtime_ns
    assert build.built() == first and first.stat().st_mtime_ns == written
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_whatever_computes_otherwise_has_a_name_of_its_own(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {build.built().name}
    monkeypatch.setattr(build, "OPTIONS", (*build.OPTIONS, "-DOTHER"))
    names.add(build.built().name)
    monkeypatch.setattr(build, "processor", lambda: "another one")
    names.add(build.built().name)
    (small / "one.h").write_text("#pragma once\n// changed\n")
    names.add(build.built().name)
    assert len(names) == 4


def test_what_does_not_compile_is_named_and_leaves_nothing(small: Path, tmp_path: Path) -> None:
    (small / "one.cpp").write_text("int one( {")
    with pytest.raises(LogGradError, match=r"g\+\+ .* does not compile .*one\.cpp"):
        build.built()
    assert list((tmp_path / "cache" / "native").iterdir()) == []


_BUILD = """
import sys
from pathlib import Path
from models.training.native import build
build.SOURCE = Path(sys.argv[1])
print(build.built())
"""


@pytest.mark.seconds
def test_processes_that_compile_at_once_agree(small: Path) -> None:
    """The cache is that of the environment."""
    command = [sys.executable, "-c", _BUILD, str(small)]
    started = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[0].strip() for process in started]
    assert told[0] == told[1] == str(build.built())
    assert [path.name for path in Path(told[0]).parent.iterdir()] == [Path(told[0]).name]
