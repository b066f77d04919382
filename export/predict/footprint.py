"""What an image takes of its board: RAM to the byte, flash within two per cent.

    RAM   = stack + copied tables + program's statics + board's statics
    flash = program + union of the functions of front end and kernels + nodes + constants

Code sizes are those of GCC 12.2 at -O2 per core and board, in ``code_sizes.json``; a board of the user's has
a file of that name beside its board.json. ``python -m export.code_sizes`` measures them again.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from export import boards
from export.plan import kernels, memory, parts
from export.plan import plan as planning
from export.plan.input import Input, stamp
from export.plan.nodes import WINDOWS, build
from export.plan.plan import Plan
from export.predict import costs
from export.tflite.quant_graph import QuantGraph
from loggrad_tf import __version__, json_base
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

CODE_SIZES = Path(__file__).parent / "code_sizes.json"
# What a plan is for.
SPEED, FLASH, RAM = "speed", "flash", "ram"
# What a front end whose lines net_step cuts takes more than one of whole lines: 301 to 397 on four cores.
PARTS_BYTES = 340
# What objects of a detector take more than a class: 728 to 780 on six cores.
CELLS_BYTES = 750


@dataclasses.dataclass(frozen=True)
class ProgramSize(JsonBase):
    """Of the smallest program on one board: functions -> bytes, and what is in none of them."""

    rest: int
    symbols: dict[str, int]


@dataclasses.dataclass(frozen=True)
class BoardSizes(JsonBase):
    """What was measured of one board; code_sizes.json of a board of the user's.

    Attributes:
      stamp: length of the stamp in the images that were measured.
      channels: the smallest program by channel.
    """

    stamp: int
    channels: dict[str, ProgramSize]


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Bytes of an image. ``ram`` and ``flash`` are None where the board has no such bound (host).

    Attributes:
      state: sizeof(net_state).
      program: static RAM of the program, the state included.
      ram: all RAM, the stack included.
      flash: code and constants.
      stack: what a call of the network needs at most, an observer apart; a part of the board's stack.
    """

    state: int
    program: int
    ram: int | None
    flash: int | None
    stack: int | None = None

    @property
    def text(self) -> str:
        if self.ram is None or self.flash is None:
            return f"state {self.state:,} B"
        stack = "" if self.stack is None else f", stack of a call {self.stack:,} B"
        return f"RAM {self.ram:,} B (state {self.state:,} B), flash {self.flash:,} B{stack}"

    def with_parts(self) -> "Footprint":
        """Of a front end whose lines are cut."""
        return self._grown(PARTS_BYTES)

    def with_cells(self) -> "Footprint":
        """Of a detector."""
        return self._grown(CELLS_BYTES)

    def _grown(self, code: int) -> "Footprint":
        return dataclasses.replace(self, flash=None if self.flash is None else self.flash + code)

    def check(self, board: dict[str, Any]) -> None:
        """Raise LogGradError if the board has less."""
        if self.ram is not None and self.ram > board["ram"]["length"]:
            spare = board["ram"]["length"] - (self.ram - self.state)
            raise LogGradError(
                f"RAM: the image needs {self.ram} B, {board['name']} has {board['ram']['length']} B:"
                f" bring the state from {self.state} to {max(spare, 0)} B or choose a larger board"
            )
        if self.flash is not None and self.flash > board["flash"]["length"]:
            raise LogGradError(
                f"flash: the image needs {self.flash} B, {board['name']} has {board['flash']['length']} B:"
                " search for a smaller network or choose a larger board"
            )


def plan(
    graph: QuantGraph,
    source: Input,
    board: dict[str, Any],
    ram_tables: bool = False,
    flash: int | None = None,
    optimise: str = SPEED,
) -> Plan:
    """The plan for one board: the fastest layout of the constants that its flash can hold.

    Args:
      ram_tables: tables of partial sums lie in RAM.
      flash: bytes of flash to use in place of all that the board has.
      optimise: SPEED; FLASH, the smallest layout of the constants in place of the fastest; RAM, wide bands
        part by part (:mod:`export.plan.parts`), and maps over maps that have been read.
    """
    core, levels = board["core"], source.levels
    limit = flash if flash is not None or board["flash"] is None else board["flash"]["length"]
    options = kernels.choices(build(graph), levels, core)
    options = [
        dataclasses.replace(choice, ram_tables=ram_tables, overlaps=optimise == RAM) for choice in options
    ]
    if optimise == FLASH:
        options = options[-1:]
    if optimise == RAM:
        graph = parts.divided(graph, core, levels, options[0])
    for made in planning.plans(graph, core, levels, options):
        if limit is None or flash_bytes(made, source, board) <= limit:
            return made
    return made


