"""What runs the network in a project: the generated C, or an interpreter."""

import dataclasses
from typing import Any

from export.c import emit, forms, tflm
from export.c.text import NAME
from export.plan import memory, steps
from export.plan.input import Input
from export.plan.nodes import build
from export.plan.plan import Plan, least_bytes, macs
from export.plan.steps import Steps
from export.predict import costs, footprint
from export.tflite.quant_graph import QuantGraph
from firmware.project import BAUD
from loggrad_tf.data.cells import Cells
from loggrad_tf.errors import LogGradError

LOGGRAD, TFLM = "loggrad", "tflm"
# Board -> the port of firmware/example to its chip.
EXAMPLE_PORTS = {"host": "host", "netduinoplus2": "stm32f4", "nucleo-f446re": "stm32f4"}


@dataclasses.dataclass(frozen=True)
class Options:
    """Attributes:
    vectors: test frames.
    runtime: loggrad (the generated C) or tflm.
    ram_tables: tables of partial sums lie in RAM, for flash that is slow to read.
    max_flash: bytes of flash to use; None: all that the board has.
    optimise: as of :func:`export.predict.footprint.plan`.
    arena_bytes: for tflm; None: a guess.
    binning: k; k x k codes of the camera make a pixel (2: a Bayer mosaic becomes gray).
    name: what files and public symbols begin with.
    form: one of :data:`export.c.forms.FORMS`.
    baud: of the serial line.
    """

    vectors: int = 16
    runtime: str = LOGGRAD
    ram_tables: bool = False
    max_flash: int | None = None
    optimise: str = footprint.SPEED
    arena_bytes: int | None = None
    binning: int = 1
    name: str = NAME
    form: str = forms.PROJECT
    baud: int = BAUD

    @property
    def text(self) -> str:
        """The flags that differ from their defaults."""
        words = {
            "runtime": self.runtime if self.runtime != LOGGRAD else None,
            "tables": "ram" if self.ram_tables else None,
            "max_flash": self.max_flash,
            "optimise": self.optimise if self.optimise != footprint.SPEED else None,
            "arena_bytes": self.arena_bytes,
            "binning": self.binning if self.binning != 1 else None,
            "name": self.name if self.name != NAME else None,
            "as": self.form if self.form != forms.PROJECT else None,
            "baud": self.baud if self.baud != BAUD else None,
        }
        return "".join(f" --{name}={value}" for name, value in words.items() if value is not None)


DEFAULTS = Options()


@dataclasses.dataclass(frozen=True, eq=False)
class Engine:
    """What runs the network in a project.

    Attributes:
      files: path in the project -> content.
      layers: (name, tensor index, bytes) that the board reports.
      text: the plan, to be printed.
      readme: a section of its own.
      arena_bytes: of an interpreter.
      plan: of the generated C.
      nodes: of it, and what is predicted of each, the input first (``Node`` of firmware.project).
      steps: how net_step cuts a frame, if it can.
    """

    files: dict[str, bytes]
    layers: list[tuple[str, int, int]]
    footprint: footprint.Footprint
    text: str
    readme: str = ""
    arena_bytes: int | None = None
    plan: Plan | None = None
    nodes: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    steps: Steps | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """What a runtime makes an engine of."""

    model: bytes
    graph: QuantGraph
    source: Input
    board: dict[str, Any]
    classes: tuple[str, ...]
    command: str
    stamp: str
    cells: Cells | None = None


