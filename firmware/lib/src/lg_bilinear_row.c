/* SPDX-License-Identifier: Apache-2.0 */
/* RESIZE_BILINEAR: lg_moves.h has the equation. */
#include "lg_moves.h"

enum { ONE = 1 << 10, HALF = 1 << 19 };

void lg_bilinear_row(const lg_bilinear *layer, const int8_t *above, const int8_t *below, int32_t fraction,
                     int8_t *out)
{
    const uint32_t channels = layer->channels;
    for (uint32_t x = 0; x < layer->pixels; x++) {
        const lg_between column = layer->columns[x];
        const uint32_t first = column.first * channels, last = column.last * channels;
        for (uint32_t c = 0; c < channels; c++) {
            const int32_t top = above[first + c] * (ONE - column.fraction) + above[last + c] * column.fraction;
            const int32_t bottom = below[first + c] * (ONE - column.fraction) + below[last + c] * column.fraction;
            const int32_t sum = top * (ONE - fraction) + bottom * fraction;
            *out++ = (int8_t)((sum + (sum > 0 ? HALF : -HALF)) / (2 * HALF));
        }
    }
}
