"""From a downloaded PASCALRAW archive to every figure: the real lists and geometry, and the whole command."""

import csv
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from experiments.catalogue import EXPERIMENTS
from loggrad_tf.data import pascalraw, synthetic
from loggrad_tf.data.dng import write_dng
from loggrad_tf.data.sources import assign
from tests.conftest import REPOSITORY

# Of the real photographs, as LibRaw shows them (Nikon D3200).
WIDTH, HEIGHT = 6034, 4012
# Side of the images; reading at a fourth of it takes larger ones.
SIZES = dict.fromkeys(EXPERIMENTS, 32) | {"multiscale": 64}


@pytest.fixture
def real_lists(shared: Path, tmp_path: Path) -> Path:
    """The archive's own annotations beside an empty folder of photographs."""
    with tarfile.open(next((shared / "data/pascalraw_annotations").glob("*.tar.gz"))) as tar:
        tar.extractall(tmp_path, filter="data")
    (tmp_path / "original/raw").mkdir(parents=True)
    return tmp_path


@pytest.mark.seconds
def test_the_real_archive_is_dealt_by_photograph(real_lists: Path) -> None:
    notes = sorted((real_lists / "VOC2014/Annotations").glob("*.xml"))
    for note in notes:
        (real_lists / f"original/raw/{note.stem}.nef").touch()
    source = pascalraw.plan(real_lists)
    objects = Counter(label for picture in source.pictures for label in picture.labels)
    assert len(notes) == len(source.pictures) == 4259 and not source.rejects
    assert objects == {"bicycle": 708, "car": 1765, "person": 4077}
    dealt = Counter()
    for picture in assign(source.pictures):
        dealt.update((label, picture.split) for label in picture.labels)
    for label, count in objects.items():
        for split, share in (("train", 0.70), ("val", 0.15), ("test", 0.15)):
            assert dealt[label, split] / count == pytest.approx(share, abs=0.03)


@pytest.mark.seconds
def test_a_photograph_of_the_real_size_is_cut_where_its_boxes_are(real_lists: Path) -> None:
    path = real_lists / "original/raw/2014_000949.nef"
    across = np.linspace(100, 2000, WIDTH)[None, :]
    down = np.linspace(0, 2000, HEIGHT)[:, None]
    write_dng(path, (across + down).astype(np.uint16), cfa="RGGB", white=4025)
    (picture,) = pascalraw.plan(real_lists).pictures
    assert picture.frame == (600, 400)
    (box,) = picture.boxes
    for mode in ("gray", "mosaic"):
        crop = pascalraw.cut(picture, 96, mode, "stretch").crops[0]
        assert isinstance(crop, np.ndarray)
        # The square about the box, shifted into the frame; the middle of the slope is its mean.
        side = max((box.xmax - box.xmin + 1) / 600 * WIDTH, (box.ymax - box.ymin + 1) / 400 * HEIGHT)
        middle = []
        centres = ((box.xmin - 1 + box.xmax) / 1200 * WIDTH, (box.ymin - 1 + box.ymax) / 800 * HEIGHT)
        for centre, limit in zip(centres, (WIDTH, HEIGHT), strict=True):
            length = min(side, limit)
            middle.append(min(max(centre, length / 2), limit - length / 2))
        expected = 100 + 1900 * middle[0] / WIDTH + 2000 * middle[1] / HEIGHT
        assert crop.mean() == pytest.approx(expected, abs=4)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty drawn photographs in the archive's layout, and room for a cache and results beside it."""
    folder = tmp_path_factory.mktemp("miniature")
    synthetic.write_archive(folder / "PASCALRAW", 60, seed=5, workers=1)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_figure_is_made_of_a_downloaded_archive(miniature: Path, name: str) -> None:
    spec = f"pascalraw:{miniature / 'PASCALRAW'}"
    command = [sys.executable, "-m", "experiments", f"--figure={name}", f"--data={spec}"]
    scale = [f"--size={SIZES[name]}", "--epochs=1", "--seeds=1", f"--out={miniature / 'figures'}"]
    done = subprocess.run(
        [*command, *scale],
        cwd=REPOSITORY,
        env=os.environ | {"LOGGRAD_CACHE": str(miniature / "cache")},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    folder = miniature / "figures" / name
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and all(None not in row and None not in row.values() for row in rows)
    assert [path for path in folder.glob("*.png") if path.stat().st_size > 5000]
    assert (folder / "claims.md").read_text().count("\n") >= 3
    assert json.loads((folder / "study.json").read_text())["data"] == spec
