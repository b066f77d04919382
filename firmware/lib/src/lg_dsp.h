/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of the DSP extension (Cortex-M4, M7, M33) and what the kernels build from them. With LG_DSP_EMULATE they
 * are C, so that the kernels run on any computer; LG_DSP says that one of the two is there. */
#ifndef LG_DSP_H
#define LG_DSP_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && !defined(LG_DSP_EMULATE)
#define LG_DSP 1
#include <arm_acle.h>
#elif defined(LG_DSP_EMULATE)
#define LG_DSP 1
#endif

#ifdef LG_DSP

/* Four bytes from any address. */
static inline uint32_t lg_load4(const void *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline void lg_store4(void *p, uint32_t word)
{
    memcpy(p, &word, sizeof word);
}

#ifndef LG_DSP_EMULATE

/* Bytes 0 and 2 as a pair of int16. */
static inline uint32_t lg_widen_even(uint32_t bytes)
{
    return (uint32_t)__sxtb16((int8x4_t)bytes);
}

/* Bytes 1 and 3 as a pair of int16: SXTB16 with its rotation. */
static inline uint32_t lg_widen_odd(uint32_t bytes)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
}

/* acc + a.low * b.low + a.high * b.high */
static inline int32_t lg_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    return __smlad((int16x2_t)a, (int16x2_t)b, acc);
}

/* Two int16 sums, each modulo 2^16. */
static inline uint32_t lg_sadd16(uint32_t a, uint32_t b)
{
    return (uint32_t)__sadd16((int16x2_t)a, (int16x2_t)b);
}

/* Two int16 differences, each modulo 2^16. */
static inline uint32_t lg_ssub16(uint32_t a, uint32_t b)
{
    return (uint32_t)__ssub16((int16x2_t)a, (int16x2_t)b);
}

/* max(a - b, 0) of each uint8, of each uint16. */
static inline uint32_t lg_uqsub8(uint32_t a, uint32_t b)
{
    return (uint32_t)__uqsub8((uint8x4_t)a, (uint8x4_t)b);
}

static inline uint32_t lg_uqsub16(uint32_t a, uint32_t b)
{
    return (uint32_t)__uqsub16((uint16x2_t)a, (uint16x2_t)b);
}

/* The sum of four uint8. */
static inline uint32_t lg_sum4(uint32_t bytes)
{
    return __usad8((uint8x4_t)bytes, 0u);
}

/* floor((a * b + 2^31) / 2^32) */
static inline int32_t lg_smmulr(int32_t a, int32_t b)
{
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
}

/* acc + lg_smmulr(a, b) */
static inline int32_t lg_smmlar(int32_t a, int32_t b, int32_t acc)
{
    int32_t sum;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

static inline int32_t lg_ssat8(int32_t x)
{
    int32_t limited;
    __asm__("ssat %0, #8, %1" : "=r"(limited) : "r"(x) : "cc");
    return limited;
}

static inline int32_t lg_asr(int32_t x, int32_t n)
{
    return x >> n;
}

#else

static inline int32_t lg_half(uint32_t pair, uint32_t at)
{
    const uint32_t bits = (pair >> at) & 0xFFFFu;
    return (int32_t)bits - (bits >= 0x8000u ? 0x10000 : 0);
}

static inline uint32_t lg_widen_even(uint32_t bytes)
{
    const uint32_t low = bytes & 0xFFu, high = (bytes >> 16) & 0xFFu;
    return (low | (low >= 0x80u ? 0xFF00u : 0u)) | (high | (high >= 0x80u ? 0xFF00u : 0u)) << 16;
}

static inline uint32_t lg_widen_odd(uint32_t bytes)
{
    return lg_widen_even(bytes >> 8);
}

static inline int32_t lg_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    const int32_t low = lg_half(a, 0) * lg_half(b, 0), high = lg_half(a, 16) * lg_half(b, 16);
    return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
}

static inline uint32_t lg_sadd16(uint32_t a, uint32_t b)
{
    return ((a + b) & 0xFFFFu) | ((a & 0xFFFF0000u) + (b & 0xFFFF0000u));
}

static inline uint32_t lg_ssub16(uint32_t a, uint32_t b)
{
    return ((a - b) & 0xFFFFu) | ((a & 0xFFFF0000u) - (b & 0xFFFF0000u));
}

static inline uint32_t lg_uqsub8(uint32_t a, uint32_t b)
{
    uint32_t difference = 0;
    for (uint32_t at = 0; at < 32u; at += 8u) {
        const uint32_t x = (a >> at) & 0xFFu, y = (b >> at) & 0xFFu;
        difference |= (x > y ? x - y : 0u) << at;
    }
    return difference;
}

static inline uint32_t lg_uqsub16(uint32_t a, uint32_t b)
{
    const uint32_t low_a = a & 0xFFFFu, low_b = b & 0xFFFFu, high_a = a >> 16, high_b = b >> 16;
    return (low_a > low_b ? low_a - low_b : 0u) | (high_a > high_b ? high_a - high_b : 0u) << 16;
}

static inline uint32_t lg_sum4(uint32_t bytes)
{
    return (bytes & 0xFFu) + (bytes >> 8 & 0xFFu) + (bytes >> 16 & 0xFFu) + (bytes >> 24);
}

static inline int32_t lg_smmulr(int32_t a, int32_t b)
{
    const int64_t sum = (int64_t)a * b + ((int64_t)1 << 31);
    return (int32_t)(sum >= 0 ? sum >> 32 : ~(~sum >> 32));
}

static inline int32_t lg_smmlar(int32_t a, int32_t b, int32_t acc)
{
    return acc + lg_smmulr(a, b);
}

static inline int32_t lg_ssat8(int32_t x)
{
    return x < -128 ? -128 : x > 127 ? 127 : x;
}

static inline int32_t lg_asr(int32_t x, int32_t n)
{
    return x >= 0 ? x >> n : ~(~x >> n);
}

#endif

/* lg_requant_double(x, multiplier, -right) + zero_point, where |x| < 2^30 and 1 <= right <= LG_MOST_RIGHT, or
 * right <= 31 and zero_point = 0:
 *
 *   x2 = 2 * x,   offset = 2^(right - 1) + (zero_point << right)
 *
 * The first rounding, half up, is SMMLAR's. The second is half away from zero: half up of the value less 1 where it is
 * negative, which may be told by x2: what rounds to 0 first comes out as 0 with the 1 taken off too. */
enum { LG_MOST_RIGHT = 22 };

static inline int32_t lg_rescale(int32_t x2, int32_t multiplier, int32_t offset, int32_t right)
{
    return lg_asr(lg_smmlar(x2, multiplier, offset) + lg_asr(x2, 31), right);
}

/* lg_requant_double (lg_requant.h) where |x| * 2^max(shift, 0) < 2^30; the same arguments. The first rounding is half
 * up, which SMMULR does on the doubled value; the second half away from zero. */
static inline int32_t lg_requant_fast(int32_t x, int32_t multiplier, int32_t shift)
{
    const uint32_t left = shift > 0 ? (uint32_t)shift + 1u : 1u;
    const int32_t high = lg_smmulr((int32_t)((uint32_t)x << left), multiplier);
    if (shift >= 0) {
        return high;
    }
    return lg_asr(high + (int32_t)((1u << -shift) >> 1) + (high < 0 ? -1 : 0), -shift);
}

#endif
#endif
