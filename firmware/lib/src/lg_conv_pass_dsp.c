/* SPDX-License-Identifier: Apache-2.0 */
/* Two channels after the other of windows that lie in a scratch buffer (lg_dsp_sum.h says how): what lg_conv_row_dsp
 * spends its time in. With two channels of four windows a word of weights serves four sums and a word of input two, which
 * takes 32 cycles for the 32 products of a quad on Cortex-M4, 16 of them SMLAD. */
#include "lg_bytes.h"
#include "lg_conv_pass.h"
#include "lg_dsp_sum.h"

#ifdef LG_DSP
#ifndef LG_DSP_EMULATE

#define IN_REGISTER __attribute__((unused))
/* clang-format off */
/* Twelve quads a turn; the first turn begins so that the last one ends whole. */
#define TURNS(quad, compare)                                                                        \
    "tbh    [pc, r12, lsl #1]\n"                                                                    \
    "10: .hword (20f - 10b) / 2, (31f - 10b) / 2, (30f - 10b) / 2, (29f - 10b) / 2\n"               \
    ".hword (28f - 10b) / 2, (27f - 10b) / 2, (26f - 10b) / 2, (25f - 10b) / 2\n"                   \
    ".hword (24f - 10b) / 2, (23f - 10b) / 2, (22f - 10b) / 2, (21f - 10b) / 2\n"                   \
    "20:\n" quad "21:\n" quad "22:\n" quad "23:\n" quad "24:\n" quad "25:\n" quad                  \
    "26:\n" quad "27:\n" quad "28:\n" quad "29:\n" quad "30:\n" quad "31:\n" quad compare          \
    "bne    20b\n"

/* Function of a pass: `start` the sums, a `quad`, how to `compare` x with its end, `outputs` of both channels by a
 * rescaling, to be `put`, or `add` to what is held, and before it what else there is. x in r2, weights in r3. */
#define PASS(start, quad, compare, outputs, put, add, most) \
    "push   {r4-r11, lr}\n"                    \
    "ldm    r0, {r1-r11}\n"                    \
    "push   {r1-r11}\n"                        \
    "1:\n"                                     \
    "ldm    sp, {r2, r3, r12}\n" start         \
    TURNS(quad, compare)                       \
    "ldr    r12, [sp, #16]\n"                  \
    "ldr    r1, [sp, #36]\n"                   \
    "ldr    r0, [sp, #20]\n"                   \
    "add    r3, r12\n"                         \
    "str    r3, [sp, #4]\n"                    \
    "cmp    r1, #0\n"                          \
    "bne    7f\n" outputs(RECTIFY)             \
    "6:\n"                                     \
    "ldr    r1, [sp, #28]\n"                   \
    "ldr    r2, [sp, #32]\n"                   \
    "ldr    r3, [sp, #24]\n"                   \
    "str    r0, [sp, #20]\n"                   \
    "add    r12, r1, #2\n"                     \
    "str    r12, [sp, #28]\n" put              \
    "cmp    r0, r3\n"                          \
    "bne    1b\n"                              \
    "b      8f\n"                              \
    "7:\n"                                     \
    "cmp    r1, #1\n"                          \
    "bne    7f\n" outputs(RESCALE)             \
    "b      6b\n"                              \
    "7:\n" most                                \
    "ldr    r1, [sp, #40]\n"                   \
    "add    r0, #32\n"                         \
    "str    r0, [sp, #20]\n" add               \
    "str    r1, [sp, #40]\n"                   \
    "ldr    r2, [sp, #20]\n"                   \
    "ldr    r3, [sp, #24]\n"                   \
    "cmp    r2, r3\n"                          \
    "bne    1b\n"                              \
    "8:\n"                                     \
    "add    sp, #44\n"                         \
    "pop    {r4-r11, pc}\n"
#define COMPARE               \
    "ldr    r12, [sp, #12]\n" \
    "cmp    r2, r12\n"
/* lg_rescale of a sum by 256; the channel's bias, multiplier, offset and right are in r2, r3, r12 and lr. Half up, that
 * is without the second rounding of values below zero: RECTIFY. */
#define CHANNEL "ldm    r0!, {r2, r3, r12, lr}\n"
#define RESCALE(sum)                               \
    "add    " sum ", r2, " sum ", asr #7\n"        \
    "smmlar r1, " sum ", r3, r12\n"                \
    "add    " sum ", r1, " sum ", asr #31\n"       \
    "asr    " sum ", " sum ", lr\n"                \
    "ssat   " sum ", #8, " sum "\n"
#define RECTIFY(sum)                               \
    "add    " sum ", r2, " sum ", asr #7\n"        \
    "smmlar " sum ", " sum ", r3, r12\n"           \
    "asr    " sum ", " sum ", lr\n"                \
    "ssat   " sum ", #8, " sum "\n"
