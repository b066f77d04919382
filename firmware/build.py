"""Compile and link a firmware project, and say what the image takes.

Out of source, in PROJECT/build, by CMake with the project's own preset. RAM is counted from the
start of RAM, where the stack lies, to the end of the variables; flash is code, constants and the
start values of variables.
"""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

from firmware import project as projects
from firmware import stack
from firmware.project import FirmwareError, Project


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Bytes of the linked image; None on the host."""

    ram: int | None
    flash: int | None
    state: int | None


def build(project: Project, serial: bool = False) -> Path:
    """Bring the image up to date and return its path.

    Args:
      serial: the image that talks over the board's serial line, whatever the board's default is.
    """
    cmake = projects.tool("cmake")
    projects.tool("gcc" if project.on_host else "arm-none-eabi-gcc")
    _check_path(project.path)
    folder = project.path / "build"
    channel = channel_of(project, serial)
    _forget_another(folder, project, channel)
    generator = ["-G", "Ninja"]
    if shutil.which("ninja") is None:
        if shutil.which("make") is None:
            projects.tool("ninja")
        generator = ["-G", "Unix Makefiles"]
    # A refused configuration leaves a cache and nothing to build with.
    if not any((folder / name).is_file() for name in ("build.ninja", "Makefile")):
        chosen = [f"-DLG_CHANNEL={channel}"] if channel else []
        _step([cmake, "--preset", project.board["name"], *generator, *chosen], project.path, "configure")
    _step([cmake, "--build", str(folder)], project.path, "build")
    return project.elf


def _check_path(path: Path) -> None:
    """Raise FirmwareError for a path that CMake, or what it writes for Ninja, does not hold."""
    if bad := re.search(r'[$"|;\\\x00-\x1f]', str(path)):
        raise FirmwareError(
            f"{str(path)!r}: {bad[0]!r} in a path is more than CMake builds with: move the project"
        )


def channel_of(project: Project, serial: bool) -> str | None:
    """How the image talks to this computer: semihosting, uart, or None where there is no choice."""
    board = project.board
    default: str | None = board.get("channel")
    if not serial or default in (None, "uart"):
        return default
    if "uart" not in board["statics"]:
        raise FirmwareError(f"board {board['name']} has no serial line: leave out --port and --serial")
    return "uart"


def predicted_ram(project: Project, serial: bool) -> int | None:
    """The prediction of project.json, which is for the board's default channel, for the chosen one."""
    ram, program = project.predicted["ram"], project.predicted["program"]
    chosen, default = channel_of(project, serial), channel_of(project, False)
    if ram is None or program is None or chosen == default:
        return ram
    statics = project.board["statics"]
    rest = ram - _round8(program + statics[default])
    return rest + _round8(program + statics[chosen])


def _round8(size: int) -> int:
    return -(-size // 8) * 8


def sizes(project: Project) -> Sizes:
    """Sizes of the linked image."""
    if project.on_host:
        return Sizes(None, None, None)
    command = [projects.tool("arm-none-eabi-size"), "-A", "-d", str(project.elf)]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        raise FirmwareError(f"{project.elf}: {listing.stderr.strip()}: build the project again")
    sections = re.findall(r"^(\.\S+)\s+(\d+)\s+(\d+)$", listing.stdout, re.MULTILINE)
    board = project.board
    ram_end, flash, state = board["ram"]["origin"], 0, 0
    for name, size, address in ((n, int(s), int(a)) for n, s, a in sections):
        if _inside(address, board["ram"]) and size:
            ram_end = max(ram_end, address + size)
        if name == ".lg_state":
            state = size
        if (_inside(address, board["flash"]) and name.startswith((".text", ".ARM.exidx"))) or name == ".data":
            flash += size
    return Sizes(ram_end - board["ram"]["origin"], flash, state)


def _inside(address: int, memory: dict[str, int]) -> bool:
    return memory["origin"] <= address < memory["origin"] + memory["length"]


def _forget_another(folder: Path, project: Project, channel: str | None) -> None:
    """Start a build directory afresh if it is of a project that was moved or copied, which CMake refuses, or
    of another board or channel, which it would go on building."""
    cache = folder / "CMakeCache.txt"
    if not cache.is_file():
        return
    entries = dict(re.findall(r"^(\w+):\w+=(.*)$", cache.read_text(), re.MULTILINE))
    expected = {"CMAKE_HOME_DIRECTORY": str(project.path), "LG_BOARD": project.board["name"]}
    expected |= {"LG_CHANNEL": channel} if channel else {}
    if any(entries.get(key) != value for key, value in expected.items()):
        shutil.rmtree(folder)


def _step(command: list[str], where: Path, name: str) -> None:
    result = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        output = result.stdout + result.stderr
        lines = [line.strip() for line in output.split("\n")]
        refused = re.search(r"CMake Error at [^\n]*\(message\):\s*\n(.*?)\n\s*\n", output, re.DOTALL)
        if refused:
            raise FirmwareError(f"{name} failed: {' '.join(refused[1].split())}")
        # The compiler's or linker's own message before any command line that merely names an option.
        tellers = (r": (fatal )?error:|overflowed|undefined reference", r"error|Error")
        found = [line for teller in tellers for line in lines if re.search(teller, line)]
        reason = found[0] if found else lines[-1]
        raise FirmwareError(f"{name} failed: {reason[:300]} (all of it: cmake --build {where / 'build'})")


def _stack(project: Project) -> str:
    """What the network's calls need of the stack, and who needs it."""
    known = stack.functions(project.elf)
    calls = [name for name in known if re.fullmatch(rf"{project.name}_(push_row|feed_row|step)", name)]
    chain = max((stack.deepest(known, name) for name in calls), key=lambda one: one.bytes, default=None)
    if chain is None:
        return "stack: the image calls no network"
    told = f"{'stack':5s} {chain.bytes:>9,} B of {project.board['stack']:,}"
    return f"{told}{projects.predicted(project.predicted['stack'])} at most: {' > '.join(chain.names)}"


def main() -> int:
    parser = projects.parser(__doc__)
    parser.add_argument("--serial", action="store_true", help="the image that talks over the serial line")
    arguments = parser.parse_args()
    project = projects.load(arguments.project)
    elf = build(project, arguments.serial)
    found = sizes(project)
    print(elf)
    if not project.on_host:
        print(_stack(project))
    if found.ram is not None and found.flash is not None:
        for name, value, planned in (
            ("RAM", found.ram, predicted_ram(project, arguments.serial)),
            ("flash", found.flash, project.predicted["flash"]),
        ):
            bound = project.board[name.lower()]["length"]
            print(f"{name:5s} {value:>9,} B of {bound:,} ({value / bound:.1%}){projects.predicted(planned)}")
    return 0


if __name__ == "__main__":
    projects.run(main)
