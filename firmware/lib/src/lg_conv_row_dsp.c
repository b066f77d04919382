/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D, one row of output, for cores with the DSP extension: lg_conv.h has the equation.
 *
 * Up to four windows are widened side by side in a scratch buffer, once for all channels (lg_dsp_sum.h says how); then
 * two channels after the other run through it (lg_conv_pass_dsp.c). A run ends in a whole quad, with zero weights; but
 * one or two bytes beyond the last whole quad, as first layers have them, are put together with those of other runs, four
 * or two to a quad, behind all whole quads (lg_conv.h, LG_TAIL). The windows are neighbours of a row, or those that are pooled into one pixel: of these the largest sum is rescaled.
 *
 * Windows that do not fit the scratch buffer are summed in pieces, some channels at a time; four neighbours by kernel rows,
 * which leave room for the sums of more channels. */
#include <stdbool.h>
#include <stddef.h>

#include "lg_bytes.h"
#include "lg_conv.h"
#include "lg_conv_pass.h"
#include "lg_conv_widen.h"
#include "lg_dsp_sum.h"
#include "lg_output_dsp.h"

#ifdef LG_DSP

enum { WINDOWS = 4, SCRATCH = 576, GROUP = 16 };

/* Neighbours among the windows: the first one x bytes into each row. */
typedef struct {
    const int8_t *const *rows;
    uint32_t x, count;
} part;

/* Windows that are made together, and what is held of them. */
typedef struct {
    const lg_conv *layer;
    uint32_t run_quads, quads; /* of a run, of a window */
    uint32_t tail;             /* bytes of a run that are put together with others', else 0 */
    uint32_t count, parts;     /* windows, and how they lie */
    part of[WINDOWS];
    uint32_t ky, kx, at; /* the next quad to be widened: kernel row, run of it, quad of the run */
    uint32_t room;       /* quads that the scratch buffer and the sums have room for */
    uint32_t widened;    /* quads that it holds */
    int32_t *sums;       /* doubled, of GROUP channels or more, behind what the scratch buffer holds */
    uint32_t scratch[SCRATCH + GROUP * WINDOWS];
} block;

static void set_count(block *b, uint32_t count)
{
    const uint32_t room = SCRATCH / (2u * count);
    b->count = count;
    b->room = room < LG_MOST_QUADS ? room : LG_MOST_QUADS;
}

static void begin(block *b)
{
    b->ky = b->kx = b->at = 0;
}

/* Where the tail of a kernel row begins, x bytes into the row. Rows that do not exist have zero weights. */
LG_INLINE const uint8_t *tail_at(const lg_conv *layer, const int8_t *const *rows, uint32_t row, uint32_t x)
{
    const uint32_t last = layer->kernel_h - 1u;
    return (const uint8_t *)rows[(row < last ? row : last) * layer->row_step] + x;
}

/* The quads of tails, of `n` neighbours from byte x of each row on. */
static __attribute__((noinline)) void widen_tails(const block *b, const int8_t *const *rows, uint32_t x, uint32_t n,
                                                  uint32_t *to)
{
    const lg_quad_constants k = lg_quad_prepare();
    const lg_conv *const layer = b->layer;
    const uint32_t step = layer->x_step, end = n * step, each = b->tail == 1u ? 4u : 2u, count = b->count;
    x += b->run_quads * 4u;
    for (uint32_t first = 0; first < layer->kernel_h; first += each, to += 2u * count - n) {
        const uint8_t *const p = tail_at(layer, rows, first, x), *const q = tail_at(layer, rows, first + 1u, x);
        if (each == 4u) {
            const uint8_t *const r = tail_at(layer, rows, first + 2u, x);
            const uint8_t *const s = tail_at(layer, rows, first + 3u, x);
            for (uint32_t at = 0; at != end; at += step, to++) {
                const uint32_t one = p[at], two = q[at], three = r[at], four = s[at];
                lg_widen_quad(k, one | two << 8 | three << 16 | four << 24, to, to + count);
            }
        } else {
            for (uint32_t at = 0; at != end; at += step, to++) {
                const uint32_t one = p[at], two = p[at + 1u], three = q[at], four = q[at + 1u];
                lg_widen_quad(k, one | two << 8 | three << 16 | four << 24, to, to + count);
            }
        }
    }
}

