#include "lg_nn.h"
#include "lg_requant.h"

/* Sum of output channel `c`, which looks at input channel `channel`, over the taps inside the image. */
static int32_t channel_sum(const lg_conv_layer *l, const int8_t *ring, int32_t ring_rows, int32_t y0, int32_t x0,
                           int32_t channel, int32_t c)
{
    const int32_t row_bytes = l->in_w * l->in_c;
    int32_t sum = 0;
    for (int32_t ky = 0; ky < l->kernel_h; ky++) {
        const int32_t y = y0 + ky * l->dilation_h;
        if (y < 0 || y >= l->in_h) {
            continue;
        }
        const int8_t *row = ring + y % ring_rows * row_bytes + channel;
        const int8_t *taps = l->weights + ky * l->kernel_w * l->out_c + c;
        for (int32_t kx = 0; kx < l->kernel_w; kx++) {
            const int32_t x = x0 + kx * l->dilation_w;
            if (x >= 0 && x < l->in_w) {
                sum += (row[x * l->in_c] - l->in_zero_point) * taps[kx * l->out_c];
            }
        }
    }
    return sum;
}

void lg_depthwise_conv2d_s8_row(const lg_conv_layer *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y,
                                int8_t *out_row)
{
    const int32_t depth_multiplier = layer->out_c / layer->in_c;
    const int32_t y0 = out_y * layer->stride_h - layer->pad_top;
    for (int32_t ox = 0; ox < layer->out_w; ox++) {
        const int32_t x0 = ox * layer->stride_w - layer->pad_left;
        int32_t c = 0;
        for (int32_t channel = 0; channel < layer->in_c; channel++) {
            for (int32_t m = 0; m < depth_multiplier; m++, c++) {
                int32_t acc = channel_sum(layer, ring, ring_rows, y0, x0, channel, c);
                acc += layer->bias != 0 ? layer->bias[c] : 0;
                acc = lg_requant_double(acc, layer->multiplier[c], layer->shift[c]);
                *out_row++ = lg_output_s8(acc, layer->out_zero_point, layer->act_min, layer->act_max);
            }
        }
    }
}

void lg_depthwise_conv2d_s8(const lg_conv_layer *layer, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < layer->out_h; y++) {
        lg_depthwise_conv2d_s8_row(layer, in, layer->in_h, y, out + y * layer->out_w * layer->out_c);
    }
}
