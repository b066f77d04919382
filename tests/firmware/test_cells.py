"""Objects in C as in :mod:`loggrad_tf.detect.decode`, each as soon as the row below it is there."""

import numpy as np
import pytest

from loggrad_tf.detect import decode
from tests.support import firmware_cases as fc
from tests.support.firmware_cases import BOARDS, Case, Program, case

RUNNER = "lg_cells_cases"
SHAPES = ((1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (10, 15), (7, 20))
# All values, a few (plateaus and ties), the extremes.
VALUES = (range(-128, 128), range(3), (-128, 127))


def cells_case(scores: np.ndarray, threshold: int, name: str) -> Case:
    """
    Args:
      scores: int8 [rows, columns, 1 + classes].
    """
    rows, columns, channels = scores.shape
    found = decode.objects(scores[None], threshold)
    answer: list[int] = []
    for there in range(rows + 1):
        known = there - 1 if there < rows else rows
        before = answer_rows(there - 1, rows) if there else 0
        new = found[(found["row"] >= before) & (found["row"] < known)]
        answer.append(len(new))
        for one in new:
            answer += [int(one[field]) for field in ("row", "column", "label", "margin")]
    return case(
        "cells",
        [rows, columns, channels, threshold],
        [scores],
        np.array(answer, np.int32).tobytes(),
        ticks=True,
        memory=8 * rows * columns,
        name=f"{name} {scores.shape} at {threshold}",
    )


def answer_rows(there: int, rows: int) -> int:
    """Rows whose objects are known when so many rows are there."""
    return rows if there == rows else max(there - 1, 0)


def cases(each: int) -> list[Case]:
    made, random = [], np.random.default_rng(0)
    for shape in SHAPES:
        for channels in (2, 3, 5):
            for values in VALUES:
                for _ in range(each):
                    scores = random.choice(np.array(values, np.int8), (*shape, channels))
                    threshold = int(random.choice([decode.EVERYTHING, -255, -1, 0, 1, 2, 40, 254, 255, 256]))
                    made.append(cells_case(scores, threshold, f"{min(values)}..{max(values)}"))
    # A flat map is one plateau: its first cell stands, and whatever no neighbour is ahead of.
    made.append(cells_case(np.zeros((6, 8, 3), np.int8), 0, "flat"))
    return made


def test_equal_to_numpy_on_the_host() -> None:
    """Under the sanitizers, the map a heap block of just its size."""
    made = cases(40)
    assert len(made) > 2000 and max(len(one.expected) for one in made) > 400
    fc.assert_equal(fc.build_host(RUNNER), made)


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS)
def test_equal_to_numpy_on_boards(board: str) -> None:
    fc.assert_equal(fc.build_board(board, RUNNER), cases(2))


def instructions(board: Program, scores: np.ndarray, threshold: int) -> float:
    answer = fc.run(board, [cells_case(scores, threshold, "")])[0]
    return int.from_bytes(answer[-4:], "little") * board.instructions_per_tick / scores[..., 0].size


@pytest.mark.qemu
def test_instructions_per_cell() -> None:
    """Of the Cortex-M4: where nothing is found, and where every cell asks all of its neighbours."""
    board, random = fc.build_board("mps2-an386", RUNNER), np.random.default_rng(1)
    scores = random.integers(-128, 128, (10, 15, 4)).astype(np.int8)
    none, every = (instructions(board, scores, limit) for limit in (256, decode.EVERYTHING))
    print(f"{none:.0f} and {every:.0f} instructions a cell")
    assert none < 60 and every < 400