def generated(given: Given, options: Options) -> Engine:
    board, source = given.board, given.source
    least = least_bytes(build(given.graph))
    if board["ram"] is not None and least > board["ram"]["length"]:
        raise LogGradError(
            f"RAM: one row of the network and what it is made of take {least} B, {board['name']} has"
            f" {board['ram']['length']} B: choose a larger board"
        )
    room = options.max_flash
    if given.cells is not None and board["flash"] is not None:
        room = (room or board["flash"]["length"]) - footprint.CELLS_BYTES
    planned = footprint.plan(given.graph, source, board, options.ram_tables, room, options.optimise)
    if room and options.max_flash and steps.cut(planned, source, _costs(planned, source, board)[1]).front > 1:
        # It bounds the whole image, parts of the front end's lines included.
        room -= footprint.PARTS_BYTES
        planned = footprint.plan(given.graph, source, board, options.ram_tables, room, options.optimise)
    predicted = _predicted(planned, given)
    predicted.check(board)
    instructions, cycles = _costs(planned, source, board)
    cut = steps.cut(planned, source, cycles)
    if cut.front > 1:
        in_parts = predicted.with_parts()
        if in_parts.flash is None or in_parts.flash <= board["flash"]["length"]:
            predicted = in_parts
        else:  # no room for it: the search counts whole lines
            cut = steps.cut(planned, source, cycles, front=False)
    sources = emit.emit(
        planned,
        source,
        given.classes,
        given.command,
        given.stamp,
        cut,
        predicted.stack,
        options.name,
        given.cells,
    )
    texts = {f"src/{name}": text for name, text in sources.items()}
    if options.form == forms.PROJECT:
        port = EXAMPLE_PORTS.get(board["name"], "")
        texts["program/main.c"] = emit.program(options.name)
        texts["CMakeLists.txt"] = emit.cmake(options.name, port)
    return Engine(
        files={name: text.encode() for name, text in texts.items()},
        layers=memory.layers(planned),
        footprint=predicted,
        text=planned.table(instructions, cycles) + _price(given, options, predicted, cycles),
        plan=planned,
        nodes=_nodes(planned, instructions, cycles),
        steps=cut,
    )


def _predicted(planned: Plan, given: Given) -> footprint.Footprint:
    found = footprint.predict(planned, given.source, given.board)
    return found if given.cells is None else found.with_cells()


def _price(given: Given, options: Options, predicted: footprint.Footprint, cycles: list[int] | None) -> str:
    """What --optimise saves and what it costs, in a line."""
    if options.optimise == footprint.SPEED:
        return ""
    source, board = given.source, given.board
    fast = footprint.plan(given.graph, source, board, options.ram_tables, options.max_flash)
    usual = _predicted(fast, given)
    pairs = {"state": (usual.state, predicted.state), "flash": (usual.flash, predicted.flash)}
    if cycles is not None:
        pairs["cycles"] = sum(costs.cycles(fast, source, board["core"])), sum(cycles)
    told = ", ".join(
        f"{name} {now:,} for {before:,} ({now / before - 1:+.1%})"
        for name, (before, now) in pairs.items()
        if before is not None and now is not None
    )
    return f"\noptimised for {options.optimise}: {told}"


def _costs(planned: Plan, source: Input, board: dict[str, Any]) -> tuple[list[int] | None, list[int] | None]:
    """Instructions and cycles that are predicted; what a computer would execute is nobody's question."""
    if board["core"] == "host":
        return None, None
    return costs.predict(planned, source, board["core"]), costs.cycles(planned, source, board["core"])


def _nodes(planned: Plan, instructions: list[int] | None, cycles: list[int] | None) -> list[dict[str, Any]]:
    """What is predicted of the input and of every node; of both lists the input's is the last."""
    network = planned.network
    work = [("input", 0), *((node.title, macs(network, node)) for node in network.nodes)]
    columns = [
        [*counts[-1:], *counts[:-1]] if counts else [None] * len(work) for counts in (instructions, cycles)
    ]
    return [
        {"name": name, "macs": count, "instructions": executed, "cycles": taken}
        for (name, count), executed, taken in zip(work, *columns, strict=True)
    ]


def interpreted(given: Given, options: Options) -> Engine:
    arena = options.arena_bytes or tflm.arena_bytes(given.graph)
    guessed = ", a guess: firmware.verify says what is used (--arena_bytes)"
    files = tflm.files(
        given.model,
        given.graph,
        given.source,
        given.classes,
        given.command,
        given.stamp,
        arena,
        options.name,
        given.cells,
    )
    state = tflm.state_bytes(given.source, arena)
    program = memory.program_bytes(state, given.source)
    return Engine(
        files=files,
        layers=tflm.layers(given.graph),
        footprint=footprint.Footprint(state, program, None, None),
        text=f"TensorFlow Lite Micro, arena {arena:,} B{'' if options.arena_bytes else guessed}",
        readme=tflm.readme(given.graph, arena),
        arena_bytes=arena,
    )
