"""loggrad_tf.data.sides: a size in code, in JSON and as people write it."""

from pathlib import Path

import pytest

from loggrad_tf.data import dataset
from loggrad_tf.data.request import Request
from loggrad_tf.data.sides import dimensions, parsed, short, sides, size_of
from loggrad_tf.errors import LogGradError
from tests.support.archives import dng


@pytest.mark.parametrize(
    ("text", "rows", "columns", "kept"), [("96", 96, 96, 96), ("240x160", 160, 240, [160, 240])]
)
def test_forms(text: str, rows: int, columns: int, kept: int | list[int]) -> None:
    size = parsed(text)
    assert sides(size) == (rows, columns) and size_of(rows, columns) == size
    assert short(size) == text and dimensions(size) == f"{columns}x{rows}"
    request = Request("synthetic", size, "gray")
    assert request.to_json()["size"] == kept and Request.from_json(request.to_json()) == request


def test_a_square_has_one_form() -> None:
    assert parsed("96x96") == 96


@pytest.mark.parametrize("text", ["", "x", "96x", "x96", "9.5", "-8", "240X160", "1x2x3", "999999"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(LogGradError, match="write the side of a square"):
        parsed(text)


@pytest.mark.parametrize("value", [[160], [160, 240, 1], [160, 2.5], "96", True, 96.0, None, {"rows": 160}])
def test_other_json_is_refused(value: object) -> None:
    with pytest.raises(LogGradError, match="Request: size"):
        Request.from_json({"spec": "synthetic", "size": value, "mode": "gray"})


def test_a_set_of_rectangles_is_opened_as_it_was_asked_for(tmp_path: Path) -> None:
    for label in ("cup", "plate"):
        for index in range(4):
            dng(tmp_path / f"raw/{label}/{index}.dng", index, sides=(60, 80))
    data = dataset.load(f"folder:{tmp_path / 'raw'}", size=(24, 40), cache=tmp_path / "cache")
    assert data.pixels.shape == (8, 24, 40) and data.size == (24, 40) and data.reference.size == (24, 40)
    again = dataset.load(f"prepared:{data.path}", size=(24, 40))
    assert again.manifest_sha256 == data.manifest_sha256
    with pytest.raises(LogGradError, match=r"prepared at size 40x24.*give --size=40x24"):
        dataset.load(f"prepared:{data.path}", size=24)
