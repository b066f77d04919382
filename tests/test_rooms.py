"""The rooms of WORKSPACE.md: who may import whom, and no circle among modules."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPOSITORY

PACKAGES = ("loggrad_tf", "models", "export", "search", "firmware", "experiments", "benchmarks")
_ROW = re.compile(r"^\| `([a-z_.]+)` \|[^|]*\|([^|]*)\|$", re.MULTILINE)


def table() -> dict[str, set[str]]:
    """Room -> rooms that it may import, itself and what they may import included."""
    text = (REPOSITORY / "WORKSPACE.md").read_text()
    direct = {room: set(re.findall(r"`([a-z_.]+)`", below)) for room, below in _ROW.findall(text)}

    def closure(room: str, above: tuple[str, ...] = ()) -> set[str]:
        assert room in direct, f"WORKSPACE.md: no row of its own for {room}"
        assert room not in above, f"WORKSPACE.md: {' -> '.join((*above, room))} is a circle"
        return {room}.union(*(closure(one, (*above, room)) for one in direct[room]))

    return {room: closure(room) for room in direct}


@functools.cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, of all packages."""
    found = {}
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def tree(name: str) -> ast.Module:
    """A module, without what only a type checker imports."""
    module = ast.parse(modules()[name].read_text())
    module.body = [one for one in module.body if not (isinstance(one, ast.If) and _is_for_types(one))]
    return module


def _is_for_types(one: ast.If) -> bool:
    return isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING"


def imports(name: str, everywhere: bool) -> Iterator[str]:
    """Modules of ours that one imports; those inside functions only where ``everywhere``."""
    module = tree(name)
    for node in ast.walk(module) if everywhere else module.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        if isinstance(node, ast.ImportFrom) and node.module in modules():
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else str(node.module)


def is_door(name: str) -> bool:
    """Is it run as a command, in the first floor of its package?"""
    text = modules()[name].read_text()
    return (
        name.count(".") == 1 and '\nif __name__ == "__main__":' in text and name.split(".")[0] != "benchmarks"
    )


def room(name: str) -> str:
    path = modules()[name]
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def test_every_room_has_its_row_and_every_row_its_room() -> None:
    assert set(table()) == {room(name) for name in modules()}


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_import_what_the_map_says(package: str) -> None:
    allowed = table()
    wrong = []
    for name in modules():
        if name.split(".")[0] != package:
            continue
        below = {one for r, all_ in allowed.items() if r.split(".")[0] == package for one in all_}
        for other in imports(name, everywhere=True):
            if is_door(name):
                fine = room(other) in below or is_door(other)
            elif package in ("experiments", "benchmarks"):
                fine = room(other) in allowed[room(name)] or is_door(other)
            else:
                fine = room(other) in allowed[room(name)] and not (is_door(other) and package != "firmware")
            if not fine:
                wrong.append(f"{name} imports {other}")
    assert not wrong, "; ".join(wrong)


def test_no_circle_among_modules() -> None:
    """Imports at the head of a file; those inside a function are late on purpose."""
    graph = {name: set(imports(name, everywhere=False)) - {name} for name in modules()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle: {' -> '.join((*above[above.index(name) :], name))}"
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())
