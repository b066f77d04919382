"""Cycles of short sequences of instructions, against what the reference manuals state of them."""

import subprocess
from pathlib import Path

import pytest

from firmware import cycles, profile
from firmware import project as projects
from firmware.project import FirmwareError
from firmware.timings import CORES

pytestmark = pytest.mark.qemu

# The core, its machine, and what the assembler is told.
MACHINES = {
    "cortex-m4": ("mps2-an386", "-mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard"),
    "cortex-m3": ("mps2-an385", "-mcpu=cortex-m3"),
    "cortex-m0": ("microbit", "-mcpu=cortex-m0"),
    "cortex-m0plus": ("microbit", "-mcpu=cortex-m0"),
}
# A sequence is called with r1, r2, r3 at aligned RAM, r4 and r5 zero.
_IMAGE = """
    .syntax unified
    .thumb
    .word 0x20001000, start + 1
    .space 0x200 - 8
    .thumb_func
start:
{fpu}
    ldr r1, =0x20000100
    mov r2, r1
    mov r3, r1
    movs r4, #0
    movs r5, #0
    str r4, [r1]
    bl sequence
    ldr r1, =0x20026
    movs r0, #0x18
    bkpt 0xab
    .ltorg
    .balign 1024
    .space {before}
    .thumb_func
    .global sequence
    .type sequence, %function
sequence:
    {code}
    bx lr
"""
_FPU = """
    ldr r0, =0xE000ED88
    ldr r1, =0x00F00000
    str r1, [r0]
    dsb
    isb
"""


def run(folder: Path, core: str, code: str, before: int = 0) -> cycles.Count:
    """What ``code`` takes, the return apart.

    Args:
      before: bytes from a boundary of 1024 to the sequence.
    """
    machine, flags = MACHINES[core]
    text = _IMAGE.format(fpu=_FPU if "fpu" in flags else "", code=code.replace(";", "\n"), before=before)
    (folder / "a.s").write_text(text)
    elf = folder / "a.elf"
    subprocess.run(
        ["arm-none-eabi-gcc", "-mthumb", *flags.split(), "-nostdlib", "-Wl,-Ttext=0,-estart"]
        + ["-o", str(elf), str(folder / "a.s")],
        check=True,
    )
    given, out = profile.arguments(folder, elf, "sequence")
    subprocess.run(
        [projects.tool("qemu-system-arm"), "-M", machine, "-display", "none", "-monitor", "none"]
        + ["-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel", str(elf), *given],
        check=True,
        timeout=60,
    )
    timings = cycles.core_of(core)
    counts = cycles.estimate(profile.read_profile(out), cycles.disassemble(elf, timings), timings)
    assert set(counts) == {0}
    back = timings.rows_by_name["bx"]
    return counts[0] + cycles.Count(-1, -back.cycles - back.refill, -back.refill)


