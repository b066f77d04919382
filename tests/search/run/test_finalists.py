"""search.run.finalists: which weights become the best network; the training itself is a stand-in."""

import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loggrad_tf.confusion import Confusion
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from models import bundle, keras_net, zoo
from models.pruning.channels import resized
from models.training import measure as model_training
from search.cost.costs import costs
from search.cost.objectives import Bounds
from search.record.history import Outcome, Record
from search.run import finalists, in_full, rival, rundir
from search.run.config import Config
from search.run.in_full import OpenPool
from search.run.profiles import PROFILES
from search.strategy.evolution import record_of
from search.strategy.method import Final
from search.strategy.proposal import build, propose
from search.workers.evaluator import Task, TrainingSpec, save_weights, weights_path
from search.workers.trainers import trainers
from tests.support.search_cases import SENSOR, TARGET

# How paper ends: no network made by hand competes, and the error decides.
CONFIG = Config(
    profile="paper", data="synthetic", input="loggrad_1p5", mode="gray", bits=0, size=16, seed=1, workers=1,
    bounds=Bounds(), board="mps2-an386",
    method=dataclasses.replace(
        PROFILES["quick"], space="munas", rank_by="error", rounds=1, population=1, sample=1, pruning=True,
        final=Final(40),
    ),
    front_end=TARGET.front_end, class_names=("a", "b", "c"), manifest_sha256="0", onednn="1",
    threads=1, versions={},
)  # fmt: skip
CANDIDATE = propose(CONFIG.settings(), 0, [], [])
WHOLE = build(CANDIDATE.genotype, CONFIG.settings())
HIDDEN = next(op.name for op in WHOLE.ops if op.kind == "dense")
# Pruning left three units of a hidden layer; that is the network which is trained in full.
RECORD = record_of(CANDIDATE, Outcome(0.25, 0.2, widths=((HIDDEN, 3),)), CONFIG.settings())
GRAPH = resized(WHOLE, {HIDDEN: 3})
Weights = tuple[np.ndarray, ...]
Trained = Iterator[tuple[int, Outcome, Weights | None]]


def _weights(value: float) -> Weights:
    return tuple(np.full_like(w, value) for w in keras_net.build(GRAPH).get_weights())


KEPT, TRAINED = _weights(0.5), _weights(0.25)


class Training:
    """Takes the place of the training in full, and counts how often it is asked."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.epochs: list[int] = []

    def __call__(self, spec: TrainingSpec, tasks: list[Task], workers: int, _: OpenPool) -> Trained:
        for task in tasks:
            assert task.graph == GRAPH
            self.epochs.append(spec.train.epochs)
            yield task.index, self.outcome, None if self.outcome.failure else TRAINED


def _finish(
    directory: Path,
    config: Config,
    training: Callable[[TrainingSpec, list[Task], int, OpenPool], Trained],
    monkeypatch: pytest.MonkeyPatch,
    records: Sequence[Record] = (RECORD,),
) -> str:
    monkeypatch.setattr(finalists, "start_tensorflow", lambda: None)  # its settings are for a whole process
    monkeypatch.setattr(in_full, "train_in_full", training)
    records = list(records)
    front = rundir.Front(directory, records, config.bounds)
    return finalists.finish_best(directory, config, front, records, _data(), trainers)[1]


def _data() -> DataSet:
    pixels = np.random.default_rng(0).integers(0, 4096, (9, 16, 16)).astype(np.uint16)
    labels, split = np.tile(np.arange(3, dtype=np.int32), 3), np.repeat(np.arange(3, dtype=np.uint8), 3)
    names = CONFIG.class_names
    return DataSet(pixels, labels, split, names, SENSOR, "gray", "stretch", "synthetic", "0", Path("unused"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / rundir.WEIGHTS).mkdir()
    save_weights(weights_path(tmp_path / rundir.WEIGHTS, 0), KEPT)
    return tmp_path


def _is(saved: bundle.Bundle, weights: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(saved.weights, weights, strict=True))


# Of 3 validation images, two standard errors of 25 % are 50 %.
@pytest.mark.parametrize("error", [0.125, 0.25, 0.6875])
def test_full_training_replaces_the_weights(
    directory: Path, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    training = Training(Outcome(error, 0.1))
    for _ in range(2):
        sentence = _finish(directory, CONFIG, training, monkeypatch)
        assert f"after 40 epochs: validation error {error:.2%} (25.00% in the search), test" in sentence
        assert "over its bounds: validation error" in sentence
    assert training.epochs == [40]  # the second time it is there already
    saved = bundle.load(directory / "best")
    assert _is(saved, TRAINED) and saved.train.epochs == 40 and saved.metrics["val_error"] == error
    assert saved.confusion is not None and set(saved.confusion) == {"val", "test"}
    assert saved.confusion["test"].accuracy == pytest.approx(1 - saved.metrics["test_error"])
    answers = model_training.classify(model_training.logits(saved.model(), _data(), saved.front_end, "val"))
    labels = _data().labels_of("val")
    assert saved.confusion["val"] == Confusion.of(labels, answers, CONFIG.class_names)


def test_a_network_that_guesses_is_warned_of(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All weights alike, it answers one class."""
    _finish(directory, CONFIG, Training(Outcome(0.125, 0.1)), monkeypatch)
    assert "warning: test error 66.67%: no better than always answering a (66.67%)" in capsys.readouterr().err