#define PUT(at, a, b)              \
    "strb   " a ", [" at "]\n"     \
    "strb   " b ", [" at ", #1]\n"
#define NEXT(to, from) "add    " to ", " from ", r2\n"
/* Two sums at a time: 0 * 0. */
#define ZERO "mov    r0, #0\n"
#define ZEROS(a, b) "umull  " a ", " b ", r0, r0\n"
#define LARGER(a, b)           \
    "cmp    " a ", " b "\n"    \
    "it     lt\n"              \
    "movlt  " a ", " b "\n"
#define ADD(sum, held) "add    " sum ", " held ", " sum ", asr #7\n"

/* Sums of four windows: r4-r7 of the first channel, r8-r11 of the second. */
__attribute__((naked)) void lg_conv_pass4_dsp(IN_REGISTER const lg_conv_pass *p)
{
#define TWO(a, b, c, d)                                                                   \
    LG_LOAD("r12", "r2") LG_LOAD("lr", "r2")                                                    \
    LG_SUM(a, "r12", "r0") LG_SUM(c, "r12", "r1") LG_SUM(b, "lr", "r0") LG_SUM(d, "lr", "r1")
#define QUAD                                                                              \
    LG_LOAD("r0", "r3") LG_LOAD("r1", "r3") TWO("r4", "r5", "r8", "r9") TWO("r6", "r7", "r10", "r11")  \
    LG_EVEN("r0") LG_EVEN("r1") TWO("r4", "r5", "r8", "r9") TWO("r6", "r7", "r10", "r11")
#define OUTPUTS(by)                                                                       \
    CHANNEL by("r4") by("r5") by("r6") by("r7") CHANNEL by("r8") by("r9") by("r10") by("r11")
    __asm__(PASS(ZERO ZEROS("r4", "r5") ZEROS("r6", "r7") ZEROS("r8", "r9") ZEROS("r10", "r11"),
                 QUAD, COMPARE, OUTPUTS,
                 NEXT("lr", "r1") PUT("r1", "r4", "r8") NEXT("r1", "lr") PUT("lr", "r5", "r9")
                 NEXT("lr", "r1") PUT("r1", "r6", "r10") PUT("lr", "r7", "r11"),
                 "ldm    r1, {r0, r2, r12, lr}\n"
                 ADD("r4", "r0") ADD("r5", "r2") ADD("r6", "r12") ADD("r7", "lr")
                 "stm    r1!, {r4-r7}\n"
                 "ldm    r1, {r0, r2, r12, lr}\n"
                 ADD("r8", "r0") ADD("r9", "r2") ADD("r10", "r12") ADD("r11", "lr")
                 "stm    r1!, {r8-r11}\n",
                 "cmp    r1, #3\n"
                 "bne    9f\n"
                 LARGER("r4", "r5") LARGER("r6", "r7") LARGER("r4", "r6")
                 LARGER("r8", "r9") LARGER("r10", "r11") LARGER("r8", "r10")
                 CHANNEL RESCALE("r4") CHANNEL RESCALE("r8")
                 "ldr    r1, [sp, #28]\n"
                 "ldr    r3, [sp, #24]\n"
                 "str    r0, [sp, #20]\n"
                 PUT("r1", "r4", "r8")
                 "add    r1, #2\n"
                 "str    r1, [sp, #28]\n"
                 "cmp    r0, r3\n"
                 "bne    1b\n"
                 "b      8f\n"
                 "9:\n"));
#undef OUTPUTS
#undef QUAD
#undef TWO
}

/* Of three: r4-r6, r8-r10. */
__attribute__((naked)) void lg_conv_pass3_dsp(IN_REGISTER const lg_conv_pass *p)
{
#define THREE                                                                             \
    LG_LOAD("r7", "r2") LG_LOAD("r12", "r2") LG_LOAD("lr", "r2")                                   \
    LG_SUM("r4", "r7", "r0") LG_SUM("r8", "r7", "r1") LG_SUM("r5", "r12", "r0")                    \
    LG_SUM("r9", "r12", "r1") LG_SUM("r6", "lr", "r0") LG_SUM("r10", "lr", "r1")
#define QUAD LG_LOAD("r0", "r3") LG_LOAD("r1", "r3") THREE LG_EVEN("r0") LG_EVEN("r1") THREE
#define OUTPUTS(by) CHANNEL by("r4") by("r5") by("r6") CHANNEL by("r8") by("r9") by("r10")
    __asm__(PASS("ldr    r11, [sp, #12]\n" ZERO ZEROS("r4", "r5") ZEROS("r6", "r8") ZEROS("r9", "r10"),
                 QUAD, "cmp    r2, r11\n", OUTPUTS,
                 NEXT("lr", "r1") PUT("r1", "r4", "r8") NEXT("r1", "lr") PUT("lr", "r5", "r9") PUT("r1", "r6", "r10"),
                 "ldm    r1, {r0, r2, r7, r11, r12, lr}\n"
                 ADD("r4", "r0") ADD("r5", "r2") ADD("r6", "r7") ADD("r8", "r11") ADD("r9", "r12") ADD("r10", "lr")
                 "stm    r1!, {r4-r6, r8-r10}\n", ""));
#undef OUTPUTS
#undef QUAD
#undef THREE
}

