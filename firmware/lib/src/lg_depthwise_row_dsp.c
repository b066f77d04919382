/* DEPTHWISE_CONV_2D with multiplier 1 on M4, M7, M33: four channels of a pixel at a time.
 *
 * Two taps of four channels are two words; their halves are exchanged and widened, so that SMLAD adds both taps of a
 * channel. The weights are doubled, so acc2 = 2 * acc, and where -22 <= shift <= -1 an output is
 *
 *   high = floor((acc2 * multiplier + 2^31) / 2^32)                                     (SMMULR)
 *   out  = clamp((high - (high < 0) + 2^(-shift - 1) + (zero_point << -shift)) >> -shift)
 *
 * Channel groups are the outer loop and pixels the inner one: what depends on channels only is found once. */
#include "lg_bytes.h"
#include "lg_depthwise.h"

#ifdef LG_DSP

enum { GROUP = 4, LEAST_SHIFT = -22 };

typedef struct {
    int32_t multiplier, offset, right;
} rescale;

typedef struct {
    int32_t bias[GROUP]; /* doubled */
    rescale scales[GROUP];
    const lg_channel *channels;
    uint32_t count; /* of outputs, at most GROUP */
    uint8_t slow;   /* a shift beyond -22..-1 */
    uint8_t clamps; /* the activation bounds are not those of int8 */
} group;

static group make_group(const lg_depthwise *l, uint32_t first)
{
    group g = {.channels = l->channels + first, .count = l->in_c - first < GROUP ? l->in_c - first : GROUP};
    g.clamps = l->act_min != INT8_MIN || l->act_max != INT8_MAX;
    for (uint32_t i = 0; i < g.count; i++) {
        const lg_channel *c = &g.channels[i];
        if (c->shift < LEAST_SHIFT || c->shift > -1) {
            g.slow = 1;
            continue;
        }
        g.bias[i] = (int32_t)((uint32_t)c->bias << 1);
        const int32_t half = 1 << (-c->shift - 1);
        g.scales[i] = (rescale){c->multiplier, half + l->out_zero_point * 2 * half, -c->shift};
    }
    return g;
}

/* One tap of four channels, its weights in the low halves. */
static inline void add_tap(uint32_t bytes, const int32_t *weights, int32_t acc[GROUP])
{
    const uint32_t even = lg_widen_even(bytes), odd = lg_widen_odd(bytes);
    acc[0] += (int16_t)even * (int16_t)weights[0];
    acc[1] += (int16_t)odd * (int16_t)weights[1];
    acc[2] += lg_asr((int32_t)even, 16) * (int16_t)weights[2];
    acc[3] += lg_asr((int32_t)odd, 16) * (int16_t)weights[3];
}

static inline void add_taps(uint32_t first, uint32_t second, const int32_t *weights, int32_t acc[GROUP])
{
    const uint32_t low = lg_low_halves(first, second), high = lg_high_halves(first, second);
    acc[0] = lg_smlad(lg_widen_even(low), (uint32_t)weights[0], acc[0]);
    acc[1] = lg_smlad(lg_widen_odd(low), (uint32_t)weights[1], acc[1]);
    acc[2] = lg_smlad(lg_widen_even(high), (uint32_t)weights[2], acc[2]);
    acc[3] = lg_smlad(lg_widen_odd(high), (uint32_t)weights[3], acc[3]);
}

static inline void window_3x3(const int8_t *const *rows, uint32_t at, uint32_t row_step, uint32_t step,
                              const int32_t *weights, int32_t acc[GROUP])
{
    const int8_t *a = rows[0] + at, *b = rows[row_step] + at, *c = rows[2u * row_step] + at;
    add_taps(lg_load4(a), lg_load4(b), weights, acc);
    add_taps(lg_load4(a + step), lg_load4(b + step), weights + 4, acc);
    add_taps(lg_load4(a + 2u * step), lg_load4(b + 2u * step), weights + 8, acc);
    add_taps(lg_load4(c), lg_load4(c + step), weights + 12, acc);
    add_tap(lg_load4(c + 2u * step), weights + 16, acc);
}

