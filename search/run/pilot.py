"""How long a candidate is trained in a search with a budget: as long as leaves time for enough of them.

An epoch of the first candidate is timed before the search begins, so slow machines, large images and slow
trainers have fewer epochs a candidate, and fast ones more, down to the profile's. What came out is in
``config.json``, as if it had been given by ``--epochs`` and ``--rungs``.
"""

import dataclasses
import math

from loggrad_tf.data.dataset import DataSet
from models.recipe import NATIVE
from models.training import fit
from models.training.reproducible import start_tensorflow
from search.run.config import Config
from search.run.schedule import FINAL_SHARE, now
from search.strategy.method import Method
from search.strategy.proposal import build, propose

# So many candidates are wanted, as many as would fit if none were stopped early; and the most epochs of one,
# as a multiple of the profile's. Few that are trained long say more than many that are not: what learns
# fastest is not what is best in the end.
CANDIDATES, MOST = 24, 20
# Of the first candidate: the epochs before the last one warm it up.
EPOCHS = 3


def lengthened(config: Config, data: DataSet, spent: float = 0.0) -> Config:
    """The search with as many epochs a candidate as its budget allows here.

    Args:
      spent: seconds of the budget that are gone: a data set that is drawn first takes minutes.
    """
    assert config.budget is not None
    left = max(config.budget - spent, 0.0)
    seconds = (1 - FINAL_SHARE) * left * config.workers / CANDIDATES
    return dataclasses.replace(config, method=longer(config.method, seconds / epoch_seconds(config, data)))


def longer(method: Method, epochs: float) -> Method:
    """``method`` with so many epochs, from the profile's to :data:`MOST` times those; its rungs grow too."""
    factor = min(max(epochs / method.train.epochs, 1.0), MOST)

    def as_long(count: int) -> int:
        return math.floor(count * factor)

    train = dataclasses.replace(method.train, epochs=as_long(method.train.epochs))
    return dataclasses.replace(method, train=train, rungs=tuple(as_long(rung) for rung in method.rungs))


def epoch_seconds(config: Config, data: DataSet) -> float:
    """What an epoch of the first candidate takes."""
    settings, train = config.settings(), dataclasses.replace(config.method.train, epochs=EPOCHS)
    if train.trainer != NATIVE:
        start_tensorflow()
    graph = build(propose(settings, 0, [], []).genotype, settings)
    ends: list[float] = []
    fit.train(graph, data, config.front_end, train, 0, lambda *_: ends.append(now()))
    return ends[-1] - ends[-2]