/* Of two: r4-r5, r8-r9. */
__attribute__((naked)) void lg_conv_pass2_dsp(IN_REGISTER const lg_conv_pass *p)
{
#define QUAD                                                                              \
    LG_LOAD("r0", "r3") LG_LOAD("r1", "r3") LG_LOAD("r6", "r2") LG_LOAD("r7", "r2") LG_LOAD("r12", "r2") LG_LOAD("lr", "r2")  \
    LG_SUM("r4", "r6", "r0") LG_SUM("r8", "r6", "r1") LG_SUM("r5", "r7", "r0") LG_SUM("r9", "r7", "r1")      \
    LG_EVEN("r0") LG_EVEN("r1")                                                                 \
    LG_SUM("r4", "r12", "r0") LG_SUM("r8", "r12", "r1") LG_SUM("r5", "lr", "r0") LG_SUM("r9", "lr", "r1")
#define OUTPUTS(by) CHANNEL by("r4") by("r5") CHANNEL by("r8") by("r9")
    __asm__(PASS("ldr    r11, [sp, #12]\n" ZERO ZEROS("r4", "r5") ZEROS("r8", "r9"),
                 QUAD, "cmp    r2, r11\n", OUTPUTS,
                 NEXT("lr", "r1") PUT("r1", "r4", "r8") PUT("lr", "r5", "r9"),
                 "ldm    r1, {r0, r2, r12, lr}\n"
                 ADD("r4", "r0") ADD("r5", "r2") ADD("r8", "r12") ADD("r9", "lr")
                 "stm    r1!, {r4, r5, r8, r9}\n", ""));
#undef OUTPUTS
#undef QUAD
}

/* u of the bytes x where they are, v in r12; r1 and r2 are as lg_quad_prepare has them. */
#define HALVES(x)                               \
    "and    r12, r2, " x ", lsl #8\n"           \
    "sxtb16 " x ", " x ", ror #8\n"             \
    "ssub16 " x ", " x ", r1\n"                 \
    "ssub16 r12, r12, " x "\n"

/* Neighbours at r4-r7, their bytes in r8-r11; r3 where the words go, lr quads. */
__attribute__((naked)) void lg_conv_widen4_dsp(IN_REGISTER lg_conv_widening *w)
{
    __asm__("push   {r4-r11, lr}\n"
            "mov    r1, #0x007F007F\n"
            "mov    r2, #0xFF00FF00\n"
            "ldr    r3, [r0, #24]\n"
            "1:\n"
            "ldm    r0, {r4-r7, lr}\n"
            "ldr    r8, [r4]\n"
            "add    r9, r4, r7\n"
            "str    r9, [r0]\n"
            "add    r4, r8, r5\n"
            "add    r5, r4, r6\n"
            "add    r8, r5, r6\n"
            "add    r7, r8, r6\n"
            "mov    r6, r8\n"
            "2:\n"
            LG_LOAD("r8", "r4") LG_LOAD("r9", "r5") LG_LOAD("r10", "r6") LG_LOAD("r11", "r7")
            HALVES("r8") "str r12, [r3, #16]\n"
            HALVES("r9") "str r9, [r3, #4]\n str r12, [r3, #20]\n"
            HALVES("r10") "str r10, [r3, #8]\n str r12, [r3, #24]\n"
            HALVES("r11") "str r11, [r3, #12]\n str r12, [r3, #28]\n"
            "str    r8, [r3], #32\n"
            "subs   lr, #1\n"
            "bne    2b\n"
            "ldr    r4, [r0]\n"
            "ldr    r5, [r0, #20]\n"
            "cmp    r4, r5\n"
            "bne    1b\n"
            "pop    {r4-r11, pc}\n");
}

/* Six pixels, the first at r4, of r5 bytes (r6 three, r7 five times as many): pixel c is the k-th of window c - k. The words
 * of k-th pixels are at r3, r8, r9, 16 bytes on; lr is where the second pixel begins. */
