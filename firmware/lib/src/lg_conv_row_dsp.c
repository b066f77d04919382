/* CONV_2D, one row of output, for cores with the DSP extension: lg_conv.h has the equation.
 *
 * Bytes of two windows are widened to pairs of int16 side by side in a scratch buffer, once for all channels of a group;
 * then each SMLAD makes two products, and a pair that is loaded serves four channels or two windows:
 *
 *   scratch: a quad of taps t0..t3 of windows A and B is  A(t0,t2) B(t0,t2) A(t1,t3) B(t1,t3)
 *   weights: for four channels c0..c3                     c0(t0,t2) .. c3(t0,t2) c0(t1,t3) .. c3(t1,t3)
 *
 * A run ends in a whole quad, with zero weights. Weights and sums are doubled, as SMMULR wants them. What does not fit the
 * scratch buffer is summed in pieces; rows that pooled windows share are widened once. */
#include "lg_conv.h"
#include "lg_dsp.h"

#ifdef LG_DSP

enum { CHANNELS = 4, GROUP = 4, MOST = GROUP * CHANNELS, QUAD = 4, SCRATCH_QUADS = 64 };

/* Of one channel: out = (high + (high >> 31) + offset) >> right, high = (2 * acc * multiplier) >> 32 rounded. */
typedef struct {
    int32_t multiplier, offset, right;
} scale;

/* One pass over a piece of two windows; multiply knows where its members are. */
typedef struct {
    const int32_t *start;
    const uint32_t *pairs, *weights;
    uint32_t quads;
    const uint32_t *end;   /* of pairs */
    uint32_t weights_step; /* bytes from the weights behind these to those of the next block */
    uint32_t blocks;
    int32_t *sums;
    const scale *scales;
    int8_t *out_a, *out_b;
} pass;

