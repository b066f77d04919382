"""What a network will take of a board, before it has weights.

The same planner that writes the C counts :func:`export.quantization.nominal.nominal`, the int8 network that
the converter will make. RAM is the image's to the byte, flash within two per cent, instructions are the
ones that :mod:`export.firmware` predicts; latency and energy follow from the cycles that it predicts
(:mod:`export.predict.power`).
"""

import dataclasses
from typing import Any

from export import boards
from export.plan.input import Input, describe
from export.plan.plan import Plan
from export.predict import costs, footprint, power
from export.predict.footprint import Footprint
from export.quantization.nominal import nominal
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import Graph


@dataclasses.dataclass(frozen=True)
class Deployed(JsonBase):
    """A network on a board.

    Attributes:
      ram: bytes of the linked image: stack, statics, state.
      flash: bytes of the image: code and constants.
      instructions: of one frame, front end included, predicted.
      latency: seconds a frame, estimated.
      energy: joules a frame, estimated.
    """

    ram: int
    flash: int
    instructions: int
    latency: float
    energy: float


def deployed(graph: Graph, front_end: FrontEnd, board: str, binning: int = 1) -> Deployed:
    """Count ``graph`` behind ``front_end`` as the image for one board.

    A network that is too large for the board is counted all the same, its constants laid out as small as
    they can be.

    Args:
      board: see :func:`export.boards.read`.
      binning: 1, 2 or 4: the board averages so many codes squared to a pixel first.
    Raises:
      LogGradError: no such board, a board without memory to count (host), an input that the front end
        does not fill, or more calls a frame than the C counts (:data:`export.plan.schedule.MAX_CALLS`).
    """
    facts, source, made, found = planned(graph, front_end, board, binning)
    assert found.ram is not None and found.flash is not None
    cycles = sum(costs.cycles(made, source, facts["core"]))
    return Deployed(
        ram=found.ram,
        flash=found.flash,
        instructions=sum(costs.predict(made, source, facts["core"])),
        latency=power.latency(cycles, facts).nominal,
        energy=power.energy(cycles, facts).nominal,
    )


def fixed_ram(graph: Graph, front_end: FrontEnd, board: str) -> int:
    """Bytes of the image's RAM that are no state of ``graph`` and its front end: stack, program, its line.

    Raises:
      LogGradError: as :func:`deployed`.
    """
    found = planned(graph, front_end, board)[3]
    assert found.ram is not None
    return found.ram - found.state


def planned(
    graph: Graph, front_end: FrontEnd, board: str, binning: int = 1
) -> tuple[dict[str, Any], Input, Plan, Footprint]:
    """Facts of the board, the input, the plan of the network's C, and what its image takes.

    Raises:
      LogGradError: as :func:`deployed`.
    """
    facts = boards.read(board)
    if facts["ram"] is None or facts["flash"] is None:
        raise LogGradError(f"board '{board}' has no memory to count: choose one with a microcontroller")
    network = nominal(graph, front_end)
    tensor = network.tensors[network.input]
    source = describe(front_end, tensor.shape, tensor.scale, tensor.zero_point, binning)
    room = None if graph.cells is None else facts["flash"]["length"] - footprint.CELLS_BYTES
    made = footprint.plan(network, source, facts, flash=room)
    found = footprint.predict(made, source, facts)
    return facts, source, made, found if graph.cells is None else found.with_cells()
