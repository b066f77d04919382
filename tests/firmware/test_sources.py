"""The C as text: includes go one way, and every file names its licence."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from export.c import emit
from export.c.text import TEMPLATES
from export.plan.plan import plan
from export.predict import probes
from tests.support import REPOSITORY
from tests.support.firmware_cases import FIRMWARE

FOLDERS = ("lib", "boards", "program", "example")
SOURCES = sorted(p for f in FOLDERS for p in (FIRMWARE / f).rglob("*") if p.suffix in (".c", ".h"))
# What projects hold copies of, or are written from. The README of a project is text, not code.
COPIED = sorted(
    p
    for folder in (*(FIRMWARE / f for f in (*FOLDERS, "cmake")), TEMPLATES)
    for p in folder.rglob("*")
    if p.is_file() and p.suffix not in (".md", ".json") and not p.name.endswith(".md.in")
)
SPDX = "SPDX-License-Identifier: Apache-2.0"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)
# Written by export, for each network or collector.
GENERATED = {"net.h", "frame.h", "collect.h"}
Graph = Mapping[Path, Iterable[Path]]


def included(source: Path) -> list[Path]:
    """The files that a source includes by name in quotes, as its compiler would find them."""
    found = []
    for name in INCLUDE.findall(source.read_text()):
        if name in GENERATED:
            continue
        folders = [source.parent, FIRMWARE / "lib/include", FIRMWARE / "boards/common"]
        places = [folder / name for folder in folders if (folder / name).is_file()][:1]
        # Sources of boards/common are compiled with the folder of their board: any that has the file.
        if not places and source.parent == FIRMWARE / "boards/common":
            boards = sorted(p.parent for p in (FIRMWARE / "boards").glob("*/board.json"))
            places = [board / name for board in boards if (board / name).is_file()]
        assert places, f"{source}: {name} is nowhere"
        found += places
    return found


def module(source: Path) -> Path:
    """x.c and x.h together; the header of a source of the library lies in another folder."""
    folder = FIRMWARE / "lib" if FIRMWARE / "lib" in source.parents else source.parent
    return folder / source.stem


def circle(graph: Graph) -> list[Path]:
    """The nodes of one circle of a graph, in order, or none."""
    done: set[Path] = set()

    def visit(node: Path, path: list[Path]) -> list[Path]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        for after in graph.get(node, ()):
            if found := visit(after, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in graph if (found := visit(node, []))), [])


def modules(files: Graph) -> Graph:
    """What each module includes of others."""
    made: dict[Path, set[Path]] = {}
    for source, others in files.items():
        own = module(source)
        made.setdefault(own, set()).update(module(other) for other in others)
        made[own].discard(own)
    return made


FILES = {source: included(source) for source in SOURCES}


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 70
    assert FIRMWARE / "lib/include/lg_line.h" in FILES[FIRMWARE / "lib/include/lg_quantizer.h"]
    assert FIRMWARE / "boards/raspberry-pi-pico/camera_pins.h" in FILES[FIRMWARE / "boards/common/hm01b0.c"]


def test_headers_form_no_circle() -> None:
    assert circle(FILES) == []


def test_modules_form_no_circle() -> None:
    assert circle(modules(FILES)) == []


def test_a_circle_is_found() -> None:
    """Of headers, and of modules whose headers form none."""
    a, b, c = (FIRMWARE / "lib/include" / f"lg_{name}.h" for name in "abc")
    assert circle({a: [b], b: [c], c: []}) == []
    assert circle({a: [b], b: [c], c: [b]}) == [b, c]
    source = FIRMWARE / "lib/src/lg_a.c"
    files: Graph = {a: [], b: [a], source: [a, b]}
    assert circle(files) == []
    assert circle(modules(files)) == [FIRMWARE / "lib/lg_a", FIRMWARE / "lib/lg_b"]


@pytest.mark.parametrize("name", ["status", "raw", "line", "quantizer"])
def test_the_front_end_goes_one_way(name: str) -> None:
    """status <- raw <- line <- quantizer, table: nothing includes what stands to its right."""
    order = ["status", "raw", "line", "quantizer"]
    above = {f"lg_{later}" for later in [*order[order.index(name) + 1 :], "table", "bin"]}
    own = [source for source in SOURCES if source.stem == f"lg_{name}"]
    assert own
    assert not above & {other.stem for source in own for other in FILES[source]}


@pytest.mark.parametrize("source", COPIED, ids=lambda source: str(source.relative_to(REPOSITORY)))
def test_the_first_line_names_the_licence(source: Path) -> None:
    first, _, rest = source.read_text().partition("\n")
    assert first == (f"# {SPDX}" if source.suffix in (".cmake", ".txt") else f"/* {SPDX} */")
    assert SPDX not in rest


def test_the_licence_is_that_of_the_project() -> None:
    assert 'license = "Apache-2.0"' in (REPOSITORY / "pyproject.toml").read_text()
    assert {".c", ".h", ".ld", ".s", ".cmake", ".txt", ".in"} == {source.suffix for source in COPIED}


def test_generated_code_names_it_once_and_weights_do_not() -> None:
    """What is in net_weights.c comes from the user's model."""
    graph, source = probes.repeated("softmax", 1)
    texts = emit.emit(plan(graph, "cortex-m4", source.levels), source, (), "", "stamp")
    counts = {name: text.count(SPDX) for name, text in texts.items()}
    assert emit.program().count(SPDX) == 1
    assert counts == {"net.h": 1, "net.c": 1, "net_weights.h": 0, "net_weights.c": 0}
