"""Groups of coupled channels, other channel counts, the schedule, and which channels go."""

import json

import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from models import zoo
from models.graph import WEIGHTED, Graph, GraphBuilder, Op, weight_count, weight_shapes
from models.pruning import channels as pruning
from models.pruning.channels import live_channels, spread
from models.recipe import Pruning


def coupled() -> Graph:
    """A depthwise and a pooled branch, added to a padded sum; a hidden dense layer."""
    b = GraphBuilder()
    x = b.conv(b.input(20, 20, 1), 6, 3, bn=True, relu=True)
    left = b.depthwise(b.conv(x, 5, 3, relu=True), 3, bn=True)
    right = b.max_pool(b.conv(x, 5, 1), 2)
    x = b.conv(b.add([left, right], relu=True), 4, 3)
    return b.build(b.dense(b.dense(b.flatten(x), 7, relu=True), 3))


def test_coupled_ops_are_one_group() -> None:
    found = {g.ops: (g.channels, g.prunable, g.first) for g in pruning.groups(coupled())}
    assert found == {
        ("input",): (1, False, False),
        ("conv_1",): (6, True, True),
        ("conv_2", "depthwise_3", "conv_4", "max_pool_5", "add_6"): (5, True, False),
        ("conv_7",): (4, True, False),
        ("dense_9",): (7, True, False),
        ("dense_10",): (3, False, False),
    }


def test_what_is_added_to_the_input_or_gives_the_logits_is_not_prunable() -> None:
    b = GraphBuilder()
    x = b.input(8, 8, 2)
    x = b.add([b.depthwise(b.max_pool(x, 2), 3), x, b.conv(x, 2, 3)])
    graph = b.build(b.global_avg(b.depthwise(b.conv(b.conv(x, 5, 1), 3, 3), 3)))
    assert [g.ops for g in pruning.groups(graph) if g.prunable] == [("conv_5",)]


def test_layers_fed_by_the_input_through_pools_are_first() -> None:
    b = GraphBuilder()
    x = b.input(16, 16, 1)
    side = b.conv(b.max_pool(x, 2), 4, 3)
    x = b.add([b.conv(b.conv(x, 8, 3), 4, 3), side])
    graph = b.build(b.dense(b.flatten(b.conv(x, 5, 1)), 3))
    assert {g.name: g.first for g in pruning.groups(graph) if g.prunable} == {
        "conv_2": True,  # by its operand beside: the whole sum is exempt
        "conv_3": True,
        "conv_6": False,
    }
    assert [g.name for g in pruning.prunable(graph)] == ["conv_6"]
    assert [g.name for g in pruning.prunable(graph, exempt_first=False)] == ["conv_2", "conv_3", "conv_6"]


def test_exits_are_where_a_reader_takes_the_channels() -> None:
    graph = coupled()
    assert pruning.exits(graph) == {"add_6": "conv_2", "conv_7": "conv_7", "dense_9": "dense_9"}
    assert pruning.exits(graph, exempt_first=False)["conv_1"] == "conv_1"


def test_other_widths_reach_every_op_of_a_group() -> None:
    graph = coupled()
    small = pruning.resized(graph, {"max_pool_5": 2, "conv_7": 3})
    shapes = {op.name: op.shape[-1] for op in small.ops}
    for name in ("conv_2", "depthwise_3", "conv_4", "max_pool_5", "add_6"):
        assert shapes[name] == 2
    assert shapes["flatten_8"] == 3 * 12 * 12 and shapes["conv_1"] == 6
    assert weight_count(small, small.ops[9]) == 3 * 12 * 12 * 7 + 7
    assert pruning.resized(graph, {}) == graph
    assert pruning.resized(small, {"conv_2": 5, "conv_4": 5, "conv_7": 4}) == graph


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"conv_2": 3, "conv_4": 4}, "'conv_2' and 'conv_4' are coupled, but are given 3 and 4"),
        ({"conv_3": 3}, "'conv_3' has no channels of its own"),
        ({"flatten_8": 3}, "'flatten_8' has no channels of its own"),
        ({"conv_7": 0}, "0 channels; at least one"),
        ({"dense_10": 2}, "input and output are given; 2 is not 3"),
        ({"input": 2}, "input and output are given; 2 is not 1"),
    ],
)
def test_impossible_widths_are_refused(widths: dict, message: str) -> None:
    with pytest.raises(LogGradError, match=message):
        pruning.resized(coupled(), widths)


def test_uniformly_takes_the_same_share_everywhere() -> None:
    graph = coupled()
    half = {op.name: op.shape[-1] for op in pruning.uniformly(graph, 0.5).ops}
    assert (half["conv_1"], half["add_6"], half["conv_7"], half["dense_9"]) == (6, 3, 2, 3)
    almost = pruning.uniformly(graph, 0.99, exempt_first=False)
    assert {g.channels for g in pruning.groups(almost) if g.prunable} == {1}
    assert pruning.uniformly(graph, 0.0) == graph
    with pytest.raises(LogGradError, match=r"sparsity 1\.0"):
        pruning.uniformly(graph, 1.0)


def test_the_schedule_is_cubic_and_ends_on_time() -> None:
    plan = Pruning(0.8, begin=0.5, end=0.9375, every=16)
    due = {n: s for n in range(1, 1281) if (s := plan.sparsity_after(n, 1280)) is not None}
    assert list(due) == list(range(656, 1201, 16))
    assert due[1200] == 0.8
    assert due[656 + 16 * 4] == pytest.approx(0.8 * (1 - (1 - 80 / 560) ** 3))
    assert list(due.values()) == sorted(due.values())


