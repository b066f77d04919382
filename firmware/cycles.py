"""Cycles of what QEMU executed, estimated: each instruction by the table of its core's manual.

    cycles = sum over instructions of  executions x (cycles of its row, less what overlaps, more what stalls)
           + refills of the pipeline + further parts of unaligned accesses

:mod:`firmware.profile` says how often each block of code was entered, and from where, objdump what its
instructions are, :mod:`firmware.timings` what they cost. An estimate: memory without wait states, and ranges
of the manual taken as the table says. Refused: a core whose timings Arm does not publish, and an instruction
that the table of its core does not have.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from firmware.profile import Profile, listing_of
from firmware.project import FirmwareError
from firmware.timings import CORES, INDEXED, Core, Row

_CONDITIONS = (
    *("eq", "ne", "cs", "hs", "cc", "lo", "mi", "pl", "vs"),
    *("vc", "hi", "ls", "ge", "lt", "gt", "le", "al"),
)
_WITHOUT_RESULT = ("cmp", "cmn", "tst", "teq", "nop", "b", "bl", "bx", "blx", "cbz", "cbnz")
_WITH_TWO = ("smull", "umull", "smlal", "umlal", "umaal", "smlald", "smlaldx", "smlsld", "smlsldx")
_REGISTER = re.compile(r"\b(?:r\d+|sp|lr|pc)\b")
_LINE = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{4}(?: [0-9a-f]{4})?) *\t(\S+)[ \t]*([^@;<\n]*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of the disassembly.

    Attributes:
      row: of its core's table; None if it has none.
      conditional: it may be passed over.
      address: registers that the address of its access is made of.
      results: registers that it writes, base registers of accesses apart.
      words: that it loads or stores, if they may be several.
    """

    size: int
    text: str
    row: Row | None
    conditional: bool
    address: frozenset[str]
    results: frozenset[str]
    words: int


