/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D with multiplier 1 on M4, M7, M33: one channel after the other, its pixels from left to right.
 *
 * The taps of two rows lie in the halves of a word, so SMLAD adds both. A column of a 3x3 kernel is read once for all
 * windows over it, and whatever depends on the channel only is found once a row. The weights are doubled, so that
 * acc2 = 2 * acc, and where -22 <= shift <= -1 lg_rescale (lg_dsp.h) makes the output. Bounds narrower than int8 are
 * applied to the whole row at the end. */
#include <stdbool.h>

#include "lg_bytes.h"
#include "lg_depthwise.h"

#ifdef LG_DSP

/* What a channel needs, in the order of use. Words of weights: `left`, `middle`, `right` hold rows 0 and 1 of a column
 * of 3x3, `last_left_middle` and `last_right` row 2. */
typedef struct {
    int32_t left, bias; /* doubled */
    int32_t right, last_right;
    int32_t last_left_middle, shift; /* to the right */
    int32_t multiplier, offset;
    int32_t middle, last_left_middle_again;
    const int32_t *weights;
    bool plain; /* the shift is in -22..-1 */
} channel;

static inline void set_channel(channel *to, const lg_channel *c, int32_t zero_point)
{
    to->bias = (int32_t)((uint32_t)c->bias << 1);
    to->multiplier = c->multiplier;
    to->shift = -c->shift;
    to->plain = c->shift >= -LG_MOST_RIGHT && c->shift <= -1;
    to->offset = to->plain ? (1 + 2 * zero_point) * (1 << (-c->shift - 1)) : zero_point;
}

static inline int8_t finish(const channel *c, int32_t acc2)
{
    return (int8_t)lg_ssat8(lg_rescale(acc2, c->multiplier, c->offset, c->shift));
}

static __attribute__((noinline)) int8_t finish_any(const channel *c, int32_t acc2)
{
    if (c->plain) {
        return finish(c, acc2);
    }
    const int32_t scaled = lg_requant_fast(lg_asr(acc2, 1), c->multiplier, -c->shift);
    return lg_output_s8(scaled, c->offset, INT8_MIN, INT8_MAX);
}

static inline uint32_t pair(int32_t low, int32_t high)
{
    return lg_low_halves((uint32_t)low, (uint32_t)high);
}

/* x * the low, the high half of w, added. */
static inline int32_t add_low(int32_t x, int32_t w, int32_t acc)
{
    return acc + (int16_t)x * (int16_t)w;
}

static inline int32_t add_high(int32_t x, int32_t w, int32_t acc)
{
    return acc + (int16_t)x * lg_asr(w, 16);
}

/* A column of three values, `both` of rows 0 and 1, `x` of row 2, as the middle one of a window with sum `acc`. */
static inline int32_t add_middle(const channel *c, uint32_t both, int32_t x, int32_t acc)
{
    return add_high(x, c->last_left_middle_again, lg_smlad(both, (uint32_t)c->middle, acc));
}

/* The same column as the left one of a new window. */
static inline int32_t begin(const channel *c, uint32_t both, int32_t x)
{
    return add_low(x, c->last_left_middle, lg_smlad(both, (uint32_t)c->left, c->bias));
}

/* The same column as the right one of the window with sum `acc`, whose output is returned, and as the left one of a new
 * window, whose sum goes to `next`. */
