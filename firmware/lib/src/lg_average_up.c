/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D of networks quantised to uint8: out = clamp(floor((sum + floor(n / 2)) / n)). TFLite sums what lies
 * 128 above these values, which is never negative; that does not change the quotient but for the 128. */
#include "lg_requant.h"
#include "lg_wide.h"

static int8_t mean(int32_t sum, int32_t n, int32_t low, int32_t high)
{
    return lg_clamp_s8((sum + 128 * n + n / 2) / n - 128, low, high);
}

void lg_average_up_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out)
{
    const lg_pool l = *layer;
    for (int32_t x = 0; x < l.out_w; x++) {
        const int32_t left = x * l.stride_w - l.pad_left;
        const int32_t right = left + l.kernel_w;
        const int32_t first = left > 0 ? left : 0;
        const int32_t n = (right < l.in_w ? right : l.in_w) - first;
        for (uint32_t c = 0; c < l.channels; c++) {
            int32_t sum = 0;
            for (uint32_t y = 0; y < row_count; y++) {
                const int8_t *in = rows[y] + (uint32_t)first * l.channels + c;
                for (int32_t i = 0; i < n; i++) {
                    sum += *in;
                    in += l.channels;
                }
            }
            *out++ = mean(sum, n * (int32_t)row_count, l.act_min, l.act_max);
        }
    }
}

void lg_average_up_finish(const lg_mean *layer, const int32_t *acc, int8_t act_min, int8_t act_max, int8_t *out)
{
    for (uint32_t c = 0; c < layer->channels; c++) {
        out[c] = mean(acc[c], (int32_t)layer->pixels, act_min, act_max);
    }
}
