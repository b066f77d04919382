#include "lg_nn.h"
#include "lg_requant.h"

static int32_t window_mean(const lg_pool_layer *l, const int8_t *ring, int32_t ring_rows, int32_t y0, int32_t x0,
                           int32_t c)
{
    const int32_t row_bytes = l->in_w * l->channels;
    int32_t sum = 0;
    int32_t count = 0;
    for (int32_t y = y0 < 0 ? 0 : y0; y < y0 + l->kernel_h && y < l->in_h; y++) {
        const int8_t *row = ring + y % ring_rows * row_bytes + c;
        for (int32_t x = x0 < 0 ? 0 : x0; x < x0 + l->kernel_w && x < l->in_w; x++) {
            sum += row[x * l->channels];
            count++;
        }
    }
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void lg_average_pool_s8_row(const lg_pool_layer *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y,
                            int8_t *out_row)
{
    const int32_t y0 = out_y * layer->stride_h - layer->pad_top;
    for (int32_t ox = 0; ox < layer->out_w; ox++) {
        const int32_t x0 = ox * layer->stride_w - layer->pad_left;
        for (int32_t c = 0; c < layer->channels; c++) {
            const int32_t mean = window_mean(layer, ring, ring_rows, y0, x0, c);
            *out_row++ = lg_clamp_s8(mean, layer->act_min, layer->act_max);
        }
    }
}

void lg_average_pool_s8(const lg_pool_layer *layer, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < layer->out_h; y++) {
        lg_average_pool_s8_row(layer, in, layer->in_h, y, out + y * layer->out_w * layer->channels);
    }
}
