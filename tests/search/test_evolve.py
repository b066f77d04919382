"""search.evolve: the door. Wrong values fast; a real search killed with SIGKILL, slow."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export import boards
from export.predict import footprint
from loggrad_tf.data.voc import Annotation, Object, write_voc
from models import bundle
from search.record.journal import SCHEDULE
from search.reporting import reading
from search.run import rundir
from search.run.config import absolute_data
from search.run.schedule import OPEN
from tests.support import REPOSITORY, cards, report_cases
from tests.support.native_cases import needs_compiler

SHAPES = ("bar", "disc", "noise")


def _picture(rng: np.random.Generator, label: int) -> np.ndarray:
    y, x = np.mgrid[:40, :40] - rng.integers(14, 26, 2)[:, None, None]
    mask = (np.abs(x) < 5, x * x + y * y < 120, rng.random((40, 40)) < 0.5)[label]
    shade = rng.integers(20, 90, 3) + mask[..., None] * rng.integers(60, 150, 3)
    return (shade + rng.normal(0, 4, (40, 40, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three easy classes, 36 pictures each, as a folder."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for label, name in enumerate(SHAPES):
        (folder / name).mkdir()
        for i in range(36):
            Image.fromarray(_picture(rng, label)).save(folder / name / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "search.evolve", *arguments]


def _evolve(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LOGGRAD_CACHE": str(cache)}
    return subprocess.run(
        _command(*arguments), cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600
    )


def _killed_when(cache: Path, run: Path, arguments: Sequence[str], ripe: Callable[[bytes], bool]) -> None:
    """Search in ``run``, and kill that with SIGKILL as soon as its journal is ``ripe``."""
    process = subprocess.Popen(
        _command(*arguments),
        cwd=REPOSITORY,
        env={**os.environ, "LOGGRAD_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = run / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and ripe(journal.read_bytes())):
        time.sleep(0.02)
    assert process.poll() is None, "the search ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def _one_line_error(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode not in (0, None) and "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    return lines[0]


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input=png",), "--input: unknown input format 'png'"),
        (("--rounds=0",), "rounds"),
        (("--bits=7",), "--bits=7: choose 8 to 16"),
        (("--macs_bound=fast",), "--macs_bound=fast: give a positive number, or none"),
        (("--error_bound=5",), "bound on error is 5; give a share up to 1"),
        (("--max_overrun=-1",), "--max_overrun=-1: give a positive number, or none"),
        (("--budget=fast",), "--budget=fast: give a time as 90s, 10m or 2h"),
        (("--budget=2h", "--finalists=3"), "--budget=2h decides --finalists: give one of them"),
        (("--budget=2h", "--profile=paper"), "--budget=2h: a search as the paper's has the paper's rounds"),
        (("--rungs=4,2",), "--rungs=4,2: give rising numbers of epochs"),
        (("--rungs=2,9",), "--rungs=2,9: the last one must lie below the 8 epochs"),
        (("--pruning_schedule=tfmot",), "--pruning_schedule=tfmot: nothing is pruned; add --pruning"),
        (("--faithful", "--profile=paper"), "--faithful and --profile name two sets of defaults"),
        (("--ray_address=auto",), "--ray_address=auto: give --executor=ray too"),
        (("--board=uno",), "--board=uno: no such board; choose one of arduino-nano-33-ble,"),
        (("--board=host",), "--board=host: it bounds nothing"),
        (("--data=folder:/nowhere/at/all",), "/nowhere/at/all"),
        (("--task=detect", "--space=munas"), "--space=munas: it has no detectors: leave it out"),
        (("--task=detect", "--profile=paper"), "--profile=paper: muNAS' space has no detectors"),
        (("--task=detect", "--faithful"), "--faithful: muNAS' space has no detectors"),
        (("--task=detect", "--budget=2h", "--rounds=3"), "--budget=2h decides --rounds: give one of them"),
        (("--resume",), "--resume: say which run"),
        (("--resume=/nowhere",), "/nowhere: no search there to resume"),
        (("--resume=a", "--out=b"), "name two directories"),
    ],
)
def test_wrong_values(cache: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    out = () if any("resume" in a for a in arguments) else (f"--out={tmp_path / 'run'}",)
    assert message in _one_line_error(_evolve(cache, *arguments, *out))
    left = [path.name for path in (tmp_path / "run").glob("*")]
    assert left == (["lock"] if "--data=folder:/nowhere/at/all" in arguments else [])


@pytest.mark.seconds
def test_a_board_that_is_gone_is_told_when_the_search_goes_on(cache: Path, tmp_path: Path) -> None:
    board = tmp_path / "boards/mine"
    rundir.create(tmp_path / "run", dataclasses.replace(report_cases.CONFIG, board=str(board)))
    error = _one_line_error(_evolve(cache, f"--resume={tmp_path / 'run'}"))
    assert f"board '{board}': {board}/board.json is missing: put the folder back" in error


@pytest.mark.slow
def test_search_for_a_board_of_ones_own(pictures: Path, cache: Path, tmp_path: Path) -> None:
    """Nobody names the board again when the search goes on, from elsewhere or not."""
    board = tmp_path / "boards/mine"
    shutil.copytree(boards.BOARDS / "stm32vldiscovery", board)
    facts = json.loads((board / "board.json").read_text()) | {"name": "mine"}
    (board / "board.json").write_text(json.dumps(facts))
    sizes = footprint.measured_sizes(boards.read("stm32vldiscovery"))
    (board / "code_sizes.json").write_text(json.dumps(sizes.to_json()))
    journals = []
    for out, chosen in (("own", (f"--boards={board.parent}", "--board=mine")),
                        ("ours", ("--board=stm32vldiscovery",))):  # fmt: skip
        run = tmp_path / out
        begun = _evolve(cache, *TINY, *chosen, "--rounds=3", f"--data=folder:{pictures}", f"--out={run}")
        assert begun.returncode == 0, begun.stderr
        again = _evolve(cache, f"--resume={run}", "--rounds=5")
        assert again.returncode == 0, again.stderr
        journals.append((run / "journal.jsonl").read_text().splitlines()[1:])
    assert json.loads((tmp_path / "own/config.json").read_text())["board"] == str(board)
    assert len(journals[0]) == 5 and journals[0] == journals[1]


@pytest.mark.seconds
def test_unwritable_directory_is_found_before_data_is_prepared(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _evolve(cache, "--data=folder:/nowhere", f"--out={tmp_path / 'file' / 'run'}")
    assert f"{tmp_path / 'file' / 'run'}: Not a directory" in _one_line_error(done)


@pytest.mark.seconds
def test_running_search_is_found_before_data_is_prepared(cache: Path, tmp_path: Path) -> None:
    with rundir.lock(tmp_path / "run"):
        done = _evolve(cache, "--data=folder:/nowhere", f"--out={tmp_path / 'run'}")
    assert "another search is running there" in _one_line_error(done)


def test_data_is_named_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for drawn in ("synthetic", "synthetic:40@3", "synthetic:street"):
        assert absolute_data(drawn) == drawn
    assert absolute_data("folder:a/../b") == f"folder:{tmp_path / 'b'}"
    assert absolute_data(f"pascalraw:{tmp_path}") == f"pascalraw:{tmp_path}"


TINY = (
    "--size=24", "--rounds=6", "--population=3", "--sample=2", "--epochs=4", "--workers=2",
    "--input=loggrad_1p5", "--final_epochs=5", "--pruning", "--rungs=2", "--children=2", "--always_bn",
    "--padding=same", "--rank_by=loss", "--space=munas",
)  # fmt: skip


def _state(directory: Path) -> dict[str, bytes]:
    names = ["config.json", "journal.jsonl", "front.csv"]
    names += [str(p.relative_to(directory)) for p in sorted((directory / "candidates").iterdir())]
    return {name: (directory / name).read_bytes() for name in names}


@pytest.mark.slow
def test_killed_search_goes_on_as_if_nothing_had_happened(
    pictures: Path, cache: Path, tmp_path: Path
) -> None:
    data = f"--data=folder:{os.path.relpath(pictures, REPOSITORY)}"
    whole = tmp_path / "whole"
    done = _evolve(cache, data, *TINY, f"--out={whole}")
    assert done.returncode == 0, done.stderr
    assert "validation error" in done.stdout and "test error" in done.stdout

    killed = tmp_path / "killed"
    for starts, lines in enumerate((1, 3, 5)):  # the begin record, then a few candidates more each time
        arguments = [data, *TINY, "--resume", f"--out={killed}"] if not starts else [f"--resume={killed}"]
        _killed_when(cache, killed, arguments, lambda journal, lines=lines: journal.count(b"\n") >= lines)
    refused = _evolve(cache, f"--resume={killed}", "--seed=3")
    assert "seed was 0, now 3" in _one_line_error(refused)
    refused = _evolve(cache, f"--resume={killed}", "--macs_bound=none")
    assert "bounds.macs was 1000000, now None" in _one_line_error(refused)
    assert "holds a search" in _one_line_error(_evolve(cache, data, *TINY, f"--out={killed}"))
    done = _evolve(cache, "--resume", data, f"--out={killed}")
    assert done.returncode == 0, done.stderr
    assert _state(killed) == _state(whole)

    assert json.loads((whole / "config.json").read_text())["data"] == f"folder:{pictures}"
    saved = [bundle.load(d / "best") for d in (whole, killed)]
    assert saved[0].metrics == saved[1].metrics and saved[0].graph == saved[1].graph
    for a, b in zip(saved[0].weights, saved[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [json.loads(line) for line in (whole / "journal.jsonl").read_text().splitlines()[1:]]
    errors = {row["val_error"] for row in rows}
    finals = [bundle.load(path) for path in sorted((whole / "finalists").glob("0*"))]
    assert finals and all(one.metrics["search_val_error"] in errors for one in finals) and len(rows) == 6
    assert (whole / "finalists" / "small_bn_0").is_dir() and "beside_test_error" in saved[0].metrics

    short = tmp_path / "short"
    done = _evolve(cache, data, *TINY, "--rounds=4", f"--out={short}")
    assert done.returncode == 0, done.stderr
    done = _evolve(cache, f"--resume={short}", "--rounds=6")
    assert done.returncode == 0, done.stderr
    assert _state(short) == _state(whole)
    refused = _evolve(cache, f"--resume={short}", "--rounds=5")
    assert "6 candidates are there already, --rounds=5" in _one_line_error(refused)


@pytest.mark.slow
@needs_compiler
def test_a_killed_search_with_a_budget_is_the_one_that_its_numbers_make(
    pictures: Path, cache: Path, tmp_path: Path
) -> None:
    """In the staged space, trained natively, killed when it is decided what to train in full."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    arguments = (f"--data=folder:{pictures}", "--size=24", "--workers=2", "--trainer=native", "--budget=40s")
    _killed_when(cache, killed, [*arguments, f"--out={killed}"], lambda journal: SCHEDULE.encode() in journal)
    done = _evolve(cache, f"--resume={killed}")
    assert done.returncode == 0, done.stderr
    config = rundir.load_config(killed)
    assert config.budget == 40.0 and config.method.rounds < OPEN
    given = [word for word in reading.arguments(config) if not word.startswith("--budget")]
    done = _evolve(cache, *given, f"--out={whole}")
    assert done.returncode == 0, done.stderr
    lines = [(d / "journal.jsonl").read_bytes().splitlines() for d in (killed, whole)]
    assert [line for line in lines[0] if SCHEDULE.encode() not in line] == lines[1]
    saved = [bundle.load(d / "best") for d in (killed, whole)]
    assert saved[0].metrics == saved[1].metrics
    for a, b in zip(saved[0].weights, saved[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    refused = _evolve(cache, f"--resume={killed}", "--budget=2h", "--rounds=9")
    assert "--budget=2h decides --rounds: give one of them" in _one_line_error(refused)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 pictures of 64x48 in VOC layout: bright cars, wider than high, and dark persons, on noise."""
    place, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (place / name).mkdir(parents=True)
    for k in range(48):
        values, objects = rng.integers(90, 140, (48, 64)).astype(np.uint8), []
        for name, width, height, shade in (("car", 22, 12, 230), ("person", 8, 20, 20)):
            if rng.random() < 0.7:
                x, y = int(rng.integers(0, 64 - width)), int(rng.integers(0, 48 - height))
                values[y : y + height, x : x + width] = shade
                objects.append(Object(name, x + 1, y + 1, x + width, y + height))
        Image.fromarray(values).save(place / f"JPEGImages/{k:02d}.png")
        write_voc(place / f"Annotations/{k:02d}.xml", Annotation(f"{k:02d}", 64, 48, tuple(objects)))
    for split, names in (("train", range(32)), ("val", range(32, 40)), ("test", range(40, 48))):
        (place / f"ImageSets/Main/{split}.txt").write_text("\n".join(f"{k:02d}" for k in names))
    return place


@pytest.mark.slow
@needs_compiler
def test_a_killed_search_for_detectors_is_the_one_that_was_not(
    frames: Path, cache: Path, tmp_path: Path
) -> None:
    arguments = (
        f"--data=folder:{frames}", "--task=detect:car,person", "--size=64x48", "--rounds=5", "--population=2",
        "--sample=2", "--epochs=4", "--rungs=none", "--final_epochs=8", "--finalists=1", "--workers=2",
        "--pruning",
    )  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = _evolve(cache, *arguments, f"--out={whole}")
    assert done.returncode == 0, done.stderr
    assert "val F1" in done.stdout and "test F1" in done.stdout and "validation error" not in done.stdout
    assert "AP person" in done.stdout and "hand-made cells" in done.stdout
    _killed_when(cache, killed, [*arguments, f"--out={killed}"], lambda journal: journal.count(b"\n") >= 3)
    done = _evolve(cache, f"--resume={killed}")
    assert done.returncode == 0, done.stderr
    assert _state(killed) == _state(whole)
    saved = [bundle.load(d / "best") for d in (whole, killed)]
    assert saved[0].metrics == saved[1].metrics and saved[0].threshold == saved[1].threshold
    for a, b in zip(saved[0].weights, saved[1].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert saved[0].graph.cells == (3, 4) and saved[0].class_names == ("car", "person")
    assert saved[0].detection is not None and saved[0].confusion is None
    assert saved[0].metrics["test_error"] == pytest.approx(1 - saved[0].detection["test"].f1)
    with Image.open(whole / "found.png") as picture:
        assert picture.width > 1000
    page = subprocess.run(
        [sys.executable, "-m", "search.report", f"--run={whole}", f"--out={tmp_path / 'report.html'}"],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert page.returncode == 0, page.stderr
    assert 'class="frames"' in (tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="there is a GPU")
def test_a_gpu_that_tensorflow_cannot_use_changes_nothing(
    pictures: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, warnings = [], []
    for name in ("without", "with"):
        if name == "with":
            cards.plug_in(tmp_path / "cards", monkeypatch, usable=False)
        out = tmp_path / name
        done = _evolve(cache, f"--data=folder:{pictures}", *TINY, "--rounds=3", f"--out={out}")
        assert done.returncode == 0, done.stderr
        states.append(_state(out))
        warnings.append([line for line in done.stderr.splitlines() if "tensorflow[and-cuda]" in line])
    assert states[0] == states[1]
    assert warnings[0] == [] and len(warnings[1]) == 1
    assert warnings[1][0].startswith("warning: GPU 0: A Card, GPU 1: A Card: TensorFlow cannot use")


@pytest.mark.slow
def test_interrupted_search_says_how_to_go_on(pictures: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        _command(f"--data=folder:{pictures}", *TINY, f"--out={out}"),
        cwd=REPOSITORY, env={**os.environ, "LOGGRAD_CACHE": str(cache)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None and not (out / "journal.jsonl").exists():
        time.sleep(0.02)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--resume={out}" in errors and "Traceback" not in errors
