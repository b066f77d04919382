"""Begin a board of your own: a folder with board.json and board.c, and a list of what is to be filled in.

Five numbers of the data sheet are null in board.json; all the rest is filled in for a chip of that core as it
wakes up, with SysTick as its counter and a debugger to talk through. Until they are filled in, every command
that reads the board names the next one. A folder that is there already is refused.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from firmware import project as projects
from firmware.project import FirmwareError

BOARDS = Path(__file__).resolve().parent / "boards"
# Field -> where it is found. docs/own-board.md has all fields.
TO_FILL = {
    "clock_hz": "the clock of the core behind reset, in Hz (data sheet: clocks, internal oscillator)",
    "flash.origin": "first address of the flash (memory map), decimal; behind a boot loader, where that ends",
    "flash.length": "bytes of flash that are free for the program",
    "ram.origin": "first address of the RAM (memory map), decimal; of several, that of the largest",
    "ram.length": "its bytes, contiguous",
}


def cores() -> dict[str, list[str]]:
    """Core -> options of the compiler, as the boards that there are have them."""
    found: dict[str, list[str]] = {}
    for path in sorted(BOARDS.glob("*/board.json")):
        facts = json.loads(path.read_text())
        if facts["flash"] is not None:
            found.setdefault(facts["core"], facts["flags"])
    return found


def facts(name: str, core: str) -> dict[str, Any]:
    """board.json of a chip of ``core``, with null for each of :data:`TO_FILL`."""
    return {
        "name": name,
        "title": name,
        "core": core,
        "clock_hz": None,
        "flags": cores()[core],
        "flash": {"origin": None, "length": None},
        "ram": {"origin": None, "length": None},
        "stack": 4096,
        "qemu": None,
        "counter": {"numerator": 1, "denominator": 1, "unit": "cycles"},
        "channel": "semihosting",
        "statics": {"semihosting": 84},
        "common": ["startup.c", "memory.c", "host_channel.c", "systick.c", "no_camera.c"],
        "link": ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs"],
        "flash_tools": None,
    }


def write(folder: Path, core: str) -> None:
    """Put the board at ``folder``, whose name is the board's.

    Raises:
      FirmwareError: the name is none for a board, or the folder is there.
    """
    if not re.fullmatch(r"[\w-]{1,100}", folder.name, re.ASCII) or folder.name == "common":
        raise FirmwareError(
            f"{folder.name}: a board's name has letters, digits, '-' and '_', and is not 'common'"
        )
    if folder.exists():
        raise FirmwareError(f"{folder} is there already: choose another name, or go on with that one")
    folder.mkdir(parents=True)
    (folder / "board.c").write_bytes((BOARDS / "template" / "board.c").read_bytes())
    (folder / "board.json").write_text(json.dumps(facts(folder.name, core), indent=2) + "\n")


def main() -> int:
    parser = projects.bare_parser(__doc__)
    parser.add_argument("name", help="of the board, and of its folder")
    parser.add_argument("--core", required=True, choices=sorted(cores()), help="the chip's core")
    parser.add_argument(
        "--boards", type=Path, default=Path("myboards"), help="where its folder goes [myboards]"
    )
    arguments = parser.parse_args()
    folder = arguments.boards / arguments.name
    write(folder, arguments.core)
    flags = f"--boards={shlex.quote(str(arguments.boards))} --board={arguments.name}"
    print(f"{folder}: fill in board.json")
    for field, meaning in TO_FILL.items():
        print(f"  {field:12s}  {meaning}")
    print("and, where it is known, title, flash_tools; a faster clock and a serial line go to board.c")
    print(f"next: python -m export.code_sizes {flags}")
    print(f"      python -m export.firmware {flags} --model=MODEL.tflite --out=PROJECT")
    return 0


if __name__ == "__main__":
    projects.run(main)
