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

enum { LANES = 4, HALF_MULTIPLIER = 1 << 30 };

/* Rescaling by one scale; shift < 0. */
static inline int32x4_t rescaled(int32x4_t x, int32_t multiplier, int32_t shift)
{
    const int32x4_t high = vqrdmulhq_n_s32(x, multiplier);
    return vrshlq_n_s32(vaddq_s32(high, vshrq_n_s32(high, 31)), shift);
}

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
    const int32_t zero = layer->out_zero_point;
    const int32x4_t low = vdupq_n_s32(layer->act_min), high = vdupq_n_s32(layer->act_max);
    for (uint32_t i = 0; i < n; i += LANES) {
        const mve_pred16_t active = vctp32q(n - i);
        const int32x4_t x = vldrbq_z_s32(exact + i, active), y = vldrbq_z_s32(scaled + i, active);
        const int32x4_t other = rescaled(vshlq_n_s32(vsubq_n_s32(y, scaled_zero), 20), multiplier, shift);
        const int32x4_t sum = vaddq_s32(other, vshlq_n_s32(vsubq_n_s32(x, exact_zero), 19));
        const int32x4_t value = vaddq_n_s32(rescaled(sum, out_multiplier, out_shift), zero);
        vstrbq_p_s32(out + i, vminq_s32(vmaxq_s32(value, low), high), active);
    }
}

#else
typedef int lg_add_row_mve_is_left_out;
#endif
