/* As lg_table_conv_row.c, eight columns in a vector of uint16_t, two windows of a row at a time where a pool has them. */
#include "lg_table_conv.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#include <stdbool.h>

#define LG_INLINE static inline __attribute__((always_inline))

/* The entry's columns of a block; those past the layer's last are 0. */
LG_INLINE uint16x8_t columns_of(const uint16_t *entry, mve_pred16_t columns, bool eight)
{
    return eight ? vldrhq_u16(entry) : vldrhq_z_u16(entry, columns);
}

/* most = max(most, sums of the window at x and, `two`, of the next one) */
LG_INLINE uint16x8_t windows(const lg_table_conv *layer, const uint8_t *const *rows, uint32_t x, uint32_t column,
                             bool two, bool eight, uint16x8_t most)
{
    const mve_pred16_t columns = vctp16q((uint32_t)layer->columns - column);
    const uint32_t entry = layer->columns;
    const uint32_t size = entry * layer->entries;
    const uint32_t step = layer->x_step;
    const uint16_t *table = layer->table + column;
    uint16x8_t first = vdupq_n_u16(0);
    uint16x8_t second = first;
    for (uint32_t ky = layer->kernel_h; ky > 0u; ky--) {
        const uint8_t *codes = *rows + x;
        rows += layer->row_step;
        uint32_t g = layer->groups;
        do {
            first = vaddq_u16(first, columns_of(table + codes[0] * entry, columns, eight));
            if (two) {
                second = vaddq_u16(second, columns_of(table + codes[step] * entry, columns, eight));
            }
            codes += layer->pixels;
            table += size;
        } while (--g > 0u);
    }
    return vmaxq_u16(vmaxq_u16(most, first), second);
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
    vstrbq_p_s32(out + column, y, valid);
}

LG_INLINE void block(const lg_table_conv *layer, const uint8_t *const *rows, uint32_t x, uint32_t column, bool eight,
                     int8_t *out)
{
    uint16x8_t most = vdupq_n_u16(0);
    for (uint32_t py = layer->pool_h; py > 0u; py--) {
        uint32_t at = x;
        uint32_t left = layer->pool_w;
        for (; left >= 2u; left -= 2u) {
            most = windows(layer, rows, at, column, true, eight, most);
            at += 2u * layer->x_step;
        }
        if (left > 0u) {
            most = windows(layer, rows, at, column, false, eight, most);
        }
        rows += layer->y_step;
    }
    uint16_t sums[8];
    vstrhq_u16(sums, most);
    rescale(layer, column, vldrhq_u32(sums), out);
    if (eight && column + 4u < layer->out_c) {
        rescale(layer, column + 4u, vldrhq_u32(sums + 4), out);
    }
}

void lg_table_conv_row_mve(const lg_table_conv *layer, const uint8_t *const *rows, int8_t *out)
{
    const uint32_t step = (uint32_t)layer->pool_w * layer->x_step;
    for (uint32_t i = 0; i < layer->out_w; i++) {
        for (uint32_t column = 0; column < layer->out_c; column += 8u) {
            if (layer->columns - column >= 8u) {
                block(layer, rows, i * step, column, true, out);
            } else {
                block(layer, rows, i * step, column, false, out);
            }
        }
        out += layer->out_c;
    }
}

#else
typedef int lg_table_conv_row_mve_empty;
#endif
