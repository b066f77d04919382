"""The doctor: ranges of packages, memory, disk, GPU, and its exit code on a machine without tools."""

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from export import WITH_CONVERTER, doctor
from firmware.toolchain import MISSING, NOTE, OK, Finding
from tests.support import REPOSITORY


@pytest.mark.parametrize(
    ("requirement", "state"),
    [("numpy>=2.0,<3", OK), ("numpy>=999", MISSING), ("numpy<1", MISSING), ("no-such-package>=1", MISSING)],
)
def test_packages(requirement: str, state: str) -> None:
    found = doctor.package(requirement)
    assert found.state == state
    assert (f"pip install '{requirement}'" in str(found)) == (state == MISSING)


def test_the_ranges_are_those_of_pyproject() -> None:
    accepted, wanted = doctor.requirements()
    assert doctor.python("3.11.0", accepted).state == OK
    assert doctor.python("3.10.14", accepted).state == MISSING
    assert any(line.startswith("keras>=") for line in wanted)
    assert not [line for line in wanted if doctor.package(line).state != OK]


def test_without_the_package_that_reads_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "packaging"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "packaging", None)
    (found,) = doctor.packages("3.11.7")
    assert found.state == MISSING and "keras>=" in found.advice


def test_memory_for_a_worker_on_each_core() -> None:
    assert [f.state for f in doctor.processor(2, 8e9)] == [OK, OK]
    assert [f.state for f in doctor.processor(2, None)] == [OK]
    cores, memory = doctor.processor(8, 3.5e9)
    assert memory.state == NOTE and memory.advice == "--workers=3"


def test_free_memory(tmp_path: Path) -> None:
    table = tmp_path / "meminfo"
    assert doctor.free_memory(table) is None
    table.write_text("MemTotal:  2000 kB\nMemAvailable:  1000 kB\n")
    assert doctor.free_memory(table) == 1_024_000
    table.write_text("MemTotal:  2000 kB\n")
    assert doctor.free_memory(table) is None


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.disk("cache", tmp_path / "not" / "there", "", "").state == OK
    (tmp_path / "file").touch()
    assert doctor.disk("cache", tmp_path / "file" / "below", "", "elsewhere").state == MISSING
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: usage(10**9, 10**9, 10**8))
    full = doctor.disk("cache", tmp_path, "", "elsewhere")
    assert full.state == MISSING and "0.1 GB free, 0.5 are needed: elsewhere" in str(full)


def test_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.gpu(False).state == NOTE and doctor.gpu(False).found == "none"
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!{sys.executable}\nprint('GPU 0: A Card (UUID: GPU-1)')\n")
    driver.chmod(0o755)
    assert (doctor.gpu(True).state, doctor.gpu(True).found) == (OK, "GPU 0: A Card")
    assert doctor.gpu(False).state == NOTE and "tensorflow[and-cuda]" in doctor.gpu(False).advice
    driver.write_text(f"#!{sys.executable}\nprint('no devices')\nraise SystemExit(9)\n")
    assert doctor.gpu(True).found == "none"


def test_the_verdict() -> None:
    assert doctor.verdict([Finding(OK, "a", ""), Finding(NOTE, "b", "")])[0] == 0
    assert doctor.verdict([Finding(MISSING, "a", ""), Finding(MISSING, "b", "")]) == (1, "missing: a, b")


def test_a_machine_without_tools(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "export.doctor"], cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": str(tmp_path), "LOGGRAD_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == (
        "missing: arm-none-eabi-gcc, nano.specs, arm-none-eabi-size, cmake, ninja, qemu-system-arm"
    )
    assert any(line.startswith("  ok       keras ") for line in lines)
    assert any(str(tmp_path / "cache") in line for line in lines)
    assert not (tmp_path / "cache").exists()


def test_it_loads_no_package() -> None:
    code = "import sys; import export.doctor; print({'numpy', 'absl', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_a_tensorflow_without_the_converter_is_missing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.converter().state == OK
    monkeypatch.setattr(doctor.importlib.metadata, "files", lambda _: ["tensorflow/__init__.py"])
    found = doctor.converter()
    assert found.state == MISSING and f"pip install tensorflow=={WITH_CONVERTER}" in str(found)
