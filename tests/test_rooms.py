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


@pytest.mark.seconds
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


def knowing(package: str) -> list[str]:
    """Modules that import a foreign package, or reach it as an attribute, as in ``tf.lite``."""
    found = []
    for name, path in modules().items():
        reached = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                reached |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                reached |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                reached.add(f"{node.value.id}.{node.attr}")
        shortened = (one.replace("tensorflow.", "tf.") for one in reached)
        if any(one == package or one.startswith(f"{package}.") for one in shortened):
            found.append(name)
    return found


@pytest.mark.seconds
def test_one_module_knows_the_converter_and_one_the_interpreter() -> None:
    """``firmware`` imports nothing of ``export``, so its verifier has an interpreter of its own."""
    assert knowing("tf.lite") == ["export.quantization.converter"]
    assert knowing("ai_edge_litert") == ["export.tflite.interpreter", "firmware.verify"]


def names_of(module: str) -> set[str]:
    """What a module defines at its head, or lists as public."""
    found: set[str] = set()
    for node in ast.parse(modules()[module].read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
            if "__all__" in found and isinstance(node.value, ast.List):
                found |= set(ast.literal_eval(node.value))
    return found


def exists(name: str) -> bool:
    """Is a dotted name a module, or what a module defines?"""
    module, attributes = name, list[str]()
    while module not in modules() and "." in module:
        module, _, last = module.rpartition(".")
        attributes.insert(0, last)
    return module in modules() and (not attributes or attributes[0] in names_of(module))


_PACKAGE = "|".join(PACKAGES)
_ROLE = re.compile(rf":(?:mod|func|class|data|meth):`((?:{_PACKAGE})\.[\w.]+)`")
_COMMAND = re.compile(rf"python -m ((?:{_PACKAGE})(?:\.[a-z_0-9]+)*)\b")


@pytest.mark.parametrize("package", PACKAGES)
def test_what_docstrings_refer_to_exists(package: str) -> None:
    stale = []
    for name, path in modules().items():
        if name.split(".")[0] == package:
            text = path.read_text()
            stale += [f"{name}: {one}" for one in _ROLE.findall(text) if not exists(one)]
            stale += [f"{name}: python -m {one}" for one in _COMMAND.findall(text) if not exists(one)]
    assert not stale, "; ".join(stale)


PAGES = [
    *("README.md", "WORKSPACE.md", "CONTRIBUTING.md", "experiments/RESULTS.md"),
    *(path.relative_to(REPOSITORY).as_posix() for path in sorted((REPOSITORY / "docs").glob("*.md"))),
]


@pytest.mark.parametrize("page", PAGES)
def test_what_pages_refer_to_exists(page: str) -> None:
    text = (REPOSITORY / page).read_text()
    missing = [one for one in re.findall(r"`(tests/[\w/.]+)`", text) if not (REPOSITORY / one).exists()]
    assert not missing
    spans = re.findall(rf"`((?:{_PACKAGE})(?:\.\w+)+)`", text)
    stale = [
        one
        for one in (*spans, *_COMMAND.findall(text))
        if not exists(one) and not one.endswith((".md", ".py", ".json"))
    ]
    assert not stale
