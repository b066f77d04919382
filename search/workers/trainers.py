"""Pools of workers that train networks: here, or on a Ray cluster; no training hangs for ever."""

from models.recipe import NATIVE
from models.training.native import build
from search.workers.evaluator import EPOCH_LIMIT, TrainingSpec, open_evaluator
from search.workers.pool import Pool
from search.workers.ray_pool import RayPool


def trainers(count: int, spec: TrainingSpec, epoch_limit: float = EPOCH_LIMIT) -> Pool:
    """Processes on this machine.

    Args:
      epoch_limit: seconds for each epoch of a training, after which it has failed.

    Raises:
      LogGradError: candidates are to be trained natively, and nothing here compiles that.
    """
    if spec.train.trainer == NATIVE:
        build.built()  # once, before every worker would
    return Pool(count, open_evaluator, spec, epoch_limit * spec.train.epochs)


def ray_trainers(
    count: int, spec: TrainingSpec, address: str | None = None, epoch_limit: float = EPOCH_LIMIT
) -> RayPool:
    """Workers on a Ray cluster, see :class:`search.workers.ray_pool.RayPool`."""
    return RayPool(count, open_evaluator, spec, address, epoch_limit * spec.train.epochs)
