/* SPDX-License-Identifier: Apache-2.0 */
/* MAX_POOL_2D: out[x][c] = clamp(max over the window's pixels in the image). With the DSP extension four channels are
 * compared at a time; where their number is no multiple of four the last four are. */
#include "lg_bytes.h"
#include "lg_pool.h"
#include "lg_requant.h"

typedef struct {
    const int8_t *const *rows;
    uint32_t row_count, first, n, step; /* n pixels of each row, `step` apart */
} window;

static int8_t window_max(const window *w, uint32_t c)
{
    const int8_t *const *row = w->rows;
    int32_t max = INT8_MIN;
    for (uint32_t y = w->row_count; y > 0u; y--) {
        const int8_t *in = *row++ + w->first + c;
        for (uint32_t i = w->n; i > 0u; i--) {
            max = *in > max ? *in : max;
            in += w->step;
        }
    }
    return (int8_t)max;
}

#ifdef LG_DSP
static uint32_t window_max4(const window *w, uint32_t c)
{
    const int8_t *const *row = w->rows;
    uint32_t max = 0x80808080u;
    for (uint32_t y = w->row_count; y > 0u; y--) {
        const int8_t *in = *row++ + w->first + c;
        for (uint32_t i = w->n; i > 0u; i--) {
            max = lg_max4(max, lg_load4(in));
            in += w->step;
        }
    }
    return max;
}
#endif

static void pool_pixel(const window *w, int8_t *out)
{
    uint32_t c = 0;
#ifdef LG_DSP
    for (; c + 4u <= w->step; c += 4u) {
        lg_store4(out + c, window_max4(w, c));
    }
    if (c > 0u && c < w->step) {
        c = w->step - 4u;
        lg_store4(out + c, window_max4(w, c));
        return;
    }
#endif
    for (; c < w->step; c++) {
        out[c] = window_max(w, c);
    }
}

void lg_max_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out)
{
    window w = {.rows = rows, .row_count = row_count, .step = layer->channels};
    for (int32_t x = 0; x < layer->out_w; x++) {
        const int32_t left = x * layer->stride_w - layer->pad_left;
        const int32_t right = left + layer->kernel_w;
        const int32_t first = left > 0 ? left : 0;
        w.n = (uint32_t)((right < layer->in_w ? right : layer->in_w) - first);
        w.first = (uint32_t)first * layer->channels;
        pool_pixel(&w, out + (uint32_t)x * layer->channels);
    }
    if (layer->act_min > INT8_MIN || layer->act_max < INT8_MAX) {
        for (uint32_t i = (uint32_t)layer->out_w * layer->channels; i > 0u; i--, out++) {
            *out = lg_clamp_s8(*out, layer->act_min, layer->act_max);
        }
    }
}
