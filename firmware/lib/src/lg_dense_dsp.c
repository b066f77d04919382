/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED on M4, M7, M33: the input is widened once, then four outputs at a time run through it (lg_dsp_sum.h). */
#include "lg_dense.h"
#include "lg_dsp_sum.h"

#ifdef LG_DSP

enum { OUTPUTS = 4, QUADS = 64 };

/* n > 0 inputs; zeros complete the last quad. */
static void widen(const int8_t *in, uint32_t n, uint32_t *to)
{
    const lg_quad_constants k = lg_quad_prepare();
    for (; n >= 4u; n -= 4u, in += 4, to += 2) {
        lg_widen_quad(k, lg_load4(in), to, to + 1);
    }
    if (n > 0u) {
        uint32_t bytes = 0;
        memcpy(&bytes, in, n);
        lg_widen_quad(k, bytes, to, to + 1);
    }
}

void lg_dense_accumulate_dsp(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc)
{
    const uint32_t piece = (n + 3u) / 4u, step = 2u * (layer->in_n / n) * piece;
    const uint32_t *weights = (const uint32_t *)layer->weights + 2u * (first / n) * piece;
    uint32_t x[2 * QUADS];
    for (uint32_t quads, left = n; left > 0u; left -= left < 4u * quads ? left : 4u * quads) {
        quads = left < 4u * QUADS ? (left + 3u) / 4u : QUADS;
        widen(in, left < 4u * QUADS ? left : 4u * QUADS, x);
        const uint32_t *w = weights;
        int32_t *to = acc, sums[OUTPUTS];
        for (uint32_t outputs = layer->out_n; outputs > 0u; outputs -= outputs < 4u ? outputs : 4u) {
            lg_sum_1x4(x, w, outputs > 2u ? w + step : w, quads, sums);
            to[0] += lg_asr(sums[0], 8);
            if (outputs > 1u) {
                to[1] += lg_asr(sums[1], 8);
            }
            if (outputs > 2u) {
                to[2] += lg_asr(sums[2], 8);
            }
            if (outputs > 3u) {
                to[3] += lg_asr(sums[3], 8);
            }
            to += OUTPUTS;
            w += 2u * step;
        }
        in += 4u * quads;
        weights += 2u * quads;
    }
}

#else
typedef int lg_dense_dsp_is_left_out;
#endif
