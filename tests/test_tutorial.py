"""docs/tutorial.ipynb: what is stored of it is small and tells nothing of the machine; it runs to its end."""

import os
import re
from pathlib import Path

import pytest

from tests.support import REPOSITORY

nbformat = pytest.importorskip("nbformat", reason="nbclient not installed (see make setup)")
pytest.importorskip("nbclient", reason="nbclient not installed (see make setup)")
NOTEBOOK = REPOSITORY / "docs/tutorial.ipynb"
CERTIFICATE = "16 vectors, 0 mismatches"


def _printed(notebook: "nbformat.NotebookNode") -> list[str]:
    """What each cell of code printed."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(o.text for o in cell.outputs if o.output_type == "stream") for cell in cells]


def test_it_is_stored_as_it_ran() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < 400_000
    assert re.findall(r"/(?:home|tmp|root|work|usr|Users)/", text) == []
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    assert CERTIFICATE in _printed(notebook)[-1]


@pytest.mark.seconds
@pytest.mark.qemu
def test_it_runs_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, 4)
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert CERTIFICATE in _printed(notebook)[-1]
    assert os.listdir(tmp_path) != []
