"""What is done with the chosen network: train it in full, test it once, save it.

A search trains many networks briefly to rank them; the one that is kept deserves more. It is
trained from scratch for ``final_epochs`` with the search's other settings, or keeps the weights
it was ranked by if that is 0 (the paper's profile, whose candidates are trained in full).
This is the only place that reads the test split. A saved network that is already the right
one is left as it is, so that a finished search is finished again in a moment.
"""

import dataclasses
from pathlib import Path
from typing import Any

from loggrad_tf.errors import LogGradError
from search import rundir
from search.config import Config
from search.evaluator import load_weights, open_data, start_tensorflow, weights_path
from search.evolution import Record, build, training_seed

BEST = "best"


def finish_best(directory: Path, config: Config, record: Record) -> str:
    """Write DIR/best for the chosen candidate; returns the sentence that reports its errors."""
    start_tensorflow()
    from models import bundle, progress, training

    index, settings = record.candidate.index, config.settings()
    spec = config.training(directory / rundir.WEIGHTS)
    data = open_data(spec)
    train = training.TrainConfig.from_json(config.train)
    if config.final_epochs:
        train = dataclasses.replace(train, epochs=config.final_epochs)
    graph = build(record.candidate.genotype, settings)
    seed = training_seed(config.seed, index)

    def is_done() -> bool:
        try:
            saved = bundle.load(directory / BEST)
        except LogGradError:
            return False
        return (saved.graph, saved.seed, saved.train) == (graph, seed, train)

    if not is_done():
        metrics: dict[str, Any] = {"search_val_error": record.outcome.val_error}
        metrics |= record.candidate.resources.to_json()
        if config.final_epochs:
            show = progress.of_epochs("training the best network", train.epochs)
            result = training.train(graph, data, spec.front_end, train, seed, show)
            weights, metrics["val_error"] = result.weights, result.val_error
        else:
            weights = load_weights(_kept_weights(directory, index))
            metrics["val_error"] = record.outcome.val_error
        network = bundle.Bundle(
            graph=graph,
            front_end=spec.front_end,
            class_names=config.class_names,
            weights=weights,
            data=bundle.DataReference(config.data, config.size, config.mode, config.manifest_sha256),
            train=train,
            seed=seed,
            metrics=metrics,
        )
        metrics["test_error"] = training.evaluate(network.model(), data, spec.front_end, "test")
        bundle.save(directory / BEST, network)
    metrics = bundle.load(directory / BEST).metrics
    return (
        f"best: candidate {index} after {train.epochs} epochs: validation error {metrics['val_error']:.2%}"
        f" ({metrics['search_val_error']:.2%} in the search), test error {metrics['test_error']:.2%}"
        f" (always the largest class: {training.majority_error(data, 'test'):.2%}); saved in"
        f" {directory / BEST}"
    )


def _kept_weights(directory: Path, index: int) -> Path:
    path = weights_path(directory / rundir.WEIGHTS, index)
    if not path.is_file():
        raise LogGradError(f"{path}: the weights of candidate {index} are missing; restore them from a copy")
    return path
