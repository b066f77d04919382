/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_mean.h"
#include "lg_requant.h"

void lg_average_finish(const lg_mean *layer, const int32_t *acc, int8_t act_min, int8_t act_max, int8_t *out)
{
    const int32_t pixels = (int32_t)layer->pixels;
    for (uint32_t c = 0; c < layer->channels; c++) {
        const int32_t half = acc[c] > 0 ? pixels / 2 : -(pixels / 2);
        out[c] = lg_clamp_s8((acc[c] + half) / pixels, act_min, act_max);
    }
}
