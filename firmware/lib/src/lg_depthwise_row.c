/* DEPTHWISE_CONV_2D on any core: one channel after the other, three of its pixels at a time. */
#include "lg_depthwise.h"

typedef struct {
    const lg_depthwise *layer;
    const int8_t *const *rows;
    uint32_t out_c;
} task;

/* Sums of the windows that begin at byte `at` of the rows, and x1 and x2 bytes further. */
static void three_windows(const task *t, const int8_t *taps, uint32_t at, uint32_t x1, uint32_t x2, int32_t sums[3])
{
    const lg_depthwise *l = t->layer;
    const uint32_t step = l->tap_step, next = t->out_c;
    const int8_t *const *row = t->rows;
    int32_t s0 = 0, s1 = 0, s2 = 0;
    for (uint32_t ky = l->kernel_h; ky > 0u; ky--) {
        const int8_t *in = *row + at;
        row += l->row_step;
        for (uint32_t kx = l->kernel_w; kx > 0u; kx--) {
            const int32_t weight = *taps;
            s0 += in[0] * weight;
            s1 += in[x1] * weight;
            s2 += in[x2] * weight;
            in += step;
            taps += next;
        }
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
}

static void channel_row(const task *t, const int8_t *taps, const lg_channel *channel, uint32_t at, int8_t *out)
{
    const lg_depthwise *l = t->layer;
    const int32_t bias = channel->bias, multiplier = channel->multiplier, shift = channel->shift;
    for (uint32_t left = l->out_w; left > 0u;) {
        const uint32_t n = left < 3u ? left : 3u, last = (n - 1u) * l->x_step;
        int32_t sums[3];
        three_windows(t, taps, at, n > 2u ? l->x_step : last, last, sums);
        for (uint32_t i = 0; i < n; i++) {
            const int32_t scaled = lg_requant_double(sums[i] + bias, multiplier, shift);
            *out = lg_output_s8(scaled, l->out_zero_point, l->act_min, l->act_max);
            out += t->out_c;
        }
        at += n * l->x_step;
        left -= n;
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
