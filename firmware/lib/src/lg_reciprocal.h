/* SPDX-License-Identifier: Apache-2.0 */
/* What softmax and its logarithm share: reciprocals in the fixed point of TFLite. */
#ifndef LG_RECIPROCAL_H
#define LG_RECIPROCAL_H

#include "lg_requant.h"

/* x * 2^n, at most INT32_MAX; x >= 0. */
static inline int32_t lg_raised(int32_t x, int32_t n)
{
    return x > (INT32_MAX >> n) ? INT32_MAX : (int32_t)((uint32_t)x << n);
}

static inline int32_t lg_leading_zeros(uint32_t x)
{
    int32_t count = 0;
    for (; (x & 0x80000000u) == 0u; x <<= 1) {
        count++;
    }
    return count;
}

/* 1 / (1 + x) by Newton's method, 0 <= x < 1; both in 2^-31. */
static inline int32_t lg_reciprocal(int32_t x)
{
    const int32_t half = (int32_t)(((uint32_t)x + 0x80000000u) >> 1);
    int32_t y = 1515870810 + lg_high(-1010580540, half); /* 48/17 - 32/17 half, in 2^-29 */
    for (int i = 0; i < 3; i++) {
        y += lg_high((1 << 29) - lg_high(y, half), y) * 4;
    }
    return lg_raised(y, 1);
}

#endif