/* Fills the scratch buffer with the next quads of all windows. */
static void widen(block *b)
{
    const lg_conv *const layer = b->layer;
    const uint32_t step = layer->x_step, count = b->count;
    uint32_t *to = b->scratch;
    b->widened = 0;
    while (b->ky < layer->kernel_h && b->widened < b->room) {
        const uint32_t room = b->room - b->widened, left = b->run_quads - b->at;
        const uint32_t quads = left < room ? left : room;
        const uint32_t along = b->kx * layer->run_step + b->at * 4u;
        uint32_t *lane = to;
        for (const part *p = b->of, *const end = p + b->parts; p != end; lane += p->count, p++) {
            const int8_t *const from = p->rows[b->ky * layer->row_step] + p->x + along;
            widen_part(from, step, quads, p->count, count, lane);
        }
        to += 2u * quads * count;
        b->widened += quads;
        b->at += quads;
        if (b->at == b->run_quads) {
            b->at = 0;
            if (++b->kx == layer->runs) {
                b->kx = 0;
                b->ky++;
            }
        }
    }
    if (b->tail != 0u) {
        for (const part *p = b->of, *const end = p + b->parts; p != end; to += p->count, p++) {
            widen_tails(b, p->rows, p->x, p->count, to);
        }
        b->widened = b->quads;
    }
}

/* A pass over what the scratch buffer holds, of an even number of channels. `weights`: of the first channel, from the
 * first quad of the buffer on. */
static lg_conv_pass pass_of(const block *b, const uint32_t *weights, uint32_t channels, int32_t *sums)
{
    const lg_dsp_channel *const channel = b->layer->channels;
    /* What is below the zero point is raised to act_min in any case. */
    const uint32_t outputs = b->layer->act_min >= b->layer->out_zero_point ? LG_RECTIFIED : LG_OUTPUTS;
    return (lg_conv_pass){.x = b->scratch,
                          .weights = weights,
                          .entry = b->widened % 12u,
                          .end = b->scratch + b->widened * 2u * b->count,
                          .weights_step = (b->quads - b->widened) * 8u,
                          .channel = channel,
                          .last = channel + channels,
                          .out_c = b->layer->out_c,
                          .ending = sums != NULL ? LG_HELD : outputs,
                          .sums = sums};
}

static inline void run(const lg_conv_pass *p, uint32_t count)
{
    if (count == 4u) {
        lg_conv_pass4_dsp(p);
    } else if (count == 3u) {
        lg_conv_pass3_dsp(p);
    } else {
        lg_conv_pass2_dsp(p);
    }
}

/* One pixel whose window fits the scratch buffer, four channels at a time. */
static __attribute__((noinline)) void alone(const block *b, int8_t *out)
{
    const lg_dsp_channel *channel = b->layer->channels;
    const uint32_t *weights = b->layer->weights;
    const uint32_t step = 2u * b->quads;
    for (uint32_t left = b->layer->out_c; left > 0u; left -= left < 4u ? left : 4u) {
        int32_t sums[4];
        lg_sum_1x4(b->scratch, weights, left > 2u ? weights + step : weights, b->widened, sums);
        out[0] = lg_output_usual_dsp(channel, lg_asr(sums[0], 7));
        if (left > 1u) {
            out[1] = lg_output_usual_dsp(channel + 1, lg_asr(sums[1], 7));
        }
        if (left > 2u) {
            out[2] = lg_output_usual_dsp(channel + 2, lg_asr(sums[2], 7));
        }
        if (left > 3u) {
            out[3] = lg_output_usual_dsp(channel + 3, lg_asr(sums[3], 7));
        }
        weights += 2u * step;
        channel += 4;
        out += 4;
    }
}

/* Adds what is in the scratch buffer to the sums of `channels` channels. */
static __attribute__((noinline)) void add_piece(block *b, const uint32_t *weights, uint32_t channels)
{
    const uint32_t even = channels + channels % 2u;
    if (b->count > 1u) {
        const lg_conv_pass p = pass_of(b, weights, even, b->sums);
        run(&p, b->count);
        return;
    }
    for (uint32_t c = 0; c < even; c += 2u, weights += 2u * b->quads) {
        int32_t sums[4];
        lg_sum_1x4(b->scratch, weights, weights, b->widened, sums);
        b->sums[c] += lg_asr(sums[0], 7);
        b->sums[c + 1u] += lg_asr(sums[1], 7);
    }
}

