"""What a search has tried: candidates, what became of each, and the records of the journal."""

import dataclasses
from typing import Any, Self

from loggrad_tf.errors import LogGradError
from loggrad_tf.json_base import JsonBase
from search.cost.costs import Costs
from search.cost.objectives import Point
from search.space.spaces import AnyGenotype


@dataclasses.dataclass(frozen=True)
class Candidate(JsonBase):
    """A network to be trained, and where it comes from.

    Attributes:
      index: its place in the history.
      genotype: the network.
      parent: index of the candidate it was morphed from, None if drawn at random.
      morph: names of its steps, or ``random``.
      rejected: why draws before it were dropped, and how many: a cost over its bound,
        ``duplicate``, or ``crowded`` (another child lies where fewer networks are).
      limits: for each rung the sum of training losses above which its training stops; None: none.
    """

    index: int
    genotype: AnyGenotype
    parent: int | None
    morph: str
    rejected: tuple[tuple[str, int], ...] = ()
    limits: tuple[float | None, ...] = ()


@dataclasses.dataclass(frozen=True)
class Outcome(JsonBase):
    """What became of a candidate: an error rate, or the reason why there is none.

    Attributes:
      val_error: on the validation split, 0..1; None if the candidate failed.
      train_error: on the training split, 0..1; None if the candidate failed.
      val_loss: mean cross-entropy on the validation split, nats; None if the candidate failed or diverged.
      failure: one line; None if it did not fail.
      stopped: its training was ended early, at a rung.
      curve: mean loss and error of the training batches, per epoch.
      widths: channels of the ops that pruning has made narrower.
      threshold: of a detector, see :class:`models.bundle.Description`.
    """

    val_error: float | None
    train_error: float | None
    failure: str | None = None
    val_loss: float | None = None
    stopped: bool = False
    curve: tuple[tuple[float, float], ...] = ()
    widths: tuple[tuple[str, int], ...] = ()
    threshold: float | None = None

    def __post_init__(self) -> None:
        if (self.val_error is None) == (self.failure is None):
            raise LogGradError(f"an outcome is an error rate or a failure, got {self}")

    def to_json(self) -> dict[str, Any]:
        """Fields by name; a classifier has no threshold."""
        found = super().to_json()
        if self.threshold is None:
            del found["threshold"]
        return found

    def loss_text(self, before: str = ", ") -> str:
        """``, loss 0.28``, to go on with behind an error; empty if there is none."""
        return "" if self.val_loss is None else f"{before}loss {self.val_loss:.4g}"


def failed(reason: str) -> Outcome:
    """The outcome of a candidate that has none."""
    return Outcome(None, None, reason)


@dataclasses.dataclass(frozen=True)
class Record:
    """A finished candidate, as the journal keeps it.

    Attributes:
      costs: of the trained network, pruned channels gone; of a failed one before pruning.
    """

    candidate: Candidate
    outcome: Outcome
    costs: Costs

    @property
    def point(self) -> Point | None:
        """Its place in objective space; None if it failed."""
        error = self.outcome.val_error
        return None if error is None else Point(error, self.costs)

    @property
    def ranked(self) -> bool:
        """Was it trained in full, so that it may be on the front?"""
        return self.outcome.failure is None and not self.outcome.stopped

    def area(self, epochs: int) -> float | None:
        """Sum of the training losses of the first epochs; None if it was not trained for so long.

        The less, the faster a network learns (Ru et al. 2021, training speed estimation).
        """
        curve = self.outcome.curve
        return sum(loss for loss, _ in curve[:epochs]) if len(curve) >= epochs else None

    def to_json(self) -> dict[str, Any]:
        """One object: the fields of the candidate and of its outcome side by side, and the costs."""
        costs = {"costs": self.costs.to_json(), "event": "candidate"}
        return self.candidate.to_json() | self.outcome.to_json() | costs

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        data = dict(data)
        if data.pop("event", None) != "candidate":
            raise LogGradError("not a candidate's record")
        costs = Costs.from_json(data.pop("costs", {}))
        outcome = {f.name: data.pop(f.name) for f in dataclasses.fields(Outcome) if f.name in data}
        return cls(Candidate.from_json(data), Outcome.from_json(outcome), costs)