/* One group of blocks of four channels. */
typedef struct {
    const lg_conv *layer;
    const uint32_t *weights;
    const lg_channel *of;
    uint32_t channels;         /* of the group */
    uint32_t run_quads, quads; /* of a run, of a window */
    uint32_t shared_rows;      /* input rows that the windows pooled into one pixel cover, 0: widened for each window */
    uint32_t shared_step;      /* words of scratch from one row of windows to the next */
    uint32_t scratch[SCRATCH_QUADS * QUAD];
    int32_t bias[2][MOST], acc[2][MOST]; /* of windows A and B, doubled */
    int32_t best[MOST];
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

/* sums = start + products, block by block of four channels; or at once the outputs, anywhere in int8, when out_a is not
 * null. Window B's sums and starts are MOST words after window A's. All pointers move on. */
__attribute__((naked, noinline)) static void multiply(IN_REGISTER pass *p)
{
/* Windows A and B in r1 and r12, weights of two channels in r0 and lr, sums in r4-r7 and r8-r11. */
#define TAPS                    \
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
/* One channel of windows A and B. */
#define OUTPUT(a, b)                        \
    "ldm    r12!, {r2, r3, lr}\n"           \
    "smmulr " a ", " a ", r2\n"             \
    "smmulr " b ", " b ", r2\n"             \
    "add    " a ", " a ", " a ", asr #31\n" \
    "add    " b ", " b ", " b ", asr #31\n" \
    "add    " a ", " a ", r3\n"             \
    "add    " b ", " b ", r3\n"             \
    "asr    " a ", " a ", lr\n"             \
    "asr    " b ", " b ", lr\n"             \
    "ssat   " a ", #8, " a "\n"             \
    "ssat   " b ", #8, " b "\n"             \
    "strb   " a ", [r0], #1\n"              \
    "strb   " b ", [r1], #1\n"
    __asm__("push   {r4-r11, lr}\n"
            "ldr    r1, [r0, #16]\n"
            "push   {r0, r1}\n" /* p, the end of pairs */
            "1:\n"
            "ldm    r0, {r1, r2, r3, r12}\n"
            "ldm    r1!, {r4-r7}\n"
            "str    r1, [r0]\n"
            "adds   r1, r1, #48\n"
            "ldm    r1, {r8-r11}\n"
            "and    r12, r12, #3\n"
            "tbb    [pc, r12]\n"
            "0:\n"
            ".byte (2f - 0b) / 2, (5f - 0b) / 2, (4f - 0b) / 2, (3f - 0b) / 2\n"
            "2:\n" TAPS TAPS
            "3:\n" TAPS TAPS
            "4:\n" TAPS TAPS
            "5:\n" TAPS TAPS
            "ldr    r0, [sp, #4]\n"
            "cmp    r2, r0\n"
            "bne    2b\n"
            "ldr    r2, [sp]\n"
            "ldr    r0, [r2, #20]\n"
            "add    r3, r3, r0\n"
            "str    r3, [r2, #8]\n"
            "ldrd   r0, r1, [r2, #36]\n"
            "cmp    r0, #0\n"
            "beq    6f\n"
            "ldr    r12, [r2, #32]\n"
            OUTPUT("r4", "r8") OUTPUT("r5", "r9") OUTPUT("r6", "r10") OUTPUT("r7", "r11")
            "ldr    r2, [sp]\n"
            "str    r12, [r2, #32]\n"
            "strd   r0, r1, [r2, #36]\n"
            "b      7f\n"
            "6:\n"
            "ldr    r1, [r2, #28]\n"
            "stm    r1!, {r4-r7}\n"
            "str    r1, [r2, #28]\n"
            "adds   r1, r1, #48\n"
            "stm    r1, {r8-r11}\n"
            "7:\n"
            "mov    r0, r2\n"
            "ldr    r1, [r0, #24]\n"
            "subs   r1, r1, #1\n"
            "str    r1, [r0, #24]\n"
            "bne    1b\n"
            "add    sp, sp, #8\n"
            "pop    {r4-r11, pc}\n");
#undef OUTPUT
#undef TAPS
}

/* The next output, anywhere in int8. */
static inline int8_t rescale(const int32_t **sum, const scale **s)
{
    int32_t value;
    __asm__("ldr    %0, [%1], #4\n"
            "ldm    %2!, {r4, r5, r6}\n"
            "smmulr %0, %0, r4\n"
            "add    %0, %0, %0, asr #31\n"
            "add    %0, %0, r5\n"
            "asr    %0, %0, r6\n"
            "ssat   %0, #8, %0\n"
            : "=&r"(value), "+r"(*sum), "+r"(*s)
            :
            : "r4", "r5", "r6", "cc", "memory");
    return (int8_t)value;
}

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

static inline int8_t rescale(const int32_t **sum, const scale **s)
{
    const int32_t high = lg_smmulr(*(*sum)++, (*s)->multiplier);
    const int32_t value = lg_asr(high + lg_asr(high, 31) + (*s)->offset, (*s)->right);
    (*s)++;
    return (int8_t)lg_ssat8(value);
}

static void multiply(pass *p)
{
    for (; p->blocks > 0u; p->blocks--, p->start += CHANNELS, p->sums += CHANNELS) {
        for (uint32_t c = 0; c < CHANNELS; c++) {
            int32_t sums[2] = {p->start[c], p->start[MOST + c]};
            const uint32_t *weights = p->weights + c;
            for (const uint32_t *pair = p->pairs; pair != p->end; pair += 2, weights += CHANNELS) {
                sums[0] = lg_smlad(pair[0], *weights, sums[0]);
                sums[1] = lg_smlad(pair[1], *weights, sums[1]);
            }
            if (p->out_a == NULL) {
                p->sums[c] = sums[0];
                p->sums[MOST + c] = sums[1];
                continue;
            }
            const int32_t *sum = sums;
            const scale *s = p->scales++, *same = s;
            *p->out_a++ = rescale(&sum, &s);
            *p->out_b++ = rescale(&sum, &same);
        }
        p->weights += 2 * (p->end - p->pairs) + p->weights_step / 4u;
    }
}

#endif

/* Widens whole kernel rows of a window pair: window A begins x bytes into each row, B `step` bytes after A. */
static void widen_rows(group *g, const int8_t *const *rows, uint32_t count, uint32_t x, uint32_t step)
{
    const lg_conv *const layer = g->layer;
    uint32_t *pairs = g->scratch;
    for (; count > 0u; count--, rows += layer->row_step) {
        const int8_t *run = *rows + x;
        for (uint32_t r = layer->runs; r > 0u; r--, run += layer->run_step) {
            pairs = widen(run, run + step, g->run_quads, pairs);
        }
    }
}

/* Sums of a window pair from quads `first` .. `first` + n - 1 of the window; when out_a is not null, its outputs. */
__attribute__((noinline)) static void multiply_all(group *g, const uint32_t *pairs, uint32_t first, uint32_t n,
                                                   int8_t *out_a, int8_t *out_b)
{
    pass p = {.start = first == 0u ? g->bias[0] : g->acc[0],
              .pairs = pairs,
              .weights = g->weights + first * QUAD * 2u,
              .quads = n,
              .end = pairs + n * QUAD,
              .weights_step = (g->quads - n) * QUAD * 8u,
              .blocks = (g->channels + CHANNELS - 1u) / CHANNELS,
              .sums = g->acc[0],
              .scales = g->scales,
              .out_a = out_a,
              .out_b = out_b};
    multiply(&p);
}

/* Sums of a window pair that is larger than the scratch buffer. */
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
                multiply_all(g, g->scratch, first, n, NULL, NULL);
            }
        }
    }
}

