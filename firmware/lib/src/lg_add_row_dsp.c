/* SPDX-License-Identifier: Apache-2.0 */
/* ADD on M4, M7, M33. The input of the larger scale is scaled by 1/2, exactly; with d = b - zero_point of the other
 *
 *   high  = floor((d * 2^21 * multiplier_b + 2^31) / 2^32)                                          (SMMULR)
 *   twice = (a - zero_point_a) * 2^20 + 2 * ((high - (high < 0) + 2^(right_b - 1)) >> right_b)
 *
 * and `twice` is rescaled likewise, the zero point of the output being added before the shift. Bounds narrower than
 * int8 are applied at the end. */
#include <stdbool.h>

#include "lg_bytes.h"
#include "lg_elementwise.h"

#ifdef LG_DSP

enum { HALF_MULTIPLIER = 1 << 30 };

/* The assembler below knows the order. */
typedef struct {
    int32_t exact, scaled;                  /* minus the zero points, times 2^20 and 2^21 */
    int32_t multiplier, half, right;        /* of b */
    int32_t out_multiplier, offset, lowest; /* of the sum */
} constants;

static inline int8_t add(const constants *k, int32_t a, int32_t b)
{
    const int32_t other = lg_rescale(k->scaled + b * (1 << 21), k->multiplier, k->half, k->right);
    const int32_t twice = k->exact + a * (1 << 20) + 2 * other;
    return (int8_t)lg_ssat8(lg_rescale(twice, k->out_multiplier, k->offset, k->lowest));
}

#ifndef LG_DSP_EMULATE

/* clang-format off */
/* Fours of sums, until `out` is at `end`; constants in r4-r11. */
static __attribute__((naked, noinline)) void fours(const constants *k __attribute__((unused)),
                                                   const int8_t *exact __attribute__((unused)),
                                                   const int8_t *scaled __attribute__((unused)),
                                                   int8_t *out __attribute__((unused)),
                                                   const int8_t *end __attribute__((unused)))
{
#define SUM                           \
    "ldrsb  r0, [r2], #1\n"           \
    "ldrsb  r12, [r1], #1\n"          \
    "add    r0, r5, r0, lsl #21\n"    \
    "smmlar lr, r0, r6, r7\n"         \
    "add    r0, lr, r0, asr #31\n"    \
    "asr    r0, r0, r8\n"             \
    "add    r12, r4, r12, lsl #20\n"  \
    "add    r12, r12, r0, lsl #1\n"   \
    "smmlar r0, r12, r9, r10\n"       \
    "add    r0, r0, r12, asr #31\n"   \
    "asr    r0, r0, r11\n"            \
    "ssat   r0, #8, r0\n"             \
    "strb   r0, [r3], #1\n"
    __asm__("push   {r4-r11, lr}\n"
            "ldm    r0, {r4-r11}\n"
            "1:\n" SUM SUM SUM SUM
            "ldr    r0, [sp, #36]\n"
            "cmp    r3, r0\n"
            "bne    1b\n"
            "pop    {r4-r11, pc}\n");
#undef SUM
}
/* clang-format on */

#else

static void fours(const constants *k, const int8_t *exact, const int8_t *scaled, int8_t *out, const int8_t *end)
{
    while (out != end) {
        *out++ = add(k, *exact++, *scaled++);
    }
}

#endif

void lg_add_row_dsp(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out)
{
    const int32_t lowest = -layer->out_shift;
    const bool first = layer->a_shift == 0 && layer->a_multiplier == HALF_MULTIPLIER;
    const bool second = layer->b_shift == 0 && layer->b_multiplier == HALF_MULTIPLIER;
    if (!(first || second) || lowest < 1 || lowest > LG_MOST_RIGHT) {
        lg_add_row(layer, a, b, n, out);
        return;
    }
    constants k = {.exact = -layer->a_zero_point * (1 << 20),
                   .scaled = -layer->b_zero_point * (1 << 21),
                   .multiplier = layer->b_multiplier,
                   .right = -layer->b_shift,
                   .out_multiplier = layer->out_multiplier,
                   .offset = (1 + 2 * layer->out_zero_point) * (1 << (lowest - 1)),
                   .lowest = lowest};
    const int8_t *exact = a, *scaled = b;
    if (!first) {
        exact = b;
        scaled = a;
        k.exact = -layer->b_zero_point * (1 << 20);
        k.scaled = -layer->a_zero_point * (1 << 21);
        k.multiplier = layer->a_multiplier;
        k.right = -layer->a_shift;
    }
    if (k.right == 0) {
        /* 1/2 here too, or 0: a division by 1 would not round as above, one of twice as much by 2 does. */
        k.multiplier = k.multiplier == 0 ? 0 : INT32_MAX;
        k.right = 1;
    }
    k.half = 1 << (k.right - 1);
    int8_t *to = out;
    for (const int8_t *const odd = out + n % 4u; to != odd;) {
        *to++ = add(&k, *exact++, *scaled++);
    }
    if (n >= 4u) {
        fours(&k, exact, scaled, to, out + n);
    }
    lg_clamp_bytes(out, n, layer->act_min, layer->act_max);
}

#else
typedef int lg_add_row_dsp_is_left_out;
#endif
