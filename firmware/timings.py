"""Cycles of instructions, as Arm's reference manuals publish them, without wait states; a row, its section.

A row's cycles are those of an instruction that stands alone and does not branch; beside them there are

    each      for every word of several
    refill    where it changes the program counter: the manual's P, which it gives as 1 to 3
    overlap   a cycle less behind a load (``Core.overlaps``)
    stall     a cycle more where its address is the result of the data instruction before it (``Core.stall``)

Left out: wait states, a literal's contention with the fetch (a cycle at times), a full write buffer. Where a
manual gives a range, the row says what of it was taken. Arm publishes no such table for Cortex-M7, M33 and
M55: they have none here.
"""

import dataclasses
import functools


@dataclasses.dataclass(frozen=True)
class Row:
    """Instructions of one cost.

    Attributes:
      names: mnemonics in unified syntax, without condition, S and width, separated by spaces.
      cycles: of one.
      section: where the manual says so.
      kind: data, load, store, or many (several words, which overlap with nothing).
      refill: cycles more when the next instruction executed is not the next in memory.
      each: cycles of each word.
    """

    names: str
    cycles: int
    section: str
    kind: str = "data"
    refill: int = 0
    each: int = 0


@dataclasses.dataclass(frozen=True)
class Core:
    """Timings of one core.

    Attributes:
      manual: title and number.
      rows: every instruction that compiled C and the library hold.
      overlaps: a load behind a load, or an indexed store behind one, takes a cycle less, unless its address
        is what was loaded.
      stall: cycles of a load or store whose address the data instruction before it has made.
      folds: IT behind an instruction of 16 bits takes none.
      unaligned: accesses that are not aligned are split, a cycle for each part beyond the first.
    """

    manual: str
    rows: tuple[Row, ...]
    overlaps: bool = False
    stall: int = 0
    folds: bool = False
    unaligned: bool = False

    @functools.cached_property
    def rows_by_name(self) -> dict[str, Row]:
        return {name: row for row in self.rows for name in row.names.split()}


_LOADS = "ldr ldrb ldrh ldrsb ldrsh ldrt ldrbt ldrht ldrsbt ldrsht ldrex ldrexb ldrexh"
_STORES = "str strb strh strt strbt strht strex strexb strexh"
_DATA = (
    "mov movw movt mvn add addw adc adr sub subw sbc rsb cmp cmn and eor orr orn bic tst teq neg cpy"
    " lsl lsr asr ror rrx rev rev16 revsh clz rbit sxtb sxth uxtb uxth ubfx sbfx bfi bfc ssat usat"
)
_IT = "it itt ite ittt itte itet itee itttt ittte ittet ittee itett itete iteet iteee"
INDEXED = "str[]"  # a name that no assembler has, of stores at base + register


def _v7m(table: str, loads: str) -> tuple[Row, ...]:
    """What Cortex-M3 and M4 share, in the sections ``table`` and ``loads`` of their manuals."""
    return (
        Row(_DATA, 1, f"{table}: Move to Bit field; to PC 1 + P, taken as 2", refill=2),
        Row(_IT, 1, f"{table}: Conditional, If-then-else; folded 0"),
        Row("nop sev pld pldw clrex cpsie cpsid dmb dsb isb", 1, f"{table}: Hint, Barriers: 1 + B"),
        Row("mrs msr", 2, f"{table}: State change: MRS 2, MSR 1 to 2 or more, taken as 2"),
        Row(_LOADS, 2, f"{table}: Load: 2; {loads}: 1 overlapped, to PC 2 + 3", "load", refill=3),
        Row(_STORES, 1, f"{loads}: STR Rx,[Ry,#imm] is always one cycle", "store"),
        Row(INDEXED, 2, f"{table}: Store: 2; {loads}: 1 overlapped", "store"),
        Row("ldrd strd", 1, f"{table}: Double: 1 + N; {loads}: three cycles, not overlapped", "many", each=1),
        Row("ldm ldmia ldmdb pop", 1, f"{table}: Load multiple, Pop: 1 + N, with PC + P", "many", 2, 1),
        Row("stm stmia stmdb push", 1, f"{table}: Store multiple, Push: 1 + N", "many", each=1),
        Row("b bl bx blx cbz cbnz", 1, f"{table}: Branch: 1 or 1 + P; P is 1 to 3, taken as 2", refill=2),
        Row("tbb tbh", 3, f"{loads}: two of the load, one of the addition, three of the reload", refill=3),
        Row("sdiv udiv", 7, f"{table}: Divide: 2 to 12 by the digits, taken as 7"),
    )


