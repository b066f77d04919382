"""Whatever fails while something is written: the old state or the new one is there, whole; told is one line.

As SQLite is tested: the first operation on the disk fails, then the second, and so on until all is done
without one; then the process is killed there instead; then memory runs out, line by line.
"""

import contextlib
import dataclasses
import errno
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import firmware
from export.quantization import conversion
from loggrad_tf import cli, files, parallel
from loggrad_tf.confusion import Confusion
from loggrad_tf.data import dataset, description, prepared
from loggrad_tf.data.request import DataReference
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import fixed
from models import bundle
from models.graph import WEIGHTED, GraphBuilder, weight_shapes
from models.recipe import TrainConfig
from tests.export.test_firmware import SENSOR, small, write_model
from tests.support import faults
from tests.support.archives import pictures

END = fixed("loggrad_1p5", SENSOR)


@dataclasses.dataclass(frozen=True)
class Case:
    """Something that is written over an older one.

    Attributes:
      place: the folder that is looked at.
      write: ``write(0)`` writes the old one, ``write(1)`` the new one.
      refused: is a state between the two one that its reader refuses in a line?
    """

    place: Path
    write: Callable[[int], object]
    refused: Callable[[], bool] = lambda: False


def _bundle(folder: Path) -> Case:
    b = GraphBuilder()
    graph = b.build(b.dense(b.flatten(b.conv(b.input(12, 12, 1), 3, 3, relu=True)), 2))
    shapes = [shape for op in graph.ops if op.kind in WEIGHTED for shape in weight_shapes(graph, op)]
    reference = DataReference("synthetic", 12, "gray", manifest_sha256="0" * 64)

    def write(seed: int) -> None:
        weights = tuple(np.full(shape, seed, np.float32) for shape in shapes)
        saved = bundle.Bundle(graph, END, ("a", "b"), reference, TrainConfig(), seed, {}, weights=weights)
        bundle.save(folder / "net", saved)

    return Case(folder / "net", write)


def _firmware(folder: Path) -> Case:
    """With a library of two files, which are copied as hundreds are."""
    boards = ("mps2-an386", "host")
    model = write_model(folder / "model", small(END), END)
    made = [firmware.make(model, board, firmware.Options(1)) for board in boards]
    for name in ("lib/a.c", "lib/src/b.c", "cmake/c.cmake", "boards/common/d.h"):
        (folder / "copied" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "copied" / name).write_text(name * 100)

    def write(which: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(firmware, "FIRMWARE", folder / "copied")
            firmware.write(made[which], folder / "project", replace=True)

    return Case(folder / "project", write)


def _convert(folder: Path) -> Case:
    found = Confusion(("a", "b"), ((1, 0), (0, 1)))
    place = folder / "export"
    place.mkdir()

    def write(which: int) -> None:
        flatbuffer = small(END, 9 + which)
        about = {"model_sha256": hashlib.sha256(flatbuffer).hexdigest(), "class_names": ["a", "b"]}
        about |= {"front_end": END.to_json(), "confusion": {"val": found.to_json()}}
        conversion.write(place, conversion.Converted(flatbuffer, about))

    def refused() -> bool:
        model = place / "model.tflite"
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        with pytest.raises(LogGradError, match="describes another model .* convert again"):
            description.read(model, sha256)
        return True

    return Case(place, write, refused)


def _prepare(folder: Path) -> Case:
    source, cache = pictures(folder / "pictures", 4, (16, 16)), folder / "cache"

    def write(which: int) -> None:
        if which:
            with contextlib.redirect_stderr(io.StringIO()):
                data = dataset.load(f"folder:{source}", size=8, cache=cache)
            prepared.check(data)

    return Case(cache / "sets", write)


CASES = {"bundle": _bundle, "firmware": _firmware, "convert": _convert, "prepare": _prepare}


def _prepared_here(function: Callable[[Any], Any], jobs: Any, label: str, **more: Any) -> list[Any]:
    return [function(job) for job in jobs]


@dataclasses.dataclass
class States:
    """The old and the new state of a case, and which of them is there."""

    case: Case
    old: dict[str, bytes]
    new: dict[str, bytes]
    saved: Path

    def begin(self) -> None:
        faults.put_back(self.case.place, self.saved)

    def litter(self) -> list[Path]:
        """What is hidden there, or beside it."""
        return [*self.case.place.parent.glob(".*"), *self.case.place.glob(".*")]

    def found(self) -> str:
        there = _visible(self.case.place)
        if there in (self.old, self.new):
            return "old" if there == self.old else "new"
        assert self.case.refused(), f"neither old nor new: {sorted(there)}"
        return "refused"


def _visible(place: Path) -> dict[str, bytes]:
    """What is not a lock, nor hidden, nor the list of what a set that was not made would have left out."""
    return {
        name: content
        for name, content in faults.tree(place).items()
        if not name.startswith(".") and not name.endswith((".lock", ".rejects.csv"))
    }


@pytest.fixture(params=CASES)
def states(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> States:
    monkeypatch.setattr(parallel, "run", _prepared_here)
    case = CASES[request.param](tmp_path)
    case.place.mkdir(parents=True, exist_ok=True)
    case.write(0)
    saved = tmp_path / "saved"
    faults.put_back(saved, case.place)
    old = _visible(case.place)
    case.write(1)
    new = _visible(case.place)
    assert old != new
    return States(case, old, new, saved)


@pytest.mark.seconds
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_an_operation_that_fails(states: States, number: int) -> None:
    seen = []
    for raised in faults.until_none_fails(states.begin, lambda: states.case.write(1), number):
        seen.append(states.found())
        assert isinstance(raised, LogGradError | OSError), repr(raised)
        told = str(raised) if isinstance(raised, LogGradError) else cli._describe(raised)
        assert "\n" not in told and len(told) < 400
        assert str(states.case.place.parent) in told
        assert number != errno.ENOSPC or "the disk is full" in told
        assert not states.litter(), told
    assert len(seen) > 5 and seen[0] == "old" and states.found() == "new"


@pytest.mark.seconds
def test_a_process_that_is_killed(states: States) -> None:
    seen = []
    for _ in faults.until_none_kills(states.begin, lambda: states.case.write(1)):
        seen.append(states.found())
        if len(seen) % 7 == 1:  # what it left is in nobody's way
            states.case.write(1)
            assert states.found() == "new"
    assert len(seen) > 5 and seen[0] == "old" and states.found() == "new"


@pytest.mark.seconds
def test_memory_that_runs_out(states: States) -> None:
    """In the functions that give files and folders their names."""
    seen = []
    for _ in faults.lines_that_fail(states.begin, lambda: states.case.write(1), files, most=60):
        seen.append(states.found())
    assert len(seen) > 10 and seen[0] == "old"