/* Sums of the windows at x and at x + step; when out_a is not null, their outputs. */
static void sum_pair(group *g, const int8_t *const *rows, uint32_t x, uint32_t step, int8_t *out_a, int8_t *out_b)
{
    if (g->quads > SCRATCH_QUADS) {
        sum_large(g, rows, x, step);
        return;
    }
    widen_rows(g, rows, g->layer->kernel_h, x, step);
    multiply_all(g, g->scratch, 0, g->quads, out_a, out_b);
}

static inline int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* best: the larger sums of the two windows, and of best unless these are the first. */
static void keep_larger(group *g, int first)
{
    const int32_t *a = g->acc[0];
    int32_t *best = g->best;
    for (uint32_t c = g->channels; c > 0u; c--, a++, best++) {
        const int32_t both = larger(a[0], a[MOST]);
        *best = first ? both : larger(*best, both);
    }
}

/* best: the largest sums of the windows of output pixel x. */
static void sum_pooled(group *g, const int8_t *const *rows, uint32_t x)
{
    const lg_conv *const layer = g->layer;
    for (uint32_t px = 0; px < layer->pool_w; px += 2u) {
        const uint32_t at = (x * layer->pool_w + px) * layer->x_step;
        const uint32_t step = px + 1u < layer->pool_w ? layer->x_step : 0u;
        if (g->shared_rows > 0u) {
            widen_rows(g, rows, g->shared_rows, at, step);
        }
        for (uint32_t py = 0; py < layer->pool_h; py++) {
            if (g->shared_rows > 0u) {
                multiply_all(g, g->scratch + py * g->shared_step, 0, g->quads, NULL, NULL);
            } else {
                sum_pair(g, rows + py * layer->y_step, at, step, NULL, NULL);
            }
            keep_larger(g, px + py == 0u);
        }
    }
}

/* Clamps the group's channels of one pixel. */
__attribute__((noinline)) static void limit(const group *g, int8_t *out)
{
    const int32_t low = g->layer->act_min, high = g->layer->act_max;
    if (low > -128 || high < 127) {
        for (uint32_t c = 0; c < g->channels; c++) {
            out[c] = lg_clamp_s8(out[c], low, high);
        }
    }
}

