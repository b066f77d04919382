"""The n-th thing that is done to the disk fails, or the process ends there.

What is counted: a file opened to be written, a write, a file or folder forced to the disk, a folder made, a
name changed. A write that fails has written half, as a disk does that becomes full.
"""

import builtins
import contextlib
import io
import os
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loggrad_tf import files

KILLED = 137
_CALLS = ("replace", "rename", "mkdir", "fsync", "sendfile")


class Faults:
    """Counts, and lets the ``at``-th operation fail; 0: none of them.

    Attributes:
      done: operations so far.
      fail: raises, or ends the process; it is given the name of the file, where there is one.
    """

    def __init__(self, at: int, fail: Callable[[str | None], None]) -> None:
        self.at, self.done, self.fail = at, 0, fail

    def count(self, name: object = None) -> None:
        if self.is_next():
            self.fail(os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None)

    def is_next(self) -> bool:
        self.done += 1
        return self.done == self.at


def error(number: int) -> Callable[[str | None], None]:
    """Raise what the system would."""

    def fail(name: str | None) -> None:
        raise OSError(number, os.strerror(number), name)

    return fail


def end(name: str | None) -> None:
    """End the process as SIGKILL does: nothing is tidied."""
    del name
    os._exit(KILLED)


def no_memory(name: str | None) -> None:
    """Raise what Python does."""
    del name
    raise MemoryError


class _File:
    """An open file whose writes are counted."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, data: Any) -> Any:
        if self._faults.is_next():
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            self._faults.fail(None)
        return self._file.write(data)


@contextlib.contextmanager
def injected(faults: Faults) -> Iterator[None]:
    """Within the block, operations of this process are counted, and one of them fails."""

    def opened(name: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+"):
            return real_open(name, mode, *more, **named)
        faults.count(name)
        return _File(real_open(name, mode, *more, **named), faults)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            faults.count(given[0])
            return function(*given, **named)

        return call

    real_open = io.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        for name in _CALLS:
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(files, "exchange", counted(files.exchange))
        yield


def until_none_fails(
    begin: Callable[[], None], act: Callable[[], object], number: int
) -> Iterator[BaseException]:
    """Let the first operation of ``act`` fail, then the second, ... until it comes to its end.

    Args:
      begin: puts things back, before each.
      number: what fails, of :mod:`errno`.

    Yields:
      What was raised; an error that ``act`` swallows is passed over.
    """
    at = 0
    while True:
        at += 1
        begin()
        faults = Faults(at, error(number))
        try:
            with injected(faults):
                act()
        except Exception as raised:
            yield raised
        if faults.done < at:
            return


def until_none_kills(begin: Callable[[], None], act: Callable[[], object]) -> Iterator[int]:
    """As :func:`until_none_fails`, the process being killed instead; yields which operation it was."""
    at = 0
    while True:
        at += 1
        begin()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with injected(Faults(at, end)):
                    act()
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, KILLED), f"operation {at}: exit code {code}"
        if code == 0:
            return
        yield at


def lines_that_fail(
    begin: Callable[[], None], act: Callable[[], object], module: types.ModuleType, most: int
) -> Iterator[int]:
    """Let memory run out at the first line of ``module`` that ``act`` comes to, then at a later one, ...

    Args:
      most: lines to try, of all that are run.

    Yields:
      Which of them it was.
    """
    file = module.__file__
    faults = Faults(0, no_memory)

    def tracer(frame: types.FrameType, event: str, argument: object) -> Any:
        del argument
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            faults.count()
        return tracer

    def run(at: int) -> int:
        nonlocal faults
        begin()
        faults, before = Faults(at, no_memory), sys.gettrace()
        sys.settrace(tracer)
        try:
            with contextlib.suppress(MemoryError):
                act()
        finally:
            sys.settrace(before)
        return faults.done

    total = run(0)
    for at in range(1, total + 1, -(-total // most)):
        run(at)
        yield at


def tree(place: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    paths = (path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths}


def put_back(place: Path, saved: Path) -> None:
    """Make ``place`` a copy of ``saved`` again, and remove what is hidden beside it."""
    for path in (place, *place.parent.glob(".*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.copytree(saved, place)
