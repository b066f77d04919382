"""``python -m benchmarks.candidate``: CPU-seconds that one candidate of a search takes, and where they go.

    propose   draw it: profile quick, with outcomes that are made up
    build     the Keras model, its weights and slots
    trace     the first step, beyond what a step takes
    input     batches of all epochs: shuffled, augmented, encoded
    steps     all epochs over batches that are there already
    measure   error and loss on the validation split
    save      the weights, on the disk
    whole     propose, and all that a worker does, measured as one

The networks are candidates of each space, drawn with made-up outcomes; data, epochs and recipe are those of
``search.evolve``, which stops many trainings before their last epoch. One thread, as a worker has. Importing
TensorFlow, which a process pays once, is printed first.
"""

import dataclasses
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import flags

from loggrad_tf import cli
from loggrad_tf.data import dataset
from loggrad_tf.data import options as data_options
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.data.sides import sides
from loggrad_tf.transform.sensor import requantize
from search.cost.costs import Target
from search.record.history import Candidate, Outcome
from search.run.config import BOARD, fit_front_end
from search.run.profiles import PROFILES, default_bounds, for_images
from search.space.spaces import SPACES
from search.strategy.evolution import Evolution
from search.strategy.proposal import Settings, build
from search.workers.evaluator import (
    Task,
    TrainingSpec,
    open_evaluator,
    save_weights,
    start_tensorflow,
    weights_path,
)

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(data_options)
flags.DEFINE_integer("networks", 3, "Candidates of each space to train.", lower_bound=1)
flags.DEFINE_integer("proposals", 100, "Candidates of each space to draw.", lower_bound=1)
flags.DEFINE_list("spaces", list(SPACES), "Spaces to draw from.")

WORKERS = 2
PARTS = ("build", "trace", "input", "steps", "measure", "save")


def seconds(action: Callable[[], object]) -> float:
    """CPU-seconds of all threads."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


def made_up(candidate: Candidate, epochs: int) -> Outcome:
    """An outcome that the candidate alone decides."""
    text = json.dumps(candidate.to_json(), sort_keys=True)
    share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
    curve = tuple((1 - 0.05 * share * epoch, 0.6 - 0.04 * share * epoch) for epoch in range(epochs))
    return Outcome(0.1 + 0.5 * share, 0.2, val_loss=0.3 + share, curve=curve)


def drawn(settings: Settings) -> list[Candidate]:
    """A whole history."""
    evolution, pending = Evolution(settings, []), list[Candidate]()
    while not evolution.finished:
        candidate = evolution.ready()
        if candidate is not None:
            pending.append(candidate)
            continue
        first = pending.pop(0)
        for _ in evolution.commit(first.index, made_up(first, settings.method.train.epochs)):
            pass
    return [record.candidate for record in evolution.records]


def parts(task: Task, data: DataSet, spec: TrainingSpec) -> dict[str, float]:
    """CPU-seconds of what :func:`models.training.fit.train` does, one after the other."""
    import keras

    from models import keras_net
    from models.training import batches as batching
    from models.training import keras_fit
    from models.training.descent import Descent
    from models.training.measure import measure

    train = spec.train
    keras.backend.clear_session()
    keras_fit.begin(task.graph, data, train, task.seed)
    made: list[Descent] = []
    models: list[keras.Model] = []

    def prepare() -> None:
        models.append(keras_net.build(task.graph, train.fused_bn))
        made.append(Descent(models[0], lambda step: train.rate(step, 1000), train.momentum, 1e-4, 0.0))

    found = {"build": seconds(prepare)}
    pixels, labels = data.subset("train")
    pixels = requantize(pixels, data.sensor, spec.front_end.sensor)
    source = batching.training_batches(
        pixels, labels, task.graph.output_units, spec.front_end, train, task.seed
    )
    kept = list(source)
    found["input"] = train.epochs * seconds(lambda: list(source))
    first = seconds(lambda: made[0].epoch(kept[:1]))
    steps = seconds(lambda: made[0].epoch(kept))
    found["trace"] = max(first - steps / len(kept), 0.0)
    found["steps"] = steps * train.epochs
    found["measure"] = seconds(lambda: measure(models[0], data, spec.front_end, "val"))
    weights = tuple(np.asarray(weight) for weight in models[0].get_weights())
    found["save"] = seconds(lambda: save_weights(weights_path(spec.weights, task.index), weights))
    return found


def main(argv: list[str]) -> None:
    del argv
    data = dataset.opened(data_options.request())
    method = for_images(PROFILES["quick"], len(data.labels_of("train")))
    front_end = fit_front_end(data, "loggrad_1p5", 0)
    target, shape = Target(front_end, BOARD), (*sides(FLAGS.size), 1)
    histories: dict[str, tuple[Settings, list[Candidate], float]] = {}
    for space in FLAGS.spaces:
        of_space = dataclasses.replace(method, space=space, rounds=FLAGS.proposals)
        bounds, classes = default_bounds(method.model), len(data.class_names)
        settings = Settings(target, of_space, bounds, shape, classes, WORKERS, 0)
        begin = time.process_time()
        candidates = drawn(settings)
        histories[space] = settings, candidates, (time.process_time() - begin) / FLAGS.proposals
    print(f"importing TensorFlow takes {seconds(start_tensorflow):.2f} CPU-s a process")
    print(f"{'network':32s}" + "".join(f"{name:>9s}" for name in ("propose", *PARTS, "whole")))
    with tempfile.TemporaryDirectory() as folder:
        spec = TrainingSpec(data.path, front_end, method.train, Path(folder))
        tasks = [
            (space, propose, Task(candidate.index, build(candidate.genotype, settings), candidate.index))
            for space, (settings, candidates, propose) in histories.items()
            for candidate in candidates[:: -(-len(candidates) // FLAGS.networks)]
        ]
        # One after the other, as a worker does: what it keeps of its data it keeps.
        parts(tasks[0][2], data, spec)
        found = [parts(task, data, spec) for _, _, task in tasks]
        evaluate = open_evaluator(spec)
        evaluate(tasks[0][2])
        wholes = [seconds(lambda task=task: evaluate(task)) for _, _, task in tasks]  # type: ignore[misc]
    rows = {space: list[list[float]]() for space in FLAGS.spaces}
    for (space, propose, task), of_task, whole in zip(tasks, found, wholes, strict=True):
        rows[space].append([propose, *(of_task[name] for name in PARTS), propose + whole])
        _line(f"{space} {task.index}, {len(task.graph.ops)} ops", rows[space][-1])
    for space, each in rows.items():
        _line(f"{space}, mean", [float(np.mean(column)) for column in zip(*each, strict=True)])


def _line(title: str, values: list[float]) -> None:
    print(f"{title:32s}" + "".join(f"{value:9.3f}" for value in values), flush=True)


if __name__ == "__main__":
    cli.run(main)
