"""models.recipe: settings that train nothing are refused; what a recipe's name stands for."""

import pytest

from loggrad_tf.errors import LogGradError
from models.recipe import RECIPES, TrainConfig, recipe


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"momentum": -1.0}, {"weight_decay": 2.0}, {"label_smoothing": 7.0}, {"shift": -4},
     {"cutout": -1}, {"schedule": "linear"}],
)  # fmt: skip
def test_bad_training_settings_are_refused(change: dict) -> None:
    with pytest.raises(LogGradError):
        TrainConfig(**change)


def test_recipes_by_name() -> None:
    assert RECIPES["quick"](96) == TrainConfig(
        epochs=40, batch_size=64, schedule="cosine", flip=True, shift=4
    )
    assert RECIPES["long"](96) == TrainConfig(
        epochs=300, batch_size=64, learning_rate=0.03, momentum=0.9, weight_decay=1e-4, schedule="cosine",
        label_smoothing=0.1, flip=True, shift=8, cutout=24,
    )  # fmt: skip
    assert RECIPES["long"](48).cutout == 12
    assert recipe("long", 48) == RECIPES["long"](48)
    detector = recipe("quick", (120, 160), detects=True)
    assert (detector.zoom, detector.cutout, detector.optimizer) == (0.25, 0, "adam")


def test_a_recipe_without_zoom_is_written_as_it_always_was() -> None:
    """Jobs of experiments and journals of searches are known by it."""
    assert "zoom" not in TrainConfig().to_json()
    scaled = TrainConfig(zoom=0.5)
    assert TrainConfig.from_json(scaled.to_json()) == scaled
    with pytest.raises(LogGradError, match="zoom 2: give what the largest scale exceeds 1 by"):
        TrainConfig(zoom=2)


def test_a_recipe_of_before_is_read() -> None:
    stored = TrainConfig(epochs=3).to_json()
    del stored["cutout"]
    assert TrainConfig.from_json(stored) == TrainConfig(epochs=3)
