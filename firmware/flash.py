"""Write a project's image to a real board, with whichever programmer is installed.

OpenOCD, pyOCD, probe-rs, st-flash and J-Link are tried in this order; ``--runner`` names one. ``--dry-run``
prints the exact command and launches nothing. The image talks to the host by semihosting, so
a debugger must stay attached to it; start-up, memory map and network are those of the real part.
"""

import dataclasses
import shlex
import shutil
import subprocess
from pathlib import Path

from firmware import build
from firmware import project as projects
from firmware.project import FirmwareError, Project


@dataclasses.dataclass(frozen=True)
class Part:
    """What each programmer calls the chip of a board."""

    openocd: tuple[str, str]  # interface and target scripts
    pyocd: str
    probe_rs: str
    jlink: str
    st_flash: bool


PARTS = {
    "netduinoplus2": Part(
        ("interface/stlink.cfg", "target/stm32f4x.cfg"), "stm32f405rgtx", "STM32F405RGTx", "STM32F405RG", True
    ),
    "stm32vldiscovery": Part(
        ("interface/stlink.cfg", "target/stm32f1x.cfg"), "stm32f100rb", "STM32F100RB", "STM32F100RB", True
    ),
    "microbit": Part(
        ("interface/cmsis-dap.cfg", "target/nrf51.cfg"), "nrf51822", "nRF51822_xxAA", "nRF51822_xxAA", False
    ),
}
# Runner -> (program, where to get it), in order of preference.
RUNNERS = {
    "openocd": ("openocd", "apt install openocd"),
    "pyocd": ("pyocd", "pip install pyocd"),
    "probe-rs": ("probe-rs", "see probe.rs for its installer"),
    "st-flash": ("st-flash", "apt install stlink-tools"),
    "jlink": ("JLinkExe", "see segger.com, J-Link software"),
}


def runners(project: Project) -> list[str]:
    """The programmers that can write this board, installed or not."""
    name = project.board["name"]
    if name not in PARTS:
        raise FirmwareError(
            f"board {name} is not real hardware here; boards that can be written: {', '.join(sorted(PARTS))}"
        )
    return [runner for runner in RUNNERS if runner != "st-flash" or PARTS[name].st_flash]


def choose(project: Project, wanted: str | None) -> str:
    """The wanted programmer, else the first one installed."""
    known = runners(project)
    if wanted is not None:
        if wanted not in known:
            raise FirmwareError(f"--runner {wanted}: choose one of {', '.join(known)}")
        known = [wanted]
    for runner in known:
        if shutil.which(RUNNERS[runner][0]):
            return runner
    missing = "; ".join(f"{RUNNERS[r][0]} ({RUNNERS[r][1]})" for r in known)
    raise FirmwareError(f"no programmer is installed; any one of these will do: {missing}")


def commands(project: Project, runner: str, script: Path) -> list[list[str]]:
    """What to run, in order. ``script`` is where J-Link's own command file goes."""
    part = PARTS[project.board["name"]]
    elf = str(project.elf)
    if runner == "openocd":
        files = [word for path in part.openocd for word in ("-f", path)]
        return [["openocd", *files, "-c", f"program {{{elf}}} verify reset exit"]]
    if runner == "pyocd":
        return [["pyocd", "flash", "--target", part.pyocd, elf]]
    if runner == "probe-rs":
        return [["probe-rs", "download", "--chip", part.probe_rs, "--verify", elf]]
    if runner == "st-flash":
        image = str(project.elf.with_suffix(".bin"))
        origin = f"0x{project.board['flash']['origin']:08x}"
        return [
            ["arm-none-eabi-objcopy", "-O", "binary", elf, image],
            ["st-flash", "--reset", "write", image, origin],
        ]
    options = [
        "-device",
        part.jlink,
        "-if",
        "SWD",
        "-speed",
        "4000",
        "-autoconnect",
        "1",
        "-ExitOnError",
        "1",
    ]
    return [["JLinkExe", *options, "-CommanderScript", str(script)]]


def jlink_script(project: Project) -> str:
    """The command file of J-Link Commander."""
    return f'loadfile "{project.elf}"\nr\ng\nexit\n'


def main() -> int:
    parser = projects.parser(__doc__)
    parser.add_argument("--runner", help=f"one of {', '.join(RUNNERS)} (default: the first installed)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, launch nothing")
    arguments = parser.parse_args()
    project = projects.load(arguments.project)
    known = runners(project)
    if arguments.dry_run:
        for name in known:
            program, source = RUNNERS[name]
            print(f"{name:9s} {'installed' if shutil.which(program) else f'missing: {source}'}")
    installed = [name for name in known if shutil.which(RUNNERS[name][0])]
    if arguments.dry_run and known and (arguments.runner in known or not installed):
        # A dry run shows the commands of a programmer that is not installed, too.
        runner = arguments.runner or known[0]
    else:
        runner = choose(project, arguments.runner)
    script = project.path / "build" / "flash.jlink"
    if not arguments.dry_run:
        build.build(project)
        if runner == "jlink":
            script.write_text(jlink_script(project))
    elif runner == "jlink":
        print(f"{script}:\n{jlink_script(project)}", end="")
    for command in commands(project, runner, script):
        print(shlex.join(command), flush=True)
        if not arguments.dry_run and subprocess.run(command, check=False).returncode != 0:
            raise FirmwareError(f"{command[0]} failed: is the board connected and powered?")
    return 0


if __name__ == "__main__":
    projects.run(main)
