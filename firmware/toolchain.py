"""What this machine has of the programs that build, emulate and flash firmware.

``python -m firmware.toolchain`` prints the Debian packages that are missing, on one line, which is what
``install_tools.sh`` installs; ``python -m export.doctor`` says it in full. Nothing is started but to ask it
for its version.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from firmware import flash
from firmware import project as projects
from firmware.project import PACKAGES, FirmwareError

# The oldest that knows the presets of a generated project.
CMAKE = (3, 21)
BOARDS = Path(__file__).parent / "boards"
OK, MISSING, NOTE = "ok", "missing", "note"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line about this machine.

    Attributes:
      state: ok; missing, what the way from photographs to a verified image cannot do without; note, all else.
      found: the version, or what is wrong.
      purpose: what it is for, where the name does not tell.
      packages: Debian packages that mend it, separated by spaces.
      advice: what else mends it.
    """

    state: str
    name: str
    found: str
    purpose: str = ""
    packages: str = ""
    advice: str = ""

    def __str__(self) -> str:
        mend = f"apt install {self.packages}" if self.packages else self.advice
        told = f"{self.state:8s} {self.name:18s} {self.found}"
        told += f" [{self.purpose}]" if self.purpose else ""
        return f"{told}: {mend}" if mend else told


def program(name: str, purpose: str, absent: str = MISSING) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(absent, name, "not installed", purpose, packages=PACKAGES[name])
    return Finding(OK, name, projects.first_line([path, "--version"]), purpose)


def newlib() -> Finding:
    """The C library of the ARM compiler, which is a package of its own."""
    purpose = "newlib, the C library of images"
    compiler = shutil.which("arm-none-eabi-gcc")
    # Found by full path only when the package is there.
    found = projects.first_line([compiler, "-print-file-name=nano.specs"]) if compiler else ""
    if "/" in found:
        return Finding(OK, "nano.specs", os.path.normpath(found), purpose)
    return Finding(MISSING, "nano.specs", "not found", purpose, packages=PACKAGES["nano.specs"])


def cmake() -> Finding:
    there = program("cmake", "builds firmware")
    number = re.search(r"(\d+)\.(\d+)", there.found)
    if there.state != OK or (number and (int(number[1]), int(number[2])) >= CMAKE):
        return there
    oldest = ".".join(map(str, CMAKE))
    advice = f"pip install 'cmake>={oldest}'"
    return dataclasses.replace(
        there, state=MISSING, found=f"{there.found}, {oldest} or newer is needed", advice=advice
    )


def make() -> Finding:
    """Ninja, or make in its place, as :mod:`firmware.build` takes them."""
    name = "make" if shutil.which("ninja") is None and shutil.which("make") else "ninja"
    return program(name, "builds firmware")


def qemu(boards: Sequence[Mapping[str, Any]]) -> Finding:
    """The emulator, and the boards whose machine this version of it has not."""
    name, purpose = "qemu-system-arm", "emulates boards"
    there = program(name, purpose)
    path = shutil.which(name)
    if path is None:
        return there
    asked = subprocess.run([path, "-machine", "help"], capture_output=True, text=True, check=False)
    machines = {line.split()[0] for line in asked.stdout.split("\n") if line.strip()}
    emulated = [board for board in boards if board["qemu"]]
    lacking = [str(board["name"]) for board in emulated if board["qemu"]["machine"] not in machines]
    if lacking:
        return Finding(
            NOTE, name, f"{there.found}, none of its machines is {', '.join(lacking)}", purpose,
            advice="take another --board, or a newer QEMU",
        )  # fmt: skip
    return dataclasses.replace(there, found=f"{there.found}, has all {len(emulated)} emulated boards")


def programmers(boards: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """A line for each way to write an image to a board; none of them is needed to emulate."""
    try:
        place = flash.find(None, None)
    except FirmwareError as error:
        return [Finding(NOTE, "uf2", str(error), "flashes boards")]
    found = []
    for runner, (program, source) in flash.RUNNERS.items():
        served = sorted(board["name"] for board in boards if runner in (board["flash_tools"] or {}))
        purpose = f"flashes {', '.join(served) if len(served) < 4 else f'{len(served)} boards'}"
        if flash.is_there(runner, place):
            where = str(place.drive) if runner == "uf2" else str(shutil.which(program))
            found.append(Finding(OK, runner, where, purpose))
        else:
            found.append(Finding(NOTE, runner, f"{program}: not there", purpose, advice=source))
    return found


def ports() -> list[Finding]:
    """Serial ports, and whether this user may open them."""
    try:
        from serial.tools import list_ports
    except ImportError:
        return [Finding(NOTE, "serial ports", "unknown without pyserial", advice="pip install pyserial")]
    found = []
    for port in sorted(list_ports.comports(), key=lambda port: port.device):
        told = f"{port.device}, {port.description}"
        if os.access(port.device, os.R_OK | os.W_OK):
            found.append(Finding(OK, "serial port", told))
        else:
            advice = "join the group that owns it (often dialout) and log in again"
            found.append(Finding(NOTE, "serial port", f"{told}: no permission", advice=advice))
    return found or [Finding(NOTE, "serial ports", "none", "boards that are plugged in")]


def builders() -> list[Finding]:
    """What building and emulating takes."""
    return [
        program("arm-none-eabi-gcc", "builds firmware"),
        newlib(),
        program("arm-none-eabi-size", "measures images"),
        cmake(),
        make(),
        qemu(boards()),
        program("gcc", "builds --board=host, estimates cycles", absent=NOTE),
    ]


def boards() -> list[dict[str, Any]]:
    """``board.json`` of every board, by name."""
    return [json.loads(path.read_text()) for path in sorted(BOARDS.glob("*/board.json"))]


def missing_packages(findings: Sequence[Finding]) -> list[str]:
    """Debian packages that mend ``findings``, each once."""
    return list(dict.fromkeys(name for finding in findings for name in finding.packages.split()))


def main() -> int:
    projects.bare_parser(__doc__).parse_args()
    print(*missing_packages(builders()))
    return 0


if __name__ == "__main__":
    projects.run(main)
