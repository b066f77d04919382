#include "lg_nn.h"
#include "lg_requant.h"

static int32_t dot(const int8_t *in, const int8_t *weights, int32_t n, int32_t zero_point)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += (in[i] - zero_point) * weights[i];
    }
    return sum;
}

/* One filter at one place: the taps inside the image. Without dilation the taps of a kernel row are one run. */
static int32_t filter_sum(const lg_conv_layer *l, const int8_t *ring, int32_t ring_rows, int32_t y0, int32_t x0,
                          const int8_t *filter)
{
    const int32_t row_bytes = l->in_w * l->in_c;
    int32_t sum = 0;
    for (int32_t ky = 0; ky < l->kernel_h; ky++) {
        const int32_t y = y0 + ky * l->dilation_h;
        if (y < 0 || y >= l->in_h) {
            continue;
        }
        const int8_t *row = ring + y % ring_rows * row_bytes;
        const int8_t *taps = filter + ky * l->kernel_w * l->in_c;
        if (l->dilation_w == 1) {
            const int32_t first = x0 < 0 ? -x0 : 0;
            const int32_t past = l->in_w - x0 < l->kernel_w ? l->in_w - x0 : l->kernel_w;
            if (first < past) {
                const int32_t n = (past - first) * l->in_c;
                sum += dot(row + (x0 + first) * l->in_c, taps + first * l->in_c, n, l->in_zero_point);
            }
            continue;
        }
        for (int32_t kx = 0; kx < l->kernel_w; kx++) {
            const int32_t x = x0 + kx * l->dilation_w;
            if (x >= 0 && x < l->in_w) {
                sum += dot(row + x * l->in_c, taps + kx * l->in_c, l->in_c, l->in_zero_point);
            }
        }
    }
    return sum;
}

void lg_conv2d_s8_row(const lg_conv_layer *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y,
                      int8_t *out_row)
{
    const int32_t filter_bytes = layer->kernel_h * layer->kernel_w * layer->in_c;
    const int32_t y0 = out_y * layer->stride_h - layer->pad_top;
    for (int32_t ox = 0; ox < layer->out_w; ox++) {
        const int32_t x0 = ox * layer->stride_w - layer->pad_left;
        for (int32_t c = 0; c < layer->out_c; c++) {
            int32_t acc = filter_sum(layer, ring, ring_rows, y0, x0, layer->weights + c * filter_bytes);
            acc += layer->bias != 0 ? layer->bias[c] : 0;
            acc = lg_requant_double(acc, layer->multiplier[c], layer->shift[c]);
            *out_row++ = lg_output_s8(acc, layer->out_zero_point, layer->act_min, layer->act_max);
        }
    }
}

void lg_conv2d_s8(const lg_conv_layer *layer, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < layer->out_h; y++) {
        lg_conv2d_s8_row(layer, in, layer->in_h, y, out + y * layer->out_w * layer->out_c);
    }
}
