/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN over any sides: lg_reduce.h has the equation. */
#include "lg_reduce.h"

#include "lg_requant.h"

void lg_reduce_begin(const lg_reduce *layer, int32_t *sums)
{
    for (uint32_t i = 0; i < layer->outputs; i++) {
        sums[i] = 0;
    }
}

void lg_reduce_accumulate(const lg_reduce *layer, const int8_t *in, uint32_t y, int32_t *sums)
{
    for (uint32_t x = 0; x < layer->pixels; x++) {
        int32_t *sum = sums + y * layer->y_step + x * layer->x_step;
        for (uint32_t c = 0; c < layer->channels; c++) {
            *sum += *in++;
            sum += layer->c_step;
        }
    }
}

void lg_reduce_finish(const lg_reduce *layer, const int32_t *sums, uint32_t n, int8_t *out)
{
    const int32_t zeros = (int32_t)layer->count * layer->in_zero_point;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t mean = lg_requant_double(sums[i] - zeros, layer->multiplier, layer->shift);
        out[i] = lg_output_s8(mean, layer->out_zero_point, INT8_MIN, INT8_MAX);
    }
}
