/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D over an input of few levels (-n..n), by tables of partial sums; see lg_conv.h for what is common.
 *
 * `pixels` neighbouring levels make a code, sum_i (level_i + n) * (2n + 1)^i, 0..entries - 1. A kernel row of
 * kernel_w levels is `groups` = ceil(kernel_w / pixels) codes, `pixels` apart; weights beyond kernel_w are 0:
 *
 *   acc[c] = bias[c] + sum over ky, g of table[ky][g][ rows[ky * row_step][x * x_step + g * pixels] ][c]
 *
 * The levels have scale s, zero point 0. rows, pooling and out as in lg_conv.h, but rows hold codes: code i of a row
 * covers pixels i .. i + pixels - 1 of the padded row (lg_level_codes makes them). One input channel, no column
 * dilation. Nothing past the last code that a window needs is read.
 *
 * Entries are never negative: n * sum |w| of the weights an entry covers is added to each, and the whole of it,
 * n * sum |w[c]|, is taken from bias[c]. The sum over ky, g stays within uint16_t, so that one 32-bit addition adds
 * two columns. export/plan/layouts.py makes table and bias, and tells when 2n * sum |w[c]| <= 65535 holds.
 *
 *   lg_table_conv_row      any C99 target
 *   lg_table_conv_row_dsp  M4, M7, M33
 *   lg_table_conv_row_mve  M55
 * One table serves all three. The last two demand |acc| * 2^max(shift, 0) < 2^30 for all inputs. */
#ifndef LG_TABLE_CONV_H
#define LG_TABLE_CONV_H

#include <stdint.h>

#include "lg_requant.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t out_w, out_c;
    uint16_t columns; /* uint16_t a table entry: out_c rounded up to a multiple of 4; those past out_c are 0 */
    uint16_t kernel_h;
    uint16_t row_step; /* dilation_h */
    uint16_t groups, pixels, entries;
    uint16_t x_step; /* stride_w, in codes */
    uint16_t y_step; /* stride_h; only looked at when pool_h > 1 */
    uint8_t pool_h, pool_w;
    int16_t out_zero_point;
    int8_t act_min, act_max;
    const uint16_t *table;      /* [kernel_h][groups][entries][columns], aligned to 4 */
    const lg_channel *channels; /* [out_c] */
} lg_table_conv;

/* One row of codes: codes[i] = sum_j (level[i - left + j] + n) * radix^j, j < pixels, radix = 2n + 1; levels outside
 * 0..width - 1 are 0. i = 0..count - 1; radix^pixels <= 256. */
void lg_level_codes(const int8_t *levels, uint32_t width, uint32_t left, uint32_t radix, uint32_t pixels,
                    uint32_t count, uint8_t *codes);

void lg_table_conv_row(const lg_table_conv *layer, const int8_t *const *rows, int8_t *out);
void lg_table_conv_row_dsp(const lg_table_conv *layer, const int8_t *const *rows, int8_t *out);
void lg_table_conv_row_mve(const lg_table_conv *layer, const int8_t *const *rows, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
