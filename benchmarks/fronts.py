"""Fronts compared: hypervolume under bounds, and networks retrained with one recipe."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import moocore
import numpy as np

from loggrad_tf.data.dataset import DataSet
from loggrad_tf.parallel import processors
from models.graph import Graph
from models.recipe import OVERFITTING, RECIPES
from search.cost.objectives import Bounds, Point, overrun
from search.record.history import Record
from search.run.config import Config
from search.run.entrants import Weights, network
from search.run.in_full import train_in_full
from search.strategy.proposal import training_seed
from search.workers.evaluator import Task, TrainingSpec

# The box of the hypervolume: costs from a hundredth of their bounds to ten times them, where muNAS' objective
# stops counting.
LEAST, MOST = 0.01, 10.0


def inside(front: dict[int, Point], bounds: Bounds) -> dict[int, Point]:
    """The members whose costs lie in the box."""
    return {i: p for i, p in front.items() if overrun(p.costs, bounds) <= MOST}


def hypervolume(points: list[Point], bounds: Bounds, worst_error: float) -> float:
    """Share of the box that the points dominate: error 0 to ``worst_error``, and logarithms of costs."""
    limits = np.array(list(bounds.resources.values()))
    rows = np.array([p.objectives(bounds) for p in points]).reshape(-1, 1 + len(limits))
    shares = np.log(np.maximum(rows[:, 1:] / limits, LEAST) / LEAST) / np.log(MOST / LEAST)
    scaled = np.hstack([rows[:, :1] / worst_error, shares])
    scaled = scaled[(scaled < 1).all(axis=1)]
    return float(moocore.hypervolume(scaled, ref=np.ones(scaled.shape[1]))) if len(scaled) else 0.0


def retrain(
    config: Config, records: Sequence[Record], front: dict[int, Point], data: DataSet, epochs: int
) -> dict[int, Point]:
    """Train every member from scratch for ``epochs`` and score it on the test split, once.

    The recipe is the search's own for so many epochs, or the long one if a network would overfit by then;
    seeds are the candidates' own.
    """
    brief = config.method.train
    recipe = dataclasses.replace(brief, epochs=epochs, fused_bn=True)
    if epochs >= OVERFITTING:
        long = RECIPES["long"](config.size)
        recipe = dataclasses.replace(long, epochs=epochs, trainer=brief.trainer)
    tasks = [Task(i, network(records[i], config), training_seed(config.seed, i)) for i in front]
    graphs = {task.index: task.graph for task in tasks}
    spec = dataclasses.replace(config.training(data.path, Path()), train=recipe, rungs=())
    scored = {}
    for index, _, weights in train_in_full(spec, tasks, processors()):
        if weights is not None:
            error = _test_error(graphs[index], weights, data, spec)
            scored[index] = dataclasses.replace(front[index], error=error)
    return scored


def _test_error(graph: Graph, weights: Weights, data: DataSet, spec: TrainingSpec) -> float:
    from models import keras_net
    from models.training.measure import evaluate

    model = keras_net.build(graph)
    model.set_weights(list(weights))
    return evaluate(model, data, spec.front_end, "test")
