/* SPDX-License-Identifier: Apache-2.0 */
/* Rescaling of accumulators in integers, in the two ways of TFLite:
 *   double: x * multiplier * 2^(shift - 31), rounded twice;
 *   single: x * scale with all 53 bits of a double's mantissa, rounded once. */
#ifndef LG_REQUANT_H
#define LG_REQUANT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one output channel needs beside its weights. Scale: multiplier * 2^(shift - 31), multiplier 0 or
 * 2^30..2^31-1. */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int32_t shift; /* -31..30 */
} lg_channel;

/* The same for the convolutions of the DSP extension, as lg_rescale (lg_dsp.h) takes it where shift is in -22..-1; where it
 * is not, offset is the zero point of the output. */
typedef struct {
    int32_t bias; /* doubled */
    int32_t multiplier;
    int32_t offset; /* (1 + 2 * zero point of the output) * 2^(right - 1) */
    int32_t right;  /* -shift */
} lg_dsp_channel;

/* Arithmetic shift right (floor), 0 <= n <= 31, also where >> is another on negative values. */
static inline int32_t lg_floor_shift(int32_t x, int32_t n)
{
    return (-1 >> 1) == -1 || x >= 0 ? x >> n : ~(~x >> n);
}

/* a * b, and floor(a * b / 2^31 + 1/2) with 0 <= b < 2^31: by one long multiplication, or by 16-bit halves on
 * cores that have none. */
static inline uint64_t lg_product_wide(uint32_t a, uint32_t b)
{
    return (uint64_t)a * b;
}

static inline uint64_t lg_product_narrow(uint32_t a, uint32_t b)
{
    const uint32_t a_low = a & 0xFFFFu, a_high = a >> 16, b_low = b & 0xFFFFu, b_high = b >> 16;
    const uint32_t low = a_low * b_low;
    const uint32_t first = a_low * b_high + (low >> 16); /* at most 2^32 - 2^16 */
    const uint32_t second = a_high * b_low + (first & 0xFFFFu);
    const uint32_t high = a_high * b_high + (first >> 16) + (second >> 16);
    return ((uint64_t)high << 32) | (second << 16) | (low & 0xFFFFu);
}

static inline int32_t lg_high_wide(int32_t a, int32_t b)
{
    return (int32_t)(uint32_t)(((uint64_t)((int64_t)a * b) + ((uint64_t)1 << 30)) >> 31);
}

static inline int32_t lg_high_narrow(int32_t a, int32_t b)
{
    const int32_t a_low = a & 0xFFFF, a_high = lg_floor_shift(a, 16), b_low = b & 0xFFFF, b_high = b >> 16;
    const uint32_t low = (uint32_t)a_low * (uint32_t)b_low;
    const int32_t first = a_low * b_high + (int32_t)(low >> 16);
    const int32_t second = a_high * b_low + (first & 0xFFFF);
    const int32_t high = a_high * b_high + (first >> 16) + lg_floor_shift(second, 16);
    return (int32_t)((uint32_t)high << 1) + ((((second >> 14) & 3) + 1) >> 1);
}

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define LG_NO_LONG_MULTIPLY 1
#endif

static inline uint64_t lg_product(uint32_t a, uint32_t b)
{
#ifdef LG_NO_LONG_MULTIPLY
    return lg_product_narrow(a, b);
#else
    return lg_product_wide(a, b);
#endif
}

#if defined(LG_NO_LONG_MULTIPLY) && defined(__GNUC__)
/* lg_high_narrow, where the shift by 16 leaves what is rounded up in the carry. */
static inline int32_t lg_high(int32_t a, int32_t b)
{
    int32_t b_high, low, first, second;
    __asm__(".syntax unified\n"
            "lsrs %[b_high], %[b], #16\n"
            "uxth %[b], %[b]\n"
            "uxth %[first], %[a]\n"
            "asrs %[a], %[a], #16\n"
            "movs %[low], %[first]\n"
            "muls %[low], %[b]\n"
            "lsrs %[low], %[low], #16\n"
            "muls %[first], %[b_high]\n"
            "adds %[first], %[first], %[low]\n"
            "movs %[second], %[a]\n"
            "muls %[second], %[b]\n"
            "muls %[a], %[b_high]\n"
            "uxth %[low], %[first]\n"
            "adds %[second], %[second], %[low]\n"
            "lsrs %[first], %[first], #16\n"
            "adds %[a], %[a], %[first]\n"
            "add  %[second], %[half]\n"
            "asrs %[second], %[second], #16\n"
            "add  %[a], %[second]\n"
            "adcs %[a], %[a]\n"
            : [a] "+l"(a), [b] "+l"(b), [b_high] "=&l"(b_high), [low] "=&l"(low), [first] "=&l"(first),
              [second] "=&l"(second)
            : [half] "r"(1 << 14)
            : "cc");
    return a;
}

/* Shifted right by n > 0, halves up. */
static inline int32_t lg_round_shift(int32_t x, int32_t n)
{
    int32_t none;
    __asm__(".syntax unified\n"
            "asrs %[x], %[n]\n"
            "movs %[none], #0\n"
            "adcs %[x], %[none]\n"
            : [x] "+l"(x), [none] "=&l"(none)
            : [n] "l"(n)
            : "cc");
    return x;
}
#else
static inline int32_t lg_high(int32_t a, int32_t b)
{
#ifdef LG_NO_LONG_MULTIPLY
    return lg_high_narrow(a, b);
#else
    return lg_high_wide(a, b);
#endif
}

static inline int32_t lg_round_shift(int32_t x, int32_t n)
{
    return lg_floor_shift(x, n) + (lg_floor_shift(x, n - 1) & 1);
}
#endif

/* Double rounding: the high half of a doubled product, ties up, then division by a power of two, ties away from
 * zero. 0 <= multiplier < 2^31, -31 <= shift <= 30. x * 2^shift wraps for shift > 0. */
static inline int32_t lg_requant_double(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift >= 0) {
        return lg_high((int32_t)((uint32_t)x << shift), multiplier);
    }
    const int32_t high = lg_high(x, multiplier); /* above -2^31 */
    const int32_t lowered = high - (high < 0 ? 1 : 0);
    return lg_round_shift(lowered, -shift);
}

/* Single rounding: the exact x * (multiplier + fraction * 2^-22) * 2^(shift - 31), ties away from zero.
 * 0 <= multiplier < 2^31, fraction < 2^22, -31 <= shift <= 30; a result beyond int32_t saturates.
 * TFLite computes round((double)x * scale). That is the same unless the double product is rounded up to
 * k + 1/2; exporters check their scales for it.
 * The bits of the product below 2^-22 may go: they are less than the least step of what is added to it. */
static inline int32_t lg_requant_single(int32_t x, int32_t multiplier, uint32_t fraction, int32_t shift)
{
    const uint32_t magnitude = x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
    const uint64_t product = lg_product(magnitude, (uint32_t)multiplier) + (lg_product(magnitude, fraction) >> 22);
    if (shift < -1) {
        /* The half that is added, and what is dropped, lie in the upper word: below 2^31. */
        const uint32_t high = (uint32_t)(product >> 32);
        const int32_t size = (int32_t)((high + ((uint32_t)1 << (-shift - 2))) >> (-shift - 1));
        return x < 0 ? -size : size;
    }
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

#ifdef __cplusplus
}
#endif

#endif
