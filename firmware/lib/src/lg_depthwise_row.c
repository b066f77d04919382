/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D on any core: one channel after the other, three of its pixels at a time. */
#include "lg_depthwise.h"

typedef struct {
    const lg_depthwise *layer;
    const int8_t *const *rows;
    uint32_t out_c;
} task;

typedef struct {
    int32_t s0, s1, s2;
} sums;

/* Sums of the windows that begin at byte `at` of the rows, and x1 and x2 bytes further. */
static sums three_windows(const task *t, const int8_t *taps, uint32_t at, uint32_t x1, uint32_t x2)
{
    const lg_depthwise *l = t->layer;
    const uint32_t step = l->tap_step, row_step = l->row_step, next = t->out_c, width = l->kernel_w;
    const int8_t *const *row = t->rows;
    sums s = {0, 0, 0};
    for (uint32_t ky = l->kernel_h; ky > 0u; ky--) {
        const int8_t *in = *row + at;
        row += row_step;
        for (uint32_t kx = width; kx > 0u; kx--) {
            const int32_t weight = *taps;
            s.s0 += in[0] * weight;
            s.s1 += in[x1] * weight;
            s.s2 += in[x2] * weight;
            in += step;
            taps += next;
        }
    }
    return s;
}

typedef struct {
    int32_t bias, multiplier, shift, zero_point, low, high;
} scaling;

static __attribute__((noinline)) int8_t output(const scaling *to, int32_t sum)
{
    const int32_t scaled = lg_requant_double(sum + to->bias, to->multiplier, to->shift);
    return lg_output_s8(scaled, to->zero_point, to->low, to->high);
}

static void channel_row(const task *t, const int8_t *taps, const lg_channel *c, uint32_t at, int8_t *out)
{
    const lg_depthwise *l = t->layer;
    const scaling to = {c->bias, c->multiplier, c->shift, l->out_zero_point, l->act_min, l->act_max};
    const uint32_t step = l->x_step, next = t->out_c;
    uint32_t left = l->out_w;
    for (; left > 2u; left -= 3u) {
        const sums s = three_windows(t, taps, at, step, 2u * step);
        out[0] = output(&to, s.s0);
        out[next] = output(&to, s.s1);
        out[2u * next] = output(&to, s.s2);
        out += 3u * next;
        at += 3u * step;
    }
    if (left > 0u) {
        const uint32_t x1 = left > 1u ? step : 0u;
        const sums s = three_windows(t, taps, at, x1, x1);
        out[0] = output(&to, s.s0);
        if (left > 1u) {
            out[next] = output(&to, s.s1);
        }
    }
}

void lg_depthwise_row(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const task t = {layer, rows, (uint32_t)layer->in_c * layer->multiplier};
    const int8_t *taps = layer->weights;
    const lg_channel *channel = layer->channels;
    for (uint32_t in = 0; in < layer->in_c; in++) {
        for (uint32_t m = layer->multiplier; m > 0u; m--) {
            channel_row(&t, taps++, channel++, in, out++);
        }
    }
}
