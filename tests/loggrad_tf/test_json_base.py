"""loggrad_tf.json_base: what goes out comes back, and all else is an error that names class and key."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loggrad_tf import json_base
from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase


@dataclasses.dataclass(frozen=True)
class Inner(JsonBase):
    name: str
    flag: bool = False


@dataclasses.dataclass(frozen=True)
class Outer(JsonBase):
    count: int
    share: float
    inner: Inner
    pair: tuple[int, float]
    many: tuple[Inner, ...] = ()
    maybe: float | None = None
    table: dict[str, int] = dataclasses.field(default_factory=dict)
    anything: Any = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise LogGradError(f"count {self.count}: give 0 or more")


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=5)
INNERS = st.builds(Inner, TEXTS, st.booleans())
FINITE = st.floats(allow_nan=False, allow_infinity=False)
OUTERS = st.builds(
    Outer,
    count=st.integers(0, 2**63 - 1),
    share=FINITE,
    inner=INNERS,
    pair=st.tuples(st.integers(-5, 5), FINITE),
    many=st.lists(INNERS, max_size=3).map(tuple),
    maybe=st.none() | FINITE,
    table=st.dictionaries(TEXTS, st.integers(0, 9), max_size=3),
    anything=st.none() | st.integers(0, 9) | TEXTS,
)
GOOD = Outer(1, 0.5, Inner("a"), (2, 0.25), (Inner("b", True),), 3.0, {"x": 1}, [1]).to_json()


@given(OUTERS)
def test_what_goes_out_comes_back(value: Outer) -> None:
    assert Outer.from_json(json.loads(json.dumps(value.to_json()))) == value


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("count", 1.5, "Outer: count is 1.5, an integer is needed"),
        ("count", True, "Outer: count is True, an integer is needed"),
        ("count", -1, "count -1: give 0 or more"),
        ("count", 2**63, "a number of at most 64 bits is needed"),
        ("count", 10**300, "count is an integer of 997 bits"),
        ("share", "x", "Outer: share is 'x', a number is needed"),
        ("share", math.nan, "Outer: share is nan, a finite number is needed"),
        ("share", None, "Outer: share is None, a number is needed"),
        ("inner", [], "Inner: a list in place of an object"),
        ("inner", {"name": "a", "nome": "b"}, "Inner: unknown key 'nome'; known are name, flag"),
        ("inner", {"flag": True}, "Inner: key 'name' is missing"),
        ("inner", {"name": "a\0"}, r"Inner: name is 'a\\x00', which is no text"),
        ("inner", {"name": "\udc80"}, "which is no text"),
        ("inner", {"name": "a", "flag": 0}, "Inner: flag is 0, true or false is needed"),
        ("pair", [1], r"Outer: pair has 1 entries, 2 are needed"),
        ("pair", 7, "Outer: pair is 7, a list is needed"),
        ("many", [{"name": "a"}, 3], "Inner: 3 in place of an object"),
        ("maybe", "x", "Outer: maybe is 'x', a number is needed"),
        ("table", {"x": "y"}, "Outer: table.x is 'y', an integer is needed"),
        ("table", [], "Outer: table is a list, an object is needed"),
    ],
)
def test_what_does_not_fit_names_class_and_key(key: str, value: Any, reason: str) -> None:
    assert Outer.from_json(GOOD).to_json() == GOOD
    with pytest.raises(LogGradError, match=reason) as caught:
        Outer.from_json(GOOD | {key: value})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a": ', "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"", "no JSON"),
    ],
)
def test_a_file_that_is_no_json_is_named(text: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(LogGradError, match=f"{path}: damaged: {reason}.*: mend it"):
        json_base.read(path, "mend it")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | {"count": "many"}))
    with pytest.raises(LogGradError, match=rf"{path}: damaged \(Outer: count is 'many'.*\): mend it"):
        json_base.read_as(Outer, path, "mend it")


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_base, "MAX_BYTES", 10)
    path = tmp_path / "a.json"
    path.write_text("[1, 2, 3, 4, 5]")
    with pytest.raises(LogGradError, match=f"{path}: damaged: 15 bytes, at most 10 are read"):
        json_base.read(path)


@dataclasses.dataclass(frozen=True)
class Other(JsonBase):
    length: int
    flag: bool = False


@dataclasses.dataclass(frozen=True)
class Either(JsonBase):
    one: Inner | Other | None


def test_a_union_of_dataclasses_is_told_apart_by_keys() -> None:
    for value in (Either(Inner("a", True)), Either(Other(3, True)), Either(Other(3)), Either(None)):
        assert Either.from_json(json.loads(json.dumps(value.to_json()))) == value
    for damaged, reason in (
        ({"length": 3, "width": 4}, "Other: unknown key 'width'"),
        ({"length": "3"}, "Other: length is '3', an integer is needed"),
        ({"length": 3, "name": "a"}, "Inner: unknown key 'length'"),
        ({}, "Inner: key 'name' is missing"),
        ([], "Inner: a list in place of an object"),
    ):
        with pytest.raises(LogGradError, match=f"^Either: one: {reason}"):
            Either.from_json({"one": damaged})
