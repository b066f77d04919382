/* SPDX-License-Identifier: Apache-2.0 */
/* Some columns and channels of a row. */
#include <string.h>

#include "lg_moves.h"

void lg_select_row(const lg_select *layer, const int8_t *in, int8_t *out)
{
    const uint32_t channels = layer->channels;
    for (uint32_t x = 0; x < layer->pixels; x++) {
        const int8_t *pixel = in + (uint32_t)layer->columns[x] * layer->in_channels + layer->first;
        if (layer->step == 1) {
            memcpy(out, pixel, channels);
            out += channels;
            continue;
        }
        for (uint32_t c = 0; c < channels; c++) {
            *out++ = pixel[(int32_t)c * layer->step];
        }
    }
}
