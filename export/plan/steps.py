"""A frame in steps: into how many pieces ``net_step`` cuts a row of each node, and the longest call left.

A row is cut where it would take more than :data:`SHARE` of a frame, as far as its kernel can make a part of
it: a convolution some columns, a dense layer some outputs, a gradient in front some columns. Rows that are
binned, or looked up in a table pixel by pixel, are not cut.
``net_push_row`` makes whole rows; the bytes are the same.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

from export.plan import memory
from export.plan.input import Input
from export.plan.nodes import CONVOLUTIONS, Network, Node
from export.plan.plan import Plan, macs
from export.plan.schedule import NEXT_ROW

# Of a frame, for one call: below the 2 % that are promised, since a prediction may be off.
SHARE = 0.015
# The C counts the pieces of a row, and those that a node has made, in bytes.
MOST_PIECES = 255
# Without a prediction: what a value, made or read, weighs in multiply-accumulates.
_VALUE = 10


@dataclasses.dataclass(frozen=True)
class Steps:
    """How a frame is cut.

    Attributes:
      pieces: of a row of each node.
      count: calls of ``net_step`` that a frame takes.
      share: of a frame that the longest call takes, as predicted.
      longest: whose call that is, the title of a node or ``input``.
      front: of a line of the front end; 1: net_feed_row does it.
    """

    pieces: tuple[int, ...]
    count: int
    share: float
    longest: str
    front: int = 1

    @property
    def text(self) -> str:
        return f"{self.count:,} of net_step, the longest call {self.share:.1%} of a frame ({self.longest})"


def whole(plan: Plan, source: Input) -> Steps:
    """Rows as they are."""
    return _steps(plan, source, _weights(plan, source), [1] * len(plan.network.nodes))


def cut(plan: Plan, source: Input, work: Sequence[int] | None, front: bool = True) -> Steps:
    """Rows cut as far as :data:`SHARE` asks for it.

    Args:
      work: cycles or instructions that are predicted of every node, and of the input last; None: what can be
        counted stands for them.
      front: whether lines of the front end may be cut, too.
    """
    known = _weights(plan, source) if work is None else work
    network, calls, limit = plan.network, Counter(plan.schedule.calls), SHARE * sum(known)
    pieces = []
    for place, node in enumerate(network.nodes):
        row = known[place] / max(calls[place], 1)
        most = min(columns(network, node), _largest_count(plan) // max(calls[place], 1))
        fitting = (n for n in range(1, most) if row * _largest(network, node, n) <= limit)
        pieces.append(next(fitting, max(most, 1)))
    parts = 1
    if front and source.delayed and _line(source, known, 1) > limit:
        most = min(MOST_PIECES, source.line_pixels)
        parts = next((n for n in range(2, most) if _line(source, known, n) <= limit), most)
    return _steps(plan, source, known, pieces, parts)


def columns(network: Network, node: Node) -> int:
    """What a row of a node may be cut between: columns, outputs by fours, or nothing."""
    out = network.maps[node.output]
    if node.kind in CONVOLUTIONS:
        return out.width
    return math.ceil(out.pixels / 4) if node.kind == "dense" else 1


def _largest(network: Network, node: Node, pieces: int) -> float:
    """The share of a row that the largest of its pieces has."""
    units = columns(network, node)
    return math.ceil(units / pieces) / units


def _largest_count(plan: Plan) -> int:
    return min(MOST_PIECES, 256 ** memory.count_bytes(plan) - 1)


def _weights(plan: Plan, source: Input) -> list[int]:
    """What stands for cycles where nothing is predicted."""
    network, made = plan.network, plan.schedule.made
    nodes = [
        macs(network, node) + _VALUE * made[node.output] * network.maps[node.output].pixels
        for node in network.nodes
    ]
    return [*nodes, _VALUE * source.rows * source.row_codes]


def _line(source: Input, work: Sequence[int], parts: int) -> float:
    """The longest call of the front end: a part of a line, two columns more, or a row that is binned."""
    line = work[-1] / source.lines
    if parts > 1:
        binned = line / source.binning if source.binning > 1 else 0.0
        columns = min(math.ceil(source.line_pixels / parts) + 2, source.line_pixels)
        return max(line * columns / source.line_pixels, binned)
    # Line 1 makes two lines.
    return (2 if source.delayed else 1) * line


def _steps(plan: Plan, source: Input, work: Sequence[int], pieces: Sequence[int], front: int = 1) -> Steps:
    network, calls, total = plan.network, Counter(plan.schedule.calls), max(sum(work), 1)
    found = [(_line(source, work, front), "input")]
    for place, node in enumerate(network.nodes):
        row = work[place] / max(calls[place], 1)
        found.append((row * _largest(network, node, pieces[place]), node.title))
    worst, longest = max(found)
    made = sum(n * pieces[node] for node, n in calls.items() if node != NEXT_ROW)
    flushes = front if source.delayed and not source.crop else 0
    # Of every line, and of the first of output, when line 1 is there.
    parts = front * (source.lines + (source.lines > 1)) if front > 1 else 0
    return Steps(tuple(pieces), made + flushes + parts, worst / total, longest, front)
