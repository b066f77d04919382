/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN over height and width: acc[c] = sum of channel c; out[c] = clamp(requantize(acc[c] - N * zp_in) + zp_out).
 * With the DSP extension four channels are summed at a time, as int16 and for no more than 255 pixels. */
#include "lg_mean.h"

#include "lg_bytes.h"
#include "lg_requant.h"

void lg_mean_begin(const lg_mean *layer, int32_t *acc)
{
    for (uint32_t c = 0; c < layer->channels; c++) {
        acc[c] = 0;
    }
}

static void accumulate(const int8_t *in, uint32_t channels, uint32_t pixels, int32_t *acc)
{
    uint32_t c = 0;
#ifdef LG_DSP
    for (; c + 4u <= channels; c += 4u) {
        uint32_t even = 0, odd = 0;
        lg_sum_pixels(in + c, pixels, channels, &even, &odd);
        acc[c] += lg_low_half(even);
        acc[c + 1u] += lg_low_half(odd);
        acc[c + 2u] += lg_high_half(even);
        acc[c + 3u] += lg_high_half(odd);
    }
#endif
    for (; c < channels; c++) {
        const int8_t *pixel = in + c;
        int32_t sum = acc[c];
        for (uint32_t i = pixels; i > 0u; i--) {
            sum += *pixel;
            pixel += channels;
        }
        acc[c] = sum;
    }
}

void lg_mean_accumulate(const lg_mean *layer, const int8_t *in, uint32_t pixels, int32_t *acc)
{
    const uint32_t channels = layer->channels;
    while (pixels > 0u) {
        const uint32_t n = pixels < 255u ? pixels : 255u;
        accumulate(in, channels, n, acc);
        in += n * channels;
        pixels -= n;
    }
}

void lg_mean_finish(const lg_mean *layer, const int32_t *acc, int8_t *out)
{
    const int32_t zeros = (int32_t)layer->pixels * layer->in_zero_point;
    for (uint32_t c = 0; c < layer->channels; c++) {
        const int32_t mean = lg_requant_double(acc[c] - zeros, layer->multiplier, layer->shift);
        out[c] = lg_output_s8(mean, layer->out_zero_point, INT8_MIN, INT8_MAX);
    }
}
