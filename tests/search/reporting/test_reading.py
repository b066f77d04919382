"""search.reporting.reading: the command that asks for the same search again."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from loggrad_tf.errors import LogGradError
from search.cost.objectives import Bounds
from search.record.journal import encode
from search.reporting import reading
from search.run import rival, rundir
from search.run.config import Config
from search.run.profiles import PROFILES
from search.run.schedule import Schedule, opened
from search.space.genotype import Genotype
from search.strategy.method import beginning
from search.strategy.proposal import training_seed
from tests.support import REPOSITORY
from tests.support.report_cases import CONFIG, EVERY_BOUND, invented, write_run

# What search.run.options makes of the flags, with a data set in place of one on the disk.
_PARSE = """
import dataclasses, json, sys
from absl import flags
from search.run import options
from search.run.config import Config
same = []
for line in sys.stdin:
    stored = json.loads(line)
    config = Config.from_json(stored["config"])
    class Data:
        class_names, manifest_sha256 = config.class_names, config.manifest_sha256
        fit, task = config.fit, config.task
        labels_of = lambda self, split: range(100)
    options.dataset.opened = lambda *_, **__: Data()
    options.fit_front_end = lambda *_: config.front_end
    flags.FLAGS.unparse_flags()
    for name in flags.FLAGS: flags.FLAGS[name].unparse()
    flags.FLAGS(["evolve", *stored["arguments"]])
    options.check()
    again = dataclasses.replace(options.config()[0], versions=config.versions)
    same.append(again == config)
print(json.dumps(same))
"""


def _configs() -> list[Config]:
    quick, paper, faithful = (PROFILES[name] for name in ("quick", "paper", "faithful"))
    replace = dataclasses.replace
    staged, quick = quick, replace(quick, space="munas")
    brief = replace(quick.train, epochs=3)
    return [
        CONFIG,
        replace(
            CONFIG, method=replace(quick, rounds=7, rungs=(), max_overrun=None, varied=False, model="munas")
        ),
        replace(CONFIG, method=replace(quick, train=brief, rungs=(2,), max_overrun=1.5)),
        replace(CONFIG, method=replace(quick, train=brief, rungs=(1,), unique=False)),
        replace(
            CONFIG,
            profile="paper",
            method=paper,
            bounds=Bounds(None, 9999.5, None, None, None, 1e6, 0.1, 1e-3),
        ),
        replace(CONFIG, profile="faithful", method=faithful, bounds=Bounds()),
        replace(CONFIG, size=(120, 160), fit="crop", task="presence:person"),
        replace(CONFIG, board="stm32vldiscovery", mode="mosaic", bits=10, input="jpeg8", bounds=EVERY_BOUND),
        replace(
            CONFIG,
            method=replace(
                quick,
                train=replace(quick.train, fused_bn=False),
                final=replace(quick.final, epochs=100),
                final_seeds=3,
                start="small_bn",
                always_bn=True,
                rank_by="loss",
                padding="same",
            ),
        ),
        replace(CONFIG, method=staged),
        replace(CONFIG, method=replace(staged, rounds=7, start="small_bn")),
        replace(CONFIG, fit="pad"),
        replace(CONFIG, method=replace(quick, final=replace(quick.final, epochs=300, cutout=12))),
        replace(CONFIG, method=replace(quick, train=replace(quick.train, epochs=80), rungs=(20, 40))),
        replace(CONFIG, data='folder:/tmp/it\'s a "set"', seed=12, workers=5),
    ]


@pytest.mark.seconds
def test_command_asks_for_the_same_search() -> None:
    configs = _configs()
    lines = [json.dumps({"config": c.to_json(), "arguments": reading.arguments(c)}) for c in configs]
    done = subprocess.run(
        [sys.executable, "-c", _PARSE],
        cwd=REPOSITORY,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True] * len(configs)
    assert not any(reading.unlike_profile(c) for c in configs)


def test_command_is_one_for_a_shell(tmp_path: Path) -> None:
    config = dataclasses.replace(_configs()[-1], onednn="0")
    text = reading.command(config).replace("python -m search.evolve", "printf '%s\\n'")
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True)
    assert done.stdout.splitlines() == reading.arguments(config)
    assert text.startswith("TF_ENABLE_ONEDNN_OPTS=0 ")


def test_training_that_no_flag_gives_is_named() -> None:
    train = dataclasses.replace(CONFIG.method.train, momentum=0.5, epochs=3)
    final = dataclasses.replace(CONFIG.method.final, shift=1, epochs=50)
    config = dataclasses.replace(CONFIG, method=dataclasses.replace(CONFIG.method, train=train, final=final))
    assert reading.unlike_profile(config) == ["momentum", "final shift"]
    final = dataclasses.replace(CONFIG.method.final, epochs=300)  # as before squares were cut out
    config = dataclasses.replace(CONFIG, method=dataclasses.replace(CONFIG.method, final=final))
    assert reading.unlike_profile(config) == ["final cutout"]


def test_a_search_may_begin_with_what_another_one_saved(tmp_path: Path) -> None:
    records = invented(CONFIG.method.rounds)
    directory = write_run(tmp_path / "run", CONFIG, records)
    with pytest.raises(LogGradError, match=r"--start=.*run: no finished search: finish it with --resume"):
        reading.begins_with(directory)
    chosen = next(record for record in records if record.ranked)
    for index, expected in ((chosen.candidate.index, chosen.candidate.genotype), (rival.INDEX, None)):
        saved = {"seed": training_seed(CONFIG.seed, index, 0), "train": {"epochs": 40}}
        metrics = {"metrics": {"val_error": 0.1, "test_error": 0.2}}
        (directory / "best").mkdir(exist_ok=True)
        (directory / "best/network.json").write_text(json.dumps(saved | metrics))
        text = reading.begins_with(directory)
        assert text == rival.NAME if expected is None else Genotype.from_json(json.loads(text)) == expected
        assert beginning(text) == text


def test_a_search_with_a_budget_is_read_before_and_after_it_is_decided(tmp_path: Path) -> None:
    going_on = dataclasses.replace(CONFIG, method=opened(CONFIG.method), budget=600.0)
    directory = write_run(tmp_path / "run", going_on, invented(20))
    run = reading.read(directory)
    assert not run.finished and run.asked == "?"
    assert "--budget=600s" in reading.arguments(run.config)
    assert not any(word.startswith("--rounds") for word in reading.arguments(run.config))
    found = Schedule(600.0, 20, 3, 2, 90)
    settled = found.of(going_on)
    rundir.write_config(directory, settled)
    lines = (directory / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (directory / "journal.jsonl").write_bytes(b"".join([*lines[:-1], encode(found.to_json()), lines[-1]]))
    run = reading.read(directory)
    assert run.finished and run.asked == "20" and len(run.records) == 20
    given = set(reading.arguments(run.config))
    assert {"--rounds=20", "--final_epochs=90", "--final_seeds=2"} <= given
    assert not any(word.startswith("--budget") for word in given)
