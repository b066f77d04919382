/* MAX_POOL_2D: out[x][c] = clamp(max over the window's pixels in the image). */
#include "lg_pool.h"
#include "lg_requant.h"

static int32_t window_max(const int8_t *const *rows, uint32_t row_count, uint32_t first, uint32_t n, uint32_t step)
{
    int32_t max = INT8_MIN;
    for (uint32_t y = 0; y < row_count; y++) {
        const int8_t *in = rows[y] + first;
        for (uint32_t i = n; i > 0u; i--) {
            max = *in > max ? *in : max;
            in += step;
        }
    }
    return max;
}

void lg_max_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out)
{
    for (int32_t x = 0; x < layer->out_w; x++) {
        const int32_t left = x * layer->stride_w - layer->pad_left;
        const int32_t right = left + layer->kernel_w;
        const int32_t first = left > 0 ? left : 0;
        const int32_t past = right < layer->in_w ? right : layer->in_w;
        for (int32_t c = 0; c < layer->channels; c++) {
            const int32_t max = window_max(rows, row_count, (uint32_t)(first * layer->channels + c),
                                           (uint32_t)(past - first), layer->channels);
            *out++ = lg_clamp_s8(max, layer->act_min, layer->act_max);
        }
    }
}
