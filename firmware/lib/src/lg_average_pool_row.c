/* AVERAGE_POOL_2D: out[x][c] = clamp(sum / n), half away from zero, over the n pixels of the window in the image. */
#include "lg_pool.h"
#include "lg_requant.h"

static int32_t window_sum(const int8_t *const *rows, uint32_t row_count, uint32_t first, uint32_t n, uint32_t step)
{
    int32_t sum = 0;
    for (uint32_t y = 0; y < row_count; y++) {
        const int8_t *in = rows[y] + first;
        for (uint32_t i = n; i > 0u; i--) {
            sum += *in;
            in += step;
        }
    }
    return sum;
}

void lg_average_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out)
{
    for (int32_t x = 0; x < layer->out_w; x++) {
        const int32_t left = x * layer->stride_w - layer->pad_left;
        const int32_t right = left + layer->kernel_w;
        const int32_t first = left > 0 ? left : 0;
        const int32_t past = right < layer->in_w ? right : layer->in_w;
        const int32_t count = (past - first) * (int32_t)row_count;
        for (int32_t c = 0; c < layer->channels; c++) {
            const int32_t sum = window_sum(rows, row_count, (uint32_t)(first * layer->channels + c),
                                           (uint32_t)(past - first), layer->channels);
            const int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
            *out++ = lg_clamp_s8(mean, layer->act_min, layer->act_max);
        }
    }
}
