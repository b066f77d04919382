#include "lg_nn.h"
#include "lg_requant.h"

void lg_requantize_s8(const lg_requantize_layer *layer, const int8_t *in, uint32_t n, int8_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const int32_t scaled = lg_requant_double(in[i] - layer->in_zero_point, layer->multiplier, layer->shift);
        out[i] = lg_output_s8(scaled, layer->out_zero_point, layer->act_min, layer->act_max);
    }
}
