/* Two columns of the table are summed by one 32-bit addition: no lane ever exceeds 16 bits (lg_table_conv.h). */
#include "lg_table_conv.h"

/* Columns 2k and 2k + 1 as one word, column 2k in the low half whatever the byte order. */
static uint32_t pair(const uint16_t *columns)
{
    return columns[0] | (uint32_t)columns[1] << 16;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static int8_t rescale(const lg_table_conv *layer, uint32_t sum, uint32_t c)
{
    const lg_channel *channel = &layer->channels[c];
    const int32_t x = lg_requant_double((int32_t)(sum + (uint32_t)channel->bias), channel->multiplier, channel->shift);
    return lg_output_s8(x, layer->out_zero_point, layer->act_min, layer->act_max);
}

/* The sums of four columns from `column` on, over one window, in sums[0..1]. */
static void window_sums(const lg_table_conv *layer, const uint8_t *const *rows, uint32_t x, uint32_t column,
                        uint32_t *sums)
{
    const uint32_t entry = layer->columns;
    const uint32_t size = (uint32_t)layer->entries * entry;
    const uint16_t *table = layer->table + column;
    uint32_t low = 0;
    uint32_t high = 0;
    for (uint32_t ky = 0; ky < layer->kernel_h; ky++) {
        const uint8_t *codes = rows[ky * layer->row_step] + x;
        for (uint32_t g = 0; g < layer->groups; g++) {
            const uint16_t *columns = table + *codes * entry;
            low += pair(columns);
            high += pair(columns + 2);
            codes += layer->pixels;
            table += size;
        }
    }
    sums[0] = low;
    sums[1] = high;
}

void lg_table_conv_row(const lg_table_conv *layer, const uint8_t *const *rows, int8_t *out)
{
    const uint32_t out_c = layer->out_c;
    for (uint32_t x = 0; x < layer->out_w; x++) {
        for (uint32_t column = 0; column < out_c; column += 4u) {
            uint32_t most[4] = {0, 0, 0, 0};
            for (uint32_t py = 0; py < layer->pool_h; py++) {
                for (uint32_t px = 0; px < layer->pool_w; px++) {
                    uint32_t sums[2];
                    window_sums(layer, rows + py * layer->y_step, (x * layer->pool_w + px) * layer->x_step, column, sums);
                    most[0] = larger(most[0], sums[0] & 0xFFFFu);
                    most[1] = larger(most[1], sums[0] >> 16);
                    most[2] = larger(most[2], sums[1] & 0xFFFFu);
                    most[3] = larger(most[3], sums[1] >> 16);
                }
            }
            const uint32_t n = out_c - column < 4u ? out_c - column : 4u;
            for (uint32_t i = 0; i < n; i++) {
                *out++ = rescale(layer, most[i], column + i);
            }
        }
    }
}
