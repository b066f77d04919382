"""Ageing evolution as a state machine without a clock, a pool or a file.

Candidate k is a pure function of (settings, seed, k, outcomes of candidates 0 .. k - lag); see
:mod:`search.strategy.proposal`. It may not look at later outcomes, even if they are there already; so the
history does not depend on which worker finishes first, and a search that was interrupted goes on
as if it had not been. The lag is 2 workers - 1: with one worker nothing is hidden, with more of
them one slow candidate does not hold up the others.

The caller asks :meth:`Evolution.ready` which candidates can be evaluated now and hands in
outcomes in any order; :meth:`Evolution.commit` gives them back in order of index, as records
for the journal.
"""

from collections.abc import Iterator

from models.pruning.channels import resized
from search.cost.costs import costs
from search.record.history import Candidate, Outcome, Record
from search.strategy.proposal import Settings, Watch, build, propose, unwatched


def seen_by(index: int, settings: Settings) -> int:
    """How many records candidate ``index`` may learn from."""
    return max(index - 2 * settings.workers + 2, 0)


def record_of(candidate: Candidate, outcome: Outcome, settings: Settings) -> Record:
    """The record of a finished candidate, with the costs of the network that was left."""
    graph = build(candidate.genotype, settings)
    return Record(candidate, outcome, costs(resized(graph, dict(outcome.widths)), settings.target))


class Evolution:
    """The state of one search: its records so far and the outcomes not yet in order.

    Args:
      watch: see :func:`search.strategy.proposal.propose`.
    """

    def __init__(self, settings: Settings, records: list[Record], watch: Watch = unwatched) -> None:
        self.settings = settings
        self._watch = watch
        self.records = list(records)
        self._candidates = [r.candidate for r in records]
        self._outcomes: dict[int, Outcome] = {}
        self._rounds = settings.method.rounds

    @property
    def finished(self) -> bool:
        return len(self.records) >= self._rounds

    @property
    def proposed(self) -> int:
        """Candidates so far, finished or not."""
        return len(self._candidates)

    def close(self) -> None:
        """No more candidates than there are."""
        self._rounds = min(self._rounds, self.proposed)

    def ready(self) -> Candidate | None:
        """The next candidate to evaluate, or None until earlier ones have come back."""
        index, settings = len(self._candidates), self.settings
        seen = seen_by(index, settings)
        if index >= self._rounds or len(self.records) < seen:
            return None
        candidate = propose(settings, index, self.records[:seen], self._candidates, self._watch)
        self._candidates.append(candidate)
        return candidate

    def commit(self, index: int, outcome: Outcome) -> Iterator[Record]:
        """Take in one outcome; yield the records that are complete now, in order of index."""
        if not len(self.records) <= index < len(self._candidates) or index in self._outcomes:
            raise ValueError(f"candidate {index} is not being evaluated")
        self._outcomes[index] = outcome
        while (done := len(self.records)) in self._outcomes:
            record = record_of(self._candidates[done], self._outcomes.pop(done), self.settings)
            self.records.append(record)
            yield record
