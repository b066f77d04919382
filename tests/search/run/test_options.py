"""search.run.options: flags, profiles and bounds, without any data.

In processes of their own: in this one other doors have defined flags of the same names.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from export import boards
from export.predict import footprint
from loggrad_tf.knob import text
from models.recipe import TrainConfig
from search.run.profiles import PROFILES
from search.strategy.method import METHOD_FLAGS
from tests.support import REPOSITORY

PROGRAM = """
import json, sys
from absl import flags
from loggrad_tf.errors import LogGradError
from search.run import options
found = []
for arguments in json.load(sys.stdin):
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["search.evolve", *arguments])
    try:
        found.append([options.method().to_json(), options.bounds().to_json()])
    except LogGradError as error:
        found.append(str(error))
json.dump(found, sys.stdout)
"""
NOTHING = dict.fromkeys(("peak_memory", "size", "macs", "ram", "flash", "latency", "energy"))
USUAL = {**NOTHING, "error": 0.05, "macs": 1_000_000}


def ask(*searches: str) -> list[Any]:
    """[method, bounds], or what is wrong, for each command line."""
    given = json.dumps([line.split() for line in searches])
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=given, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: list[Any] = json.loads(done.stdout)
    return answer


@pytest.mark.seconds
def test_faithful_is_the_paper() -> None:
    """Appendix C.1 and muNAS' own counts, bounds and sizes; nothing that makes it cheaper."""
    [[method, bounds]] = ask("--faithful")
    assert [method[k] for k in ("rounds", "population", "sample", "model")] == [2000, 100, 25, "munas"]
    assert [method[k] for k in ("max_overrun", "unique", "children", "rungs")] == [None, False, 1, []]
    assert (
        method["pruning"]
        and not method["varied"]
        and not method["elitist"]
        and (method["rank_by"], method["padding"]) == ("error", "valid")
        and method["final"] == {"epochs": 0}
    )
    paper = TrainConfig(epochs=80, batch_size=128, learning_rate=0.03, momentum=0.9, weight_decay=1e-4)
    given = TrainConfig.from_json(method["train"])
    assert given == TrainConfig.from_json(paper.to_json() | {"fused_bn": False})
    assert (given.schedule, given.flip, given.shift, given.label_smoothing) == ("constant", False, 0, 0)
    assert bounds == USUAL | {"peak_memory": 10_000, "size": 20_000}


@pytest.mark.seconds
def test_what_the_table_shows_can_be_given() -> None:
    """Every value of a profile, as docs/search-flags.md and --help write it, makes that profile again."""
    names = [name for name in PROFILES if name != "faithful"]
    lines = []
    for name in names:
        given = {flag: text(flag.of(PROFILES[name])) for flag in METHOD_FLAGS}
        assert "" not in given.values()
        lines.append(
            " ".join([f"--profile={name}", *(f"--{flag.name}={value}" for flag, value in given.items())])
        )
    assert [method for method, _ in ask(*lines)] == [PROFILES[name].to_json() for name in names]


@pytest.mark.seconds
def test_every_saving_is_a_flag_of_its_own() -> None:
    switches = "--max_overrun=none --nounique --children=1 --rungs=none --novaried"
    switches += " --nofused_bn --noalways_bn"
    [paper, _], [plain, _] = ask("--profile=paper", f"--profile=paper {switches}")
    faithful = PROFILES["faithful"].to_json()
    assert {k for k in plain if plain[k] != faithful[k]} == {"model"}
    changed = {k for k in plain if plain[k] != paper[k]}
    assert changed == {
        "max_overrun", "unique", "children", "rungs", "varied", "always_bn", "train",
    }  # fmt: skip


@pytest.mark.seconds
def test_bounds_follow_the_counts() -> None:
    own = "--ram_bound=8000 --memory_bound=none --latency_bound=0.05 --energy_bound=2e-3"
    deployed, munas, given = (
        bounds for _, bounds in ask("", "--resources=munas", f"--resources=munas {own}")
    )
    assert deployed == USUAL | {"size": 20_000, "ram": 10_000}
    assert munas == USUAL | {"size": 20_000, "peak_memory": 10_000}
    assert given == USUAL | {"size": 20_000, "ram": 8000, "latency": 0.05, "energy": 0.002}


