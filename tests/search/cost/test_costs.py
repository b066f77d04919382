"""search.cost.costs: both counts of one network, side by side."""

import dataclasses

import pytest

from export.predict.deployed import deployed
from loggrad_tf.errors import LogGradError
from models.zoo import small_bn
from search.cost.costs import RESOURCES, Costs, costs, count
from search.cost.munas import resources
from tests.support.search_cases import TARGET

GRAPH = small_bn(48, 3)
# A line of a journal.
STORED = {
    "peak_memory": 1, "size": 2, "macs": 3, "ram": 4, "flash": 5, "instructions": 6, "latency": 0.7,
    "energy": 0.8,
}  # fmt: skip


def test_costs_are_what_both_count() -> None:
    found = costs(GRAPH, TARGET)
    own = resources(GRAPH).to_json() | deployed(GRAPH, TARGET.front_end, TARGET.board).to_json()
    assert found.to_json() == own
    assert dict(count(GRAPH, TARGET, RESOURCES)) == {name: own[name] for name in RESOURCES}


def test_a_journal_holds_them_flat_and_in_order() -> None:
    assert Costs.from_json(STORED) == Costs(1, 2, 3, 4, 5, 6, 0.7, 0.8)
    assert list(Costs.from_json(STORED).to_json().items()) == list(STORED.items())
    assert dataclasses.astuple(Costs.from_json(STORED)) == tuple(STORED.values())
    with pytest.raises(LogGradError, match="Costs: key 'ram' is missing"):
        Costs.from_json({name: value for name, value in STORED.items() if name != "ram"})
