"""Who is trained in full: the best candidates of a search, and the network made by hand beside them."""

import dataclasses

import numpy as np

from loggrad_tf.data.request import DataReference
from models import bundle
from models.bundle import Bundle
from models.graph import Graph
from models.pruning.channels import resized
from models.recipe import TrainConfig
from search.cost.costs import Costs
from search.record.history import Outcome, Record
from search.run import rival
from search.run.config import Config
from search.run.profiles import PLAIN
from search.strategy.proposal import build, training_seed

VAL_ERROR, VAL_LOSS = "val_error", "val_loss"
Weights = tuple[np.ndarray, ...]


def network(record: Record, config: Config) -> Graph:
    """What is left of a candidate's network after pruning."""
    return resized(build(record.candidate.genotype, config.settings()), dict(record.outcome.widths))


@dataclasses.dataclass(frozen=True)
class Entrant:
    """A network that is trained in full.

    Attributes:
      index: a candidate's, or :data:`search.run.rival.INDEX`; its seeds are drawn by it.
      name: for people.
      folder: of its trainings, before their numbers.
      graph, costs: what is trained.
      searched: a candidate's validation error in the search.
    """

    index: int
    name: str
    folder: str
    graph: Graph
    costs: Costs
    searched: float | None

    @property
    def candidate(self) -> int | None:
        return None if self.index == rival.INDEX else self.index


def of_candidate(record: Record, config: Config) -> Entrant:
    index = record.candidate.index
    name, graph = f"candidate {index}", network(record, config)
    return Entrant(index, name, f"{index:05d}", graph, record.costs, record.outcome.val_error)


def entrants(config: Config, wanted: list[Record]) -> list[Entrant]:
    """The candidates that are wanted, and the hand-made network beside them, if there is to be one."""
    entrants = [of_candidate(record, config) for record in wanted]
    if entrants and config.profile not in PLAIN:
        made, called = rival.hand_made(config), rival.name_of(config)
        if made is None:
            print(f"no hand-made network is trained beside them: {called} does not fit the bounds")
        else:
            name = f"hand-made {called} ({made.widths})"
            entrants.append(Entrant(rival.INDEX, name, called, made.graph, made.costs, None))
    return entrants


def saved_as(
    config: Config,
    entrant: Entrant,
    weights: Weights,
    train: TrainConfig,
    outcome: Outcome,
    repeat: int = 0,
) -> Bundle:
    assert outcome.val_error is not None
    searched = {} if entrant.searched is None else {"search_val_error": entrant.searched}
    losses = {} if outcome.val_loss is None else {VAL_LOSS: outcome.val_loss}
    return bundle.Bundle(
        graph=entrant.graph,
        front_end=config.settings().target.front_end,
        class_names=config.class_names,
        weights=weights,
        data=DataReference(**vars(config.request), manifest_sha256=config.manifest_sha256),
        train=train,
        seed=training_seed(config.seed, entrant.index, repeat),
        threshold=outcome.threshold,
        metrics={**searched, VAL_ERROR: outcome.val_error, **losses, **entrant.costs.to_json()},
    )
