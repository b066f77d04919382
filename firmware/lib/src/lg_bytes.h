/* Four int8 in a word, and halves of two words put together, for the kernels of the DSP extension. As in lg_dsp.h, they
 * are C with LG_DSP_EMULATE. */
#ifndef LG_BYTES_H
#define LG_BYTES_H

#include "lg_dsp.h"

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

/* Four values -128..127, the first in the lowest byte. */
static inline uint32_t lg_pack4(int32_t a, int32_t b, int32_t c, int32_t d)
{
    const uint32_t even = lg_low_halves((uint32_t)a, (uint32_t)c) & 0x00FF00FFu;
    const uint32_t odd = lg_low_halves((uint32_t)b, (uint32_t)d) & 0x00FF00FFu;
    return even | (odd << 8);
}

/* One value in all four bytes. */
static inline uint32_t lg_fill4(int32_t x)
{
    return ((uint32_t)x & 0xFFu) * 0x01010101u;
}

#endif
#endif