/* The sums of all windows of `channels` channels, from `first` on. Windows that fit are widened already. */
static void sum(block *b, uint32_t first, uint32_t channels)
{
    const uint32_t *const weights = (const uint32_t *)b->layer->weights + first * b->quads;
    for (int32_t *p = b->sums, *const end = p + (channels + channels % 2u) * b->count; p != end;) {
        *p++ = 0;
    }
    if (b->quads <= b->room) {
        add_piece(b, weights, channels);
        return;
    }
    begin(b);
    for (uint32_t at = 0; at < b->quads; at += b->widened) {
        widen(b);
        add_piece(b, weights + 2u * at, channels);
    }
}

/* `channels` channels of all windows, from `first` on, of their sums. */
LG_INLINE void rescale_by(const block *b, uint32_t first, uint32_t channels, bool usual, int8_t *out)
{
    const uint32_t out_c = b->layer->out_c, count = b->count;
    const lg_dsp_channel *channel = (const lg_dsp_channel *)b->layer->channels + first;
    const int32_t *from = b->sums;
    for (out += first; channels > 0u; channels--, channel++, out++) {
        const lg_dsp_channel c = *channel;
        int8_t *to = out;
        for (const int32_t *const end = from + count; from != end; to += out_c, from++) {
            *to = usual ? lg_output_usual_dsp(&c, *from) : lg_output_dsp(&c, *from);
        }
    }
}

static __attribute__((noinline)) void rescale(const block *b, uint32_t first, uint32_t channels, int8_t *out)
{
    if (b->layer->any_shift == 0u) {
        rescale_by(b, first, channels, true, out);
    } else {
        rescale_by(b, first, channels, false, out);
    }
}

static void put(block *b, uint32_t first, uint32_t channels, int8_t *out)
{
    sum(b, first, channels);
    rescale(b, first, channels, out);
}

/* Widens kernel rows of four neighbours; all of a row is one run. */
LG_INLINE void widen_rows(const lg_conv *layer, lg_conv_widening *w)
{
    const bool slides = w->step == layer->run_step && w->step % 4u == 0u && layer->run_bytes == 3u * w->step;
    (slides ? lg_conv_slide4_dsp : lg_conv_widen4_dsp)(w);
}

/* Four neighbours from output pixel x on, by sums of one kernel row after the other. */
static void by_rows(block *b, const int8_t *const *rows, uint32_t x, int8_t *out)
{
    const lg_conv *const layer = b->layer;
    const uint32_t out_c = layer->out_c, quads = b->run_quads, row_step = layer->row_step;
    int32_t *const sums = b->sums;
    lg_conv_widening w = {.x = x * layer->x_step,
                          .step = layer->x_step,
                          .row_step = row_step * sizeof *rows,
                          .quads = quads,
                          .to = b->scratch};
    b->sums = (int32_t *)b->scratch + 2u * WINDOWS * quads;
    b->widened = quads;
    const uint32_t most = (SCRATCH / WINDOWS + GROUP - 2u * quads) / 2u * 2u;
    for (uint32_t first = 0, n; first < out_c; first += n) {
        n = out_c - first < most ? out_c - first : most;
        memset(b->sums, 0, (n + n % 2u) * WINDOWS * sizeof *b->sums);
        const uint32_t *weights = (const uint32_t *)layer->weights + first * b->quads;
        for (uint32_t ky = 0; ky < layer->kernel_h; ky++, weights += 2u * quads) {
            w.rows = rows + ky * row_step;
            w.end = w.rows + row_step;
            widen_rows(layer, &w);
            add_piece(b, weights, n);
        }
        rescale(b, first, n, out);
    }
    b->sums = sums;
}

/* `count` neighbours from output pixel x on, by their sums: where windows do not fit the scratch buffer, or for any shift. */
static void by_sums(block *b, const int8_t *const *rows, uint32_t x, uint32_t count, int8_t *out)
{
    const uint32_t out_c = b->layer->out_c;
    b->parts = 1;
    b->of[0] = (part){.rows = rows, .x = x * b->layer->x_step, .count = count};
    if (b->quads <= b->room) {
        begin(b);
        widen(b);
    }
    for (uint32_t first = 0; first < out_c; first += GROUP) {
        put(b, first, out_c - first < GROUP ? out_c - first : GROUP, out);
    }
}

