/* FULLY_CONNECTED on M55: sixteen inputs of four outputs at a time. */
#include "lg_dense.h"
#include "lg_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { LANES = 16, OUTPUTS = 4 };

void lg_dense_accumulate_mve(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc)
{
    const int8_t *weights = layer->weights + first;
    const uint32_t step = layer->in_n;
    uint32_t o = 0;
    for (; o + OUTPUTS <= layer->out_n; o += OUTPUTS) {
        const int8_t *x = in, *a = weights, *b = a + step, *c = b + step, *d = c + step;
        int32_t sum_a = acc[o], sum_b = acc[o + 1u], sum_c = acc[o + 2u], sum_d = acc[o + 3u];
        for (uint32_t left = n; left > 0u;) {
            /* Lanes beyond the last input are zeros, and zeros add nothing. */
            const mve_pred16_t active = vctp8q(left);
            const int8x16_t values = vldrbq_z_s8(x, active);
            sum_a = vmladavaq_s8(sum_a, values, vldrbq_z_s8(a, active));
            sum_b = vmladavaq_s8(sum_b, values, vldrbq_z_s8(b, active));
            sum_c = vmladavaq_s8(sum_c, values, vldrbq_z_s8(c, active));
            sum_d = vmladavaq_s8(sum_d, values, vldrbq_z_s8(d, active));
            x += LANES;
            a += LANES;
            b += LANES;
            c += LANES;
            d += LANES;
            left = left > LANES ? left - LANES : 0u;
        }
        acc[o] = sum_a;
        acc[o + 1u] = sum_b;
        acc[o + 2u] = sum_c;
        acc[o + 3u] = sum_d;
        weights += OUTPUTS * step;
    }
    for (; o < layer->out_n; o++) {
        int32_t sum = acc[o];
        for (uint32_t i = 0; i < n; i += LANES) {
            const mve_pred16_t active = vctp8q(n - i);
            sum = vmladavaq_s8(sum, vldrbq_z_s8(in + i, active), vldrbq_z_s8(weights + i, active));
        }
        acc[o] = sum;
        weights += step;
    }
}

#else
typedef int lg_dense_mve_is_left_out;
#endif
