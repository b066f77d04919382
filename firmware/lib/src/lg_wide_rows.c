/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions and dense layers of weights of nine bits: lg_wide.h has the layouts. */
#include "lg_wide.h"

#include "lg_requant.h"

static int8_t output(int32_t acc, const lg_channel *channel, int32_t zero_point, int32_t low, int32_t high)
{
    return lg_output_s8(lg_requant_double(acc, channel->multiplier, channel->shift), zero_point, low, high);
}

void lg_wide_conv_row(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    const lg_conv l = *layer; /* which out could overlay, as far as the compiler knows */
    const lg_channel *channels = l.channels;
    for (uint32_t x = 0; x < l.out_w; x++) {
        const int16_t *weight = l.weights;
        for (uint32_t c = 0; c < l.out_c; c++) {
            int32_t acc = channels[c].bias;
            for (uint32_t y = 0; y < l.kernel_h; y++) {
                const int8_t *run = rows[y * l.row_step] + x * l.x_step;
                for (uint32_t r = 0; r < l.runs; r++) {
                    for (uint32_t i = 0; i < l.run_bytes; i++) {
                        acc += run[i] * *weight++;
                    }
                    run += l.run_step;
                }
            }
            *out++ = output(acc, &channels[c], l.out_zero_point, l.act_min, l.act_max);
        }
    }
}

void lg_wide_depthwise_row(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const lg_depthwise l = *layer;
    const lg_channel *channels = l.channels;
    const uint32_t out_c = (uint32_t)l.in_c * l.multiplier;
    for (uint32_t x = 0; x < l.out_w; x++) {
        for (uint32_t c = 0; c < out_c; c++) {
            const int16_t *weight = (const int16_t *)l.weights + c;
            int32_t acc = channels[c].bias;
            for (uint32_t y = 0; y < l.kernel_h; y++) {
                const int8_t *tap = rows[y * l.row_step] + x * l.x_step + c / l.multiplier;
                for (uint32_t i = 0; i < l.kernel_w; i++) {
                    acc += *tap * *weight;
                    tap += l.tap_step;
                    weight += out_c;
                }
            }
            *out++ = output(acc, &channels[c], l.out_zero_point, l.act_min, l.act_max);
        }
    }
}

void lg_wide_dense_accumulate(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n,
                              const int16_t *weights, int32_t *acc)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        const int16_t *weight = weights + o * layer->in_n + first;
        int32_t sum = acc[o];
        for (uint32_t i = 0; i < n; i++) {
            sum += in[i] * weight[i];
        }
        acc[o] = sum;
    }
}
