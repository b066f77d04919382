"""search.run.plots: the front as a table and as a picture."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.cost.objectives import Bounds, Point, pareto_front
from search.run.plots import BLUE, VERMILLION, by_error, write_csv, write_png
from tests.support.search_cases import MUNAS, point


def _points() -> dict[int, Point]:
    rng = np.random.default_rng(0)
    return {
        i: point(float(rng.uniform(0.1, 0.6)), *(int(x) for x in 10 ** rng.uniform(3, 6, 3)))
        for i in range(60)
    }


def test_csv(tmp_path: Path) -> None:
    front = pareto_front(_points(), MUNAS)
    write_csv(tmp_path / "front.csv", front)
    rows = list(csv.DictReader((tmp_path / "front.csv").open(newline="")))
    assert [int(r["candidate"]) for r in rows] == by_error(front)
    errors = [float(r["val_error"]) for r in rows]
    assert errors == sorted(errors)
    first = front[int(rows[0]["candidate"])]
    assert {name: float(rows[0][name]) for name in first.costs.to_json()} == first.costs.to_json()


def _has_colour(image: np.ndarray, colour: str) -> bool:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(image.astype(int) - rgb).max(axis=2) < 8).any())


@pytest.mark.seconds
def test_png_shows_front_and_best(tmp_path: Path) -> None:
    points = _points()
    front = pareto_front(points, MUNAS)
    write_png(tmp_path / "a.png", points, front, Bounds(), min(front), "title")
    write_png(tmp_path / "b.png", points, front, Bounds(None, None, 1000, None), None, "title")
    image, without = (np.array(Image.open(tmp_path / n).convert("RGB")) for n in ("a.png", "b.png"))
    assert image.shape[1] >= 1500
    assert _has_colour(image, BLUE) and _has_colour(image, VERMILLION)
    assert not _has_colour(without, VERMILLION)
    assert not list(tmp_path.glob(".*"))
