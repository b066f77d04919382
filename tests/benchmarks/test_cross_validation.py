"""The ruler at work: sets joined, trainings kept and scored on what they did not see, the report."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cross_validation
from benchmarks.cross_validation import Crops, Protocol, Score, Training, crops, identity, place, report
from loggrad_tf.data import dataset
from loggrad_tf.data.dataset import DataSet
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor
from models import bundle
from models.bundle import Bundle
from models.graph import Graph
from models.recipe import TrainConfig
from models.zoo import small_bn, two_conv_one_fc
from tests.support import REPOSITORY
from tests.support.experiment_cases import SIZE, small_set, write_pictures

BRIEF = TrainConfig(epochs=2, batch_size=8)


def _protocol(data: DataSet, out: Path) -> Protocol:
    return Protocol((data.path,), 2, "loggrad_1p5", BRIEF, out)


def _trainings(graph: Graph, name: str = "net") -> list[Training]:
    return [Training(name, graph, fold, seed) for seed in (10, 11) for fold in (0, 1)]


def _written(path: Path, right: list[bool], losses: list[float], program: str = "a") -> None:
    path.parent.mkdir(exist_ok=True)
    score = Score({}, tuple(right), tuple(losses), {"program": program})
    path.write_text(json.dumps(score.to_json()))


def test_every_crop_is_held_out_once_and_never_with_its_photograph_in_training(tmp_path: Path) -> None:
    among = crops([small_set(tmp_path)], 3)
    held_out = np.zeros(len(among.folds), int)
    for fold in range(3):
        part = among.without(fold)
        assert set(part.split) == {0, 1} and len(part.labels_of("val")) == 12
        held_out += part.split == 1
        sides = [{among.groups[i] for i in np.flatnonzero(part.split == side)} for side in (0, 1)]
        assert not sides[0] & sides[1]
    assert (held_out == 1).all()


def test_sets_are_joined_at_one_depth(tmp_path: Path) -> None:
    first = small_set(tmp_path)
    (tmp_path / "more").mkdir()
    pictures = write_pictures(tmp_path / "more" / "pictures", each=18)
    second = dataset.load(f"folder:{pictures}", size=SIZE, cache=tmp_path / "cache")
    halved = dataclasses.replace(second, pixels=np.asarray(second.pixels) // 2, sensor=Sensor(11, 0, 2047))
    among = crops([first, halved], 2)
    assert among.data.pixels.shape == (36 + 54, SIZE, SIZE) and among.data.sensor == first.sensor
    assert np.array_equal(among.data.pixels[:36], first.pixels)
    tail = among.data.pixels[36:].astype(int)
    assert abs(tail - second.pixels).max() <= 3 and tail.max() > 2047
    assert np.array_equal(among.data.labels, np.concatenate([first.labels, second.labels]))
    # bar0 of both sets is one photograph, for all that is known.
    both = [i for i, name in enumerate(among.groups) if name == "bar0"]
    assert len(both) == 2 and len(set(among.folds[both])) == 1


def test_sets_that_do_not_go_together(tmp_path: Path) -> None:
    first = small_set(tmp_path)
    with pytest.raises(LogGradError, match="two of them are the same set"):
        crops([first, first], 2)
    other = dataclasses.replace(first, class_names=("bar", "cross", "square"))
    with pytest.raises(LogGradError, match=r"classes bar, cross, square, and .*: give sets of one kind"):
        crops([first, other], 2)
    with pytest.raises(LogGradError, match="is in 12 photographs, too few for 13 folds"):
        crops([first], 13)


def test_a_training_is_known_by_what_decides_its_result(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    among, protocol = crops([data], 2), _protocol(data, tmp_path / "out")
    one = Training("net", small_bn(SIZE, 3), 0, 10)
    assert place(protocol, among, one) == place(protocol, among, dataclasses.replace(one, name="other"))
    others = [
        place(protocol, among, dataclasses.replace(one, seed=11)),
        place(protocol, among, dataclasses.replace(one, fold=1)),
        place(protocol, among, dataclasses.replace(one, graph=two_conv_one_fc(SIZE, 3))),
        place(dataclasses.replace(protocol, format="jpeg8"), among, one),
        place(dataclasses.replace(protocol, train=TrainConfig(epochs=3)), among, one),
        place(protocol, crops([data], 3), one),
        place(protocol, dataclasses.replace(among, manifests=("0",)), one),
        place(protocol, among, one),
    ]
    assert len(set(others)) == 8


@pytest.mark.seconds
def test_trainings_are_kept_and_repeated_bit_for_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = small_set(tmp_path)
    among, protocol = crops([data], 2), _protocol(data, tmp_path / "out")
    trainings = _trainings(small_bn(SIZE, 3))
    # Those of the first seed are done; of a training that is asked for twice there is one.
    cross_validation.run(protocol, among, [*trainings[:2], *_trainings(small_bn(SIZE, 3), "again")[:2]], 1)
    told = capsys.readouterr().out
    assert "[2/2] net, fold 2 of 2, seed 10: " in told and "there already" not in told
    kept = {path.name: path.read_bytes() for path in protocol.out.iterdir()}
    results = cross_validation.run(protocol, among, trainings, 2)
    assert "2 of 4 trainings are there already\n" in capsys.readouterr().out
    assert len(list(protocol.out.iterdir())) == 4
    assert all((protocol.out / name).read_bytes() == text for name, text in kept.items())
    assert [right.shape for right, _ in results] == [(18,)] * 4
    assert all(np.isfinite(losses).all() and losses.min() > 0 for _, losses in results)
    # Made again from nothing they are the same, to the byte.
    redone = dataclasses.replace(protocol, out=tmp_path / "again")
    cross_validation.run(redone, among, trainings, 1)
    for one in trainings:
        assert place(redone, among, one).read_bytes() == place(protocol, among, one).read_bytes()


@pytest.mark.seconds
def test_scores_are_those_of_the_held_out_fold(tmp_path: Path) -> None:
    """Beside the same training by hand: thresholds of the other folds, errors of this one."""
    from models.training import fit

    data = small_set(tmp_path)
    among, protocol = crops([data], 2), _protocol(data, tmp_path / "out")
    one = Training("net", small_bn(SIZE, 3), 1, 10)
    [(right, losses)] = cross_validation.run(protocol, among, [one], 1)
    inside = among.folds != 1
    front_end = frontend.fit("loggrad_1p5", data.sensor, np.asarray(data.pixels)[inside])
    result = fit.train(one.graph, among.without(1), front_end, BRIEF, 10)
    assert 1 - right.mean() == pytest.approx(result.val_error)
    assert losses.mean() == pytest.approx(result.val_loss, rel=1e-4)
    assert json.loads(place(protocol, among, one).read_text())["training"] == identity(protocol, among, one)


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    among, protocol = crops([data], 2), _protocol(data, tmp_path / "out")
    one = Training("net", small_bn(SIZE, 3), 0, 10)
    path = place(protocol, among, one)
    _written(path, [True] * 17, [0.5] * 17)
    with pytest.raises(LogGradError, match=rf"{path}: damaged \(not 18 crops\): delete it"):
        cross_validation.run(protocol, among, [one], 1)
    path.write_text(path.read_text()[:100])
    with pytest.raises(LogGradError, match=rf"{path}: damaged: .*: delete it"):
        cross_validation.run(protocol, among, [one], 1)


def test_trainings_of_two_versions_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = small_set(tmp_path)
    among, protocol = crops([data], 2), _protocol(data, tmp_path / "out")
    trainings = _trainings(small_bn(SIZE, 3))
    for one, program in zip(trainings, "aaba", strict=True):
        _written(place(protocol, among, one), [True] * 18, [0.5] * 18, program)
    cross_validation.run(protocol, among, trainings, 1)
    assert "trainings of 2 versions of this program: name another --out" in capsys.readouterr().err


def _among(tmp_path: Path) -> Crops:
    return crops([small_set(tmp_path)], 2)


def test_the_report_compares_each_pair(tmp_path: Path) -> None:
    among = _among(tmp_path)
    rng = np.random.default_rng(0)
    trainings, results = [], []
    for name, share in (("a", 0.9), ("b", 0.6), ("c", 0.6)):
        for one in _trainings(small_bn(SIZE, 3), name):
            right = rng.random(18) < share
            trainings.append(one)
            results.append((right, np.where(right, 0.1, 2.0)))
    lines = report(among, trainings, results, {"a": "costs of a", "b": "costs of b", "c": "costs of c"})
    means = [100 * np.mean([right for right, _ in results[k : k + 4]]) for k in (0, 4, 8)]
    assert lines[0].startswith(f"a: {means[0]:.2f} (standard error ")
    assert lines[0].endswith("\n    costs of a") and "loss 0." in lines[0]
    assert [line.split(":")[0] for line in lines[3:]] == ["a less b", "a less c", "b less c"]
    assert f": {means[0] - means[1]:+.2f} (+" in lines[3] and " points, loss -" in lines[3]


def test_a_training_that_diverged_is_wrong_and_has_no_loss(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    among, protocol = crops([data], 2), _protocol(data, tmp_path / "out")
    trainings = _trainings(small_bn(SIZE, 3))
    for one in trainings:
        diverged = (one.fold, one.seed) == (1, 11)
        _written(place(protocol, among, one), [not diverged] * 18, [] if diverged else [0.5] * 18)
    results = cross_validation.run(protocol, among, trainings, 1)
    [line] = report(among, trainings, results, {"net": ""})
    assert line.startswith("net: 75.00 (standard error ") and "% right, loss infinite nats" in line


def _command(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.chosen", *flags]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


@pytest.mark.seconds
def test_the_command(tmp_path: Path) -> None:
    data = small_set(tmp_path)
    front_end = frontend.fit("loggrad_1p5", data.sensor, data.subset("train")[0])
    graph = two_conv_one_fc(SIZE, 3, 4, 4)
    from models import keras_net

    weights = tuple(keras_net.build(graph).get_weights())
    saved = Bundle(
        graph=graph,
        front_end=front_end,
        class_names=data.class_names,
        weights=weights,
        data=dataclasses.replace(data.reference, spec=f"prepared:{data.path}"),
        train=dataclasses.replace(BRIEF, epochs=9),
        seed=0,
        metrics={},
    )
    bundle.save(tmp_path / "saved", saved)
    flags = (f"--run={tmp_path / 'saved'}", "--folds=2", "--seeds=2", f"--out={tmp_path / 'out'}")
    done = _command(*flags, "--epochs=1")
    assert done.returncode == 0, done.stderr
    assert "'epochs': 1, 'batch_size': 8" in done.stdout and "36 crops of 36 photographs" in done.stdout
    assert "[8/8] " in done.stdout
    [difference] = [line for line in done.stdout.splitlines() if " less " in line]
    assert difference.startswith(f"--net=small_bn less {flags[0]}: ") and " points, loss " in difference
    again = _command(*flags, "--epochs=1")
    assert "8 of 8 trainings are there already" in again.stdout
    assert again.stdout.splitlines()[-5:] == done.stdout.splitlines()[-5:]
    refused = _command(*flags, "--size=48", f"--data=folder:{tmp_path / 'pictures'}")
    assert refused.returncode == 1
    assert "a network for 32x32, gray, loggrad_1p5, outputs 3, compared on 48x48" in refused.stderr


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ((), "give --run=DIR, or --folds"),
        (("--folds=5", "--seeds=1"), "--folds needs --seeds of 2 or more"),
        (("--run=x", "--epochs=4"), "--epochs go with --folds only"),
        (("--folds=5", "--run=missing"), "--run=missing: not a directory"),
    ],
)
def test_wrong_flags(flags: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    done = _command(*flags, *((f"--out={tmp_path / 'out'}",) if "--folds=5" in flags else ()))
    assert done.returncode in (1, 2) and reason in done.stderr and "Traceback" not in done.stderr
