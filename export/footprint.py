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

from export import emit, front
from export.plan import Plan, constant_bytes
from export.quant_graph import QuantGraph
from loggrad_tf.errors import LogGradError

CODE_SIZES = Path(__file__).parent / "code_sizes.json"
# Static variables of firmware/boards/common: two handles of the host channel, the SysTick's count.
HOST_CHANNEL_BYTES, SYSTICK_BYTES = 8, 4


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


def predict(graph: QuantGraph, plan: Plan, source: front.Input, board: dict[str, Any]) -> Footprint:
    """The footprint of the project that :mod:`export.emit` writes, on one board."""
    state, program = emit.state_bytes(plan, source), emit.program_bytes(plan, source)
    if board["ram"] is None:
        return Footprint(state, program, None, None)
    statics = HOST_CHANNEL_BYTES + (SYSTICK_BYTES if "systick.c" in board["common"] else 0)
    ram = -(-(program + statics) // 8) * 8 + board["stack"]
    return Footprint(state, program, ram, flash_bytes(graph, source, board["core"]))


def flash_bytes(graph: QuantGraph, source: front.Input, core: str) -> int:
    """Code and constants of the image for one core."""
    sizes = json.loads(CODE_SIZES.read_text())
    if core not in sizes:
        raise LogGradError(f"core {core}: no code sizes; measure them with python -m export.code_sizes")
    code = sizes[core]
    kinds = [op.kind for op in graph.ops if op.kind != "reshape"]
    layers = sum(code[kind] for kind in set(kinds)) + sum(code[f"{kind}_layer"] for kind in kinds)
    return code["program"] + code[source.kind] + layers + data_bytes(graph, source)


def data_bytes(graph: QuantGraph, source: front.Input) -> int:
    """Weights, scales and tables."""
    table = source.table
    return sum(constant_bytes(op) for op in graph.ops) + (0 if table is None else table.nbytes)