/* The group's channels of one pixel from their sums. */
static void put(const group *g, const int32_t *sums, int8_t *out)
{
    const int32_t *const end = sums + g->channels;
    const scale *s = g->scales;
    int8_t *at = out;
    while (sums != end) {
        *at++ = rescale(&sums, &s);
    }
    limit(g, out);
}

/* The same for any shift. */
static void put_any(const group *g, const int32_t *sums, int8_t *out)
{
    const lg_conv *const layer = g->layer;
    for (uint32_t c = 0; c < g->channels; c++) {
        const int32_t value = lg_requant_fast(lg_asr(sums[c], 1), g->of[c].multiplier, g->of[c].shift);
        out[c] = lg_output_s8(value, layer->out_zero_point, layer->act_min, layer->act_max);
    }
}

/* Biases and scales of the group's channels; false: a scale is beyond what `put` can do. */
static int prepare(group *g)
{
    const uint32_t zero_point = (uint32_t)(int32_t)g->layer->out_zero_point;
    int usual = 1;
    for (uint32_t c = 0; c < g->channels; c++) {
        const lg_channel *const channel = g->of + c;
        const uint32_t right = 0u - (uint32_t)channel->shift;
        g->bias[0][c] = g->bias[1][c] = (int32_t)((uint32_t)channel->bias << 1);
        usual = usual && right - 1u < 22u;
        g->scales[c].multiplier = channel->multiplier;
        g->scales[c].right = (int32_t)right;
        g->scales[c].offset = (int32_t)((1u << (right & 31u) >> 1) + (zero_point << (right & 31u)));
    }
    for (uint32_t c = g->channels; c % CHANNELS != 0u; c++) {
        g->bias[0][c] = g->bias[1][c] = 0;
    }
    return usual;
}

void lg_conv_row_dsp(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    group g;
    const uint32_t blocks = (layer->out_c + 3u) / CHANNELS, out_w = layer->out_w;
    g.layer = layer;
    g.run_quads = (layer->run_bytes + 3u) / QUAD;
    const uint32_t row_quads = g.run_quads * layer->runs;
    g.quads = layer->kernel_h * row_quads;
    g.shared_rows = (layer->pool_h - 1u) * layer->y_step + layer->kernel_h;
    g.shared_step = layer->y_step * row_quads * QUAD;
    if (layer->row_step > 1u || g.shared_rows * row_quads > SCRATCH_QUADS) {
        g.shared_rows = 0;
    }
    for (uint32_t block = 0; block < blocks; block += GROUP) {
        const uint32_t first = block * CHANNELS, left = layer->out_c - first;
        g.weights = (const uint32_t *)layer->weights + block * g.quads * QUAD * 2u;
        g.channels = left < MOST ? left : MOST;
        g.of = layer->channels + first;
        const int usual = prepare(&g);
        void (*const write)(const group *, const int32_t *, int8_t *) = usual ? put : put_any;
        const int direct = usual && g.quads <= SCRATCH_QUADS && g.channels % CHANNELS == 0u;
        int8_t *at = out + first;
        if (layer->pool_h * layer->pool_w > 1) {
            for (uint32_t x = 0; x < out_w; x++, at += layer->out_c) {
                sum_pooled(&g, rows, x);
                write(&g, g.best, at);
            }
            continue;
        }
        for (uint32_t x = 0; x < out_w; x += 2u, at += 2u * layer->out_c) {
            int8_t none[MOST];
            const int two = x + 1u < out_w;
            int8_t *const next = two ? at + layer->out_c : none;
            sum_pair(&g, rows, x * layer->x_step, two ? layer->x_step : 0u, direct ? at : NULL, next);
            if (direct) {
                limit(&g, at);
                limit(&g, next);
                continue;
            }
            write(&g, g.acc[0], at);
            write(&g, g.acc[1], next);
        }
    }
}

#else
typedef int lg_conv_row_dsp_empty;
#endif
