/* SPDX-License-Identifier: Apache-2.0 */
/* Two columns of the table are summed by one 32-bit addition: no lane ever exceeds 16 bits (lg_table_conv.h). Eight
 * columns at a time, the last four of an odd number of fours by themselves. */
#include "lg_table_conv.h"

#include "lg_inline.h"

/* Columns 2i and 2i + 1 as one word, column 2i in the low half whatever the byte order. */
LG_INLINE uint32_t pair(const uint16_t *columns)
{
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    typedef uint32_t __attribute__((may_alias)) word;
    return *(const word *)(const void *)columns;
#else
    return columns[0] | (uint32_t)columns[1] << 16;
#endif
}

/* most[0..2 * pairs - 1] = max(most, sums of one window); table: of the first of the columns. */
LG_INLINE void window(const lg_table_conv *layer, const int8_t *const *rows, uint32_t x, const uint16_t *table,
                      uint32_t pairs, uint32_t *most)
{
    const uint32_t entry = layer->columns;
    const uint32_t size = (uint32_t)layer->entries * entry;
    const uint32_t row_step = layer->row_step;
    const uint32_t groups = layer->groups;
    uint32_t s0 = 0;
    uint32_t s1 = 0;
    uint32_t s2 = 0;
    uint32_t s3 = 0;
    for (uint32_t ky = layer->kernel_h; ky > 0u; ky--) {
        const uint8_t *codes = (const uint8_t *)*rows + x;
        rows += row_step;
        uint32_t g = groups;
        for (;;) {
            const uint16_t *columns = table + *codes * entry;
            s0 += pair(columns);
            s1 += pair(columns + 2);
            if (pairs == 4u) {
                s2 += pair(columns + 4);
                s3 += pair(columns + 6);
            }
            table += size;
            if (--g == 0u) {
                break;
            }
            codes += layer->pixels;
        }
    }
    const uint32_t sums[4] = {s0, s1, s2, s3};
    for (uint32_t i = 0; i < pairs; i++) {
        const uint32_t low = sums[i] & 0xFFFFu;
        const uint32_t high = sums[i] >> 16;
        most[2u * i] = low > most[2u * i] ? low : most[2u * i];
        most[2u * i + 1u] = high > most[2u * i + 1u] ? high : most[2u * i + 1u];
    }
}

LG_INLINE void windows(const lg_table_conv *layer, const int8_t *const *rows, uint32_t x, const uint16_t *table,
                       uint32_t pairs, uint32_t *most)
{
    const uint32_t end = x + (uint32_t)layer->pool_w * layer->x_step;
    for (uint32_t py = layer->pool_h; py > 0u; py--) {
        for (uint32_t at = x; at != end; at += layer->x_step) {
            window(layer, rows, at, table, pairs, most);
        }
        rows += layer->y_step;
    }
}

static int8_t rescale(const lg_table_conv *layer, const lg_channel *channel, uint32_t sum)
{
    const int32_t x = lg_requant_double((int32_t)(sum + (uint32_t)channel->bias), channel->multiplier, channel->shift);
    return lg_output_s8(x, layer->out_zero_point, layer->act_min, layer->act_max);
}

void lg_table_conv_row(const lg_table_conv *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t out_c = layer->out_c;
    uint32_t x = 0;
    for (uint32_t i = layer->out_w; i > 0u; i--) {
        for (uint32_t column = 0; column < out_c; column += 8u) {
            uint32_t most[8] = {0};
            if (layer->columns - column >= 8u) {
                windows(layer, rows, x, layer->table + column, 4u, most);
            } else {
                windows(layer, rows, x, layer->table + column, 2u, most);
            }
            const uint32_t n = out_c - column < 8u ? out_c - column : 8u;
            for (uint32_t c = 0; c < n; c++) {
                *out++ = rescale(layer, &layer->channels[column + c], most[c]);
            }
        }
        x += (uint32_t)layer->pool_w * layer->x_step;
    }
}
