/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D, one row of output, for any target: lg_conv.h has the equation.
 *
 * Two windows and four channels are summed at once, so that a byte of input is loaded for four products and a
 * weight for two. Channels beyond a multiple of four go one by one. A window without a neighbour is summed twice.
 * Without 32-bit instructions one product is of both windows (lg_conv_packed.h). */
#include "lg_conv.h"
#include "lg_v6m.h"

enum { CHANNELS = 4, WINDOWS = 2 };

static inline int8_t output(const lg_conv *layer, int32_t sum, const lg_channel *scale)
{
    const int32_t value = lg_requant_double(sum, scale->multiplier, scale->shift);
    return lg_output_s8(value, layer->out_zero_point, layer->act_min, layer->act_max);
}

#ifdef LG_V6M
#include "lg_conv_packed.h"

enum { GROUP = 16 };

/* Sums of up to GROUP channels, half of them where a pool follows. */
typedef struct {
    const lg_conv *layer;
    const lg_channel *channels;
    const int8_t *weights;
    uint32_t count;
    uint32_t taps;
    int32_t words[PACKED];
    packed_sums sums[GROUP];
} group;

static int32_t first_sum(packed_sums s)
{
    return (int32_t)((uint32_t)s.low - ((uint32_t)s.high << 16));
}

/* The sums of windows x and x + step bytes into each row, without biases. `packed`: words has their taps, if it holds
 * all. */
static void sum_pair(group *g, const int8_t *const *rows, uint32_t x, uint32_t step, int packed)
{
    for (uint32_t c = 0; c < g->count; c++) {
        g->sums[c] = (packed_sums){0, 0};
    }
    for (uint32_t from = 0, n; from < g->taps; from += n) {
        n = g->taps - from < PACKED ? g->taps - from : PACKED;
        if (!packed || g->taps > PACKED) {
            pack(g->layer, rows, x, step, from, n, g->words);
        }
        uint32_t c = 0;
        for (; c + CHANNELS <= g->count; c += CHANNELS) {
            add_packed(g->words, n, g->weights + c * g->taps + CHANNELS * from, g->sums + c);
        }
        for (; c < g->count; c++) {
            add_packed_one(g->words, n, g->weights + c * g->taps + from, g->sums + c);
        }
    }
}

static void sum_pooled(group *g, const int8_t *const *rows, uint32_t x)
{
    const lg_conv *const layer = g->layer;
    packed_sums *const best = g->sums + GROUP / 2;
    for (uint32_t c = 0; c < g->count; c++) {
        best[c] = (packed_sums){INT32_MIN, 0};
    }
    for (uint32_t py = 0; py < layer->pool_h; py++, rows += layer->y_step) {
        for (uint32_t px = 0; px < layer->pool_w; px += WINDOWS) {
            sum_pair(g, rows, x + px * layer->x_step, px + 1u < layer->pool_w ? layer->x_step : 0u, 0);
            for (uint32_t c = 0; c < g->count; c++) {
                const int32_t one = first_sum(g->sums[c]), other = -g->sums[c].high;
                const int32_t larger = one > other ? one : other;
                best[c].low = larger > best[c].low ? larger : best[c].low;
            }
        }
    }
    for (uint32_t c = 0; c < g->count; c++) {
        g->sums[c] = best[c];
    }
}

void lg_conv_row(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    group g;
    g.layer = layer;
    g.taps = (uint32_t)layer->kernel_h * layer->runs * layer->run_bytes;
    const uint32_t out_w = layer->out_w, out_c = layer->out_c;
    const int pooled = layer->pool_h * layer->pool_w > 1;
    const uint32_t most = pooled ? GROUP / 2 : GROUP;
    packed_outputs o = {.zero_point = layer->out_zero_point, .low = layer->act_min, .high = layer->act_max};
    for (uint32_t x = 0; x < out_w; x += pooled ? 1u : WINDOWS) {
        const int two = !pooled && x + 1u < out_w;
        for (uint32_t first = 0; first < out_c; first += most) {
            g.channels = (const lg_channel *)layer->channels + first;
            g.weights = (const int8_t *)layer->weights + first * g.taps;
            g.count = out_c - first < most ? out_c - first : most;
            if (pooled) {
                sum_pooled(&g, rows, x * layer->pool_w * layer->x_step);
            } else {
                sum_pair(&g, rows, x * layer->x_step, two ? layer->x_step : 0u, first > 0u);
            }
            int8_t *to = out + x * out_c + first;
            if (layer->any_shift == 0u) {
                o.sums = g.sums;
                o.channels = g.channels;
                o.end = g.channels + g.count;
                o.step = two ? out_c : 0u;
                put_packed(&o, to);
                continue;
            }
            for (uint32_t c = 0; c < g.count; c++, to++) {
                const lg_channel *const scale = g.channels + c;
                to[0] = output(layer, first_sum(g.sums[c]) + scale->bias, scale);
                if (two) {
                    to[out_c] = output(layer, scale->bias - g.sums[c].high, scale);
                }
            }
        }
    }
}

#else

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
        out[c] = output(layer, acc[c], channels + c);
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

#endif
