"""Figure 1: which photograph is shown, and that its panels are what the network is given."""

import numpy as np
import pytest

from experiments.figures import fig01_pipeline as fig01
from loggrad_tf.transform.frontend import FrontEnd, fixed
from loggrad_tf.transform.sensor import Sensor

SENSOR = Sensor(bits=12, black=0, white=4095)


def test_the_photograph_is_right_and_has_few_edges_before_it_is_sure() -> None:
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.99, 0.01]])
    busy = np.array([0.1, 0.1, 0.2, 0.5])
    assert fig01.chosen(shares, np.array([1, 1, 1, 0]), busy) == 1
    assert fig01.chosen(shares, np.array([1, 0, 1, 0]), busy) == 2
    assert fig01.chosen(shares, np.array([1, 0, 0, 1]), busy) == 3


def test_one_output_is_two_classes() -> None:
    shares = fig01.by_class(np.array([[0.0], [2.0]]))
    assert shares == pytest.approx(np.array([[0.5, 0.5], [1 / (1 + np.e**2), 1 / (1 + np.e**-2)]]))
    assert fig01.by_class(np.array([[1.0, 1.0, 1.0]])) == pytest.approx(np.full((1, 3), 1 / 3))


def test_panels_show_the_levels_that_the_network_is_given() -> None:
    pixels = np.random.default_rng(1).integers(0, 4096, (16, 16)).astype(np.uint16)
    front = fixed("loggrad_1p5", SENSOR)
    axes = fig01._figure(front, pixels, ("bicycle", "car"), np.array([0.2, 0.8])).axes
    raw, gradient, levels = (panel.images[0].get_array() for panel in axes[:3])
    assert np.array_equal(levels, front.encode(pixels[None])[0, ..., 0])
    assert np.array_equal(gradient, FrontEnd("loggrad_fp", SENSOR).encode(pixels[None])[0, ..., 0])
    assert raw.shape == (16, 16) and raw.max() == 255
    weights = {text.get_text(): text.get_weight() for text in axes[3].texts if text.get_text()}
    assert weights == {"bicycle": "normal", "car": "bold"}