__attribute__((naked)) void lg_conv_slide4_dsp(IN_REGISTER lg_conv_widening *w)
{
#define PLACE(at, x, window, end) \
    "str    " x ", [" at ", #16 + 4 * " window "]\n str r12, [" at ", #32 + 4 * " window "]" end "\n"
    __asm__("push   {r4-r11, lr}\n"
            "mov    r1, #0x007F007F\n"
            "mov    r2, #0xFF00FF00\n"
            "ldr    r9, [r0, #24]\n"
            "sub    r9, #16\n"
            "1:\n"
            "ldm    r0, {r4-r7}\n"
            "ldr    r10, [r4]\n"
            "add    r11, r4, r7\n"
            "str    r11, [r0]\n"
            "add    r4, r10, r5\n"
            "mov    r5, r6\n"
            "add    r6, r5, r5, lsl #1\n"
            "add    r7, r5, r5, lsl #2\n"
            "mov    r3, r9\n"
            "add    r8, r3, r5, lsl #3\n"
            "add    r9, r8, r5, lsl #3\n"
            "add    lr, r4, r5\n"
            "2:\n"
            "ldr    r10, [r4, r7]\n"
            "ldr    r11, [r4, r5, lsl #2]\n"
            HALVES("r10") PLACE("r9", "r10", "3", "")
            HALVES("r11") PLACE("r9", "r11", "2", "") PLACE("r8", "r11", "3", "")
            "ldr    r10, [r4, r6]\n"
            "ldr    r11, [r4, r5, lsl #1]\n"
            HALVES("r10") PLACE("r9", "r10", "1", "") PLACE("r8", "r10", "2", "") PLACE("r3", "r10", "3", "")
            HALVES("r11") PLACE("r9", "r11", "0", "!") PLACE("r8", "r11", "1", "") PLACE("r3", "r11", "2", "")
            "ldr    r10, [r4, r5]\n"
            "ldr    r11, [r4], #4\n"
            HALVES("r10") PLACE("r8", "r10", "0", "!") PLACE("r3", "r10", "1", "")
            HALVES("r11") PLACE("r3", "r11", "0", "!")
            "cmp    r4, lr\n"
            "bne    2b\n"
            "ldr    r4, [r0]\n"
            "ldr    r5, [r0, #20]\n"
            "cmp    r4, r5\n"
            "bne    1b\n"
            "pop    {r4-r11, pc}\n");
#undef PLACE
}
/* clang-format on */

#else

static void pass(const lg_conv_pass *p, uint32_t count)
{
    const uint32_t quads = (uint32_t)(p->end - p->x) / (2u * count);
    const uint32_t *weights = p->weights;
    int32_t *held = p->sums;
    int8_t *out = p->out;
    for (const lg_dsp_channel *c = p->channel; c != p->last; c++) {
        int32_t most = INT32_MIN;
        for (uint32_t i = 0; i < count; i++) {
            const int32_t doubled = lg_asr(lg_sum(p->x + i, count, weights, quads), 7);
            most = p->ending == LG_LARGEST && most > doubled ? most : doubled;
            if (p->ending == LG_HELD) {
                *held++ += doubled;
            } else {
                const int32_t x2 = (int32_t)((uint32_t)c->bias + (uint32_t)most);
                const int32_t value = p->ending == LG_RECTIFIED
                                          ? lg_asr(lg_smmlar(x2, c->multiplier, c->offset), c->right)
                                          : lg_rescale(x2, c->multiplier, c->offset, c->right);
                out[p->ending == LG_LARGEST ? 0u : i * p->out_c] = (int8_t)lg_ssat8(value);
            }
        }
        out++;
        weights += (c - p->channel) % 2 == 0 ? 1u : 2u * quads - 1u + p->weights_step / 4u;
    }
}

void lg_conv_widen4_dsp(lg_conv_widening *w)
{
    const lg_quad_constants k = lg_quad_prepare();
    uint32_t *to = w->to;
    for (; w->rows != w->end; w->rows += w->row_step / sizeof *w->rows) {
        const int8_t *from = *w->rows + w->x;
        for (uint32_t q = 0; q < w->quads; q++, from += 4, to += 8) {
            for (uint32_t i = 0; i < 4u; i++) {
                lg_widen_quad(k, lg_load4(from + i * w->step), to + i, to + 4 + i);
            }
        }
    }
}

void lg_conv_slide4_dsp(lg_conv_widening *w)
{
    lg_conv_widen4_dsp(w);
}

void lg_conv_pass2_dsp(const lg_conv_pass *p)
{
    pass(p, 2);
}

void lg_conv_pass3_dsp(const lg_conv_pass *p)
{
    pass(p, 3);
}

void lg_conv_pass4_dsp(const lg_conv_pass *p)
{
    pass(p, 4);
}

#endif
#else
typedef int lg_conv_pass_dsp_is_left_out;
#endif
