"""What an image takes of its board: RAM to the byte, flash within two per cent.

    RAM   = program's statics + board's statics + stack
    flash = program + front end + sum over kinds (kernel) + sum over layers (description, call, constants)

Code sizes are those of GCC 12.2 at -O2 per core, in ``code_sizes.json``; ``python -m export.code_sizes``
measures them again.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from export import emit, front, kernels
from export import plan as planning
from export.nodes import build
from export.plan import Plan
from export.quant_graph import QuantGraph
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
    source: front.Input,
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
    for choice in options:
        made = planning.plan(graph, core, levels, dataclasses.replace(choice, ram_tables=ram_tables))
        if limit is None or flash_bytes(made, source, core) <= limit:
            return made
    return made


def predict(made: Plan, source: front.Input, board: dict[str, Any]) -> Footprint:
    """The footprint of the project that :mod:`export.emit` writes, on one board."""
    state, program = emit.state_bytes(made, source), emit.program_bytes(made, source)
    if board["ram"] is None:
        return Footprint(state, program, None, None)
    statics = board["statics"][board["channel"]]
    ram = _round(program + statics) + _round(made.ram_constants) + board["stack"]
    return Footprint(state, program, ram, flash_bytes(made, source, board["core"]))


def _round(size: int) -> int:
    return -(-size // 8) * 8


def flash_bytes(made: Plan, source: front.Input, core: str) -> int:
    """Code and constants of the image for one core."""
    sizes = json.loads(CODE_SIZES.read_text())
    if core not in sizes:
        raise LogGradError(f"core {core}: no code sizes; measure them with python -m export.code_sizes")
    code = sizes[core]
    functions = sum(code[name] for name in {kernel.function for kernel in made.kernels})
    nodes = sum(code[f"{node.kind}_node"] for node in made.network.nodes)
    return code["program"] + code[source.kind] + functions + nodes + data_bytes(made, source)


def data_bytes(made: Plan, source: front.Input) -> int:
    """Weights, scales, tables, rows of padding and the order of calls."""
    table = source.table
    order = len(made.schedule.calls) * (1 if len(made.network.nodes) <= 255 else 2)
    padding = sum(emit.padding(made).values())
    return made.constant_bytes + padding + order + (0 if table is None else table.nbytes)
