"""What an image executes in QEMU: blocks of code, how often they were entered and from where, by context.

A plugin of QEMU (``plugin/profile.c``) counts; it is compiled with gcc when it is wanted, since no package
has QEMU's headers. The context is which number of an array the program read last: the order of calls in a
network's C, whose numbers are its nodes.
"""

import dataclasses
import re
import struct
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from firmware import project as projects
from firmware.project import FirmwareError

PLUGIN = Path(__file__).parent / "plugin" / "profile.c"
LINE = 16  # bytes that the flash of most parts gives at once


@dataclasses.dataclass(frozen=True)
class Profile:
    """What was executed, by context: what the plugin wrote.

    Attributes:
      blocks: (start, instructions, context) -> entered from the instruction before, from elsewhere, left for
        elsewhere.
      accesses: (address of the instruction, context) -> accesses, and parts of them beyond the first.
      lines: context -> loads of data from another line of flash than the one before; empty if not asked for.
    """

    blocks: Mapping[tuple[int, int, int], tuple[int, int, int]]
    accesses: Mapping[tuple[int, int], tuple[int, int]]
    lines: Mapping[int, int]


def plugin(folder: Path) -> Path:
    """The compiled plugin, in ``folder``; what is there already is taken if it is younger than its source."""
    made = folder / "profile.so"
    if made.is_file() and made.stat().st_mtime > PLUGIN.stat().st_mtime:
        return made
    told = projects.first_line([projects.tool("qemu-system-arm"), "--version"])
    version = re.search(r"version (\d+)", told)
    # QEMU 9 refuses plugins of the first API; what is used of it is the same in both.
    api = 2 if version and int(version[1]) >= 9 else 1
    flags = ["-std=gnu99", "-shared", "-fPIC", "-O2", f"-DAPI_VERSION={api}", "-o", str(made)]
    command = [projects.tool("gcc"), *flags, str(PLUGIN)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise FirmwareError(f"{PLUGIN.name}: gcc fails: {result.stderr.strip().splitlines()[0]}")
    return made


def arguments(
    folder: Path,
    elf: Path,
    entry: str,
    schedule: str | None = None,
    width: int = 1,
    flash: Mapping[str, int] | None = None,
) -> tuple[list[str], Path]:
    """What QEMU must be given beside an image, and the file that :func:`read_profile` reads afterwards.

    Args:
      folder: for the plugin and its files.
      entry: the function that is profiled.
      schedule: an array of numbers of ``width`` bytes; from the moment that one is read its value + 1 is the
        context. Context 0 is what comes before the first; so is a value of all ones.
      flash: origin and length of a memory whose lines of :data:`LINE` bytes are counted.
    """
    symbols = _symbols(elf)
    if entry not in symbols:
        raise FirmwareError(f"{elf}: has no function {entry}: build the project again")
    out = folder / "profile.txt"
    words = [f"{plugin(folder)}", f"entry={symbols[entry][0] & ~1:x}", f"out={out}"]
    if schedule in symbols:
        at, size = symbols[schedule]
        data = _bytes(elf, at, size)
        values = [int.from_bytes(data[i : i + width], "little") for i in range(0, size, width)]
        last = 256**width - 1
        lines = [f"{at + width * i:x} {0 if v == last else v + 1}\n" for i, v in enumerate(values)]
        (folder / "calls.txt").write_text("".join(lines))
        words.append(f"calls={folder / 'calls.txt'}")
    if flash is not None:
        end = flash["origin"] + flash["length"]
        words += [f"from={flash['origin']:x}", f"to={end:x}", f"line={LINE}"]
    out.unlink(missing_ok=True)
    return ["-plugin", ",".join(words)], out


def _symbols(elf: Path) -> dict[str, tuple[int, int]]:
    """Name -> address, size."""
    listing = listing_of("arm-none-eabi-nm", "-S", str(elf))
    found = re.findall(r"^([0-9a-f]{8}) (?:([0-9a-f]{8}) )?\w (\S+)$", listing, re.MULTILINE)
    return {name: (int(address, 16), int(size or "0", 16)) for address, size, name in found}


def _bytes(elf: Path, start: int, size: int) -> bytes:
    """What an image, ELF of 32 bits, little-endian, has at an address."""
    image = elf.read_bytes()
    (table,) = struct.unpack_from("<I", image, 28)
    entry, count = struct.unpack_from("<HH", image, 42)
    for header in range(table, table + entry * count, entry):
        kind, offset, address, _, length = struct.unpack_from("<5I", image, header)
        if kind == 1 and address <= start and start + size <= address + length:
            return image[offset + start - address :][:size]
    raise FirmwareError(f"{elf}: nothing is loaded to {start:#x}: build the project again")


def listing_of(name: str, *words: str) -> str:
    """What a tool says of a file, the last of ``words``."""
    result = subprocess.run([projects.tool(name), *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise FirmwareError(f"{words[-1]}: {result.stderr.strip()}: build the project again")
    return result.stdout


def read_profile(path: Path) -> Profile:
    """What the plugin wrote; FirmwareError if it did not come to it."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except FileNotFoundError:
        raise FirmwareError(f"{path}: QEMU has not written it: is it built with plugins?") from None
    blocks: dict[tuple[int, int, int], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    accesses: dict[tuple[int, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
    read: dict[int, int] = {}
    for letter, *words in lines:
        if letter == "L":
            read[int(words[0])] = int(words[1])
        elif letter == "B":
            key = int(words[0], 16), int(words[1]), int(words[2])
            flown, jumped, left = blocks[key]
            blocks[key] = flown + int(words[3]), jumped + int(words[4]), left + int(words[5])
        else:
            place = int(words[0], 16), int(words[1])
            done, late = accesses[place]
            accesses[place] = done + int(words[2]), late + int(words[3])
    return Profile(blocks, accesses, read)


def instructions(profile: Profile) -> dict[int, int]:
    """Executed instructions by context."""
    found: dict[int, int] = defaultdict(int)
    for (_, length, context), (flown, jumped, _) in profile.blocks.items():
        found[context] += length * (flown + jumped)
    return dict(found)
