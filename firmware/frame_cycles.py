"""Cycles of a frame of a project, layer by layer: the image in QEMU, watched by :mod:`firmware.profile`.

Refused: a board that QEMU does not emulate, and a core whose timings Arm does not publish.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from firmware import channel, cycles, profile
from firmware.cycles import Count
from firmware.project import FirmwareError, Node, Project

# Of the network's C, its constant order of calls.
_SCHEDULE = "schedule"


@dataclasses.dataclass(frozen=True)
class FrameCycles:
    """The estimate of one frame, the mean of several.

    Attributes:
      manual: whose timings these are.
      nodes: of the project, its input first; a single one where the C is another runtime's.
      counts: of each.
      lines: of flash that constants are read from, each counted when it is not the one read before.
    """

    manual: str
    frames: int
    nodes: tuple[Node, ...]
    counts: tuple[Count, ...]
    lines: int

    @property
    def total(self) -> Count:
        return cycles.total(self.counts)

    @property
    def predicted(self) -> int | None:
        """Cycles that the plan predicts."""
        known = [node.cycles for node in self.nodes if node.cycles is not None]
        return sum(known) if known else None

    def record(self) -> dict[str, Any]:
        """What the certificate holds."""
        rows = zip(self.nodes, self.counts, strict=True)
        return {
            "manual": self.manual,
            "frames": self.frames,
            "total": self.total.cycles,
            "predicted": self.predicted,
            "flash_lines": self.lines,
            "layers": [
                {
                    "name": node.name,
                    "instructions": count.instructions,
                    "cycles": count.cycles,
                    "predicted": node.cycles,
                }
                for node, count in rows
            ],
        }

    def text(self) -> str:
        """A table: a line a layer, and the total."""
        head = f"{'layer':26s} {'MACs':>11s} {'instr.':>11s} {'cycles':>11s} {'a MAC':>6s} {'predicted':>11s}"
        lines = [head + f" {'error':>6s}"]
        whole = Node("total", sum(n.macs for n in self.nodes), None, self.predicted)
        for node, count in zip((*self.nodes, whole), (*self.counts, self.total), strict=True):
            each = f"{count.cycles / node.macs:.2f}" if node.macs else ""
            line = f"{node.name[:26]:26s} {node.macs:>11,} {count.instructions:>11,} {count.cycles:>11,}"
            line += f" {each:>6s}"
            if node.cycles is not None and count.cycles:
                line += f" {node.cycles:>11,} {node.cycles / count.cycles - 1:>+6.1%}"
            lines.append(line.rstrip())
        share = self.lines / max(self.total.cycles, 1)
        lines.append(
            f"constants: {self.lines:,} lines of {profile.LINE} B of flash are read; a wait state adds"
            f" as many cycles at most ({share:.1%})"
        )
        return "\n".join(lines)


def check(project: Project) -> None:
    """Raise FirmwareError if the cycles of a project cannot be estimated."""
    if project.on_host or project.board["qemu"] is None:
        raise FirmwareError(
            f"--cycles: board {project.board['name']} is not emulated: generate the project for one that QEMU"
            " has and that has its core, such as mps2-an386 (Cortex-M4)"
        )
    cycles.core_of(project.board["core"])


def estimate(
    project: Project, frames: Sequence[np.ndarray], timeout: float = channel.ANSWER_SECONDS
) -> FrameCycles:
    """Run ``frames`` through the image, which is built, and price what it executes.

    Raises:
      FirmwareError: the core's timings are not published, or the board is not emulated.
    """
    check(project)
    core = cycles.core_of(project.board["core"])
    nodes = project.nodes or (Node("all", 0, None, None),)
    seen = watch(project, frames, len(project.nodes) - 1, timeout)
    found = cycles.estimate(seen, cycles.disassemble(project.elf, core), core)
    counts = tuple(found.get(place, Count()) // len(frames) for place in range(len(nodes)))
    lines = sum(seen.lines.values()) // len(frames)
    return FrameCycles(core.manual, len(frames), nodes, counts, lines)


def watch(
    project: Project,
    frames: Sequence[np.ndarray],
    nodes: int,
    timeout: float = channel.ANSWER_SECONDS,
) -> profile.Profile:
    """What the image executes for ``frames``, on any core that QEMU has.

    Args:
      nodes: of the network; each is a context, its number + 1, and the input is context 0. Below 0: the C is
        another runtime's, and all of it is context 0.
    """
    schedule = _SCHEDULE if nodes >= 0 else None
    width, flash = 1 if nodes <= 255 else 2, project.board["flash"]
    entry = f"{project.name}_push_row"
    options, out = profile.arguments(project.elf.parent, project.elf, entry, schedule, width, flash)
    with channel.Channel(project, timeout, options=options) as board:
        board.who()
        for frame in frames:
            board.classify(frame)
    return profile.read_profile(out)
