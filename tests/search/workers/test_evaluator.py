"""search.workers.evaluator: a real worker, whose outcomes depend on the task alone."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf.data import dataset
from loggrad_tf.transform import frontend
from models.graph import Graph, GraphBuilder
from models.recipe import NATIVE, TrainConfig
from search.record.history import Outcome
from search.record.journal import encode
from search.workers.evaluator import (
    Task,
    TrainingSpec,
    entropy,
    load_weights,
    open_evaluator,
    save_weights,
    weights_path,
)
from search.workers.pool import Pool
from tests.support import REPOSITORY
from tests.support.native_cases import needs_compiler

SIDE = 16
TRAIN = TrainConfig(epochs=2, batch_size=8, schedule="cosine", flip=True, shift=2)


@pytest.fixture
def prepared(tmp_path: Path) -> dataset.DataSet:
    """Two classes of noisy pictures, whose source is gone."""
    source = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for name, step in (("fine", 2), ("coarse", 8)):
        (source / name).mkdir(parents=True)
        for i in range(24):
            stripes = np.arange(SIDE * 2)[:, None, None] % step < step // 2
            picture = rng.integers(0, 120, (SIDE * 2, SIDE * 2, 3)) + 100 * stripes
            Image.fromarray(picture.astype(np.uint8)).save(source / name / f"{i:02d}.png")
    data = dataset.load(f"folder:{source}", size=SIDE, cache=tmp_path / "cache")
    source.rename(tmp_path / "elsewhere")
    return data


def _network(filters: int) -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input(SIDE, SIDE, 1), filters, 3, bn=True, relu=True)
    return b.build(b.dense(b.global_avg(x), 1))


@pytest.mark.seconds
def test_a_task_has_one_outcome_whatever_was_trained_before(
    prepared: dataset.DataSet, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    spec = TrainingSpec(prepared.path, frontend.fixed("loggrad_1p5", prepared.sensor), TRAIN, weights)
    tasks = [
        Task(0, _network(4), 7),
        Task(1, _network(6), 8),
        Task(2, _network(4), 7),
        Task(3, _network(4), 8),
    ]
    outcomes: list[Outcome] = []
    with Pool(1, open_evaluator, spec) as pool:
        for task in tasks:
            pool.submit(task.index, task)
            outcomes += [done.outcome for done in pool.wait()]
    assert [outcome.failure for outcome in outcomes] == [None] * 4
    assert outcomes[2] == outcomes[0]
    first, other, again, reseeded = (load_weights(weights_path(weights, task.index)) for task in tasks)
    assert [a.tobytes() for a in again] == [a.tobytes() for a in first]
    assert [a.shape for a in other] != [a.shape for a in first]
    assert any((a != b).any() for a, b in zip(reseeded, first, strict=True))


def test_weights_come_back_in_their_order(tmp_path: Path) -> None:
    arrays = tuple(np.full((2, i + 1), i, np.float32) for i in range(12))
    save_weights(weights_path(tmp_path, 3), arrays)
    assert [path.name for path in tmp_path.iterdir()] == ["00003.npz"]
    for a, b in zip(load_weights(tmp_path / "00003.npz"), arrays, strict=True):
        np.testing.assert_array_equal(a, b)


def test_entropy() -> None:
    assert entropy(np.array([0, 1, 0, 1])) == pytest.approx(np.log(2))
    assert entropy(np.array([0, 0, 0])) == 0


@pytest.mark.seconds
def test_trainings_end_at_their_limits_and_when_nothing_is_learned(
    prepared: dataset.DataSet, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    front_end = frontend.fixed("loggrad_1p5", prepared.sensor)
    spec = TrainingSpec(prepared.path, front_end, dataclasses.replace(TRAIN, epochs=4), weights)
    stuck = dataclasses.replace(TRAIN, epochs=4, learning_rate=1e-9, weight_decay=0.0)

    def outcome(spec: TrainingSpec, *limits: tuple[int, float]) -> Outcome:
        with Pool(1, open_evaluator, spec) as pool:
            pool.submit(0, Task(0, _network(4), 7, limits=limits))
            return pool.wait()[0].outcome

    whole = outcome(spec, (2, 100.0))
    assert not whole.stopped and len(whole.curve) == 4
    area = sum(loss for loss, _ in whole.curve[:2])
    ended = outcome(spec, (2, area - 0.01), (3, 0.0))
    assert ended.stopped and ended.curve == whole.curve[:2] and ended.val_error is not None
    rungs = dataclasses.replace(spec, rungs=(3,), train=stuck)
    assert len(outcome(rungs).curve) == 3
    assert len(outcome(dataclasses.replace(rungs, rungs=())).curve) == 4


@pytest.mark.seconds
def test_a_network_that_diverges_has_an_outcome_like_any_other(
    prepared: dataset.DataSet, tmp_path: Path
) -> None:
    """Its loss is no number, which no journal can hold."""
    weights = tmp_path / "weights"
    weights.mkdir()
    wild = dataclasses.replace(TRAIN, epochs=3, learning_rate=1e30)
    spec = TrainingSpec(prepared.path, frontend.fixed("loggrad_1p5", prepared.sensor), wild, weights)
    with Pool(1, open_evaluator, spec) as pool:
        pool.submit(0, Task(0, _network(4), 7))
        outcome = pool.wait()[0].outcome
    assert outcome.failure is None and outcome.val_error == 1.0
    encode(dataclasses.asdict(outcome))


_WITHOUT = """
import sys
from pathlib import Path

