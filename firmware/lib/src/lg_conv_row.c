/* CONV_2D, one row of output, for any target: lg_conv.h has the equation.
 *
 * Two windows and four channels are summed at once, so that a byte of input is loaded for four products and a
 * weight for two. Channels beyond a multiple of four go one by one. A window without a neighbour is summed twice. */
#include "lg_conv.h"

enum { CHANNELS = 4, WINDOWS = 2 };

/* acc[window][channel] of four channels; window 1 begins `step` bytes after window 0. weights: [ky][run][i][4]. */
static void sum_four(const lg_conv *layer, const int8_t *const *rows, uint32_t x, uint32_t step, const int8_t *weights,
                     int32_t acc[WINDOWS][CHANNELS])
{
    int32_t a0 = acc[0][0], a1 = acc[0][1], a2 = acc[0][2], a3 = acc[0][3];
    int32_t b0 = acc[1][0], b1 = acc[1][1], b2 = acc[1][2], b3 = acc[1][3];
    for (uint32_t ky = 0; ky < layer->kernel_h; ky++, rows += layer->row_step) {
        const int8_t *run = *rows + x;
        for (uint32_t r = 0; r < layer->runs; r++, run += layer->run_step) {
            const int8_t *const end = run + layer->run_bytes;
            for (const int8_t *in = run; in != end; in++, weights += CHANNELS) {
                const int32_t a = in[0], b = in[step];
                int32_t w = weights[0];
                a0 += a * w;
                b0 += b * w;
                w = weights[1];
                a1 += a * w;
                b1 += b * w;
                w = weights[2];
                a2 += a * w;
                b2 += b * w;
                w = weights[3];
                a3 += a * w;
                b3 += b * w;
            }
        }
    }
    acc[0][0] = a0, acc[0][1] = a1, acc[0][2] = a2, acc[0][3] = a3;
    acc[1][0] = b0, acc[1][1] = b1, acc[1][2] = b2, acc[1][3] = b3;
}

/* The same for one channel. weights: [ky][run][i]. */
static void sum_one(const lg_conv *layer, const int8_t *const *rows, uint32_t x, uint32_t step, const int8_t *weights,
                    int32_t acc[WINDOWS][CHANNELS])
{
    int32_t a = acc[0][0], b = acc[1][0];
    for (uint32_t ky = 0; ky < layer->kernel_h; ky++, rows += layer->row_step) {
        const int8_t *run = *rows + x;
        for (uint32_t r = 0; r < layer->runs; r++, run += layer->run_step) {
            const int8_t *const end = run + layer->run_bytes;
            for (const int8_t *in = run; in != end; in++, weights++) {
                a += in[0] * *weights;
                b += in[step] * *weights;
            }
        }
    }
    acc[0][0] = a;
    acc[1][0] = b;
}

/* Sums of windows `window` and `window + 1` (only `window` when there is one) of `count` channels, 4 or 1. */
static void sum_pair(const lg_conv *layer, const int8_t *const *rows, uint32_t window, uint32_t windows,
                     const int8_t *weights, const lg_channel *channels, uint32_t count,
                     int32_t acc[WINDOWS][CHANNELS])
{
    const uint32_t step = windows > 1u ? layer->x_step : 0u;
    for (uint32_t c = 0; c < count; c++) {
        acc[0][c] = acc[1][c] = channels[c].bias;
    }
    (count == CHANNELS ? sum_four : sum_one)(layer, rows, window * layer->x_step, step, weights, acc);
}

static void keep_larger(int32_t *best, const int32_t *acc, uint32_t count)
{
    for (uint32_t c = 0; c < count; c++) {
        best[c] = acc[c] > best[c] ? acc[c] : best[c];
    }
}

/* best[c]: the largest sum of the windows pooled into output pixel x. */
static void sum_pooled(const lg_conv *layer, const int8_t *const *rows, uint32_t x, const int8_t *weights,
                       const lg_channel *channels, uint32_t count, int32_t *best)
{
    int32_t acc[WINDOWS][CHANNELS];
    for (uint32_t c = 0; c < count; c++) {
        best[c] = INT32_MIN;
    }
    for (uint32_t py = 0; py < layer->pool_h; py++, rows += layer->y_step) {
        for (uint32_t px = 0; px < layer->pool_w; px += WINDOWS) {
            sum_pair(layer, rows, x * layer->pool_w + px, layer->pool_w - px, weights, channels, count, acc);
            keep_larger(best, acc[0], count);
            keep_larger(best, acc[1], count);
        }
    }
}

static void put(const lg_conv *layer, const int32_t *acc, const lg_channel *channels, uint32_t count, int8_t *out)
{
    for (uint32_t c = 0; c < count; c++) {
        const int32_t value = lg_requant_double(acc[c], channels[c].multiplier, channels[c].shift);
        out[c] = lg_output_s8(value, layer->out_zero_point, layer->act_min, layer->act_max);
    }
}

void lg_conv_row(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t taps = (uint32_t)layer->kernel_h * layer->runs * layer->run_bytes;
    const uint32_t out_w = layer->out_w, out_c = layer->out_c;
    const int8_t *weights = layer->weights;
    const int pooled = layer->pool_h * layer->pool_w > 1;
    for (uint32_t c = 0, count; c < out_c; c += count, weights += count * taps) {
        const lg_channel *const channels = layer->channels + c;
        count = out_c - c >= CHANNELS ? CHANNELS : 1u;
        for (uint32_t x = 0; x < out_w; x += pooled ? 1u : WINDOWS) {
            int32_t acc[WINDOWS][CHANNELS];
            if (pooled) {
                sum_pooled(layer, rows, x, weights, channels, count, acc[0]);
            } else {
                sum_pair(layer, rows, x, out_w - x, weights, channels, count, acc);
            }
            put(layer, acc[0], channels, count, out + x * out_c + c);
            if (!pooled && x + 1u < out_w) {
                put(layer, acc[1], channels, count, out + (x + 1u) * out_c + c);
            }
        }
    }
}
