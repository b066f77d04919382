/* MEAN over height and width: acc[c] = sum of channel c; out[c] = clamp(requantize(acc[c] - N * zp_in) + zp_out). */
#include "lg_mean.h"
#include "lg_requant.h"

void lg_mean_begin(const lg_mean *layer, int32_t *acc)
{
    for (uint32_t c = 0; c < layer->channels; c++) {
        acc[c] = 0;
    }
}

void lg_mean_accumulate(const lg_mean *layer, const int8_t *in, uint32_t pixels, int32_t *acc)
{
    for (uint32_t c = 0; c < layer->channels; c++) {
        const int8_t *pixel = in + c;
        int32_t sum = acc[c];
        for (uint32_t i = pixels; i > 0u; i--) {
            sum += *pixel;
            pixel += layer->channels;
        }
        acc[c] = sum;
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
