"""models.training.measure: error and loss of a network on a split."""

import math

import keras
import numpy as np
import pytest

from loggrad_tf.transform import frontend
from models import keras_net
from models.training.measure import evaluate, guesses, majority_error, measure
from tests.models.training.test_fit import stripes, tiny


@pytest.mark.parametrize(("classes", "units"), [(3, 3), (2, 1)])
def test_error_and_loss_are_those_of_keras(classes: int, units: int) -> None:
    data = stripes(classes, each=20)
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    keras.utils.set_random_seed(0)
    model = keras_net.build(tiny(units))
    error, loss = measure(model, data, front_end, "val")
    pixels, labels = data.subset("val")
    scores = model(front_end.encode(pixels))
    if units == 1:
        expected = keras.losses.BinaryCrossentropy(from_logits=True)(labels[:, None], scores)
        answers = (scores[:, 0] > 0).numpy()
    else:
        expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, scores)
        answers = np.argmax(scores, axis=1)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert error == np.mean(answers != labels) == evaluate(model, data, front_end, "val")
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    assert measure(model, data, front_end, "val") == (1.0, math.inf)


def test_what_is_no_better_than_the_largest_class_is_named() -> None:
    data = stripes(3, each=20)
    least = majority_error(data, "test")
    assert guesses(least - 0.01, data, "test") is None
    for error in (least, 1.0):
        warning = guesses(error, data, "test")
        assert warning is not None and f"test error {error:.2%}: no better than always answering" in warning
        assert f"({least:.2%})" in warning and "train it longer" in warning
