"""The rooms of export import one way, and each foreign package has one module that knows it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

EXPORT = Path(__file__).resolve().parents[2] / "export"
# Room -> rooms it may import. Doors (the modules of export itself) import all, and no room imports a door.
ROOMS = {
    "tflite": (),
    "quantization": ("tflite",),
    "plan": ("tflite", "quantization"),
    "predict": ("tflite", "quantization", "plan"),
    "c": ("tflite", "quantization", "plan"),
}
# What is no door: facts, and the version in the text that is written.
FACTS = ("boards", "GENERATOR")


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, at its head or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_folder_is_a_room() -> None:
    assert {path.parent.name for path in EXPORT.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_one_way(room: str) -> None:
    allowed = {room, *ROOMS[room], *FACTS}
    wrong = [
        f"{path.name} imports {name}"
        for path in sorted((EXPORT / room).glob("*.py"))
        for name in imported(path)
        if name.startswith("export.") and name.split(".")[1] not in allowed
    ]
    assert not wrong
