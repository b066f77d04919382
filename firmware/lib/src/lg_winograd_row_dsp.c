/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D of 3x3 or 5x5 under a maximum of 2x2, with fewer multiplications, exactly: lg_conv.h has the equation.
 *
 * The four windows of a pooled pixel are a tile of two by two sums. By Winograd's minimal filtering two sums of three taps
 * take four products, those of two taps three; with everything doubled no fraction is left:
 *
 *   2 y0 = m0 + m1 + m2        m0 = (d0 - d2) 2 g0      m1 = (d1 + d2) (g0 + g1 + g2)
 *   2 y1 = m1 - m2 + m3        m3 = (d3 - d1) 2 g2      m2 = (d2 - d1) (g0 - g1 + g2)
 *
 *   2 y0 = m0 + m1             m0 = (d0 - d1) 2 g0      m1 = d1 2 (g0 + g1)
 *   2 y1 = m1 + m3             m3 = (d2 - d1) 2 g1
 *
 * Five taps are three and two, whose products of one kind, m0 to m3, are summed together. Down and across that makes
 * sixteen kinds of products, 16 in place of 36 of a tile of 3x3 and 49 in place of 100 of 5x5, and sums four times as large.
 * Inputs of a product are halves of a word, two channels each; weights are written as halves, as they are needed
 * (export/plan/layouts.py).
 *
 * Two tiles are made at a time: columns are transformed down the rows once, and kept as far as the next two tiles share
 * them; then across. Four output channels run through both tiles. */
#include "lg_bytes.h"
#include "lg_conv.h"
#include "lg_dsp.h"
#include "lg_inline.h"
#include "lg_output_dsp.h"

#ifdef LG_DSP

enum { TILES = 2, CHANNELS = 4, KINDS = 4, SUMS = KINDS * KINDS * CHANNELS * TILES };

/* Of one kernel size: products down or across, columns of two tiles, how many of them the next two have too. */
#define PRODUCTS(taps) ((taps) == 3u ? 4u : 7u)
#define COLUMNS(taps) ((taps) + 3u)
#define SHARED(taps) ((taps)-1u)

#define WORDS(channels) (((channels) + 3u) / 4u * 2u)
#define MOST(of_3, of_5) ((of_3) > (of_5) ? (of_3) : (of_5))
enum {
    WORDS_3 = WORDS(LG_WINOGRAD_MOST_3),
    WORDS_5 = WORDS(LG_WINOGRAD_MOST_5),
    MOST_COLUMNS = MOST(PRODUCTS(3u) * COLUMNS(3u) * WORDS_3, PRODUCTS(5u) * COLUMNS(5u) * WORDS_5),
    MOST_INPUTS = MOST(PRODUCTS(3u) * PRODUCTS(3u) * WORDS_3, PRODUCTS(5u) * PRODUCTS(5u) * WORDS_5) * TILES
};

typedef struct {
    const lg_conv *layer;
    uint32_t words; /* of the channels of a pixel */
    int32_t sums[SUMS];
    const uint32_t *ends[KINDS * KINDS + 1]; /* of the inputs of each kind of products, NULL behind the last */
    uint32_t columns[MOST_COLUMNS];          /* [products down][words][columns] */
    uint32_t inputs[MOST_INPUTS];            /* [kinds across][products down][words][products of the kind][tiles] */
} block;

#ifndef LG_DSP_EMULATE
#define IN_REGISTER __attribute__((unused))
/* clang-format off */
#define LOAD(to, from) "ldr    " to ", [" from "], #4\n"
#define STORE(x, to) "str    " x ", [" to "]\n"
#define PLUS(to, a, b) "sadd16 " to ", " a ", " b "\n"
#define LESS(to, a, b) "ssub16 " to ", " a ", " b "\n"
#define EVEN(to, x) "sxtb16 " to ", " x "\n"
#define ODD(to, x) "sxtb16 " to ", " x ", ror #8\n"
#define UP(n) "sub    r2, r2, r3, lsl #" n "\n"
#define DOWN(n) "add    r2, r2, r3, lsl #" n "\n"
/* `quads` of one column of pixels, `at` bytes into each row, down the rows; lines of the result are `step` bytes apart.
 * The lines are written in the order in which the fewest values are held, those of odd channels in the opposite one. */
