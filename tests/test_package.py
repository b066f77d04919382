"""The wheel: what is in it, and that it does all the work far from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loggrad_tf import __version__
from tests.support import REPOSITORY

ROOMS = ("loggrad_tf", "models", "search", "export", "firmware", "experiments", "benchmarks")
# Of the rooms, what no program reads.
LEFT_OUT = ("experiments/results/", "experiments/RESULTS.md", "benchmarks/results/")
# Make's helper in a checkout; an installed doctor names the packages.
LEFT_OUT += ("firmware/install_tools.sh",)


def _run(command: list[str], cwd: Path) -> str:
    """Run something as one who has no checkout; what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"LOGGRAD_CACHE": str(cwd / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _tracked() -> list[str]:
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("which files belong to the project is known in a git checkout only")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [name for name in listing.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that sees the present packages, so that nothing is fetched."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    interpreter = folder / "bin" / "python"
    place = _run([str(interpreter), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
    (Path(place.strip()) / "present.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files, with the present setuptools."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(folder / "tree.tar", "w") as tree:
        for name in _tracked():
            tree.add(REPOSITORY / name, f"tree/{name}")
    with tarfile.open(folder / "tree.tar") as tree:
        tree.extractall(folder, filter="data")
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    _run([sys.executable, "-c", build], folder / "tree")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(python: Path, wheel: Path) -> Path:
    """The interpreter of an environment that has the wheel."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", "--no-deps", "--no-index", str(wheel)], wheel.parent)
    return python


@pytest.fixture(scope="module")
def converted(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny network, trained and converted by the installed doors."""
    folder = tmp_path_factory.mktemp("elsewhere")
    rng = np.random.default_rng(0)
    for name in ("flat", "steep", "upright"):
        (folder / "photos" / name).mkdir(parents=True)
        for k in range(12):
            Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(
                folder / "photos" / name / f"{k}.png"
            )
    _run(
        [str(installed), "-m", "models.train", "--data=folder:photos", "--size=16", "--epochs=1",
         "--batch=8", "--shift=0", "--out=net"],
        folder,
    )  # fmt: skip
    assert "int8" in _run([str(installed), "-m", "export.convert", "--run=net"], folder)
    return folder


@pytest.mark.seconds
def test_the_wheel_has_the_files_of_the_rooms(wheel: Path) -> None:
    expected = {
        name for name in _tracked() if name.partition("/")[0] in ROOMS and not name.startswith(LEFT_OUT)
    }
    with zipfile.ZipFile(wheel) as opened:
        found = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert found == expected | {"loggrad.py"}


@pytest.mark.seconds
def test_the_wheel_has_the_version_that_firmware_carries(wheel: Path) -> None:
    assert wheel.name.split("-")[:2] == ["loggrad", __version__]


@pytest.mark.seconds
def test_the_doors_open_elsewhere(installed: Path, tmp_path: Path) -> None:
    where = _run([str(installed), "-c", "import export; print(export.__file__)"], tmp_path)
    assert where.startswith(str(installed.parents[1]))
    assert "--rounds" in _run([str(installed), "-m", "search.evolve", "--help"], tmp_path)
    command = str(installed.parent / "loggrad")
    assert "loggrad search:" in _run([command, "search", "--help"], tmp_path)
    assert "experiments" in _run([command], tmp_path)
    assert "fig05_fronts" in _run([command, "experiments", "--figure=list"], tmp_path)


def test_the_installed_doctor_reads_the_ranges(installed: Path, tmp_path: Path) -> None:
    # What tools there are is the machine's affair, and so is the exit code.
    done = subprocess.run(
        [str(installed.parent / "loggrad"), "doctor"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode in (0, 1) and done.stderr == ""
    assert "  ok       keras " in done.stdout and "  ok       tensorflow " in done.stdout
    assert "hypothesis" not in done.stdout


@pytest.mark.seconds
@pytest.mark.parametrize("board", ["host", pytest.param("mps2-an386", marks=pytest.mark.qemu)])
def test_the_installed_project_makes_verified_firmware(board: str, installed: Path, converted: Path) -> None:
    for tool in ("cmake", "gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: loggrad doctor")
    door = [str(installed), "-m"]
    model = "--model=net/export/model.tflite"
    _run([*door, "export.firmware", model, f"--board={board}", f"--out={board}", "--vectors=4"], converted)
    _run([*door, "firmware.build", f"--project={board}"], converted)
    assert "4 vectors, 0 mismatches" in _run([*door, "firmware.verify", f"--project={board}"], converted)
