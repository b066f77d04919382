"""models.training.kept: one result, as long as what it is of."""

import gc
import weakref

import numpy as np

from models.training.kept import last_of


class Source:
    """Equal to all others."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_the_last_result_is_kept_and_no_other() -> None:
    calls: list[str] = []

    @last_of
    def made(source: Source, name: str) -> np.ndarray:
        calls.append(name)
        return np.zeros(3)

    one, two = Source(), Source()
    first = made(one, "val")
    assert made(one, "val") is first
    assert made(two, "val") is not first
    assert made(one, "val") is not first
    assert made(one, "test") is not made(one, "val")
    assert calls == ["val", "val", "val", "test", "val"]


def test_it_goes_with_its_source() -> None:
    @last_of
    def made(source: Source) -> Source:
        return Source()

    source = Source()
    result = weakref.ref(made(source))
    gc.collect()
    assert result() is not None
    del source
    gc.collect()
    assert result() is None