from loggrad_tf.data import dataset
from loggrad_tf.transform import frontend
from models.graph import GraphBuilder
from models.recipe import NATIVE, Pruning, TrainConfig
from search.workers.evaluator import Task, TrainingSpec, open_evaluator
from search.workers.trainers import trainers

data, weights = map(Path, sys.argv[1:])
front_end = frontend.fixed("loggrad_1p5", dataset.open_prepared(data).sensor)
train = TrainConfig(epochs=4, batch_size=8, schedule="cosine", flip=True, shift=2, trainer=NATIVE)
spec = TrainingSpec(data, front_end, train, weights)
b = GraphBuilder()
x = b.conv(b.conv(b.input(16, 16, 1), 6, 3, bn=True, relu=True), 8, 3, bn=True, relu=True)
task = Task(0, b.build(b.dense(b.global_avg(x), 1)), 1, Pruning.early(0.5))
outcome = open_evaluator(spec)(task)
trainers(1, spec)
print(outcome.val_error, outcome.widths)
print([name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "keras")])
"""


@needs_compiler
@pytest.mark.seconds
def test_a_native_worker_imports_neither_tensorflow_nor_keras(
    prepared: dataset.DataSet, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    told = subprocess.run(
        [sys.executable, "-c", _WITHOUT, str(prepared.path), str(weights)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    outcome, modules = told.stdout.splitlines()
    assert 0 <= float(outcome.split()[0]) <= 1 and "conv_2" in outcome
    assert modules == "[]"


@needs_compiler
@pytest.mark.seconds
def test_a_native_task_has_one_outcome_whatever_was_trained_before(
    prepared: dataset.DataSet, tmp_path: Path
) -> None:
    native = dataclasses.replace(TRAIN, trainer=NATIVE)
    spec = TrainingSpec(prepared.path, frontend.fixed("loggrad_1p5", prepared.sensor), native, tmp_path)
    evaluate = open_evaluator(spec)
    tasks = [Task(0, _network(4), 1), Task(1, _network(6), 2)]
    first = [evaluate(task) for task in tasks]
    weights = [load_weights(weights_path(tmp_path, task.index)) for task in tasks]
    again = [evaluate(task) for task in reversed(tasks)]
    assert first == again[::-1]
    for task, before in zip(tasks, weights, strict=True):
        after = load_weights(weights_path(tmp_path, task.index))
        assert all((a == b).all() for a, b in zip(before, after, strict=True))
