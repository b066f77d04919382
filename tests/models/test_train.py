"""A network that was found is trained anew: the same training on the same data, another on other data."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf.data import dataset
from loggrad_tf.data.voc import Annotation, Object, write_voc
from loggrad_tf.transform import frontend
from loggrad_tf.transform.sensor import Sensor
from models import bundle
from models.bundle import Bundle
from models.recipe import NATIVE, RECIPES, TrainConfig
from models.training.native.initial import initial
from models.variables import in_order
from tests.models.training.test_fit import tiny
from tests.support import REPOSITORY
from tests.support.native_cases import needs_compiler

SIZE, SEED = 16, 5
RECIPE = TrainConfig(
    epochs=3, batch_size=8, learning_rate=0.02, schedule="cosine", label_smoothing=0.1, flip=True, shift=2
)
# As a search trains its finalists, in a process of its own.
WORKER = """
import sys
from pathlib import Path
from loggrad_tf import json_base
from models.bundle import Description
from search.workers.evaluator import Task, TrainingSpec, open_evaluator
data, found, weights = map(Path, sys.argv[1:])
saved = Description.from_json(json_base.read(found))
spec = TrainingSpec(data, saved.front_end, saved.train, weights, ())
print(open_evaluator(spec)(Task(0, saved.graph, saved.seed)).val_error)
"""


def draw(folder: Path, name: str, count: int = 24) -> None:
    noise = np.random.default_rng(len(name))
    (folder / name).mkdir(parents=True)
    for i in range(count):
        stripes = np.arange(32)[:, None, None] % len(name) < len(name) // 2
        picture = noise.integers(0, 120, (32, 32, 3)) + 100 * stripes
        Image.fromarray(picture.astype(np.uint8)).save(folder / name / f"{i:02d}.png")


def run(folder: Path, module: str, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"LOGGRAD_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)


@pytest.fixture
def finalist(tmp_path: Path) -> Bundle:
    """What a search for a sensor of eight bits leaves, in tmp_path/run/best."""
    for name in ("fine", "coarse"):
        draw(tmp_path / "pictures", name)
    data = dataset.load(f"folder:{tmp_path / 'pictures'}", size=SIZE, cache=tmp_path / "cache")
    sensor = Sensor(8, 0, 255)
    front_end = frontend.fit("loggrad_2p25", sensor, data.subset("train")[0], data.sensor)
    found = bundle.Description(tiny(1), front_end, data.class_names, data.reference, RECIPE, SEED, {})
    (tmp_path / "found.json").write_text(json.dumps(found.to_json()))
    (tmp_path / "weights").mkdir()
    command = [sys.executable, "-c", WORKER, data.path, tmp_path / "found.json", tmp_path / "weights"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "weights" / "00000.npz") as arrays:
        weights = tuple(arrays[name] for name in sorted(arrays))
    made = Bundle(**vars(found), weights=weights)
    bundle.save(tmp_path / "run" / "best", made)
    return made


@pytest.mark.seconds
def test_a_network_is_trained_anew(finalist: Bundle, tmp_path: Path) -> None:
    like = f"--like={tmp_path / 'run'}"
    done = run(tmp_path, "models.train", like, f"--out={tmp_path / 'same'}")
    assert done.returncode == 0, done.stderr
    same = bundle.load(tmp_path / "same")
    assert (same.graph, same.front_end, same.train, same.seed) == (
        finalist.graph, finalist.front_end, finalist.train, finalist.seed,
    )  # fmt: skip
    assert same.data == finalist.data and same.confusion is not None
    for one, other in zip(same.weights, finalist.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (
        "true, answer:" in done.stdout and f"the network of {tmp_path / 'run'} on loggrad_2p25" in done.stdout
    )

    # The set has grown by a class: what was trained before is of another set.
    draw(tmp_path / "pictures", "third")
    done = run(tmp_path, "export.convert", f"--run={tmp_path / 'run'}")
    again = f"train it anew: python -m models.train --like={tmp_path / 'run'} --out=DIR"
    assert done.returncode == 1 and "has changed since this network was trained" in done.stderr
    assert again in done.stderr and done.stderr.count("\n") == 1
    shutil.move(tmp_path / "pictures", tmp_path / "moved")
    words = [f"--data=folder:{tmp_path / 'moved'}", "--epochs=2", "--noflip", f"--out={tmp_path / 'new'}"]
    done = run(tmp_path, "models.train", like, *words)
    assert done.returncode == 0, done.stderr
    new = bundle.load(tmp_path / "new")
    assert new.class_names == ("coarse", "fine", "third") and new.graph.output_units == 3
    assert new.graph.ops[:-1] == finalist.graph.ops[:-1]
    assert (new.train.epochs, new.train.flip, new.train.shift) == (2, False, RECIPE.shift)
    assert (
        new.front_end.sensor == finalist.front_end.sensor
        and new.front_end.ratios != finalist.front_end.ratios
    )
    words = [
        f"--data=folder:{tmp_path / 'moved'}",
        "--recipe=long",
        "--epochs=2",
        f"--out={tmp_path / 'long'}",
    ]
    done = run(tmp_path, "models.train", like, *words)
    assert done.returncode == 0, done.stderr
    assert bundle.load(tmp_path / "long").train == dataclasses.replace(RECIPES["long"](SIZE), epochs=2)
    done = run(tmp_path, "export.convert", f"--run={tmp_path / 'new'}")
    assert done.returncode == 0, done.stderr
    assert "third" in done.stdout


@needs_compiler
@pytest.mark.seconds
def test_a_network_is_trained_natively(tmp_path: Path) -> None:
    """And anew, as it was trained before, with the same weights."""
    for name in ("fine", "coarse"):
        draw(tmp_path / "pictures", name)
    words = [f"--data=folder:{tmp_path / 'pictures'}", f"--size={SIZE}", "--epochs=3", "--batch=8"]
    native = ["--trainer=native", "--sparsity=0.3", f"--out={tmp_path / 'first'}"]
    done = run(tmp_path, "models.train", *words, *native)
    assert done.returncode == 0, done.stderr
    assert "prunable channels left" in done.stdout and "true, answer:" in done.stdout
    first = bundle.load(tmp_path / "first")
    assert first.train.trainer == NATIVE and 0 <= first.metrics["test_error"] <= 1
    done = run(tmp_path, "models.train", f"--like={tmp_path / 'first'}", f"--out={tmp_path / 'again'}")
    assert done.returncode == 0, done.stderr
    assert bundle.load(tmp_path / "again").train == first.train
    done = run(tmp_path, "models.train", *words, "--thresholds=trained", *native[::2])
    assert done.returncode == 1 and "leave --trainer=native out" in done.stderr


@needs_compiler
@pytest.mark.seconds
@pytest.mark.parametrize("trainer", ["native", "tensorflow"])
def test_a_network_is_trained_on(trainer: str, tmp_path: Path) -> None:
    """From its weights, behind its front end, on a set that has grown; what it cannot know is refused."""
    for name in ("fine", "coarse"):
        draw(tmp_path / "pictures", name)
    words = [f"--data=folder:{tmp_path / 'pictures'}", f"--size={SIZE}", "--epochs=8", "--batch=8"]
    done = run(tmp_path, "models.train", *words, f"--trainer={trainer}", f"--out={tmp_path / 'first'}")
    assert done.returncode == 0, done.stderr
    first = bundle.load(tmp_path / "first")
    shutil.copytree(tmp_path / "pictures", tmp_path / "more")
    for label in ("fine", "coarse"):
        for path in sorted((tmp_path / "more" / label).iterdir())[:4]:
            shutil.copy(path, path.with_name(f"new_{path.name}"))
    going_on = [f"--from={tmp_path / 'first'}", f"--data=folder:{tmp_path / 'more'}"]
    done = run(tmp_path, "models.train", *going_on, f"--out={tmp_path / 'second'}")
    assert done.returncode == 0, done.stderr
    second = bundle.load(tmp_path / "second")
    assert second.train == dataclasses.replace(first.train, epochs=4)
    assert second.front_end == first.front_end and second.graph == first.graph
    moved, anew = (_distance(first, other) for other in (second, _drawn(first)))
    assert 0 < moved < 0.5 * anew
    table = done.stdout.splitlines()[-3:]
    assert table[0].split()[-4:] == ["before", "now", "mended", "spoilt"]
    assert [line.split(",")[0] for line in table[1:]] == ["val", "test"]
    worse = any(float(line.split()[-3][:-1]) > float(line.split()[-4][:-1]) for line in table[1:])
    assert ("warning: worse on" in done.stderr) == worse
    done = run(tmp_path, "models.train", *going_on, f"--size={SIZE}", f"--out={tmp_path / 'x'}")
    assert done.returncode == 1 and "--size: decided by --from" in done.stderr
    draw(tmp_path / "more", "third")
    done = run(tmp_path, "models.train", *going_on, f"--out={tmp_path / 'x'}")
    assert done.returncode == 1 and "the network knows coarse, fine: train it anew" in done.stderr


def frames(folder: Path, count: int = 20) -> Path:
    """Photographs of 60x40 in VOC layout, with a bright square in each."""
    for name in ("JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        picture = rng.integers(0, 60, (40, 60, 3))
        left, top = (int(rng.integers(1, side - 12)) for side in (60, 40))
        picture[top : top + 12, left : left + 12] += 150
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"JPEGImages/{i:02d}.png")
        square = Object("car", left + 1, top + 1, left + 12, top + 12)
        write_voc(folder / f"Annotations/{i:02d}.xml", Annotation(f"{i:02d}", 60, 40, (square,)))
    return folder


@needs_compiler
@pytest.mark.seconds
def test_a_detector_is_trained(tmp_path: Path) -> None:
    """And anew, and on; what detectors cannot have is refused."""
    data = ["--task=detect:car", f"--data=folder:{frames(tmp_path / 'frames')}", "--size=60x40"]
    words = ["--trainer=native", "--epochs=2", "--batch=7", f"--out={tmp_path / 'first'}"]
    done = run(tmp_path, "models.train", *data, *words)
    assert done.returncode == 0, done.stderr
    first = bundle.load(tmp_path / "first")
    assert first.graph.cells == (3, 4) and first.class_names == ("car",) and first.confusion is None
    assert first.detection is not None and set(first.detection) == {"val", "test"}
    assert first.threshold == first.detection["test"].threshold
    assert first.metrics["test_error"] == 1 - first.detection["test"].f1
    assert first.metrics["val_error"] == 1 - first.detection["val"].f1
    assert "AP car" in done.stdout and "found by their longer side: under 20 pixels" in done.stdout
    assert "error of cells in training" in done.stderr and "training error" not in done.stderr
    done = run(tmp_path, "models.train", f"--like={tmp_path / 'first'}", f"--out={tmp_path / 'again'}")
    assert done.returncode == 0, done.stderr
    for one, other in zip(bundle.load(tmp_path / "again").weights, first.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    done = run(tmp_path, "models.train", f"--from={tmp_path / 'first'}", f"--out={tmp_path / 'second'}")
    assert done.returncode == 0, done.stderr
    assert "F1 before" in done.stdout.splitlines()[-3]
    like = [f"--like={tmp_path / 'first'}", "--task=classify", f"--out={tmp_path / 'x'}"]
    done = run(tmp_path, "models.train", *like)
    assert done.returncode == 1 and "was trained for --task=detect:car" in done.stderr


def _drawn(like: Bundle) -> Bundle:
    """The same network with fresh weights."""
    drawn = initial(like.graph, like.train.initializer, np.random.default_rng(0))
    return dataclasses.replace(like, weights=in_order(like.graph, drawn))


def _distance(one: Bundle, other: Bundle) -> float:
    """Between the kernels of two networks, relative to those of the first."""
    pairs = [(a, b) for a, b in zip(one.weights, other.weights, strict=True) if a.ndim > 1]
    return float(np.sqrt(sum(((a - b) ** 2).sum() for a, b in pairs) / sum((a**2).sum() for a, _ in pairs)))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--net=small_bn", "--like=a"], "--net, --like and --from each name a network: give one of them"),
        (["--pruning_schedule=tfmot"], "--pruning_schedule=tfmot: nothing is pruned; add --sparsity"),
        (["--task=detect", "--net=small_bn"], "--net=small_bn: --task=detect takes cells"),
        (["--net=cells"], "--net=cells: --task=classify takes two_conv_one_fc or small_bn"),
        (["--task=detect", "--thresholds=trained"], "--thresholds=trained: not with --task=detect"),
        (["--like=gone"], "--like=gone: not a directory"),
        (["--from=gone"], "--from=gone: not a directory"),
        (["--from=a", "--like=a"], "--net, --like and --from each name a network: give one of them"),
        (["--like=."], "--like=.: no finished network there"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], reason: str, tmp_path: Path) -> None:
    done = run(tmp_path, "models.train", *words, f"--out={tmp_path / 'out'}")
    assert done.returncode == 1 and reason in done.stderr and done.stderr.count("\n") == 1