@pytest.mark.seconds
def test_bounds_spelled_out_are_the_same_search() -> None:
    """Byte for byte: a run's history is compared by its hash."""
    usual, spelled = ask("", "--ram_bound=10000 --size_bound=20000 --macs_bound=1000000 --error_bound=0.05")
    assert json.dumps(usual) == json.dumps(spelled)


@pytest.mark.seconds
def test_energy_is_an_objective_on_request() -> None:
    found = [
        b["energy"] for _, b in ask("", "--energy", "--energy --energy_bound=2e-3", "--faithful --energy")
    ]
    assert found == [None, 0.0005, 0.002, 0.0005]


@pytest.mark.seconds
def test_a_board_bounds_its_ram_and_flash() -> None:
    names = [name for name in boards.names() if boards.read(name)["core"] != "host"]
    for name, (_, bounds) in zip(names, ask(*(f"--board={name}" for name in names)), strict=True):
        facts = boards.read(name)
        assert bounds == USUAL | {"ram": facts["ram"]["length"], "flash": facts["flash"]["length"]}
    [[_, bounds]] = ask("--board=stm32vldiscovery --flash_bound=60000 --size_bound=9000")
    assert bounds == USUAL | {"ram": 8192, "flash": 60_000, "size": 9000}


@pytest.mark.seconds
def test_a_board_of_ones_own_bounds_too(tmp_path: Path) -> None:
    board = tmp_path / "mine"
    shutil.copytree(boards.BOARDS / "stm32vldiscovery", board)
    facts = json.loads((board / "board.json").read_text()) | {"name": "mine"}
    (board / "board.json").write_text(json.dumps(facts))
    flags = f"--boards={tmp_path} --board=mine"
    found = ask(flags, "--board=mine", f"--boards={tmp_path}")
    assert found[0].startswith("board mine: no code sizes; measure them with python -m export.code_sizes ")
    assert found[1].startswith("--board=mine: no such board; choose one of arduino-nano-33-ble, ")
    assert found[2] == f"--board is missing; --boards={tmp_path} has mine"
    sizes = footprint.measured_sizes(boards.read("stm32vldiscovery"))
    (board / "code_sizes.json").write_text(json.dumps(sizes.to_json()))
    [[_, bounds]] = ask(flags)
    assert bounds == USUAL | {"ram": 8192, "flash": 131_072}


@pytest.mark.seconds
def test_squares_are_cut_out_in_long_finals() -> None:
    found = ask(
        "", "--final_epochs=300", "--final_epochs=300 --size=48", "--profile=paper --final_epochs=300",
        "--faithful --final_epochs=300",
    )  # fmt: skip
    assert [method["final"] for method, _ in found] == [
        {"epochs": 100}, {"epochs": 300, "cutout": 24}, {"epochs": 300, "cutout": 12},
        {"epochs": 300}, {"epochs": 300},
    ]  # fmt: skip


@pytest.mark.seconds
def test_rungs_of_a_profile_lie_below_its_epochs() -> None:
    [short, _], wrong = ask("--epochs=3", "--epochs=3 --rungs=1,3")
    assert short["rungs"] == [2]
    assert "below the 3 epochs" in wrong


@pytest.mark.seconds
def test_knobs_of_munas_space_are_refused_in_the_other() -> None:
    given = ("--padding=valid", "--always_bn", "--novaried")
    wrong = ask(*(f"--space=staged {flag}" for flag in given))
    assert wrong == [
        f"--{shown}: only muNAS' space has the choice: leave it out, or give --space=munas"
        for shown in ("padding=valid", "always_bn=true", "varied=false")
    ]
    assert all(method["padding"] == "valid" for method, _ in ask("--space=munas --padding=valid"))
    [[method, _]] = ask("--space=staged")
    assert method["space"] == "staged"
