"""What the morphs of all spaces are made of: a named step, and tuples with an item more, less or another."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

Of = TypeVar("Of")

# Networks whose steps a space remembers.
STEPS_KEPT = 128


def sort_of(name: str) -> str:
    """The name of a step without its place and amount."""
    first, *others = name.rsplit(": ", 1)[-1].split()
    return f"{first} {others[0]}" if first in ("add", "remove", "flip", "scale") else first


@dataclasses.dataclass(frozen=True)
class Morph(Generic[Of]):
    """One applicable step: what it is called and how it changes the genotype."""

    name: str
    apply: Callable[[np.random.Generator], Of]

    @property
    def sort(self) -> str:
        """See :func:`sort_of`."""
        return sort_of(self.name)


def fixed(name: str, child: Of) -> Morph[Of]:
    """A step that draws nothing."""
    return Morph(name, lambda _: child)


def replaced(items: Sequence[Any], i: int, *new: Any) -> tuple[Any, ...]:
    """Item ``i`` replaced by any number of others."""
    return (*items[:i], *new, *items[i + 1 :])


def inserted(items: Sequence[Any], i: int, new: Any) -> tuple[Any, ...]:
    """``new`` before item ``i``."""
    return (*items[:i], new, *items[i:])


def any_of(steps: Sequence[Morph[Of]], rng: np.random.Generator) -> Morph[Of]:
    """One of them, all equally likely."""
    return steps[int(rng.integers(len(steps)))]


def one_by_sort(steps: Sequence[Morph[Of]], rng: np.random.Generator) -> Morph[Of]:
    """A sort of step, then one of its sort, each equally likely."""
    sorts: dict[str, list[Morph[Of]]] = {}
    for morph in steps:
        sorts.setdefault(morph.sort, []).append(morph)
    return any_of(list(sorts.values())[int(rng.integers(len(sorts)))], rng)
