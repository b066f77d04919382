"""search.run.profiles: of few images a training is as long as of a thousand; long ones are kept from
overfitting."""

import dataclasses

import pytest

from loggrad_tf.data.summary import FEW
from models.recipe import OVERFITTING, RECIPES
from search.run.profiles import PROFILES, for_images, trained_out
from search.strategy.method import Method


@pytest.mark.parametrize("name", list(PROFILES))
@pytest.mark.parametrize("images", [FEW, 1691, 10**6])
def test_a_profile_is_meant_for_sets_that_are_not_small(name: str, images: int) -> None:
    assert for_images(PROFILES[name], images) == PROFILES[name]


def test_of_few_images_epochs_and_rungs_see_as_many() -> None:
    quick = PROFILES["quick"]
    few = for_images(quick, 212)
    assert (few.train.epochs, few.rungs, few.final.epochs) == (38, (10, 19), 472)
    for images in (quick.train.batch_size, 212, 500, FEW - 1):
        found = for_images(quick, images)
        lengths = (*found.rungs, found.train.epochs, found.final.epochs)
        usual = (*quick.rungs, quick.train.epochs, quick.final.epochs)
        for epochs, before in zip(lengths, usual, strict=True):
            assert 0 <= epochs * images - before * FEW < images
        assert found.reached_rungs == found.rungs and found.final.shift == quick.final.shift


def test_of_fewer_than_a_batch_there_are_as_many_steps_as_of_one() -> None:
    quick = PROFILES["quick"]
    batch = quick.train.batch_size
    assert for_images(quick, 9) == for_images(quick, 1) == for_images(quick, batch)
    assert for_images(quick, batch + 1).train.epochs < for_images(quick, 9).train.epochs == 125


def _with_final(name: str, epochs: int) -> Method:
    profile = PROFILES[name]
    return dataclasses.replace(profile, final=dataclasses.replace(profile.final, epochs=epochs))


def test_finals_trained_out_are_trained_by_the_long_recipe() -> None:
    for size in (48, 96):
        long = RECIPES["long"](size)
        found = trained_out("quick", _with_final("quick", long.epochs), size)
        assert found.final.of(found.train) == long
    brief = _with_final("quick", OVERFITTING - 1)
    assert trained_out("quick", brief, 96) == brief
    longest = trained_out("quick", _with_final("quick", OVERFITTING), 96)
    assert longest.final.cutout == 24
    shortened = dataclasses.replace(longest, final=dataclasses.replace(longest.final, epochs=40))
    assert trained_out("quick", shortened, 96).final.cutout is None
    for name in ("paper", "faithful"):
        assert trained_out(name, _with_final(name, 300), 96).final.cutout is None
