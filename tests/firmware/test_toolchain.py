"""What is there of compiler, CMake, QEMU and programmers, told from a PATH of made-up programs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firmware import flash, toolchain
from firmware.toolchain import MISSING, NOTE, OK, Finding
from tests.support.firmware_cases import FIRMWARE, REPOSITORY

MACHINES = "mps2-an385 mps2-an386 mps2-an500 mps2-an505 mps3-an547 netduinoplus2 stm32vldiscovery microbit"
# What each says, whatever it is asked.
PROGRAMS = {
    "arm-none-eabi-gcc": "/lib/arm/nano.specs",
    "arm-none-eabi-size": "GNU size 2.40",
    "cmake": "cmake version 3.25.1",
    "ninja": "1.11.1",
    "gcc": "gcc 12.2.0",
    "qemu-system-arm": "\n".join(f"{name} a machine" for name in MACHINES.split()),
}


def say(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!{sys.executable}\nprint({text!r})\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, which alone is on PATH, with all that building takes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        say(folder, name, text)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def test_all_is_there(programs: Path) -> None:
    found = toolchain.builders()
    assert set(states(found).values()) == {OK}
    assert toolchain.missing_packages(found) == []
    assert "has all 9 emulated boards" in str(toolchain.qemu(toolchain.boards()))


@pytest.mark.parametrize(
    ("program", "state", "packages"),
    [
        ("arm-none-eabi-gcc", MISSING, ["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"]),
        ("arm-none-eabi-size", MISSING, ["binutils-arm-none-eabi"]),
        ("cmake", MISSING, ["cmake"]),
        ("ninja", MISSING, ["ninja-build"]),
        ("qemu-system-arm", MISSING, ["qemu-system-arm"]),
        ("gcc", NOTE, ["gcc"]),
    ],
)
def test_what_is_not_there_is_named_with_its_package(
    program: str, state: str, packages: list[str], programs: Path
) -> None:
    (programs / program).unlink()
    found = toolchain.builders()
    assert states(found)[program] == state
    assert toolchain.missing_packages(found) == packages
    line = next(str(finding) for finding in found if finding.name == program)
    assert "not installed" in line and line.endswith(f"apt install {' '.join(packages)}")


def test_a_compiler_without_its_library(programs: Path) -> None:
    say(programs, "arm-none-eabi-gcc", "nano.specs")  # what the real one says then
    found = toolchain.builders()
    assert [finding.name for finding in found if finding.state == MISSING] == ["nano.specs"]
    assert toolchain.missing_packages(found) == ["libnewlib-arm-none-eabi"]


def test_make_does_in_place_of_ninja(programs: Path) -> None:
    (programs / "ninja").rename(programs / "make")
    found = toolchain.builders()
    assert states(found)["make"] == OK and "ninja" not in states(found)


@pytest.mark.parametrize(("version", "state"), [("3.20.9", MISSING), ("3.21.0", OK), ("4.0.1", OK)])
def test_an_old_cmake(version: str, state: str, programs: Path) -> None:
    say(programs, "cmake", f"cmake version {version}")
    found = toolchain.cmake()
    assert found.state == state
    assert ("pip install 'cmake>=3.21'" in str(found)) == (state == MISSING)


def test_the_oldest_cmake_is_what_projects_ask_for() -> None:
    asked = {
        re.search(r"cmake_minimum_required\(VERSION (\S+)\)", path.read_text())
        for path in (REPOSITORY / "export/c/templates").glob("*CMakeLists.txt")
    }
    assert {found[1] for found in asked if found} == {".".join(map(str, toolchain.CMAKE))}


def test_an_old_qemu_names_the_boards_it_cannot_be(programs: Path) -> None:
    say(programs, "qemu-system-arm", "mps2-an386 a machine")
    found = toolchain.qemu(toolchain.boards())
    named = found.found.partition("none of its machines is ")[2].split(", ")
    assert found.state == NOTE and set(named) == set(MACHINES.split()) - {"mps2-an386"}


def test_programmers(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash, "DRIVES", (str(tmp_path / "media/*"),))
    say(programs, "openocd", "")
    found = {finding.name: finding for finding in toolchain.programmers(toolchain.boards())}
    assert set(found) == set(flash.RUNNERS)
    assert found["openocd"].state == OK and "flashes 10 boards" in str(found["openocd"])
    assert found["bossac"].state == NOTE and "flashes arduino-nano-33-ble" in str(found["bossac"])
    assert str(found["st-flash"]).endswith("apt install stlink-tools")
    for name in ("one", "two"):
        (tmp_path / "media" / name).mkdir(parents=True)
        (tmp_path / "media" / name / "INFO_UF2.TXT").touch()
    assert "several UF2 drives" in str(toolchain.programmers(toolchain.boards())[0])


def test_the_installer_names_the_same_packages(programs: Path) -> None:
    for program in ("cmake", "qemu-system-arm"):
        (programs / program).unlink()
    for tool in ("sh", "dirname"):
        (programs / tool).symlink_to(shutil.which(tool, path=os.defpath) or tool)
    done = subprocess.run(
        ["sh", str(FIRMWARE / "install_tools.sh"), "--check"],
        env={"PATH": str(programs), "PYTHON": sys.executable},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "missing for building and emulating firmware: cmake qemu-system-arm\n" in done.stderr
    assert "sudo apt-get install --yes --no-install-recommends cmake qemu-system-arm" in done.stderr


@pytest.mark.parametrize(("place", "missing"), [("libstdc++.a", True), ("/lib/arm/libstdc++.a", False)])
def test_the_library_of_the_other_runtime(place: str, missing: bool, programs: Path) -> None:
    say(programs, "arm-none-eabi-gcc", place)  # the bare name where the package is not there
    sh = shutil.which("sh", path=os.defpath) or "sh"
    (programs / "id").symlink_to(shutil.which("id", path=os.defpath) or "id")
    done = subprocess.run(
        [sh, str(FIRMWARE / "install_tools.sh"), "--tflm"],
        env={"PATH": str(programs)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = "missing for projects on TensorFlow Lite Micro: libstdc++-arm-none-eabi-newlib\n"
    assert (done.returncode, done.stderr.startswith(told)) == ((1, True) if missing else (0, False))
