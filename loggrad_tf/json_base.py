"""Frozen dataclasses as JSON and back, checked field by field.

A class that derives from :class:`JsonBase` has ``to_json`` and ``from_json``; what its annotations say is
what its JSON may hold. A key that is unknown or missing and a value of another type are errors that name
the class and the key, so a damaged file is never half believed.

Understood annotations: bool, int, float, str, None and unions with it, ``tuple[X, ...]``, ``tuple[X, Y]``,
``dict[str, X]``, ``Any``, other dataclasses, unions of those. Tuples are lists in JSON; an object is of that
dataclass of a union which has most of its keys, the first one of equals.
"""

import dataclasses
import functools
import json
import math
import re
import types
import typing
from pathlib import Path
from typing import Any, Self

from loggrad_tf.errors import LogGradError

# Of a description; the largest ones, journals of searches, are read by line.
MAX_BYTES = 16 * 2**20


class JsonBase:
    """For frozen dataclasses::

    @dataclasses.dataclass(frozen=True)
    class Light(JsonBase):
        lux: float
        colours: tuple[str, ...] = ()

    Light.from_json({"lux": 3}).to_json()  # {"lux": 3, "colours": []}
    """

    def to_json(self) -> dict[str, Any]:
        """Fields by name; tuples as lists, dataclasses as objects."""
        cls: Any = type(self)
        return {name: _plain(getattr(self, name)) for name in _hints(cls)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The object that ``to_json`` gave ``data``.

        Raises:
          LogGradError: what is wrong with which key, or what the class itself refuses.
        """
        return from_fields(cls, data)


Read = typing.TypeVar("Read", bound=JsonBase)


def from_fields(cls: Any, data: Any) -> Any:
    """Build dataclass ``cls`` from a JSON object; see :class:`JsonBase`."""
    name = cls.__name__
    if not isinstance(data, dict):
        raise LogGradError(f"{name}: {_shown(data)} in place of an object")
    hints = _hints(cls)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise LogGradError(f"{name}: unknown key '{unknown[0]}'; known are {', '.join(hints)}")
    required = {f.name for f in dataclasses.fields(cls) if _required(f)}
    missing = sorted(required - set(data))
    if missing:
        raise LogGradError(f"{name}: key '{missing[0]}' is missing")
    return cls(**{key: _typed(value, hints[key], f"{name}: {key}") for key, value in data.items()})


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


# NUL, which C and file names cannot hold, and halves of surrogate pairs, which UTF-8 cannot.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


def _typed(value: Any, hint: Any, where: str) -> Any:
    """``value`` as ``hint`` wants it."""
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        kinds = [kind for kind in arguments if kind is not type(None)]
        return _typed(value, _nearest(kinds, value), where)
    if origin is tuple:
        return _tuple(value, arguments, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise LogGradError(f"{where} is {_shown(value)}, an object is needed")
        return {key: _typed(item, arguments[1], f"{where}.{key}") for key, item in value.items()}
    if hasattr(hint, "from_json"):
        return _nested(hint, value, where)
    if dataclasses.is_dataclass(hint):
        return from_fields(hint, value)
    accepted: tuple[type, ...] = (int, float) if hint is float else (hint,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise LogGradError(f"{where} is {_shown(value)}, {_NAMES[hint]} is needed")
    if isinstance(value, str) and _NO_TEXT.search(value):
        raise LogGradError(f"{where} is {_shown(value)}, which is no text")
    if isinstance(value, float) and not math.isfinite(value):
        raise LogGradError(f"{where} is {value}, a finite number is needed")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise LogGradError(f"{where} is {_shown(value)}, a number of at most 64 bits is needed")
    return value


def _nearest(kinds: list[Any], value: Any) -> Any:
    """The kind that ``value`` is to be: a tuple if it is a list, of several dataclasses the one that has most
    of its keys."""
    if isinstance(value, list):
        return next((kind for kind in kinds if typing.get_origin(kind) is tuple), kinds[0])
    known: list[Any] = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    if not isinstance(value, dict) or not known:
        return kinds[0]
    return max(known, key=lambda kind: len(set(_hints(kind)) & set(value)))


def _nested(cls: Any, value: Any, where: str) -> Any:
    try:
        return cls.from_json(value)
    except LogGradError as error:
        raise LogGradError(f"{where}: {error}") from None


def _tuple(value: Any, arguments: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise LogGradError(f"{where} is {_shown(value)}, a list is needed")
    kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
    if len(value) != len(kinds):
        raise LogGradError(f"{where} has {len(value)} entries, {len(arguments)} are needed")
    return tuple(
        _typed(item, kind, f"{where}[{place}]")
        for place, (item, kind) in enumerate(zip(value, kinds, strict=True))
    )


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**40:  # Python refuses to write very long ones
        return f"an integer of {value.bit_length()} bits"
    text = repr(value) if not isinstance(value, dict | list) else f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:40]}..."


REMEDY = "restore it from a copy, or make it anew"


def then(remedy: str) -> str:
    """The end of a line that says what is wrong; nothing for no remedy."""
    return f": {remedy}" if remedy else ""


def parse(text: bytes | str, where: str) -> Any:
    """JSON text -> values.

    Raises:
      LogGradError: no JSON, or nested deeper than Python reads; begins with ``where``.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise LogGradError(f"{where}: damaged: nested too deeply") from None
    except ValueError as error:
        raise LogGradError(f"{where}: damaged: no JSON ({error})") from None


def read(path: Path, remedy: str = REMEDY) -> Any:
    """The values of a JSON file.

    Args:
      remedy: what to do about a damaged one; "" if the caller says it.

    Raises:
      LogGradError: no JSON, or more than 16 MiB; names the file and the remedy.
      OSError: the file is missing or cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise LogGradError(f"{path}: damaged: {size} bytes, at most {MAX_BYTES} are read{then(remedy)}")
    try:
        return parse(path.read_bytes(), str(path))
    except LogGradError as error:
        raise LogGradError(f"{error}{then(remedy)}") from None


def read_value(hint: Any, path: Path, remedy: str = REMEDY) -> Any:
    """A JSON file as a value of an annotation, such as ``tuple[float, ...]``.

    Raises:
      LogGradError: as :func:`read`, or a value of another type; names the file and the remedy.
      OSError: the file is missing or cannot be read.
    """
    data = read(path, remedy)
    try:
        return hint.from_json(data) if hasattr(hint, "from_json") else _typed(data, hint, "the value")
    except LogGradError as error:
        raise LogGradError(f"{path}: damaged ({error}){then(remedy)}") from None


def read_as(cls: type[Read], path: Path, remedy: str = REMEDY) -> Read:
    """A JSON file as an object of ``cls``.

    Raises:
      LogGradError: as :func:`read`, or what ``cls.from_json`` refuses; names the file and the remedy.
      OSError: the file is missing or cannot be read.
    """
    found: Read = read_value(cls, path, remedy)
    return found
