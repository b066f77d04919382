/* FULLY_CONNECTED on M4, M7, M33: four inputs of two outputs at a time. */
#include "lg_dense.h"
#include "lg_dsp.h"

#ifdef LG_DSP

void lg_dense_accumulate_dsp(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc)
{
    const int8_t *weights = layer->weights + first;
    for (uint32_t o = 0; o < layer->out_n; o += 2u) {
        /* An odd last output is computed twice and kept once. */
        const int8_t *x = in, *end = in + n;
        const int8_t *a = weights;
        const int8_t *b = o + 1u < layer->out_n ? weights + layer->in_n : weights;
        int32_t sum_a = 0, sum_b = 0;
        for (; end - x >= 4; x += 4) {
            const uint32_t bytes = lg_load4(x), bytes_a = lg_load4(a), bytes_b = lg_load4(b);
            const uint32_t even = lg_widen_even(bytes), odd = lg_widen_odd(bytes);
            sum_a = lg_smlad(even, lg_widen_even(bytes_a), sum_a);
            sum_b = lg_smlad(even, lg_widen_even(bytes_b), sum_b);
            sum_a = lg_smlad(odd, lg_widen_odd(bytes_a), sum_a);
            sum_b = lg_smlad(odd, lg_widen_odd(bytes_b), sum_b);
            a += 4;
            b += 4;
        }
        for (; x < end; x++) {
            sum_a += *x * *a++;
            sum_b += *x * *b++;
        }
        acc[o] += sum_a;
        if (o + 1u < layer->out_n) {
            acc[o + 1u] += sum_b;
        }
        weights += 2u * layer->in_n;
    }
}

#else
typedef int lg_dense_dsp_is_left_out;
#endif
