/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D: out[x][c] = clamp(sum / n), half away from zero, over the n pixels of the window in the image.
 * With the DSP extension windows of up to 255 pixels are summed four channels at a time, as int16. */
#include "lg_bytes.h"
#include "lg_pool.h"
#include "lg_requant.h"

typedef struct {
    const lg_pool *layer;
    const int8_t *const *rows;
    uint32_t row_count, first, n; /* n pixels of each row */
    int32_t count;                /* of all rows */
} window;

static int8_t mean(const window *w, int32_t sum)
{
    const int32_t half = w->count / 2;
    return lg_clamp_s8((sum > 0 ? sum + half : sum - half) / w->count, w->layer->act_min, w->layer->act_max);
}

static void pool_pixel(const window *w, int8_t *out)
{
    const uint32_t channels = w->layer->channels;
    uint32_t c = 0;
#ifdef LG_DSP
    for (; w->count <= 255 && c + 4u <= channels; c += 4u) {
        uint32_t even = 0, odd = 0;
        for (uint32_t y = 0; y < w->row_count; y++) {
            lg_sum_pixels(w->rows[y] + w->first + c, w->n, channels, &even, &odd);
        }
        out[c] = mean(w, lg_low_half(even));
        out[c + 1u] = mean(w, lg_low_half(odd));
        out[c + 2u] = mean(w, lg_high_half(even));
        out[c + 3u] = mean(w, lg_high_half(odd));
    }
#endif
    for (; c < channels; c++) {
        int32_t sum = 0;
        for (uint32_t y = 0; y < w->row_count; y++) {
            const int8_t *in = w->rows[y] + w->first + c;
            for (uint32_t i = w->n; i > 0u; i--) {
                sum += *in;
                in += channels;
            }
        }
        out[c] = mean(w, sum);
    }
}

void lg_average_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out)
{
    window w = {.layer = layer, .rows = rows, .row_count = row_count};
    for (int32_t x = 0; x < layer->out_w; x++) {
        const int32_t left = x * layer->stride_w - layer->pad_left;
        const int32_t right = left + layer->kernel_w;
        const int32_t first = left > 0 ? left : 0;
        const int32_t n = (right < layer->in_w ? right : layer->in_w) - first;
        w.n = (uint32_t)n;
        w.first = (uint32_t)first * layer->channels;
        w.count = n * (int32_t)row_count;
        pool_pixel(&w, out + (uint32_t)x * layer->channels);
    }
}