__attribute__((naked, noinline)) static void down_3(IN_REGISTER const int8_t *const *rows, IN_REGISTER uint32_t at,
                                                    IN_REGISTER uint32_t *to, IN_REGISTER uint32_t step,
                                                    IN_REGISTER uint32_t quads)
{
    __asm__ volatile("push   {r4-r11, lr}\n"
                     "ldr    lr, [sp, #36]\n"
                     "1:\n"
                     "ldm    r0, {r4-r7}\n"
                     "ldr    r4, [r4, r1]\n ldr r5, [r5, r1]\n ldr r6, [r6, r1]\n ldr r7, [r7, r1]\n"
                     "add    r1, #4\n"
                     EVEN("r10", "r4") EVEN("r11", "r6") LESS("r10", "r10", "r11") STORE("r10", "r2")
                     EVEN("r10", "r5") DOWN("0") PLUS("r12", "r10", "r11") STORE("r12", "r2")
                     DOWN("0") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     EVEN("r11", "r7") DOWN("0") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     "add    r2, #24\n"
                     ODD("r10", "r5") ODD("r11", "r7") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     ODD("r11", "r6") UP("0") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     UP("0") PLUS("r12", "r10", "r11") STORE("r12", "r2")
                     ODD("r10", "r4") UP("0") LESS("r10", "r10", "r11") STORE("r10", "r2")
                     "add    r2, #24\n"
                     "subs   lr, #1\n"
                     "bne    1b\n"
                     "pop    {r4-r11, pc}");
}

__attribute__((naked, noinline)) static void down_5(IN_REGISTER const int8_t *const *rows, IN_REGISTER uint32_t at,
                                                    IN_REGISTER uint32_t *to, IN_REGISTER uint32_t step,
                                                    IN_REGISTER uint32_t quads)
{
    __asm__ volatile("push   {r4-r11, lr}\n"
                     "ldr    lr, [sp, #36]\n"
                     "1:\n"
                     "ldm    r0, {r4-r9}\n"
                     "ldr    r4, [r4, r1]\n ldr r5, [r5, r1]\n ldr r6, [r6, r1]\n"
                     "ldr    r7, [r7, r1]\n ldr r8, [r8, r1]\n ldr r9, [r9, r1]\n"
                     "add    r1, #4\n"
                     EVEN("r10", "r4") EVEN("r11", "r6") LESS("r10", "r10", "r11") STORE("r10", "r2")
                     EVEN("r10", "r5") DOWN("1") PLUS("r12", "r10", "r11") STORE("r12", "r2")
                     DOWN("1") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     EVEN("r11", "r7") DOWN("0") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     EVEN("r10", "r8") EVEN("r12", "r9") DOWN("0") LESS("r12", "r12", "r10") STORE("r12", "r2")
                     UP("1") UP("0") LESS("r12", "r11", "r10") STORE("r10", "r2")
                     UP("1") "nop\n" STORE("r12", "r2")
                     "add    r2, #32\n"
                     ODD("r10", "r8") ODD("r11", "r7") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     DOWN("1") ODD("r12", "r9") STORE("r10", "r2")
                     DOWN("1") DOWN("0") LESS("r12", "r12", "r10") STORE("r12", "r2")
                     ODD("r10", "r5") UP("0") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     ODD("r11", "r6") UP("0") LESS("r12", "r11", "r10") STORE("r12", "r2")
                     UP("1") PLUS("r12", "r10", "r11") STORE("r12", "r2")
                     ODD("r10", "r4") UP("1") LESS("r10", "r10", "r11") STORE("r10", "r2")
                     "add    r2, #32\n"
                     "subs   lr, #1\n"
                     "bne    1b\n"
                     "pop    {r4-r11, pc}");
}

#define PUT(x, to) "str    " x ", [" to "], #4\n"
#define BOTH(op, a, b, c, d, to) op("lr", a, b) PUT("lr", to) op("lr", c, d) PUT("lr", to)
/* `lines` of columns, an even number, across; columns that the next two tiles share are moved to where these look for
 * them. Products of the four kinds lie at r1, r2, r3 and r12. */