@dataclasses.dataclass(frozen=True)
class Count:
    """Executed instructions and their cycles, and what of these are refills, stalls and unaligned parts."""

    instructions: int = 0
    cycles: int = 0
    refills: int = 0
    stalls: int = 0
    unaligned: int = 0

    def __add__(self, other: "Count") -> "Count":
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return Count(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def __floordiv__(self, frames: int) -> "Count":
        return Count(*(one // frames for one in dataclasses.astuple(self)))


def core_of(name: str) -> Core:
    """The timings of a core; FirmwareError where none are published."""
    if name not in CORES:
        raise FirmwareError(
            f"{name}: Arm publishes no cycles of its instructions; it does of {', '.join(CORES)}"
        )
    return CORES[name]


def disassemble(elf: Path, core: Core) -> dict[int, Instruction]:
    """Address -> instruction, of all code of an image."""
    listing = listing_of("arm-none-eabi-objdump", "-d", "-M", "reg-names-std", str(elf))
    return {
        int(address, 16): _instruction(name, operands.strip(), 2 * len(raw.split()), core)
        for address, raw, name, operands in _LINE.findall(listing)
    }


def _instruction(written: str, operands: str, size: int, core: Core) -> Instruction:
    name, conditional = _mnemonic(written.split(".")[0], core)
    row = core.rows_by_name.get(name)
    bracket = re.search(r"\[([^\]]*)\]", operands)
    address = _REGISTER.findall(bracket[1]) if bracket else []
    registers, words = _REGISTER.findall(operands), 0
    results = registers[: 2 if name in _WITH_TWO else 0 if name in _WITHOUT_RESULT else 1]
    kind = row.kind if row else "data"
    if kind == "store" and len(address) == 2:
        row = core.rows_by_name.get(INDEXED, row)
    if kind == "many":
        listed = re.search(r"\{([^}]*)\}", operands)
        words = words_of(listed[1] if listed else operands.split("[")[0])
        address = address or (registers[:1] if operands[0] != "{" else ["sp"])
    if kind in ("store", "many"):
        results = []
    text = f"{written} {operands}"
    return Instruction(size, text, row, conditional, frozenset(address), frozenset(results), words)


def _mnemonic(name: str, core: Core) -> tuple[str, bool]:
    """As the table has it, without condition and S; and whether it had a condition."""
    tries = [(name, False)]
    if name[-2:] in _CONDITIONS:
        tries.append((name[:-2], True))
    tries += [(one[:-1], conditional) for one, conditional in tries if one.endswith("s")]
    return next((found for found in tries if found[0] in core.rows_by_name), (name, False))


def words_of(registers: str) -> int:
    """Words of a list such as ``r4, r6-r8, lr`` or ``d8-d9``."""
    count = 0
    for part in filter(None, (one.strip() for one in registers.split(","))):
        first, _, last = part.partition("-")
        many = int(last[1:]) - int(first[1:]) + 1 if last else 1
        count += many * (2 if part[0] == "d" else 1)
    return count


def alone(core: Core, this: Instruction, before: Instruction | None) -> tuple[int, int]:
    """(cycles, stalls among them) of an executed instruction that does not branch, behind another.

    Args:
      before: the instruction executed before it, where that is the one ahead of it in memory.
    """
    row = this.row
    assert row is not None
    cycles = row.cycles + row.each * this.words
    if before is None or before.row is None:
        return cycles, 0
    if core.overlaps and before.row.kind == "load" and row.kind in ("load", "store"):
        return (1 if not this.address & before.results else cycles), 0
    if core.folds and row.names.startswith("it ") and before.size == 2:
        return 0, 0
    stall = core.stall if before.row.kind == "data" and this.address & before.results else 0
    return cycles + stall, stall


def estimate(profile: Profile, code: Mapping[int, Instruction], core: Core) -> dict[int, Count]:
    """Cycles of everything that was executed, by context.

    Raises:
      FirmwareError: an instruction was executed that the table of the core does not have.
    """
    counts: dict[int, Count] = defaultdict(Count)
    times: dict[tuple[int, int], int] = defaultdict(int)
    for (start, length, context), (flown, jumped, left) in profile.blocks.items():
        block = list(_block(code, start, length))
        before, entered = _ahead(code, start), flown + jumped
        last = block[-1][1]
        found = Count()
        for place, (at, this) in enumerate(block):
            if this.row is None:
                raise FirmwareError(f"firmware/timings.py: has no cycles of '{this.text}', at {at:#x}")
            if this.conditional:
                times[at, context] += entered
            ways = ((flown, before), (jumped, None)) if place == 0 else ((entered, before),)
            for count, ahead in ways:
                cycles, stalls = alone(core, this, ahead)
                found += Count(count, count * cycles, 0, count * stalls)
            before = this
        refills = left * (last.row.refill if last.row else 0)
        counts[context] += found + Count(cycles=refills, refills=refills)
    for (_, context), (_, late) in profile.accesses.items():
        if late and core.unaligned:
            counts[context] += Count(cycles=late, unaligned=late)
    for (at, context), count in times.items():
        this = code[at]
        assert this.row is not None
        if this.row.kind != "data":
            done = profile.accesses.get((at, context), (0, 0))[0] // max(this.words, 1)
            over = max(count - done, 0) * (alone(core, this, None)[0] - 1)
            counts[context] += Count(cycles=-over)
    return dict(counts)


def _block(code: Mapping[int, Instruction], at: int, count: int) -> Iterator[tuple[int, Instruction]]:
    for _ in range(count):
        if at not in code:
            raise FirmwareError(f"the image has no code at {at:#x}, which was executed: build it again")
        yield at, code[at]
        at += code[at].size


def _ahead(code: Mapping[int, Instruction], at: int) -> Instruction | None:
    """The instruction that ends where another begins."""
    for size in (4, 2):
        found = code.get(at - size)
        if found and found.size == size:
            return found
    return None


def total(counts: Sequence[Count]) -> Count:
    """Their sum."""
    return sum(counts, Count())
