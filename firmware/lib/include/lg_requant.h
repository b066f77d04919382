/* Rescaling of accumulators in integers, in the two ways of TFLite:
 *   double: x * multiplier * 2^(shift - 31), rounded twice;
 *   single: x * scale with all 53 bits of a double's mantissa, rounded once. */
#ifndef LG_REQUANT_H
#define LG_REQUANT_H

#include <stdint.h>

/* What one output channel needs beside its weights. Scale: multiplier * 2^(shift - 31), multiplier 0 or 2^30..2^31-1. */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int32_t shift; /* -31..30 */
} lg_channel;

/* Portable arithmetic shift right (floor), 0 <= n <= 31. */
static inline int32_t lg_floor_shift(int32_t x, int32_t n)
{
    return x >= 0 ? x >> n : ~(~x >> n);
}

/* Double rounding: saturating rounding doubling high multiply (ties away from zero), then division by a
 * power of two (ties away from zero). 0 <= multiplier < 2^31, -31 <= shift <= 30. x * 2^shift wraps for shift > 0. */
static inline int32_t lg_requant_double(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;
    const int64_t nudge = product >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
    const int32_t high = (int32_t)((product + nudge) / ((int64_t)1 << 31));
    const int32_t mask = (int32_t)((1u << right) - 1u);
    const int32_t remainder = high & mask;
    const int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);
    return lg_floor_shift(high, right) + (remainder > threshold ? 1 : 0);
}

/* Single rounding: the exact x * (multiplier + fraction * 2^-22) * 2^(shift - 31), ties away from zero.
 * 0 <= multiplier < 2^31, fraction < 2^22, -31 <= shift <= 30; a result beyond int32_t saturates.
 * TFLite computes round((double)x * scale). That is the same unless the double product is rounded up to
 * k + 1/2; exporters check their scales for it.
 * The bits of the product below 2^-22 may go: they are less than the least step of what is added to it. */
static inline int32_t lg_requant_single(int32_t x, int32_t multiplier, uint32_t fraction, int32_t shift)
{
    const uint32_t magnitude = x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
    const uint64_t product = (uint64_t)magnitude * (uint32_t)multiplier + (((uint64_t)magnitude * fraction) >> 22);
    const int32_t total = 31 - shift;
    const uint64_t rounded = (product + ((uint64_t)1 << (total - 1))) >> total;
    const int32_t limited = rounded > (uint64_t)INT32_MAX ? INT32_MAX : (int32_t)rounded;
    return x < 0 ? -limited : limited;
}

/* clamp(x + zero_point, low, high) without leaving int32_t. */
static inline int8_t lg_output_s8(int32_t x, int32_t zero_point, int32_t low, int32_t high)
{
    if (x < low - zero_point) {
        return (int8_t)low;
    }
    return (int8_t)(x > high - zero_point ? high : x + zero_point);
}

static inline int8_t lg_clamp_s8(int32_t x, int32_t low, int32_t high)
{
    return (int8_t)(x < low ? low : x > high ? high : x);
}

#endif
