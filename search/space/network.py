"""What the genotypes of all search spaces have in common: their JSON tells them apart, and a sparsity."""

import abc
from typing import Any, Self

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase

MIN_SPARSITY, MAX_SPARSITY = 0.1, 0.85


def require(holds: bool, what: str) -> None:
    """Refuse a genotype.

    Raises:
      LogGradError: it does not hold.
    """
    if not holds:
        raise LogGradError(f"genotype outside the search space: {what}")


def require_sparsity(sparsity: float | None) -> None:
    """Refuse a sparsity that is neither None nor 0.1 to 0.85, as :func:`require`."""
    if sparsity is not None:
        require(MIN_SPARSITY <= sparsity <= MAX_SPARSITY, f"sparsity {sparsity}, not 0.1 to 0.85")


class Network(JsonBase, abc.ABC):
    """A point of a search space, as the journal keeps it; the frozen dataclass of each space derives from it.

    Attributes:
      sparsity: share of its prunable channels that training removes; None: none.
    """

    sparsity: float | None

    @property
    @abc.abstractmethod
    def made_of(self) -> dict[str, int]:
        """How many of what it has, by which people compare networks."""

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The genotype that ``to_json`` gave ``data``; ``Network`` reads any space's, by its keys."""
        if cls is not Network:
            return super().from_json(data)
        keys = set(data) if isinstance(data, dict) else set()
        kind: Any = max(Network.__subclasses__(), key=lambda kind: len(keys & set(kind.__annotations__)))
        found: Self = kind.from_json(data)
        return found