static inline int32_t end_and_begin(const channel *c, uint32_t both, int32_t x, int32_t acc, int32_t *next)
{
#ifdef LG_DSP_EMULATE
    *next = begin(c, both, x);
    return finish(c, add_low(x, c->last_right, lg_smlad(both, (uint32_t)c->right, acc)));
#else
    int32_t begun, p, q;
    __asm__("ldrd %[p], %[q], [%[c]]\n\t"
            "smlad %[begun], %[both], %[p], %[q]\n\t"
            "ldrd %[p], %[q], [%[c], #8]\n\t"
            "smlad %[acc], %[both], %[p], %[acc]\n\t"
            "smlabb %[acc], %[x], %[q], %[acc]\n\t"
            "ldrd %[p], %[q], [%[c], #16]\n\t"
            "smlabb %[begun], %[x], %[p], %[begun]\n\t"
            "ldrd %[p], %[both], [%[c], #24]\n\t"
            "smmlar %[both], %[acc], %[p], %[both]\n\t"
            "add %[acc], %[both], %[acc], asr #31\n\t"
            "asr %[acc], %[acc], %[q]\n\t"
            "ssat %[acc], #8, %[acc]"
            : [begun] "=&r"(begun), [acc] "+&r"(acc), [both] "+&r"(both), [p] "=&r"(p), [q] "=&r"(q)
            : [x] "r"(x), [c] "r"(c), "m"(*c)
            : "cc");
    *next = begun;
    return acc;
#endif
}

/* One index for all pointers, not one for each place it is used at. */
static inline int32_t advance(int32_t i, int32_t step)
{
    i += step;
#ifndef LG_DSP_EMULATE
    __asm__("" : "+r"(i));
#endif
    return i;
}

/* 3x3, pixels as far apart as taps and as outputs: a column ends one window, is the middle of another, begins a third.
 * The index runs up to 0. */
static inline void slide_by_one(const lg_depthwise *l, const channel *ch, const int8_t *a, const int8_t *b,
                                const int8_t *c, int8_t *out)
{
    const int32_t step = l->x_step, end = l->out_w * step;
    const uint32_t second = pair(a[step], b[step]);
    int32_t s0 = add_middle(ch, second, c[step], begin(ch, pair(a[0], b[0]), c[0]));
    int32_t s1 = begin(ch, second, c[step]);
    a += 2 * step + end;
    b += 2 * step + end;
    c += 2 * step + end;
    out += end;
    for (int32_t i = -end;;) {
        uint32_t both = pair(a[i], b[i]);
        int32_t x = c[i], s2;
        s1 = add_middle(ch, both, x, s1);
        out[i] = (int8_t)end_and_begin(ch, both, x, s0, &s2);
        if ((i = advance(i, step)) == 0) {
            break;
        }
        both = pair(a[i], b[i]);
        x = c[i];
        s2 = add_middle(ch, both, x, s2);
        out[i] = (int8_t)end_and_begin(ch, both, x, s1, &s0);
        if ((i = advance(i, step)) == 0) {
            break;
        }
        both = pair(a[i], b[i]);
        x = c[i];
        s0 = add_middle(ch, both, x, s0);
        out[i] = (int8_t)end_and_begin(ch, both, x, s2, &s1);
        if ((i = advance(i, step)) == 0) {
            break;
        }
    }
}

/* 3x3, pixels two taps apart: every other column ends one window and begins the next. */
static inline void slide_by_two(const lg_depthwise *l, const channel *ch, const int8_t *a, const int8_t *b,
                                const int8_t *c, int8_t *out)
{
    const int32_t step = l->tap_step, end = 2 * step * l->out_w;
    const uint32_t in_c = l->in_c;
    int32_t sum = begin(ch, pair(a[0], b[0]), c[0]);
    a += step + end;
    b += step + end;
    c += step + end;
    for (int32_t i = -end; i != 0; i += step) {
        sum = add_middle(ch, pair(a[i], b[i]), c[i], sum);
        i += step;
        *out = (int8_t)end_and_begin(ch, pair(a[i], b[i]), c[i], sum, &sum);
        out += in_c;
    }
}

