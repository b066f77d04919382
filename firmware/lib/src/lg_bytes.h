/* SPDX-License-Identifier: Apache-2.0 */
/* Four int8 in a word, and halves of two words put together, for the kernels of the DSP extension. As in lg_dsp.h, they
 * are C with LG_DSP_EMULATE. */
#ifndef LG_BYTES_H
#define LG_BYTES_H

#include "lg_dsp.h"
#include "lg_requant.h"

#ifdef LG_DSP
#ifndef LG_DSP_EMULATE

/* low half of a below low half of b */
static inline uint32_t lg_low_halves(uint32_t a, uint32_t b)
{
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

/* high half of a below high half of b */
static inline uint32_t lg_high_halves(uint32_t a, uint32_t b)
{
    uint32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(b), "r"(a));
    return pair;
}

/* The larger of each byte. One statement, as SSUB8 leaves its result for SEL in the flags. */
static inline uint32_t lg_max4(uint32_t a, uint32_t b)
{
    uint32_t larger;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(larger) : "r"(a), "r"(b));
    return larger;
}

static inline uint32_t lg_min4(uint32_t a, uint32_t b)
{
    uint32_t smaller;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(smaller) : "r"(a), "r"(b));
    return smaller;
}

#else

static inline uint32_t lg_low_halves(uint32_t a, uint32_t b)
{
    return (a & 0xFFFFu) | (b << 16);
}

static inline uint32_t lg_high_halves(uint32_t a, uint32_t b)
{
    return (a >> 16) | (b & 0xFFFF0000u);
}

static inline uint32_t lg_max4(uint32_t a, uint32_t b)
{
    uint32_t larger = 0;
    for (uint32_t at = 0; at < 32u; at += 8u) {
        const uint32_t x = (a >> at) & 0xFFu, y = (b >> at) & 0xFFu;
        larger |= ((x ^ 0x80u) >= (y ^ 0x80u) ? x : y) << at;
    }
    return larger;
}

static inline uint32_t lg_min4(uint32_t a, uint32_t b)
{
    return ~lg_max4(~a, ~b);
}

#endif

/* Four channels of n pixels, `step` apart, added to the halves of even (channels 0, 2) and odd (1, 3). Sums of 255
 * pixels fit. */
static inline void lg_sum_pixels(const int8_t *in, uint32_t n, uint32_t step, uint32_t *even, uint32_t *odd)
{
    uint32_t sum_even = *even, sum_odd = *odd;
    for (; n > 0u; n--, in += step) {
        const uint32_t four = lg_load4(in);
        sum_even = lg_sadd16(sum_even, lg_widen_even(four));
        sum_odd = lg_sadd16(sum_odd, lg_widen_odd(four));
    }
    *even = sum_even;
    *odd = sum_odd;
}

/* The halves of a word. */
static inline int32_t lg_low_half(uint32_t pair)
{
    return (int16_t)(uint16_t)pair;
}

static inline int32_t lg_high_half(uint32_t pair)
{
    return (int16_t)(uint16_t)(pair >> 16);
}

/* n values to low..high, where these bounds are narrower than int8. */
static inline void lg_clamp_bytes(int8_t *values, uint32_t n, int32_t low, int32_t high)
{
    if (low == INT8_MIN && high == INT8_MAX) {
        return;
    }
    const uint32_t lows = ((uint32_t)low & 0xFFu) * 0x01010101u, highs = ((uint32_t)high & 0xFFu) * 0x01010101u;
    for (; n >= 4u; n -= 4u, values += 4) {
        lg_store4(values, lg_max4(lg_min4(lg_load4(values), highs), lows));
    }
    for (; n > 0u; n--, values++) {
        *values = lg_clamp_s8(*values, low, high);
    }
}

#endif
#endif
