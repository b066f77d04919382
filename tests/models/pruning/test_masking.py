"""Masks that end within bounds: on their way, at the end, and in the network that is left."""

import keras
import numpy as np
import pytest

from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from models import keras_net
from models.graph import Graph, GraphBuilder, macs
from models.pruning import channels as pruning
from models.pruning.masking import MaskUpdates
from models.recipe import Pruning, TrainConfig
from models.training import fit
from models.training.fit import TrainResult
from tests.models.training.test_fit import stripes, tiny

PLAN = Pruning(None, begin=0.1, end=0.6, every=3, exempt_first=False)
# Of three classes and 16 x 16 pixels.
BOUND = 30_000


def wide() -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input(16, 16, 1), 12, 3, stride=2, bn=True, relu=True)
    x = b.conv(b.conv(x, 10, 3, bn=True, relu=True), 14, 3, padding="same", relu=True)
    return b.build(b.dense(b.global_avg(x), 3))


def fits(graph: Graph) -> bool:
    return sum(macs(graph, op) for op in graph.ops) <= BOUND


def _is_full(graph: Graph) -> bool:
    """Fits, and with one channel more of any group it does not."""
    groups = pruning.prunable(graph, exempt_first=False)
    return fits(graph) and not any(fits(pruning.resized(graph, {g.name: g.channels + 1})) for g in groups)


def _train(plan: Pruning = PLAN) -> TrainResult:
    data, config = stripes(), TrainConfig(epochs=6, batch_size=16, schedule="cosine", shift=1)
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    return fit.train(wide(), data, front_end, config, 0, pruning=plan, fits=fits)


@pytest.mark.seconds
def test_training_ends_with_the_largest_network_that_fits() -> None:
    result = _train()
    assert not fits(wide()) and _is_full(result.graph)
    model = keras_net.build(result.graph)
    assert [w.shape for w in model.get_weights()] == [w.shape for w in result.weights]
    assert result.val_error < 0.2


@pytest.mark.seconds
def test_the_same_arguments_leave_the_same_network() -> None:
    first, second = _train(), _train()
    assert first.graph == second.graph and first.history == second.history
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_channels_go_by_the_cubic_schedule_and_stay_gone_after_it() -> None:
    keras.utils.set_random_seed(0)
    model = keras_net.build(wide(), masked=pruning.exits(wide(), exempt_first=False))
    updates = MaskUpdates(model, wide(), PLAN, 100, fits)
    rng = np.random.default_rng(0)
    gone, live = [], []
    for _ in range(100):
        for variable in model.trainable_variables:
            variable.assign(variable + 1e-4 * rng.normal(size=variable.shape))
        updates.after_step()
        live.append(np.concatenate(list(updates.live.values())))
        gone.append(int((~live[-1]).sum()))
    last = gone[-1]
    assert last > 5 and all((row == live[59]).all() for row in live[59:])
    assert gone[:12] == [0] * 12 and gone[12] > 0
    for batches in range(13, 60, 3):
        assert gone[batches - 1] == round(last * (1 - (1 - (batches - 10) / 50) ** 3))
    left = {name: int(channels.sum()) for name, channels in updates.live.items()}
    small, shrunk = updates.shrunk()
    assert small == pruning.resized(wide(), left) and _is_full(small)
    assert shrunk.output_shape == (None, 3)


def test_a_network_that_fits_loses_nothing() -> None:
    graph = tiny()
    model = keras_net.build(graph, masked=pruning.exits(graph))
    updates = MaskUpdates(model, graph, Pruning(None), 8, lambda g: True)
    for _ in range(8):
        updates.after_step()
    assert updates.shrunk()[0] == graph


def test_pruning_ends_at_a_share_or_within_bounds() -> None:
    graph = tiny()
    model = keras_net.build(graph)
    for plan, bounds in ((Pruning(None), None), (Pruning(0.5), fits)):
        with pytest.raises(LogGradError, match="at a sparsity or within bounds: give one"):
            MaskUpdates(model, graph, plan, 8, bounds)
    data = stripes()
    front_end = frontend.fixed("loggrad_1p5", data.sensor)
    with pytest.raises(LogGradError, match="within bounds must prune"):
        fit.train(graph, data, front_end, TrainConfig(epochs=1), 0, fits=fits)


def test_bounds_out_of_reach_are_refused_before_the_first_step() -> None:
    with pytest.raises(LogGradError, match=r"one channel in each of conv_1, conv_2; raise the bounds"):
        MaskUpdates(keras_net.build(tiny()), tiny(), PLAN, 8, lambda g: False)
