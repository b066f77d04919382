/* SPDX-License-Identifier: Apache-2.0 */
/* As lg_table_conv_row.c, eight columns at a time: an entry's four words by one LDM, the maximum of a pool's windows on
 * pairs of sums. The codes of a kernel, rows and groups, are one list of pointers, in the order of the table. */
#include "lg_table_conv.h"

#include "lg_dsp.h"
#include "lg_inline.h"
#include "lg_output_dsp.h"

#ifdef LG_DSP

enum { COLUMNS = 8, MAX_TAPS = 64 }; /* pool_h * kernel_h * groups; beyond it the portable kernel serves */

/* The windows of a pixel, one row of them after the other. The assembler below knows the order. */
typedef struct {
    const uint8_t *const *taps; /* first code of the row, by (ky, g), and what is behind those of these windows */
    const uint8_t *table;
    const uint8_t *const *end;
    uint32_t most[4]; /* largest sums so far, columns 0 1, 2 3, 4 5, 6 7 */
    uint32_t x_step, last_x, size, entry;
    uint32_t height; /* bytes of the taps of a window */
    const uint8_t *const *last;
    uint32_t first_x;
} windows;

#ifndef LG_DSP_EMULATE

/* The larger of each of two unsigned halves. */
LG_INLINE uint32_t larger(uint32_t a, uint32_t b)
{
    uint32_t most;
    __asm__("usub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(most) : "r"(a), "r"(b) : "cc");
    return most;
}

/* clang-format off */
/* most = max(most, sums of all windows): r0-r3 the sums, r4 taps, r5 table, r6 end of the taps, r7 x, r8-r11 an entry, r12
 * bytes of a table, lr bytes of an entry. */
static __attribute__((naked, noinline)) void eight_columns(windows *w __attribute__((unused)))
{
#define TAP                  \
    "ldr r8, [r4], #4\n\t"   \
    "ldrb r8, [r8, r7]\n\t"  \
    "mla r8, r8, lr, r5\n\t" \
    "add r5, r12\n\t"        \
    "ldm r8, {r8-r11}\n\t"   \
    "add r0, r8\n\t"         \
    "add r1, r9\n\t"         \
    "add r2, r10\n\t"        \
    "add r3, r11\n\t"
    __asm__ volatile("push {r0, r4-r11, lr}\n\t"
                     "ldr r12, [r0, #36]\n\t"
                     "ldr lr, [r0, #40]\n\t"
                     "ldr r7, [r0, #52]\n\t"
                     "1:\n\t"
                     "ldm r0, {r4-r6}\n\t"
                     "ldr r8, [r4], #4\n\t"
                     "ldrb r8, [r8, r7]\n\t"
                     "mla r8, r8, lr, r5\n\t"
                     "add r5, r12\n\t"
                     "ldm r8, {r0-r3}\n\t"
                     "subs r6, r4\n\t" /* bytes of taps left */
                     "beq 3f\n\t"
                     "tst r6, #4\n\t"
                     "bne 4f\n\t"
                     "2:\n\t" TAP
                     "4:\n\t" TAP
                     "subs r6, #8\n\t"
                     "bhi 2b\n\t"
                     "3:\n\t"
                     "ldr r4, [sp]\n\t"
                     "add r5, r4, #12\n\t"
                     "ldm r5, {r8-r11}\n\t"
                     "usub16 r6, r0, r8\n\t"
                     "sel r0, r0, r8\n\t"
                     "usub16 r6, r1, r9\n\t"
                     "sel r1, r1, r9\n\t"
                     "usub16 r6, r2, r10\n\t"
                     "sel r2, r2, r10\n\t"
                     "usub16 r6, r3, r11\n\t"
                     "sel r3, r3, r11\n\t"
                     "stm r5, {r0-r3}\n\t"
                     "mov r0, r4\n\t"
                     "ldrd r5, r6, [r4, #28]\n\t"
                     "cmp r7, r6\n\t"
                     "add r7, r5\n\t"
                     "bne 1b\n\t"
                     "ldr r1, [r4, #8]\n\t"
                     "ldr r2, [r4, #44]\n\t"
                     "ldr r3, [r4, #48]\n\t"
                     "ldr r7, [r4, #52]\n\t"
                     "str r1, [r4]\n\t"
                     "add r2, r1\n\t"
                     "cmp r1, r3\n\t"
                     "str r2, [r4, #8]\n\t"
                     "bne 1b\n\t"
                     "pop {r0, r4-r11, pc}");
#undef TAP
}
/* clang-format on */

#else

LG_INLINE uint32_t larger(uint32_t a, uint32_t b)
{
    const uint32_t low = (a & 0xFFFFu) > (b & 0xFFFFu) ? a : b;
    const uint32_t high = (a >> 16) > (b >> 16) ? a : b;
    return (low & 0xFFFFu) | (high & 0xFFFF0000u);
}

#endif

/* The same for the first `words` words of an entry. */
LG_INLINE void some_columns(windows *w, uint32_t words)
{
    for (;; w->taps = w->end, w->end += w->height / sizeof *w->end) {
        for (uint32_t x = w->first_x;; x += w->x_step) {
            const uint8_t *table = w->table;
            uint32_t sums[4] = {0, 0, 0, 0};
            for (const uint8_t *const *tap = w->taps; tap != w->end; tap++) {
                const uint8_t *entry = table + (*tap)[x] * w->entry;
                table += w->size;
                for (uint32_t i = 0; i < words; i++) {
                    sums[i] += lg_load4(entry + 4u * i);
                }
            }
            for (uint32_t i = 0; i < words; i++) {
                w->most[i] = larger(w->most[i], sums[i]);
            }
            if (x == w->last_x) {
                break;
            }
        }
        if (w->end == w->last) {
            return;
        }
    }
}

#ifdef LG_DSP_EMULATE
static void eight_columns(windows *w)
{
    some_columns(w, 4u);
}
#endif

/* Outputs of columns from their sums, each of a usual shift, anywhere in int8. */
#ifndef LG_DSP_EMULATE
/* clang-format off */
static __attribute__((naked, noinline)) void finish(const lg_dsp_channel *c __attribute__((unused)),
                                                    const uint16_t *sums __attribute__((unused)),
                                                    int8_t *out __attribute__((unused)),
                                                    const int8_t *end __attribute__((unused)))
{
    __asm__ volatile("push {r4-r8, lr}\n\t"
                     "1:\n\t"
                     "ldrh r8, [r1], #2\n\t"
                     "ldm r0!, {r4-r7}\n\t"
                     "add r4, r4, r8, lsl #1\n\t"
                     "smmlar r12, r4, r5, r6\n\t"
                     "add r4, r12, r4, asr #31\n\t"
                     "asr r4, r4, r7\n\t"
                     "ssat r4, #8, r4\n\t"
                     "strb r4, [r2], #1\n\t"
                     "cmp r2, r3\n\t"
                     "bne 1b\n\t"
                     "pop {r4-r8, pc}");
}
/* clang-format on */
#else
static void finish(const lg_dsp_channel *c, const uint16_t *sums, int8_t *out, const int8_t *end)
{
    while (out != end) {
        *out++ = lg_output_usual_dsp(c++, 2 * *sums++);
    }
}
#endif

/* Scales of up to eight columns; how many are of other shifts, and which. */
static uint32_t prepare(const lg_table_conv *layer, const lg_channel *channel, uint32_t count, lg_dsp_channel *c,
                        uint8_t *others)
{
    const uint32_t zero_point = (uint32_t)(int32_t)layer->out_zero_point;
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++, channel++, c++) {
        const uint32_t right = 0u - (uint32_t)channel->shift;
        *c = (lg_dsp_channel){.right = 1};
        if (right - 1u < LG_MOST_RIGHT) {
            c->bias = (int32_t)((uint32_t)channel->bias << 1);
            c->multiplier = channel->multiplier;
            c->offset = (int32_t)((1u << right >> 1) + (zero_point << right));
            c->right = (int32_t)right;
        } else {
            others[n++] = (uint8_t)i;
        }
    }
    return n;
}

