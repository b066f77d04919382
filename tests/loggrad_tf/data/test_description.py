"""model.json, whole or damaged: what is read, and one line for everything else."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export import energy, firmware
from export.firmware import Options
from loggrad_tf import json_base
from loggrad_tf.data import description
from loggrad_tf.data.request import Request
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import fixed
from tests.export.test_firmware import SENSOR, small, write_model

END = fixed("loggrad_2p25", SENSOR)
DATA = {"spec": "synthetic", "size": 9, "mode": "gray", "manifest_sha256": "ab"}
NUMBERS: tuple[Any, ...] = (None, True, -1, 0, 3, 10**400, 0.5)
VALUES: tuple[Any, ...] = (*NUMBERS, "", "x\ny", "\0", "\ud800", [], [[]], {}, {"a": 1})


def beside(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda values: values) -> Path:
    """A model whose description holds what converters write, changed."""
    model = write_model(folder, small(END), END)
    values = json.loads((folder / description.NAME).read_text())
    values |= {"version": 1, "seed": 3, "data": dict(DATA), "accuracy": {"float_val": 0.9}}
    changed = change(values)
    text = changed if isinstance(changed, str) else json.dumps(changed)
    (folder / description.NAME).write_text(text)
    return model


def test_what_is_read(tmp_path: Path) -> None:
    model = beside(tmp_path)
    found = energy.of_model(model)[1]
    assert found == END
    assert firmware.make(model, "host", Options(1)).source.front_end == END
    sha256 = json.loads((tmp_path / description.NAME).read_text())["model_sha256"]
    read = description.read(model, sha256)
    assert read is not None and read.class_names == ('class "0"?', 'class "1"?')
    assert read.data == Request("synthetic", 9, "gray")
    (tmp_path / description.NAME).unlink()
    assert description.read(model, sha256) is None and energy.of_model(model)[1] is None


def _without(*path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(values: dict[str, Any]) -> dict[str, Any]:
        inner = values
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        return values

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: "[" * 100_000, "nested too deeply"),
        (lambda values: '{"front_end":' * 100_000, "nested too deeply"),
        (lambda values: "{", "no JSON"),
        (lambda values: "", "no JSON"),
        (lambda values: [values], "a list in place of an object"),
        (lambda values: values | {"class_names": "ab"}, "class_names is 'ab', a list is needed"),
        (lambda values: values | {"class_names": [1, 2]}, r"class_names\[0\] is 1, a string is needed"),
        (lambda values: values | {"model_sha256": None}, "model_sha256 is None, a string is needed"),
        (lambda values: values | {"data": []}, "Request: a list in place of an object"),
        (lambda values: values | {"data": DATA | {"size": "9"}}, "size is '9', an integer is needed"),
        (lambda values: values | {"data": DATA | {"spec": "folder:\0"}}, r"spec is .*, which is no text"),
        (
            lambda values: values | {"class_names": ["a", "\ud800"]},
            r"class_names\[1\] is .*, which is no text",
        ),
        (lambda values: values | {"front_end": END.to_json() | {"format": "a\nb"}}, "format 'a b'"),
        (_without("class_names"), "key 'class_names' is missing"),
        (_without("data", "mode"), "key 'mode' is missing"),
        (_without("front_end", "sensor"), "key 'sensor' is missing"),
    ],
)
def test_damage_is_one_line(change: Callable[[dict[str, Any]], Any], reason: str, tmp_path: Path) -> None:
    model = beside(tmp_path, change)
    for door in (energy.of_model, lambda path: firmware.make(path, "host", Options(1))):
        with pytest.raises(LogGradError, match=reason) as caught:
            door(model)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path))


def test_more_than_a_description_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = beside(tmp_path)
    monkeypatch.setattr(json_base, "MAX_BYTES", 100)
    with pytest.raises(LogGradError, match=r"model.json: damaged: \d+ bytes, .* convert again"):
        energy.of_model(model)


def _places(values: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside."""
    if not isinstance(values, dict | list):
        return []
    keys = list(values) if isinstance(values, dict) else list(range(len(values)))
    return [(values, key) for key in keys] + [place for key in keys for place in _places(values[key])]


@pytest.mark.seconds
def test_random_damage(tmp_path: Path) -> None:
    """Any value in any place: read, or refused with one line."""
    model, draw = beside(tmp_path), random.Random(0)
    whole = json.loads((tmp_path / description.NAME).read_text())
    refused = 0
    for _ in range(300):
        values = copy.deepcopy(whole)
        container, key = draw.choice(_places(values))
        container[key] = draw.choice(VALUES)
        (tmp_path / description.NAME).write_text(json.dumps(values))
        try:
            firmware.make(model, "host", Options(1))
        except LogGradError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 100 < refused < 300


SAID = {"version": 1, "input_shape": [9, 11, 1], "input_scale": 1.0, "input_zero_point": 0}


@pytest.mark.parametrize("key", ["version", "input_shape", "input_scale", "input_zero_point"])
@pytest.mark.parametrize("value", [1.5, True, "3", [1.5], [True], -1, 10**30])
def test_a_number_of_the_wrong_kind_is_refused_by_name(key: str, value: object, tmp_path: Path) -> None:
    assert firmware.make(beside(tmp_path, lambda values: values | SAID), "host", Options(1))
    model = beside(tmp_path, lambda values: values | SAID | {key: value})
    with pytest.raises(LogGradError, match=rf"model\.json.*{key}.*convert again"):
        firmware.make(model, "host", Options(1))


@pytest.mark.parametrize("key", ["shift", "offset", "ratios", "bits", "black", "white"])
@pytest.mark.parametrize("value", [1.5, True])
def test_numbers_of_the_front_end_too(key: str, value: object, tmp_path: Path) -> None:
    def change(values: dict[str, Any]) -> dict[str, Any]:
        inner = values["front_end"] if key in values["front_end"] else values["front_end"]["sensor"]
        inner[key] = [value, 9000] if key == "ratios" else value
        return values

    with pytest.raises(LogGradError, match=rf"model\.json.*{key}.*an integer is needed.*convert again"):
        firmware.make(beside(tmp_path, change), "host", Options(1))