@pytest.mark.parametrize("total", [1, 2, 3, 17, 100])
@pytest.mark.parametrize("begin", [0.0, 0.5, 0.99])
def test_the_shortest_training_still_reaches_its_sparsity(total: int, begin: float) -> None:
    plan = Pruning(0.3, begin=begin, end=1.0)
    due = [s for n in range(1, total + 1) if (s := plan.sparsity_after(n, total)) is not None]
    assert due[-1] == 0.3


@pytest.mark.parametrize(
    "change",
    [{"sparsity": 0.0}, {"sparsity": 1.0}, {"begin": -0.1}, {"begin": 0.95}, {"end": 1.1}, {"every": 0}],
)
def test_bad_pruning_settings_are_refused(change: dict) -> None:
    with pytest.raises(LogGradError):
        Pruning(**{"sparsity": 0.5, **change})


def test_settings_round_trip() -> None:
    plan = Pruning(0.25, begin=0.1, end=0.7, every=3, exempt_first=False)
    assert Pruning.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    with pytest.raises(LogGradError, match="unknown key 'rate'"):
        Pruning.from_json({"sparsity": 0.5, "rate": 1})


def _kernels(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {op.name: rng.normal(size=weight_shapes(graph, op)[0]) for op in graph.ops if op.kind in WEIGHTED}


def _scores(graph: Graph, kernels: dict[str, np.ndarray], exempt_first: bool = True) -> dict[str, np.ndarray]:
    spreads = {op.name: spread(op, kernels[op.name], None, None) for op in graph.ops if op.name in kernels}
    return pruning.saliency(graph, pruning.prunable(graph, exempt_first), spreads, kernels)


def test_a_layer_of_small_weights_is_not_wiped_out() -> None:
    """Global ranking of plain norms would take all channels of the layer scaled down."""
    graph = zoo.small_bn(96, 3)
    kernels = _kernels(graph)
    live = live_channels(_scores(graph, kernels), 0.5)
    kernels["conv_5"] = kernels["conv_5"] * 1e-3
    again = live_channels(_scores(graph, kernels), 0.5)
    for name, channels in live.items():
        np.testing.assert_array_equal(channels, again[name])
    assert sum(int((~c).sum()) for c in live.values()) == round(0.5 * (10 + 16 + 32))


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 0.999])
def test_the_share_goes_and_one_of_each_group_stays(sparsity: float) -> None:
    rng = np.random.default_rng(1)
    scores = {"a": rng.random(30), "b": 1e-6 * rng.random(20), "c": rng.random(1)}
    live = live_channels(scores, sparsity)
    assert sum(int((~c).sum()) for c in live.values()) == min(round(sparsity * 51), 48)
    for name, channels in live.items():
        assert channels.any(), name
        assert channels[~channels].size == 0 or scores[name][~channels].max() <= scores[name][channels].min()


def test_nothing_prunable_is_no_error() -> None:
    assert live_channels({}, 0.5) == {}


def test_saliency_is_relative_spread_times_relative_reading_weights() -> None:
    graph = coupled()
    kernels = _kernels(graph)
    norms = [
        np.sqrt((kernels["conv_2"] ** 2).sum((0, 1, 2))),
        np.sqrt((kernels["depthwise_3"] ** 2).sum((0, 1, 3))),
        np.sqrt((kernels["conv_4"] ** 2).sum((0, 1, 2))),
    ]
    made = sum(n / np.sqrt((n**2).mean()) for n in norms) / 3
    read = np.sqrt((kernels["conv_7"] ** 2).sum((0, 1, 3)))
    expected = made * read / np.sqrt(((made * read) ** 2).mean())
    np.testing.assert_allclose(_scores(graph, kernels)["conv_2"], expected)
    # Behind the flatten, channel c of 4 is read by the rows c, c + 4, ...
    made = np.sqrt((kernels["conv_7"] ** 2).sum((0, 1, 2)))
    read = np.sqrt([(kernels["dense_9"][c::4] ** 2).sum() for c in range(4)])
    ratio = _scores(graph, kernels)["conv_7"] / (made * read)
    np.testing.assert_allclose(ratio, ratio[0])


def test_a_channel_that_nothing_reads_goes_first() -> None:
    graph = zoo.small_bn(96, 3)
    kernels = _kernels(graph)
    kernels["conv_5"][:, :, 3] = 0
    assert not live_channels(_scores(graph, kernels), 0.05)["conv_3"][3]


@pytest.mark.parametrize("relu", [True, False])
def test_spread_is_the_deviation_behind_batch_norm_and_relu(relu: bool) -> None:
    op = Op("conv", (0,), (4, 4, 5), bn=True, relu=relu)
    gamma, beta = np.array([1, -0.5, 0.3, 2, 0]), np.array([0, 0.7, -0.4, -3, 1.0])
    values = gamma * np.random.default_rng(0).normal(size=(400_000, 1)) + beta
    measured = (np.maximum(values, 0) if relu else values).std(axis=0)
    np.testing.assert_allclose(spread(op, np.ones((3, 3, 1, 5)), gamma, beta), measured, rtol=0.02, atol=1e-9)