__attribute__((naked, noinline)) static void across_3(IN_REGISTER uint32_t *columns, IN_REGISTER uint32_t *inputs,
                                                      IN_REGISTER uint32_t lines)
{
#define LINE                                                                        \
    "ldm    r0, {r4-r9}\n"                                                          \
    "stm    r0, {r8-r9}\n"                                                          \
    "add    r0, #24\n"                                                              \
    BOTH(LESS, "r4", "r6", "r6", "r8", "r1") BOTH(PLUS, "r5", "r6", "r7", "r8", "r2") \
    BOTH(LESS, "r6", "r5", "r8", "r7", "r3") BOTH(LESS, "r7", "r5", "r9", "r7", "r12")
    __asm__ volatile("push   {r4-r11, lr}\n"
                     "lsl    r3, r2, #3\n"
                     "add    r4, r0, r3\n"
                     "add    r4, r3\n"
                     "add    r4, r3\n" /* 24 bytes a line */
                     "push   {r4}\n"
                     "add    r2, r1, r3\n"
                     "add    r12, r3, r3, lsl #1\n"
                     "add    r12, r1\n"
                     "add    r3, r2\n"
                     "1:\n" LINE LINE
                     "ldr    lr, [sp]\n"
                     "cmp    r0, lr\n"
                     "bne    1b\n"
                     "add    sp, #4\n"
                     "pop    {r4-r11, pc}");
#undef LINE
}

__attribute__((naked, noinline)) static void across_5(IN_REGISTER uint32_t *columns, IN_REGISTER uint32_t *inputs,
                                                      IN_REGISTER uint32_t lines)
{
#define LINE                                                                            \
    "ldm    r0, {r4-r11}\n"                                                             \
    "stm    r0, {r8-r11}\n"                                                             \
    "add    r0, #32\n"                                                                  \
    BOTH(LESS, "r4", "r6", "r6", "r8", "r1") BOTH(LESS, "r7", "r8", "r9", "r10", "r1")    \
    BOTH(PLUS, "r5", "r6", "r7", "r8", "r2") PUT("r8", "r2") PUT("r10", "r2")             \
    BOTH(LESS, "r6", "r5", "r8", "r7", "r3")                                              \
    BOTH(LESS, "r7", "r5", "r9", "r7", "r12") BOTH(LESS, "r9", "r8", "r11", "r10", "r12")
    __asm__ volatile("push   {r4-r11, lr}\n"
                     "lsl    r3, r2, #4\n"
                     "add    r4, r0, r2, lsl #5\n" /* 32 bytes a line */
                     "push   {r4}\n"
                     "lsl    r12, r2, #3\n"
                     "add    r2, r1, r3\n"
                     "add    r3, r2\n"
                     "add    r12, r3\n"
                     "1:\n" LINE LINE
                     "ldr    lr, [sp]\n"
                     "cmp    r0, lr\n"
                     "bne    1b\n"
                     "add    sp, #4\n"
                     "pop    {r4-r11, pc}");
#undef LINE
}
/* clang-format on */

LG_INLINE void transform_column(const int8_t *const *rows, uint32_t at, uint32_t *to, uint32_t step, uint32_t quads,
                                uint32_t taps)
{
    (taps == 3u ? down_3 : down_5)(rows, at, to, 4u * step, quads);
}

LG_INLINE void transform_across(uint32_t *columns, uint32_t *inputs, uint32_t lines, uint32_t taps)
{
    (taps == 3u ? across_3 : across_5)(columns, inputs, lines);
}

#else

static void down(const uint32_t *d, uint32_t taps, uint32_t step, uint32_t *to)
{
    if (taps == 3u) {
        to[0] = lg_ssub16(d[0], d[2]);
        to[step] = lg_sadd16(d[1], d[2]);
        to[2u * step] = lg_ssub16(d[2], d[1]);
        to[3u * step] = lg_ssub16(d[3], d[1]);
    } else {
        to[0] = lg_ssub16(d[0], d[2]);
        to[step] = lg_ssub16(d[3], d[4]);
        to[2u * step] = lg_sadd16(d[1], d[2]);
        to[3u * step] = d[4];
        to[4u * step] = lg_ssub16(d[2], d[1]);
        to[5u * step] = lg_ssub16(d[3], d[1]);
        to[6u * step] = lg_ssub16(d[5], d[4]);
    }
}

