/* SPDX-License-Identifier: Apache-2.0 */
/* As lg_table_conv_row.c, eight columns at a time: an entry's four words by one LDM, the maximum of a pool's windows on
 * pairs of sums. The codes of a kernel, rows and groups, are one list of pointers, in the order of the table. */
#include "lg_table_conv.h"

#include <stdbool.h>

#include "lg_dsp.h"
#include "lg_inline.h"

#ifdef LG_DSP

#define LG_LIKELY(condition) __builtin_expect((condition), 1)

enum { COLUMNS = 8, MAX_TAPS = 64 }; /* pool_h * kernel_h * groups; beyond it the portable kernel serves */

/* Windows of one kernel height, side by side. The assembler below knows the order. */
typedef struct {
    const uint8_t *const *taps; /* first code of the row, by (ky, g) */
    const uint8_t *table;
    const uint8_t *const *end;
    uint32_t most[4]; /* largest sums so far, columns 0 1, 2 3, 4 5, 6 7 */
    uint32_t x_step, last_x, size, entry;
} windows;

/* Of one column: as lg_rescale takes it, where it can. */
typedef struct {
    int32_t bias, multiplier, offset, right; /* bias doubled */
    bool usual;
} scale;

#ifndef LG_DSP_EMULATE

/* The larger of each of two unsigned halves. */
LG_INLINE uint32_t larger(uint32_t a, uint32_t b)
{
    uint32_t most;
    __asm__("usub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(most) : "r"(a), "r"(b) : "cc");
    return most;
}

/* clang-format off */
/* most = max(most, sums of the windows at x, x + x_step .. last_x): r0-r3 the sums, r4 taps, r5 table, r6 end of the
 * taps, r7 x, r8-r11 an entry, r12 bytes of a table, lr bytes of an entry. */
static __attribute__((naked, noinline)) void eight_columns(windows *w __attribute__((unused)),
                                                           uint32_t x __attribute__((unused)))
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
                     "mov r7, r1\n\t"
                     "ldrd r12, lr, [r0, #36]\n\t"
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
LG_INLINE void some_columns(windows *w, uint32_t x, uint32_t words)
{
    for (;; x += w->x_step) {
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
            return;
        }
    }
}

#ifdef LG_DSP_EMULATE
static void eight_columns(windows *w, uint32_t x)
{
    some_columns(w, x, 4u);
}
#endif

LG_INLINE int8_t rescale(const scale *s, uint32_t sum)
{
    if (LG_LIKELY(s->usual)) {
        const int32_t x2 = (int32_t)((uint32_t)s->bias + (sum << 1));
        return (int8_t)lg_ssat8(lg_rescale(x2, s->multiplier, s->offset, s->right));
    }
    const int32_t value = lg_requant_fast((int32_t)((uint32_t)s->bias + sum), s->multiplier, -s->right);
    return lg_output_s8(value, s->offset, INT8_MIN, INT8_MAX);
}

/* Outputs of up to eight columns, anywhere in int8. */
LG_INLINE void finish(const scale *s, const uint32_t *pairs, uint32_t count, int8_t *out)
{
    const uint8_t *halves = (const uint8_t *)pairs; /* the first of each pair lies first: the cores are little-endian */
    for (const int8_t *const end = out + count; out != end; s++, halves += 2) {
        uint16_t sum;
        memcpy(&sum, halves, sizeof sum);
        *out++ = rescale(s, sum);
    }
}

/* Scales of up to eight columns. */
static void prepare(const lg_table_conv *layer, const lg_channel *channel, uint32_t count, scale *s)
{
    const uint32_t zero_point = (uint32_t)(int32_t)layer->out_zero_point;
    for (; count > 0u; count--, channel++, s++) {
        const uint32_t right = 0u - (uint32_t)channel->shift;
        s->usual = right - 1u < LG_MOST_RIGHT;
        s->bias = s->usual ? (int32_t)((uint32_t)channel->bias << 1) : channel->bias;
        s->multiplier = channel->multiplier;
        s->offset = s->usual ? (int32_t)((1u << right >> 1) + (zero_point << right)) : layer->out_zero_point;
        s->right = (int32_t)right;
    }
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
    windows w = {.x_step = layer->x_step, .size = entry * layer->entries, .entry = entry};
    for (uint32_t column = 0; column < out_c; column += COLUMNS) {
        const uint32_t count = out_c - column < COLUMNS ? out_c - column : COLUMNS;
        scale scales[COLUMNS];
        prepare(layer, layer->channels + column, count, scales);
        int8_t *at = out + column;
        uint32_t x = 0;
        for (uint32_t i = layer->out_w; i > 0u; i--, at += out_c, x = w.last_x + layer->x_step) {
            w.last_x = x + (layer->pool_w - 1u) * layer->x_step;
            w.most[0] = w.most[1] = w.most[2] = w.most[3] = 0;
            w.end = taps;
            do {
                w.table = (const uint8_t *)(layer->table + column);
                w.taps = w.end;
                w.end += height;
                if (layer->columns - column >= COLUMNS) {
                    eight_columns(&w, x);
                } else {
                    some_columns(&w, x, 2u);
                }
            } while (w.end != tap);
            finish(scales, w.most, count, at);
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