def test_better_weights_of_the_search_are_kept(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(Outcome(0.8125, 0.1))
    for _ in range(2):
        sentence = _finish(directory, CONFIG, training, monkeypatch)
        assert (
            "after 8 epochs: validation error 25.00% (the search's weights; 40 epochs gave 81.25%)"
            in sentence
        )
    assert training.epochs == [40]
    saved = bundle.load(directory / "best")
    assert _is(saved, KEPT) and saved.train.epochs == 8 and saved.metrics["val_error"] == 0.25


@pytest.mark.parametrize("final_epochs", [0, 3, 8])
def test_full_training_is_never_shorter(
    directory: Path, monkeypatch: pytest.MonkeyPatch, final_epochs: int
) -> None:
    training = Training(Outcome(0.0, 0.0))
    method = dataclasses.replace(CONFIG.method, final=Final(final_epochs))
    config = dataclasses.replace(CONFIG, method=method)
    assert "after 8 epochs: validation error 25.00%, test" in _finish(
        directory, config, training, monkeypatch
    )
    assert not training.epochs and _is(bundle.load(directory / "best"), KEPT)


@pytest.mark.seconds
def test_crash_keeps_the_weights_until_it_goes_well(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crash = Training(Outcome(None, None, "worker was killed by SIGKILL"))
    assert "after 8 epochs" in _finish(directory, CONFIG, crash, monkeypatch)
    assert "candidate 0 in full: worker was killed by SIGKILL" in capsys.readouterr().err
    assert _is(bundle.load(directory / "best"), KEPT)
    assert "after 40 epochs" in _finish(directory, CONFIG, Training(Outcome(0.0, 0.0)), monkeypatch)
    assert _is(bundle.load(directory / "best"), TRAINED)


class Finalists:
    """Trains each candidate to an error of its own, and remembers whom."""

    def __init__(self, errors: dict[int, float], losses: dict[int, float] | None = None) -> None:
        self.errors, self.losses, self.asked = errors, losses or {}, list[int]()

    def __call__(self, spec: TrainingSpec, tasks: list[Task], workers: int, _: OpenPool) -> Trained:
        for task in tasks:
            self.asked.append(task.index)
            error = self.errors[task.index]
            weights = tuple(np.full_like(w, error) for w in keras_net.build(task.graph).get_weights())
            yield task.index, Outcome(error, 0.0, val_loss=self.losses.get(task.index)), weights


@pytest.mark.seconds
def test_the_best_of_several_finalists_is_saved(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are trained in full, best first; the second turns out better than the first."""
    settings = CONFIG.settings()
    records = [
        record_of(propose(settings, k, [], []), Outcome(error, 0.2), settings)
        for k, error in enumerate((0.3, 0.2, 0.25, 0.6))
    ]
    records = [
        dataclasses.replace(r, costs=dataclasses.replace(r.costs, size=100 - k, macs=9, ram=9, peak_memory=9))
        for k, r in enumerate(records)
    ]
    config = dataclasses.replace(CONFIG, method=dataclasses.replace(CONFIG.method, finalists=3))
    training = Finalists({1: 0.3, 2: 0.1, 0: 0.2})
    tested, evaluate = list[str](), model_training.evaluate

    def watched(*arguments: Any) -> float:
        tested.append(arguments[-1])
        return evaluate(*arguments)

    monkeypatch.setattr(model_training, "evaluate", watched)
    for _ in range(2):
        sentence = _finish(directory, config, training, monkeypatch, records)
        assert "best: candidate 2 after 40 epochs: validation error 10.00% (25.00% in the search)" in sentence
    assert training.asked == [1, 2, 0]
    finalists = sorted(path.name for path in (directory / "finalists").iterdir())
    assert finalists == ["00000_0", "00001_0", "00002_0"]
    assert "test_error" not in bundle.load(directory / "finalists" / "00002_0").metrics
    assert tested == ["test"]  # only the network that is saved, once


@pytest.mark.seconds
def test_finalists_are_those_of_least_loss_if_asked(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CONFIG.settings()
    measured = [(0.2, 0.6), (0.25, 0.4), (0.22, 0.5)]
    records = [
        record_of(propose(settings, k, [], []), Outcome(error, 0.2, val_loss=loss), settings)
        for k, (error, loss) in enumerate(measured)
    ]
    records = [
        dataclasses.replace(r, costs=dataclasses.replace(r.costs, size=9, macs=9, ram=9, peak_memory=9))
        for r in records
    ]
    method = dataclasses.replace(CONFIG.method, finalists=2, rank_by="loss")
    training = Finalists({1: 0.3, 2: 0.2}, {1: 0.35, 2: 0.36})
    sentence = _finish(directory, dataclasses.replace(CONFIG, method=method), training, monkeypatch, records)
    assert training.asked == [1, 2]
    assert "best: candidate 1 after 40 epochs: validation error 30.00% (25.00% in the search)" in sentence
    # Two standard errors of three images are 50 %; no loss makes good an error above that.
    training = Finalists({1: 0.9, 2: 0.2}, {1: 0.35, 2: 0.36})
    shutil.rmtree(directory / "finalists")
    sentence = _finish(directory, dataclasses.replace(CONFIG, method=method), training, monkeypatch, records)
    assert "best: candidate 2 after 40 epochs: validation error 20.00% (22.00% in the search)" in sentence


@pytest.mark.seconds
def test_a_finalist_over_a_bound_does_not_replace_one_that_fits(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CONFIG.settings()
    records = [
        record_of(propose(settings, k, [], []), Outcome(error, 0.2), settings)
        for k, error in enumerate((0.3, 0.2, 0.1))
    ]
    small = {"macs": 9, "ram": 9, "peak_memory": 9}
    records = [
        dataclasses.replace(r, costs=dataclasses.replace(r.costs, size=size, **small))
        for r, size in zip(records, (100, 30_000, 40_000), strict=True)
    ]
    config = dataclasses.replace(CONFIG, method=dataclasses.replace(CONFIG.method, finalists=3))
    training = Finalists({0: 0.25, 1: 0.0, 2: 0.0})
    assert "best: candidate 0 after 40" in _finish(directory, config, training, monkeypatch, records)
    assert training.asked == [0]


@pytest.mark.seconds
def test_seeds_decide_by_their_mean(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidate 1 has the luckiest training, candidate 0 the better mean; of its own the best is saved."""
    settings = CONFIG.settings()
    records = [record_of(propose(settings, k, [], []), Outcome(0.25, 0.2), settings) for k in range(2)]
    records = [dataclasses.replace(r, costs=dataclasses.replace(r.costs, size=9, macs=9)) for r in records]
    method = dataclasses.replace(CONFIG.method, finalists=2, final_seeds=2)
    errors, seeds = {0: iter((0.25, 0.125)), 1: iter((0.0625, 0.5))}, list[int]()

    def training(spec: TrainingSpec, tasks: list[Task], workers: int, _: OpenPool) -> Trained:
        for task in tasks:
            seeds.append(task.seed)
            error = next(errors[task.index])
            weights = tuple(np.full_like(w, error) for w in keras_net.build(task.graph).get_weights())
            yield task.index, Outcome(error, 0.0), weights

    config = dataclasses.replace(CONFIG, method=method, bounds=Bounds(error=0.05, peak_memory=None))
    sentence = _finish(directory, config, training, monkeypatch, records)
    assert "best: candidate 0 after 40 epochs: validation error 12.50%" in sentence
    assert "mean of 2 seeds 18.75%" in sentence and ", mean " in sentence.partition("test error ")[2]
    assert len(set(seeds)) == 4 and bundle.load(directory / "best").seed in seeds
    saved = [bundle.load(directory / "finalists" / f"00000_{k}") for k in range(2)]
    tested = [model_training.evaluate(one.model(), _data(), one.front_end, "test") for one in saved]
    metrics = bundle.load(directory / "best").metrics
    assert metrics["test_error"] == tested[1] and metrics["mean_test_error"] == sum(tested) / 2


HAND_MADE = dataclasses.replace(CONFIG, profile="quick", bounds=Bounds(macs=20_000))


def _two(errors: Sequence[float] = (0.25, 0.25), macs: int = 9) -> list[Record]:
    settings = CONFIG.settings()
    records = [
        record_of(propose(settings, k, [], []), Outcome(error, 0.2), settings)
        for k, error in enumerate(errors)
    ]
    small = {"size": 9, "ram": 9, "peak_memory": 9, "macs": macs}
    return [dataclasses.replace(r, costs=dataclasses.replace(r.costs, **small)) for r in records]


def test_the_hand_made_network_is_narrowed_until_it_fits() -> None:
    target = CONFIG.settings().target
    whole = rival.hand_made(dataclasses.replace(HAND_MADE, bounds=Bounds()))
    assert whole is not None and whole.widths == "8-10-16-32"
    assert whole.graph == zoo.small_bn(16, 3) and whole.costs == costs(whole.graph, target)
    narrow = rival.hand_made(HAND_MADE)
    assert narrow is not None and 15_000 < narrow.costs.macs <= 20_000 < whole.costs.macs
    kinds = [(op.kind, op.shape[:-1]) for op in narrow.graph.ops]
    assert kinds == [(op.kind, op.shape[:-1]) for op in whole.graph.ops]
    assert rival.hand_made(dataclasses.replace(HAND_MADE, bounds=Bounds(macs=100))) is None
    for profile in ("paper", "faithful"):
        assert rival.hand_made(dataclasses.replace(HAND_MADE, profile=profile)) is None


@pytest.mark.seconds
def test_the_hand_made_network_competes(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained alike, with the same recipe and as many seeds; what was found is better and is saved."""
    method = dataclasses.replace(CONFIG.method, finalists=1, final_seeds=2)
    config = dataclasses.replace(HAND_MADE, method=method)
    training = Finalists({0: 0.125, rival.INDEX: 0.25}, {0: 0.5, rival.INDEX: 0.75})
    tested, evaluate = list[float](), model_training.evaluate

    def watched(*arguments: Any) -> float:
        assert arguments[-1] == "test"
        tested.append(float(arguments[0].get_weights()[0].flat[0]))
        return evaluate(*arguments)

    monkeypatch.setattr(model_training, "evaluate", watched)
    for _ in range(2):
        first, second = _finish(directory, config, training, monkeypatch, _two()).split("\n")
        assert first.startswith("best: candidate 0 after 40 epochs: validation error 12.50%, mean of 2 seeds")
        made = rival.hand_made(config)
        assert made is not None
        assert re.fullmatch(
            r"candidate 0: validation error 12\.50%, 0\.500 nats, test error [\d.]+% \(40 epochs, 2 seeds\);"
            rf" the hand-made small_bn \({made.widths}\), trained alike: validation error 25\.00%,"
            r" 0\.750 nats, test error [\d.]+% \(40 epochs, 2 seeds\)",
            second,
        )
    assert training.asked == [0, rival.INDEX] * 2  # the second time all is there
    assert tested == [0.125, 0.125, 0.25, 0.25]
    folders = sorted(path.name for path in (directory / "finalists").iterdir())
    assert folders == ["00000_0", "00000_1", "small_bn_0", "small_bn_1"]
    found, made_by_hand = (
        bundle.load(directory / "finalists" / f"{name}_1") for name in ("00000", "small_bn")
    )
    assert found.train == made_by_hand.train and made_by_hand.graph == made.graph
    assert "search_val_error" not in made_by_hand.metrics and made_by_hand.metrics["macs"] == made.costs.macs
    assert len({bundle.load(directory / "finalists" / name).seed for name in folders}) == 4
    metrics = bundle.load(directory / "best").metrics
    assert (metrics["mean_val_error"], metrics["beside_val_error"]) == (0.125, 0.25)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("errors", "losses", "macs", "found_is_saved"),
    [
        ((0.125, 0.25), (0.5, 0.5), 9, True),  # of equal losses the less error
        ((0.25, 0.25), (0.5, 0.5), 9, False),  # no better is not better
        ((0.25, 0.125), (0.5, 0.75), 9, True),  # the loss decides
        ((0.125, 0.25), (0.75, 0.5), 9, False),
        ((0.125, 0.25), (0.5, 0.75), 20_001, False),  # over a bound
        ((0.9, 0.25), (0.1, 0.75), 9, True),  # not good enough: the search's weights, of 12.5 %, compete
        ((0.9, 0.0625), (0.1, 0.05), 9, False),
    ],
)
def test_what_is_no_better_than_the_hand_made_network_is_not_saved(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    errors: tuple[float, float],
    losses: tuple[float, float],
    macs: int,
    found_is_saved: bool,
) -> None:
    [record] = _two((0.125,), macs)
    outcome = dataclasses.replace(record.outcome, val_loss=0.25)
    record = dataclasses.replace(record, outcome=outcome)
    whole = build(record.candidate.genotype, CONFIG.settings())
    save_weights(weights_path(directory / rundir.WEIGHTS, 0), tuple(keras_net.build(whole).get_weights()))
    training = Finalists(
        dict(zip((0, rival.INDEX), errors, strict=True)), dict(zip((0, rival.INDEX), losses, strict=True))
    )
    sentence = _finish(directory, HAND_MADE, training, monkeypatch, [record])
    saved = bundle.load(directory / "best")
    assert ("search_val_error" in saved.metrics) == found_is_saved
    assert ("nothing found within the bounds is better on validation" in sentence) != found_is_saved
    if not found_is_saved:
        assert "\ntrained in full, as the candidates of the table above are not, nothing found" in sentence
        assert sentence.startswith("best: hand-made small_bn (")
        assert "; candidate 0: validation error" in sentence
        assert saved.metrics["val_error"] == errors[1] and "within all bounds" not in sentence
        made = rival.hand_made(HAND_MADE)
        assert made is not None and saved.graph == made.graph


@pytest.mark.seconds
def test_an_interrupted_ending_trains_what_is_missing(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(spec: TrainingSpec, tasks: list[Task], workers: int, _: OpenPool) -> Trained:
        for task in tasks:
            assert bool(task.name) == (task.index == rival.INDEX)
            yield from Finalists({0: 0.125, 1: 0.25}).__call__(spec, [t for t in (task,) if not t.name], 1, _)
            if task.name:
                yield task.index, Outcome(None, None, "worker was killed by SIGKILL"), None

    sentence = _finish(directory, HAND_MADE, crash, monkeypatch, _two())
    captured = capsys.readouterr()
    assert "hand-made small_bn" in captured.out and "in full: worker was killed by SIGKILL" in captured.err
    assert sentence.startswith("best: candidate 0 ") and "\n" not in sentence
    training = Finalists({rival.INDEX: 0.0625})
    sentence = _finish(directory, HAND_MADE, training, monkeypatch, _two())
    assert training.asked == [rival.INDEX] and sentence.startswith("best: hand-made small_bn (")


def test_bounds_that_no_hand_made_network_keeps(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = dataclasses.replace(HAND_MADE, bounds=Bounds(macs=100))
    training = Finalists({0: 0.125, 1: 0.25})
    assert "\n" not in _finish(directory, config, training, monkeypatch, _two())
    assert training.asked == [0, 1]
    assert "small_bn does not fit the bounds" in capsys.readouterr().out


def test_missing_weights_are_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights_path(directory / rundir.WEIGHTS, 0).unlink()
    with pytest.raises(LogGradError, match=r"00000\.npz: the weights of candidate 0 are missing"):
        _finish(directory, CONFIG, Training(Outcome(0.8125, 0.0)), monkeypatch)
