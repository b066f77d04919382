"""``python -m export.doctor``: what this machine has for the whole way, and how to mend what it has not.

A line each for Python and its packages, the programs that build, emulate and flash firmware, processor,
memory, disk and GPU: ``ok``; ``missing``, without which there is no way from photographs to a verified image;
``note``, all else. Exit code 1 if anything is missing. Needs the standard library only, changes nothing, and
does not load TensorFlow.
"""

import importlib.metadata
import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from export import WITH_CONVERTER
from firmware import project as projects
from firmware import toolchain
from firmware.toolchain import MISSING, NOTE, OK, Finding
from loggrad_tf import gpus
from loggrad_tf.files import cache_folder
from loggrad_tf.parallel import processors

DISTRIBUTION = "loggrad"
PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
# The drawn photographs and the set that is made of them.
DISK = 0.5e9
# Of TensorFlow's files: without it there is no tf.lite.
CONVERTER = "tensorflow/lite/python/lite.py"
# Of a process that trains a candidate.
WORKER = 1e9


def requirements() -> tuple[str, list[str]]:
    """The range of Python versions, and the requirements: of the checkout, else of what is installed."""
    if PYPROJECT.is_file():
        declared = tomllib.loads(PYPROJECT.read_text())["project"]
        return declared["requires-python"], declared["dependencies"]
    ranges = importlib.metadata.requires(DISTRIBUTION) or []
    python = importlib.metadata.metadata(DISTRIBUTION)["Requires-Python"]
    return python, [line for line in ranges if "extra ==" not in line]


def python(version: str, accepted: str) -> Finding:
    """Is this Python one of those that the packages are for?"""
    from packaging.specifiers import SpecifierSet

    if version in SpecifierSet(accepted):
        return Finding(OK, "Python", version)
    return Finding(
        MISSING, "Python", f"{version}, not {accepted}", advice="make the environment with another"
    )


def package(requirement: str) -> Finding:
    """Is a package there, and in the range of ``requirement``?"""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    advice = f"pip install '{requirement}'"
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(MISSING, wanted.name, "not installed", advice=advice)
    if wanted.specifier.contains(version, prereleases=True):
        return Finding(OK, wanted.name, version)
    return Finding(MISSING, wanted.name, f"{version}, not {wanted.specifier}", advice=advice)


def packages(python_version: str) -> list[Finding]:
    """Python and every package, or that they cannot be judged."""
    accepted, wanted = requirements()
    try:
        return [python(python_version, accepted), *map(package, wanted)]
    except ModuleNotFoundError as error:
        needed = " ".join(f"'{line}'" for line in wanted)
        return [Finding(MISSING, "Python packages", f"no {error.name}", advice=f"pip install {needed}")]


def converter() -> Finding:
    """Has this TensorFlow the converter to .tflite? Later versions may come without."""
    try:
        files = importlib.metadata.files("tensorflow") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    if any(str(path) == CONVERTER for path in files):
        return Finding(OK, "converter", "tf.lite", "export.convert")
    return Finding(MISSING, "converter", "this TensorFlow has no tf.lite", "export.convert",
                   advice=f"pip install tensorflow=={WITH_CONVERTER}")  # fmt: skip


def processor(cores: int, free: float | None) -> list[Finding]:
    """Cores, and whether the memory suffices for a worker on each; ``free`` in bytes, None if not known."""
    found = [Finding(OK, "cores", str(cores), "as many --workers by default")]
    if free is None:
        return found
    told = f"{free / 1e9:.1f} GB free"
    if free >= cores * WORKER:
        return [*found, Finding(OK, "memory", told)]
    workers = max(1, int(free / WORKER))
    advice = f"--workers={workers}"
    return [*found, Finding(NOTE, "memory", f"{told}, a worker takes about 1 GB", advice=advice)]


def free_memory(table: Path = Path("/proc/meminfo")) -> float | None:
    """Bytes that processes may still take, where the system tells."""
    try:
        lines = dict(line.split(":", 1) for line in table.read_text().splitlines())
        return 1024.0 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


def disk(name: str, folder: Path, purpose: str, advice: str) -> Finding:
    """May ``folder`` be written, or be made, and is there space?"""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(MISSING, name, f"{folder}: cannot be written", purpose, advice=advice)
    free = shutil.disk_usage(there).free
    told = f"{folder}, {free / 1e9:.1f} GB free"
    if free < DISK:
        return Finding(MISSING, name, f"{told}, {DISK / 1e9:.1f} are needed", purpose, advice=advice)
    return Finding(OK, name, told, purpose)


def gpu(cuda: bool) -> Finding:
    """The GPUs that the driver knows; ``cuda``: are TensorFlow's CUDA packages installed?"""
    told = ", ".join(gpus.listed())
    if not told:
        return Finding(NOTE, "GPU", "none", "training only; small networks train on cores")
    if cuda:
        return Finding(OK, "GPU", told, "training")
    return Finding(NOTE, "GPU", f"{told}; TensorFlow's CUDA packages are not installed", "training",
                   advice="pip install 'tensorflow[and-cuda]'")  # fmt: skip


def _has_cuda() -> bool:
    return any(found.metadata["Name"] == "nvidia-cudnn-cu12" for found in importlib.metadata.distributions())


def findings() -> list[tuple[str, list[Finding]]]:
    """All there is to say, under headings."""
    cache = disk("LOGGRAD_CACHE", cache_folder(), "prepared data sets", "LOGGRAD_CACHE=DIR")
    place = disk("working directory", Path.cwd(), "runs/", "cd to another, or --out=DIR")
    boards = toolchain.boards()
    return [
        ("Python", [*packages(sys.version.split()[0]), converter()]),
        ("Building and emulating", toolchain.builders()),
        ("Flashing", [*toolchain.programmers(boards), *toolchain.ports()]),
        ("Training", [toolchain.program("g++", "--trainer=native, in a third of the time", absent=NOTE)]),
        ("This machine", [*processor(processors(), free_memory()), cache, place, gpu(_has_cuda())]),
    ]


def verdict(found: Sequence[Finding]) -> tuple[int, str]:
    """The exit code and the last line."""
    missing = [finding.name for finding in found if finding.state == MISSING]
    if missing:
        return 1, f"missing: {', '.join(missing)}"
    return 0, "nothing is missing from photographs to a verified image"


def main() -> int:
    projects.bare_parser(__doc__).parse_args()
    groups = findings()
    for title, found in groups:
        print(f"{title}\n" + "\n".join(f"  {finding}" for finding in found))
    code, sentence = verdict([finding for _, found in groups for finding in found])
    print(sentence)
    return code


if __name__ == "__main__":
    projects.run(main)
