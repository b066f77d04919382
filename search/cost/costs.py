"""What a network costs, counted twice: as muNAS counts it, and as the board will hold it.

``munas`` (:mod:`search.cost.munas`): one byte an element, the input not counted. ``deployed``
(:mod:`export.predict.deployed`): RAM and flash of the image that :mod:`export.firmware` would make of
it for one board, and its predicted instructions. Both are reported for every candidate; the
bounds say which of them a search minimises.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

from export.predict.deployed import deployed
from loggrad_tf.json_base import JsonBase
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import Graph
from search.cost.munas import resources

# Cheapest to count first.
RESOURCES = ("macs", "size", "peak_memory", "ram", "flash", "latency", "energy")
MODELS = ("deployed", "munas")
DEPLOYED = ("ram", "flash", "latency", "energy")


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a network is to run: behind which front end, on which board of firmware/boards."""

    front_end: FrontEnd
    board: str


@dataclasses.dataclass(frozen=True)
class Costs(JsonBase):
    """Costs of one network.

    Attributes:
      peak_memory: bytes of activations, as muNAS counts them.
      size: bytes of weights, one each.
      macs: multiply-accumulates a frame.
      ram, flash: bytes of the whole image on the target's board.
      instructions: predicted, a frame, front end included.
      latency: seconds a frame, estimated.
      energy: joules a frame, estimated.
    """

    peak_memory: int
    size: int
    macs: int
    ram: int
    flash: int
    instructions: int
    latency: float
    energy: float


def costs(graph: Graph, target: Target) -> Costs:
    """All costs of ``graph`` on ``target``."""
    return Costs(**_munas(graph), **_deployed(graph, target))


def count(graph: Graph, target: Target, names: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """The costs in ``names`` one by one, the cheap ones first; what is not asked for is not computed."""
    for name in sorted(names, key=RESOURCES.index):
        yield name, (_deployed(graph, target) if name in DEPLOYED else _munas(graph))[name]


@functools.lru_cache(maxsize=4096)
def _munas(graph: Graph) -> dict[str, Any]:
    return resources(graph).to_json()


@functools.lru_cache(maxsize=4096)
def _deployed(graph: Graph, target: Target) -> dict[str, Any]:
    return deployed(graph, target.front_end, target.board).to_json()
