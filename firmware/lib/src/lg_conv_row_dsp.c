/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D, one row of output, for cores with the DSP extension: lg_conv.h has the equation.
 *
 * Bytes of two windows are widened to pairs of int16 side by side in a scratch buffer, once for all channels of a
 * group; then each SMLAD makes two products, and a pair that is loaded serves four channels or two windows:
 *
 *   scratch: a quad of taps t0..t3 of windows A and B is  A(t0,t2) B(t0,t2) A(t1,t3) B(t1,t3)
 *   weights: for four channels c0..c3                     c0(t0,t2) .. c3(t0,t2) c0(t1,t3) .. c3(t1,t3)
 *
 * A run ends in a whole quad, with zero weights. Weights and sums are doubled, as SMMULR wants them. What does not fit
 * the scratch buffer is summed in pieces; rows that pooled windows share are widened once. */
#include "lg_conv.h"
#include "lg_dsp.h"

#ifdef LG_DSP

enum { CHANNELS = 4, GROUP = 4, MOST = GROUP * CHANNELS, QUAD = 4, SCRATCH_QUADS = 64, SUMS = 2 * CHANNELS };

/* Of one channel, as lg_rescale takes it. */
typedef struct {
    int32_t multiplier, offset, right;
} scale;

/* What becomes of the sums of a pass. */
typedef enum { STORED, MAXIMUM, OUTPUTS } ending;

/* One pass over a piece of two windows. The sums of a block are four of window A, then four of B, doubled; those of a
 * maximum are the first four. multiply knows where the members are. */
typedef struct {
    const int32_t *start; /* sums to begin with */
    const uint32_t *pairs, *weights;
    uint32_t entry;        /* quads % 4 */
    const uint32_t *end;   /* of pairs */
    uint32_t weights_step; /* bytes from the weights behind these to those of the next block */
    const int32_t *last;   /* end of start */
    uint32_t becomes;      /* ending */
    int8_t *out_a, *out_b; /* OUTPUTS: anywhere in int8, by these scales */
    const scale *scales;
    int32_t *sums; /* STORED, MAXIMUM */
} pass;

/* One group of blocks of four channels. */
typedef struct {
    const lg_conv *layer;
    const lg_channel *of;
    uint32_t channels;         /* of the group */
    int usual;                 /* lg_rescale can do all scales */
    uint32_t run_quads, quads; /* of a run, of a window */
    uint32_t shared_rows;      /* input rows that the windows pooled into one pixel cover, 0: widened for each window */
    uint32_t shared_step;      /* words of scratch from one row of windows to the next */
    pass whole;                /* of a window that fits the scratch buffer */
    uint32_t scratch[SCRATCH_QUADS * QUAD];
    int32_t bias[GROUP * SUMS], part[GROUP * SUMS], sums[GROUP * SUMS];
    scale scales[MOST];
} group;

#ifndef LG_DSP_EMULATE

#define IN_REGISTER __attribute__((unused))

/* Widens `quads` > 0 quads of a and b into pairs; returns the end of pairs. */
static inline uint32_t *widen(const int8_t *a, const int8_t *b, uint32_t quads, uint32_t *pairs)
{
    __asm__ volatile("1:\n"
                     "ldr    r6, [%0], #4\n"
                     "ldr    r8, [%1], #4\n"
                     "sxtb16 r4, r6\n"
                     "sxtb16 r5, r8\n"
                     "sxtb16 r6, r6, ror #8\n"
                     "sxtb16 r8, r8, ror #8\n"
                     "stm    %3!, {r4, r5, r6, r8}\n"
                     "subs   %2, %2, #1\n"
                     "bne    1b\n"
                     : "+r"(a), "+r"(b), "+r"(quads), "+r"(pairs)
                     :
                     : "r4", "r5", "r6", "r8", "cc", "memory");
    return pairs;
}

