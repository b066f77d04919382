"""What an image takes of its board: RAM to the byte, flash within two per cent.

    RAM   = stack + copied tables + program's statics + board's statics
    flash = program + union of the functions of front end and kernels + nodes + constants

Code sizes are those of GCC 12.2 at -O2 per core and board, in ``code_sizes.json``;
``python -m export.code_sizes`` measures them again.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from export.plan import kernels, memory
from export.plan import plan as planning
from export.plan.input import Input, stamp
from export.plan.nodes import build
from export.plan.plan import Plan
from export.predict import costs
from export.tflite.quant_graph import QuantGraph
from loggrad_tf import __version__
from loggrad_tf.errors import LogGradError

CODE_SIZES = Path(__file__).parent / "code_sizes.json"


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Bytes of an image. ``ram`` and ``flash`` are None where the board has no such bound (host).

    Attributes:
      state: sizeof(net_state).
      program: static RAM of the program, the state included.
      ram: all RAM, the stack included.
      flash: code and constants.
    """

    state: int
    program: int
    ram: int | None
    flash: int | None

    @property
    def text(self) -> str:
        if self.ram is None or self.flash is None:
            return f"state {self.state:,} B"
        return f"RAM {self.ram:,} B (state {self.state:,} B), flash {self.flash:,} B"

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
) -> Plan:
    """The plan for one board: the fastest layout of the constants that its flash can hold.

    Args:
      ram_tables: tables of partial sums lie in RAM.
      flash: bytes of flash to use in place of all that the board has.
    """
    core, levels = board["core"], source.levels
    limit = flash if flash is not None or board["flash"] is None else board["flash"]["length"]
    options = kernels.choices(build(graph), core, levels)
    options = [dataclasses.replace(choice, ram_tables=ram_tables) for choice in options]
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
    return Footprint(state, program, ram, flash_bytes(made, source, board))


def flash_bytes(made: Plan, source: Input, board: dict[str, Any]) -> int:
    """Code and constants of the image for one board (its ``channel`` is the one it is built with)."""
    sizes = _sizes()
    core = kernels.measured_core(board["core"])
    if core not in sizes["cores"] or board["name"] not in sizes["boards"]:
        raise LogGradError(f"board {board['name']}: no code sizes; measure with python -m export.code_sizes")
    known = sizes["cores"][core]
    program = sizes["boards"][board["name"]][board["channel"]]
    symbols = dict(program["symbols"]) | known["fronts"][source.cost_name]
    symbols |= known["binning"][source.bin_loop] if source.bin_loop else {}
    for node, kernel in zip(made.network.nodes, made.kernels, strict=True):
        symbols |= known["kernels"][costs.cost_name(node.kind, kernel.function)]
    nodes = sum(known["nodes"][node.kind] for node in made.network.nodes)
    text = len(f"{__version__}/{stamp(source)}") - sizes["stamp"]
    return program["rest"] + sum(symbols.values()) + nodes + text + memory.data_bytes(made, source)


@functools.cache
def _sizes() -> dict[str, Any]:
    return json.loads(CODE_SIZES.read_text())
