/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels for MVE (Cortex-M55) share. */
#ifndef LG_MVE_H
#define LG_MVE_H

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>
#include <stdint.h>

/* lg_requant_double (lg_requant.h) of four values where |x| * 2^max(shift, 0) < 2^30. Both steps round half up; the
 * second is made half away from zero by taking one from what is negative, unless nothing is shifted out. */
static inline int32x4_t lg_mve_requant(int32x4_t x, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t zero = vdupq_n_s32(0), right = vminq_s32(shift, zero);
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(x, vmaxq_s32(shift, zero)), multiplier);
    const int32x4_t negative = vshrq_n_s32(vandq_s32(high, right), 31);
    return vrshlq_s32(vaddq_s32(high, negative), right);
}

/* The same where all shifts are below 0. */
static inline int32x4_t lg_mve_requant_down(int32x4_t x, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t high = vqrdmulhq_s32(x, multiplier);
    return vrshlq_s32(vaddq_s32(high, vshrq_n_s32(high, 31)), shift);
}

#endif
#endif
