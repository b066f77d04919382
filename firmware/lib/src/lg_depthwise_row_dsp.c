/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D with multiplier 1 on M4, M7, M33. The taps of two rows, or two taps of a row, lie in the halves of a
 * word, so SMLAD adds both; the weights are doubled, so sums are too.
 *
 * Windows of 3x3 that slide by one or two pixels: the columns of some channels are put in order first, then each channel
 * runs along them with its weights in registers (lg_depthwise_slide.h). Any other window, and narrow maps: a pixel after
 * the other, four channels at a time. */
#include <stdbool.h>

#include "lg_bytes.h"
#include "lg_depthwise.h"
#include "lg_depthwise_slide.h"
#include "lg_inline.h"
#include "lg_output_dsp.h"

#ifdef LG_DSP

enum { CHANNELS = 4, ENTRY = 4, ENTRIES = 68, WORDS = 5 };

/* Outputs x to x + n - 1 of all channels. */
static void slide(const lg_depthwise *l, const int8_t *const *rows, uint32_t x, uint32_t n, int8_t *out)
{
    const bool two = l->x_step != l->tap_step;
    const uint32_t in_c = l->in_c, columns = two ? 2u * n + 1u : n + 2u;
    const uint32_t entries = (columns + 1u) / 2u, words = entries * ENTRY;
    const uint32_t fours = ENTRIES / (2u * entries); /* of channels, at a time */
    uint32_t held[ENTRIES * ENTRY];
    for (uint32_t *e = held + 3, *const end = e + 2u * fours * words; e != end; e += 2u * ENTRY) {
        e[0] = e[ENTRY] = 2u * in_c;
    }
    for (uint32_t *e = held + words - 1, *const end = e + 2u * fours * words; e != end; e += words) {
        *e = !two && n % 2u == 1u ? 1u : 2u * in_c + 1u;
    }
    const int8_t *const a = rows[0] + x * l->x_step, *const b = rows[l->row_step] + x * l->x_step;
    const int8_t *const c = rows[2u * l->row_step] + x * l->x_step;
    const lg_dsp_channel *const channels = l->channels;
    for (uint32_t at = 0, next; at < in_c; at = next) {
        next = at + CHANNELS * fours < in_c ? at + CHANNELS * fours : in_c;
        const lg_depthwise_order o = {.a = a + at,
                                      .b = b + at,
                                      .c = c + at,
                                      .odd = columns % 2u,
                                      .step = l->tap_step,
                                      .to = held,
                                      .apart = words * 4u,
                                      .pairs = columns / 2u * 2u * l->tap_step,
                                      .fours = (next - at + CHANNELS - 1u) / CHANNELS};
        lg_depthwise_order_dsp(&o);
        const lg_depthwise_slide s = {.columns = held,
                                      .weights = (const int32_t *)l->weights + at * WORDS,
                                      .channel = channels + at,
                                      .out = out + at,
                                      .columns_step = words * 4u,
                                      .last = channels + next};
        (two ? lg_depthwise_slide2_dsp : lg_depthwise_slide1_dsp)(&s);
    }
}

/* Doubled sums of four channels. */
typedef struct {
    int32_t a, b, c, d;
} sums;

/* Where two taps of the leftmost window's first channel lie: of two rows, or neighbours. */
typedef struct {
    const int8_t *a, *b;
} pair;

/* The pairs of a window in the order of their weights; returns how many. One without a partner stands twice. */
static uint32_t find_pairs(const lg_depthwise *l, const int8_t *const *rows, pair *to)
{
    const pair *const first = to;
    const uint32_t step = l->tap_step, row_step = l->row_step;
    uint32_t left = l->kernel_h;
    for (; left > 1u; left -= 2u, rows += 2u * row_step) {
        const int8_t *a = rows[0], *b = rows[row_step];
        for (uint32_t taps = l->kernel_w; taps > 0u; taps--, a += step, b += step) {
            *to++ = (pair){.a = a, .b = b};
        }
    }
    if (left > 0u) {
        const int8_t *a = rows[0];
        for (uint32_t taps = l->kernel_w; taps > 0u; taps -= taps > 1u ? 2u : 1u, a += 2u * step) {
            *to++ = (pair){.a = a, .b = taps > 1u ? a + step : a};
        }
    }
    return (uint32_t)(to - first);
}