def predict(made: Plan, source: Input, board: dict[str, Any]) -> Footprint:
    """The footprint of the project that :mod:`export.c.emit` writes, on one board."""
    state = memory.state_bytes(made, source)
    program = memory.program_bytes(state, source)
    if board["ram"] is None:
        return Footprint(state, program, None, None)
    statics = board["statics"][board["channel"]]
    ram = memory.rounded(program + statics, 8) + memory.rounded(made.ram_constants, 8) + board["stack"]
    return Footprint(
        state, program, ram, flash_bytes(made, source, board), stack_bytes(made, source, board["core"])
    )


# Rows of a window in the probes, each a pointer on the stack; what the generated functions differ by.
_PROBED_ROWS, _STACK_MARGIN = 3, 128


def stack_bytes(made: Plan, source: Input, core: str) -> int:
    """What a call of the network needs of the stack, built by GCC 12.2 as our projects are."""
    known = _sizes()["cores"][kernels.measured_core(core)]["stacks"]
    names = [
        costs.cost_name(n.kind, k.function) for n, k in zip(made.network.nodes, made.kernels, strict=True)
    ]
    deepest = max(known[name] for name in [*names, source.cost_name, *filter(None, [source.bin_loop])])
    rows = max((node.window_rows for node in made.network.nodes if node.kind in WINDOWS), default=0)
    return memory.rounded(deepest + 4 * max(rows - _PROBED_ROWS, 0) + _STACK_MARGIN, 64)


def flash_bytes(made: Plan, source: Input, board: dict[str, Any]) -> int:
    """Code and constants of the image for one board (its ``channel`` is the one it is built with)."""
    measured = measured_sizes(board)
    known = _sizes()["cores"][kernels.measured_core(board["core"])]
    program = measured.channels[board["channel"]]
    symbols = dict(program.symbols) | known["fronts"][source.cost_name]
    symbols |= known["binning"][source.bin_loop] if source.bin_loop else {}
    for node, kernel in zip(made.network.nodes, made.kernels, strict=True):
        symbols |= known["kernels"][costs.cost_name(node.kind, kernel.function)]
    nodes = sum(known["nodes"][node.kind] for node in made.network.nodes)
    states = len(made.network.states)
    nodes += known["states"]["first"] + known["states"]["each"] * states if states else 0
    text = len(f"{__version__}/{stamp(source)}") - measured.stamp
    return program.rest + sum(symbols.values()) + nodes + text + memory.data_bytes(made, source)


def measured_sizes(board: dict[str, Any]) -> BoardSizes:
    """What was measured of a board.

    Raises:
      LogGradError: nothing was, or the user's file of it is damaged; names the command that measures it.
    """
    return _measured(board["folder"])


@functools.cache
def _measured(folder: str) -> BoardSizes:
    board, sizes = boards.read(folder), _sizes()
    name = board["name"]
    command = f"measure them with python -m export.code_sizes {boards.as_flags(board)}"
    found = None
    if not boards.is_ours(board):
        path = Path(folder) / CODE_SIZES.name
        found = json_base.read_as(BoardSizes, path, command) if path.is_file() else None
    elif name in sizes["boards"]:
        found = BoardSizes.from_json({"stamp": sizes["stamp"], "channels": sizes["boards"][name]})
    core = kernels.measured_core(board["core"])
    if found is None or not found.channels.keys() >= board["statics"].keys() or core not in sizes["cores"]:
        raise LogGradError(f"board {name}: no code sizes; {command}")
    return found


@functools.cache
def _sizes() -> dict[str, Any]:
    return json.loads(CODE_SIZES.read_text())
