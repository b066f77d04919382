/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED on any core.
 *
 *   acc[o] = bias[o] + sum of in[i] * weights[o][i]
 *   out[o] = clamp(requantize(acc[o]) + zero_point) */
#include "lg_dense.h"
#include "lg_requant.h"

void lg_dense_begin(const lg_dense *layer, int32_t *acc)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        acc[o] = layer->bias[o];
    }
}

void lg_dense_accumulate(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc)
{
    const int8_t *weights = (const int8_t *)layer->weights + first;
    for (uint32_t o = 0; o < layer->out_n; o++) {
        int32_t sum = acc[o];
        for (uint32_t i = 0; i < n; i++) {
            sum += in[i] * weights[i];
        }
        acc[o] = sum;
        weights += layer->in_n;
    }
}

void lg_dense_finish(const lg_dense *layer, const int32_t *acc, int8_t *out)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        const lg_double_scale *scale = &layer->scales[layer->per_channel != 0u ? o : 0u];
        const int32_t scaled = lg_requant_single(acc[o], scale->multiplier, scale->fraction, scale->shift);
        out[o] = lg_output_s8(scaled, layer->out_zero_point, layer->act_min, layer->act_max);
    }
}
