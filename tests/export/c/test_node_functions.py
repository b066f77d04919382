"""Every kind of node has its C, its kernel and its measurements; every kernel's header is in the library."""

from pathlib import Path

import pytest

from export.c import node_functions
from export.plan import kernels, nodes
from export.predict import footprint, probes

INCLUDE = Path(__file__).resolve().parents[3] / "firmware" / "lib" / "include"


def test_kinds_are_the_same_everywhere() -> None:
    assert len(set(nodes.KINDS)) == len(nodes.KINDS)
    assert set(node_functions._KINDS) == set(kernels._FUNCTIONS) == set(nodes.KINDS)
    assert set(probes.KINDS) | set(nodes.CODED) == set(nodes.KINDS)
    for core, known in footprint._sizes()["cores"].items():
        assert set(known["nodes"]) == set(nodes.KINDS), core


@pytest.mark.parametrize("kind", nodes.KINDS)
def test_headers_declare_what_is_used(kind: str) -> None:
    found = node_functions._KINDS[kind]
    assert (found.fields is None) == (found.struct == "")
    if found.header:
        text = (INCLUDE / found.header).read_text()
        assert f"{kernels._FUNCTIONS[kind]}(" in text
        assert found.struct == "" or f"}} {found.struct};" in text
