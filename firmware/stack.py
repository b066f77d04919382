"""Stack that a function of an image needs: the deepest chain of calls, by what each function of it pushes.

From the disassembly, so inline assembler counts too. Everything that a function takes off the stack pointer
is summed, whichever way through it is taken: never too little, seldom more than it uses. A call through a
pointer is taken for a call of every loop over lines that the image has (``lg_line_walk``), which is what the
library calls so; an observer is the caller's, and not counted. Neither are interrupts, which push on whatever
stack is in use.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from firmware.cycles import words_of
from firmware.profile import listing_of
from firmware.project import FirmwareError

_FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+)(?:[ \t]+([^@;]*))?(.*)$")
_TARGET = re.compile(r"<([^>+]+)>")
_PUSH = re.compile(r"^(?:v?push|v?stmdb|stmfd)(?:\.w)?$")
_SUB = re.compile(r"^sp, (?:sp, )?#(\d+)")
_BEFORE = re.compile(r"\[sp, #-(\d+)\]!")
_LITERAL = re.compile(r"\(([0-9a-f]+) <")
_LINE_LOOPS = re.compile(r"lg_levels_\w+|gradient_line")


@dataclasses.dataclass(frozen=True)
class Function:
    """What a function pushes, and whom it calls, or ends in a jump to, its own frame gone.

    ``indirect``: it calls, or jumps, through a pointer.
    """

    frame: int
    calls: frozenset[str]
    jumps: frozenset[str]
    indirect: bool


@dataclasses.dataclass(frozen=True)
class Chain:
    """The deepest chain of calls, the first function first, and its bytes."""

    bytes: int
    names: tuple[str, ...]


def functions(elf: Path) -> dict[str, Function]:
    """All functions of an image by name."""
    listing = listing_of("arm-none-eabi-objdump", "-d", "-M", "reg-names-std", "--no-show-raw-insn", str(elf))
    found: dict[str, list[tuple[str, str, str]]] = {}
    words: dict[str, int] = {}
    body: list[tuple[str, str, str]] = []
    for line in listing.splitlines():
        if head := _FUNCTION.match(line):
            body = found.setdefault(head[2], [])
        elif match := _INSTRUCTION.match(line):
            address, name, operands, note = match[1], match[2], (match[3] or "").strip(), match[4]
            if name == ".word":
                words[address] = int(operands, 16)
            else:
                body.append((name, operands, note))
    return {name: _function(name, lines, words) for name, lines in found.items()}


def _function(own: str, body: list[tuple[str, str, str]], words: Mapping[str, int]) -> Function:
    frame, calls, jumps, indirect = 0, set(), set(), False
    loaded: dict[str, int] = {}
    for name, operands, note in body:
        base = name.split(".")[0]
        if _PUSH.match(name) and (base.endswith("push") or operands.startswith("sp!")):
            frame += 4 * words_of(operands[operands.index("{") + 1 : operands.index("}")])
        elif base in ("sub", "subw") and (taken := _SUB.match(operands)):
            frame += int(taken[1])
        elif before := _BEFORE.search(operands):
            frame += int(before[1])
        elif base == "ldr" and (place := _LITERAL.search(note)):
            loaded[operands.split(",")[0]] = words.get(place[1].lstrip("0"), words.get(place[1], 0))
        elif base == "add" and (register := re.match(r"^sp, (?:sp, )?(r\d+)", operands)):
            value = loaded.get(register[1], 0)
            frame += 2**32 - value if value >= 2**31 else 0
        elif base == "bl" and (target := _TARGET.search(operands + note)):
            calls.add(target[1])
        elif re.match(r"^b[a-z]{0,2}$|^cbn?z$", base) and (target := _TARGET.search(operands + note)):
            if target[1] != own:
                jumps.add(target[1])
        elif base == "blx" or (base == "bx" and operands != "lr"):
            indirect = True
    return Function(frame, frozenset(calls), frozenset(jumps), indirect)


def deepest(known: Mapping[str, Function], name: str, above: tuple[str, ...] = ()) -> Chain:
    """The chain that needs most stack, from a function on.

    Raises:
      FirmwareError: the image has no such function, or one that calls itself.
    """
    if name not in known:
        raise FirmwareError(f"the image has no function {name}: build the project again")
    if name in above:
        raise FirmwareError(f"{' > '.join((*above, name))}: a circle of calls has no bound of its stack")
    this = known[name]
    loops = {other for other in known if _LINE_LOOPS.fullmatch(other)} if this.indirect else set()
    chains = [(this.frame, callee) for callee in this.calls | loops] + [(0, callee) for callee in this.jumps]
    found: list[tuple[int, tuple[str, ...]]] = [(this.frame, (name,))]
    for frame, callee in chains:
        if callee in known:
            below = deepest(known, callee, (*above, name))
            found.append((frame + below.bytes, (name, *below.names)))
    return Chain(*max(found))
