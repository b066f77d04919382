"""What a network costs, counted twice: as muNAS counts it, and as the board will hold it.

``munas`` (:mod:`search.cost.munas`): one byte an element, the input not counted. ``deployed``
(:mod:`export.predict.deployed`): RAM and flash of the image that :mod:`export.firmware` would make of
it for one board, its predicted instructions, and latency and energy of its cycles. Both are reported for
every candidate; the bounds say which of them a search minimises.
"""

import dataclasses
import functools
from collections.abc import Iterator

from export.predict.deployed import Deployed, deployed
from loggrad_tf.transform.frontend import FrontEnd
from models.graph import Graph, macs
from search.cost.munas import Resources, resources, size

# Cheapest to count first.
RESOURCES = ("macs", "size", "peak_memory", "ram", "flash", "latency", "energy")
# Of those, counted in no time.
EXACT = ("macs", "size")
MODELS = ("deployed", "munas")
_OF_BOARD = tuple(field.name for field in dataclasses.fields(Deployed))


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a network is to run: behind which front end, on which board (:func:`export.boards.read`)."""

    front_end: FrontEnd
    board: str


@dataclasses.dataclass(frozen=True)
class Costs(Deployed, Resources):
    """Costs of one network: muNAS' counts, then the board's; in JSON they lie side by side."""


def costs(graph: Graph, target: Target) -> Costs:
    """All costs of ``graph`` on ``target``."""
    return Costs(**vars(_munas(graph)), **vars(_deployed(graph, target)))


def count(graph: Graph, target: Target, names: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """The costs in ``names`` one by one, the cheap ones first; what is not asked for is not computed."""
    for name in sorted(names, key=RESOURCES.index):
        yield name, _exact(graph)[name] if name in EXACT else getattr(_counted(graph, target, name), name)


def _counted(graph: Graph, target: Target, name: str) -> Deployed | Resources:
    return _deployed(graph, target) if name in _OF_BOARD else _munas(graph)


@functools.lru_cache(maxsize=4096)
def _exact(graph: Graph) -> dict[str, int]:
    return {"macs": sum(macs(graph, op) for op in graph.ops), "size": size(graph)}


@functools.lru_cache(maxsize=4096)
def _munas(graph: Graph) -> Resources:
    return resources(graph)


@functools.lru_cache(maxsize=4096)
def _deployed(graph: Graph, target: Target) -> Deployed:
    return deployed(graph, target.front_end, target.board)