/* All runs of `count` neighbours from byte x of each row on, without tails. */
static __attribute__((noinline)) void widen_runs(block *b, const int8_t *const *rows, uint32_t x, uint32_t count)
{
    const lg_conv *const layer = b->layer;
    uint32_t *to = b->scratch;
    for (uint32_t ky = layer->kernel_h; ky > 0u; ky--, rows += layer->row_step) {
        const int8_t *from = *rows + x;
        for (uint32_t r = layer->runs; r > 0u; r--, from += layer->run_step, to += 2u * count * b->run_quads) {
            widen_part(from, layer->x_step, b->run_quads, count, count, to);
        }
    }
}

/* `groups` times `count` neighbours whose windows fit, from output pixel x on. `rows_run`: `count` is WINDOWS, all of a
 * kernel row is one run. */
LG_INLINE void fitting(block *b, const int8_t *const *rows, uint32_t x, uint32_t groups, uint32_t count, bool rows_run,
                       int8_t *out)
{
    const lg_conv *const layer = b->layer;
    const uint32_t out_c = layer->out_c, even = out_c / 2u * 2u, step = layer->x_step, quads = b->run_quads;
    const uint32_t height = layer->kernel_h, tails = 2u * count * height * layer->runs * quads;
    lg_conv_pass p = pass_of(b, layer->weights, even, NULL);
    lg_conv_widening w = {.step = step,
                          .row_step = layer->row_step * sizeof *rows,
                          .quads = quads,
                          .end = rows + height * layer->row_step,
                          .to = b->scratch};
    for (x *= step; groups > 0u; groups--, x += count * step, out += count * out_c) {
        if (rows_run) {
            w.rows = rows;
            w.x = x;
            widen_rows(layer, &w);
        } else {
            widen_runs(b, rows, x, count);
        }
        if (b->tail != 0u) {
            widen_tails(b, rows, x, count, b->scratch + tails);
        }
        if (count == 1u) {
            alone(b, out);
            continue;
        }
        p.out = out;
        if (even > 0u) {
            run(&p, count);
        }
        if (even < out_c) {
            put(b, even, 1, out);
        }
    }
}

static __attribute__((noinline)) void fitting_few(block *b, const int8_t *const *rows, uint32_t x, uint32_t groups,
                                                  uint32_t count, int8_t *out)
{
    fitting(b, rows, x, groups, count, false, out);
}

/* `groups` times `count` neighbours from output pixel x on. */
static void neighbours(block *b, const int8_t *const *rows, uint32_t x, uint32_t groups, uint32_t count, int8_t *out)
{
    set_count(b, count);
    if (b->quads > b->room && count == WINDOWS && b->layer->runs == 1u && b->run_quads <= b->room && b->tail == 0u) {
        for (; groups > 0u; groups--, x += count, out += count * b->layer->out_c) {
            by_rows(b, rows, x, out);
        }
        return;
    }
    if (b->quads > b->room || b->layer->any_shift != 0u) {
        for (; groups > 0u; groups--, x += count, out += count * b->layer->out_c) {
            by_sums(b, rows, x, count, out);
        }
        return;
    }
    b->widened = b->quads;
    if (count == WINDOWS && b->layer->runs == 1u && b->run_quads > 0u) {
        fitting(b, rows, x, groups, WINDOWS, true, out);
    } else {
        fitting_few(b, rows, x, groups, count, out);
    }
}

/* Up to four windows of output pixel x, from window `at` of the pool on. */
static void gather(block *b, const int8_t *const *rows, uint32_t x, uint32_t at)
{
    const lg_conv *const layer = b->layer;
    const uint32_t left = (uint32_t)layer->pool_h * layer->pool_w - at;
    const uint32_t across = layer->pool_w % 2u == 0u && left >= WINDOWS ? 2u : 1u;
    set_count(b, left < WINDOWS ? left : WINDOWS);
    b->parts = b->count / across;
    for (uint32_t i = 0; i < b->parts; i++, at += across) {
        b->of[i] = (part){.rows = rows + at / layer->pool_w * layer->y_step,
                          .x = (x * layer->pool_w + at % layer->pool_w) * layer->x_step,
                          .count = across};
    }
    if (b->quads <= b->room) {
        begin(b);
        widen(b);
    }
}

