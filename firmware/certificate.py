"""What a verification found, and certificate.json, which keeps it beside the project."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from firmware.frame_cycles import FrameCycles
from firmware.project import Project
from loggrad_tf.confusion import Confusion
from loggrad_tf.detect.scores import f1

CERTIFICATE = 3
FLASH_TOLERANCE = 0.02


@dataclasses.dataclass(frozen=True)
class Found:
    """What a detector's board found in the frames whose boxes are known.

    Attributes:
      frames: so many.
      there: boxes, without difficult ones.
      hits: of them, found.
      invented: objects that hit nothing.
    """

    frames: int
    there: int
    hits: int
    invented: int

    @property
    def text(self) -> str:
        """For people, with F1."""
        reached = f1(self.there, self.hits, self.invented)
        return (
            f"{self.hits} of {self.there} objects, {self.invented} invented, in {self.frames} frames: F1"
            f" {reached:.3f}"
        )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was compared, and how it came out.

    ``executed`` is the largest count of a frame, in ``unit``; ``confusion`` the board's classes of the frames
    that have labels, None where none has; ``arena_used`` what an interpreter uses of its arena, in bytes;
    ``objects`` how many a detector's board found, each compared, and ``found`` what became of them
    where boxes are known; None of a classifier.
    """

    board: str
    channel: str
    model_sha256: str
    stamp: str
    elf_sha256: str
    vectors: int
    source: str
    reported: str
    mismatches: int
    first_mismatch: str | None
    layers: int
    bytes_compared: int
    executed: int | None
    unit: str | None
    stack_used: int
    stack_size: int
    ram: int | None
    ram_predicted: int | None
    flash: int | None
    flash_predicted: int | None
    versions: dict[str, str]
    confusion: Confusion | None
    cycles: FrameCycles | None = None
    cycles_predicted: int | None = None
    arena_used: int | None = None
    objects: int | None = None
    found: Found | None = None

    @property
    def ratio(self) -> float | None:
        """Cycles that the board counted to those that were predicted, where it counts cycles."""
        if self.unit != "cycles" or not self.executed or not self.cycles_predicted:
            return None
        return self.executed / self.cycles_predicted

    @property
    def instructions(self) -> int | None:
        """Executed instructions, where that is what the board counts."""
        return self.executed if self.unit == "instructions" else None

    @property
    def passed(self) -> bool:
        return self.mismatches == 0 and self.ram_predicted in (None, self.ram)

    @property
    def complaints(self) -> list[str]:
        """What is wrong beside the outputs, and what is doubtful."""
        found = []
        if self.ram_predicted not in (None, self.ram):
            found.append(f"RAM is {self.ram} B, {self.ram_predicted} predicted: generate the project again")
        if self.flash and self.flash_predicted:
            error = self.flash_predicted / self.flash - 1
            if abs(error) > FLASH_TOLERANCE:
                found.append(f"warning: the prediction of flash is off by {error:+.1%}: export.code_sizes")
        if self.stack_size and self.stack_used == self.stack_size:
            found.append("warning: the stack was used to its last byte")
        return found


def certificate_path(project: Project) -> Path:
    return project.path / "certificate.json"


def write_certificate(project: Project, verdict: Verdict) -> None:
    """Whole or not at all. No date: the same image and frames give the same file."""
    path = certificate_path(project)
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    record = {"format": CERTIFICATE, "passed": verdict.passed} | _record(verdict)
    try:
        with temporary.open("w") as file:
            file.write(json.dumps(record, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _record(verdict: Verdict) -> dict[str, Any]:
    cycles = verdict.cycles.record() if verdict.cycles else None
    return dataclasses.asdict(verdict) | {"cycles": cycles, "cycles_ratio": verdict.ratio}


def summary(verdict: Verdict) -> dict[str, Any]:
    """What --json prints."""
    left_out = ("versions", "elf_sha256", "source")
    record = {key: value for key, value in _record(verdict).items() if key not in left_out}
    return {"passed": verdict.passed} | record | {"complaints": verdict.complaints}