static void transform_column(const int8_t *const *rows, uint32_t at, uint32_t *to, uint32_t step, uint32_t quads,
                             uint32_t taps)
{
    for (; quads > 0u; quads--, at += 4u, to += 2u * COLUMNS(taps)) {
        uint32_t even[6], odd[6];
        for (uint32_t i = 0; i <= taps; i++) {
            const uint32_t bytes = lg_load4(rows[i] + at);
            even[i] = lg_widen_even(bytes);
            odd[i] = lg_widen_odd(bytes);
        }
        down(even, taps, step, to);
        down(odd, taps, step, to + COLUMNS(taps));
    }
}

static void transform_across(uint32_t *columns, uint32_t *inputs, uint32_t lines, uint32_t taps)
{
    const uint32_t most = taps == 3u ? 2u : 4u;
    uint32_t *p = inputs, *q = p + lines * most, *r = q + lines * most, *s = r + lines * 2u;
    for (; lines > 0u; lines--, columns += COLUMNS(taps)) {
        for (uint32_t t = 0; t < TILES; t++) {
            const uint32_t *const d = columns + 2u * t;
            *p++ = lg_ssub16(d[0], d[2]);
            *q++ = lg_sadd16(d[1], d[2]);
            *r++ = lg_ssub16(d[2], d[1]);
            *s++ = lg_ssub16(d[3], d[1]);
        }
        for (uint32_t t = 0; t < (taps == 5u ? TILES : 0u); t++) {
            const uint32_t *const d = columns + 2u * t;
            *p++ = lg_ssub16(d[3], d[4]);
            *q++ = d[4];
            *s++ = lg_ssub16(d[5], d[4]);
        }
        for (uint32_t k = 0; k < SHARED(taps); k++) {
            columns[k] = columns[k + 4u];
        }
    }
}

#endif

/* Sums of all kinds of products of four channels and two tiles; where the weights of the next four channels are. */
#ifndef LG_DSP_EMULATE
/* clang-format off */
/* x in r2, weights in r3; r4-r11 the sums, of both tiles of one channel after the other. */
__attribute__((naked, noinline)) static const uint32_t *multiply(IN_REGISTER const uint32_t *x,
                                                                 IN_REGISTER const uint32_t *w,
                                                                 IN_REGISTER const uint32_t *const *ends,
                                                                 IN_REGISTER int32_t *sums)
{
#define SUM(sum, x, w) "smlad  " sum ", " x ", " w ", " sum "\n"
#define STEP                                                                                \
    LOAD("r0", "r3") LOAD("r1", "r3") LOAD("r12", "r2") LOAD("lr", "r2")                    \
    SUM("r4", "r12", "r0") SUM("r5", "lr", "r0") SUM("r6", "r12", "r1") SUM("r7", "lr", "r1") \
    LOAD("r0", "r3") LOAD("r1", "r3")                                                       \
    SUM("r8", "r12", "r0") SUM("r9", "lr", "r0") SUM("r10", "r12", "r1") SUM("r11", "lr", "r1")
    __asm__ volatile("push   {r3-r11, lr}\n"
                     "mov    r12, r2\n"
                     "mov    r2, r0\n"
                     "mov    r3, r1\n"
                     "ldr    r1, [r12], #4\n"
                     "push   {r1, r12}\n" /* the end, the next ones, the sums */
                     "1:\n"
                     "mov    r0, #0\n"
                     "sub    r1, r2\n"
                     "umull  r4, r5, r0, r0\n"
                     "umull  r6, r7, r0, r0\n"
                     "umull  r8, r9, r0, r0\n"
                     "umull  r10, r11, r0, r0\n"
                     /* Eight steps a turn, the first turn from where the last one ends whole; steps are even. */
                     "lsls   r1, r1, #27\n"
                     "bcs    3f\n"
                     "bmi    6f\n"
                     "2:\n" STEP STEP
                     "5:\n" STEP STEP
                     "4:\n" STEP STEP
                     "6:\n" STEP STEP
                     "ldr    r12, [sp]\n"
                     "cmp    r2, r12\n"
                     "bne    2b\n"
                     "ldrd   r0, r12, [sp, #4]\n"
                     "stm    r12!, {r4-r11}\n"
                     "ldr    r1, [r0], #4\n"
                     "strd   r0, r12, [sp, #4]\n"
                     "str    r1, [sp]\n"
                     "cmp    r1, #0\n"
                     "bne    1b\n"
                     "mov    r0, r3\n"
                     "add    sp, #12\n"
                     "pop    {r4-r11, pc}\n"
                     "3:\n"
                     "bmi    5b\n"
                     "b      4b\n");
#undef STEP
#undef SUM
}
/* clang-format on */
#else
static const uint32_t *multiply(const uint32_t *x, const uint32_t *w, const uint32_t *const *ends, int32_t *sums)
{
    for (; *ends != NULL; ends++, sums += CHANNELS * TILES) {
        for (uint32_t k = 0; k < CHANNELS * TILES; k++) {
            sums[k] = 0;
        }
        for (; x != *ends; x += TILES, w += CHANNELS) {
            for (uint32_t k = 0; k < CHANNELS * TILES; k++) {
                sums[k] = lg_smlad(x[k % TILES], w[k / TILES], sums[k]);
            }
        }
    }
    return w;
}
#endif

