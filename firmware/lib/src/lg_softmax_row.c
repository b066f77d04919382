/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_softmax.h"

#include "lg_reciprocal.h"

void lg_softmax_row(const lg_softmax *layer, const int8_t *in, int8_t *out)
{
    const uint32_t channels = layer->channels;
    for (uint32_t x = 0; x < layer->pixels; x++, in += channels, out += channels) {
        int32_t maximum = -128;
        for (uint32_t c = 0; c < channels; c++) {
            maximum = in[c] > maximum ? in[c] : maximum;
        }
        uint32_t sum = 0; /* in 2^-19: from 2^19, the largest's own, to 4095 * 2^19 */
        for (uint32_t c = 0; c < channels; c++) {
            sum += (uint32_t)lg_round_shift(layer->exponentials[maximum - in[c]], 12);
        }
        const int32_t zeros = lg_leading_zeros(sum);
        const int32_t factor = lg_reciprocal((int32_t)((sum << zeros) - 0x80000000u));
        const int32_t shift = 35 - zeros;
        for (uint32_t c = 0; c < channels; c++) {
            int32_t value = 0; /* also of more than 512 that are alike: each is below 1/512 */
            if (shift <= 31) {
                value = lg_round_shift(lg_high(layer->exponentials[maximum - in[c]], factor), shift);
            }
            out[c] = (int8_t)(value > 255 ? 127 : value - 128);
        }
    }
}
