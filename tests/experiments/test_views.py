"""Views: demosaicing by hand and against scipy, binning, and that a view is a prepared set of its own."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from experiments import sets, views
from experiments.study import Study
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import open_prepared
from loggrad_tf.transform.sensor import MONO
from tests.support.experiment_cases import SIZE, write_pictures


def test_demosaicing_is_bilinear() -> None:
    mosaic = np.random.default_rng(0).integers(0, 65536, (3, 10, 12)).astype(np.uint16)
    row, column = np.mgrid[:10, :12]
    sites = {"R": (row % 2 == 0) & (column % 2 == 0), "B": (row % 2 == 1) & (column % 2 == 1)}
    sites["G"] = (row + column) % 2 == 1
    diagonal = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    straight = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    made = views.demosaiced(mosaic)
    for image, gray in zip(mosaic, made, strict=True):
        # scipy calls mirroring about the outermost pixel "mirror".
        colour = {
            name: ndimage.convolve(
                image * where.astype(float), diagonal if name != "G" else straight, mode="mirror"
            )
            for name, where in sites.items()
        }
        assert all(np.array_equal(colour[name][where], image[where]) for name, where in sites.items())
        expected = np.floor((colour["R"] + 2 * colour["G"] + colour["B"]) / 4 + 0.5)
        assert np.array_equal(gray, expected)
    assert made.dtype == np.uint16
    flat = np.tile(np.array([[100, 60], [60, 20]], np.uint16), (4, 5))
    assert (views.demosaiced(flat) == 60).all()  # (100 + 2 60 + 20) / 4


def study(folder: Path, spec: str) -> Study:
    return Study("x", spec, "quick", {}, folder / "out", 1)


@pytest.mark.seconds
def test_a_view_is_a_gray_set_of_the_same_photographs(tmp_path: Path) -> None:
    spec = f"folder:{write_pictures(tmp_path / 'pictures', each=6)}"
    mosaic = dataset.load(spec, size=SIZE, mode="mosaic", cache=tmp_path / "cache")
    found = {}
    for name, side in (("demosaiced", SIZE), ("binned_2", SIZE // 2), ("binned_4", SIZE // 4)):
        folder = tmp_path / name
        folder.mkdir()
        views.View(name, mosaic.path, mosaic.manifest_sha256).run(folder)
        made = found[name] = open_prepared(folder / sets.SET)
        assert made.pixels.shape == (18, side, side) and made.pixels.dtype == np.uint16
        assert (made.mode, made.sensor.cfa, made.sensor.span) == ("gray", MONO, mosaic.sensor.span)
        assert np.array_equal(made.labels, mosaic.labels) and np.array_equal(made.split, mosaic.split)
    assert len({made.manifest_sha256 for made in (mosaic, *found.values())}) == 4
    quads = np.asarray(mosaic.pixels, int).reshape(18, SIZE // 2, 2, SIZE // 2, 2).sum((2, 4))
    assert np.array_equal(found["binned_2"].pixels, (quads + 2) // 4)
