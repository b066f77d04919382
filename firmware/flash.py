"""Write a project's image to a real board, with whichever programmer is there.

``flash_tools`` in board.json names the programmers a board can be written with, the best first, and
what each calls the chip; the first one that is installed is taken, ``--runner`` names another. ``uf2``
is a copy to the USB drive of the boot loader and ``bossac`` a boot loader on a serial port: both are
there when the board waits in it. ``--dry-run`` prints the exact commands and launches nothing.
"""

import argparse
import dataclasses
import glob
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from firmware import build
from firmware import project as projects
from firmware.project import FirmwareError, Project

# Runner -> (program, where to get it). UF2 needs none.
RUNNERS = {
    "openocd": ("openocd", "apt install openocd"),
    "pyocd": ("pyocd", "pip install pyocd"),
    "probe-rs": ("probe-rs", "see probe.rs for its installer"),
    "st-flash": ("st-flash", "apt install stlink-tools"),
    "jlink": ("JLinkExe", "see segger.com, J-Link software"),
    "bossac": ("bossac", "Arduino's version, github.com/arduino/BOSSA"),
    "uf2": ("a drive with INFO_UF2.TXT", "hold the board's BOOTSEL button while plugging it in, or --drive"),
}
DRIVES = ("/media/*/*", "/run/media/*/*", "/Volumes/*")
PORTS = ("/dev/ttyACM*", "/dev/cu.usbmodem*")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a boot loader waits, if it does: its drive, its serial port."""

    drive: Path | None
    port: str | None


def find(drive: Path | None, port: str | None) -> Place:
    """What was named, else what is found; FirmwareError for a drive that is none, or more than one."""
    if drive is not None and not (drive / "INFO_UF2.TXT").is_file():
        raise FirmwareError(f"--drive {drive}: no drive of a UF2 boot loader, INFO_UF2.TXT is missing")
    if drive is None:
        found = sorted(p for pattern in DRIVES for p in glob.glob(pattern))
        drives = [Path(p) for p in found if (Path(p) / "INFO_UF2.TXT").is_file()]
        if len(drives) > 1:
            raise FirmwareError(f"several UF2 drives: choose one with --drive: {', '.join(map(str, drives))}")
        drive = drives[0] if drives else None
    if port is None:
        port = next((p for pattern in PORTS for p in sorted(glob.glob(pattern))), None)
    return Place(drive, port)


def tools(project: Project) -> dict[str, Any]:
    """Programmer -> what it needs to know of the board, the best one first."""
    known = project.board.get("flash_tools")
    if not known:
        raise FirmwareError(
            f"board {project.board['name']} is not real hardware here:"
            " choose one whose board.json has flash_tools"
        )
    return known


def is_there(runner: str, place: Place) -> bool:
    if runner == "uf2":
        return place.drive is not None
    return shutil.which(RUNNERS[runner][0]) is not None


def choose(project: Project, wanted: str | None, place: Place) -> str:
    """The wanted programmer, else the first one there is."""
    known = list(tools(project))
    if wanted is not None:
        if wanted not in known:
            raise FirmwareError(f"--runner {wanted}: choose one of {', '.join(known)}")
        known = [wanted]
    for runner in known:
        if is_there(runner, place):
            return runner
    missing = "; ".join(f"{RUNNERS[r][0]} ({RUNNERS[r][1]})" for r in known)
    raise FirmwareError(f"no programmer is there; any one of these will do: {missing}")


def commands(project: Project, runner: str, place: Place) -> list[list[str]]:
    """What to run, in order; DRIVE and PORT stand for what was not found."""
    chip = tools(project)[runner]
    elf = str(project.elf)
    image = str(project.elf.with_suffix(".bin"))
    origin = f"0x{project.board['flash']['origin']:08x}"
    copy = ["arm-none-eabi-objcopy", "-O", "binary", elf, image]
    if runner == "openocd":
        words = [word for part in chip for word in ("-f" if part.endswith(".cfg") else "-c", part)]
        # What OpenOCD's `program` does, which takes a path apart once more.
        steps = (
            "init",
            "reset init",
            f"flash write_image erase {tcl_word(elf)}",
            f"verify_image {tcl_word(elf)}",
        )
        return [["openocd", *words, "-c", "; ".join((*steps, "reset run", "shutdown"))]]
    if runner == "pyocd":
        return [["pyocd", "flash", "--target", chip, elf]]
    if runner == "probe-rs":
        return [
            ["probe-rs", "download", "--chip", chip, "--verify", elf],
            ["probe-rs", "reset", "--chip", chip],
        ]
    if runner == "st-flash":
        return [copy, ["st-flash", "--reset", "write", image, origin]]
    if runner == "uf2":
        target = str((place.drive or Path("DRIVE")) / "firmware.uf2")
        options = [f"--origin={origin}", f"--family=0x{chip:08x}"]
        return [copy, [sys.executable, "-m", "firmware.uf2", image, target, *options]]
    if runner == "bossac":
        port = Path(place.port or "PORT").name
        return [copy, ["bossac", f"--port={port}", "-U", "-i", "-e", "-w", image, "-R"]]
    options = ["-device", chip, "-if", "SWD", "-speed", "4000", "-autoconnect", "1", "-ExitOnError", "1"]
    return [["JLinkExe", *options, "-CommanderScript", str(jlink_path(project))]]


def tcl_word(text: str) -> str:
    """One word of Tcl, whose value is ``text``."""
    depth, least = 0, 0
    for character in text:
        depth += (character == "{") - (character == "}")
        least = min(depth, least)
    if "\\" not in text and depth == least == 0:
        return f"{{{text}}}"
    escaped = re.sub(r"[^\w./-]", lambda match: f"\\{match[0]}", text)
    return escaped.replace("\\\n", "\\n")


def jlink_path(project: Project) -> Path:
    return project.path / "build" / "flash.jlink"


def jlink_script(project: Project) -> str:
    """The command file of J-Link Commander; FirmwareError for a path that its quotes do not hold."""
    if re.search(r'["\x00-\x1f]', str(project.elf)):
        raise FirmwareError(
            f"--runner jlink: J-Link Commander cannot be given {str(project.elf)!r}: move the project,"
            " or take another runner"
        )
    return f'loadfile "{project.elf}"\nr\ng\nexit\n'


def flash(project: Project, runner: str, place: Place) -> None:
    """Build the image and write it to the board."""
    if runner == "bossac" and place.port is None:
        raise FirmwareError("no serial port: press the board's reset button twice, or give --port")
    build.build(project)
    if runner == "jlink":
        jlink_path(project).write_text(jlink_script(project))
    for command in commands(project, runner, place):
        projects.tool(command[0])
        print(shlex.join(command), flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            raise FirmwareError(f"{Path(command[0]).name} failed: is the board connected and powered?")


def rehearse(project: Project, wanted: str | None, place: Place) -> None:
    """Print what is there and what would be run."""
    known = list(tools(project))
    for name in known:
        program, source = RUNNERS[name]
        print(f"{name:9s} {'there' if is_there(name, place) else f'missing: {program}: {source}'}")
    there = [name for name in known if is_there(name, place)]
    # The commands of a programmer that is not there are of use, too.
    runner = choose(project, wanted, place) if there and wanted not in known else wanted or known[0]
    if runner not in known:
        raise FirmwareError(f"--runner {runner}: choose one of {', '.join(known)}")
    if runner == "jlink":
        print(f"{jlink_path(project)}:\n{jlink_script(project)}", end="")
    for command in commands(project, runner, place):
        print(shlex.join(command))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runner", help=f"one of {', '.join(RUNNERS)} (default: the first that is there)")
    parser.add_argument("--drive", type=Path, help="where the UF2 boot loader's drive is mounted")
    parser.add_argument("--port", help="serial port of the board in its boot loader, for bossac")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, launch nothing")


def main() -> int:
    parser = projects.parser(__doc__)
    add_options(parser)
    arguments = parser.parse_args()
    project = projects.load(arguments.project)
    tools(project)
    place = find(arguments.drive, arguments.port)
    if arguments.dry_run:
        rehearse(project, arguments.runner, place)
    else:
        flash(project, choose(project, arguments.runner, place), place)
    return 0


if __name__ == "__main__":
    projects.run(main)
