/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of neighbours into the words of a scratch buffer (lg_dsp_sum.h), for lg_conv_row_dsp. Where all is one run of four
 * neighbours, lg_conv_pass.h has faster ones. */
#ifndef LG_CONV_WIDEN_H
#define LG_CONV_WIDEN_H

#include <stddef.h>

#include "lg_dsp_sum.h"

#ifdef LG_DSP

/* `quads` > 0 quads of `n` neighbours into a scratch buffer of `count` windows. */
LG_INLINE void widen_run(const int8_t *from, uint32_t step, uint32_t quads, uint32_t n, uint32_t count, uint32_t *to)
{
    const int8_t *a = from, *b = from + step, *c = b + step, *d = c + step;
    const lg_quad_constants k = lg_quad_prepare();
    for (; quads > 0u; quads--, to += 2u * count) {
        const uint32_t bytes_a = lg_load4(a);
        const uint32_t bytes_b = n > 1u ? lg_load4(b) : 0u;
        const uint32_t bytes_c = n > 2u ? lg_load4(c) : 0u;
        const uint32_t bytes_d = n > 3u ? lg_load4(d) : 0u;
        a += 4;
        b += 4;
        c += 4;
        d += 4;
        lg_widen_quad(k, bytes_a, to, to + count);
        if (n > 1u) {
            lg_widen_quad(k, bytes_b, to + 1, to + count + 1);
        }
        if (n > 2u) {
            lg_widen_quad(k, bytes_c, to + 2, to + count + 2);
        }
        if (n > 3u) {
            lg_widen_quad(k, bytes_d, to + 3, to + count + 3);
        }
    }
}

/* `n` neighbours into `n` of the windows of a scratch buffer of `count`. */
static __attribute__((noinline)) void widen_part(const int8_t *from, uint32_t step, uint32_t quads, uint32_t n,
                                                 uint32_t count, uint32_t *to)
{
    if (n == 4u) {
        widen_run(from, step, quads, 4, 4, to);
    } else if (n == 3u) {
        widen_run(from, step, quads, 3, 3, to);
    } else if (n == 1u) {
        widen_run(from, step, quads, 1, count, to);
    } else if (count == 2u) {
        widen_run(from, step, quads, 2, 2, to);
    } else {
        widen_run(from, step, quads, 2, 4, to);
    }
}

/* Two neighbours of a row as the upper two of four windows, where `upper` is not NULL, and as the lower two. */
static __attribute__((noinline)) void widen_shared(const int8_t *from, uint32_t step, uint32_t quads, uint32_t *upper,
                                                   uint32_t *lower)
{
    uint32_t *const one = upper != NULL ? upper : lower;
    if (one == NULL) {
        return; /* between them */
    }
    if (upper == NULL || lower == NULL) {
        widen_run(from, step, quads, 2, 4, one);
        return;
    }
    const lg_quad_constants k = lg_quad_prepare();
    for (const int8_t *b = from + step; quads > 0u; quads--, from += 4, b += 4, upper += 8, lower += 8) {
        uint32_t u, v;
        lg_widen_quad(k, lg_load4(from), &u, &v);
        upper[0] = lower[0] = u;
        upper[4] = lower[4] = v;
        lg_widen_quad(k, lg_load4(b), &u, &v);
        upper[1] = lower[1] = u;
        upper[5] = lower[5] = v;
    }
}

#endif
#endif