/* The output of a column of any shift. */
static int8_t output(const lg_table_conv *layer, const lg_channel *channel, uint32_t sum)
{
    const int32_t value =
        lg_requant_fast((int32_t)((uint32_t)channel->bias + sum), channel->multiplier, channel->shift);
    return lg_output_s8(value, layer->out_zero_point, INT8_MIN, INT8_MAX);
}

void lg_table_conv_row_dsp(const lg_table_conv *layer, const int8_t *const *rows, int8_t *out)
{
    const uint8_t *taps[MAX_TAPS];
    const uint32_t height = (uint32_t)layer->kernel_h * layer->groups;
    if (layer->pool_h * height > MAX_TAPS) {
        lg_table_conv_row(layer, rows, out);
        return;
    }
    const uint8_t **tap = taps;
    for (uint32_t py = 0; py < layer->pool_h; py++) {
        for (uint32_t ky = 0; ky < layer->kernel_h; ky++) {
            for (uint32_t g = 0; g < layer->groups; g++) {
                *tap++ = (const uint8_t *)rows[py * layer->y_step + ky * layer->row_step] + g * layer->pixels;
            }
        }
    }
    const uint32_t entry = 2u * layer->columns, out_c = layer->out_c;
    windows w = {.x_step = layer->x_step,
                 .size = entry * layer->entries,
                 .entry = entry,
                 .height = height * sizeof *tap,
                 .last = tap};
    for (uint32_t column = 0; column < out_c; column += COLUMNS) {
        const uint32_t count = out_c - column < COLUMNS ? out_c - column : COLUMNS;
        lg_dsp_channel channels[COLUMNS];
        uint8_t others[COLUMNS];
        const uint8_t *const end = others + prepare(layer, layer->channels + column, count, channels, others);
        w.table = (const uint8_t *)(layer->table + column);
        int8_t *at = out + column;
        uint32_t x = 0;
        for (uint32_t i = layer->out_w; i > 0u; i--, at += out_c, x = w.last_x + layer->x_step) {
            w.first_x = x;
            w.last_x = x + (layer->pool_w - 1u) * layer->x_step;
            w.most[0] = w.most[1] = w.most[2] = w.most[3] = 0;
            w.taps = taps;
            w.end = taps + height;
            if (layer->columns - column >= COLUMNS) {
                eight_columns(&w);
            } else {
                some_columns(&w, 2u);
            }
            uint16_t sums[COLUMNS]; /* the first of each pair lies first: the cores are little-endian */
            memcpy(sums, w.most, sizeof sums);
            finish(channels, sums, at, at + count);
            for (const uint8_t *other = others; other != end; other++) {
                at[*other] = output(layer, layer->channels + column + *other, sums[*other]);
            }
        }
    }
    if (layer->act_min > INT8_MIN || layer->act_max < INT8_MAX) {
        for (uint32_t i = layer->out_w * out_c; i > 0u; i--, out++) {
            *out = lg_clamp_s8(*out, layer->act_min, layer->act_max);
        }
    }
}

#else
typedef int lg_table_conv_row_dsp_empty;
#endif