/* Any window, any shift: three pixels at a time, fewer at the end. */
static __attribute__((noinline)) void row_any(const lg_depthwise *l, const channel *ch, const int8_t *const *rows,
                                              uint32_t at, int8_t *out)
{
    const uint32_t step = l->tap_step;
    for (uint32_t pixels = l->out_w; pixels > 0u;) {
        const uint32_t x1 = pixels > 1u ? l->x_step : 0u, x2 = pixels > 2u ? 2u * l->x_step : x1;
        const int8_t *const *row = rows;
        const int32_t *w = ch->weights;
        int32_t s0 = ch->bias, s1 = s0, s2 = s0;
        uint32_t left = l->kernel_h;
        for (; left > 1u; left -= 2u) {
            const int8_t *a = row[0] + at, *b = row[l->row_step] + at;
            row += 2u * l->row_step;
            for (uint32_t taps = l->kernel_w; taps > 0u; taps--) {
                const uint32_t both = (uint32_t)*w++;
                s0 = lg_smlad(pair(a[0], b[0]), both, s0);
                s1 = lg_smlad(pair(a[x1], b[x1]), both, s1);
                s2 = lg_smlad(pair(a[x2], b[x2]), both, s2);
                a += step;
                b += step;
            }
        }
        if (left > 0u) {
            const int8_t *a = row[0] + at;
            for (left = l->kernel_w; left > 1u; left -= 2u) {
                const int8_t *b = a + step;
                const uint32_t both = (uint32_t)*w++;
                s0 = lg_smlad(pair(a[0], b[0]), both, s0);
                s1 = lg_smlad(pair(a[x1], b[x1]), both, s1);
                s2 = lg_smlad(pair(a[x2], b[x2]), both, s2);
                a = b + step;
            }
            if (left > 0u) {
                s0 = add_low(a[0], *w, s0);
                s1 = add_low(a[x1], *w, s1);
                s2 = add_low(a[x2], *w, s2);
            }
        }
        if (ch->plain && pixels > 2u) {
            out[0] = finish(ch, s0);
            out[l->in_c] = finish(ch, s1);
            out[2u * l->in_c] = finish(ch, s2);
            out += 3u * l->in_c;
            at += 3u * l->x_step;
            pixels -= 3u;
            continue;
        }
        const int32_t sums[3] = {s0, s1, s2};
        const uint32_t n = pixels < 3u ? pixels : 3u;
        for (uint32_t i = 0; i < n; i++) {
            *out = finish_any(ch, sums[i]);
            out += l->in_c;
        }
        pixels -= n;
        at += n * l->x_step;
    }
}

static void set_words(channel *c)
{
    const int32_t *w = c->weights;
    c->left = w[0];
    c->middle = w[1];
    c->right = w[2];
    c->last_left_middle = c->last_left_middle_again = w[3];
    c->last_right = w[4];
}

void lg_depthwise_row_dsp(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t step = layer->tap_step, in_c = layer->in_c;
    const uint32_t pairs = layer->kernel_h / 2u * layer->kernel_w;
    const uint32_t words = pairs + (layer->kernel_h % 2u == 1u ? (layer->kernel_w + 1u) / 2u : 0u);
    const bool small = layer->kernel_h == 3u && layer->kernel_w == 3u;
    const bool one = small && layer->x_step == step && in_c == step, two = small && layer->x_step == 2u * step;
    const int8_t *a = rows[0], *b = a, *c = a;
    if (small) {
        b = rows[layer->row_step];
        c = rows[2u * layer->row_step];
    }
    const lg_channel *from = layer->channels;
    channel ch;
    ch.weights = layer->weights;
    for (uint32_t i = 0; i < in_c; i++) {
        set_channel(&ch, from++, layer->out_zero_point);
        if (!ch.plain || !(one || two)) {
            row_any(layer, &ch, rows, i, out + i);
        } else {
            set_words(&ch);
            if (one) {
                slide_by_one(layer, &ch, a + i, b + i, c + i, out + i);
            } else {
                slide_by_two(layer, &ch, a + i, b + i, c + i, out + i);
            }
        }
        ch.weights += words;
    }
    lg_clamp_bytes(out, layer->out_w * in_c, layer->act_min, layer->act_max);
}

#else
typedef int lg_depthwise_row_dsp_is_left_out;
#endif