/* Outputs of both tiles, `apart` bytes from each other, of the channels `c` .. `end` - 1, from their sums. */
#ifndef LG_DSP_EMULATE
/* clang-format off */
/* The largest of the four sums of a tile, times 4, in r4; the tile's at r0 + at, of one kind across as up and low. */
#define KIND(at, up, low)                                                                               \
    "ldr    r1, [r0, #" at "]\n ldr r2, [r0, #" at " + 32]\n"                                           \
    "ldr    r3, [r0, #" at " + 64]\n ldr r12, [r0, #" at " + 96]\n"                                     \
    "add    " up ", r1, r2\n add " up ", r3\n sub " low ", r2, r3\n add " low ", r12\n"
#define LARGER(a, b) "cmp    " a ", " b "\n it lt\n movlt " a ", " b "\n"
#define LARGEST(at)                                                                                     \
    KIND(at, "r4", "r8") KIND(at " + 128", "r5", "r9") KIND(at " + 256", "r6", "r10")                    \
    KIND(at " + 384", "r7", "r11")                                                                      \
    "add    r4, r5\n add r4, r6\n sub r5, r6\n add r5, r7\n"                                            \
    "add    r8, r9\n add r8, r10\n sub r9, r10\n add r9, r11\n"                                         \
    LARGER("r4", "r5") LARGER("r8", "r9") LARGER("r4", "r8")
/* lg_output_usual_dsp; r5-r8 the channel's bias, multiplier, offset and right. */
#define RESCALE(sum)                               \
    "add    " sum ", r5, " sum ", asr #1\n"        \
    "smmlar r9, " sum ", r6, r7\n"                 \
    "add    " sum ", r9, " sum ", asr #31\n"       \
    "asr    " sum ", " sum ", r8\n"                \
    "ssat   " sum ", #8, " sum "\n"
__attribute__((naked, noinline)) static void put(IN_REGISTER const int32_t *sums, IN_REGISTER const lg_dsp_channel *c,
                                                 IN_REGISTER const lg_dsp_channel *end, IN_REGISTER int8_t *out,
                                                 IN_REGISTER uint32_t apart)
{
    __asm__ volatile("push   {r4-r11, lr}\n"
                     "push   {r1-r3}\n"
                     "1:\n" LARGEST("4")
                     "mov    lr, r4\n" LARGEST("0")
                     "ldr    r1, [sp]\n"
                     "ldm    r1!, {r5-r8}\n" RESCALE("lr") RESCALE("r4")
                     "ldr    r2, [sp, #8]\n"
                     "ldr    r3, [sp, #48]\n"
                     "ldr    r12, [sp, #4]\n"
                     "strb   lr, [r2, r3]\n"
                     "strb   r4, [r2], #1\n"
                     "str    r2, [sp, #8]\n"
                     "str    r1, [sp]\n"
                     "add    r0, #8\n"
                     "cmp    r1, r12\n"
                     "bne    1b\n"
                     "add    sp, #12\n"
                     "pop    {r4-r11, pc}");
}
/* clang-format on */
#else
static int8_t output(const int32_t *sums, const lg_dsp_channel *c)
{
    enum { ONE = CHANNELS * TILES, FOUR = KINDS * ONE };
    uint32_t up[KINDS], low[KINDS];
    for (uint32_t k = 0; k < KINDS; k++, sums += FOUR) {
        const uint32_t m0 = (uint32_t)sums[0], m1 = (uint32_t)sums[ONE], m2 = (uint32_t)sums[2 * ONE];
        up[k] = m0 + m1 + m2;
        low[k] = m1 - m2 + (uint32_t)sums[3 * ONE];
    }
    const int32_t of[4] = {(int32_t)(up[0] + up[1] + up[2]), (int32_t)(up[1] - up[2] + up[3]),
                           (int32_t)(low[0] + low[1] + low[2]), (int32_t)(low[1] - low[2] + low[3])};
    int32_t most = of[0];
    for (uint32_t k = 1; k < 4u; k++) {
        most = of[k] > most ? of[k] : most;
    }
    return lg_output_usual_dsp(c, lg_asr(most, 1));
}

