#include "lg_nn.h"
#include "lg_requant.h"

static int32_t dot(const lg_fully_connected_layer *l, const int8_t *in, const int8_t *weights, uint32_t n)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += (in[i] - l->in_zero_point) * weights[i];
    }
    return sum;
}

static int8_t output(const lg_fully_connected_layer *l, int32_t acc, uint32_t o)
{
    const uint32_t scale = l->per_channel != 0u ? o : 0u;
    const int32_t scaled = lg_requant_single(acc, l->multiplier[scale], l->fraction[scale], l->shift[scale]);
    return lg_output_s8(scaled, l->out_zero_point, l->act_min, l->act_max);
}

void lg_fully_connected_s8(const lg_fully_connected_layer *layer, const int8_t *in, int8_t *out)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        const int32_t bias = layer->bias != 0 ? layer->bias[o] : 0;
        out[o] = output(layer, bias + dot(layer, in, layer->weights + o * layer->in_n, layer->in_n), o);
    }
}

void lg_fully_connected_s8_begin(const lg_fully_connected_layer *layer, int32_t *acc)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        acc[o] = layer->bias != 0 ? layer->bias[o] : 0;
    }
}

void lg_fully_connected_s8_accumulate(const lg_fully_connected_layer *layer, const int8_t *in, uint32_t first,
                                      uint32_t n, int32_t *acc)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        acc[o] += dot(layer, in, layer->weights + o * layer->in_n + first, n);
    }
}

void lg_fully_connected_s8_finish(const lg_fully_connected_layer *layer, const int32_t *acc, int8_t *out)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        out[o] = output(layer, acc[o], o);
    }
}
