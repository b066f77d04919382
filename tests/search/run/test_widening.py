"""Wider starts, pruned down to all kinds of bounds."""

import numpy as np
import pytest

from models.graph import WEIGHTED, Graph, GraphBuilder
from models.pruning.channels import fitting, prunable, resized
from models.zoo import small_bn
from search.cost.costs import costs
from search.cost.objectives import Bounds, Within, overrun
from search.run.widening import FACTOR, widened
from tests.support.search_cases import TARGET

NONE = Bounds(error=None, peak_memory=None, size=None, macs=None)


def _widths(graph: Graph) -> list[int]:
    return [op.shape[-1] for op in graph.ops if op.kind in WEIGHTED]


def test_every_layer_is_wider_but_the_logits() -> None:
    assert _widths(widened(small_bn(48, 3), 1.5)) == [12, 15, 24, 48, 3]
    assert _widths(widened(small_bn(48, 3), 1.01)) == [9, 11, 17, 33, 3]
    assert widened(small_bn(48, 3)) == widened(small_bn(48, 3), FACTOR)
    b = GraphBuilder()
    x = b.conv(b.input(16, 16, 1), 4, 3)
    x = b.add([b.depthwise(x, 3, padding="same"), x])
    assert _widths(widened(b.build(b.dense(b.flatten(x), 3)), 2)) == [8, 8, 3]


@pytest.mark.parametrize(
    "names", [("macs",), ("size",), ("ram",), ("peak_memory",), ("flash", "macs"), ("ram", "macs", "size")]
)
def test_a_wider_start_can_be_pruned_into_the_bounds_of_what_it_was_made_of(names: tuple[str, ...]) -> None:
    graph = small_bn(32, 3)
    own = costs(graph, TARGET)
    bounds = Bounds(**(NONE.to_json() | {name: getattr(own, name) for name in names}))
    wide, fits = widened(graph), Within(TARGET, bounds)
    groups = prunable(wide, exempt_first=False)
    scores = {g.name: np.random.default_rng(k).lognormal(size=g.channels) for k, g in enumerate(groups)}
    assert not fits(wide)
    left = {name: int(live.sum()) for name, live in fitting(wide, scores, fits).items()}
    assert overrun(costs(resized(wide, left), TARGET), bounds) <= 1
    for group in groups:
        more = left | {group.name: left[group.name] + 1}
        assert left[group.name] == group.channels or not fits(resized(wide, more)), group.name
