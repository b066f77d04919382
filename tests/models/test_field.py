"""models.field: how far an output sees, counted by hand and by what a changed pixel changes."""

import numpy as np
import pytest

from models import zoo
from models.field import receptive_field
from models.graph import SAME, Graph, GraphBuilder


def _detector() -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input(64, 96, 1), 2, 5, stride=2, padding=SAME, relu=True)
    x = b.max_pool(x, 2)
    y = b.depthwise(x, 3, padding=SAME, relu=True)
    x = b.add([x, y], relu=True)
    return b.build(b.conv(x, 2, 1))


def test_by_hand() -> None:
    """5 of the stem, 2 more by the pool, 2 x 4 by the depthwise one; the way round it sees less."""
    assert receptive_field(_detector()) == (5 + 2 + 2 * 4,) * 2
    b = GraphBuilder()
    x = b.conv(b.input(40, 40, 1), 2, 3, stride=4, padding=SAME)
    assert receptive_field(b.build(b.conv(b.max_pool(x, 1, 2), 1, 3))) == (3 + 8, 3 + 4 + 16)


def test_of_a_classifier_it_is_that_of_its_last_map() -> None:
    assert receptive_field(zoo.small_bn(96, 3)) == (3 + 2 + 8 + 4 + 16 + 8 + 32,) * 2


@pytest.mark.seconds
def test_a_pixel_outside_changes_nothing() -> None:
    import keras

    from models import keras_net

    graph = _detector()
    model = keras_net.build(graph)
    model.set_weights([np.abs(w) + 0.1 for w in model.get_weights()])
    frames = np.zeros((1, 64, 96, 1), np.float32)
    before = model.predict(frames, verbose=0)[0, 8, 12]
    rows, columns = [], []
    for y in range(64):
        frames[:] = 0
        frames[0, y] = 1
        rows.append(bool((model.predict(frames, verbose=0)[0, 8, 12] != before).any()))
    for x in range(96):
        frames[:] = 0
        frames[0, :, x] = 1
        columns.append(bool((model.predict(frames, verbose=0)[0, 8, 12] != before).any()))
    keras.backend.clear_session()
    assert (sum(rows), sum(columns)) == receptive_field(graph)
