/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D, one row of output, for any target: lg_conv.h has the equation.
 *
 * Two windows and four channels are summed at once, so that a byte of input is loaded for four products and a
 * weight for two. Channels beyond a multiple of four go one by one. A window without a neighbour is summed twice. */
#include "lg_conv.h"

enum { CHANNELS = 4, WINDOWS = 2 };

#if defined(__GNUC__) && defined(__thumb2__)

#define IN_REGISTER __attribute__((unused))

/* clang-format off */
/* Adds a run of n > 0 bytes to four channels' sums of windows a and b. weights: [n][4]. */
__attribute__((naked, noinline)) static void add_four(IN_REGISTER const int8_t *a, IN_REGISTER const int8_t *b,
                                                      IN_REGISTER uint32_t n, IN_REGISTER const int8_t *weights,
                                                      IN_REGISTER int32_t acc[WINDOWS][CHANNELS])
{
/* A byte of a in r2, of b in r12; sums in r4-r7 and r8-r11. */
#define CHANNEL(sum_a, sum_b)              \
    "ldrsb lr, [r3], #1\n"                 \
    "mla   " sum_a ", r2, lr, " sum_a "\n" \
    "mla   " sum_b ", r12, lr, " sum_b "\n"
#define TAP                 \
    "ldrsb r2, [r0], #1\n"  \
    "ldrsb r12, [r1], #1\n" \
    CHANNEL("r4", "r8") CHANNEL("r5", "r9") CHANNEL("r6", "r10") CHANNEL("r7", "r11")
    __asm__("ldr   r12, [sp]\n"
            "push  {r4-r11, lr}\n"
            "ldm   r12, {r4-r11}\n"
            "lsls  lr, r2, #31\n"
            "add   r2, r2, r0\n"
            "push  {r2, r12}\n" /* the end of a */
            "bne   2f\n"
            "1:\n" TAP
            "2:\n" TAP
            "ldr   r2, [sp]\n"
            "cmp   r0, r2\n"
            "bne   1b\n"
            "ldr   r12, [sp, #4]\n"
            "stm   r12, {r4-r11}\n"
            "add   sp, sp, #8\n"
            "pop   {r4-r11, pc}\n");
#undef TAP
#undef CHANNEL
}
/* clang-format on */

#else

static void add_four(const int8_t *a, const int8_t *b, uint32_t n, const int8_t *weights,
                     int32_t acc[WINDOWS][CHANNELS])
{
    int32_t a0 = acc[0][0], a1 = acc[0][1], a2 = acc[0][2], a3 = acc[0][3];
    int32_t b0 = acc[1][0], b1 = acc[1][1], b2 = acc[1][2], b3 = acc[1][3];
    for (const int8_t *const end = a + n; a != end; a++, b++, weights += CHANNELS) {
        const int32_t in_a = *a, in_b = *b;
        a0 += in_a * weights[0], b0 += in_b * weights[0];
        a1 += in_a * weights[1], b1 += in_b * weights[1];
        a2 += in_a * weights[2], b2 += in_b * weights[2];
        a3 += in_a * weights[3], b3 += in_b * weights[3];
    }
    acc[0][0] = a0, acc[0][1] = a1, acc[0][2] = a2, acc[0][3] = a3;
    acc[1][0] = b0, acc[1][1] = b1, acc[1][2] = b2, acc[1][3] = b3;
}

#endif

/* The same for one channel. */
static void add_one(const int8_t *a, const int8_t *b, uint32_t n, const int8_t *weights, int32_t *acc_a, int32_t *acc_b)
{
    int32_t sum_a = *acc_a, sum_b = *acc_b;
    for (uint32_t i = 0; i < n; i++) {
        sum_a += a[i] * weights[i];
        sum_b += b[i] * weights[i];
    }
    *acc_a = sum_a;
    *acc_b = sum_b;
}

/* acc[window][channel]: sums of windows `window` and `window + 1` (`window` again when it is the last of `windows`), of
 * `count` channels, 4 or 1. weights: [ky][run][i][count]. */
static void sum_pair(const lg_conv *layer, const int8_t *const *rows, uint32_t window, uint32_t windows,
                     const int8_t *weights, const lg_channel *channels, uint32_t count, int32_t acc[WINDOWS][CHANNELS])
{
    const uint32_t x = window * layer->x_step, step = windows > 1u ? layer->x_step : 0u, n = layer->run_bytes;
    for (uint32_t c = 0; c < count; c++) {
        acc[0][c] = acc[1][c] = channels[c].bias;
    }
    for (uint32_t ky = layer->kernel_h; ky > 0u; ky--, rows += layer->row_step) {
        const int8_t *run = *rows + x;
        for (uint32_t r = layer->runs; r > 0u; r--, run += layer->run_step, weights += n * count) {
            if (count == CHANNELS) {
                add_four(run, run + step, n, weights, acc);
            } else {
                add_one(run, run + step, n, weights, acc[0], acc[1]);
            }
        }
    }
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
        const lg_channel *const channels = (const lg_channel *)layer->channels + c;
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
