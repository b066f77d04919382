/* SPDX-License-Identifier: Apache-2.0 */
/* As lg_table_conv_row.c, eight columns in a vector of uint16_t, two windows of a row at a time where a pool has them.
 * The codes of a kernel, rows and groups, are one list of pointers, in the order of the table. */
#include "lg_table_conv.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#include <stdbool.h>

#include "lg_inline.h"

enum { MAX_TAPS = 64 }; /* pool_h * kernel_h * groups; beyond it the portable kernel serves */

/* Windows of one kernel height. */
typedef struct {
    const uint8_t *const *taps; /* first code of the row, by (ky, g) */
    const uint16_t *table;
    uint32_t count, entry, size; /* taps; uint16_t an entry and a table */
    mve_pred16_t columns;        /* those of a block of four */
} windows;

LG_INLINE uint16x8_t columns_of(const windows *w, const uint16_t *entry, bool eight)
{
    return eight ? vldrhq_u16(entry) : vldrhq_z_u16(entry, w->columns);
}

/* The larger of `most` and the sums of the window at x and, `two`, of the one at x + step. */
LG_INLINE uint16x8_t sums(const windows *w, uint32_t x, uint32_t step, bool two, bool eight, uint16x8_t most)
{
    const uint16_t *table = w->table;
    const uint32_t entry = w->entry;
    const uint32_t size = w->size;
    const uint8_t *const *tap = w->taps;
    uint16x8_t first = vdupq_n_u16(0);
    uint16x8_t second = first;
    uint32_t n = w->count;
    do {
        const uint8_t *codes = *tap++ + x;
        first = vaddq_u16(first, columns_of(w, table + codes[0] * entry, eight));
        if (two) {
            second = vaddq_u16(second, columns_of(w, table + codes[step] * entry, eight));
        }
        table += size;
    } while (--n > 0u);
    return two ? vmaxq_u16(vmaxq_u16(most, first), second) : vmaxq_u16(most, first);
}

/* Four outputs; the two roundings are those of lg_requant_double under the header's bound. */
LG_INLINE void rescale(const lg_table_conv *layer, uint32_t column, uint32x4_t sum, int8_t *out)
{
    const mve_pred16_t valid = vctp32q((uint32_t)layer->out_c - column);
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), sizeof(lg_channel));
    const lg_channel *channel = layer->channels + column;
    const int32x4_t bias = vldrwq_gather_offset_z_s32(&channel->bias, offsets, valid);
    const int32x4_t multiplier = vldrwq_gather_offset_z_s32(&channel->multiplier, offsets, valid);
    const int32x4_t shift = vldrwq_gather_offset_z_s32(&channel->shift, offsets, valid);
    const int32x4_t zero = vdupq_n_s32(0);
    const int32x4_t x = vaddq_s32(vreinterpretq_s32_u32(sum), bias);
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(x, vmaxq_s32(shift, zero)), multiplier);
    const int32x4_t right = vminq_s32(shift, zero);
    const int32x4_t less = vshrq_n_s32(vandq_s32(high, right), 31);
    int32x4_t y = vrshlq_s32(vaddq_s32(high, less), right);
    y = vaddq_n_s32(y, layer->out_zero_point);
    y = vmaxq_s32(y, vdupq_n_s32(layer->act_min));
    y = vminq_s32(y, vdupq_n_s32(layer->act_max));
    vstrbq_p_s32(out, y, valid);
}

/* Columns column .. column + 7, or + 3, of the output pixel whose first window is at x. */
LG_INLINE void block(const lg_table_conv *layer, windows *w, const uint8_t *const *taps, uint32_t x, uint32_t column,
                     bool eight, int8_t *out)
{
    const uint32_t step = layer->x_step;
    uint16x8_t most = vdupq_n_u16(0);
    w->taps = taps;
    w->table = layer->table + column;
    for (uint32_t py = layer->pool_h; py > 0u; py--) {
        uint32_t at = x;
        uint32_t left = layer->pool_w;
        for (; left >= 2u; left -= 2u) {
            most = sums(w, at, step, true, eight, most);
            at += 2u * step;
        }
        if (left > 0u) {
            most = sums(w, at, step, false, eight, most);
        }
        w->taps += w->count;
    }
    uint16_t halves[8];
    vstrhq_u16(halves, most);
    rescale(layer, column, vldrhq_u32(halves), out);
    if (eight && column + 4u < layer->out_c) {
        rescale(layer, column + 4u, vldrhq_u32(halves + 4), out + 4);
    }
}

void lg_table_conv_row_mve(const lg_table_conv *layer, const int8_t *const *rows, int8_t *out)
{
    const uint8_t *taps[MAX_TAPS];
    windows w = {.count = (uint32_t)layer->kernel_h * layer->groups,
                 .entry = layer->columns,
                 .size = (uint32_t)layer->entries * layer->columns,
                 .columns = vctp16q(4)};
    if (layer->pool_h * w.count > MAX_TAPS) {
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
    uint32_t x = 0;
    for (uint32_t i = layer->out_w; i > 0u; i--) {
        for (uint32_t column = 0; column < layer->out_c; column += 8u) {
            if (layer->columns - column >= 8u) {
                block(layer, &w, taps, x, column, true, out + column);
            } else {
                block(layer, &w, taps, x, column, false, out + column);
            }
        }
        x += (uint32_t)layer->pool_w * layer->x_step;
        out += layer->out_c;
    }
}

#else
typedef int lg_table_conv_row_mve_empty;
#endif
