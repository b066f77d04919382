"""Sensors: which one suffices, and the thresholds a network keeps at another depth."""

import numpy as np

from experiments.beyond import sensor
from loggrad_tf.transform.frontend import FrontEnd
from loggrad_tf.transform.sensor import Sensor


def test_the_sensor_that_suffices_is_followed_by_none_that_does_not() -> None:
    values = [8, 10, 12, 14]
    assert sensor.enough(values, np.array([[0.5, 0.9, 0.9, 0.9]]), 0.9) == 10
    assert sensor.enough(values, np.array([[0.9, 0.5, 0.9, 0.892]]), 0.9) == 12
    assert sensor.enough(values, np.array([[0.9, 0.9, 0.9, 0.5]]), 0.9) is None
    assert sensor.enough(values, np.array([[0.9, 0.9, 0.9, 0.9]]), 0.905) == 8
    # The mean over seeds decides.
    assert sensor.enough(values, np.array([[0.8, 1, 1, 1], [1.0, 1, 1, 1]]), 1.0) == 10


def test_another_depth_keeps_the_thresholds() -> None:
    front = FrontEnd("loggrad_1p5", Sensor(12, 256, 4095), (5000,))
    moved = sensor.at_depth(front, 8)
    assert moved.sensor == Sensor(8, 0, 255) and moved.ratios == (5000,)
