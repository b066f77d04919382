/* SPDX-License-Identifier: Apache-2.0 */
/* ADD on M55: four values at a time. The input of the larger scale is scaled by 1/2, exactly; with d = b - zero_point
 * of the other
 *
 *   high = floor(d * 2^20 * multiplier_b / 2^31 + 1/2)
 *   sum  = (a - zero_point_a) * 2^19 + ((high - (high < 0) + 2^(right_b - 1)) >> right_b)
 *
 * and the sum is rescaled likewise. */
#include <stdbool.h>

#include "lg_elementwise.h"
#include "lg_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { HALF_MULTIPLIER = 1 << 30 };

void lg_add_row_mve(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out)
{
    const bool first = layer->a_shift == 0 && layer->a_multiplier == HALF_MULTIPLIER;
    const bool second = layer->b_shift == 0 && layer->b_multiplier == HALF_MULTIPLIER;
    const int32_t out_multiplier = layer->out_multiplier, out_shift = layer->out_shift;
    if (!(first || second) || out_shift > -1) {
        lg_add_row(layer, a, b, n, out);
        return;
    }
    const int8_t *exact = first ? a : b, *scaled = first ? b : a;
    const int32_t exact_zero = first ? layer->a_zero_point : layer->b_zero_point;
    const int32_t scaled_zero = first ? layer->b_zero_point : layer->a_zero_point;
    int32_t multiplier = first ? layer->b_multiplier : layer->a_multiplier;
    int32_t shift = first ? layer->b_shift : layer->a_shift;
    if (shift == 0) {
        /* 1/2 here too, or 0: a division by 1 would not round as above, one of twice as much by 2 does. */
        multiplier = multiplier == 0 ? 0 : INT32_MAX;
        shift = -1;
    }
    /* d * 2^20 and d * 2^19 are products of the input and a power, less those of the zero point. */
    const int32x4_t power_20 = vdupq_n_s32(1 << 20), power_19 = vdupq_n_s32(1 << 19);
    const int32x4_t low = vdupq_n_s32(layer->act_min), high = vdupq_n_s32(layer->act_max);
    __asm__ volatile(
        "wlstp.32     lr, %[n], 2f\n"
        "1:\n"
        "vldrb.s32    q0, [%[scaled]], #4\n"
        "vldrb.s32    q1, [%[exact]], #4\n"
        "vmlas.s32    q0, %q[power_20], %[scaled_zero]\n"
        "vmlas.s32    q1, %q[power_19], %[exact_zero]\n"
        "vqrdmulh.s32 q0, q0, %[multiplier]\n"
        "vshr.s32     q2, q0, #31\n"
        "vadd.i32     q0, q0, q2\n"
        "vrshl.s32    q0, %[shift]\n"
        "vadd.i32     q0, q0, q1\n"
        "vqrdmulh.s32 q0, q0, %[out_multiplier]\n"
        "vshr.s32     q2, q0, #31\n"
        "vadd.i32     q0, q0, q2\n"
        "vrshl.s32    q0, %[out_shift]\n"
        "vadd.i32     q0, q0, %[zero]\n"
        "vmax.s32     q0, q0, %q[low]\n"
        "vmin.s32     q0, q0, %q[high]\n"
        "vstrb.32     q0, [%[out]], #4\n"
        "letp         lr, 1b\n"
        "2:\n"
        : [scaled] "+l"(scaled), [exact] "+l"(exact), [out] "+l"(out)
        : [n] "r"(n), [scaled_zero] "r"(-scaled_zero * (1 << 20)), [exact_zero] "r"(-exact_zero * (1 << 19)),
          [multiplier] "r"(multiplier), [shift] "r"(shift), [out_multiplier] "r"(out_multiplier),
          [out_shift] "r"(out_shift), [zero] "r"((int32_t)layer->out_zero_point), [power_20] "w"(power_20),
          [power_19] "w"(power_19), [low] "w"(low), [high] "w"(high)
        : "lr", "q0", "q1", "q2", "cc", "memory");
}

#else
typedef int lg_add_row_mve_is_left_out;
#endif
