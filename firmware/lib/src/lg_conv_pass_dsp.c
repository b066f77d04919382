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
/* Eight quads a turn; the first turn begins so that the last one ends whole. */
#define TURNS(quad, compare)                                                                        \
    "tbh    [pc, r12, lsl #1]\n"                                                                    \
    "10: .hword (20f - 10b) / 2, (27f - 10b) / 2, (26f - 10b) / 2, (25f - 10b) / 2\n"               \
    ".hword (24f - 10b) / 2, (23f - 10b) / 2, (22f - 10b) / 2, (21f - 10b) / 2\n"                   \
    "20:\n" quad "21:\n" quad "22:\n" quad "23:\n" quad                                             \
    "24:\n" quad "25:\n" quad "26:\n" quad "27:\n" quad compare                                     \
    "bne    20b\n"

/* Function of a pass: `start` the sums, a `quad`, how to `compare` x with its end, `rescale` and `put` both channels, or
 * `add` to what is held, and before it what else there is. x in r2, weights in r3. */
#define PASS(start, quad, compare, rescale, put, add, most) \
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
    "bne    7f\n" rescale                      \
    "ldr    r1, [sp, #28]\n"                   \
    "ldr    r2, [sp, #32]\n"                   \
    "ldr    r3, [sp, #24]\n"                   \
    "str    r0, [sp, #20]\n"                   \
    "add    r12, r1, #2\n"                     \
    "str    r12, [sp, #28]\n" put              \
    "cmp    r0, r3\n"                          \
    "bne    1b\n"                              \
    "b      8f\n"                              \
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
/* lg_rescale of a sum by 256; the channel's bias, multiplier, offset and right are in r2, r3, r12 and lr. */
#define CHANNEL "ldm    r0!, {r2, r3, r12, lr}\n"
#define RESCALE(sum)                               \
    "add    " sum ", r2, " sum ", asr #7\n"        \
    "smmlar r1, " sum ", r3, r12\n"                \
    "add    " sum ", r1, " sum ", asr #31\n"       \
    "asr    " sum ", " sum ", lr\n"                \
    "ssat   " sum ", #8, " sum "\n"
#define PUT(a, b)              \
    "strb   " a ", [r1]\n"     \
    "strb   " b ", [r1, #1]\n"
#define NEXT "add    r1, r2\n"
#define ZERO(sum) "mov    " sum ", #0\n"
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
    __asm__(PASS(ZERO("r4") ZERO("r5") ZERO("r6") ZERO("r7") ZERO("r8") ZERO("r9") ZERO("r10") ZERO("r11"),
                 QUAD, COMPARE,
                 CHANNEL RESCALE("r4") RESCALE("r5") RESCALE("r6") RESCALE("r7")
                 CHANNEL RESCALE("r8") RESCALE("r9") RESCALE("r10") RESCALE("r11"),
                 PUT("r4", "r8") NEXT PUT("r5", "r9") NEXT PUT("r6", "r10") NEXT PUT("r7", "r11"),
                 "ldm    r1, {r0, r2, r12, lr}\n"
                 ADD("r4", "r0") ADD("r5", "r2") ADD("r6", "r12") ADD("r7", "lr")
                 "stm    r1!, {r4-r7}\n"
                 "ldm    r1, {r0, r2, r12, lr}\n"
                 ADD("r8", "r0") ADD("r9", "r2") ADD("r10", "r12") ADD("r11", "lr")
                 "stm    r1!, {r8-r11}\n",
                 "cmp    r1, #2\n"
                 "bne    9f\n"
                 LARGER("r4", "r5") LARGER("r6", "r7") LARGER("r4", "r6")
                 LARGER("r8", "r9") LARGER("r10", "r11") LARGER("r8", "r10")
                 CHANNEL RESCALE("r4") CHANNEL RESCALE("r8")
                 "ldr    r1, [sp, #28]\n"
                 "ldr    r3, [sp, #24]\n"
                 "str    r0, [sp, #20]\n"
                 PUT("r4", "r8")
                 "add    r1, #2\n"
                 "str    r1, [sp, #28]\n"
                 "cmp    r0, r3\n"
                 "bne    1b\n"
                 "b      8f\n"
                 "9:\n"));
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
    __asm__(PASS("ldr    r11, [sp, #12]\n" ZERO("r4") ZERO("r5") ZERO("r6") ZERO("r8") ZERO("r9") ZERO("r10"),
                 QUAD, "cmp    r2, r11\n",
                 CHANNEL RESCALE("r4") RESCALE("r5") RESCALE("r6") CHANNEL RESCALE("r8") RESCALE("r9") RESCALE("r10"),
                 PUT("r4", "r8") NEXT PUT("r5", "r9") NEXT PUT("r6", "r10"),
                 "ldm    r1, {r0, r2, r7, r11, r12, lr}\n"
                 ADD("r4", "r0") ADD("r5", "r2") ADD("r6", "r7") ADD("r8", "r11") ADD("r9", "r12") ADD("r10", "lr")
                 "stm    r1!, {r4-r6, r8-r10}\n", ""));
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
    __asm__(PASS("ldr    r11, [sp, #12]\n" ZERO("r4") ZERO("r5") ZERO("r8") ZERO("r9"),
                 QUAD, "cmp    r2, r11\n",
                 CHANNEL RESCALE("r4") RESCALE("r5") CHANNEL RESCALE("r8") RESCALE("r9"),
                 PUT("r4", "r8") NEXT PUT("r5", "r9"),
                 "ldm    r1, {r0, r2, r12, lr}\n"
                 ADD("r4", "r0") ADD("r5", "r2") ADD("r8", "r12") ADD("r9", "lr")
                 "stm    r1!, {r4, r5, r8, r9}\n", ""));
#undef QUAD
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
                out[p->ending == LG_LARGEST ? 0u : i * p->out_c] =
                    (int8_t)lg_ssat8(lg_rescale(x2, c->multiplier, c->offset, c->right));
            }
        }
        out++;
        weights += (c - p->channel) % 2 == 0 ? 1u : 2u * quads - 1u + p->weights_step / 4u;
    }
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
