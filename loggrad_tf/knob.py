"""Knobs: fields of frozen dataclasses that flags of a command give.

A field says all that its flag needs: its annotation the flag's type, its metadata (:func:`knob`) the rest.
The flags, their help and their table in the documentation are made from it::

    @dataclasses.dataclass(frozen=True)
    class Method:
        rounds: int = dataclasses.field(metadata=knob("Candidates in all.", lower=1))
        train: TrainConfig = dataclasses.field(metadata=parts(epochs=Knob("Training epochs.", lower=1)))

A field that is a dataclass itself has no flag of its own but those of its parts: the knobs that they carry,
or :func:`parts` for a class that knows nothing of flags.
"""

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

_KNOB, _PARTS = "knob", "parts"
NONE = "none"


@dataclasses.dataclass(frozen=True)
class Knob:
    """What a flag needs besides its type.

    Attributes:
      help: what it does, a sentence.
      flag: its name; empty: the field's.
      lower: the least integer that it takes; None: any.
      choices: the only texts that it takes; empty: any.
      parse: text -> value of a field that is no integer, switch or text; raises ValueError, which says what
        to give instead.
      rare: few need it: ``--helpfull`` shows it, ``--help`` does not.
    """

    help: str
    flag: str = ""
    lower: int | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None
    rare: bool = False


def knob(help: str, **more: Any) -> dict[str, Any]:
    """Metadata of a field that is a knob; arguments as :class:`Knob` has them."""
    return {_KNOB: Knob(help, **more)}


def parts(**knobs: Knob) -> dict[str, Any]:
    """Metadata of a field that is a dataclass, of which these fields are knobs."""
    return {_PARTS: knobs}


@dataclasses.dataclass(frozen=True)
class Flag:
    """A knob in its place.

    Attributes:
      name: of the flag.
      path: names of fields that lead to its value.
      kind: the field's annotation.
      knob: the rest.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    knob: Knob

    def of(self, owner: Any) -> Any:
        """Its value in an object of the class that it was found in."""
        for name in self.path:
            owner = getattr(owner, name)
        return owner

    def put(self, owner: Any, value: Any) -> Any:
        """``owner`` with another value."""
        return _put(owner, self.path, value)


def _put(owner: Any, path: tuple[str, ...], value: Any) -> Any:
    first, *rest = path
    inner = _put(getattr(owner, first), tuple(rest), value) if rest else value
    return dataclasses.replace(owner, **{first: inner})


def flags_of(cls: Any) -> tuple[Flag, ...]:
    """The knobs of a dataclass and of its parts, in order of the fields."""
    hints = typing.get_type_hints(cls)
    found: list[Flag] = []
    for field in dataclasses.fields(cls):
        kind, own = hints[field.name], field.metadata.get(_KNOB)
        if own is not None:
            found.append(Flag(own.flag or field.name, (field.name,), kind, own))
        elif _PARTS in field.metadata:
            types = typing.get_type_hints(kind)
            found += [
                Flag(inner.flag or name, (field.name, name), types[name], inner)
                for name, inner in field.metadata[_PARTS].items()
            ]
        elif dataclasses.is_dataclass(kind):
            found += [dataclasses.replace(f, path=(field.name, *f.path)) for f in flags_of(kind)]
    return tuple(found)


def text(value: Any) -> str:
    """A value as a command line gives it."""
    if value is None or value in ((), ""):
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def named(given: str) -> str:
    """A name, or an empty text of ``none``."""
    return "" if given == NONE else given


def positive(given: str) -> float | None:
    """A positive number, or None of ``none``."""
    if given.lower() == NONE:
        return None
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError("give a positive number, or none to drop it")
    return value


def share(given: str) -> float:
    """A number between 0 and 1, 1 included."""
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ValueError("give a share above 0, up to 1")
    return value


def rising(given: str) -> tuple[int, ...]:
    """Rising numbers from 1 on, separated by commas; none of them of ``none`` or of an empty text."""
    if given.lower() in (NONE, ""):
        return ()
    try:
        values = tuple(int(word) for word in given.split(","))
    except ValueError:
        values = (0,)
    if min(values) < 1 or list(values) != sorted(set(values)):
        raise ValueError("give rising numbers of epochs, as in 2,4, or none")
    return values
