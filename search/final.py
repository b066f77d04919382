"""What is done with the chosen network: train it in full, test it once, save it.

A search trains many networks briefly to rank them; the one that is kept deserves more. If
``final_epochs`` is above the search's own epochs, it is trained from scratch for that long
with the search's other settings and seed, in a worker; a pruned one as small as pruning left it.
Those weights are saved, unless they err
more on validation, by over one standard error, than the ones that the candidate was ranked by
(the least error of many is partly luck, so equal is not asked for). Otherwise, or if
``final_epochs`` is not above the search's, the search's weights are saved. This is the only
place of a search that reads the test split. A saved network that is already the right one is
left as it is, so that a finished search is finished again in a moment.
"""

import dataclasses
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from loggrad_tf.dataset import DataSet
from loggrad_tf.errors import LogGradError
from models.pruning import resized
from search import rundir
from search.config import Config
from search.evaluator import Task, TrainingSpec, load_weights, open_evaluator, start_tensorflow, weights_path
from search.history import Outcome, Record, failed
from search.proposal import build, training_seed
from search.workers import Pool

BEST = "best"


def finish_best(directory: Path, config: Config, record: Record, data: DataSet) -> str:
    """Write DIR/best for the chosen candidate; returns the sentence that reports its errors."""
    start_tensorflow()
    from models import bundle, training

    index, ranked = record.candidate.index, record.outcome.val_error
    assert ranked is not None
    spec = config.training(data.path, directory / rundir.WEIGHTS)
    brief = training.TrainConfig.from_json(config.method.train)
    full = dataclasses.replace(brief, epochs=max(brief.epochs, config.method.final_epochs))
    graph = resized(build(record.candidate.genotype, config.settings()), dict(record.outcome.widths))
    task = Task(index, graph, training_seed(config.seed, index))

    def is_done() -> bool:
        try:
            saved = bundle.load(directory / BEST)
        except LogGradError:
            return False
        trained = saved.train == full or (saved.train == brief and "final_val_error" in saved.metrics)
        return trained and (saved.graph, saved.seed) == (graph, task.seed)

    if not is_done():
        metrics: dict[str, Any] = {"search_val_error": ranked, "val_error": ranked}
        metrics |= record.costs.to_json()
        train, weights = brief, None
        if full != brief:
            outcome, trained = _train_in_full(dataclasses.replace(spec, train=full.to_json()), task)
            if outcome.val_error is None:
                print(
                    f"warning: training the best network in full failed ({outcome.failure}); the weights"
                    " of the search are kept",
                    file=sys.stderr,
                )
            else:
                metrics["final_val_error"] = outcome.val_error
                if outcome.val_error <= ranked + _standard_error(ranked, len(data.labels_of("val"))):
                    train, weights, metrics["val_error"] = full, trained, outcome.val_error
        network = bundle.Bundle(
            graph=graph,
            front_end=spec.front_end,
            class_names=config.class_names,
            weights=_kept_weights(directory, index) if weights is None else weights,
            data=bundle.DataReference(config.data, config.size, config.mode, config.manifest_sha256),
            train=train,
            seed=task.seed,
            metrics=metrics,
        )
        metrics["test_error"] = training.evaluate(network.model(), data, spec.front_end, "test")
        bundle.save(directory / BEST, network)
    saved = bundle.load(directory / BEST)
    metrics = saved.metrics
    others = ""
    if saved.train != brief:
        others = f" ({metrics['search_val_error']:.2%} in the search)"
    elif "final_val_error" in metrics:
        others = f" (the search's weights; {full.epochs} epochs gave {metrics['final_val_error']:.2%})"
    return (
        f"best: candidate {index} after {saved.train.epochs} epochs: validation error"
        f" {metrics['val_error']:.2%}{others}, test error {metrics['test_error']:.2%}"
        f" (always the largest class: {training.majority_error(data, 'test'):.2%}); saved in"
        f" {directory / BEST}"
    )


def _standard_error(rate: float, images: int) -> float:
    """Of an error rate measured on so many images."""
    return math.sqrt(rate * (1 - rate) / images)


def _train_in_full(spec: TrainingSpec, task: Task) -> tuple[Outcome, tuple[np.ndarray, ...] | None]:
    """Train in a process of its own: a crash is an outcome like any other, without weights."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder)
        spec = dataclasses.replace(spec, weights=weights, label="training the best network")
        try:
            with Pool(1, open_evaluator, spec) as pool:
                pool.submit(task.index, task)
                outcome = pool.wait()[0].outcome
        except LogGradError as error:
            outcome = failed(str(error))
        if outcome.val_error is None:
            return outcome, None
        return outcome, load_weights(weights_path(weights, task.index))


def _kept_weights(directory: Path, index: int) -> tuple[np.ndarray, ...]:
    path = weights_path(directory / rundir.WEIGHTS, index)
    if not path.is_file():
        raise LogGradError(f"{path}: the weights of candidate {index} are missing; restore them from a copy")
    return load_weights(path)
