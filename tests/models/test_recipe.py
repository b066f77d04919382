"""models.recipe: settings that train nothing are refused."""

import pytest

from loggrad_tf.errors import LogGradError
from models.recipe import TrainConfig


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"momentum": -1.0}, {"weight_decay": 2.0}, {"label_smoothing": 7.0}, {"shift": -4},
     {"schedule": "linear"}],
)  # fmt: skip
def test_bad_training_settings_are_refused(change: dict) -> None:
    with pytest.raises(LogGradError):
        TrainConfig(**change)