static void window_any(const lg_depthwise *l, const int8_t *const *rows, uint32_t at, const int32_t *weights,
                       int32_t acc[GROUP])
{
    uint32_t ky = 0;
    for (; ky + 1u < l->kernel_h; ky += 2u) {
        const int8_t *a = rows[ky * l->row_step] + at, *b = rows[(ky + 1u) * l->row_step] + at;
        for (uint32_t kx = l->kernel_w; kx > 0u; kx--) {
            add_taps(lg_load4(a), lg_load4(b), weights, acc);
            a += l->tap_step;
            b += l->tap_step;
            weights += GROUP;
        }
    }
    if (ky < l->kernel_h) {
        const int8_t *a = rows[ky * l->row_step] + at;
        uint32_t left = l->kernel_w;
        for (; left > 1u; left -= 2u) {
            add_taps(lg_load4(a), lg_load4(a + l->tap_step), weights, acc);
            a += 2u * l->tap_step;
            weights += GROUP;
        }
        if (left > 0u) {
            add_tap(lg_load4(a), weights, acc);
        }
    }
}

static inline int32_t rescaled(int32_t acc2, const rescale *s)
{
    const int32_t high = lg_smmulr(acc2, s->multiplier);
    return lg_ssat8(lg_asr(high + lg_asr(high, 31) + s->offset, s->right));
}

/* Any shift and any number of outputs. */
static void finish_slow(const lg_depthwise *l, const group *g, const int32_t acc[GROUP], int8_t *out)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const lg_channel *c = &g->channels[i];
        const int32_t sum = lg_asr(acc[i] - g->bias[i], 1) + c->bias;
        const int32_t scaled = lg_requant_fast(sum, c->multiplier, c->shift);
        out[i] = lg_output_s8(scaled, l->out_zero_point, l->act_min, l->act_max);
    }
}

static void group_row(const lg_depthwise *l, const int8_t *const *rows, uint32_t first, const int32_t *weights,
                      int8_t *out)
{
    const group g = make_group(l, first);
    const uint32_t small = l->kernel_h == 3u && l->kernel_w == 3u;
    uint32_t at = first;
    out += first;
    for (uint32_t x = l->out_w; x > 0u; x--) {
        int32_t acc[GROUP] = {g.bias[0], g.bias[1], g.bias[2], g.bias[3]};
        if (small) {
            window_3x3(rows, at, l->row_step, l->tap_step, weights, acc);
        } else {
            window_any(l, rows, at, weights, acc);
        }
        if (g.slow || g.count < GROUP) {
            finish_slow(l, &g, acc, out);
        } else {
            const int32_t s0 = rescaled(acc[0], &g.scales[0]), s1 = rescaled(acc[1], &g.scales[1]);
            const int32_t s2 = rescaled(acc[2], &g.scales[2]), s3 = rescaled(acc[3], &g.scales[3]);
            uint32_t four = lg_pack4(s0, s1, s2, s3);
            if (g.clamps) {
                four = lg_max4(lg_min4(four, lg_fill4(l->act_max)), lg_fill4(l->act_min));
            }
            lg_store4(out, four);
        }
        at += l->x_step;
        out += l->in_c;
    }
}

void lg_depthwise_row_dsp(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t paired = layer->kernel_h / 2u, alone = layer->kernel_h % 2u;
    const uint32_t blocks = paired * layer->kernel_w + alone * ((layer->kernel_w + 1u) / 2u);
    const int32_t *weights = layer->weights;
    for (uint32_t done = 0; done < layer->in_c; done += GROUP) {
        const uint32_t last = layer->in_c > GROUP ? (uint32_t)layer->in_c - GROUP : 0u;
        group_row(layer, rows, done < last ? done : last, weights, out);
        weights += blocks * GROUP;
    }
}

#else
typedef int lg_depthwise_row_dsp_is_left_out;
#endif
