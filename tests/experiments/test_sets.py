"""Data sets made from another one are prepared sets like any other."""

from pathlib import Path

import numpy as np
import pytest

from experiments import sets
from experiments.beyond import sensor
from loggrad_tf.data.dataset import load, open_prepared
from loggrad_tf.errors import LogGradError
from tests.support.experiment_cases import small_set


@pytest.mark.seconds
def test_other_splits_and_fewer_crops(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    chosen = np.arange(1, len(data.labels), 2)
    split = np.array([0, 1, 2] * 6, np.uint8)
    sets.write(tmp_path / "made", data, chosen, split)
    made = open_prepared(tmp_path / "made")
    assert np.array_equal(made.pixels, data.pixels[chosen])
    assert np.array_equal(made.labels, data.labels[chosen]) and np.array_equal(made.split, split)
    assert (made.class_names, made.sensor) == (data.class_names, data.sensor)
    assert made.manifest_sha256 != data.manifest_sha256
    lines = sets.manifest(made)
    assert [line["file"] for line in lines] == [sets.manifest(data)[place]["file"] for place in chosen]
    assert [line["split"] for line in lines[:3]] == ["train", "val", "test"]


def test_the_same_crops_have_the_same_manifest(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    sets.write(tmp_path / "made", data, np.arange(len(data.labels)), data.split)
    assert open_prepared(tmp_path / "made").manifest_sha256 == data.manifest_sha256


@pytest.mark.seconds
def test_a_made_set_is_its_own_source(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    sets.write(tmp_path / "made", data, np.arange(6), data.split[:6])
    made = open_prepared(tmp_path / "made")
    size = made.pixels.shape[1]
    assert made.spec == f"prepared:{tmp_path / 'made'}" != data.spec
    again = load(made.spec, size=size)
    assert (again.spec, again.manifest_sha256) == (made.spec, made.manifest_sha256)
    with pytest.raises(LogGradError, match=f"size 8, mode gray, fit stretch: give --size={size} --mode=gray"):
        load(made.spec, size=8)
    sets.write(tmp_path / "again", made, np.arange(4), made.split[:4])
    twice = open_prepared(tmp_path / "again")
    assert twice.spec == f"prepared:{tmp_path / 'again'}" and np.array_equal(twice.pixels, data.pixels[:4])


@pytest.mark.seconds
def test_a_set_read_once_more_is_noisier(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    made = []
    for snr in (5, 80):
        folder = tmp_path / str(snr)
        folder.mkdir()
        sensor.Reread(data.path, data.manifest_sha256, snr).run(folder)
        made.append(open_prepared(folder / sets.SET))
    errors = [np.std(noisy.pixels.astype(float) - data.pixels) for noisy in made]
    assert errors[0] > 8 * errors[1] > 0
    assert len({made[0].manifest_sha256, made[1].manifest_sha256, data.manifest_sha256}) == 3
    assert all(np.array_equal(noisy.split, data.split) for noisy in made)
