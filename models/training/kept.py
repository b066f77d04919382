"""What all trainings of a process make of one data set, kept from one training to the next.

A search measures thousands of networks on the same images, which are encoded once.
"""

import functools
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")


def last_of(function: Callable[..., Result]) -> Callable[..., Result]:
    """``function``, which remembers its last result.

    Its first argument is known by identity, and must not change; the others are compared. The result goes
    with the first argument, or with the next call that differs.
    """
    kept: list[tuple[weakref.ref[Any], tuple[Hashable, ...], Result]] = []

    @functools.wraps(function)
    def remembered(source: Any, *others: Hashable) -> Result:
        if kept and kept[0][0]() is source and kept[0][1] == others:
            return kept[0][2]
        kept.clear()
        found = function(source, *others)
        kept[:] = [(weakref.ref(source, lambda _: kept.clear()), others, found)]
        return found

    return remembered