/* A window of four channels, without biases; w: [pairs][4]. */
LG_INLINE sums window(const pair *p, const pair *end, uint32_t at, const uint32_t *w)
{
    sums s = {0, 0, 0, 0};
#ifdef LG_DSP_EMULATE
    for (; p != end; p++, w += CHANNELS) {
        const uint32_t first = lg_load4(p->a + at), second = lg_load4(p->b + at);
        const uint32_t low = lg_low_halves(first, second), high = lg_high_halves(first, second);
        s.a = lg_smlad(lg_widen_even(low), w[0], s.a);
        s.b = lg_smlad(lg_widen_odd(low), w[1], s.b);
        s.c = lg_smlad(lg_widen_even(high), w[2], s.c);
        s.d = lg_smlad(lg_widen_odd(high), w[3], s.d);
    }
#else
    /* The same with loads behind each other. */
    uint32_t x, y, t, u, v;
    __asm__ volatile("1:\n\t"
                     "ldr %[x], [%[p]], #4\n\t"
                     "ldr %[y], [%[p]], #4\n\t"
                     "ldr %[x], [%[x], %[at]]\n\t"
                     "ldr %[y], [%[y], %[at]]\n\t"
                     "ldr %[u], [%[w]], #4\n\t"
                     "ldr %[v], [%[w]], #4\n\t"
                     "pkhbt %[t], %[x], %[y], lsl #16\n\t"
                     "pkhtb %[y], %[y], %[x], asr #16\n\t"
                     "sxtb16 %[x], %[t]\n\t"
                     "sxtb16 %[t], %[t], ror #8\n\t"
                     "smlad %[a], %[x], %[u], %[a]\n\t"
                     "smlad %[b], %[t], %[v], %[b]\n\t"
                     "ldr %[u], [%[w]], #4\n\t"
                     "ldr %[v], [%[w]], #4\n\t"
                     "sxtb16 %[x], %[y]\n\t"
                     "sxtb16 %[t], %[y], ror #8\n\t"
                     "smlad %[c], %[x], %[u], %[c]\n\t"
                     "smlad %[d], %[t], %[v], %[d]\n\t"
                     "cmp %[p], %[end]\n\t"
                     "bne 1b"
                     : [p] "+r"(p), [w] "+r"(w), [a] "+r"(s.a), [b] "+r"(s.b), [c] "+r"(s.c), [d] "+r"(s.d),
                       [x] "=&r"(x), [y] "=&r"(y), [t] "=&r"(t), [u] "=&r"(u), [v] "=&r"(v)
                     : [at] "r"(at), [end] "r"(end)
                     : "cc", "memory");
#endif
    return s;
}

/* One pixel, whose window begins `at` bytes behind the leftmost one. */
static __attribute__((noinline)) void pixel(const lg_depthwise *l, const pair *pairs, uint32_t count, uint32_t at,
                                            int8_t *out)
{
    const lg_dsp_channel *channel = l->channels;
    const uint32_t *w = l->weights;
    uint32_t left = l->in_c;
    for (; left > 0u; at += CHANNELS, out += CHANNELS, channel += CHANNELS, w += CHANNELS * count) {
        const sums s = window(pairs, pairs + count, at, w);
        out[0] = lg_output_dsp(channel, s.a);
        if (left > 1u) {
            out[1] = lg_output_dsp(channel + 1, s.b);
        }
        if (left > 2u) {
            out[2] = lg_output_dsp(channel + 2, s.c);
        }
        if (left > 3u) {
            out[3] = lg_output_dsp(channel + 3, s.d);
        }
        left -= left < CHANNELS ? left : CHANNELS;
    }
}

void lg_depthwise_row_dsp(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t out_w = layer->out_w, in_c = layer->in_c;
    if (layer->sliding != 0u) {
        /* Four channels' entries must fit. */
        const uint32_t most = layer->x_step != layer->tap_step ? ENTRIES / 2u - 1u : ENTRIES - 2u;
        for (uint32_t x = 0, n; x < out_w; x += n) {
            n = out_w - x < most ? out_w - x : most;
            slide(layer, rows, x, n, out + x * in_c);
        }
    } else {
        pair pairs[LG_DEPTHWISE_PAIRS];
        const uint32_t count = find_pairs(layer, rows, pairs);
        for (uint32_t x = 0; x < out_w; x++) {
            pixel(layer, pairs, count, x * layer->x_step, out + x * in_c);
        }
    }
    lg_clamp_bytes(out, out_w * in_c, layer->act_min, layer->act_max);
}

#else
typedef int lg_depthwise_row_dsp_is_left_out;
#endif
