/* As lg_table_conv_row.c, eight columns at a time: an entry's four words by one LDM, the maximum of a pool's windows on
 * pairs of sums. The codes of a kernel, rows and groups, are one list of pointers, in the order of the table. */
#include "lg_table_conv.h"

#include <stdbool.h>

#include "lg_dsp.h"

#ifdef LG_DSP

#define LG_INLINE static inline __attribute__((always_inline))
#define LG_LIKELY(condition) __builtin_expect((condition), 1)

enum { MAX_TAPS = 64 }; /* pool_h * kernel_h * groups; beyond it the portable kernel serves */

/* Windows of one kernel height, side by side. The assembler below knows the order. */
typedef struct {
    const uint8_t *const *taps; /* first code of the row, by (ky, g) */
    const uint8_t *table;
    const uint8_t *const *end;
    uint32_t most[4]; /* largest sums so far, columns 0 1, 2 3, 4 5, 6 7 */
    uint32_t x_step, last_x, size, entry;
} windows;

#ifndef LG_DSP_EMULATE

/* The larger of each of two unsigned halves. */
LG_INLINE uint32_t larger(uint32_t a, uint32_t b)
{
    uint32_t most;
    __asm__("usub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(most) : "r"(a), "r"(b) : "cc");
    return most;
}

/* most = max(most, sums of the windows at x, x + x_step .. last_x): r0-r3 the sums, r4 taps, r5 table, r6 end of the
 * taps, r7 x, r8-r11 an entry, r12 bytes of a table, lr bytes of an entry. */
static __attribute__((naked, noinline)) void eight_columns(windows *w __attribute__((unused)),
                                                           uint32_t x __attribute__((unused)))
{
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
                     "cmp r4, r6\n\t"
                     "beq 3f\n\t"
                     "2:\n\t"
                     "ldr r8, [r4], #4\n\t"
                     "ldrb r8, [r8, r7]\n\t"
                     "mla r8, r8, lr, r5\n\t"
                     "add r5, r12\n\t"
                     "ldm r8, {r8-r11}\n\t"
                     "add r0, r8\n\t"
                     "add r1, r9\n\t"
                     "add r2, r10\n\t"
                     "add r3, r11\n\t"
                     "cmp r4, r6\n\t"
                     "bne 2b\n\t"
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
}

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

/* lg_requant_double under the header's bound. Rounding to 2^right half away from zero: half of the floor to
 * 2^(right - 1), rounded up, of the value less 1 where it is negative. */
LG_INLINE int32_t rescale(const lg_channel *channel, uint32_t sum)
{
    const int32_t x = (int32_t)(sum + (uint32_t)channel->bias);
    const int32_t shift = channel->shift;
    if (LG_LIKELY(shift < 0)) {
        const int32_t high = lg_smmulr((int32_t)((uint32_t)x << 1), channel->multiplier);
        return lg_asr(lg_asr(high + lg_asr(high, 31), ~shift) + 1, 1);
    }
    return lg_smmulr((int32_t)((uint32_t)x << ((uint32_t)shift + 1u)), channel->multiplier);
}

/* Outputs of up to eight columns. all: the whole int8_t range is allowed. */
LG_INLINE void finish(const lg_table_conv *layer, uint32_t column, const uint32_t *pairs, bool all, int8_t *out)
{
    const int32_t zero_point = layer->out_zero_point;
    const int32_t low = layer->act_min;
    const int32_t high = layer->act_max;
    const lg_channel *channel = layer->channels + column;
    const uint32_t left = layer->out_c - column;
    const int8_t *const end = out + (left < 8u ? left : 8u);
    for (;;) {
        const uint32_t pair = *pairs++;
        int32_t y = lg_ssat8(rescale(channel, pair & 0xFFFFu) + zero_point);
        y = !all && y < low ? low : y;
        *out++ = (int8_t)(!all && y > high ? high : y);
        if (out == end) {
            return;
        }
        y = lg_ssat8(rescale(channel + 1, pair >> 16) + zero_point);
        y = !all && y < low ? low : y;
        *out++ = (int8_t)(!all && y > high ? high : y);
        if (out == end) {
            return;
        }
        channel += 2;
    }
}

void lg_table_conv_row_dsp(const lg_table_conv *layer, const uint8_t *const *rows, int8_t *out)
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
                *tap++ = rows[py * layer->y_step + ky * layer->row_step] + g * layer->pixels;
            }
        }
    }
    const bool all = layer->act_min == INT8_MIN && layer->act_max == INT8_MAX;
    const uint32_t entry = 2u * layer->columns;
    const uint32_t across = (layer->pool_w - 1u) * layer->x_step;
    windows w = {.x_step = layer->x_step, .size = entry * layer->entries, .entry = entry};
    uint32_t x = 0;
    for (uint32_t i = layer->out_w; i > 0u; i--) {
        w.last_x = x + across;
        for (uint32_t column = 0; column < layer->out_c; column += 8u) {
            w.table = (const uint8_t *)(layer->table + column);
            w.most[0] = w.most[1] = w.most[2] = w.most[3] = 0;
            w.end = taps;
            do {
                w.taps = w.end;
                w.end += height;
                if (layer->columns - column >= 8u) {
                    eight_columns(&w, x);
                } else {
                    some_columns(&w, x, 2u);
                }
            } while (w.end != tap);
            if (all) {
                finish(layer, column, w.most, true, out + column);
            } else {
                finish(layer, column, w.most, false, out + column);
            }
        }
        out += layer->out_c;
        x = w.last_x + layer->x_step;
    }
}

#else
typedef int lg_table_conv_row_dsp_empty;
#endif
