/* As lg_table_conv_row.c, eight columns at a time: an entry's four words by one LDM, the maximum of pooled windows on
 * pairs of sums. */
#include "lg_table_conv.h"

#include <stdbool.h>

#include "lg_dsp.h"

#ifdef LG_DSP

#define LG_INLINE static inline __attribute__((always_inline))

typedef struct {
    uint32_t pairs[4]; /* columns 0 1, 2 3, 4 5, 6 7 */
} sums;

#ifndef LG_DSP_EMULATE

/* sum += the 8 columns (of 4: the first two words) at `entry` */
LG_INLINE void accumulate(const uint8_t *entry, bool eight, sums *sum)
{
    register const uint8_t *at __asm__("r8") = entry;
    if (eight) {
        __asm__ volatile("ldm %[at], {r8-r11}\n\tadd %[a], r8\n\tadd %[b], r9\n\tadd %[c], r10\n\tadd %[d], r11"
                         : [at] "+r"(at), [a] "+r"(sum->pairs[0]), [b] "+r"(sum->pairs[1]), [c] "+r"(sum->pairs[2]), [d] "+r"(sum->pairs[3])
                         :
                         : "r9", "r10", "r11", "memory", "cc");
    } else {
        __asm__ volatile("ldm %[at], {r8-r9}\n\tadd %[a], r8\n\tadd %[b], r9"
                         : [at] "+r"(at), [a] "+r"(sum->pairs[0]), [b] "+r"(sum->pairs[1])
                         :
                         : "r9", "memory", "cc");
    }
}

/* The larger of each of two unsigned halves. */
LG_INLINE uint32_t larger(uint32_t a, uint32_t b)
{
    uint32_t most;
    __asm__("usub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(most) : "r"(a), "r"(b) : "cc");
    return most;
}

#else

LG_INLINE void accumulate(const uint8_t *entry, bool eight, sums *sum)
{
    sum->pairs[0] += lg_load4(entry);
    sum->pairs[1] += lg_load4(entry + 4);
    sum->pairs[2] += eight ? lg_load4(entry + 8) : 0u;
    sum->pairs[3] += eight ? lg_load4(entry + 12) : 0u;
}

LG_INLINE uint32_t larger(uint32_t a, uint32_t b)
{
    const uint32_t low = (a & 0xFFFFu) > (b & 0xFFFFu) ? a : b;
    const uint32_t high = (a >> 16) > (b >> 16) ? a : b;
    return (low & 0xFFFFu) | (high & 0xFFFF0000u);
}

#endif

/* The sums of one window. `one`: a kernel row is one code and rows follow one another. */
LG_INLINE sums window_sums(const lg_table_conv *layer, const uint8_t *const *rows, uint32_t x, const uint8_t *table,
                           bool one, bool eight)
{
    const uint32_t entry = 2u * layer->columns;
    const uint32_t size = entry * layer->entries;
    sums sum = {{0, 0, 0, 0}};
    if (one) {
        const uint8_t *const *const end = rows + layer->kernel_h;
        do {
            const uint8_t *codes = *rows++;
            accumulate(table + codes[x] * entry, eight, &sum);
            table += size;
        } while (rows != end);
        return sum;
    }
    for (uint32_t ky = layer->kernel_h; ky > 0u; ky--) {
        const uint8_t *codes = *rows + x;
        rows += layer->row_step;
        for (uint32_t g = layer->groups; g > 0u; g--) {
            accumulate(table + *codes * entry, eight, &sum);
            codes += layer->pixels;
            table += size;
        }
    }
    return sum;
}

/* Clamped output of the sum of a channel. Rounding to 2^right half away from zero: half of the floor to 2^(right - 1), rounded up,
 * of the value less 1 where it is negative. */
LG_INLINE int8_t rescale(const lg_table_conv *layer, const lg_channel *channel, uint32_t sum)
{
    const int32_t x = (int32_t)(sum + (uint32_t)channel->bias);
    const int32_t shift = channel->shift;
    int32_t y;
    if (shift < 0) {
        const int32_t high = lg_smmulr((int32_t)((uint32_t)x << 1), channel->multiplier);
        y = lg_asr(lg_asr(high + lg_asr(high, 31), ~shift) + 1, 1);
    } else {
        y = lg_smmulr((int32_t)((uint32_t)x << ((uint32_t)shift + 1u)), channel->multiplier);
    }
    y += layer->out_zero_point;
    y = y < layer->act_min ? layer->act_min : y;
    return (int8_t)(y > layer->act_max ? layer->act_max : y);
}

static __attribute__((noinline)) void finish(const lg_table_conv *layer, const lg_channel *channel, const sums *most,
                                             int8_t *out, const int8_t *end)
{
    const uint32_t *pair = most->pairs;
    while (out < end) {
        *out++ = rescale(layer, channel++, *pair & 0xFFFFu);
        if (out < end) {
            *out++ = rescale(layer, channel++, *pair++ >> 16);
        }
    }
}

/* Columns `column`.. of output pixel x: eight of them, or the last ones of the layer. */
LG_INLINE void block(const lg_table_conv *layer, const uint8_t *const *rows, uint32_t x, uint32_t column, bool one,
                     bool eight, int8_t *out)
{
    const uint8_t *table = (const uint8_t *)(layer->table + column);
    const uint32_t last_x = x + (uint32_t)layer->pool_w * layer->x_step;
    sums most = {{0, 0, 0, 0}};
    for (uint32_t py = layer->pool_h; py > 0u; py--) {
        for (uint32_t at = x; at != last_x; at += layer->x_step) {
            const sums sum = window_sums(layer, rows, at, table, one, eight);
            most.pairs[0] = larger(most.pairs[0], sum.pairs[0]);
            most.pairs[1] = larger(most.pairs[1], sum.pairs[1]);
            if (eight) {
                most.pairs[2] = larger(most.pairs[2], sum.pairs[2]);
                most.pairs[3] = larger(most.pairs[3], sum.pairs[3]);
            }
        }
        rows += layer->y_step;
    }
    const uint32_t left = layer->out_c - column;
    finish(layer, layer->channels + column, &most, out, out + (left < 8u ? left : 8u));
}

LG_INLINE void all_blocks(const lg_table_conv *layer, const uint8_t *const *rows, bool one, int8_t *out)
{
    const uint32_t out_c = layer->out_c;
    const uint32_t step = (uint32_t)layer->pool_w * layer->x_step;
    for (uint32_t i = 0; i < layer->out_w; i++) {
        for (uint32_t column = 0; column < out_c; column += 8u) {
            if (layer->columns - column >= 8u) {
                block(layer, rows, i * step, column, one, true, out + column);
            } else {
                block(layer, rows, i * step, column, false, false, out + column);
            }
        }
        out += out_c;
    }
}

void lg_table_conv_row_dsp(const lg_table_conv *layer, const uint8_t *const *rows, int8_t *out)
{
    if (layer->groups == 1u && layer->row_step == 1u) {
        all_blocks(layer, rows, true, out);
    } else {
        all_blocks(layer, rows, false, out);
    }
}

#else
typedef int lg_table_conv_row_dsp_empty;
#endif
