/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED on M4, M7, M33: four inputs of four outputs at a time. */
#include "lg_dense.h"
#include "lg_dsp.h"

#ifdef LG_DSP

enum { OUTPUTS = 4 };

static inline int32_t add_four(const int8_t *weights, uint32_t even, uint32_t odd, int32_t sum)
{
    const uint32_t bytes = lg_load4(weights);
    return lg_smlad(odd, lg_widen_odd(bytes), lg_smlad(even, lg_widen_even(bytes), sum));
}

void lg_dense_accumulate_dsp(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc)
{
    const int8_t *weights = layer->weights + first;
    const int8_t *const end = in + n, *const end4 = in + n / 4u * 4u;
    const uint32_t step = layer->in_n;
    uint32_t o = 0;
    for (; o + OUTPUTS <= layer->out_n; o += OUTPUTS) {
        const int8_t *x = in, *a = weights;
        int32_t sum_a = acc[o], sum_b = acc[o + 1u], sum_c = acc[o + 2u], sum_d = acc[o + 3u];
        for (; x != end4; x += 4) {
            const uint32_t bytes = lg_load4(x);
            const uint32_t even = lg_widen_even(bytes), odd = lg_widen_odd(bytes);
            sum_a = add_four(a, even, odd, sum_a);
            sum_b = add_four(a + step, even, odd, sum_b);
            sum_c = add_four(a + 2u * step, even, odd, sum_c);
            sum_d = add_four(a + 3u * step, even, odd, sum_d);
            a += 4;
        }
        for (; x != end; x++) {
            sum_a += *x * *a;
            sum_b += *x * a[step];
            sum_c += *x * a[2u * step];
            sum_d += *x * a[3u * step];
            a++;
        }
        acc[o] = sum_a;
        acc[o + 1u] = sum_b;
        acc[o + 2u] = sum_c;
        acc[o + 3u] = sum_d;
        weights += OUTPUTS * step;
    }
    for (; o < layer->out_n; o++) {
        const int8_t *x = in, *a = weights;
        int32_t sum = acc[o];
        for (; x != end4; x += 4) {
            const uint32_t bytes = lg_load4(x);
            sum = add_four(a, lg_widen_even(bytes), lg_widen_odd(bytes), sum);
            a += 4;
        }
        for (; x != end; x++) {
            sum += *x * *a++;
        }
        acc[o] = sum;
        weights += step;
    }
}

#else
typedef int lg_dense_dsp_is_left_out;
#endif