static void put(const int32_t *sums, const lg_dsp_channel *c, const lg_dsp_channel *end, int8_t *out, uint32_t apart)
{
    for (; c != end; c++, sums += TILES, out++) {
        out[apart] = output(sums + 1, c);
        out[0] = output(sums, c);
    }
}
#endif

/* Of both tiles; of one, if their outputs are no bytes apart: the second is overwritten. */
static void all_channels(block *b, uint32_t apart, int8_t *out)
{
    const lg_conv *const layer = b->layer;
    const lg_dsp_channel *channel = layer->channels, *const last = channel + layer->out_c;
    const uint32_t *weights = layer->weights;
    while (channel != last) {
        weights = multiply(b->inputs, weights, b->ends, b->sums);
        const lg_dsp_channel *const end = last - channel < CHANNELS ? last : channel + CHANNELS;
        put(b->sums, channel, end, out, apart);
        out += end - channel;
        channel = end;
    }
}

LG_INLINE void row(block *b, const int8_t *const *rows, int8_t *out, uint32_t taps)
{
    const lg_conv *const layer = b->layer;
    const uint32_t *end = b->inputs;
    for (uint32_t k = 0; k < KINDS * KINDS; k++) {
        /* The third kind is of three taps alone. */
        const uint32_t across = taps == 5u && k / KINDS != 2u ? 2u : 1u,
                       along = taps == 5u && k % KINDS != 2u ? 2u : 1u;
        end += across * along * b->words * TILES;
        b->ends[k] = end;
    }
    b->ends[KINDS * KINDS] = NULL;
    const uint32_t pixel = layer->x_step, step = b->words * COLUMNS(taps);
    if (layer->out_w == 1u) {
        memset(b->columns, 0, sizeof b->columns); /* there is no second tile */
    }
    uint32_t x = 0, first = 0;
    for (uint32_t left = layer->out_w; left > 0u; first = SHARED(taps)) {
        const uint32_t tiles = left < TILES ? left : TILES;
        for (uint32_t column = first; column < taps - 1u + 2u * tiles; column++, x += pixel) {
            transform_column(rows, x, b->columns + column, step, b->words / 2u, taps);
        }
        transform_across(b->columns, b->inputs, PRODUCTS(taps) * b->words, taps);
        all_channels(b, tiles > 1u ? layer->out_c : 0u, out);
        out += tiles * layer->out_c;
        left -= tiles;
    }
}

static __attribute__((noinline)) void row_3x3(block *b, const int8_t *const *rows, int8_t *out)
{
    row(b, rows, out, 3);
}

static __attribute__((noinline)) void row_5x5(block *b, const int8_t *const *rows, int8_t *out)
{
    row(b, rows, out, 5);
}

void lg_winograd_row_dsp(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    block b;
    b.layer = layer;
    b.words = WORDS(layer->x_step);
    (layer->kernel_h == 3u ? row_3x3 : row_5x5)(&b, rows, out);
    lg_clamp_bytes(out, (uint32_t)layer->out_w * layer->out_c, layer->act_min, layer->act_max);
}

#else
typedef int lg_winograd_row_dsp_is_left_out;
#endif
