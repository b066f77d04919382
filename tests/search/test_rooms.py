"""The rooms of the search import one way: a lower one knows nothing of a higher one."""

import ast
from pathlib import Path

import pytest

from tests.support import REPOSITORY

SEARCH = REPOSITORY / "search"
# What each room may import of the others; the doors, modules of no room, may import all.
BASE = {"knob"}
MAY = {"space": BASE}
MAY["cost"] = MAY["space"] | {"space"}
MAY["record"] = MAY["cost"] | {"cost"}
MAY["workers"] = MAY["strategy"] = MAY["record"] | {"record"}
MAY["run"] = MAY["record"] | {"record", "workers", "strategy"}
MAY["reporting"] = MAY["run"] | {"run"}


def imported(path: Path) -> set[str]:
    """Rooms, or modules of none, that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found = [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            found = [name.name for name in node.names]
        else:
            continue
        names |= {name.split(".")[1] for name in found if name.startswith("search.")}
    return names


@pytest.mark.parametrize("room", MAY)
def test_a_room_imports_lower_ones_only(room: str) -> None:
    modules = sorted((SEARCH / room).glob("*.py"))
    assert modules
    wrong = {path.name: found for path in modules if (found := imported(path) - MAY[room] - {room})}
    assert not wrong


def test_every_room_has_its_place() -> None:
    rooms = {path.parent.name for path in SEARCH.glob("*/__init__.py")}
    assert rooms == set(MAY)
    assert not imported(SEARCH / "knob.py")


def test_an_import_inside_a_function_counts(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from search.run.config import Config\n    import search.report\n")
    assert imported(path) == {"run", "report"}
