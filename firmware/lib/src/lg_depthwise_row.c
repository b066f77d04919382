/* DEPTHWISE_CONV_2D on any core: each output is its own sum over the window. */
#include "lg_depthwise.h"

static int32_t window_sum(const lg_depthwise *l, const int8_t *const *rows, uint32_t first, const int8_t *taps)
{
    const uint32_t out_c = (uint32_t)l->in_c * l->multiplier;
    int32_t sum = 0;
    for (uint32_t ky = 0; ky < l->kernel_h; ky++) {
        const int8_t *in = rows[ky * l->row_step] + first;
        for (uint32_t kx = l->kernel_w; kx > 0u; kx--) {
            sum += *in * *taps;
            in += l->tap_step;
            taps += out_c;
        }
    }
    return sum;
}

void lg_depthwise_row(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    for (uint32_t x = 0; x < layer->out_w; x++) {
        const int8_t *taps = layer->weights;
        const lg_channel *to = layer->channels;
        for (uint32_t channel = 0; channel < layer->in_c; channel++) {
            for (uint32_t m = 0; m < layer->multiplier; m++, to++) {
                const int32_t acc = to->bias + window_sum(layer, rows, x * layer->x_step + channel, taps++);
                const int32_t scaled = lg_requant_double(acc, to->multiplier, to->shift);
                *out++ = lg_output_s8(scaled, layer->out_zero_point, layer->act_min, layer->act_max);
            }
        }
    }
}