# What the manual of the Cortex-M4 (section of load/store timings, and the tables) states.
CORTEX_M4 = {
    "nop": 1,
    "ldr r0, [r1]": 2,
    "ldr r0, [r1]; ldr r1, [r2]": 3,
    "ldr r0, [r1, r5]; str r0, [r3, #20]": 3,
    "ldr r0, [r1, r5]; str r1, [r3, r5]": 3,
    "ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]": 4,
    "ldr r1, =0x20000100; ldr r0, [r1]": 4,  # the address is what was loaded
    "str r0, [r1, #4]": 1,
    "str r0, [r1, r5]": 2,
    "str r0, [r1, #4]; ldr r0, [r2]": 3,  # nothing overlaps with a store ahead of it
    "ldrd r0, r1, [r2]": 3,
    "ldr r0, [r1]; ldrd r6, r7, [r2]": 5,
    "ldm r1, {r5, r6, r7}": 4,
    "push {r4, r5, lr}; pop {r4, r5, lr}": 8,
    "add r1, r1, #4; ldr r0, [r1]": 4,  # a stall: the address is the result ahead of it
    "add r6, r1, #4; ldr r0, [r1]": 3,
    "movs r0, #1; ldrh r0, [r1, #1]": 1 + 2 + 1,
    "ldr r0, [r1, #2]": 3,
    "ldr r0, [r1, #1]": 4,
    "ldrb r0, [r1, #1]": 2,
    "b 1f; nop; 1:": 3,
    "cmp r4, #0; bne 1f; nop; 1:": 3,
    "movs r0, #10; 1: subs r0, #1; bne 1b": 1 + 10 * 2 + 9 * 2,
    "cbz r4, 1f; nop; 1:": 3,
    "cmp r4, #1; it ne; addne r0, #1": 2,  # folded
    "cmp.w r4, #1; it ne; addne r0, #1": 3,
    "cmp r4, #1; it eq; ldreq r0, [r1]": 2,  # passed over
    "cmp r4, #0; it eq; ldreq r0, [r1]": 3,
    "tbb [pc, r4]; .byte 1, 1; nop": 7,
    "mul r0, r1, r2; smull r0, r1, r2, r3; smlad r0, r1, r2, r3; smmlar r0, r1, r2, r3": 4,
    "udiv r0, r1, r2": 7,
    "vmov.f32 s0, s1; vadd.f32 s0, s0, s1; vmul.f32 s0, s0, s1": 3,
    "vmla.f32 s0, s1, s2": 3,
    "vdiv.f32 s0, s1, s2": 14,
    "vldr s0, [r1]; vstr s0, [r1]": 4,
    "vldr d0, [r1]": 3,
    "vpush {s16-s19}; vpop {s16-s19}": 10,
}
CORTEX_M3 = {
    "ldr r0, [r1]; ldr r1, [r2]": 3,
    "mla r0, r1, r2, r3": 2,
    "umull r0, r6, r1, r2": 5,
    "b 1f; nop; 1:": 3,
}
CORTEX_M0 = {
    "ldr r0, [r1]; ldr r0, [r2]": 4,
    "str r0, [r1, #4]": 2,
    "ldm r1!, {r5, r6, r7}": 4,
    "push {r4, r5, lr}": 4,
    "muls r0, r1, r0": 1,
    "b 1f; nop; 1:": 3,
    "cmp r4, #0; bne 1f; nop; 1:": 3,
    "push {r4, lr}; bl 1f; pop {r4, pc}; 1: bx lr": 3 + 4 + 3 + 6 - 3,
}
CORTEX_M0PLUS = CORTEX_M0 | {
    "b 1f; nop; 1:": 2,
    "push {r4, lr}; bl 1f; pop {r4, pc}; 1: bx lr": 3 + 3 + 2 + 5 - 2,
}
SEQUENCES = [
    (core, code, expected)
    for core, table in zip(MACHINES, (CORTEX_M4, CORTEX_M3, CORTEX_M0, CORTEX_M0PLUS), strict=True)
    for code, expected in table.items()
]


@pytest.mark.seconds
@pytest.mark.parametrize(("core", "code", "expected"), SEQUENCES)
def test_sequences_take_what_the_manual_states(tmp_path: Path, core: str, code: str, expected: int) -> None:
    assert run(tmp_path, core, code).cycles == expected


@pytest.mark.parametrize("before", [1014, 1018, 1020, 1022])
def test_instructions_across_two_pages_of_qemu_are_counted_once(tmp_path: Path, before: int) -> None:
    """QEMU ends a block ahead of an instruction that lies in two pages, and says that it is longer."""
    code = "ldr.w r0, [r1]; nop; ldr.w r6, [r1]; add.w r0, r0, r6; movs r0, #1; add.w r0, r0, r6; nop"
    found = run(tmp_path, "cortex-m4", code, before)
    assert (found.instructions, found.cycles, found.refills) == (7, 9, 0)


def test_cores_without_published_timings_are_refused() -> None:
    with pytest.raises(FirmwareError, match="cortex-m7: Arm publishes no cycles"):
        cycles.core_of("cortex-m7")


def test_an_instruction_that_the_table_lacks_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FirmwareError, match="no cycles of 'sev *', at 0x400"):
        run(tmp_path, "cortex-m0", "sev")


def test_every_row_names_a_section_and_no_name_is_twice() -> None:
    for core in CORES.values():
        names = [name for row in core.rows for name in row.names.split()]
        assert len(names) == len(set(names))
        assert all(":" in row.section and row.section[0].isdigit() for row in core.rows), core.manual
