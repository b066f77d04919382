#include "lg_nn.h"
#include "lg_requant.h"

void lg_mean_s8_begin(const lg_mean_layer *layer, int32_t *acc)
{
    for (int32_t c = 0; c < layer->channels; c++) {
        acc[c] = 0;
    }
}

void lg_mean_s8_accumulate(const lg_mean_layer *layer, const int8_t *in, uint32_t pixels, int32_t *acc)
{
    for (uint32_t i = 0; i < pixels; i++) {
        for (int32_t c = 0; c < layer->channels; c++) {
            acc[c] += *in++ - layer->in_zero_point;
        }
    }
}

void lg_mean_s8_finish(const lg_mean_layer *layer, const int32_t *acc, int8_t *out)
{
    for (int32_t c = 0; c < layer->channels; c++) {
        const int32_t mean = lg_requant_double(acc[c], layer->multiplier, layer->shift);
        out[c] = lg_output_s8(mean, layer->out_zero_point, INT8_MIN, INT8_MAX);
    }
}

void lg_mean_s8(const lg_mean_layer *layer, const int8_t *in, int32_t *acc, int8_t *out)
{
    lg_mean_s8_begin(layer, acc);
    lg_mean_s8_accumulate(layer, in, layer->pixels, acc);
    lg_mean_s8_finish(layer, acc, out);
}
