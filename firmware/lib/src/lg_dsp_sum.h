/* SPDX-License-Identifier: Apache-2.0 */
/* Products of one to four windows with two or four channels, for the convolutions and dense layers of the DSP
 * extension. Four taps t0..t3, a quad, of a window x and of a channel w are held as pairs of int16 (first half low):
 *
 *   u = (x1 - 127, x3 - 127)                 W = (256 w1 + w0, 256 w3 + w2)
 *   v = (256 x0, 256 x2) - u                 E = (w0, w2)
 *
 *   u . W + v . E = 256 (x0 w0 + (x1 - 127) w1 + x2 w2 + (x3 - 127) w3)
 *
 * So the four int8 weights are one word W, an SXTB16 makes E of it where W was, and two SMLAD sum the quad. 127 w1 and
 * 127 w3 are part of the bias. W has int16 halves if no weight is -128, and v has whatever x is. Sums are by 256: of
 * LG_MOST_QUADS quads they stay below 2^31.
 *
 * Scratch, a quad after the other: u of all windows, then v of all windows. Weights: a quad after the other, W of two
 * channels. On Cortex-M4 a load takes a cycle behind another load, else two; LDRD and LDM never take less than one more
 * than they have words. So loads come in runs, in registers that are left by the sums. */
#ifndef LG_DSP_SUM_H
#define LG_DSP_SUM_H

#include "lg_dsp.h"
#include "lg_inline.h"

#ifdef LG_DSP

enum { LG_MOST_QUADS = 86 };

/* Held in registers by lg_widen_quad. */
typedef struct {
    uint32_t lift, even;
} lg_quad_constants;

LG_INLINE lg_quad_constants lg_quad_prepare(void)
{
    lg_quad_constants k = {.lift = 0x007F007Fu, .even = 0xFF00FF00u};
#ifndef LG_DSP_EMULATE
    /* As values that nobody knows they are not put into instructions, where they would cost a shift. */
    __asm__("" : "+r"(k.lift), "+r"(k.even));
#endif
    return k;
}

/* u and v of four bytes. */
LG_INLINE void lg_widen_quad(lg_quad_constants k, uint32_t bytes, uint32_t *u, uint32_t *v)
{
    const uint32_t odd = lg_ssub16(lg_widen_odd(bytes), k.lift);
    *u = odd;
    *v = lg_ssub16(bytes << 8 & k.even, odd);
}

#ifndef LG_DSP_EMULATE

/* clang-format off */
#define LG_LOAD(to, from) "ldr    " to ", [" from "], #4\n"
#define LG_SUM(sum, x, w) "smlad  " sum ", " x ", " w ", " sum "\n"
#define LG_EVEN(w) "sxtb16 " w ", " w "\n"
/* Four quads a turn; the first turn begins so that the last one ends whole. */
#define LG_TURNS(quad, entry, x, end)                                               \
    "tbb    [pc, " entry "]\n"                                                   \
    "0: .byte (2f - 0b) / 2, (5f - 0b) / 2, (4f - 0b) / 2, (3f - 0b) / 2\n"      \
    "2:\n" quad "3:\n" quad "4:\n" quad "5:\n" quad                              \
    "ldr    " entry ", " end "\n"                                                \
    "cmp    " x ", " entry "\n"                                                  \
    "bne    2b\n"

/* clang-format on */
#endif

/* Without optimisation GCC has not the registers that the assembler takes. */
#if !defined(LG_DSP_EMULATE) && defined(__OPTIMIZE__)

/* Of one window and four channels, two at `w` and two at `w2`. */
LG_INLINE void lg_sum_1x4(const uint32_t *x, const uint32_t *w, const uint32_t *w2, uint32_t quads, int32_t *sums)
{
    const uint32_t *const end = x + quads * 2u;
    int32_t a = 0, b = 0, c = 0, d = 0;
    uint32_t p = quads % 4u, q, r, s, t, u;
#define QUAD                                                                                                  \
    LG_LOAD("%[p]", "%[w]")                                                                                   \
    LG_LOAD("%[q]", "%[w]") LG_LOAD("%[r]", "%[w2]") LG_LOAD("%[s]", "%[w2]") LG_LOAD("%[t]", "%[x]")         \
        LG_LOAD("%[u]", "%[x]") LG_SUM("%[a]", "%[t]", "%[p]") LG_SUM("%[b]", "%[t]", "%[q]")                 \
            LG_SUM("%[c]", "%[t]", "%[r]") LG_SUM("%[d]", "%[t]", "%[s]") LG_EVEN("%[p]") LG_EVEN("%[q]")     \
                LG_EVEN("%[r]") LG_EVEN("%[s]") LG_SUM("%[a]", "%[u]", "%[p]") LG_SUM("%[b]", "%[u]", "%[q]") \
                    LG_SUM("%[c]", "%[u]", "%[r]") LG_SUM("%[d]", "%[u]", "%[s]")
    __asm__ volatile(LG_TURNS(QUAD, "%[p]", "%[x]", "%[end]")
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w] "+r"(w), [w2] "+r"(w2),
                       [p] "+r"(p), [q] "=&r"(q), [r] "=&r"(r), [s] "=&r"(s), [t] "=&r"(t), [u] "=&r"(u)
                     : [end] "m"(end)
                     : "cc", "memory");
#undef QUAD
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#else

static inline int32_t lg_sum_quad(uint32_t u, uint32_t v, uint32_t w, int32_t sum)
{
    return lg_smlad(v, lg_widen_even(w), lg_smlad(u, w, sum));
}

/* One of `count` windows with one of two channels. */
static inline int32_t lg_sum(const uint32_t *x, uint32_t count, const uint32_t *w, uint32_t quads)
{
    int32_t sum = 0;
    for (; quads > 0u; quads--, x += 2u * count, w += 2) {
        sum = lg_sum_quad(x[0], x[count], *w, sum);
    }
    return sum;
}

static inline void lg_sum_1x4(const uint32_t *x, const uint32_t *w, const uint32_t *w2, uint32_t quads, int32_t *sums)
{
    sums[0] = lg_sum(x, 1, w, quads);
    sums[1] = lg_sum(x, 1, w + 1, quads);
    sums[2] = lg_sum(x, 1, w2, quads);
    sums[3] = lg_sum(x, 1, w2 + 1, quads);
}

#endif
#endif
#endif