/* One pixel: the largest sums of its windows, four of them at a time. */
static void pooled(block *b, const int8_t *const *rows, uint32_t x, int8_t *out)
{
    const uint32_t out_c = b->layer->out_c, windows = (uint32_t)b->layer->pool_h * b->layer->pool_w;
    const lg_dsp_channel *channel = b->layer->channels;
    for (uint32_t first = 0; first < out_c; first += GROUP) {
        const uint32_t n = out_c - first < GROUP ? out_c - first : GROUP;
        int32_t best[GROUP];
        for (uint32_t c = 0; c < n; c++) {
            best[c] = INT32_MIN;
        }
        for (uint32_t at = 0; at < windows; at += b->count) {
            if (first == 0u || windows > WINDOWS) {
                gather(b, rows, x, at);
            }
            sum(b, first, n);
            const int32_t *from = b->sums;
            for (uint32_t c = 0; c < n; c++) {
                int32_t most = best[c];
                for (const int32_t *const end = from + b->count; from != end; from++) {
                    most = *from > most ? *from : most;
                }
                best[c] = most;
            }
        }
        for (uint32_t c = 0; c < n; c++) {
            *out++ = lg_output_dsp(channel++, best[c]);
        }
    }
}

/* A row of pixels that pool two by two windows, which fit; an even number of channels. Rows that upper and lower windows
 * share are widened once. */
static void squares(block *b, const int8_t *const *rows, int8_t *out)
{
    const lg_conv *const layer = b->layer;
    const uint32_t quads = b->run_quads, runs = layer->runs, down = layer->y_step, high = layer->kernel_h;
    b->widened = b->quads;
    lg_conv_pass p = pass_of(b, layer->weights, layer->out_c, NULL);
    p.ending = LG_LARGEST;
    for (uint32_t x = 0; x < layer->out_w; x++, out += layer->out_c) {
        const uint32_t at = 2u * x * layer->x_step;
        uint32_t *to = b->scratch;
        for (uint32_t y = 0; y < high + down; y++) {
            const int8_t *from = rows[y] + at;
            for (uint32_t r = 0; r < runs; r++, from += layer->run_step, to += 8u * quads) {
                widen_shared(from, layer->x_step, quads, y < high ? to : NULL,
                             y >= down ? to - 8u * down * runs * quads + 2 : NULL);
            }
        }
        if (b->tail != 0u) {
            uint32_t *const tails = b->scratch + 8u * high * quads;
            widen_tails(b, rows, at, 2, tails);
            widen_tails(b, rows + down, at, 2, tails + 2);
        }
        p.out = out;
        lg_conv_pass4_dsp(&p);
    }
}

void lg_conv_row_dsp(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t out_w = layer->out_w, out_c = layer->out_c;
    block b;
    b.layer = layer;
    b.tail = LG_TAIL(layer->kernel_h, layer->runs, layer->run_bytes);
    b.run_quads = (layer->run_bytes + (b.tail != 0u ? 0u : 3u)) / 4u;
    b.quads = layer->kernel_h * (layer->runs * b.run_quads) + (layer->kernel_h * b.tail + 3u) / 4u;
    b.sums = (int32_t *)b.scratch + SCRATCH;
    int8_t *to = out;
    set_count(&b, WINDOWS);
    if (layer->pool_h == 2 && layer->pool_w == 2 && layer->row_step == 1u && out_c % 2u == 0u && b.quads <= b.room &&
        layer->any_shift == 0u) {
        squares(&b, rows, to);
    } else if (layer->pool_h * layer->pool_w > 1) {
        for (uint32_t x = 0; x < out_w; x++, to += out_c) {
            pooled(&b, rows, x, to);
        }
    } else {
        /* Fours; five are three and two, six are three and three: one by itself shares no weights. */
        const uint32_t rest = out_w % WINDOWS, threes = out_w > WINDOWS && rest == 1u ? 1u
                                                        : rest == 2u && out_w > 2u    ? 2u
                                                                                      : rest == 3u;
        const uint32_t fours = (out_w - 3u * threes) / WINDOWS, left = out_w - WINDOWS * fours - 3u * threes;
        neighbours(&b, rows, 0, fours, WINDOWS, to);
        neighbours(&b, rows, WINDOWS * fours, threes, 3, to + WINDOWS * fours * out_c);
        if (left > 0u) {
            neighbours(&b, rows, out_w - left, 1, left, to + (out_w - left) * out_c);
        }
    }
    lg_clamp_bytes(out, out_w * out_c, layer->act_min, layer->act_max);
}

#else
typedef int lg_conv_row_dsp_is_left_out;
#endif
