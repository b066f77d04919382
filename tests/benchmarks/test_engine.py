"""What the benchmarks of the generated C take, refuse and print; what they measure takes minutes."""

from pathlib import Path

import pytest

from benchmarks import engine, ram
from benchmarks.engine import Cost, Row
from loggrad_tf.errors import LogGradError
from tests.support import quantized


def test_networks_are_names_or_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.tflite"
    with pytest.raises(LogGradError, match="mine.tflite is not there"):
        engine.find(str(path), tmp_path)
    path.write_bytes(b"")
    assert engine.find(str(path), tmp_path) == path
    with pytest.raises(LogGradError, match="choose of 2conv1fc, dsmall, resnet, vww_96"):
        engine.find("mine", tmp_path)


def test_both_runtimes_stand_side_by_side() -> None:
    rows = [
        Row("a", "cortex-m4", Cost(1000, 1500, 64, 4096), Cost(2000, 2500, 128, 8192), 0, 3, 8),
        Row("b", "cortex-m55", Cost(10, None, 64, None), engine.NOTHING, 1, None, 4),
    ]
    _, first, second, note = engine.table(rows, "a note").split("\n")
    assert " ".join(first.split()[2:]) == "1,000 2,000 1,500 2,500 64 128 4,096 8,192 0 of 8 3"
    assert " ".join(second.split()[2:]) == "10 - - - 64 - - - 1 of 4 -"
    assert note == "a note"


@pytest.mark.parametrize(
    ("starts", "expected", "asked"),
    [
        (2864, 2864, [None, 2864]),
        (3000, 3056, [None, 2864, 2992, 3248, 3120, 3056]),
    ],
)
def test_the_least_arena_is_one_that_starts(
    starts: int, expected: int, asked: list[int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an interpreter that uses 2,864 B and starts in more."""
    seen: list[int | None] = []

    def used(model: Path, board: str, work: Path, arena: int | None) -> int | None:
        seen.append(arena)
        return 2864 if arena is None or arena >= starts else None

    monkeypatch.setattr(engine, "_arena_used", used)
    assert engine.least_arena(tmp_path, "mps2-an386", tmp_path) == expected
    assert seen == asked


def test_a_curve_begins_with_the_usual_plan(tmp_path: Path) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes(quantized.separable())
    first, *_ = ram.rows(model)
    assert first.startswith("| `net` | ") and first.endswith(" | +0.0% |") and " | 1.000 | " in first
    with pytest.raises(LogGradError, match="no such file"):
        next(ram.rows(tmp_path / "none.tflite"))
