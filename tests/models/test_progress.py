"""models.progress: what a training says of an epoch."""

import pytest

from models import progress


@pytest.mark.parametrize("detects", [False, True])
def test_the_error_of_a_detector_is_that_of_cells(detects: bool, capsys: pytest.CaptureFixture[str]) -> None:
    show = progress.of_epochs("net", 2, detects)
    show(0, {"loss": 1.0, "error": 0.25})
    show(1, {"loss": 0.5, "error": 0.125})
    what = "error of cells in training" if detects else "training error"
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"net: epoch 1/2, {what} 25.0%, ")
    assert last.startswith(f"net: epoch 2/2, {what} 12.5%, ")
