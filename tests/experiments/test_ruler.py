"""Folds as prepared sets, and what is compared crop by crop."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from experiments import sets
from experiments.jobs import save_network
from experiments.ruler import Fold, Ruler, ruler, spread, told
from experiments.study import Study, front_end, held_out, network
from loggrad_tf.data import folds
from loggrad_tf.data.dataset import open_prepared
from models.recipe import TrainConfig
from models.training import fit
from models.training.measure import predict
from models.zoo import small_bn
from tests.support.experiment_cases import SIZE, small_set


@pytest.mark.seconds
def test_folds_hold_out_every_crop_once(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    parts = []
    for number in range(3):
        folder = tmp_path / f"fold{number}"
        folder.mkdir()
        said = Fold(data.path, data.manifest_sha256, number, 3).run(folder)
        assert said == "12 of 36 crops held out"
        parts.append(open_prepared(folder / sets.SET))
    held = np.stack([part.split == 1 for part in parts])
    assert (held.sum(axis=0) == 1).all() and all((part.split < 2).all() for part in parts)
    assert np.array_equal(held.argmax(axis=0), folds.deal(data.groups(), data.labels, 3))
    pixels, labels = held_out(parts[0])
    assert np.array_equal(pixels, data.pixels[held[0]]) and np.array_equal(labels, data.labels[held[0]])
    for part in parts:
        assert not {*np.array(part.groups())[part.split == 1]} & {*np.array(part.groups())[part.split == 0]}


@pytest.mark.seconds
def test_one_split_is_measured_on_validation_and_test(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    study = Study("x", data.spec, "quick", {}, tmp_path / "out", 1)
    rule = ruler(study, data, 1)
    names = np.array(data.groups())
    assert rule.parts == (data,) and not (tmp_path / "out").exists()
    assert rule.groups == (*names[data.split == 1], *names[data.split == 2])
    assert rule.parted.tolist() == [0] * 12


@pytest.mark.seconds
def test_a_network_of_a_fold_has_no_test_error(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    split = np.where(data.split == 2, 1, data.split)
    part = dataclasses.replace(data, split=split)
    front, config = front_end(part, "loggrad_1p5"), TrainConfig(epochs=1, batch_size=8, trainer="native")
    graph = small_bn(SIZE, 3)
    trained = fit.train(graph, part, front, config, 0)
    said = save_network(tmp_path, part, front, trained, config, 0)
    assert said == f"validation {1 - trained.val_error:.1%} right"
    assert network(tmp_path).metrics == {"val_error": trained.val_error}
    rule = Ruler((part,), (), np.zeros(12, np.int64))
    logits = rule.logits([tmp_path])
    found = rule.right(logits)
    assert found.shape == (1, 12) and found.mean() == pytest.approx(1 - trained.val_error)
    # Asked without Keras, a network answers as with it.
    saved, (pixels, _) = network(tmp_path), held_out(part)
    np.testing.assert_allclose(logits[0].T, predict(saved.model(), front, pixels), atol=1e-4)
    other = dataclasses.replace(front, ratios=(2**20,))
    np.testing.assert_allclose(
        rule.logits([tmp_path], lambda _: other)[0].T, predict(saved.model(), other, pixels), atol=1e-4
    )


def sample() -> Ruler:
    return Ruler((), tuple(str(k // 2) for k in range(40)), np.arange(40) // 20)


def test_pairs_are_points_of_the_same_crops() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(40) < 0.4
    worse = np.stack([hard, hard])
    better = worse.copy()
    better[:, :8] = True
    gain = 100 * (better.mean() - worse.mean())
    [pair] = sample().pairs("accuracy", {"jpeg8": better, "raw16": worse})
    assert (pair["measure"], pair["one"], pair["other"]) == ("accuracy", "jpeg8", "raw16")
    assert pair["points"] == pytest.approx(gain, abs=0.01) and pair["low"] < gain < pair["high"]
    assert told([pair], {"jpeg8": "JPEG"}).startswith(f"JPEG over raw16 {gain:+.1f} points (")
    [same] = sample().pairs("accuracy", {"a": worse, "b": worse})
    assert (same["points"], same["low"], same["high"]) == (0, 0, 0)
    assert len(sample().pairs("accuracy", dict.fromkeys("abcd", worse))) == 6
    # One seed does not show how much trainings differ.
    assert sample().pairs("accuracy", {"a": worse[:1], "b": better[:1]}) == []


def test_fewer_crops_of_each_part() -> None:
    few = sample().thinned(5)
    assert few.parted.tolist() == [0] * 5 + [1] * 5
    assert [int(name) for name in few.groups] == [k // 2 for k in (0, 5, 10, 14, 19, 20, 25, 30, 34, 39)]
    assert spread(3, 10).tolist() == [0, 1, 2]


def test_answers_are_joined_seed_by_seed() -> None:
    rule = Ruler((None, None), (), np.zeros(0, np.int64))  # type: ignore[arg-type]
    joined = rule.joined([np.array([1, 2]), np.array([3]), np.array([4, 5]), np.array([6])])
    assert joined.tolist() == [[1, 2, 3], [4, 5, 6]]