/* clang-format off */
/* The same where b is two quads behind a and quads is even: each is widened once. */
static inline uint32_t *widen_overlapping(const int8_t *a, uint32_t quads, uint32_t *pairs)
{
#define WIDEN(even, odd)                 \
    "ldr    " even ", [%0], #4\n"        \
    "sxtb16 " odd ", " even ", ror #8\n" \
    "sxtb16 " even ", " even "\n"
#define STORE(a, b) "strd " a ", " b ", [%2], #8\n"
    __asm__ volatile(WIDEN("r4", "r5") WIDEN("r6", "r8")
                     "1:\n" WIDEN("r9", "r10") WIDEN("r12", "lr")
                     STORE("r4", "r9") STORE("r5", "r10") STORE("r6", "r12") STORE("r8", "lr")
                     "subs   %1, %1, #2\n"
                     "beq    2f\n" WIDEN("r4", "r5") WIDEN("r6", "r8")
                     STORE("r9", "r4") STORE("r10", "r5") STORE("r12", "r6") STORE("lr", "r8")
                     "subs   %1, %1, #2\n"
                     "bne    1b\n"
                     "2:\n"
                     : "+r"(a), "+r"(quads), "+r"(pairs)
                     :
                     : "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
#undef STORE
#undef WIDEN
    return pairs;
}
/* clang-format on */

/* clang-format off */
/* The passes of all blocks. */
__attribute__((naked, noinline)) static void multiply(IN_REGISTER const pass *p)
{
/* Windows A and B in r1 and r12, weights of two channels in r0 and lr, sums in r4-r7 and r8-r11. */
#define TAPS                     \
    "ldrd   r1, r12, [r2], #8\n" \
    "ldrd   r0, lr, [r3], #8\n"  \
    "smlad  r4, r1, r0, r4\n"    \
    "smlad  r8, r12, r0, r8\n"   \
    "smlad  r5, r1, lr, r5\n"    \
    "smlad  r9, r12, lr, r9\n"   \
    "ldrd   r0, lr, [r3], #8\n"  \
    "smlad  r6, r1, r0, r6\n"    \
    "smlad  r10, r12, r0, r10\n" \
    "smlad  r7, r1, lr, r7\n"    \
    "smlad  r11, r12, lr, r11\n"
/* lg_rescale of one channel of windows A and B, with a register that is free. */
#define RESCALE(a, b, t)                    \
    "ldm    r12!, {r2, r3, lr}\n"           \
    "smmlar " t ", " a ", r2, r3\n"         \
    "add    " a ", " t ", " a ", asr #31\n" \
    "smmlar " t ", " b ", r2, r3\n"         \
    "add    " b ", " t ", " b ", asr #31\n" \
    "asr    " a ", " a ", lr\n"             \
    "asr    " b ", " b ", lr\n"             \
    "ssat   " a ", #8, " a "\n"             \
    "ssat   " b ", #8, " b "\n"
#define PUT(a, b)              \
    "strb   " a ", [r0], #1\n" \
    "strb   " b ", [r1], #1\n"
#define LARGER(a, b)        \
    "cmp    " a ", " b "\n" \
    "it     lt\n"           \
    "movlt  " a ", " b "\n"
    __asm__("push   {r4-r11, lr}\n"
            "ldm    r0, {r1-r12}\n"
            "push   {r1-r12}\n"
            "1:\n"
            "ldm    sp, {r1, r2, r3, r12}\n"
            "ldm    r1!, {r4-r11}\n"
            "str    r1, [sp]\n"
            "tbb    [pc, r12]\n"
            "0:\n"
            ".byte (2f - 0b) / 2, (5f - 0b) / 2, (4f - 0b) / 2, (3f - 0b) / 2\n"
            "2:\n" TAPS TAPS
            "3:\n" TAPS TAPS
            "4:\n" TAPS TAPS
            "5:\n" TAPS TAPS
            "ldr    r0, [sp, #16]\n"
            "cmp    r2, r0\n"
            "bne    2b\n"
            "ldrd   r0, r1, [sp, #20]\n" /* r1: the end of start */
            "add    r3, r0\n"
            "str    r3, [sp, #8]\n"
            "ldr    r0, [sp, #28]\n"
            "cmp    r0, #1\n"
            "bhi    7f\n"
            "ldr    r12, [sp, #44]\n"
            "bne    6f\n"
            LARGER("r4", "r8") LARGER("r5", "r9") LARGER("r6", "r10") LARGER("r7", "r11")
            "ldm    r12, {r8-r11}\n"
            LARGER("r4", "r8") LARGER("r5", "r9") LARGER("r6", "r10") LARGER("r7", "r11")
            "6:\n"
            "stm    r12!, {r4-r11}\n"
            "str    r12, [sp, #44]\n"
            "b      8f\n"
            "7:\n"
            "ldr    r12, [sp, #40]\n"
            "ldr    r0, [sp, #32]\n"
            RESCALE("r4", "r8", "r1")
            "ldr    r1, [sp, #36]\n"
            PUT("r4", "r8")
            RESCALE("r5", "r9", "r4") PUT("r5", "r9")
            RESCALE("r6", "r10", "r4") PUT("r6", "r10")
            RESCALE("r7", "r11", "r4") PUT("r7", "r11")
            "add    r2, sp, #32\n"
            "stm    r2, {r0, r1, r12}\n"
            "8:\n"
            "ldr    r0, [sp]\n"
            "ldr    r1, [sp, #24]\n"
            "cmp    r0, r1\n"
            "bne    1b\n"
            "add    sp, #48\n"
            "pop    {r4-r11, pc}\n");
#undef LARGER
#undef PUT
#undef RESCALE
#undef TAPS
}
/* clang-format on */

#else

static uint32_t *widen(const int8_t *a, const int8_t *b, uint32_t quads, uint32_t *pairs)
{
    for (; quads > 0u; quads--, a += QUAD, b += QUAD) {
        const uint32_t bytes_a = lg_load4(a), bytes_b = lg_load4(b);
        *pairs++ = lg_widen_even(bytes_a);
        *pairs++ = lg_widen_even(bytes_b);
        *pairs++ = lg_widen_odd(bytes_a);
        *pairs++ = lg_widen_odd(bytes_b);
    }
    return pairs;
}

static uint32_t *widen_overlapping(const int8_t *a, uint32_t quads, uint32_t *pairs)
{
    return widen(a, a + 2 * QUAD, quads, pairs);
}

static inline int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void multiply(const pass *p)
{
    const uint32_t *weights = p->weights;
    int32_t *to = p->sums;
    int8_t *out_a = p->out_a, *out_b = p->out_b;
    const scale *s = p->scales;
    for (const int32_t *start = p->start; start != p->last; start += SUMS, to += SUMS) {
        int32_t sums[SUMS];
        memcpy(sums, start, sizeof sums);
        for (const uint32_t *pair = p->pairs; pair != p->end; pair += 2) {
            for (uint32_t c = 0; c < CHANNELS; c++, weights++) {
                sums[c] = lg_smlad(pair[0], *weights, sums[c]);
                sums[CHANNELS + c] = lg_smlad(pair[1], *weights, sums[CHANNELS + c]);
            }
        }
        weights += p->weights_step / 4u;
        for (uint32_t c = 0; c < CHANNELS; c++) {
            const int32_t a = sums[c], b = sums[CHANNELS + c];
            if (p->becomes == OUTPUTS) {
                *out_a++ = (int8_t)lg_ssat8(lg_rescale(a, s->multiplier, s->offset, s->right));
                *out_b++ = (int8_t)lg_ssat8(lg_rescale(b, s->multiplier, s->offset, s->right));
                s++;
            } else if (p->becomes == MAXIMUM) {
                to[c] = larger(to[c], larger(a, b));
            } else {
                to[c] = a;
                to[CHANNELS + c] = b;
            }
        }
    }
}

#endif

/* Widens `count` kernel rows of a window pair: window A begins x bytes into each row, B `step` bytes after A. */
static void widen_rows(group *g, const int8_t *const *rows, uint32_t count, uint32_t x, uint32_t step)
{
    const lg_conv *const layer = g->layer;
    const uint32_t quads = g->run_quads;
    const int overlapping = step == 2u * QUAD && quads % 2u == 0u;
    uint32_t *pairs = g->scratch;
    for (; count > 0u; count--, rows += layer->row_step) {
        const int8_t *run = *rows + x;
        for (uint32_t r = layer->runs; r > 0u; r--, run += layer->run_step) {
            pairs = overlapping ? widen_overlapping(run, quads, pairs) : widen(run, run + step, quads, pairs);
        }
    }
}

/* As sum_pair, of windows that are larger than the scratch buffer. */
static void sum_large(group *g, const int8_t *const *rows, uint32_t x, uint32_t step)
{
    const lg_conv *const layer = g->layer;
    uint32_t first = 0;
    for (uint32_t ky = 0; ky < layer->kernel_h; ky++, rows += layer->row_step) {
        for (uint32_t r = 0; r < layer->runs; r++) {
            const int8_t *run = *rows + x + r * layer->run_step;
            for (uint32_t left = g->run_quads, n; left > 0u; left -= n, run += n * QUAD, first += n) {
                n = left < SCRATCH_QUADS ? left : SCRATCH_QUADS;
                (void)widen(run, run + step, n, g->scratch);
                pass p = g->whole;
                if (first > 0u) {
                    p.last = g->part + (p.last - p.start);
                    p.start = g->part;
                }
                if (first + n < g->quads) {
                    p.becomes = STORED;
                    p.sums = g->part;
                }
                p.weights += first * QUAD * 2u;
                p.entry = n % 4u;
                p.end = p.pairs + n * QUAD;
                p.weights_step = (g->quads - n) * QUAD * 8u;
                multiply(&p);
            }
        }
    }
}

/* Sums of the windows at x and at x + step, and what becomes of them. */
__attribute__((noinline)) static void sum_pair(group *g, const int8_t *const *rows, uint32_t x, uint32_t step)
{
    if (g->quads > SCRATCH_QUADS) {
        sum_large(g, rows, x, step);
        return;
    }
    widen_rows(g, rows, g->layer->kernel_h, x, step);
    multiply(&g->whole);
}

/* The largest sums of the windows of output pixel x. */
static void sum_pooled(group *g, const int8_t *const *rows, uint32_t x)
{
    const lg_conv *const layer = g->layer;
    for (uint32_t i = 0; i < GROUP * SUMS; i++) {
        g->sums[i] = INT32_MIN;
    }
    for (uint32_t px = 0; px < layer->pool_w; px += 2u) {
        const uint32_t at = (x * layer->pool_w + px) * layer->x_step;
        const uint32_t step = px + 1u < layer->pool_w ? layer->x_step : 0u;
        if (g->shared_rows == 0u) {
            for (uint32_t py = 0; py < layer->pool_h; py++) {
                sum_pair(g, rows + py * layer->y_step, at, step);
            }
            continue;
        }
        widen_rows(g, rows, g->shared_rows, at, step);
        g->whole.pairs = g->scratch;
        for (uint32_t py = layer->pool_h; py > 0u; py--, g->whole.pairs += g->shared_step) {
            g->whole.end = g->whole.pairs + g->quads * QUAD;
            multiply(&g->whole);
        }
    }
}

/* The group's channels of one pixel from their sums, in blocks of SUMS; within int8, where the scales are usual. */
static void put(const group *g, const int32_t *sums, int8_t *out)
{
    const scale *s = g->scales;
    for (uint32_t c = 0; c < g->channels; c++, s++) {
        const int32_t sum = sums[c + c / CHANNELS * CHANNELS];
        if (g->usual) {
            out[c] = (int8_t)lg_ssat8(lg_rescale(sum, s->multiplier, s->offset, s->right));
            continue;
        }
        const int32_t value = lg_requant_fast(lg_asr(sum, 1), s->multiplier, -s->right);
        out[c] = lg_output_s8(value, g->layer->out_zero_point, INT8_MIN, INT8_MAX);
    }
}

/* Biases and scales of the group's channels. */
static void prepare(group *g)
{
    const uint32_t zero_point = (uint32_t)(int32_t)g->layer->out_zero_point;
    const lg_channel *channel = g->of;
    int32_t *bias = g->bias;
    g->usual = 1;
    for (uint32_t c = 0; c < g->channels; c++, channel++, bias++) {
        if (c > 0u && c % CHANNELS == 0u) {
            bias += CHANNELS;
        }
        const uint32_t right = 0u - (uint32_t)channel->shift;
        bias[0] = bias[CHANNELS] = (int32_t)((uint32_t)channel->bias << 1);
        g->usual = g->usual && right - 1u < LG_MOST_RIGHT;
        g->scales[c].multiplier = channel->multiplier;
        g->scales[c].right = (int32_t)right;
        g->scales[c].offset = (int32_t)((1u << (right & 31u) >> 1) + (zero_point << (right & 31u)));
    }
    for (uint32_t c = g->channels; c % CHANNELS != 0u; c++, bias++) {
        bias[0] = bias[CHANNELS] = 0;
    }
}

void lg_conv_row_dsp(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    group g;
    int8_t none[MOST];
    const uint32_t out_w = layer->out_w, out_c = layer->out_c;
    const int pooled = layer->pool_h * layer->pool_w > 1;
    g.layer = layer;
    g.run_quads = (layer->run_bytes + 3u) / QUAD;
    const uint32_t row_quads = g.run_quads * layer->runs;
    g.quads = layer->kernel_h * row_quads;
    g.shared_rows = (layer->pool_h - 1u) * layer->y_step + layer->kernel_h;
    g.shared_step = layer->y_step * row_quads * QUAD;
    if (layer->row_step > 1u || g.shared_rows * row_quads > SCRATCH_QUADS) {
        g.shared_rows = 0;
    }
    for (uint32_t first = 0; first < out_c; first += MOST) {
        g.channels = out_c - first < MOST ? out_c - first : MOST;
        g.of = layer->channels + first;
        prepare(&g);
        const int direct = g.usual && g.channels % CHANNELS == 0u;
        g.whole = (pass){.start = g.bias,
                         .pairs = g.scratch,
                         .weights = (const uint32_t *)layer->weights + first * g.quads * 2u,
                         .entry = g.quads % 4u,
                         .end = g.scratch + g.quads * QUAD,
                         .last = g.bias + (g.channels + CHANNELS - 1u) / CHANNELS * SUMS,
                         .becomes = pooled   ? MAXIMUM
                                    : direct ? OUTPUTS
                                             : STORED,
                         .scales = g.scales,
                         .sums = g.sums};
        int8_t *at = out + first;
        if (pooled) {
            for (uint32_t x = 0; x < out_w; x++, at += out_c) {
                sum_pooled(&g, rows, x);
                put(&g, g.sums, at);
            }
            continue;
        }
        for (uint32_t x = 0; x < out_w; x += 2u, at += 2u * out_c) {
            const int two = x + 1u < out_w;
            g.whole.out_a = at;
            g.whole.out_b = two ? at + out_c : none;
            sum_pair(&g, rows, x * layer->x_step, two ? layer->x_step : 0u);
            if (!direct) {
                put(&g, g.sums, at);
                put(&g, g.sums + CHANNELS, g.whole.out_b);
            }
        }
    }
    if (layer->act_min > INT8_MIN || layer->act_max < INT8_MAX) {
        for (uint32_t i = out_w * out_c; i > 0u; i--, out++) {
            *out = lg_clamp_s8(*out, layer->act_min, layer->act_max);
        }
    }
}

#else
typedef int lg_conv_row_dsp_empty;
#endif