_M4, _DSP = "3.3.1 Table of processor instructions", "3.3.2 Table of processor DSP instructions"
_FPU = "7.2.3 FPU instruction set"
CORTEX_M4 = Core(
    "Arm Cortex-M4 Processor Technical Reference Manual, r0p1, 100166",
    (
        *_v7m(_M4, "3.3.3 Load/store timings"),
        Row("mul mla mls smull umull smlal umlal", 1, f"{_M4}: Multiply"),
        Row(
            "umaal smulbb smulbt smultb smultt smlabb smlabt smlatb smlatt smulwb smulwt smlawb smlawt"
            " smlalbb smlalbt smlaltb smlaltt",
            1,
            f"{_DSP}: Multiply of halfwords, accumulating too",
        ),
        Row(
            "smuad smuadx smusd smusdx smlad smladx smlsd smlsdx smlald smlaldx smlsld smlsldx"
            " smmul smmulr smmla smmlar smmls smmlsr",
            1,
            f"{_DSP}: Dual multiplies, most significant word",
        ),
        Row(
            "sadd8 sadd16 ssub8 ssub16 sasx ssax uadd8 uadd16 usub8 usub16 uasx usax"
            " qadd8 qadd16 qsub8 qsub16 qasx qsax uqadd8 uqadd16 uqsub8 uqsub16 uqasx uqsax"
            " shadd8 shadd16 shsub8 shsub16 shasx shsax uhadd8 uhadd16 uhsub8 uhsub16 uhasx uhsax"
            " qadd qsub qdadd qdsub",
            1,
            f"{_DSP}: Parallel addition and subtraction, saturating and halving too",
        ),
        Row(
            "sxtb16 uxtb16 sxtab sxtah uxtab uxtah sxtab16 uxtab16"
            " pkhbt pkhtb sel usad8 usada8 ssat16 usat16",
            1,
            f"{_DSP}: Extend, Pack, Select, Sum of differences, Saturate",
        ),
        Row(
            "vabs vadd vsub vneg vcmp vcmpe vcvt vcvtr vcvtb vcvtt vmul vnmul vmsr vmrs vmov",
            1,
            f"{_FPU}: one cycle each; VMOV of one register",
        ),
        Row("vmla vmls vnmla vnmls vfma vfms vfnma vfnms", 3, f"{_FPU}: Multiply accumulate, fused too"),
        Row("vdiv vsqrt", 14, f"{_FPU}: Divide, Square-root"),
        Row("vldr vstr", 1, f"{_FPU}: Load, Store: 2, double 3", "many", each=1),
        Row(
            "vldm vldmia vldmdb vpop vstm vstmia vstmdb vpush",
            1,
            f"{_FPU}: Load, Store multiple, Pop, Push: 1 + N words",
            "many",
            each=1,
        ),
    ),
    overlaps=True,
    stall=1,
    folds=True,
    unaligned=True,
)

_M3 = "3.3.1 Cortex-M3 instructions"
CORTEX_M3 = Core(
    "Cortex-M3 Technical Reference Manual, r2p0, DDI 0337I",
    (
        *_v7m(_M3, "3.3.2 Load/store timings"),
        Row("mul", 1, f"{_M3}: Multiply"),
        Row("mla mls", 2, f"{_M3}: Multiply accumulate, subtract"),
        Row("smull umull", 5, f"{_M3}: Long: 3 to 5 by the size of the values, taken as 5"),
        Row("smlal umlal", 7, f"{_M3}: Long accumulate: 4 to 7 by the size of the values, taken as 7"),
    ),
    overlaps=True,
    stall=1,
    folds=True,
    unaligned=True,
)

_V6M_DATA = (
    "mov mvn add adc adr sub sbc rsb neg cmp cmn and eor orr bic tst lsl lsr asr ror rev rev16 revsh"
    " sxtb sxth uxtb uxth cpy nop"
)


def _v6m(manual: str, jump: int) -> Core:
    """M0 and M0+, which differ in the refill: of B, BX and a move to PC ``jump``."""
    table = "3.3 Instruction set summary, table 3-1"
    return Core(
        manual,
        (
            Row(_V6M_DATA, 1, f"{table}: 1; Any to PC {1 + jump}", refill=jump),
            Row("mul", 1, f"{table}: Multiply: 1, or 32 with the small multiplier; taken as 1"),
            Row("ldr ldrb ldrh ldrsb ldrsh", 2, f"{table}: Load: 2", "load"),
            Row("str strb strh", 2, f"{table}: Store: 2", "store"),
            Row("ldm ldmia stm stmia push", 1, f"{table}: Load, Store multiple, Push: 1 + N", "many", each=1),
            Row("pop", 1, f"{table}: Pop: 1 + N, with return {2 + jump} + N", "many", jump + 1, 1),
            Row("b", 1, f"{table}: Branch: 1, taken {1 + jump}", refill=jump),
            Row("bx blx", 1, f"{table}: With exchange, with link and exchange: {1 + jump}", refill=jump),
            Row("bl", 1, f"{table}: With link: {2 + jump}", refill=jump + 1),
            Row("mrs msr isb dsb dmb", 2 + jump, f"{table}: State change, Barriers: {2 + jump}"),
            Row("cpsie cpsid", 1, f"{table}: State change: 1"),
        ),
    )


CORES = {
    "cortex-m0": _v6m("Cortex-M0 Technical Reference Manual, r0p0, DDI 0432C", 2),
    "cortex-m0plus": _v6m("Cortex-M0+ Technical Reference Manual, r0p1, DDI 0484C", 1),
    "cortex-m3": CORTEX_M3,
    "cortex-m4": CORTEX_M4,
}
