"""The rooms of export import one way, and each foreign package has one module that knows it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXPORT = REPOSITORY / "export"
# Packages of the project; firmware stands alone and is left out.
PACKAGES = ("loggrad_tf", "models", "export", "search", "experiments", "benchmarks")
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


def knowing(package: str) -> list[str]:
    """Modules of the project that import ``package`` or reach it as an attribute, as in ``tf.lite``."""
    found = []
    for path in sorted(path for name in PACKAGES for path in (REPOSITORY / name).glob("**/*.py")):
        reached = {
            f"{node.value.id}.{node.attr}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        names = {name.replace("tensorflow.", "tf.") for name in (*imported(path), *reached)}
        if any(name == package or name.startswith(f"{package}.") for name in names):
            found.append(path.relative_to(REPOSITORY).as_posix())
    return found


def test_one_module_knows_the_converter_and_one_the_interpreter() -> None:
    assert knowing("tf.lite") == ["export/quantization/converter.py"]
    assert knowing("ai_edge_litert") == ["export/tflite/interpreter.py"]
